package sqlstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// openStore returns a store on a database of its own, which ends with the test.
func openStore(t *testing.T, engine database.Engine) *Store {
	t.Helper()
	db, err := database.Open(t.Context(), databasetest.Migrated(t, engine))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return New(db)
}

// eachStore runs the test on a store of each engine.
func eachStore(t *testing.T, test func(t *testing.T, store *Store)) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) { test(t, openStore(t, engine)) })
	}
}
