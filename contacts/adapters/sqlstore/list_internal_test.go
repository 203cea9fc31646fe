package sqlstore

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// Lists are complete also where no filter leads to few contacts, and the contacts of a page
// are looked for in parts.
func TestStore_List_InParts(t *testing.T) {
	eachStore(t, func(t *testing.T, store *Store) {
		store.samples = 0
		contactstest.RunLists(t, store) // all parts of texts are found by their index
		store.leads, store.looks, store.samples = 0, 3, maxSampled
		contactstest.RunLists(t, store)

		tenant := contactstest.NewTenant()
		var last uuid.UUID
		for _, name := range []string{"Ann", "Bob", "Cid", "Dee", "Eve", "Fay", "Zed"} {
			create := contactstest.CreateCommand(t, tenant, contactstest.Normalize(t, contacts.Fields{FirstName: name}))
			_, err := store.Apply(t.Context(), []contacts.Command{create}, time.Now(), nil)
			require.NoError(t, err)
			last = create.Contact
		}
		query := contacts.Query{Terms: [][]string{{"ze"}}, Sort: contacts.SortCreated, Limit: 10}
		for part, want := range []int{0, 0, 1} {
			listing, err := store.List(t.Context(), tenant, query)
			require.NoError(t, err)
			require.Len(t, listing.Items, want)
			require.Equal(t, part == 2, listing.Rest == nil, "three are looked at each time")
			query.After = listing.Rest
			if want > 0 {
				require.Equal(t, last, listing.Items[0].ID)
			}
		}
	})
}

// What an older version has indexed, or none, is found again after a write of the contact, or
// once it is indexed anew.
func TestStore_Reindex(t *testing.T) {
	eachStore(t, func(t *testing.T, store *Store) {
		tenant := contactstest.NewTenant()
		var creates []contacts.Command
		for range 4 {
			creates = append(creates, contactstest.CreateCommand(t, tenant, contactstest.Jane(t)))
		}
		_, err := store.Apply(t.Context(), creates, time.Now(), nil)
		require.NoError(t, err)
		deletion := contactstest.NewCommand(t, contacts.Delete, tenant, creates[3].Contact)
		_, err = store.Apply(t.Context(), []contacts.Command{deletion}, time.Now(), nil)
		require.NoError(t, err)
		found := func() map[string]int {
			counts := map[string]int{}
			for name, query := range map[string]contacts.Query{
				"text":  {Terms: [][]string{{"jane"}}},
				"email": {Values: []contacts.Values{{Keys: []string{"email:jane@example.com"}}}},
				"all":   {},
			} {
				query.Sort, query.Limit = contacts.SortName, 10
				listing, err := store.List(t.Context(), tenant, query)
				require.NoError(t, err)
				counts[name] = len(listing.Items)
			}
			return counts
		}
		require.Equal(t, map[string]int{"text": 3, "email": 3, "all": 3}, found())
		// As the migration leaves rows that were there before it.
		require.NoError(t, store.write(t.Context(), of(tenant), func(tx *gorm.DB) error {
			return errors.Join(tx.Exec("UPDATE contacts SET search_text = '', name_key = '', keys = '', needs_reindexing = deleted_at IS NULL").Error,
				tx.Exec("DELETE FROM contact_keys").Error)
		}))
		require.Equal(t, map[string]int{"text": 0, "email": 0, "all": 3}, found())

		merge := contactstest.MergeCommand(t, tenant, creates[0].Contact, `{"notes":"of something else"}`)
		_, err = store.Apply(t.Context(), []contacts.Command{merge}, time.Now(), nil)
		require.NoError(t, err)
		require.Equal(t, map[string]int{"text": 1, "email": 1, "all": 3}, found(), "a write heals its contact")

		before, err := store.Document(t.Context(), tenant, creates[1].Contact)
		require.NoError(t, err)
		for _, want := range []int64{2, 0} {
			done, err := store.Reindex(t.Context(), 10)
			require.NoError(t, err)
			require.Equal(t, want, done)
		}
		require.Equal(t, map[string]int{"text": 3, "email": 3, "all": 3}, found())
		after, err := store.Document(t.Context(), tenant, creates[1].Contact)
		require.NoError(t, err)
		require.Equal(t, before, after)
	})
}
