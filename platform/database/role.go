package database

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/text/secure/precis"
)

// Admit makes sure that the PostgreSQL role that a URL names can log in, with the URL's
// password if it has one, and work on the schema: read and write its tables, read its views
// and which migrations have been applied, and nothing else. The role is created where it is
// missing; one that is there is given what it lacks. To be called after every [Schema.Up], as
// the owner of the tables.
//
// It refuses a role that row-level security would not bind: see [DB.CheckRowSecurity].
func (s *Schema) Admit(ctx context.Context, address string) error {
	config, err := postgresConfig(address)
	if err != nil {
		return err
	}
	// Not the one that config may have from the environment, which may be another role's.
	password := ""
	if parsed, err := url.Parse(address); err == nil {
		password, _ = parsed.User.Password()
	}
	role := config.User
	tx, err := s.pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("admit the role %s: %w", role, err)
	}
	defer func() { _ = tx.Rollback() }() // a no-op behind a commit
	err = prepareRole(ctx, tx, role, password)
	if err == nil {
		err = grant(ctx, tx, role)
	}
	if err == nil {
		err = tx.Commit()
	}
	if err == nil && password != "" {
		err = s.admitPassword(ctx, config, password)
	}
	if err != nil {
		return fmt.Errorf("admit the role %s: %w", role, err)
	}
	return nil
}

// prepareRole creates the role, or looks whether the one that is there will do.
func prepareRole(ctx context.Context, tx *sql.Tx, role, password string) error {
	// One at a time.
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtext('admit a role'))"); err != nil {
		return err
	}
	var free, owner, login bool
	err := tx.QueryRowContext(ctx, "SELECT rolsuper OR rolbypassrls, pg_has_role(oid, current_user, 'MEMBER'), rolcanlogin"+
		" FROM pg_roles WHERE rolname = $1", role).Scan(&free, &owner, &login)
	name := pgx.Identifier{role}.Sanitize()
	switch {
	case errors.Is(err, sql.ErrNoRows):
		create := "CREATE ROLE " + name + " LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
		if password != "" {
			verifier, err := scramVerifier(password)
			if err != nil {
				return err
			}
			create += " PASSWORD '" + verifier + "'"
		}
		_, err = tx.ExecContext(ctx, create)
	case err != nil:
	case free:
		return errors.New("it is a superuser or has BYPASSRLS, so that row-level security does not bind it: expected another role")
	case owner:
		return errors.New("it is, or is a member of, the role that migrates: expected another role, which does not own the tables")
	case !login:
		_, err = tx.ExecContext(ctx, "ALTER ROLE "+name+" LOGIN")
	}
	return err
}

// grant gives the role its rights on everything that the current role owns in the current
// schema.
func grant(ctx context.Context, tx *sql.Tx, role string) error {
	var grants string
	err := tx.QueryRowContext(ctx, `
		SELECT coalesce(string_agg(statement, '; '), '') FROM (
			SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), $1::text)
				WHERE NOT has_database_privilege($1, current_database(), 'CONNECT')
			UNION ALL
			SELECT format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), $1)
				WHERE NOT has_schema_privilege($1, current_schema(), 'USAGE')
			UNION ALL
			SELECT format('GRANT %s %s TO %I', CASE
					WHEN relkind = 'S' THEN 'USAGE ON SEQUENCE'
					WHEN relkind = 'v' OR relname = $2 THEN 'SELECT ON'
					ELSE 'SELECT, INSERT, UPDATE, DELETE ON'
				END, oid::regclass, $1)
				FROM pg_class
				WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND pg_has_role(relowner, 'USAGE')
		) AS grants (statement)`, role, versions).Scan(&grants)
	if err == nil {
		_, err = tx.ExecContext(ctx, grants)
	}
	return err
}

// admitPassword logs in as the role, and gives it the URL's password if it is refused with
// that: then it has another one, or none.
func (s *Schema) admitPassword(ctx context.Context, config *pgx.ConnConfig, password string) error {
	err := logIn(ctx, config)
	var refused *pgconn.PgError
	if !errors.As(err, &refused) || refused.Code != "28P01" { // invalid_password
		return err
	}
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	_, err = s.pool.ExecContext(ctx, "ALTER ROLE "+pgx.Identifier{config.User}.Sanitize()+" PASSWORD '"+verifier+"'")
	if err != nil {
		return err
	}
	return logIn(ctx, config)
}

func logIn(ctx context.Context, config *pgx.ConnConfig) error {
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	return connection.Close(ctx)
}

// scramVerifier returns what PostgreSQL keeps of a password, so that the password itself is in
// no statement, which the server may log:
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> (RFC 5803).
func scramVerifier(password string) (string, error) {
	const iterations = 4096 // PostgreSQL's own
	// as clients do before they prove that they know it
	if normal, err := precis.OpaqueString.String(password); err == nil {
		password = normal
	}
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a key from the password: %w", err)
	}
	keyed := func(message string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(message))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(keyed("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(keyed("Server Key"))), nil
}

// CheckRowSecurity returns an error unless row-level security binds the role that db connects
// as, on each of the tables: it does not bind superusers and roles with BYPASSRLS, and the
// owner of a table, or a member of that role, can turn it off. SQLite has nothing of that, and
// passes.
func (db *DB) CheckRowSecurity(ctx context.Context, tables ...string) error {
	if db.Engine != Postgres {
		return nil
	}
	var role struct {
		Name string
		Free bool
	}
	err := db.Read.WithContext(ctx).
		Raw("SELECT rolname AS name, rolsuper OR rolbypassrls AS free FROM pg_roles WHERE rolname = current_user").Scan(&role).Error
	if err != nil {
		return fmt.Errorf("look at the database's role: %w", err)
	}
	if role.Free {
		return fmt.Errorf("the role %s is a superuser or has BYPASSRLS, so that row-level security does not bind it", role.Name)
	}
	for _, table := range tables {
		var guard struct{ Active, Owned bool }
		err := db.Read.WithContext(ctx).Raw("SELECT relrowsecurity AND relforcerowsecurity AS active, pg_has_role(relowner, 'MEMBER') AS owned"+
			" FROM pg_class WHERE oid = to_regclass(?)", table).Scan(&guard).Error
		switch {
		case err != nil:
			return fmt.Errorf("look at the table %s: %w", table, err)
		case guard.Owned:
			return fmt.Errorf("the role %s owns the table %s, or is a member of its owner, and could turn row-level security off", role.Name, table)
		case !guard.Active:
			return fmt.Errorf("row-level security is not forced on the table %s", table)
		}
	}
	return nil
}
