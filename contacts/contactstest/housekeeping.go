package contactstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// HousekeepingStore is a store that can be looked after.
type HousekeepingStore interface {
	Store
	contacts.Housekeeping
}

// RunHousekeeping is the contract of [contacts.Housekeeping]. It purges the whole store, so
// that open has to return a new one. What an older version has indexed is the store's own to
// test.
func RunHousekeeping(t *testing.T, open func(t *testing.T) HousekeepingStore) {
	store := open(t)
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	purge := func(now time.Time, limit int) (removed int64) {
		t.Helper()
		for kind, kept := range contacts.Pasts() {
			due, all, err := store.Overdue(t.Context(), kind, now.Add(-kept))
			require.NoError(t, err)
			require.LessOrEqual(t, due, max(all, 0))
			done, err := store.Purge(t.Context(), kind, now.Add(-kept), limit)
			require.NoError(t, err)
			require.Equal(t, min(due, int64(limit)), done)
			removed += done
		}
		return removed
	}
	began := time.Now()
	kept, gone := l.create(Jane(t)), l.create(Jane(t))
	deletion := NewCommand(t, contacts.Delete, l.tenant, gone.Contact)
	l.apply(deletion)
	refused := l.apply(MergeCommand(t, l.tenant, gone.Contact, `{"nickname":"J"}`)).Operation
	require.Equal(t, contacts.Failed, refused.Status)
	erased := l.create(Jane(t))
	l.apply(NewCommand(t, contacts.Erase, l.tenant, erased.Contact))

	require.Zero(t, purge(began, 10))
	require.Zero(t, purge(began.Add(contacts.OperationsKept-time.Second), 10))
	l.operation(deletion.Operation)

	later := began.Add(contacts.OperationsKept + time.Hour)
	require.EqualValues(t, 3, purge(later, 3), "no more than asked for")
	require.EqualValues(t, 3, purge(later, 3))
	require.Zero(t, purge(later, 3))
	_, found, err := store.Operation(t.Context(), l.tenant, deletion.Operation)
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, contacts.Live, l.document(kept.Contact).State)
	require.Equal(t, contacts.Gone, l.document(gone.Contact).State, "the tombstone is kept longer")

	later = began.Add(contacts.TombstonesKept + time.Hour)
	require.EqualValues(t, 7, purge(later, 10), "four changes, two tombstones and the mark of an erasure")
	require.Zero(t, purge(later, 10))
	require.Equal(t, contacts.Absent, l.document(gone.Contact).State)
	require.Equal(t, contacts.Live, l.document(kept.Contact).State, "a contact that lives stays, however old it is")
	merged := l.apply(MergeCommand(t, l.tenant, kept.Contact, `{"nickname":"J"}`))
	require.EqualValues(t, 2, merged.Operation.Version, "and goes on from its version")
	reindexed, err := store.Reindex(t.Context(), 10)
	require.NoError(t, err)
	require.Zero(t, reindexed, "all is indexed by this version")
}
