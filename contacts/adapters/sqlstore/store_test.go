package sqlstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts/adapters/sqlstore"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

func TestStore_Contract(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			db, err := database.Open(t.Context(), databasetest.Migrated(t, engine))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			store := sqlstore.New(db)
			contactstest.RunStore(t, func(*testing.T) contactstest.Store { return store })
			t.Run("Changes", func(t *testing.T) {
				contactstest.RunChanges(t, map[database.Engine]int{database.Postgres: 50_000, database.SQLite: 5_000}[engine], func(*testing.T) contactstest.ChangingStore { return store })
			})
			t.Run("Parking", func(t *testing.T) {
				contactstest.RunParking(t, func(*testing.T) contactstest.ParkingStore { return store })
			})
			t.Run("Housekeeping", func(t *testing.T) {
				own, err := database.Open(t.Context(), databasetest.Migrated(t, engine))
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, own.Close()) })
				contactstest.RunHousekeeping(t, func(*testing.T) contactstest.HousekeepingStore { return sqlstore.New(own) })
			})
			t.Run("Debts", func(t *testing.T) {
				contactstest.RunDebts(t, func(*testing.T) contactstest.IndebtedStore { return store })
			})
		})
	}
}
