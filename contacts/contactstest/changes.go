package contactstest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// ChangingStore is a store whose changes can be followed.
type ChangingStore interface {
	Store
	contacts.ChangeLog
}

// RunChanges is the contract of [contacts.ChangeLog], with so many changes, a multiple of 500.
// open may return the same store each time.
func RunChanges(t *testing.T, changes int, open func(t *testing.T) ChangingStore) {
	t.Run("Kinds", func(t *testing.T) { testChangeKinds(t, open(t)) })
	t.Run("Bytes", func(t *testing.T) { testChangeBytes(t, open(t)) })
	t.Run("Erased", func(t *testing.T) { testErasedChanges(t, open(t)) })
	t.Run("ManyWriters", func(t *testing.T) { testChangesOfManyWriters(t, changes, open(t)) })
}

func testChangeKinds(t *testing.T, store ChangingStore) {
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	latest, err := store.LatestChange(t.Context())
	require.NoError(t, err)
	create := l.create(Jane(t))
	merge := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`)
	merged := l.apply(merge)
	deletion := NewCommand(t, contacts.Delete, l.tenant, create.Contact)
	deleted := l.apply(deletion)
	l.apply(merge) // again
	// which changes nothing
	l.apply(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"refused"}`))
	var all []contacts.Change
	require.Eventually(t, func() bool { // behind what else runs on the server
		all, err = store.Changes(t.Context(), l.tenant, latest, 10)
		require.NoError(t, err)
		return len(all) == 3
	}, 30*time.Second, 10*time.Millisecond)
	for i, want := range []contacts.Command{create, merge, deletion} {
		require.Equal(t, create.Contact, all[i].Contact)
		require.EqualValues(t, i+1, all[i].Version)
		require.Equal(t, want.Operation, all[i].Operation)
	}
	require.Equal(t, merged.Current.JSON, all[1].Document)
	require.Equal(t, deleted.Operation.EndedAt, all[2].ChangedAt)
	require.Nil(t, all[2].Document)

	page, err := store.Changes(t.Context(), l.tenant, contacts.ChangePosition{}, 2)
	require.NoError(t, err)
	require.Equal(t, all[:2], page)
	rest, err := store.Changes(t.Context(), l.tenant, page[1].At, 2)
	require.NoError(t, err)
	require.Equal(t, all[2:], rest)
	none, err := store.Changes(t.Context(), l.tenant, rest[0].At, 2)
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = store.Changes(t.Context(), l.tenant, contacts.ChangePosition{Commit: 1 << 62, Sequence: 1 << 62}, 2)
	require.True(t, contacts.IsKind(err, contacts.KindExpired), "the place is of another database: %v", err)
	_, err = store.Changes(t.Context(), "", contacts.ChangePosition{}, 2)
	require.ErrorContains(t, err, "tenant")
	strange, err := store.Changes(t.Context(), NewTenant(), contacts.ChangePosition{}, 2)
	require.NoError(t, err)
	require.Empty(t, strange)
}

// A page ends where its documents have so many bytes, and the next one goes on there.
func testChangeBytes(t *testing.T, store ChangingStore) {
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	var want []uuid.UUID
	for i := range 70 {
		fields := Jane(t)
		if i >= 60 {
			fields = large(t)
		}
		want = append(want, l.create(fields).Contact)
	}
	l.apply(NewCommand(t, contacts.Delete, l.tenant, want[0])) // which has no document
	want = append(want, want[0])
	for _, limit := range []int{1, 2, 50, 70, 71, contacts.MaxPage} {
		var got []uuid.UUID
		var at contacts.ChangePosition
		require.Eventually(t, func() bool { // behind what else runs on the server
			page, err := store.Changes(t.Context(), l.tenant, at, limit)
			require.NoError(t, err)
			bytes := 0
			for _, change := range page {
				require.Less(t, bytes, contacts.MaxPageBytes, "it would have been enough before")
				bytes += len(change.Document)
				got, at = append(got, change.Contact), change.At
			}
			return len(got) == len(want)
		}, 30*time.Second, time.Millisecond)
		require.Equal(t, want, got)
	}
}

// testChangesOfManyWriters has one reader follow many writers, whose transactions are of
// different lengths, overlap, and meet in the same contacts. It must see every change once,
// and those of each contact in the order of its versions.
func testChangesOfManyWriters(t *testing.T, changes int, store ChangingStore) {
	const writers, batch, shared = 10, 50, 20
	rounds := changes / writers / batch
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	var common []uuid.UUID
	for range shared {
		common = append(common, l.create(Jane(t)).Contact)
	}
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for round := range rounds {
				var commands []contacts.Command
				for i := range batch {
					if i < 5 {
						commands = append(commands, MergeCommand(t, l.tenant, common[(w*7+round*3+i)%shared], fmt.Sprintf(`{"nickname":"N%d-%d"}`, w, round)))
					} else {
						commands = append(commands, CreateCommand(t, l.tenant, Jane(t)))
					}
				}
				slow := func(context.Context, []contacts.Document, []contacts.OperationKey) error {
					if round%10 == w { // with all written, the transaction goes on for a while
						<-time.After(5 * time.Millisecond)
					}
					return nil
				}
				for err := contacts.ErrTransient; errors.Is(err, contacts.ErrTransient); {
					if _, err = l.Apply(t.Context(), commands, time.Now(), slow); err != nil && !errors.Is(err, contacts.ErrTransient) {
						t.Error(err)
					}
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	versions := map[uuid.UUID]int64{}
	seen := map[uuid.UUID]bool{}
	var at contacts.ChangePosition
	var ended time.Time // when the writing was seen to have
	for {
		page, err := store.Changes(t.Context(), l.tenant, at, 100)
		require.NoError(t, err)
		for _, change := range page {
			require.False(t, seen[change.Operation], "a change is seen twice")
			seen[change.Operation] = true
			require.Equal(t, versions[change.Contact]+1, change.Version, "the versions of a contact come in their order, and none is missed")
			versions[change.Contact] = change.Version
			at = change.At
		}
		if len(seen) == writers*rounds*batch+shared {
			break
		}
		if len(page) == 0 {
			select {
			case <-done:
				if ended.IsZero() {
					ended = time.Now()
				}
				// What else runs on the server has to end, too.
				require.Less(t, time.Since(ended), patience, "%d changes are missed", writers*rounds*batch+shared-len(seen))
			case <-time.After(time.Millisecond):
			}
		}
	}
	<-done
}
