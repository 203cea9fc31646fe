package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func newDesk() (*contactstest.Desk, *contacts.Service) {
	d := contactstest.NewDesk()
	return d, contacts.NewService(d.Options())
}

var (
	jane = contacts.Caller{Tenant: contacts.DefaultTenant, Subject: "jane"}
	wait = contacts.Write{Wait: 2 * time.Second}
)

func TestService_WaitsForTheEnd(t *testing.T) {
	d, service := newDesk()
	operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
	require.NoError(t, err)
	require.Equal(t, contacts.Succeeded, operation.Status)
	require.EqualValues(t, 1, operation.Version)
	require.Equal(t, "here", d.Sent()[0].ReplyTo)
	_, noted, err := d.Pending(t.Context(), jane.Tenant, operation.ID)
	require.NoError(t, err)
	require.False(t, noted, "an operation that was answered needs no note")

	document, err := service.Get(t.Context(), jane, operation.Contact)
	require.NoError(t, err)
	require.Equal(t, string(operation.Document), string(document.JSON))
	_, err = service.Merge(t.Context(), jane, operation.Contact, contacts.Patch(`{"nickname":"J"}`), contacts.Write{Wait: wait.Wait, IfMatch: []int64{9}})
	require.True(t, contacts.IsKind(err, contacts.KindStaleVersion), "%v", err)
	_, err = service.Delete(t.Context(), jane, operation.Contact, wait)
	require.NoError(t, err)
	_, err = service.Get(t.Context(), jane, operation.Contact)
	require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
}

func TestService_NotEndedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newDesk()
		d.OnSend = func(contacts.Command) error { return nil }
		started := time.Now()
		operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
		require.NoError(t, err)
		require.Equal(t, wait.Wait, time.Since(started))
		require.Equal(t, contacts.Pending, operation.Status)
		noted, err := service.Operation(t.Context(), jane, operation.ID)
		require.NoError(t, err)
		require.Equal(t, operation, noted)

		d.ApplyCommand(d.Sent()[0], false)
		ended, err := service.Operation(t.Context(), jane, operation.ID)
		require.NoError(t, err)
		require.Equal(t, contacts.Succeeded, ended.Status)
		require.Empty(t, ended.Document)
	})
}

func TestService_StopWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newDesk()
		d.OnSend = func(contacts.Command) error { return nil }
		started := time.Now()
		time.AfterFunc(time.Second, service.StopWaiting)
		for range 2 {
			operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{Wait: time.Minute})
			require.NoError(t, err)
			require.Equal(t, contacts.Pending, operation.Status)
		}
		require.Equal(t, time.Second, time.Since(started))
	})
}

// As many writes wait as may; one more is accepted all the same, and answered at once.
func TestService_WaitingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := contactstest.NewDesk()
		options := d.Options()
		var waiting atomic.Int64
		options.MayWait = func(caller contacts.Caller) (func(), bool) {
			if waiting.Add(1) > 2 || !reflect.DeepEqual(caller, jane) {
				waiting.Add(-1)
				return nil, false
			}
			return func() { waiting.Add(-1) }, true
		}
		service := contacts.NewService(options)
		d.OnSend = func(contacts.Command) error { return nil }
		started := time.Now()
		create := func() time.Duration {
			operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
			require.NoError(t, err)
			require.Equal(t, contacts.Pending, operation.Status)
			return time.Since(started)
		}
		waited := make(chan time.Duration, 2)
		for range 2 {
			go func() { waited <- create() }()
		}
		synctest.Wait()
		require.EqualValues(t, 2, waiting.Load())
		for range 3 {
			require.Zero(t, create())
		}
		sent := d.Sent()
		require.Len(t, sent, 5)
		require.Empty(t, sent[4].ReplyTo, "nobody is to be told")
		require.EqualValues(t, 2, waiting.Load())
		require.Equal(t, wait.Wait, <-waited)
		require.Equal(t, wait.Wait, <-waited)
		synctest.Wait()
		require.Zero(t, waiting.Load())
		require.Equal(t, 2*wait.Wait, create(), "there is room again")

		d.OnSend = func(contacts.Command) error { return contacts.Unavailable("not now", nil) }
		for range 5 {
			_, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
			require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
		}
		require.Zero(t, waiting.Load(), "who was refused waits no more")
	})
}

func TestService_NoticeLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newDesk()
		d.OnSend = func(command contacts.Command) error {
			go func() {
				time.Sleep(150 * time.Millisecond)
				d.ApplyCommand(command, false)
			}()
			return nil
		}
		started := time.Now()
		operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
		require.NoError(t, err)
		require.Equal(t, contacts.Succeeded, operation.Status, "the database was asked")
		require.Less(t, time.Since(started), time.Second)
	})
}

func TestService_WaitsNotAtAll(t *testing.T) {
	d, service := newDesk()
	operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{})
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, operation.Status)
	require.Empty(t, d.Sent()[0].ReplyTo, "nobody is to be told")
}

func TestService_QueueRefuses(t *testing.T) {
	d, service := newDesk()
	d.OnSend = func(contacts.Command) error { return contacts.Unavailable("not now", errors.New("connection refused")) }
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
	_, err = service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.True(t, contacts.IsKind(err, contacts.KindNotFound), "nothing half done: %v", err)
}

func TestService_InvalidIsNotSent(t *testing.T) {
	d, service := newDesk()
	_, err := service.Create(t.Context(), jane, contacts.Fields{Email: "x"}, wait)
	require.Equal(t, []string{"/email"}, violations(t, err))
	require.Empty(t, d.Sent())
}

func TestService_NoTenantIsNotSent(t *testing.T) {
	d, service := newDesk()
	for _, tenant := range []contacts.Tenant{"", "two names"} {
		_, err := service.Create(t.Context(), contacts.Caller{Tenant: tenant}, contactstest.Jane(t), wait)
		require.ErrorContains(t, err, "tenant")
	}
	require.Empty(t, d.Sent())
}

func TestService_IdempotencyKey(t *testing.T) {
	keyed := contacts.Write{Wait: wait.Wait, IdempotencyKey: "k1"}
	d, service := newDesk()
	first, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.NoError(t, err)
	_, err = service.Merge(t.Context(), jane, first.Contact, contacts.Patch(`{"nickname":"J"}`), wait)
	require.NoError(t, err)

	again, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.NoError(t, err)
	require.Equal(t, first, again, "the same answer, though the contact has changed since")
	require.Len(t, d.Sent(), 2, "a retry of what has ended is not sent")

	_, err = service.Create(t.Context(), jane, contactstest.Full(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)
	_, err = service.Delete(t.Context(), jane, first.Contact, keyed)
	require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)

	for _, other := range []contacts.Caller{{Tenant: jane.Tenant, Subject: "joe"}, {Tenant: "other", Subject: "jane"}} {
		theirs, err := service.Create(t.Context(), other, contactstest.Full(t), keyed)
		require.NoError(t, err)
		require.NotEqual(t, first.ID, theirs.ID, "keys are each caller's own")
	}
}

func TestService_IdempotencyKey_RacingAnotherRequest(t *testing.T) {
	d, service := newDesk()
	keyed := contacts.Write{Wait: wait.Wait, IdempotencyKey: "k1"}
	var rival contacts.Command
	d.OnSend = func(command contacts.Command) error {
		rival = command
		rival.Contact, rival.Fingerprint = uuid.New(), "another request's"
		d.ApplyCommand(rival, false) // it was sent at the same time and applied first
		d.ApplyCommand(command, true)
		return nil
	}
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)
	_, err = service.Get(t.Context(), jane, rival.Contact)
	require.NoError(t, err)
}

func TestService_IdempotencyKey_WhilePending(t *testing.T) {
	d, service := newDesk()
	d.OnSend = func(contacts.Command) error { return nil }
	keyed := contacts.Write{IdempotencyKey: "k1"}
	first, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.NoError(t, err)
	again, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID, "a retry is the same operation")
	noted, _, err := d.Pending(t.Context(), jane.Tenant, first.ID)
	require.NoError(t, err)
	require.Empty(t, noted.Fingerprint, "what was drawn from the data is in no note")
	_, err = service.Create(t.Context(), jane, contactstest.Full(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)
	require.Len(t, d.Sent(), 2, "another request under the key is not sent")
	require.Equal(t, first.Contact, again.Contact, "the first request has fixed the contact")
	require.Equal(t, first.Contact, d.Sent()[1].Contact)
}

// While the records cannot be read, the first command to commit decides on a create's contact.
func TestService_IdempotencyKey_NotClaimed(t *testing.T) {
	d, service := newDesk()
	d.OnSend = func(contacts.Command) error { return nil }
	keyed := contacts.Write{IdempotencyKey: "k1"}
	d.FailNotes(contacts.Unavailable("cache down", errors.New("timeout")))
	unknown := func(fields contacts.Fields) {
		t.Helper()
		accepted, err := service.Create(t.Context(), jane, fields, keyed)
		require.NoError(t, err)
		require.Equal(t, uuid.Nil, accepted.Contact)
		require.NotEqual(t, uuid.Nil, d.Sent()[len(d.Sent())-1].Contact)
	}
	unknown(contactstest.Jane(t))
	merged, err := service.Merge(t.Context(), jane, contactstest.NewID(t), contacts.Patch(`{}`), contacts.Write{IdempotencyKey: "k2"})
	require.NoError(t, err)
	require.Equal(t, d.Sent()[1].Contact, merged.Contact, "the request names it")

	d.OnSend = func(contacts.Command) error {
		d.FailNotes(nil)
		return nil
	}
	unknown(contactstest.Jane(t)) // it is noted, since the cache is back, without a contact
	unknown(contactstest.Jane(t))
	noted, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, noted.Status)
	require.Equal(t, uuid.Nil, noted.Contact)
	_, err = service.Create(t.Context(), jane, contactstest.Full(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)
	for _, sent := range d.Sent() {
		d.ApplyCommand(sent, false)
	}
	ended, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.NoError(t, err)
	require.Equal(t, d.Sent()[0].Contact, ended.Contact)
}

// A write that was refused is not pending, and its key is free again.
func TestService_IdempotencyKey_QueueRefuses(t *testing.T) {
	d, service := newDesk()
	keyed := contacts.Write{Wait: wait.Wait, IdempotencyKey: "k1"}
	d.OnSend = func(contacts.Command) error { return contacts.Unavailable("not now", nil) }
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
	_, err = service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
	d.OnSend = nil
	made, err := service.Create(t.Context(), jane, contactstest.Full(t), keyed)
	require.NoError(t, err)
	require.Equal(t, d.Sent()[0].Operation, made.ID)
}

// The first request is refused after a retry of it was accepted.
func TestService_IdempotencyKey_OnlyTheRetryIsAccepted(t *testing.T) {
	d, service := newDesk()
	keyed := contacts.Write{IdempotencyKey: "k1"}
	d.OnSend = func(contacts.Command) error {
		d.OnSend = func(contacts.Command) error { return nil }
		retried, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
		require.NoError(t, err)
		require.Equal(t, d.Sent()[0].Contact, retried.Contact)
		return contacts.Unavailable("not now", nil)
	}
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)

	d.OnSend = func(contacts.Command) error { return contacts.Unavailable("not now", nil) }
	_, err = service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
	noted, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, noted.Status, "a retry that is refused changes nothing either")
	require.Equal(t, d.Sent()[0].Contact, noted.Contact)
}

func TestService_IdempotencyKey_Uncertain(t *testing.T) {
	d, service := newDesk()
	keyed := contacts.Write{IdempotencyKey: "k1"}
	d.OnSend = func(c contacts.Command) error { return contacts.Uncertain(c.Operation, errors.New("time-out")) }
	for range 2 {
		_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
		require.True(t, contacts.IsKind(err, contacts.KindUncertain), "%v", err)
	}
	noted, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, noted.Status)
	require.Equal(t, d.Sent()[0].Contact, noted.Contact)
	require.Equal(t, d.Sent()[0].Contact, d.Sent()[1].Contact)
}

// The queue keeps a retry's command from then on.
func TestService_IdempotencyKey_RetryExpiresLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newDesk()
		d.OnSend = func(contacts.Command) error { return nil }
		keyed := contacts.Write{IdempotencyKey: "k1"}
		for range 2 {
			_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
			require.NoError(t, err)
			time.Sleep(contacts.CommandsKept - time.Second)
		}
		operation, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
		require.NoError(t, err)
		require.Equal(t, contacts.Pending, operation.Status)
	})
}

// What was drawn from data tells nothing without the key.
func TestService_IdempotencyKey_InFingerprint(t *testing.T) {
	d, service := newDesk()
	seen := map[string]bool{}
	for _, key := range []string{"k1", "k2", "k3"} {
		_, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{IdempotencyKey: key})
		require.NoError(t, err)
		seen[d.Sent()[len(d.Sent())-1].Fingerprint] = true
	}
	require.Len(t, seen, 3)
}

// The contact is erased before its creator has heard of the create's end.
func TestService_ErasedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, key := range []string{"", "k1"} {
			d, service := newDesk()
			d.OnSend = func(command contacts.Command) error {
				d.ApplyCommand(command, false)
				d.ApplyCommand(contactstest.NewCommand(t, contacts.Erase, command.Tenant, command.Contact), false)
				return nil
			}
			_, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{Wait: wait.Wait, IdempotencyKey: key})
			require.True(t, contacts.IsKind(err, contacts.KindErased), "%v", err)
		}
	})
}

func TestMessageGroup(t *testing.T) {
	id := contactstest.NewID(t)
	group := contacts.MessageGroup("acme", id)
	require.Regexp(t, "^[0-9a-f]{32}$", group)
	require.Equal(t, group, contacts.MessageGroup("acme", id), "one contact, one group")
	require.NotEqual(t, group, contacts.MessageGroup("other", id))
	require.NotEqual(t, group, contacts.MessageGroup("acme", contactstest.NewID(t)))
}

// The second request comes while the first one is being sent.
func TestService_IdempotencyKey_WhileBeingSent(t *testing.T) {
	d, service := newDesk()
	keyed := contacts.Write{IdempotencyKey: "k1"}
	d.OnSend = func(contacts.Command) error {
		_, err := service.Create(t.Context(), jane, contactstest.Full(t), keyed)
		require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)
		return nil
	}
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), keyed)
	require.NoError(t, err)
	require.Len(t, d.Sent(), 1)
}

func TestService_Uncertain(t *testing.T) {
	d, service := newDesk()
	d.OnSend = func(c contacts.Command) error { return contacts.Uncertain(c.Operation, errors.New("time-out")) }
	_, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
	var uncertain *contacts.Error
	require.ErrorAs(t, err, &uncertain)
	require.Equal(t, d.Sent()[0].Operation.String(), uncertain.Operation)
	operation, err := service.Operation(t.Context(), jane, d.Sent()[0].Operation)
	require.NoError(t, err, "whoever follows the error's link is not told that there is nothing")
	require.Equal(t, contacts.Pending, operation.Status)
}

func TestService_EndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newDesk()
		d.OnSend = func(command contacts.Command) error {
			go func() {
				time.Sleep(wait.Wait - time.Millisecond)
				d.ApplyCommand(command, false)
			}()
			return nil
		}
		operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
		require.NoError(t, err)
		require.Equal(t, contacts.Succeeded, operation.Status, "the database is asked once more at the end")
	})
}

// frozen is a repository that answers no question about operations: its database hangs.
type frozen struct {
	contacts.Repository
}

func (frozen) Operation(ctx context.Context, _ contacts.Tenant, _ uuid.UUID) (contacts.Operation, bool, error) {
	<-ctx.Done()
	return contacts.Operation{}, false, ctx.Err()
}

func newFrozen() (*contactstest.Desk, *contacts.Service) {
	d := contactstest.NewDesk()
	options := d.Options()
	options.Repository = frozen{d}
	return d, contacts.NewService(options)
}

// A database that hangs delays no answer: what was accepted is answered as pending.
func TestService_DatabaseHangs(t *testing.T) {
	for name, write := range map[string]contacts.Write{
		"without a key": wait,
		"with a key":    {Wait: wait.Wait, IdempotencyKey: "k1"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, service := newFrozen()
				d.OnSend = func(contacts.Command) error { return nil }
				started := time.Now()
				operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), write)
				require.NoError(t, err)
				require.Equal(t, contacts.Pending, operation.Status)
				require.LessOrEqual(t, time.Since(started), wait.Wait+600*time.Millisecond)
			})
		})
	}
}

func TestService_DatabaseHangs_Notice(t *testing.T) {
	// during a poll, and the last question
	for _, after := range []time.Duration{time.Second, wait.Wait + 100*time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			d, service := newFrozen()
			d.OnSend = func(command contacts.Command) error {
				time.AfterFunc(after, func() { d.ApplyCommand(command, true) })
				return nil
			}
			started := time.Now()
			operation, err := service.Create(t.Context(), jane, contactstest.Jane(t), wait)
			require.NoError(t, err)
			require.Equal(t, contacts.Succeeded, operation.Status)
			require.Equal(t, after, time.Since(started), "the notice is heard at once")
			time.Sleep(wait.Wait) // until the question is given up
		})
	}
}

func TestService_DatabaseHangs_StopWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, service := newFrozen()
		d.OnSend = func(contacts.Command) error { return nil }
		started := time.Now()
		time.AfterFunc(time.Second, service.StopWaiting)
		_, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{Wait: time.Minute})
		require.NoError(t, err)
		require.Less(t, time.Since(started), 2*time.Second)
		time.Sleep(time.Minute)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		d, service = newFrozen()
		d.OnSend = func(contacts.Command) error { return nil }
		started = time.Now()
		_, err = service.Create(ctx, jane, contactstest.Jane(t), contacts.Write{Wait: time.Minute})
		require.NoError(t, err)
		require.Equal(t, time.Second, time.Since(started), "nor is a caller waited for that has gone")
		time.Sleep(time.Minute)
	})
}

// An accepted write that no queue has any more is not pending for ever: its command was lost,
// or set aside.
func TestService_Operation_Expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := contactstest.NewDesk()
		d.OnSend = func(contacts.Command) error { return nil }
		service := contacts.NewService(d.Options())
		accepted, err := service.Create(t.Context(), jane, contactstest.Jane(t), contacts.Write{})
		require.NoError(t, err)
		for _, want := range []contacts.Status{contacts.Pending, contacts.Expired} {
			operation, err := service.Operation(t.Context(), jane, accepted.ID)
			require.NoError(t, err)
			require.Equal(t, want, operation.Status)
			time.Sleep(contacts.CommandsKept + time.Second)
		}
		d.ApplyCommand(d.Sent()[0], false)
		operation, err := service.Operation(t.Context(), jane, accepted.ID)
		require.NoError(t, err)
		require.Equal(t, contacts.Succeeded, operation.Status, "it was sent again")
	})
}

func TestService_Operation_Unknown(t *testing.T) {
	d, service := newDesk()
	_, err := service.Operation(t.Context(), jane, uuid.New())
	require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
	d.FailNotes(contacts.Unavailable("cache down", errors.New("timeout")))
	_, err = service.Operation(t.Context(), jane, uuid.New())
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
}

func TestService_List(t *testing.T) {
	_, service := newDesk()
	ids := make([]uuid.UUID, 5)
	for i := range ids {
		operation, err := service.Create(t.Context(), jane, contacts.Fields{FirstName: fmt.Sprint(i)}, wait)
		require.NoError(t, err)
		ids[i] = operation.Contact
	}
	first, err := service.List(t.Context(), jane, contacts.Filter{}, 2, "")
	require.NoError(t, err)
	require.Len(t, first.Items, 2)
	_, err = service.Delete(t.Context(), jane, ids[1], wait) // the one the cursor names
	require.NoError(t, err)
	_, err = service.Delete(t.Context(), jane, ids[2], wait)
	require.NoError(t, err)
	second, err := service.List(t.Context(), jane, contacts.Filter{}, 2, first.Next)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{ids[3], ids[4]}, []uuid.UUID{second.Items[0].ID, second.Items[1].ID})
	require.Empty(t, second.Next)

	for _, cursor := range []string{"x", "AAAA", first.Next + "A"} {
		_, err := service.List(t.Context(), jane, contacts.Filter{}, 2, cursor)
		require.Equal(t, []string{"cursor"}, violations(t, err))
	}
	for _, limit := range []int{0, contacts.MaxPage + 1} {
		_, err := service.List(t.Context(), jane, contacts.Filter{}, limit, "")
		require.Equal(t, []string{"limit"}, violations(t, err))
	}
}

func TestService_Contract(t *testing.T) {
	_, service := newDesk()
	contactstest.RunService(t, contactstest.Direct{Service: service, Caller: jane})
}
