package contacts_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// ledger is a model that records the batches it was given and may refuse them.
type ledger struct {
	*contactstest.Model
	refuse  func([]contacts.Command) error
	batches [][]contacts.Command
}

func (l *ledger) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	l.batches = append(l.batches, slices.Clone(commands))
	if l.refuse != nil {
		if err := l.refuse(commands); err != nil {
			return nil, err
		}
	}
	return l.Model.Apply(ctx, commands, now, announce)
}

// world records what a processor told it, in order.
type world struct {
	contacts.Parking
	contacts.Invalidations
	parked []contacts.ParkedCommand
	ended  []*contacts.Operation
	stands *contacts.Operation // the end that an operation had before it is parked

	told      []string
	announced []contacts.Document
	documents []contacts.Document
	notices   []contacts.Notice
	pending   []contacts.Document
	ends      []end
	cacheErr  error
}

func (w *world) Park(
	_ context.Context, parked contacts.ParkedCommand, ended *contacts.Operation,
) (*contacts.Operation, error) {
	w.parked = append(w.parked, parked)
	w.ended = append(w.ended, ended)
	if w.stands != nil {
		return w.stands, nil
	}
	return ended, nil
}

func (w *world) Announce(_ context.Context, documents []contacts.Document, _ []contacts.OperationKey) error {
	w.told = append(w.told, "announced")
	w.announced = append(w.announced, documents...)
	return nil
}

func (w *world) AddInvalidations(_ context.Context, documents []contacts.Document) error {
	w.told = append(w.told, "invalidations")
	w.pending = append(w.pending, documents...)
	return nil
}

func (w *world) RenewTrust(context.Context, time.Time) error { return nil }

func (w *world) Refresh(_ context.Context, documents []contacts.Document) error {
	w.told = append(w.told, "cache")
	w.documents = append(w.documents, documents...)
	return w.cacheErr
}

func (w *world) Notify(_ context.Context, notices []contacts.Notice) error {
	w.told = append(w.told, "notices")
	w.notices = append(w.notices, notices...)
	return nil
}

// end is told of ends.
func (w *world) end(_ context.Context, command contacts.Command, outcome contacts.Outcome) {
	w.ends = append(w.ends, end{command.Operation, outcome.Operation, outcome.Again})
}

// end is what the processor tells of an operation that has ended.
type end struct {
	command   uuid.UUID
	operation contacts.Operation
	again     bool
}

func newProcessor(refuse func([]contacts.Command) error) (*contacts.Processor, *ledger, *world) {
	l, w := &ledger{Model: contactstest.NewModel(), refuse: refuse}, &world{}
	return contacts.NewProcessor(l, w, w, w, w, w.end, slog.New(slog.DiscardHandler), nil), l, w
}

func TestProcessor_KeepsTheOrderOfAContact(t *testing.T) {
	processor, ledger, world := newProcessor(nil)
	a := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	b := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	commands := []contacts.Command{
		a, b,
		contactstest.MergeCommand(t, a.Tenant, a.Contact, `{"nickname":"1"}`),
		contactstest.MergeCommand(t, a.Tenant, a.Contact, `{"nickname":"2"}`),
		contactstest.NewCommand(t, contacts.Delete, b.Tenant, b.Contact),
		b, // delivered again
	}
	for i := range commands {
		commands[i].ReplyTo = "api-1"
	}
	require.Equal(t, make([]error, len(commands)), processor.Process(t.Context(), commands))

	require.Len(t, ledger.batches, 3, "one command of each contact in a transaction")
	require.Equal(t, slices.Repeat([]string{"announced", "cache", "notices"}, 3), world.told)
	require.Len(t, world.announced, 5, "each version before its commit, and what was applied before not again")
	require.Len(t, world.notices, len(commands))
	document, err := ledger.Document(t.Context(), a.Tenant, a.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 3, document.Version)
	require.Contains(t, string(document.JSON), `"nickname":"2"`)
	require.Equal(t, contacts.Gone, world.documents[len(world.documents)-1].State, "a replay refreshes with what is current")
	require.Len(t, world.ends, len(commands))
	for i, ended := range world.ends {
		require.Equal(t, ended.command, ended.operation.ID)
		require.Equal(t, i == len(commands)-1, ended.again, "only the one that was delivered again")
	}
}

// Upserts are in order by their external id, and in no transaction with others, which may be
// of the same contacts.
func TestProcessor_Upserts(t *testing.T) {
	processor, ledger, _ := newProcessor(nil)
	upsert := func(id, name string) contacts.Command {
		command := contactstest.NewCommand(t, contacts.Upsert, contacts.DefaultTenant, contactstest.NewID(t))
		command.Fields = contactstest.Normalize(t, contacts.Fields{FirstName: name, ExternalID: id})
		return command
	}
	first := upsert("a", "1")
	create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	commands := []contacts.Command{
		first, create, upsert("a", "2"), upsert("b", "1"),
		contactstest.MergeCommand(t, create.Tenant, create.Contact, `{"nickname":"1"}`), upsert("a", "3"),
	}
	require.Equal(t, make([]error, len(commands)), processor.Process(t.Context(), commands))
	for _, batch := range ledger.batches {
		for _, command := range batch {
			require.Equal(t, batch[0].Kind == contacts.Upsert, command.Kind == contacts.Upsert)
		}
	}
	require.Len(t, ledger.batches, 5)
	document, err := ledger.Document(t.Context(), first.Tenant, first.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 3, document.Version)
	require.Contains(t, string(document.JSON), `"first_name":"3"`)
}

func TestProcessor_OneBadCommand(t *testing.T) {
	bad := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	boom := errors.New("boom")
	processor, ledger, _ := newProcessor(func(commands []contacts.Command) error {
		if slices.ContainsFunc(commands, func(c contacts.Command) bool { return c.Operation == bad.Operation }) {
			return boom
		}
		return nil
	})
	commands := []contacts.Command{bad}
	for range 9 {
		commands = append(commands, contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t)))
	}
	after := contactstest.MergeCommand(t, bad.Tenant, bad.Contact, `{"nickname":"1"}`)
	commands = append(commands, after)
	errs := processor.Process(t.Context(), commands)
	require.ErrorIs(t, errs[0], boom)
	require.ErrorIs(t, errs[10], contacts.ErrBlocked, "what comes after it waits")
	for i := 1; i < 10; i++ {
		require.NoError(t, errs[i])
		document, err := ledger.Document(t.Context(), contacts.DefaultTenant, commands[i].Contact)
		require.NoError(t, err)
		require.Equal(t, contacts.Live, document.State)
	}
}

// Ids are a tenant's own: a contact or an operation of another tenant with the same id has
// nothing to do with it.
func TestProcessor_SameIDsInTwoTenants(t *testing.T) {
	ours := contactstest.CreateCommand(t, "ours", contactstest.Jane(t))
	theirs := ours
	theirs.Tenant = "theirs"
	boom := errors.New("boom")
	fails := false
	processor, ledger, _ := newProcessor(func(commands []contacts.Command) error {
		if fails && slices.ContainsFunc(commands, func(c contacts.Command) bool { return c.Tenant == "ours" }) {
			return boom
		}
		return nil
	})
	require.Equal(t, []error{nil, nil}, processor.Process(t.Context(), []contacts.Command{ours, theirs}))
	require.Len(t, ledger.batches, 1, "they share a transaction")

	fails = true
	merges := make([]contacts.Command, 0, 3)
	for _, tenant := range []contacts.Tenant{"ours", "ours", "theirs"} {
		merges = append(merges, contactstest.MergeCommand(t, tenant, ours.Contact, `{"nickname":"J"}`))
	}
	// in a later round
	merges = append(merges, contactstest.MergeCommand(t, "theirs", ours.Contact, `{"nickname":"K"}`))
	errs := processor.Process(t.Context(), merges)
	require.ErrorIs(t, errs[0], boom)
	require.ErrorIs(t, errs[1], contacts.ErrBlocked)
	require.NoError(t, errs[2])
	require.NoError(t, errs[3])
	document, err := ledger.Document(t.Context(), "theirs", ours.Contact)
	require.NoError(t, err)
	require.Contains(t, string(document.JSON), `"nickname":"K"`)
}

func TestProcessor_DatabaseDown(t *testing.T) {
	processor, ledger, world := newProcessor(func([]contacts.Command) error { return contacts.ErrDown })
	commands := make([]contacts.Command, 8)
	for i := range commands {
		commands[i] = contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	}
	for _, err := range processor.Process(t.Context(), commands) {
		require.ErrorIs(t, err, contacts.ErrDown)
	}
	require.Len(t, ledger.batches, 1, "splitting cannot help")
	require.Empty(t, world.told)
}

// Two contacts whose locks are held use up the time of an attempt. That is no outage, for
// which a worker would wait.
func TestProcessor_StuckCommandsUseUpTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commands := make([]contacts.Command, 64)
		for i := range commands {
			commands[i] = contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
		}
		stuck := []uuid.UUID{commands[0].Contact, commands[33].Contact}
		ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		processor, _, _ := newProcessor(func(batch []contacts.Command) error {
			if ctx.Err() != nil {
				return fmt.Errorf("%w: %w", contacts.ErrDown, ctx.Err())
			}
			if slices.ContainsFunc(batch, func(c contacts.Command) bool { return slices.Contains(stuck, c.Contact) }) {
				time.Sleep(time.Second)
				return contacts.ErrTransient
			}
			return nil
		})
		done := 0
		for _, err := range processor.Process(ctx, commands) {
			if err == nil {
				done++
				continue
			}
			require.ErrorIs(t, err, contacts.ErrTransient)
			require.NotErrorIs(t, err, contacts.ErrDown)
			require.NotErrorIs(t, err, context.DeadlineExceeded)
		}
		require.NotZero(t, done)
		require.Less(t, done, 62, "the time was up before the rest was tried")
	})
}

func TestProcessor_CacheDownIsNoFailure(t *testing.T) {
	processor, _, world := newProcessor(nil)
	world.cacheErr = errors.New("cache down")
	command := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	command.ReplyTo = "api-1"
	require.Equal(t, []error{nil}, processor.Process(t.Context(), []contacts.Command{command}))
	require.Equal(t, []string{"announced", "cache", "invalidations", "notices"}, world.told, "the cache misses a pending invalidation")
	require.Equal(t, world.announced, world.pending)
	require.Equal(t, "api-1", world.notices[0].Address)
}

func TestProcessor_SameOperationTwiceInABatch(t *testing.T) {
	processor, ledger, _ := newProcessor(nil)
	first := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	retry := first
	retry.Contact = uuid.New()
	require.Equal(t, []error{nil, nil}, processor.Process(t.Context(), []contacts.Command{first, retry}))
	document, err := ledger.Document(t.Context(), first.Tenant, retry.Contact)
	require.NoError(t, err)
	require.Equal(t, contacts.Absent, document.State)
}

func TestProcessor_Park(t *testing.T) {
	processor, _, world := newProcessor(nil)
	command := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	command.ReplyTo = "api-1"
	require.NoError(t, processor.Park(t.Context(), contacts.ParkedCommand{Group: "g", Reason: "bad"}, &command))
	require.NoError(t, processor.Park(t.Context(), contacts.ParkedCommand{Group: "g", Reason: "no event"}, nil))
	require.Equal(t, command.Operation, world.parked[0].ID)
	require.Equal(t, contacts.KindParked, world.ended[0].Problem.Kind)
	require.Equal(t, []contacts.Notice{{Address: "api-1", Operation: *world.ended[0]}}, world.notices)
	require.Nil(t, world.ended[1], "what cannot be read has no operation to end")
	require.NotEqual(t, world.parked[0].ID, world.parked[1].ID)
	require.Equal(t, []end{{command.Operation, *world.ended[0], false}}, world.ends)
}

// What could not be read has the same id each time it comes, and what has ended before keeps
// its end.
func TestProcessor_Park_Again(t *testing.T) {
	processor, _, world := newProcessor(nil)
	for _, message := range []contacts.ParkedCommand{
		{Group: "g", Body: []byte("x")},
		{Group: "g", Body: []byte("x"), Attempts: 6},
		{Group: "h", Body: []byte("x")},
		{Group: "g", Body: []byte("y")},
	} {
		require.NoError(t, processor.Park(t.Context(), message, nil))
	}
	require.Equal(t, world.parked[0].ID, world.parked[1].ID)
	require.NotEqual(t, world.parked[0].ID, world.parked[2].ID)
	require.NotEqual(t, world.parked[0].ID, world.parked[3].ID)

	command := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	command.ReplyTo = "api-1"
	world.stands = new(command.End(contacts.Contact{Version: 1}, nil, time.Now()))
	require.NoError(t, processor.Park(t.Context(), contacts.ParkedCommand{Group: "g", Reason: "bad"}, &command))
	require.Equal(t, []contacts.Notice{{Address: "api-1", Operation: *world.stands}}, world.notices)
	require.Equal(t, []end{{command.Operation, *world.stands, true}}, world.ends)
}
