package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// fill writes rows as [Store.Apply] would, of the tenant and of another one.
func fill(t *testing.T, db *database.DB, tenant contacts.Tenant, count int) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	began := time.Now().Add(-time.Hour)
	for done := 0; done < count; {
		var rows []contactRow
		var keys []keyRow
		for range 1000 {
			id, err := uuid.NewV7()
			require.NoError(t, err)
			at := began.Add(time.Duration(random.IntN(3600)) * time.Second)
			number := fmt.Sprintf("%09d", random.IntN(1e9))
			fields := contacts.Fields{
				DisplayName: fmt.Sprintf("Name%06d", random.IntN(1e6)), Labels: []string{fmt.Sprint("label", done%100)},
				Emails: []contacts.EmailAddress{{Address: number + "@example.com"}}, Phones: []contacts.PhoneNumber{{Number: number}},
			}
			owner := tenant
			if done%10 == 0 {
				owner = "other"
			}
			c := contacts.Contact{Tenant: owner, ID: id, Version: 1, CreatedAt: at, UpdatedAt: at, Fields: fields}
			rows = append(rows, newContactRow(c))
			keys = append(keys, newKeyRows(c)...)
			done++
		}
		require.NoError(t, db.Write.Transaction(func(tx *gorm.DB) error {
			if err := tx.Create(&rows).Error; err != nil {
				return err
			}
			return tx.Create(&keys).Error
		}))
	}
	if db.Engine == database.Postgres { // which does that by itself after a while; SQLite does not
		require.NoError(t, db.Write.Exec("ANALYZE").Error)
	}
}

// explain returns the plan of a query.
func explain(t *testing.T, s *Store, tenant contacts.Tenant, query contacts.Query) string {
	t.Helper()
	var rows []contactRow
	statement := s.selection(s.db.Read.Session(&gorm.Session{DryRun: true}), tenant, query).Find(&rows).Statement
	command := "EXPLAIN "
	if s.db.Engine == database.SQLite {
		command = "EXPLAIN QUERY PLAN "
	}
	lines, err := s.db.Read.Statement.ConnPool.QueryContext(t.Context(), command+statement.SQL.String(), statement.Vars...)
	require.NoError(t, err)
	defer func() { require.NoError(t, lines.Close()) }()
	columns, err := lines.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for lines.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(t, lines.Scan(values...))
		fmt.Fprintln(&plan, *values[len(values)-1].(*any)) // the text comes last in both engines
	}
	require.NoError(t, lines.Err())
	return plan.String()
}

// Every query finds its rows through an index, and none reads or sorts a whole table.
func TestStore_List_Plans(t *testing.T) {
	const tenant, count = contacts.Tenant("tenant"), 100_000
	after := func(p contacts.Position) *contacts.Position {
		p.ID = uuid.Must(uuid.NewV7())
		return &p
	}
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			db, err := database.Open(t.Context(), databasetest.Migrated(t, engine))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, db.Close()) })
			fill(t, db, tenant, count)
			store := New(db)
			created := map[database.Engine]string{database.SQLite: "sqlite_autoindex_contacts_1", database.Postgres: "contacts_pkey"}[engine]
			parts := map[database.Engine]string{database.SQLite: "contacts_search VIRTUAL TABLE INDEX", database.Postgres: "contacts_search_text"}[engine]
			keys := map[database.Engine]string{database.SQLite: "contact_keys USING PRIMARY KEY", database.Postgres: "contact_keys_pkey"}[engine]
			updated := after(contacts.Position{Updated: time.Now().Add(-30 * time.Minute)})
			for _, c := range []struct {
				name  string
				query contacts.Query
				index string
			}{
				{"first page", contacts.Query{Sort: contacts.SortCreated}, created},
				{"last page", contacts.Query{Sort: "-created_at"}, created},
				{"deep page", contacts.Query{Sort: contacts.SortCreated, After: after(contacts.Position{})}, created},
				{"by name", contacts.Query{Sort: contacts.SortName}, "contacts_by_name"},
				{"by name, deep", contacts.Query{Sort: "-name", After: after(contacts.Position{Name: "name500000"})}, "contacts_by_name"},
				{"by update", contacts.Query{Sort: contacts.SortUpdated}, "contacts_by_update"},
				{"by update, deep", contacts.Query{Sort: "-updated_at", After: updated}, "contacts_by_update"},
				{"updated lately", contacts.Query{Sort: contacts.SortUpdated, UpdatedSince: time.Now().Add(-10 * time.Second)}, "contacts_by_update"},
				{"a rare part", contacts.Query{Sort: contacts.SortCreated, Terms: []string{"name123456"}}, parts},
				{"a rare part by name", contacts.Query{Sort: contacts.SortName, Terms: []string{"3456789", "name"}}, parts},
				{"a short part", contacts.Query{Sort: contacts.SortName, Terms: []string{"na"}}, "contacts_by_name"},
				{"email", contacts.Query{Sort: contacts.SortCreated, Email: "123456789@example.com"}, keys},
				{"phone", contacts.Query{Sort: contacts.SortName, Phones: []string{"123456789", "51123456789"}}, keys},
				{"label", contacts.Query{Sort: contacts.SortName, Label: "label7"}, keys},
			} {
				c.query.Limit = 51
				plan := explain(t, store, tenant, c.query)
				require.Contains(t, plan, c.index, "%s:\n%s", c.name, plan)
				require.NotContains(t, plan, "Seq Scan", "%s:\n%s", c.name, plan)
				for line := range strings.Lines(plan) {
					if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "INDEX") {
						require.Fail(t, "a whole table is read", "%s:\n%s", c.name, plan)
					}
				}
				began := time.Now()
				_, err := store.List(t.Context(), tenant, c.query)
				require.NoError(t, err)
				t.Logf("%-20s %s", c.name, time.Since(began).Round(time.Microsecond))
			}
		})
	}
}
