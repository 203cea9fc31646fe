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

// Store is a repository and the ledger that changes it.
type Store interface {
	contacts.Repository
	contacts.Ledger
}

// InvalidatingStore is a store that knows what a cache has missed.
type InvalidatingStore interface {
	Store
	contacts.Invalidations
}

// RunInvalidations is the contract of [contacts.Invalidations] and of the ledger's part in it.
// The outage is that of the whole store, so that open has to return a new one.
func RunInvalidations(t *testing.T, open func(t *testing.T) InvalidatingStore) {
	store := open(t)
	t.Run("Erase", func(t *testing.T) { testEraseWithoutCache(t, store) })
	l := &ledger{t: t, Store: store, tenant: NewTenant()}
	down := func(context.Context, []contacts.Document, []contacts.OperationKey) error {
		return fmt.Errorf("frozen: %w", contacts.ErrCacheDown)
	}
	requirePending := func(wantOutage bool, want ...contacts.Document) {
		t.Helper()
		outage, pending, err := store.PendingInvalidations(t.Context(), 100)
		require.NoError(t, err)
		require.Equal(t, wantOutage, outage)
		for i := range want {
			want[i] = contacts.Document{Tenant: l.tenant, ID: want[i].ID, Version: want[i].Version}
		}
		require.ElementsMatch(t, want, pending)
	}
	requirePending(false)

	began := time.Now()
	create := CreateCommand(t, l.tenant, Jane(t))
	// The first one has stood still since it looked at its clock: the outage counts from when
	// others can know of it.
	for _, now := range []time.Time{began.Add(-time.Hour), began, began.Add(contacts.TrustLimit / 2)} {
		_, err := l.Apply(t.Context(), []contacts.Command{create}, now, down)
		require.ErrorIs(t, err, contacts.ErrDown, "somebody may still trust the cache")
		require.Equal(t, contacts.Absent, l.document(create.Contact).State)
		requirePending(true)
		require.NoError(t, store.RemoveInvalidations(t.Context(), nil, now))
		// others reach the cache, and must not end the outage before this worker could write
		requirePending(true)
	}
	later := time.Now().Add(contacts.TrustLimit)
	outcomes, err := l.Apply(t.Context(), []contacts.Command{create}, later, down)
	require.NoError(t, err)
	first := outcomes[0].Current
	requirePending(true, first)

	merge := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`)
	outcomes, err = l.Apply(t.Context(), []contacts.Command{merge}, later, down)
	require.NoError(t, err)
	second := outcomes[0].Current
	paid := later.Add(contacts.OutageLinger)
	require.NoError(t, store.RemoveInvalidations(t.Context(), []contacts.Document{first}, paid))
	requirePending(true, second)
	require.NoError(t, store.RemoveInvalidations(t.Context(), []contacts.Document{second}, paid))
	requirePending(true) // none is pending, but one was just now
	require.NoError(t, store.RemoveInvalidations(t.Context(), nil, paid.Add(contacts.OutageLinger/2)))
	requirePending(true)
	over := paid.Add(contacts.OutageLinger + time.Second)
	require.NoError(t, store.RemoveInvalidations(t.Context(), nil, over))
	requirePending(false)

	again := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"K"}`)
	_, err = l.Apply(t.Context(), []contacts.Command{again}, later, down)
	require.ErrorIs(t, err, contacts.ErrDown, "another outage is declared anew")
	require.NoError(t, store.RemoveInvalidations(t.Context(), nil, over.Add(contacts.TrustLimit)))
	requirePending(false)

	require.ErrorContains(t, store.AddInvalidations(t.Context(), []contacts.Document{{ID: NewID(t), Version: 1}}), "tenant")
	// Of what was committed the cache could not be told: that is pending from now on, whether
	// or not there is an outage.
	third := l.apply(again).Current
	now := time.Now()
	require.NoError(t, store.AddInvalidations(t.Context(), []contacts.Document{third}))
	requirePending(true, third)
	other := l.apply(CreateCommand(t, l.tenant, Jane(t))).Current
	require.NoError(t, store.AddInvalidations(t.Context(), []contacts.Document{second, other}))
	requirePending(true, third, other) // the older version comes late, and is not pending
	require.NoError(t, store.RemoveInvalidations(t.Context(), []contacts.Document{second, other}, now))
	requirePending(true, third)
	require.NoError(t, store.RemoveInvalidations(t.Context(), []contacts.Document{third}, now))
	require.NoError(t, store.RemoveInvalidations(t.Context(), nil, now.Add(contacts.OutageLinger+time.Second)))
	requirePending(true) // not all readers can know of it yet
	last := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"L"}`)
	_, err = l.Apply(t.Context(), []contacts.Command{last}, now, down)
	require.ErrorIs(t, err, contacts.ErrDown)
	_, err = l.Apply(t.Context(), []contacts.Command{last}, now.Add(contacts.TrustLimit+time.Minute), down)
	require.NoError(t, err, "it is an outage as any other")
}

// RunStore is the contract of [contacts.Repository] and [contacts.Ledger]. Every case works in
// tenants of its own, so that open may return the same store each time.
func RunStore(t *testing.T, open func(t *testing.T) Store) {
	for name, test := range map[string]func(*testing.T, *ledger){
		"Absent":                   testAbsent,
		"Lifecycle":                testLifecycle,
		"EveryField":               testEveryField,
		"Merge":                    testMergeKeepsTheRest,
		"Announce":                 testAnnounce,
		"AnnounceFails":            testAnnounceFails,
		"Replay":                   testReplay,
		"ReplayOfCreate":           testReplayOfCreate,
		"ReplayOfFailure":          testReplayOfFailure,
		"ReplayInBatch":            testReplayInBatch,
		"IfMatch":                  testIfMatch,
		"Deleted":                  testDeleted,
		"Erase":                    testErase,
		"EraseDeleted":             testEraseDeleted,
		"EraseAbsent":              testEraseAbsent,
		"EraseInBatch":             testEraseInBatch,
		"EraseOvertakesUpserts":    testEraseOvertakesUpserts,
		"ExternalID":               testExternalID,
		"ExternalIDWithinBatch":    testExternalIDWithinBatch,
		"Tenants":                  testTenants,
		"NoTenant":                 testNoTenant,
		"LargeBatch":               testLargeBatch,
		"Lists":                    testLists,
		"CancelledChangesNothing":  testCancelled,
		"ConcurrentSameContact":    testConcurrentSameContact,
		"ConcurrentSameOperation":  testConcurrentSameOperation,
		"ConcurrentSameExternalID": testConcurrentSameExternalID,
		"Unchanged":                testUnchanged,
		"Upsert":                   testUpsert,
		"ConcurrentUpserts":        testConcurrentUpserts,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, &ledger{t: t, Store: open(t), tenant: NewTenant()})
		})
	}
}

// ledger is a store as seen by one case.
type ledger struct {
	Store
	t      *testing.T
	tenant contacts.Tenant
}

// apply applies one command and returns its outcome.
func (l *ledger) apply(command contacts.Command) contacts.Outcome {
	l.t.Helper()
	outcomes, err := l.Apply(l.t.Context(), []contacts.Command{command}, time.Now(), nil)
	require.NoError(l.t, err)
	require.Len(l.t, outcomes, 1)
	return outcomes[0]
}

func (l *ledger) create(fields contacts.Fields) contacts.Command {
	l.t.Helper()
	command := CreateCommand(l.t, l.tenant, fields)
	require.Equal(l.t, contacts.Succeeded, l.apply(command).Operation.Status)
	return command
}

func (l *ledger) document(id uuid.UUID) contacts.Document {
	l.t.Helper()
	document, err := l.Document(l.t.Context(), l.tenant, id)
	require.NoError(l.t, err)
	return document
}

func (l *ledger) operation(id uuid.UUID) contacts.Operation {
	l.t.Helper()
	operation, found, err := l.Operation(l.t.Context(), l.tenant, id)
	require.NoError(l.t, err)
	require.True(l.t, found)
	return operation
}

func testAbsent(t *testing.T, l *ledger) {
	id := NewID(t)
	require.Equal(t, contacts.Document{Tenant: l.tenant, ID: id, State: contacts.Absent}, l.document(id))
	_, found, err := l.Operation(t.Context(), l.tenant, id)
	require.NoError(t, err)
	require.False(t, found)
}

func testLifecycle(t *testing.T, l *ledger) {
	create := CreateCommand(t, l.tenant, Jane(t))
	created := l.apply(create)
	require.EqualValues(t, 1, created.Operation.Version)
	require.Equal(t, contacts.Live, created.Current.State)
	require.Equal(t, created.Current, l.document(create.Contact), "the outcome's bytes are the reader's")
	require.Equal(t, created.Operation, l.operation(create.Operation))
	require.Equal(t, string(created.Current.JSON), string(created.Operation.Document))

	replace := NewCommand(t, contacts.Replace, l.tenant, create.Contact)
	replace.Fields = Full(t)
	replaced := l.apply(replace)
	require.EqualValues(t, 2, replaced.Operation.Version)
	require.Equal(t, replaced.Current, l.document(create.Contact))

	remove := NewCommand(t, contacts.Delete, l.tenant, create.Contact)
	removed := l.apply(remove)
	require.EqualValues(t, 3, removed.Operation.Version)
	require.Nil(t, removed.Operation.Document)
	require.Equal(t, contacts.Document{Tenant: l.tenant, ID: create.Contact, Version: 3, State: contacts.Gone}, l.document(create.Contact))
	require.Equal(t, created.Operation, l.operation(create.Operation), "an operation keeps its own version's document")
}

func testEveryField(t *testing.T, l *ledger) {
	fields := Full(t)
	create := CreateCommand(t, l.tenant, fields)
	created := l.apply(create)
	want, err := contacts.Contact{
		Tenant: l.tenant, ID: create.Contact, Version: 1, Fields: fields,
		CreatedAt: created.Operation.EndedAt, UpdatedAt: created.Operation.EndedAt,
	}.Document()
	require.NoError(t, err)
	require.Equal(t, string(want.JSON), string(created.Current.JSON))
	require.Equal(t, string(want.JSON), string(l.document(create.Contact).JSON))
	merged := l.apply(MergeCommand(t, l.tenant, create.Contact, `{"notes":"other"}`))
	fields.Notes = "other"
	want, err = contacts.Contact{
		Tenant: l.tenant, ID: create.Contact, Version: 2, Fields: fields,
		CreatedAt: created.Operation.EndedAt, UpdatedAt: merged.Operation.EndedAt,
	}.Document()
	require.NoError(t, err)
	require.Equal(t, string(want.JSON), string(l.document(create.Contact).JSON))
}

func testMergeKeepsTheRest(t *testing.T, l *ledger) {
	id := l.create(Jane(t)).Contact
	l.apply(MergeCommand(t, l.tenant, id, `{"nickname":"J"}`))
	outcome := l.apply(MergeCommand(t, l.tenant, id, `{"email":"j@example.org","phone":null}`))
	require.EqualValues(t, 3, outcome.Current.Version)
	require.Contains(t, string(outcome.Current.JSON), `"nickname":"J"`)
	require.Contains(t, string(outcome.Current.JSON), `"emails":[{"address":"j@example.org"}]`)
	require.NotContains(t, string(outcome.Current.JSON), "phone")

	emptied := l.apply(MergeCommand(t, l.tenant, id, `{"first_name":null,"last_name":null,"nickname":null,"email":null}`))
	require.Equal(t, contacts.Failed, emptied.Operation.Status)
	require.Equal(t, contacts.KindInvalid, emptied.Operation.Problem.Kind)
	require.EqualValues(t, 3, l.document(id).Version)
}

func testAnnounce(t *testing.T, l *ledger) {
	create, missing := CreateCommand(t, l.tenant, Jane(t)), NewCommand(t, contacts.Delete, l.tenant, NewID(t))
	var announced [][]contacts.Document
	announce := func(_ context.Context, documents []contacts.Document, _ []contacts.OperationKey) error {
		announced = append(announced, documents)
		return nil
	}
	outcomes, err := l.Apply(t.Context(), []contacts.Command{create, missing}, time.Now(), announce)
	require.NoError(t, err)
	require.Equal(t, [][]contacts.Document{{outcomes[0].Current}}, announced, "what is made, and only that")
	require.False(t, outcomes[0].Again)
	outcomes, err = l.Apply(t.Context(), []contacts.Command{create}, time.Now(), announce)
	require.NoError(t, err)
	require.True(t, outcomes[0].Again)
	require.Len(t, announced, 1, "a replay makes nothing")
	remove := NewCommand(t, contacts.Delete, l.tenant, create.Contact)
	outcomes, err = l.Apply(t.Context(), []contacts.Command{remove}, time.Now(), announce)
	require.NoError(t, err)
	require.Equal(t, outcomes[0].Current, announced[1][0])
}

func testAnnounceFails(t *testing.T, l *ledger) {
	create := CreateCommand(t, l.tenant, Jane(t))
	failure := errors.New("not now")
	_, err := l.Apply(t.Context(), []contacts.Command{create}, time.Now(),
		func(context.Context, []contacts.Document, []contacts.OperationKey) error { return failure })
	require.ErrorIs(t, err, failure)
	require.Equal(t, contacts.Absent, l.document(create.Contact).State)
	_, found, err := l.Operation(t.Context(), l.tenant, create.Operation)
	require.NoError(t, err)
	require.False(t, found, "the transaction was undone, and can be tried again")
	require.Equal(t, contacts.Succeeded, l.apply(create).Operation.Status)
}

func testReplay(t *testing.T, l *ledger) {
	create := l.create(Jane(t))
	merge := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`)
	first := l.apply(merge)
	l.apply(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"K"}`))

	again := l.apply(merge)
	require.Equal(t, first.Operation, again.Operation)
	require.EqualValues(t, 3, again.Current.Version, "the cache is to be given what is current, not what was")
	require.EqualValues(t, 3, l.document(create.Contact).Version)
}

func testReplayOfCreate(t *testing.T, l *ledger) {
	create := l.create(Jane(t))
	retry := create
	retry.Contact = NewID(t)
	again := l.apply(retry)
	require.Equal(t, create.Contact, again.Operation.Contact, "the first command to be applied decides the id")
	require.Equal(t, contacts.Absent, again.Current.State)
	require.Equal(t, contacts.Absent, l.document(retry.Contact).State)
}

func testReplayOfFailure(t *testing.T, l *ledger) {
	remove := NewCommand(t, contacts.Delete, l.tenant, NewID(t))
	first := l.apply(remove)
	require.Equal(t, contacts.Failed, first.Operation.Status)
	require.Equal(t, contacts.KindNotFound, first.Operation.Problem.Kind)
	require.Equal(t, first.Operation, l.operation(remove.Operation))
	require.Equal(t, first.Operation, l.apply(remove).Operation)
}

func testReplayInBatch(t *testing.T, l *ledger) {
	applied := l.create(Jane(t))
	fresh := CreateCommand(t, l.tenant, Jane(t))
	outcomes, err := l.Apply(t.Context(), []contacts.Command{fresh, applied}, time.Now(), nil)
	require.NoError(t, err)
	require.Equal(t, fresh.Operation, outcomes[0].Operation.ID)
	require.Equal(t, applied.Operation, outcomes[1].Operation.ID)
	require.EqualValues(t, 1, l.document(applied.Contact).Version)
	require.EqualValues(t, 1, l.document(fresh.Contact).Version)
}

func testIfMatch(t *testing.T, l *ledger) {
	create := l.create(Jane(t))
	stale := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`)
	stale.IfMatch = []int64{7, 8}
	outcome := l.apply(stale)
	require.Equal(t, contacts.Failed, outcome.Operation.Status)
	require.Equal(t, contacts.KindStaleVersion, outcome.Operation.Problem.Kind)
	require.EqualValues(t, 1, outcome.Operation.Problem.CurrentVersion)

	right := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`)
	right.IfMatch = []int64{7, 1}
	require.EqualValues(t, 2, l.apply(right).Operation.Version)
}

func testDeleted(t *testing.T, l *ledger) {
	create := l.create(Jane(t))
	l.apply(NewCommand(t, contacts.Delete, l.tenant, create.Contact))
	for _, command := range []contacts.Command{
		MergeCommand(t, l.tenant, create.Contact, `{"nickname":"J"}`),
		NewCommand(t, contacts.Delete, l.tenant, create.Contact),
		{Operation: NewID(t), Tenant: l.tenant, Contact: create.Contact, Kind: contacts.Replace, Fields: Jane(t)},
	} {
		outcome := l.apply(command)
		require.Equal(t, contacts.KindNotFound, outcome.Operation.Problem.Kind)
		require.Equal(t, contacts.Gone, outcome.Current.State)
	}
	again := create
	again.Operation = NewID(t)
	require.Equal(t, contacts.Failed, l.apply(again).Operation.Status, "an id is never used twice")
	require.EqualValues(t, 2, l.document(create.Contact).Version)
}

func testExternalID(t *testing.T, l *ledger) {
	fields := Jane(t)
	fields.ExternalID = "crm-1"
	holder := l.create(fields)
	other := l.create(Jane(t))

	for _, command := range []contacts.Command{
		CreateCommand(t, l.tenant, fields),
		MergeCommand(t, l.tenant, other.Contact, `{"external_id":"crm-1"}`),
	} {
		outcome := l.apply(command)
		require.Equal(t, contacts.Failed, outcome.Operation.Status)
		require.Equal(t, contacts.KindDuplicateExternalID, outcome.Operation.Problem.Kind)
		require.Equal(t, holder.Contact.String(), outcome.Operation.Problem.Contact)
	}
	keep := NewCommand(t, contacts.Replace, l.tenant, holder.Contact)
	keep.Fields = fields
	require.Equal(t, contacts.Succeeded, l.apply(keep).Operation.Status, "a contact may keep its own")

	l.apply(NewCommand(t, contacts.Delete, l.tenant, holder.Contact))
	outcome := l.apply(MergeCommand(t, l.tenant, other.Contact, `{"external_id":"crm-1"}`))
	require.Equal(t, contacts.Succeeded, outcome.Operation.Status, "a deleted contact holds none")
}

func testExternalIDWithinBatch(t *testing.T, l *ledger) {
	fields := Jane(t)
	fields.ExternalID = "crm-1"
	first, second := CreateCommand(t, l.tenant, fields), CreateCommand(t, l.tenant, fields)
	outcomes, err := l.Apply(t.Context(), []contacts.Command{first, second}, time.Now(), nil)
	require.NoError(t, err)
	require.Equal(t, contacts.Succeeded, outcomes[0].Operation.Status)
	require.Equal(t, contacts.KindDuplicateExternalID, outcomes[1].Operation.Problem.Kind)
	require.Equal(t, first.Contact.String(), outcomes[1].Operation.Problem.Contact)
}

func testTenants(t *testing.T, l *ledger) {
	mine := l.create(Full(t))
	theirs := mine // the same contact id, operation id and external id, of another tenant
	theirs.Tenant = NewTenant()
	theirs.Fields.FirstName = "Other"
	both := []contacts.Command{MergeCommand(t, l.tenant, mine.Contact, `{"nickname":"J"}`), theirs}
	outcomes, err := l.Apply(t.Context(), both, time.Now(), nil)
	require.NoError(t, err)
	require.EqualValues(t, 2, outcomes[0].Operation.Version)
	require.EqualValues(t, 1, outcomes[1].Operation.Version)
	require.NotContains(t, string(l.document(mine.Contact).JSON), "Other")

	stranger := NewTenant()
	document, err := l.Document(t.Context(), stranger, mine.Contact)
	require.NoError(t, err)
	require.Equal(t, contacts.Absent, document.State)
	_, found, err := l.Operation(t.Context(), stranger, mine.Operation)
	require.NoError(t, err)
	require.False(t, found)
	page, err := l.List(t.Context(), stranger, contacts.Query{Sort: contacts.SortCreated, Limit: 10})
	require.NoError(t, err)
	require.Empty(t, page.Items)
}

// Nothing is asked, and nothing done, but for a tenant.
func testNoTenant(t *testing.T, l *ledger) {
	create := l.create(Jane(t))
	for _, tenant := range []contacts.Tenant{"", " ", l.tenant + " other"} {
		require.Error(t, tenant.Validate())
		_, err := l.Document(t.Context(), tenant, create.Contact)
		require.ErrorContains(t, err, "tenant")
		_, _, err = l.Operation(t.Context(), tenant, create.Operation)
		require.ErrorContains(t, err, "tenant")
		_, err = l.List(t.Context(), tenant, contacts.Query{Sort: contacts.SortCreated, Limit: 10})
		require.ErrorContains(t, err, "tenant")
		valid, invalid := CreateCommand(t, l.tenant, Jane(t)), CreateCommand(t, tenant, Jane(t))
		_, err = l.Apply(t.Context(), []contacts.Command{valid, invalid}, time.Now(), nil)
		require.ErrorContains(t, err, "tenant")
		require.NotErrorIs(t, err, contacts.ErrDown)
		require.NotErrorIs(t, err, contacts.ErrTransient)
		require.Equal(t, contacts.Absent, l.document(valid.Contact).State)
	}
}

func testLargeBatch(t *testing.T, l *ledger) {
	const size = 500
	commands := make([]contacts.Command, size)
	for i := range commands {
		commands[i] = CreateCommand(t, l.tenant, Jane(t))
	}
	outcomes, err := l.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
	for i := range commands {
		require.Equal(t, commands[i].Operation, outcomes[i].Operation.ID)
		commands[i] = MergeCommand(t, l.tenant, commands[i].Contact, fmt.Sprintf(`{"nickname":"N%d"}`, i))
	}
	outcomes, err = l.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
	for i, outcome := range outcomes {
		require.EqualValues(t, 2, outcome.Current.Version)
		require.Contains(t, string(l.document(commands[i].Contact).JSON), fmt.Sprintf(`"nickname":"N%d"`, i))
	}
}

func testCancelled(t *testing.T, l *ledger) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	create := CreateCommand(t, l.tenant, Jane(t))
	_, err := l.Apply(ctx, []contacts.Command{create}, time.Now(), nil)
	require.Error(t, err)
	require.Equal(t, contacts.Absent, l.document(create.Contact).State)
	// a cache may answer all the same
	if _, err = l.Document(ctx, l.tenant, create.Contact); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
}

// applyUntilDone applies a command as a worker does: transient errors are tried again.
func (l *ledger) applyUntilDone(command contacts.Command) (contacts.Outcome, error) {
	for {
		outcomes, err := l.Apply(l.t.Context(), []contacts.Command{command}, time.Now(), nil)
		if err == nil {
			return outcomes[0], nil
		}
		if !errors.Is(err, contacts.ErrTransient) {
			return contacts.Outcome{}, err
		}
	}
}

// concurrently applies the commands at the same time and returns their outcomes.
func (l *ledger) concurrently(commands []contacts.Command) []contacts.Outcome {
	l.t.Helper()
	outcomes, errs := make([]contacts.Outcome, len(commands)), make([]error, len(commands))
	var all sync.WaitGroup
	for i, command := range commands {
		all.Go(func() { outcomes[i], errs[i] = l.applyUntilDone(command) })
	}
	all.Wait()
	require.NoError(l.t, errors.Join(errs...))
	return outcomes
}

func testConcurrentSameContact(t *testing.T, l *ledger) {
	const writers = 16
	id := l.create(Jane(t)).Contact
	commands := make([]contacts.Command, writers)
	for i := range commands {
		commands[i] = MergeCommand(t, l.tenant, id, fmt.Sprintf(`{"custom_fields":{"n%d":"x"}}`, i))
	}
	versions := map[int64]bool{}
	for _, outcome := range l.concurrently(commands) {
		versions[outcome.Operation.Version] = true
	}
	require.Len(t, versions, writers, "no version is made twice")
	document := l.document(id)
	require.EqualValues(t, writers+1, document.Version)
	for i := range commands {
		require.Contains(t, string(document.JSON), fmt.Sprintf(`"n%d":"x"`, i))
	}
}

func testConcurrentSameOperation(t *testing.T, l *ledger) {
	first := CreateCommand(t, l.tenant, Jane(t))
	commands := make([]contacts.Command, 8)
	for i := range commands {
		commands[i] = first
		commands[i].Contact = NewID(t)
	}
	outcomes := l.concurrently(commands)
	page, err := l.List(t.Context(), l.tenant, contacts.Query{Sort: contacts.SortCreated, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	for _, outcome := range outcomes {
		require.Equal(t, page.Items[0].ID, outcome.Operation.Contact)
	}
}

func testConcurrentSameExternalID(t *testing.T, l *ledger) {
	fields := Jane(t)
	fields.ExternalID = "crm-1"
	commands := make([]contacts.Command, 8)
	for i := range commands {
		commands[i] = CreateCommand(t, l.tenant, fields)
	}
	succeeded := 0
	for _, outcome := range l.concurrently(commands) {
		if outcome.Operation.Status == contacts.Succeeded {
			succeeded++
		} else {
			require.Equal(t, contacts.KindDuplicateExternalID, outcome.Operation.Problem.Kind)
		}
	}
	require.Equal(t, 1, succeeded)
}

// A write that changes nothing succeeds with the version that there is, and its answer stays
// the same.
func testUnchanged(t *testing.T, l *ledger) {
	create := l.create(Full(t))
	first := l.document(create.Contact)
	merge := MergeCommand(t, l.tenant, create.Contact, `{"labels":["vip","peru","VIP"]}`)
	replace := NewCommand(t, contacts.Replace, l.tenant, create.Contact)
	replace.Fields = create.Fields
	for _, unchanged := range []contacts.Command{merge, replace} {
		outcome := l.apply(unchanged)
		require.Equal(t, contacts.Succeeded, outcome.Operation.Status)
		require.EqualValues(t, 1, outcome.Operation.Version)
		require.Equal(t, first, outcome.Current)
	}
	l.apply(MergeCommand(t, l.tenant, create.Contact, `{"nickname":"other"}`))
	require.EqualValues(t, 2, l.document(create.Contact).Version)
	for _, unchanged := range []contacts.Command{merge, replace} {
		again := l.apply(unchanged)
		require.True(t, again.Again)
		require.Equal(t, string(first.JSON), string(again.Operation.Document))
		require.Equal(t, string(first.JSON), string(l.operation(unchanged.Operation).Document))
	}
}

// upsertCommand returns the command that creates or replaces the contact with an external id.
func upsertCommand(t *testing.T, tenant contacts.Tenant, externalID, name string) contacts.Command {
	t.Helper()
	command := NewCommand(t, contacts.Upsert, tenant, NewID(t))
	command.Fields = Normalize(t, contacts.Fields{FirstName: name, ExternalID: externalID})
	return command
}

func testUpsert(t *testing.T, l *ledger) {
	apply := func(command contacts.Command, kind contacts.CommandKind, contact uuid.UUID, version int64) {
		t.Helper()
		outcome := l.apply(command)
		require.Equal(t, contacts.Succeeded, outcome.Operation.Status, "%v", outcome.Operation.Problem)
		require.Equal(t, kind, outcome.Operation.Kind)
		require.Equal(t, contact, outcome.Operation.Contact)
		require.Equal(t, version, outcome.Operation.Version)
		require.Equal(t, l.document(contact), outcome.Current)
		require.Equal(t, outcome.Operation, l.operation(command.Operation))
	}
	first := upsertCommand(t, l.tenant, "crm-1", "One")
	apply(first, contacts.Create, first.Contact, 1)
	second := upsertCommand(t, l.tenant, "crm-1", "Two")
	apply(second, contacts.Replace, first.Contact, 2)
	require.Equal(t, contacts.Absent, l.document(second.Contact).State)
	require.True(t, l.apply(second).Again)
	apply(upsertCommand(t, l.tenant, "crm-1", "Two"), contacts.Replace, first.Contact, 2)

	other := upsertCommand(t, l.tenant, "CRM-1", "Other") // another id
	apply(other, contacts.Create, other.Contact, 1)
	theirs := upsertCommand(t, NewTenant(), "crm-1", "Theirs")
	require.Equal(t, contacts.Create, l.apply(theirs).Operation.Kind)

	l.apply(MergeCommand(t, l.tenant, first.Contact, `{"external_id":"crm-2"}`))
	third := upsertCommand(t, l.tenant, "crm-1", "Three")
	apply(third, contacts.Create, third.Contact, 1)
	apply(upsertCommand(t, l.tenant, "crm-2", "Two again"), contacts.Replace, first.Contact, 4)
	l.apply(NewCommand(t, contacts.Delete, l.tenant, third.Contact))
	fourth := upsertCommand(t, l.tenant, "crm-1", "Four")
	apply(fourth, contacts.Create, fourth.Contact, 1)

	batch := []contacts.Command{upsertCommand(t, l.tenant, "crm-1", "Five"), upsertCommand(t, l.tenant, "crm-2", "Five"), upsertCommand(t, l.tenant, "crm-3", "Five")}
	outcomes, err := l.Apply(t.Context(), batch, time.Now(), nil)
	require.NoError(t, err)
	require.Equal(t, fourth.Contact, outcomes[0].Operation.Contact)
	require.Equal(t, first.Contact, outcomes[1].Operation.Contact)
	require.Equal(t, batch[2].Contact, outcomes[2].Operation.Contact)
}

// Upserts and creates of one external id, from several workers, make one contact. One that
// meets another's commit is tried again.
func testConcurrentUpserts(t *testing.T, l *ledger) {
	fields := Jane(t)
	fields.ExternalID = "crm-1"
	commands := []contacts.Command{CreateCommand(t, l.tenant, fields)}
	for i := range 8 {
		commands = append(commands, upsertCommand(t, l.tenant, "crm-1", fmt.Sprint("Jane ", i)))
	}
	holders, last := map[uuid.UUID]bool{}, int64(0)
	for i, outcome := range l.concurrently(commands) {
		if i == 0 && outcome.Operation.Status == contacts.Failed {
			require.Equal(t, contacts.KindDuplicateExternalID, outcome.Operation.Problem.Kind)
			continue
		}
		require.Equal(t, contacts.Succeeded, outcome.Operation.Status)
		holders[outcome.Operation.Contact] = true
		last = max(last, outcome.Operation.Version)
	}
	require.Len(t, holders, 1)
	require.GreaterOrEqual(t, last, int64(8))
}
