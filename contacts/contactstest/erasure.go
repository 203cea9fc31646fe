package contactstest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// keyedCommand returns the command as if it had come with an idempotency key.
func keyedCommand(command contacts.Command) contacts.Command {
	command.Fingerprint = "of-" + command.Operation.String()
	return command
}

func keyOf(command contacts.Command) contacts.OperationKey {
	return contacts.OperationKey{Tenant: command.Tenant, ID: command.Operation}
}

// erasing applies a command and returns its outcome with what was announced of it.
func (l *ledger) erasing(command contacts.Command) (contacts.Outcome, []contacts.Document, []contacts.OperationKey) {
	l.t.Helper()
	var documents []contacts.Document
	var forgotten []contacts.OperationKey
	announce := func(_ context.Context, d []contacts.Document, f []contacts.OperationKey) error {
		documents, forgotten = append(documents, d...), append(forgotten, f...)
		return nil
	}
	outcomes, err := l.Apply(l.t.Context(), []contacts.Command{command}, time.Now(), announce)
	require.NoError(l.t, err)
	return outcomes[0], documents, forgotten
}

func testErase(t *testing.T, l *ledger) {
	create := keyedCommand(CreateCommand(t, l.tenant, Full(t)))
	replace := keyedCommand(NewCommand(t, contacts.Replace, l.tenant, create.Contact))
	replace.Fields = Jane(t)
	invalid := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"first_name":null,"last_name":null,"email":null,"phone":null}`))
	stale := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`))
	stale.IfMatch = []int64{9}
	refused := keyedCommand(NewCommand(t, contacts.Delete, l.tenant, create.Contact))
	refused.IfMatch = []int64{9}
	unchanged := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"first_name":"Jane"}`))
	commands := []contacts.Command{
		create, replace, invalid, stale, refused, unchanged, MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`),
	}
	other := keyedCommand(CreateCommand(t, l.tenant, Jane(t)))
	theirs := create // the same ids, of another tenant
	theirs.Tenant = NewTenant()
	before := map[int]contacts.Operation{}
	for i, command := range append(commands, other, theirs) {
		before[i] = l.apply(command).Operation
	}
	require.NotEmpty(t, before[2].Problem.Violations)

	erase := keyedCommand(NewCommand(t, contacts.Erase, l.tenant, create.Contact))
	outcome, documents, forgotten := l.erasing(erase)
	require.Equal(t, contacts.Succeeded, outcome.Operation.Status)
	require.EqualValues(t, 4, outcome.Operation.Version, "a deletion as any other")
	require.Nil(t, outcome.Operation.Document)
	gone := contacts.Document{Tenant: l.tenant, ID: create.Contact, Version: 4, State: contacts.Gone}
	require.Equal(t, gone, outcome.Current)
	require.Equal(t, gone, l.document(create.Contact))
	require.Equal(t, []contacts.Document{gone}, documents)
	require.ElementsMatch(t, []contacts.OperationKey{keyOf(create), keyOf(replace), keyOf(invalid), keyOf(stale), keyOf(unchanged)}, forgotten)
	for i, command := range commands {
		now := l.operation(command.Operation)
		require.Equal(t, before[i].Erased(), now)
		require.Nil(t, now.Document)
		require.Equal(t, command.Kind == contacts.Delete, now.Fingerprint != "", "only that of a deletion is of nobody's data")
	}
	require.Equal(t, erase.Fingerprint, l.operation(erase.Operation).Fingerprint)
	require.Equal(t, before[len(commands)], l.operation(other.Operation), "others keep what they have")
	kept, _, err := l.Operation(t.Context(), theirs.Tenant, theirs.Operation)
	require.NoError(t, err)
	require.Equal(t, before[len(commands)+1], kept)

	again, documents, forgotten := l.erasing(erase)
	outcome.Again = true
	require.Equal(t, outcome, again)
	require.Empty(t, documents)
	require.Empty(t, forgotten)
	again, _, forgotten = l.erasing(create)
	require.Equal(t, before[0].Erased(), again.Operation, "a repeated create makes nothing, and is answered without data")
	require.Equal(t, gone, again.Current)
	require.Equal(t, []contacts.OperationKey{keyOf(create)}, forgotten, "also by those who have just claimed it again")

	late := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"K"}`))
	again, documents, forgotten = l.erasing(late)
	require.Equal(t, contacts.KindNotFound, again.Operation.Problem.Kind)
	require.Empty(t, l.operation(late.Operation).Fingerprint, "nothing of it is kept")
	require.Empty(t, documents)
	require.Equal(t, []contacts.OperationKey{keyOf(late)}, forgotten)
}

func testEraseDeleted(t *testing.T, l *ledger) {
	create := keyedCommand(CreateCommand(t, l.tenant, Full(t)))
	l.apply(create)
	l.apply(NewCommand(t, contacts.Delete, l.tenant, create.Contact))
	gone := l.document(create.Contact)
	for i, wantForgotten := range [][]contacts.OperationKey{{keyOf(create)}, nil} {
		erase := NewCommand(t, contacts.Erase, l.tenant, create.Contact)
		outcome, documents, forgotten := l.erasing(erase)
		require.Equal(t, contacts.Succeeded, outcome.Operation.Status, i)
		require.EqualValues(t, 2, outcome.Operation.Version, "it makes no version")
		require.Equal(t, gone, outcome.Current)
		require.Equal(t, []contacts.Document{gone}, documents, "whatever a cache still has, goes")
		require.Equal(t, wantForgotten, forgotten)
		require.Equal(t, outcome.Operation, l.operation(erase.Operation))
	}
	require.Nil(t, l.operation(create.Operation).Document)
	conditional := NewCommand(t, contacts.Erase, l.tenant, create.Contact)
	conditional.IfMatch = []int64{1}
	require.EqualValues(t, 2, l.apply(conditional).Operation.Problem.CurrentVersion)
}

// An Upsert that was accepted before the erasure of the contact that had its external id makes
// no other contact of what was known of the person then. A later one does.
func testEraseOvertakesUpserts(t *testing.T, l *ledger) {
	fields := Full(t)
	fields.ExternalID = "crm-1"
	create := l.create(fields)
	l.apply(MergeCommand(t, l.tenant, create.Contact, `{"external_id":"crm-2"}`))
	var late []contacts.Command
	for _, id := range []string{"crm-1", "crm-2", "crm-3"} {
		late = append(late, keyedCommand(upsertCommand(t, l.tenant, id, "Jane")))
	}
	erase := NewCommand(t, contacts.Erase, l.tenant, create.Contact)
	erase.AcceptedAt = late[2].AcceptedAt.Add(time.Millisecond)
	l.apply(erase)
	for _, command := range late[:2] {
		outcome, documents, forgotten := l.erasing(command)
		require.Equal(t, contacts.KindNotFound, outcome.Operation.Problem.Kind)
		require.Empty(t, documents)
		require.Equal(t, []contacts.OperationKey{keyOf(command)}, forgotten)
		require.Empty(t, l.operation(command.Operation).Fingerprint)
		require.Equal(t, contacts.Absent, l.document(command.Contact).State)
	}
	require.Equal(t, contacts.Succeeded, l.apply(late[2]).Operation.Status, "it never was the contact's")
	theirs := late[0]
	theirs.Tenant = NewTenant()
	require.Equal(t, contacts.Succeeded, l.apply(theirs).Operation.Status)
	for _, id := range []string{"crm-1", "crm-2"} {
		later := upsertCommand(t, l.tenant, id, "Jane")
		later.AcceptedAt = erase.AcceptedAt.Add(time.Microsecond)
		require.Equal(t, contacts.Create, l.apply(later).Operation.Kind)
		again := upsertCommand(t, l.tenant, id, "June") // another caller's, with a clock behind
		again.AcceptedAt = erase.AcceptedAt.Add(-time.Microsecond)
		require.Equal(t, contacts.Replace, l.apply(again).Operation.Kind, "the contact is another one now")
	}
}

func testEraseAbsent(t *testing.T, l *ledger) {
	outcome, documents, _ := l.erasing(NewCommand(t, contacts.Erase, l.tenant, NewID(t)))
	require.Equal(t, contacts.KindNotFound, outcome.Operation.Problem.Kind)
	require.Empty(t, documents)
}

func testEraseInBatch(t *testing.T, l *ledger) {
	var commands []contacts.Command
	for i := range 60 {
		create := l.create(Full(t))
		switch i % 3 {
		case 0:
			commands = append(commands, NewCommand(t, contacts.Erase, l.tenant, create.Contact))
		case 1:
			commands = append(commands, MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`))
		case 2:
			l.apply(NewCommand(t, contacts.Delete, l.tenant, create.Contact))
			commands = append(commands, NewCommand(t, contacts.Erase, l.tenant, create.Contact))
		}
	}
	outcomes, err := l.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
	for i, outcome := range outcomes {
		require.EqualValues(t, 2, outcome.Operation.Version)
		require.Equal(t, i%3 == 1, l.document(commands[i].Contact).State == contacts.Live)
	}
}

// An erasure is not done by halves: as long as the cache cannot be told it is not done,
// independently of other commands.
func testEraseWithoutCache(t *testing.T, store InvalidatingStore) {
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	create := l.create(Jane(t))
	erase := NewCommand(t, contacts.Erase, l.tenant, create.Contact)
	down := func(context.Context, []contacts.Document, []contacts.OperationKey) error {
		return fmt.Errorf("frozen: %w", contacts.ErrCacheDown)
	}
	for _, now := range []time.Time{time.Now(), time.Now().Add(time.Hour)} {
		_, err := l.Apply(t.Context(), []contacts.Command{erase}, now, down)
		require.ErrorIs(t, err, contacts.ErrTransient)
	}
	require.Equal(t, contacts.Live, l.document(create.Contact).State)
	require.NotNil(t, l.operation(create.Operation).Document)

	// Of a command that comes too late only the claim is left, which ends by itself.
	l.apply(erase)
	late := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"K"}`))
	_, err := l.Apply(t.Context(), []contacts.Command{late}, time.Now(), down)
	require.NoError(t, err)
}

func testErasedChanges(t *testing.T, store ChangingStore) {
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	latest, err := store.LatestChange(t.Context())
	require.NoError(t, err)
	create := l.create(Jane(t))
	l.apply(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`))
	deleted := l.create(Jane(t))
	deletion := NewCommand(t, contacts.Delete, l.tenant, deleted.Contact)
	l.apply(deletion)
	seen := l.changes(store, latest, 4)

	erase := NewCommand(t, contacts.Erase, l.tenant, create.Contact)
	l.apply(erase)
	l.apply(NewCommand(t, contacts.Erase, l.tenant, deleted.Contact))
	last := l.create(Jane(t)) // so that the end of what is there is known
	left := l.changes(store, latest, 3)
	require.Equal(t, []any{deletion.Operation, erase.Operation, last.Operation}, []any{left[0].Operation, left[1].Operation, left[2].Operation})
	require.Equal(t, seen[3], left[0])
	require.EqualValues(t, 3, left[1].Version)
	require.Nil(t, left[1].Document)
	for _, at := range seen { // a reader that has come as far as any of them misses no deletion
		rest := l.changes(store, at.At, 2)
		require.Equal(t, left[1:], rest[len(rest)-2:])
	}
}

// changes returns the tenant's changes after the position, once there are so many.
func (l *ledger) changes(store ChangingStore, after contacts.ChangePosition, atLeast int) (all []contacts.Change) {
	l.t.Helper()
	require.Eventually(l.t, func() bool { // behind what else runs on the server
		var err error
		all, err = store.Changes(l.t.Context(), l.tenant, after, 10)
		require.NoError(l.t, err)
		return len(all) >= atLeast
	}, 30*time.Second, 10*time.Millisecond)
	return all
}

func testErasedParking(t *testing.T, store ParkingStore) {
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	fields := Jane(t)
	fields.ExternalID = "crm-1"
	create, other := l.create(fields), l.create(Jane(t))
	upsert := keyedCommand(upsertCommand(t, l.tenant, "crm-1", "Jane"))
	set := func(command contacts.Command) contacts.ParkedCommand {
		return contacts.ParkedCommand{
			ID: command.Operation, Tenant: l.tenant, Group: command.Group(), Body: []byte("data"),
			Reason: "bad", Attempts: 5, ParkedAt: time.Now(),
		}
	}
	end := func(command contacts.Command) *contacts.Operation {
		ended := command.End(contacts.Contact{}, &contacts.Error{Kind: contacts.KindParked, Detail: "set aside"}, time.Now())
		return &ended
	}
	readable := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`))
	kept := keyedCommand(MergeCommand(t, l.tenant, other.Contact, `{"nickname":"J"}`))
	unreadable := set(create)
	unreadable.ID, unreadable.Tenant = NewID(t), ""
	park := func() {
		t.Helper()
		for _, command := range []contacts.Command{readable, kept} {
			_, err := store.Park(t.Context(), set(command), end(command))
			require.NoError(t, err)
		}
		_, err := store.Park(t.Context(), unreadable, nil)
		require.NoError(t, err)
	}
	park()
	_, err := store.Park(t.Context(), set(upsert), end(upsert))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Discard(t.Context(), kept.Operation)) }()
	_, err = store.ParkedCommand(t.Context(), unreadable.ID)
	require.NoError(t, err)
	_, _, forgotten := l.erasing(NewCommand(t, contacts.Erase, l.tenant, create.Contact))
	require.ElementsMatch(t, []contacts.OperationKey{keyOf(readable), keyOf(upsert)}, forgotten)
	require.Empty(t, l.operation(upsert.Operation).Fingerprint)
	requireKept := func() {
		t.Helper()
		parked, err := store.Parked(t.Context(), 100)
		require.NoError(t, err)
		require.Len(t, parked, 1)
		require.Equal(t, kept.Operation, parked[0].ID)
	}
	requireKept()
	// Before the erasure, and after it.
	for _, accepted := range []time.Duration{-time.Second, time.Hour} {
		upsert := upsertCommand(t, l.tenant, "crm-1", "Jane")
		upsert.AcceptedAt = upsert.AcceptedAt.Add(accepted)
		stands, err := store.Park(t.Context(), set(upsert), end(upsert))
		require.NoError(t, err)
		if accepted < 0 {
			require.Equal(t, end(upsert).Overtaken().Problem, stands.Problem)
			continue
		}
		require.Equal(t, contacts.KindParked, stands.Problem.Kind)
		require.NoError(t, store.Discard(t.Context(), upsert.Operation))
	}
	requireKept()
	require.Equal(t, contacts.KindParked, l.operation(readable.Operation).Problem.Kind)
	require.Empty(t, l.operation(readable.Operation).Fingerprint)

	// A worker that has stood still, or a replay that failed, comes too late to set it aside.
	park()
	requireKept()
	late := keyedCommand(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`))
	stands, err := store.Park(t.Context(), set(late), end(late))
	require.NoError(t, err)
	require.Equal(t, end(late).Overtaken().Problem, stands.Problem)
	require.Empty(t, stands.Fingerprint)
	require.Equal(t, *stands, l.operation(late.Operation))
	requireKept()
}

func eraseContact(t *testing.T, client Client) {
	created, merged, refused, late := keyed(), keyed(), keyed(), keyed()
	fields := Full(t)
	id := must(t)(client.Create(t.Context(), fields, created)).Contact
	merge := func(write contacts.Write) (contacts.Operation, error) {
		return client.Merge(t.Context(), id, contacts.Patch(`{"custom_fields":{"secret":"s"}}`), write)
	}
	must(t)(merge(merged))
	refused.IfMatch = []int64{1}
	_, err := merge(refused)
	requireKind(t, contacts.KindStaleVersion, err)
	accepted, err := client.Merge(t.Context(), id, contacts.Patch(`{"nickname":"J"}`), contacts.Write{})
	require.NoError(t, err)

	erasure := keyed()
	must(t)(client.Erase(t.Context(), id, erasure))
	_, err = client.Get(t.Context(), id)
	requireKind(t, contacts.KindNotFound, err)
	page, err := client.List(t.Context(), contacts.Filter{Text: fields.ExternalID}, 10, "")
	require.NoError(t, err)
	require.Empty(t, page.Items)
	done := ended(t, client, accepted.ID)
	require.Equal(t, []any{contacts.Succeeded, id, int64(3)}, []any{done.Status, done.Contact, done.Version}, "what came before it was done before it")

	// What is repeated is neither done again nor answered with what is gone.
	_, err = client.Create(t.Context(), fields, created)
	requireKind(t, contacts.KindErased, err)
	_, err = merge(merged)
	requireKind(t, contacts.KindErased, err)
	_, err = merge(refused)
	requireKind(t, contacts.KindStaleVersion, err)
	_, err = client.Delete(t.Context(), id, created)
	requireKind(t, contacts.KindKeyReused, err)
	for range 2 {
		_, err = merge(late)
		requireKind(t, contacts.KindNotFound, err)
	}
	_, err = client.Create(t.Context(), Jane(t), late)
	requireKind(t, contacts.KindKeyReused, err)
	must(t)(client.Erase(t.Context(), id, erasure))
	must(t)(client.Erase(t.Context(), id, waiting()))
	must(t)(client.Create(t.Context(), fields, waiting())) // its external_id is free
	_, err = client.Erase(t.Context(), NewID(t), waiting())
	requireKind(t, contacts.KindNotFound, err)
}

func eraseDeleted(t *testing.T, client Client) {
	created := keyed()
	fields := Full(t)
	id := must(t)(client.Create(t.Context(), fields, created)).Contact
	must(t)(client.Delete(t.Context(), id, waiting()))
	again := must(t)(client.Create(t.Context(), fields, created))
	require.NotEmpty(t, again.Document, "a deletion leaves that")
	accepted, err := client.Erase(t.Context(), id, contacts.Write{})
	require.NoError(t, err)
	require.Equal(t, []any{contacts.Pending, contacts.Erase, id}, []any{accepted.Status, accepted.Kind, accepted.Contact})
	require.EqualValues(t, 2, ended(t, client, accepted.ID).Version, "there is no newer one")
	_, err = client.Create(t.Context(), fields, created)
	requireKind(t, contacts.KindErased, err)
	stale := waiting()
	stale.IfMatch = []int64{1}
	_, err = client.Erase(t.Context(), id, stale)
	require.EqualValues(t, 2, problemOf(t, contacts.KindStaleVersion, err).CurrentVersion)
}
