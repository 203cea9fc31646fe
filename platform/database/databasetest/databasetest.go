// Package databasetest makes throw-away databases for tests, on both engines.
package databasetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"contacts/migrations"
	"contacts/platform/database"
)

// variable names the URL of a PostgreSQL superuser.
const variable = "CONTACTS_TEST_POSTGRES_URL"

// New returns the URL of a new, empty database, which ends with the test: a SQLite file in a
// temporary folder, or a database on the server that CONTACTS_TEST_POSTGRES_URL names, without
// which the test fails.
//
// The URL of a PostgreSQL database is that of its owner, which is no superuser but may create
// roles, as managed servers give one. See also [App] and [Superuser].
func New(t testing.TB, engine database.Engine) string {
	t.Helper()
	if engine == database.SQLite {
		return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	}
	server := os.Getenv(variable)
	require.NotEmpty(t, server, variable+" is not set: run the tests with `make test`, which starts the servers")
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	run(t, server, "CREATE ROLE "+name+ownerSuffix+" LOGIN CREATEROLE", "CREATE DATABASE "+name+" OWNER "+name+ownerSuffix)
	t.Cleanup(func() {
		run(t, server, "DROP DATABASE "+name+" WITH (FORCE)", "DROP ROLE IF EXISTS "+name+appSuffix, "DROP ROLE "+name+ownerSuffix)
	})
	address, err := url.Parse(server)
	require.NoError(t, err)
	address.Path, address.User = "/"+name, url.User(name+ownerSuffix)
	return address.String()
}

// What the names of the roles of a database end in, behind its own name.
const (
	ownerSuffix = "_owner"
	appSuffix   = "_app"
)

// App returns the URL by which the program uses a PostgreSQL database, given the owner's: that
// of another role, which is there once it has been admitted to the schema.
func App(owner string) string { return strings.Replace(owner, ownerSuffix+"@", appSuffix+"@", 1) }

// Owner returns the URL of a PostgreSQL database's owner, given the program's.
func Owner(app string) string { return strings.Replace(app, appSuffix+"@", ownerSuffix+"@", 1) }

// Superuser returns the URL by which the server's superuser uses a PostgreSQL database, given
// another role's.
func Superuser(t testing.TB, address string) string {
	t.Helper()
	super, err := url.Parse(os.Getenv(variable))
	require.NoError(t, err)
	same, err := url.Parse(address)
	require.NoError(t, err)
	super.Path = same.Path
	return super.String()
}

// Migrated returns the URL of a new database with the current schema, on PostgreSQL by which
// the program uses it: see [App].
func Migrated(t testing.TB, engine database.Engine) string {
	t.Helper()
	address := New(t, engine)
	schema, err := database.OpenSchema(address, migrations.Files)
	require.NoError(t, err)
	require.NoError(t, schema.Up(t.Context()))
	if engine == database.Postgres {
		require.NoError(t, schema.Admit(t.Context(), App(address)))
		address = App(address)
	}
	require.NoError(t, schema.Close())
	return address
}

func run(t testing.TB, server string, statements ...string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	for _, statement := range statements {
		_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
		require.NoError(t, err)
	}
	require.NoError(t, db.Close())
}
