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

// RunParking is the contract of [contacts.Parking]. The parked commands are those of the whole store, so that open has to
// return a new one.
func RunParking(t *testing.T, open func(t *testing.T) ParkingStore) {
	store := open(t)
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	now := time.Now().UTC().Truncate(time.Microsecond)
	park := func(command contacts.Command, at time.Time) contacts.ParkedCommand {
		parked := contacts.ParkedCommand{
			ID: command.Operation, Tenant: l.tenant, Group: "group", Body: []byte(`{"a":"ü"}`), Reason: "bad", Attempts: 5, ParkedAt: at,
		}
		ended := command.End(contacts.Contact{}, &contacts.Error{Kind: contacts.KindParked, Detail: "set aside"}, at)
		for range 2 { // twice: the first time, and after a crash before the message was deleted
			require.NoError(t, store.Park(t.Context(), parked, &ended))
		}
		return parked
	}
	first := CreateCommand(t, l.tenant, Jane(t))
	parked := []contacts.ParkedCommand{park(first, now)}
	require.Equal(t, contacts.KindParked, l.operation(first.Operation).Problem.Kind)
	require.Equal(t, contacts.Absent, l.apply(first).Current.State, "its operation has ended")

	done := l.create(Jane(t))
	parked = append([]contacts.ParkedCommand{park(done, now.Add(time.Second))}, parked...)
	require.Equal(t, contacts.Succeeded, l.operation(done.Operation).Status, "an end that was there stays")
	unreadable := contacts.ParkedCommand{ID: NewID(t), Group: "g", Body: []byte("x"), Reason: "no event", Attempts: 5, ParkedAt: now.Add(2 * time.Second)}
	require.NoError(t, store.Park(t.Context(), unreadable, nil))
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
			require.NoError(t, store.Park(t.Context(), p, ended), "what was taken back can be given again")
			require.Equal(t, *ended, l.operation(p.ID))
			_, err = store.Reopen(t.Context(), p.ID)
			require.NoError(t, err)
		}
	}
	require.Equal(t, contacts.Succeeded, l.operation(done.Operation).Status)
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
