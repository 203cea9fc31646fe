package sqlstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// What is kept of a contact's past is found without reading a whole table.
func TestStore_Erase_Plans(t *testing.T) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			address := databasetest.Migrated(t, engine)
			store := openStoreAt(t, address)
			var erased []key
			for range 50 {
				erased = append(erased, key{contacts.DefaultTenant, contactstest.NewID(t)})
			}
			if engine == database.Postgres { // SQLite plans alike for any number of rows
				execute(t, databasetest.Superuser(t, address),
					`INSERT INTO operations (tenant_id, id, kind, contact_id, status, version, problem, fingerprint, accepted_at, ended_at, document)
						SELECT 'default', gen_random_uuid(), 'merge', gen_random_uuid(),
						CASE WHEN i % 10 = 0 THEN 'failed' ELSE 'succeeded' END, 1, NULL, md5(i::text), now(), now(), CASE WHEN i % 10 = 1 THEN to_json('x'::text) END FROM generate_series(1, 100000) AS i`,
					`INSERT INTO contact_changes (tenant_id, contact_id, version, operation_id, changed_at, document)
						SELECT 'default', gen_random_uuid(), 1, gen_random_uuid(), now(), to_json(repeat('x', 100)) FROM generate_series(1, 100000)`,
					"ANALYZE")
			}
			places := map[database.Engine]string{database.SQLite: sqliteForgetData, database.Postgres: postgresForgetData}[engine]
			require.NoError(t, store.write(t.Context(), of(contacts.DefaultTenant), func(tx *gorm.DB) error {
				dry := tx.Session(&gorm.Session{DryRun: true})
				theirs := among(dry, "tenant_id, contact_id", erased)
				for _, statement := range []*gorm.Statement{
					dry.Exec(operationsOn, theirs, theirs).Statement,
					dry.Table("operations").Where(among(dry, "tenant_id, id", erased)).Update("fingerprint", "").Statement,
					dry.Exec(places, theirs).Statement,
					dry.Exec("DELETE FROM contact_changes WHERE ? AND document IS NOT NULL", theirs).Statement,
				} {
					plan := planOf(t, tx.Statement.ConnPool, engine, statement.SQL.String(), statement.Vars)
					require.NotContains(t, plan, "Seq Scan", plan)
					for line := range strings.Lines(plan) {
						if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "VIRTUAL TABLE INDEX") {
							require.Fail(t, "a whole table is read", plan)
						}
					}
				}
				return nil
			}))
		})
	}
}

// erase erases contacts.
func erase(t *testing.T, store *Store, ids ...uuid.UUID) {
	t.Helper()
	commands := make([]contacts.Command, len(ids))
	for i, id := range ids {
		commands[i] = contactstest.NewCommand(t, contacts.Erase, contacts.DefaultTenant, id)
	}
	_, err := store.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
}

// SQLite leaves in its file what is deleted, where rows were moved, or pages freed, and in its
// log. Nothing of an erased contact stays in either.
func TestStore_Erase_SQLiteFile(t *testing.T) {
	address := databasetest.Migrated(t, database.SQLite)
	db, err := database.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	store := New(db)
	const canary = "qzxjcanary"
	file := strings.TrimPrefix(address, "sqlite://")
	hits := func() (count int) {
		t.Helper()
		for _, name := range []string{file, file + "-wal", file + "-shm"} {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			count += bytes.Count(content, []byte(canary))
		}
		return count
	}
	apply := func(command contacts.Command) {
		t.Helper()
		_, err := store.Apply(t.Context(), []contacts.Command{command}, time.Now(), nil)
		require.NoError(t, err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	repeat := func(text string, upTo int) string { return strings.Repeat(text, 1+random.IntN(upTo)) }
	var canaries, others []uuid.UUID
	for i := range 300 {
		fields := contactstest.Full(t)
		of, notes := &others, repeat("other ", 300)
		if i%10 == 3 {
			of, notes = &canaries, repeat(canary+" ", 100)
			fields.LastName = canary
		}
		fields.Notes = notes
		create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Normalize(t, fields))
		apply(create)
		*of = append(*of, create.Contact)
		for range 2 { // rows and documents of all lengths, that make pages split
			patch := fmt.Sprintf(`{"notes":%q}`, repeat("more ", 400))
			apply(contactstest.MergeCommand(t, contacts.DefaultTenant, others[random.IntN(len(others))], patch))
			if len(canaries) > 0 && random.IntN(3) == 0 {
				patch := fmt.Sprintf(`{"notes":%q}`, repeat(canary+"-", 200))
				apply(contactstest.MergeCommand(t, contacts.DefaultTenant, canaries[random.IntN(len(canaries))], patch))
			}
		}
	}
	require.Greater(t, hits(), 1000)
	erase(t, store, canaries...)
	require.Zero(t, hits())
	for _, id := range others {
		document, err := store.Document(t.Context(), contacts.DefaultTenant, id)
		require.NoError(t, err)
		require.Equal(t, contacts.Live, document.State)
	}
}

// SQLite's search index keeps parts of texts that it has only noted as removed, until it is
// merged.
func TestStore_Scrub(t *testing.T) {
	store := openStore(t, database.SQLite)
	const trigram = "𐌰𐌱𐌲" // in no case, and in no other contact
	hits := func() (blocks int) {
		t.Helper()
		require.NoError(t, store.db.Read.Raw("SELECT count(*) FROM contacts_search_data WHERE instr(block, ?)", []byte(trigram)).Scan(&blocks).Error)
		return blocks
	}
	found := func(text string) int {
		t.Helper()
		listing, err := store.List(t.Context(), contacts.DefaultTenant, contacts.Query{Terms: [][]string{{text}}, Sort: contacts.SortCreated, Limit: 10})
		require.NoError(t, err)
		return len(listing.Items)
	}
	var create contacts.Command
	for _, name := range []string{"Jane", trigram} {
		create = contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Normalize(t, contacts.Fields{FirstName: name}))
		_, err := store.Apply(t.Context(), []contacts.Command{create}, time.Now(), nil)
		require.NoError(t, err)
	}
	require.Equal(t, 1, hits())
	rename := contactstest.MergeCommand(t, contacts.DefaultTenant, create.Contact, `{"first_name":"Janet"}`)
	_, err := store.Apply(t.Context(), []contacts.Command{rename}, time.Now(), nil)
	require.NoError(t, err)
	erase(t, store, create.Contact)
	require.Positive(t, hits(), "what was found by an earlier version of the contact, and that it is not any more")

	done, err := store.Scrub(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, done)
	require.Zero(t, hits())
	require.Equal(t, 1, found("jane"), "the rest is still found")
	done, err = store.Scrub(t.Context())
	require.NoError(t, err)
	require.Zero(t, done)
	done, err = openStore(t, database.Postgres).Scrub(t.Context())
	require.NoError(t, err)
	require.Zero(t, done)
}
