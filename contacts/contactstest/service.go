package contactstest

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// RunService is what every caller can rely on, in every mode. The cases share
// the client's tenant.
func RunService(t *testing.T, client Client) {
	for name, test := range map[string]func(*testing.T, Client){
		"CreateAndRead":             createAndRead,
		"EveryField":                everyField,
		"ReplaceMergeDelete":        replaceMergeDelete,
		"IfMatch":                   ifMatch,
		"Invalid":                   invalidInput,
		"Unknown":                   unknownIDs,
		"ReadsItsOwnWrites":         readsItsOwnWrites,
		"Async":                     async,
		"AsyncKeepsOrder":           asyncKeepsOrder,
		"AsyncRetry":                asyncRetry,
		"FailedOperation":           failedOperation,
		"Retry":                     retry,
		"ConcurrentRetries":         concurrentRetries,
		"KeyReused":                 keyReused,
		"ConcurrentMergesBothCount": concurrentMerges,
		"ExternalID":                externalID,
		"Upsert":                    upsert,
		"ConcurrentUpserts":         concurrentUpserts,
		"AsyncUpsertsKeepOrder":     asyncUpsertsKeepOrder,
		"Unchanged":                 unchanged,
		"Erase":                     eraseContact,
		"EraseDeleted":              eraseDeleted,
		"ListIsComplete":            listIsComplete,
		"Search":                    search,
	} {
		t.Run(name, func(t *testing.T) { test(t, client) })
	}
}

// patience is how long the suite waits for a write: far longer than it takes, so that a slow
// machine fails no test.
const patience = 30 * time.Second

// waiting is a write that is waited for.
func waiting() contacts.Write { return contacts.Write{Wait: patience} }

// must returns the operation of a write that has to succeed.
func must(t *testing.T) func(contacts.Operation, error) contacts.Operation {
	t.Helper()
	return func(operation contacts.Operation, err error) contacts.Operation {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, contacts.Succeeded, operation.Status)
		return operation
	}
}

// ended waits for an operation that was answered with "pending".
func ended(t *testing.T, client Client, id uuid.UUID) contacts.Operation {
	t.Helper()
	var operation contacts.Operation
	require.Eventually(t, func() bool {
		var err error
		operation, err = client.Operation(t.Context(), id)
		require.NoError(t, err, "an accepted operation is known from then on")
		return operation.Status != contacts.Pending
	}, patience, 5*time.Millisecond)
	return operation
}

func requireKind(t *testing.T, kind contacts.Kind, err error) {
	t.Helper()
	problemOf(t, kind, err)
}

// problemOf returns the problem that err has to be.
func problemOf(t *testing.T, kind contacts.Kind, err error) contacts.Error {
	t.Helper()
	var e *contacts.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, kind, e.Kind, "%v", err)
	return *e
}

func createAndRead(t *testing.T, client Client) {
	made := must(t)(client.Create(t.Context(), contacts.Fields{
		FirstName: "Jane", LastName: "Doe", Email: "jane@example.com", Phone: "987654321",
	}, waiting()))
	require.EqualValues(t, 1, made.Version)
	document, err := client.Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 1, document.Version)
	require.Equal(t, string(made.Document), string(document.JSON), "what was answered is what is read")
	for _, member := range []string{
		`"first_name":"Jane"`, `"last_name":"Doe"`, `"display_name":"Jane Doe"`, `"email":"jane@example.com"`, `"phone":"987654321"`,
		`"emails":[{"address":"jane@example.com"}]`, `"phones":[{"number":"987654321"}]`,
	} {
		require.Contains(t, string(document.JSON), member)
	}
}

func everyField(t *testing.T, client Client) {
	fields := Full(t)
	made := must(t)(client.Create(t.Context(), fields, waiting()))
	want, err := contacts.Encode(fields)
	require.NoError(t, err)
	document, err := client.Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.Contains(t, string(document.JSON), string(want[1:]), "every member, to the letter")
}

func replaceMergeDelete(t *testing.T, client Client) {
	id := must(t)(client.Create(t.Context(), Full(t), waiting())).Contact
	replaced := must(t)(client.Replace(t.Context(), id, Jane(t), waiting()))
	require.EqualValues(t, 2, replaced.Version)
	require.NotContains(t, string(replaced.Document), "notes")

	merged := must(t)(client.Merge(t.Context(), id, contacts.Patch(`{"nickname":"J","phone":null}`), waiting()))
	require.EqualValues(t, 3, merged.Version)
	require.Contains(t, string(merged.Document), `"nickname":"J"`)
	require.NotContains(t, string(merged.Document), "987654321")
	document, err := client.Get(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, string(merged.Document), string(document.JSON))

	must(t)(client.Delete(t.Context(), id, waiting()))
	_, err = client.Get(t.Context(), id)
	requireKind(t, contacts.KindNotFound, err)
	_, err = client.Delete(t.Context(), id, waiting())
	requireKind(t, contacts.KindNotFound, err)
	_, err = client.Replace(t.Context(), id, Jane(t), waiting())
	requireKind(t, contacts.KindNotFound, err)
}

func ifMatch(t *testing.T, client Client) {
	id := must(t)(client.Create(t.Context(), Jane(t), waiting())).Contact
	right, wrong := waiting(), waiting()
	right.IfMatch, wrong.IfMatch = []int64{1}, []int64{1, 9}
	must(t)(client.Merge(t.Context(), id, contacts.Patch(`{"nickname":"J"}`), right))
	for _, write := range []func() (contacts.Operation, error){
		func() (contacts.Operation, error) {
			return client.Merge(t.Context(), id, contacts.Patch(`{"nickname":"K"}`), wrong)
		},
		func() (contacts.Operation, error) { return client.Replace(t.Context(), id, Jane(t), wrong) },
		func() (contacts.Operation, error) { return client.Delete(t.Context(), id, wrong) },
	} {
		_, err := write()
		require.EqualValues(t, 2, problemOf(t, contacts.KindStaleVersion, err).CurrentVersion)
	}
}

func invalidInput(t *testing.T, client Client) {
	_, err := client.Create(t.Context(), contacts.Fields{Email: "nobody", Birthday: "1985-02-29"}, waiting())
	pointers := []string{}
	for _, v := range problemOf(t, contacts.KindInvalid, err).Violations {
		pointers = append(pointers, v.Pointer)
	}
	require.ElementsMatch(t, []string{"/email", "/birthday"}, pointers)

	id := must(t)(client.Create(t.Context(), contacts.Fields{FirstName: "Jane"}, waiting())).Contact
	_, err = client.Merge(t.Context(), id, contacts.Patch(`{"first_name":null}`), waiting())
	requireKind(t, contacts.KindInvalid, err)
	_, err = client.List(t.Context(), contacts.Filter{}, 10, "no cursor")
	require.Equal(t, "cursor", problemOf(t, contacts.KindInvalid, err).Violations[0].Pointer)
}

func unknownIDs(t *testing.T, client Client) {
	_, err := client.Get(t.Context(), NewID(t))
	requireKind(t, contacts.KindNotFound, err)
	_, err = client.Merge(t.Context(), NewID(t), contacts.Patch(`{"nickname":"J"}`), waiting())
	requireKind(t, contacts.KindNotFound, err)
	_, err = client.Operation(t.Context(), NewID(t))
	requireKind(t, contacts.KindNotFound, err)
}

func readsItsOwnWrites(t *testing.T, client Client) {
	id := must(t)(client.Create(t.Context(), Jane(t), waiting())).Contact
	for i := range 25 {
		write := must(t)(client.Merge(t.Context(), id, contacts.Patch(fmt.Sprintf(`{"nickname":"N%d"}`, i)), waiting()))
		document, err := client.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, write.Version, document.Version)
		require.Contains(t, string(document.JSON), fmt.Sprintf(`"nickname":"N%d"`, i))
	}
}

func async(t *testing.T, client Client) {
	accepted, err := client.Create(t.Context(), Jane(t), contacts.Write{})
	require.NoError(t, err)
	require.Equal(t, contacts.Pending, accepted.Status)
	made := ended(t, client, accepted.ID)
	require.Equal(t, contacts.Succeeded, made.Status)
	require.EqualValues(t, 1, made.Version)
	require.Equal(t, accepted.Contact, made.Contact, "the contact is named before it is there")
	_, err = client.Get(t.Context(), made.Contact)
	require.NoError(t, err)
}

func asyncRetry(t *testing.T, client Client) {
	write := contacts.Write{IdempotencyKey: uuid.NewString()}
	first, err := client.Create(t.Context(), Jane(t), write)
	require.NoError(t, err)
	for range 3 {
		again, err := client.Create(t.Context(), Jane(t), write)
		require.NoError(t, err)
		require.Equal(t, first.Contact, again.Contact)
	}
	require.Equal(t, first.Contact, ended(t, client, first.ID).Contact)
	_, err = client.Get(t.Context(), first.Contact)
	require.NoError(t, err)
}

func asyncKeepsOrder(t *testing.T, client Client) {
	id := must(t)(client.Create(t.Context(), Jane(t), waiting())).Contact
	const writes = 20
	var last contacts.Operation
	for i := range writes {
		var err error
		last, err = client.Merge(t.Context(), id, contacts.Patch(fmt.Sprintf(`{"nickname":"N%d"}`, i)), contacts.Write{})
		require.NoError(t, err)
	}
	require.EqualValues(t, writes+1, ended(t, client, last.ID).Version, "the last one sent is the last one applied")
	document, err := client.Get(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, writes+1, document.Version)
	require.Contains(t, string(document.JSON), fmt.Sprintf(`"nickname":"N%d"`, writes-1))
}

func failedOperation(t *testing.T, client Client) {
	accepted, err := client.Delete(t.Context(), NewID(t), contacts.Write{})
	require.NoError(t, err)
	failed := ended(t, client, accepted.ID)
	require.Equal(t, contacts.Failed, failed.Status)
	require.Equal(t, contacts.KindNotFound, failed.Problem.Kind)
}

func keyed() contacts.Write {
	return contacts.Write{Wait: patience, IdempotencyKey: uuid.NewString()}
}

func retry(t *testing.T, client Client) {
	write := keyed()
	first := must(t)(client.Create(t.Context(), Full(t), write))
	fields := Full(t)
	var made contacts.Representation
	require.NoError(t, json.Unmarshal(first.Document, &made))
	fields.ExternalID = made.ExternalID // the same request again
	must(t)(client.Merge(t.Context(), first.Contact, contacts.Patch(`{"nickname":"J"}`), waiting()))
	again := must(t)(client.Create(t.Context(), fields, write))
	require.Equal(t, first.Contact, again.Contact)
	require.Equal(t, string(first.Document), string(again.Document), "the same answer, though the contact has changed since")
}

func concurrentRetries(t *testing.T, client Client) {
	write := keyed()
	answers, errs := make([]contacts.Operation, 8), make([]error, 8)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i], errs[i] = client.Create(t.Context(), Jane(t), write) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, answer := range answers {
		require.Equal(t, string(answers[0].Document), string(answer.Document), "one contact, one answer")
	}
}

func keyReused(t *testing.T, client Client) {
	write := keyed()
	made := must(t)(client.Create(t.Context(), Jane(t), write))
	_, err := client.Create(t.Context(), Full(t), write)
	requireKind(t, contacts.KindKeyReused, err)
	_, err = client.Delete(t.Context(), made.Contact, write)
	requireKind(t, contacts.KindKeyReused, err)
	_, err = client.Get(t.Context(), made.Contact)
	require.NoError(t, err)
}

func concurrentMerges(t *testing.T, client Client) {
	id := must(t)(client.Create(t.Context(), Jane(t), waiting())).Contact
	const writers = 8
	errs := make([]error, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			_, errs[i] = client.Merge(t.Context(), id, contacts.Patch(fmt.Sprintf(`{"custom_fields":{"n%d":"x"}}`, i)), waiting())
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	document, err := client.Get(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, writers+1, document.Version)
	for i := range writers {
		require.Contains(t, string(document.JSON), fmt.Sprintf(`"n%d":"x"`, i))
	}
}

func externalID(t *testing.T, client Client) {
	fields := Full(t)
	holder := must(t)(client.Create(t.Context(), fields, waiting())).Contact
	_, err := client.Create(t.Context(), fields, waiting())
	require.Equal(t, holder.String(), problemOf(t, contacts.KindDuplicateExternalID, err).Contact)
	must(t)(client.Delete(t.Context(), holder, waiting()))
	must(t)(client.Create(t.Context(), fields, waiting()))
}

// unchanged writes leave the version, and what follows the changes, alone.
func unchanged(t *testing.T, client Client) {
	fields := Full(t)
	created := must(t)(client.Create(t.Context(), fields, waiting()))
	write := keyed()
	merged := must(t)(client.Merge(t.Context(), created.Contact, contacts.Patch(`{"first_name":"Zoë"}`), write))
	require.Equal(t, string(created.Document), string(merged.Document))
	replaced := must(t)(client.Replace(t.Context(), created.Contact, fields, waiting()))
	require.Equal(t, string(created.Document), string(replaced.Document))
	still := waiting()
	still.IfMatch = []int64{1}
	must(t)(client.Merge(t.Context(), created.Contact, contacts.Patch(`{"nickname":"other"}`), still))
	again := must(t)(client.Merge(t.Context(), created.Contact, contacts.Patch(`{"first_name":"Zoë"}`), write))
	require.Equal(t, string(created.Document), string(again.Document), "a retry has the same answer")
}

func upsert(t *testing.T, client Client) {
	fields := Full(t)
	id := "a/b c%2F?#é+" + fields.ExternalID
	fields.ExternalID = ""
	write := keyed()
	created := must(t)(client.Upsert(t.Context(), id, fields, write))
	require.Equal(t, contacts.Create, created.Kind)
	require.EqualValues(t, 1, created.Version)
	var made contacts.Representation
	require.NoError(t, json.Unmarshal(created.Document, &made))
	require.Equal(t, id, made.ExternalID)

	again := must(t)(client.Upsert(t.Context(), id, fields, write))
	require.Equal(t, created.Document, again.Document, "a retry")
	again = must(t)(client.Upsert(t.Context(), id, fields, waiting()))
	require.NotEqual(t, contacts.Create, again.Kind)
	require.Equal(t, created.Document, again.Document, "nothing has changed")
	fields.Nickname, fields.ExternalID = "other", id
	replaced := must(t)(client.Upsert(t.Context(), id, fields, waiting()))
	require.Equal(t, []any{created.Contact, int64(2)}, []any{replaced.Contact, replaced.Version})
	read, err := client.Get(t.Context(), created.Contact)
	require.NoError(t, err)
	require.Equal(t, replaced.Document, read.JSON)

	_, err = client.Upsert(t.Context(), id, fields, write)
	requireKind(t, contacts.KindKeyReused, err)
	_, err = client.Upsert(t.Context(), id+"2", fields, waiting())
	requireKind(t, contacts.KindInvalid, err)
	_, err = client.Upsert(t.Context(), " ", Jane(t), waiting())
	requireKind(t, contacts.KindInvalid, err)
	taken := waiting()
	_, err = client.Create(t.Context(), fields, taken)
	require.Equal(t, created.Contact.String(), problemOf(t, contacts.KindDuplicateExternalID, err).Contact)

	must(t)(client.Delete(t.Context(), created.Contact, waiting()))
	anew := must(t)(client.Upsert(t.Context(), id, fields, waiting()))
	require.NotEqual(t, created.Contact, anew.Contact)
	require.Equal(t, contacts.Create, anew.Kind)

	accepted, err := client.Upsert(t.Context(), id, Jane(t), contacts.Write{})
	require.NoError(t, err)
	require.Equal(t, contacts.Upsert, accepted.Kind)
	done := ended(t, client, accepted.ID)
	require.Equal(t, []any{contacts.Succeeded, contacts.Replace, anew.Contact}, []any{done.Status, done.Kind, done.Contact})

	must(t)(client.Erase(t.Context(), anew.Contact, waiting()))
	_, err = client.Upsert(t.Context(), id, Jane(t), write)
	requireKind(t, contacts.KindKeyReused, err)
}

// concurrentUpserts of one external id all succeed, on one contact.
func concurrentUpserts(t *testing.T, client Client) {
	const callers = 20
	id := "crm-" + uuid.NewString()
	operations, errs := make([]contacts.Operation, callers), make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			operations[i], errs[i] = client.Upsert(t.Context(), id, contacts.Fields{FirstName: fmt.Sprint("Jane ", i)}, waiting())
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	creates, versions := 0, map[int64]bool{}
	for _, operation := range operations {
		require.Equal(t, operations[0].Contact, operation.Contact)
		versions[operation.Version] = true
		if operation.Kind == contacts.Create {
			creates++
		}
	}
	require.Equal(t, 1, creates)
	require.Len(t, versions, callers)
}

func asyncUpsertsKeepOrder(t *testing.T, client Client) {
	id := "crm-" + uuid.NewString()
	var last uuid.UUID
	for i := range 30 {
		accepted, err := client.Upsert(t.Context(), id, contacts.Fields{FirstName: fmt.Sprint("Jane ", i)}, contacts.Write{})
		require.NoError(t, err)
		last = accepted.ID
	}
	done := ended(t, client, last)
	require.EqualValues(t, 30, done.Version)
	read, err := client.Get(t.Context(), done.Contact)
	require.NoError(t, err)
	require.Contains(t, string(read.JSON), `"first_name":"Jane 29"`)
}

func listIsComplete(t *testing.T, client Client) {
	for _, sort := range contacts.Sorts() {
		t.Run(string(sort), func(t *testing.T) { listIsCompleteBy(t, client, sort) })
	}
}

func listIsCompleteBy(t *testing.T, client Client, sort contacts.Sort) {
	var want, doomed []uuid.UUID
	for i := range 9 {
		id := must(t)(client.Create(t.Context(), Jane(t), waiting())).Contact
		if i%3 == 1 {
			doomed = append(doomed, id)
		} else {
			want = append(want, id)
		}
	}
	var got []uuid.UUID
	cursor := ""
	for {
		page, err := client.List(t.Context(), contacts.Filter{Sort: sort}, 2, cursor)
		require.NoError(t, err)
		for _, document := range page.Items {
			got = append(got, document.ID)
		}
		if len(doomed) > 0 { // contacts come and go while the list is read
			must(t)(client.Delete(t.Context(), doomed[0], waiting()))
			doomed = doomed[1:]
			must(t)(client.Create(t.Context(), Jane(t), waiting()))
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	require.Subset(t, got, want, "what is there the whole time is listed")
	seen := map[uuid.UUID]bool{}
	for _, id := range got {
		require.False(t, seen[id], "and nothing twice")
		seen[id] = true
	}
}

func search(t *testing.T, client Client) {
	mark := uuid.NewString()[:8] // of this run's contacts
	create := func(fields contacts.Fields) uuid.UUID {
		fields.Organization = mark
		return must(t)(client.Create(t.Context(), fields, waiting())).Contact
	}
	zoe := create(contacts.Fields{FirstName: "Zoë", LastName: "Müller", Email: mark + "@Example.com", Labels: []string{mark + "Ä"}})
	bob := create(contacts.Fields{FirstName: "Bob", Phone: "+51 1 555 2671", Labels: []string{mark + "ä"}})
	for name, c := range map[string]struct {
		filter contacts.Filter
		want   []uuid.UUID
	}{
		"created":      {contacts.Filter{Text: mark}, []uuid.UUID{zoe, bob}},
		"latest first": {contacts.Filter{Text: mark, Sort: "-updated_at"}, []uuid.UUID{bob, zoe}},
		"by name":      {contacts.Filter{Text: mark, Sort: contacts.SortName}, []uuid.UUID{bob, zoe}},
		"part":         {contacts.Filter{Text: "mull " + mark}, []uuid.UUID{zoe}},
		"email":        {contacts.Filter{Values: map[string]string{"email": mark + "@EXAMPLE.com"}}, []uuid.UUID{zoe}},
		"phone":        {contacts.Filter{Text: mark, Values: map[string]string{"phone": "+5115552671"}}, []uuid.UUID{bob}},
		"label":        {contacts.Filter{Values: map[string]string{"label": mark + "Ä"}}, []uuid.UUID{zoe, bob}},
		"other label":  {contacts.Filter{Values: map[string]string{"label": mark + "A"}}, nil},
		"future":       {contacts.Filter{Text: mark, UpdatedSince: time.Now().Add(time.Hour)}, nil},
	} {
		var got []uuid.UUID
		cursor := ""
		for {
			page, err := client.List(t.Context(), c.filter, 1, cursor)
			require.NoError(t, err, name)
			for _, document := range page.Items {
				got = append(got, document.ID)
			}
			require.Nil(t, page.Count)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		require.Equal(t, c.want, got, name)
		c.filter.Count = true
		page, err := client.List(t.Context(), c.filter, 1, "")
		require.NoError(t, err, name)
		require.Equal(t, &contacts.Count{Contacts: len(c.want)}, page.Count, name)
	}
}
