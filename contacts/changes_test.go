package contacts_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func TestService_Changes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, service := newDesk()
		begin, err := service.Changes(t.Context(), jane, contacts.FromNow, 10, time.Hour)
		require.NoError(t, err)
		require.Empty(t, begin.Items, "now is not waited for")
		made, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
		require.NoError(t, err)
		for _, patch := range []string{`{"nickname":"J"}`, `{"nickname":"JJ"}`} {
			_, err = service.Merge(t.Context(), jane, made.Contact, contacts.Patch(patch), wait)
			require.NoError(t, err)
		}
		for _, cursor := range []string{begin.Next, contacts.FromTheBeginning} {
			page, err := service.Changes(t.Context(), jane, cursor, 2, 0)
			require.NoError(t, err)
			require.Len(t, page.Items, 2)
			require.Equal(t, page.Items[1].Cursor, page.Next)
			rest, err := service.Changes(t.Context(), jane, page.Items[0].Cursor, 10, 0)
			require.NoError(t, err)
			require.Len(t, rest.Items, 2)
			require.EqualValues(t, 3, rest.Items[1].Version)
			begin.Next = rest.Next
		}
		others, err := service.Changes(t.Context(), contacts.Caller{Tenant: "other"}, contacts.FromTheBeginning, 10, 0)
		require.NoError(t, err)
		require.Empty(t, others.Items)

		// Waiting ends with a change, with the time, with the process, or with the caller.
		began := time.Now()
		go func() {
			time.Sleep(3 * time.Second)
			_, err := service.Delete(t.Context(), jane, made.Contact, wait)
			assert.NoError(t, err)
		}()
		page, err := service.Changes(t.Context(), jane, begin.Next, 10, 10*time.Second)
		require.NoError(t, err)
		require.Len(t, page.Items, 1)
		require.Nil(t, page.Items[0].Document)
		require.InDelta(t, 3, time.Since(began).Seconds(), 0.5)
		began = time.Now()
		page, err = service.Changes(t.Context(), jane, page.Next, 10, time.Hour)
		require.NoError(t, err)
		require.Empty(t, page.Items)
		require.Equal(t, contacts.MaxChangesWait, time.Since(began))
		gone, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = service.Changes(gone, jane, page.Next, 10, time.Hour)
		require.ErrorIs(t, err, context.Canceled)
		time.AfterFunc(time.Second, service.StopWaiting)
		page, err = service.Changes(t.Context(), jane, page.Next, 10, time.Hour)
		require.NoError(t, err)
		require.Empty(t, page.Items)
		<-service.Stopping()
	})
}

func TestService_Changes_BadCursors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, service := newDesk()
		page, err := service.Changes(t.Context(), jane, contacts.FromTheBeginning, 10, 0)
		require.NoError(t, err)
		for _, cursor := range []string{"x", "AAAA", "bm93", page.Next[1:], page.Next + "A"} {
			_, err := service.Changes(t.Context(), jane, cursor, 10, 0)
			require.Equal(t, []string{"cursor"}, violations(t, err), cursor)
		}
		for _, limit := range []int{0, contacts.MaxPage + 1} {
			_, err := service.Changes(t.Context(), jane, "", limit, 0)
			require.Equal(t, []string{"limit"}, violations(t, err))
		}
		time.Sleep(contacts.ChangesKept - 2*time.Hour)
		again, err := service.Changes(t.Context(), jane, page.Next, 10, 0)
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		_, err = service.Changes(t.Context(), jane, page.Next, 10, 0)
		require.True(t, contacts.IsKind(err, contacts.KindExpired), "%v", err)
		require.ErrorContains(t, err, "cursor=now")
		_, err = service.Changes(t.Context(), jane, again.Next, 10, 0)
		require.NoError(t, err, "whoever has looked lately has missed nothing, even if nothing had changed")
	})
}

// A cursor within a backlog is as old as what comes after it, however lately it was given.
func TestService_Changes_CursorWithinABacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, service := newDesk()
		for range 3 {
			_, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
			require.NoError(t, err)
		}
		time.Sleep(80 * 24 * time.Hour)
		page, err := service.Changes(t.Context(), jane, contacts.FromTheBeginning, 2, 0)
		require.NoError(t, err)
		caughtUp, err := service.Changes(t.Context(), jane, page.Next, 10, 0)
		require.NoError(t, err)
		time.Sleep(10 * 24 * time.Hour)
		_, err = service.Changes(t.Context(), jane, page.Next, 10, 0)
		require.True(t, contacts.IsKind(err, contacts.KindExpired), "the third change may be gone: %v", err)
		_, err = service.Changes(t.Context(), jane, caughtUp.Items[0].Cursor, 10, 0)
		require.NoError(t, err, "nothing has changed since")

		// A caller that reads from the beginning goes on, although what it has read is about
		// to be purged.
		first, err := service.Changes(t.Context(), jane, contacts.FromTheBeginning, 1, 0)
		require.NoError(t, err)
		rest, err := service.Changes(t.Context(), jane, first.Next, 10, 0)
		require.NoError(t, err)
		require.Len(t, rest.Items, 2)
	})
}
