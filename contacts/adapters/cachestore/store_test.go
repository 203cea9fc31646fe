package cachestore_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/cachestore"
	"contacts/contacts/contactstest"
	"contacts/platform/cache"
	"contacts/platform/cache/memory"
)

// refreshing is a store whose ledger refreshes the cache, as the worker does.
type refreshing struct {
	*cachestore.Store
	ledger contacts.Ledger
}

func (r refreshing) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	outcomes, err := r.ledger.Apply(ctx, commands, now, announce)
	var documents []contacts.Document
	for _, outcome := range outcomes {
		if outcome.Current.State != contacts.Absent {
			documents = append(documents, outcome.Current)
		}
	}
	return outcomes, errors.Join(err, r.Refresh(context.WithoutCancel(ctx), documents))
}

func newMemory(t *testing.T) *memory.Cache {
	t.Helper()
	c := memory.Open(memory.Options{})
	t.Cleanup(c.Close)
	return c
}

func TestStore_Contract(t *testing.T) {
	contactstest.RunStore(t, func(t *testing.T) contactstest.Store {
		model := contactstest.NewModel()
		return refreshing{cachestore.New(model, newMemory(t), nil), model}
	})
}

// source is a repository whose single-contact queries are counted and can be held.
type source struct {
	contacts.Repository
	queries atomic.Int64
	// a query that was answered by the repository waits until this is closed; nil: it does not
	hold  chan struct{}
	asked chan struct{} // receives one value for each query, before it is held
}

func (s *source) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	document, err := s.Repository.Document(ctx, tenant, id)
	s.queries.Add(1)
	if s.hold != nil {
		s.asked <- struct{}{}
		<-s.hold
	}
	return document, err
}

// fixture is a store with one contact, which the cache does not hold.
func fixture(t *testing.T, c cache.Cache) (*cachestore.Store, *source, *contactstest.Model, contacts.Command) {
	t.Helper()
	model := contactstest.NewModel()
	create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	apply(t, model, create)
	from := &source{Repository: model}
	return cachestore.New(from, c, nil), from, model, create
}

func apply(t *testing.T, model *contactstest.Model, command contacts.Command) contacts.Document {
	t.Helper()
	outcomes, err := model.Apply(t.Context(), []contacts.Command{command}, time.Now(), nil)
	require.NoError(t, err)
	return outcomes[0].Current
}

// answer is what a reader got.
type answer struct {
	document contacts.Document
	err      error
}

// read reads a command's contact while the test goes on.
func read(ctx context.Context, store *cachestore.Store, command contacts.Command) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		document, err := store.Document(ctx, command.Tenant, command.Contact)
		got <- answer{document, err}
	}()
	return got
}

func TestStore_Document_FillsOnce(t *testing.T) {
	store, from, model, create := fixture(t, newMemory(t))
	want, err := model.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err)
	for range 3 {
		got, err := store.Document(t.Context(), create.Tenant, create.Contact)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.EqualValues(t, 1, from.queries.Load())
}

func TestStore_Document_AbsentIsRememberedForSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, from, _, _ := fixture(t, newMemory(t))
		id := contactstest.NewID(t)
		for range 3 {
			got, err := store.Document(t.Context(), contacts.DefaultTenant, id)
			require.NoError(t, err)
			require.Equal(t, contacts.Absent, got.State)
		}
		require.EqualValues(t, 1, from.queries.Load())
		time.Sleep(6 * time.Second)
		_, err := store.Document(t.Context(), contacts.DefaultTenant, id)
		require.NoError(t, err)
		require.EqualValues(t, 2, from.queries.Load())
	})
}

// The steps: a worker announces version 2, commits it, and dies before it refreshes the cache.
func TestStore_Document_WorkerDiesAfterTheCommit(t *testing.T) {
	store, from, model, create := fixture(t, newMemory(t))
	_, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err)
	merge := contactstest.MergeCommand(t, create.Tenant, create.Contact, `{"nickname":"J"}`)
	outcomes, err := model.Apply(t.Context(), []contacts.Command{merge}, time.Now(), store.Announce)
	require.NoError(t, err)
	for range 2 {
		got, err := store.Document(t.Context(), create.Tenant, create.Contact)
		require.NoError(t, err)
		require.Equal(t, outcomes[0].Current, got, "not version 1, which the cache held")
	}
	require.EqualValues(t, 3, from.queries.Load(), "the repository is asked until the cache is refreshed")
	require.NoError(t, store.Refresh(t.Context(), []contacts.Document{outcomes[0].Current}))
	got, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err)
	require.Equal(t, outcomes[0].Current, got)
	require.EqualValues(t, 3, from.queries.Load())
}

// The steps: a reader misses and reads version 1; the worker commits and caches version 2;
// only then the reader fills.
func TestStore_Document_StaleFillAgainstNewerWrite(t *testing.T) {
	for name, write := range map[string]func(*testing.T, contacts.Command) contacts.Command{
		"update": func(t *testing.T, c contacts.Command) contacts.Command {
			return contactstest.MergeCommand(t, c.Tenant, c.Contact, `{"nickname":"J"}`)
		},
		"delete": func(t *testing.T, c contacts.Command) contacts.Command {
			return contactstest.NewCommand(t, contacts.Delete, c.Tenant, c.Contact)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, from, model, create := fixture(t, newMemory(t))
			from.hold, from.asked = make(chan struct{}), make(chan struct{}, 1)
			slow := read(t.Context(), store, create)
			<-from.asked
			written := apply(t, model, write(t, create))
			require.NoError(t, store.Refresh(t.Context(), []contacts.Document{written}))
			close(from.hold)
			before := <-slow
			require.NoError(t, before.err)
			require.EqualValues(t, 1, before.document.Version)

			got, err := store.Document(t.Context(), create.Tenant, create.Contact)
			require.NoError(t, err)
			require.Equal(t, written, got)
		})
	}
}

// Readers that come while a query runs share the next one. That query began after all of them
// came, so none reads the state from before a write that it was already told of, even where
// the cache could not be written.
func TestStore_Document_ConcurrentMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, from, model, create := fixture(t, broken{})
		from.hold, from.asked = make(chan struct{}), make(chan struct{}, 100)
		early := read(t.Context(), store, create)
		<-from.asked
		apply(t, model, contactstest.MergeCommand(t, create.Tenant, create.Contact, `{"nickname":"J"}`))
		late := make([]<-chan answer, 50)
		for i := range late {
			late[i] = read(t.Context(), store, create)
		}
		synctest.Wait() // all of them have come
		close(from.hold)
		got := <-early
		require.NoError(t, got.err)
		require.EqualValues(t, 1, got.document.Version)
		for _, reader := range late {
			got := <-reader
			require.NoError(t, got.err)
			require.EqualValues(t, 2, got.document.Version)
		}
		require.EqualValues(t, 2, from.queries.Load())
	})
}

func TestStore_Document_CallerGivesUp(t *testing.T) {
	store, from, _, create := fixture(t, newMemory(t))
	from.hold, from.asked = make(chan struct{}), make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	reader := read(ctx, store, create)
	<-from.asked
	cancel()
	require.ErrorIs(t, (<-reader).err, context.Canceled)
	close(from.hold)
	document, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err, "one caller's end is not the others'")
	require.EqualValues(t, 1, document.Version)
}

// broken is a cache that cannot be reached.
type broken struct{}

func (broken) Get(context.Context, string) (cache.Entry, bool, cache.Lease, error) {
	return cache.Entry{}, false, "", cache.ErrUnavailable
}

func (broken) Fill(context.Context, cache.Lease, cache.Item) (bool, error) {
	return false, cache.ErrUnavailable
}

func (broken) Add(context.Context, cache.Item) (cache.Entry, bool, error) {
	return cache.Entry{}, false, cache.ErrUnavailable
}
func (broken) Put(context.Context, ...cache.Item) error    { return cache.ErrUnavailable }
func (broken) RenewTrust(context.Context, time.Time) error { return cache.ErrUnavailable }
func (broken) Trusted(context.Context) (bool, error)       { return false, cache.ErrUnavailable }
func (broken) Ping(context.Context) error                  { return cache.ErrUnavailable }

func TestStore_CacheDown(t *testing.T) {
	store, _, _, create := fixture(t, broken{})
	document, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err, "reads go to the repository")
	require.EqualValues(t, 1, document.Version)
	require.ErrorIs(t, store.Announce(t.Context(), []contacts.Document{document}, nil), contacts.ErrCacheDown)
	require.ErrorIs(t, store.Refresh(t.Context(), []contacts.Document{document}), cache.ErrUnavailable)
	_, _, err = store.Pending(t.Context(), create.Tenant, create.Operation)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
	_, err = store.Claim(t.Context(), contacts.Operation{ID: create.Operation, Tenant: create.Tenant})
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
}

// A watched cache is trusted only as long as a worker renews the trust in it.
func TestStore_Watch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, from, _, create := fixture(t, newMemory(t))
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		queries := func() int64 {
			before := from.queries.Load()
			document, err := store.Document(t.Context(), create.Tenant, create.Contact)
			require.NoError(t, err)
			require.EqualValues(t, 1, document.Version)
			return from.queries.Load() - before
		}
		require.EqualValues(t, 1, queries())
		require.Zero(t, queries(), "not watched: always trusted")
		go store.Watch(ctx)
		synctest.Wait()
		require.EqualValues(t, 1, queries(), "not trusted")
		require.NoError(t, store.RenewTrust(t.Context(), time.Now().Add(time.Second)))
		time.Sleep(contacts.TrustTTL)
		synctest.Wait()
		require.Zero(t, queries(), "trusted")
		time.Sleep(contacts.TrustLimit)
		synctest.Wait()
		require.EqualValues(t, 1, queries(), "and no more")
	})
}

func TestStore_Pending(t *testing.T) {
	contactstest.RunPending(t, func(t *testing.T) contacts.PendingOperations {
		return cachestore.New(contactstest.NewModel(), newMemory(t), nil)
	})
}

func TestStore_Claim_Forgotten(t *testing.T) {
	local := newMemory(t)
	store := cachestore.New(contactstest.NewModel(), local, nil)
	of := contacts.OperationKey{Tenant: contacts.DefaultTenant, ID: contactstest.NewID(t)}
	operation := func(fingerprint string) contacts.Operation {
		return contacts.Operation{
			ID: of.ID, Tenant: of.Tenant, Kind: contacts.Create, Contact: contactstest.NewID(t), Status: contacts.Pending,
			Fingerprint: fingerprint, AcceptedAt: time.Now(),
		}
	}
	var holder contacts.Operation
	claim := func(fingerprint string) string {
		t.Helper()
		var err error
		holder, err = store.Claim(t.Context(), operation(fingerprint))
		require.NoError(t, err)
		return holder.Fingerprint
	}
	require.Equal(t, "first", claim("first"))
	require.Equal(t, "first", claim("second"))
	require.NoError(t, store.Announce(t.Context(), nil, []contacts.OperationKey{of}))
	for _, fingerprint := range []string{"second", "third"} {
		require.Equal(t, fingerprint, claim(fingerprint), "nobody knows what came first")
		require.Equal(t, uuid.Nil, holder.Contact, "nor which contact it has made")
		require.NoError(t, store.Note(t.Context(), operation(fingerprint)))
		require.NoError(t, store.Withdraw(t.Context(), operation(fingerprint)))
		_, _, err := store.Pending(t.Context(), of.Tenant, of.ID)
		require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "its end may not be committed yet: %v", err)
		entry, found, _, err := local.Get(t.Context(), "operation:default:"+of.ID.String())
		require.NoError(t, err)
		require.True(t, found)
		require.Empty(t, entry.Body, "nor does the cache from now on")
	}
}

// The steps: a contact is cached, it is deleted while the cache cannot be told, and then
// erased, which makes no version.
func TestStore_EraseDeleted(t *testing.T) {
	local := newMemory(t)
	store, _, model, create := fixture(t, local)
	_, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err)
	apply(t, model, contactstest.NewCommand(t, contacts.Delete, create.Tenant, create.Contact))
	body := func() []byte {
		t.Helper()
		entry, found, _, err := local.Get(t.Context(), "contact:default:"+create.Contact.String())
		require.NoError(t, err)
		require.True(t, found)
		return entry.Body
	}
	require.NotEmpty(t, body())
	erase := contactstest.NewCommand(t, contacts.Erase, create.Tenant, create.Contact)
	outcomes, err := model.Apply(t.Context(), []contacts.Command{erase}, time.Now(), store.Announce)
	require.NoError(t, err)
	require.Empty(t, body(), "it goes before the erasure is committed")
	require.NoError(t, store.Refresh(t.Context(), []contacts.Document{outcomes[0].Current}))
	require.Empty(t, body())
	document, err := store.Document(t.Context(), create.Tenant, create.Contact)
	require.NoError(t, err)
	require.Equal(t, outcomes[0].Current, document)
}

func TestNotices(t *testing.T) {
	bus := newMemory(t)
	api := cachestore.NewNotices(bus, slog.New(slog.DiscardHandler))
	other := cachestore.NewNotices(bus, slog.New(slog.DiscardHandler))
	worker := cachestore.NewNotices(bus, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	var listening sync.WaitGroup
	for _, n := range []*cachestore.Notices{api, other} {
		listening.Go(func() { assert.ErrorIs(t, n.Listen(ctx), context.Canceled) })
	}
	t.Cleanup(listening.Wait)
	t.Cleanup(cancel)

	create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Full(t))
	model := contactstest.NewModel()
	outcomes, err := model.Apply(t.Context(), []contacts.Command{create}, time.Now(), nil)
	require.NoError(t, err)
	want := outcomes[0].Operation
	first, stopFirst := api.Expect(want.Tenant, want.ID)
	second, stopSecond := api.Expect(want.Tenant, want.ID)
	defer stopSecond()
	stranger, stopStranger := api.Expect(contactstest.NewTenant(), want.ID)
	defer stopStranger()
	gone, stopGone := api.Expect(want.Tenant, want.ID)
	stopGone()

	var got contacts.Operation
	require.Eventually(t, func() bool { // until Listen stands
		require.NoError(t, worker.Notify(t.Context(), []contacts.Notice{{Address: api.Address(), Operation: want}}))
		select {
		case got = <-first:
			return true
		default:
			return false
		}
	}, 10*time.Second, time.Millisecond)
	stopFirst()
	require.Equal(t, want, got, "the document too, byte for byte")
	require.Equal(t, want, <-second, "everybody who waits is told")
	require.Empty(t, stranger)
	require.Empty(t, gone)
	require.NotEqual(t, api.Address(), other.Address())
}

// BenchmarkStore_Document measures a hit.
func BenchmarkStore_Document(b *testing.B) {
	local := memory.Open(memory.Options{})
	defer local.Close()
	model := contactstest.NewModel()
	create := contactstest.CreateCommand(b, contacts.DefaultTenant, contactstest.Jane(b))
	_, err := model.Apply(b.Context(), []contacts.Command{create}, time.Now(), nil)
	require.NoError(b, err)
	store := cachestore.New(model, local, nil)
	b.ReportAllocs()
	for b.Loop() {
		document, err := store.Document(b.Context(), contacts.DefaultTenant, create.Contact)
		require.NoError(b, err)
		require.Equal(b, contacts.Live, document.State)
	}
}
