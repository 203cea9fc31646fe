package contactstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// ParkingStore is a store that can set commands aside.
type ParkingStore interface {
	Store
	contacts.Parking
}

// RunParking is the contract of [contacts.Parking]. The parked commands are those of the whole
// store, so that open has to return a new one.
func RunParking(t *testing.T, open func(t *testing.T) ParkingStore) {
	store := open(t)
	t.Run("Erased", func(t *testing.T) { testErasedParking(t, store) })
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	now := time.Now().UTC().Truncate(time.Microsecond)
	park := func(command contacts.Command, at time.Time) (contacts.ParkedCommand, contacts.Operation) {
		t.Helper()
		parked := contacts.ParkedCommand{
			ID: command.Operation, Tenant: l.tenant, Group: "group", Body: []byte(`{"a":"ü"}`), Reason: "bad", Attempts: 5, ParkedAt: at,
		}
		ended := command.End(contacts.Contact{}, &contacts.Error{Kind: contacts.KindParked, Detail: "set aside"}, at)
		var stands *contacts.Operation
		for range 2 { // twice: the first time, and after a crash before the message was deleted
			var err error
			stands, err = store.Park(t.Context(), parked, &ended)
			require.NoError(t, err)
			require.Equal(t, l.operation(command.Operation), *stands)
			// the second time comes later, and the first end stays
			ended.EndedAt = ended.EndedAt.Add(time.Minute)
		}
		return parked, *stands
	}
	first := CreateCommand(t, l.tenant, Jane(t))
	set, end := park(first, now)
	parked := []contacts.ParkedCommand{set}
	require.Equal(t, contacts.KindParked, end.Problem.Kind)
	require.Equal(t, now, end.EndedAt)
	require.Equal(t, contacts.Absent, l.apply(first).Current.State, "its operation has ended")

	done := l.create(Jane(t))
	_, end = park(done, now.Add(time.Second))
	require.Equal(t, contacts.Succeeded, end.Status, "an end that was there stays")
	require.NotEmpty(t, end.Document)
	_, err := store.ParkedCommand(t.Context(), done.Operation)
	requireKind(t, contacts.KindNotFound, err) // a command that has succeeded needs no attention

	refused := NewCommand(t, contacts.Delete, l.tenant, NewID(t))
	l.apply(refused)
	set, end = park(refused, now.Add(time.Second))
	parked = append([]contacts.ParkedCommand{set}, parked...)
	require.Equal(t, contacts.KindNotFound, end.Problem.Kind, "a bad one too")
	unreadable := contacts.ParkedCommand{ID: NewID(t), Group: "g", Body: []byte("x"), Reason: "no event", Attempts: 5, ParkedAt: now.Add(2 * time.Second)}
	for range 2 {
		stands, err := store.Park(t.Context(), unreadable, nil)
		require.NoError(t, err)
		require.Nil(t, stands, "it has no operation")
	}
	parked = append([]contacts.ParkedCommand{unreadable}, parked...)

	got, err := store.Parked(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, parked, got)
	got, err = store.Parked(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, parked[:2], got)
	one, err := store.ParkedCommand(t.Context(), first.Operation)
	require.NoError(t, err)
	require.Equal(t, parked[2], one)

	for i := range 2 {
		for _, p := range parked {
			ended, err := store.Reopen(t.Context(), p.ID)
			require.NoError(t, err)
			if p.ID != first.Operation || i > 0 {
				require.Nil(t, ended)
				continue
			}
			require.Equal(t, contacts.KindParked, ended.Problem.Kind)
			_, err = store.Park(t.Context(), p, ended)
			require.NoError(t, err, "what was taken back can be given again")
			require.Equal(t, *ended, l.operation(p.ID))
			_, err = store.Reopen(t.Context(), p.ID)
			require.NoError(t, err)
		}
	}
	require.Equal(t, contacts.KindNotFound, l.operation(refused.Operation).Problem.Kind)
	require.Equal(t, contacts.Succeeded, l.apply(first).Operation.Status, "reopened, it can be applied after all")
	for _, p := range parked {
		require.NoError(t, store.Discard(t.Context(), p.ID))
		requireKind(t, contacts.KindNotFound, store.Discard(t.Context(), p.ID))
		_, err := store.ParkedCommand(t.Context(), p.ID)
		requireKind(t, contacts.KindNotFound, err)
		_, err = store.Reopen(t.Context(), p.ID)
		requireKind(t, contacts.KindNotFound, err)
	}
	require.Equal(t, contacts.Succeeded, l.operation(first.Operation).Status)
}
