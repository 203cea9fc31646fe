package sqlstore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/sqlstore"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// open opens a store on a database of its own.
func open(t testing.TB, engine database.Engine) *sqlstore.Store {
	t.Helper()
	db, err := database.Open(t.Context(), databasetest.Migrated(t, engine))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return sqlstore.New(db)
}

func TestStore_Contract(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			store := open(t, engine)
			contactstest.RunStore(t, func(*testing.T) contactstest.Store { return store })
			t.Run("Changes", func(t *testing.T) {
				contactstest.RunChanges(t, map[database.Engine]int{database.Postgres: 50_000, database.SQLite: 5_000}[engine], func(*testing.T) contactstest.ChangingStore { return store })
			})
			t.Run("Parking", func(t *testing.T) {
				contactstest.RunParking(t, func(*testing.T) contactstest.ParkingStore { return store })
			})
			t.Run("Keys", func(t *testing.T) {
				contactstest.RunKeys(t, func(*testing.T) contacts.KeyStore { return store })
			})
			t.Run("Housekeeping", func(t *testing.T) {
				own := open(t, engine)
				contactstest.RunHousekeeping(t, func(*testing.T) contactstest.HousekeepingStore { return own })
			})
			t.Run("Debts", func(t *testing.T) {
				contactstest.RunInvalidations(t, func(*testing.T) contactstest.InvalidatingStore { return store })
			})
		})
	}
}

// That an outage is declared is told even where the pending invalidations cannot be.
func TestStore_Owed_HalfTold(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		address := databasetest.Migrated(t, engine)
		db, err := database.Open(t.Context(), address)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, db.Close()) })
		owner, err := database.Open(t.Context(), databasetest.Owner(address))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, owner.Close()) })
		store := sqlstore.New(db)
		document := contacts.Document{Tenant: contacts.DefaultTenant, ID: contactstest.NewID(t), Version: 1}
		require.NoError(t, store.AddInvalidations(t.Context(), []contacts.Document{document}))
		require.NoError(t, owner.Write.Exec("ALTER TABLE pending_invalidations RENAME TO away").Error)
		outage, _, err := store.PendingInvalidations(t.Context(), 100)
		require.Error(t, err)
		require.True(t, outage, string(engine))
	}
}

// Queries that use every connection there is do not keep a handle of its own from being
// answered.
func TestStore_Owed_OnAConnectionOfItsOwn(t *testing.T) {
	address := databasetest.Migrated(t, database.Postgres)
	db, err := database.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	own, err := database.Open(t.Context(), address, database.MaxConnections(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, own.Close()) })
	pool, err := db.Read.DB()
	require.NoError(t, err)
	for range pool.Stats().MaxOpenConnections {
		conn, err := pool.Conn(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, conn.Close()) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, _, err = sqlstore.New(db).PendingInvalidations(ctx, 1)
	require.Error(t, err, "the others' are in use")
	_, _, err = sqlstore.New(own).PendingInvalidations(t.Context(), 1)
	require.NoError(t, err)
}
