package sqlstore

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
)

// The locks keep a batch from meeting contacts that others change meanwhile. Should they ever
// not, the versions do: a batch that was read before another one was committed is undone as a
// whole.
func TestBatch_SaveRefusesWhatWasChangedMeanwhile(t *testing.T) {
	eachStore(t, func(t *testing.T, store *Store) {
		changed := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
		same := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
		_, err := store.Apply(t.Context(), []contacts.Command{changed, same}, time.Now(), nil)
		require.NoError(t, err)

		stale := []contacts.Command{
			contactstest.MergeCommand(t, changed.Tenant, changed.Contact, `{"nickname":"stale"}`),
			contactstest.MergeCommand(t, same.Tenant, same.Contact, `{"nickname":"stale"}`),
		}
		var met contacts.Snapshot
		require.NoError(t, store.write(t.Context(), of(changed.Tenant), func(tx *gorm.DB) (err error) {
			met, err = store.load(tx, stale)
			return err
		})) // and with it end the locks
		late, err := contacts.Plan(stale, met, time.Now())
		require.NoError(t, err)

		meanwhile := contactstest.MergeCommand(t, changed.Tenant, changed.Contact, `{"nickname":"meanwhile"}`)
		_, err = store.Apply(t.Context(), []contacts.Command{meanwhile}, time.Now(), nil)
		require.NoError(t, err)

		err = store.write(t.Context(), of(changed.Tenant), func(tx *gorm.DB) error { return store.save(tx, late) })
		require.ErrorIs(t, applyError(err), contacts.ErrTransient)
		for version, command := range map[int64]contacts.Command{2: changed, 1: same} {
			document, err := store.Document(t.Context(), command.Tenant, command.Contact)
			require.NoError(t, err)
			require.Equal(t, version, document.Version)
			require.NotContains(t, string(document.JSON), "stale")
		}
		for _, command := range stale {
			_, found, err := store.Operation(t.Context(), command.Tenant, command.Operation)
			require.NoError(t, err)
			require.False(t, found, "it can be tried again")
		}
		outcomes, err := store.Apply(t.Context(), stale, time.Now(), nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, outcomes[0].Operation.Version)
		require.EqualValues(t, 2, outcomes[1].Operation.Version)
	})
}

// A contact that another transaction holds is waited for, but not for long: the rest of the
// batch waits as well.
func TestStore_Apply_Locked(t *testing.T) {
	store := openStore(t, database.Postgres)
	commands := []contacts.Command{contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))}
	holder := store.db.Write.Begin()
	var batch database.Batch
	store.lock(holder, &batch, groups([]key{{commands[0].Tenant, commands[0].Contact}}))
	require.NoError(t, batch.Send(holder))
	_, err := store.Apply(t.Context(), commands, time.Now(), nil)
	require.ErrorIs(t, err, contacts.ErrTransient)
	require.NoError(t, holder.Rollback().Error)
	_, err = store.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
}
