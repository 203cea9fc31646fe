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

// New returns the URL of a new, empty database, which ends with the test: a SQLite file in a temporary folder, or a
// database on the server that CONTACTS_TEST_POSTGRES_URL names, without which the test fails.
func New(t testing.TB, engine database.Engine) string {
	t.Helper()
	if engine == database.SQLite {
		return "sqlite://" + filepath.Join(t.TempDir(), "test.db")
	}
	server := os.Getenv("CONTACTS_TEST_POSTGRES_URL")
	require.NotEmpty(t, server, "CONTACTS_TEST_POSTGRES_URL is not set: run the tests with `make test`, which starts the servers")
	name := "test_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	run(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	address, err := url.Parse(server)
	require.NoError(t, err)
	address.Path = "/" + name
	return address.String()
}

// Migrated returns the URL of a new database with the current schema.
func Migrated(t testing.TB, engine database.Engine) string {
	t.Helper()
	address := New(t, engine)
	schema, err := database.OpenSchema(address, migrations.Files)
	require.NoError(t, err)
	require.NoError(t, schema.Up(t.Context()))
	require.NoError(t, schema.Close())
	return address
}

func run(t testing.TB, server, statement string) {
	t.Helper()
	db, err := sql.Open("pgx", server)
	require.NoError(t, err)
	_, err = db.ExecContext(context.WithoutCancel(t.Context()), statement)
	require.NoError(t, err)
	require.NoError(t, db.Close())
}
