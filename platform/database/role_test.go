package database_test

import (
	"database/sql"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/test/servers"
)

// strictServer starts a PostgreSQL server of its own that asks every role but its superuser
// for a password, and logs every statement. It returns the server, and the URL of a database
// for its owner, which may create roles.
func strictServer(t *testing.T) (server *servers.Server, owner string) {
	t.Helper()
	server, err := servers.StartPostgres(t.Context(), "log_statement=all")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	super := open(t, server.URL)
	for _, statement := range []string{
		"CREATE ROLE owner LOGIN CREATEROLE PASSWORD 'owner'",
		"CREATE DATABASE app OWNER owner",
		"DO $$ BEGIN EXECUTE format('COPY (VALUES (''host all postgres 127.0.0.1/32 trust''), (''host all all 127.0.0.1/32 scram-sha-256'')) TO %L'," +
			" current_setting('hba_file')); END $$",
		"SELECT pg_reload_conf()",
	} {
		require.NoError(t, super.Write.Exec(statement).Error, statement)
	}
	owner = as(t, server.URL, "owner", "owner")
	require.Eventually(t, func() bool {
		return errors.As(login(t, as(t, owner, "owner", "wrong")), new(*pgconn.PgError))
	}, 10*time.Second, 10*time.Millisecond, "the server asks for passwords")
	return server, owner
}

// as returns the URL of the database of that server for a role with a password, or with none.
func as(t *testing.T, server, role, password string) string {
	t.Helper()
	address, err := url.Parse(server)
	require.NoError(t, err)
	address.Path, address.User = "/app", url.User(role)
	if password != "" {
		address.User = url.UserPassword(role, password)
	}
	return address.String()
}

// login connects as the role that a URL names, and returns the error.
func login(t *testing.T, address string) error {
	t.Helper()
	db, err := database.Open(t.Context(), address)
	if err == nil {
		require.NoError(t, db.Close())
	}
	return err
}

// A role is made with its password, which no log tells, is given what it lacks, and gets the
// rights to work on what there is.
func TestSchema_Admit(t *testing.T) {
	t.Parallel()
	server, owner := strictServer(t)
	files := fstest.MapFS{
		"postgres/000001_things.up.sql": {Data: []byte("CREATE TABLE things (id bigserial PRIMARY KEY, n int);" +
			"CREATE VIEW few_things AS SELECT * FROM things LIMIT 1; CREATE TABLE ids (id int GENERATED ALWAYS AS IDENTITY)")},
		"postgres/000001_things.down.sql": {Data: []byte("DROP TABLE things")},
	}
	schema := openSchema(t, owner, files)
	require.NoError(t, schema.Up(t.Context()))
	super := open(t, as(t, server.URL, "postgres", ""))
	const role, password = `pro"gram`, `s3cret 'and" pässword\`
	program := as(t, owner, role, password)
	rights := func() map[string]string {
		var rows []struct{ Name, Rights string }
		require.NoError(t, super.Read.Raw(`SELECT relname AS name, string_agg(privilege_type, ' ' ORDER BY privilege_type) AS rights
			FROM pg_class, aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee WHERE rolname = ? GROUP BY relname`, role).Scan(&rows).Error)
		got := map[string]string{}
		for _, row := range rows {
			got[row.Name] = row.Rights
		}
		return got
	}

	for range 2 { // again: there is nothing left to do
		require.NoError(t, schema.Admit(t.Context(), program))
		require.Equal(t, map[string]string{
			"things": "DELETE INSERT SELECT UPDATE", "ids": "DELETE INSERT SELECT UPDATE", "few_things": "SELECT", "schema_migrations": "SELECT",
			"things_id_seq": "USAGE", "ids_id_seq": "USAGE",
		}, rights())
	}
	var free bool
	require.NoError(t, super.Read.Raw("SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR NOT rolcanlogin"+
		" FROM pg_roles WHERE rolname = ?", role).Scan(&free).Error)
	require.False(t, free)
	db := open(t, program)
	require.NoError(t, db.Write.Exec("INSERT INTO things (n) VALUES (1)").Error)
	require.ErrorContains(t, db.Write.Exec("CREATE TABLE own (n int)").Error, "42501")
	require.ErrorContains(t, db.Write.Exec("TRUNCATE things").Error, "42501", "which row-level security does not guard")
	require.Error(t, login(t, as(t, owner, role, "wrong")))

	files["postgres/000002_more.up.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE more (n int)")}
	later := openSchema(t, owner, files)
	require.NoError(t, later.Up(t.Context()))
	require.ErrorContains(t, db.Read.Exec("SELECT 1 FROM more").Error, "42501")
	rotated := as(t, owner, role, "rotated")
	require.Error(t, login(t, rotated))
	require.NoError(t, super.Write.Exec(`ALTER ROLE "pro""gram" NOLOGIN`).Error)
	require.NoError(t, super.Write.Exec("REVOKE CONNECT ON DATABASE app FROM PUBLIC").Error)
	require.NoError(t, super.Write.Exec("REVOKE USAGE ON SCHEMA public FROM PUBLIC").Error)
	require.NoError(t, super.Write.Exec("GRANT USAGE ON SCHEMA public TO owner WITH GRANT OPTION").Error)
	require.NoError(t, later.Admit(t.Context(), rotated), "it lacks the new table, the new password, and the right to log in, to connect and to look")
	require.NoError(t, open(t, rotated).Read.Exec("SELECT 1 FROM more").Error)
	require.Error(t, login(t, program))

	log, err := os.ReadFile(server.LogFile())
	require.NoError(t, err)
	require.Contains(t, string(log), `CREATE ROLE "pro""gram"`)
	require.Contains(t, string(log), `ALTER ROLE "pro""gram" PASSWORD`)
	require.NotContains(t, string(log), "s3cret")
	require.NotContains(t, string(log), "rotated")
}

// A role that row-level security does not bind is not made into one that it binds: it may be
// another role's.
func TestSchema_Admit_Refuses(t *testing.T) {
	t.Parallel()
	owner := databasetest.New(t, database.Postgres)
	schema := openSchema(t, owner, fstest.MapFS{"postgres/000001_x.up.sql": {Data: []byte("SELECT 1")}})
	super := open(t, databasetest.Superuser(t, owner))
	for name, made := range map[string]string{
		"_bypass": "BYPASSRLS",
		"_super":  "SUPERUSER",
		"_member": "IN ROLE {owner}",
	} {
		address := strings.Replace(owner, "_owner@", name+"@", 1)
		create(t, super, address, strings.Replace(made, "{owner}", user(t, owner), 1))
		require.ErrorContains(t, schema.Admit(t.Context(), address), "expected another role", name)
	}
	require.ErrorContains(t, schema.Admit(t.Context(), owner), "expected another role")
	require.Error(t, schema.Admit(t.Context(), "sqlite://x.db"))
}

// create makes the role that a URL names, which ends with the test.
func create(t *testing.T, super *database.DB, address, attributes string) {
	t.Helper()
	name := user(t, address)
	require.NoError(t, super.Write.Exec("CREATE ROLE "+name+" LOGIN "+attributes).Error)
	t.Cleanup(func() { require.NoError(t, super.Write.Exec("DROP OWNED BY "+name+"; DROP ROLE "+name).Error) })
}

func user(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	return parsed.User.Username()
}

func TestDB_CheckRowSecurity(t *testing.T) {
	t.Parallel()
	require.NoError(t, open(t, databasetest.New(t, database.SQLite)).CheckRowSecurity(t.Context(), "things"))
	owner := databasetest.New(t, database.Postgres)
	super := open(t, databasetest.Superuser(t, owner))
	for _, statement := range []string{
		"CREATE TABLE open (n int)", "CREATE TABLE enabled (n int)", "CREATE TABLE forced (n int)",
		"ALTER TABLE enabled ENABLE ROW LEVEL SECURITY",
		"ALTER TABLE forced ENABLE ROW LEVEL SECURITY", "ALTER TABLE forced FORCE ROW LEVEL SECURITY",
	} {
		require.NoError(t, open(t, owner).Write.Exec(statement).Error, statement)
	}
	program, bypass := databasetest.App(owner), strings.Replace(owner, "_owner@", "_bypass@", 1)
	member := strings.Replace(owner, "_owner@", "_member@", 1)
	create(t, super, program, "")
	create(t, super, bypass, "BYPASSRLS")
	// it can become the owner when it likes
	create(t, super, member, "NOINHERIT IN ROLE "+user(t, owner))
	for _, c := range []struct{ address, table, want string }{
		{program, "forced", ""},
		{program, "enabled", "not forced on the table enabled"},
		{program, "open", "not forced on the table open"},
		{program, "nowhere", "not forced on the table nowhere"},
		{owner, "forced", "owns the table forced"},
		{member, "forced", "owns the table forced, or is a member of its owner"},
		{bypass, "forced", "has BYPASSRLS"},
		{databasetest.Superuser(t, owner), "forced", "is a superuser"},
	} {
		err := open(t, c.address).CheckRowSecurity(t.Context(), "forced", c.table)
		if c.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.want)
		}
	}
}

// A role that may read nothing is told that nothing has been applied, and leaves nothing
// behind.
func TestSchema_Status_MakesNothing(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, engine database.Engine, address string) {
		schema, err := database.OpenSchema(address, fstest.MapFS{string(engine) + "/000001_x.up.sql": {Data: []byte("SELECT 1")}})
		require.NoError(t, err)
		status, err := schema.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, database.Status{Latest: 1}, status)
		require.NoError(t, schema.Close())
		var n int
		err = open(t, address).Read.Raw("SELECT count(*) FROM schema_migrations").Scan(&n).Error
		require.Error(t, err, "there is no such table")
		require.NotErrorIs(t, err, sql.ErrNoRows)
	})
}
