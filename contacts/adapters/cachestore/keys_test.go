package cachestore_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/cachestore"
	"contacts/contacts/contactstest"
)

// keyRing is the use cases of API keys over a memory, and those of an operator that asks the
// store itself.
type keyRing struct {
	t        *testing.T
	store    *contactstest.KeyModel
	keys     *contacts.Keys
	operator *contacts.Keys
	lookups  atomic.Int64

	mu      sync.Mutex
	results map[string]int
}

// newKeyRing returns one whose store answers as answer says, unless that is nil.
func newKeyRing(t *testing.T) *keyRing {
	t.Helper()
	r := &keyRing{t: t, store: new(contactstest.KeyModel), results: map[string]int{}}
	r.operator = contacts.NewKeys(r.store)
	r.keys = contacts.NewKeys(cachestore.NewKeys(r.store, func(result string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.results[result]++
	}))
	r.answer(func(context.Context) error { return nil })
	return r
}

// result is how many look-ups came to it.
func (r *keyRing) result(of string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.results[of]
}

// answer has the store's look-ups come to what f returns.
func (r *keyRing) answer(f func(context.Context) error) {
	r.store.OnLookup = func(ctx context.Context, _ contacts.KeyHash) error {
		r.lookups.Add(1)
		return f(ctx)
	}
}

func (r *keyRing) issue() (string, contacts.APIKey) {
	r.t.Helper()
	secret, key, err := r.operator.Issue(r.t.Context(), "acme", contacts.Scopes(), time.Time{})
	require.NoError(r.t, err)
	return secret, key
}

// use authenticates with the keys and requires the kind of error, "" for none.
func (r *keyRing) use(kind contacts.Kind, secrets ...string) {
	r.t.Helper()
	for _, secret := range secrets {
		caller, err := r.keys.Authenticate(r.t.Context(), secret)
		if kind == "" {
			require.NoError(r.t, err)
			require.EqualValues(r.t, "acme", caller.Tenant)
			continue
		}
		require.True(r.t, contacts.IsKind(err, kind), "%v", err)
	}
}

// silent and frozen are stores that are away: one says so, one says nothing.
func silent(context.Context) error {
	return contacts.Unavailable("away", errors.New("connection refused"))
}

func frozen(ctx context.Context) error {
	<-ctx.Done()
	return contacts.Unavailable("away", ctx.Err())
}

// slow returns a store that takes its time.
func slow(d time.Duration) func(context.Context) error {
	return func(ctx context.Context) error {
		time.Sleep(d)
		return ctx.Err()
	}
}

// A key that is in use costs a query every five seconds, and works for so long after it was
// revoked. So does one that is unknown.
func TestKeys_Remembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newKeyRing(t)
		secret, key := r.issue()
		strange, _ := newKeyRing(t).issue()
		for range 50 {
			r.use("", secret)
			r.use(contacts.KindUnauthenticated, strange)
			time.Sleep(99 * time.Millisecond)
		}
		require.EqualValues(t, 2, r.lookups.Load())
		require.Equal(t, map[string]int{"miss": 2, "hit": 98}, r.results)

		require.NoError(t, r.operator.Revoke(t.Context(), key.ID))
		r.use("", secret)
		time.Sleep(50 * time.Millisecond) // it is five seconds now
		r.use(contacts.KindUnauthenticated, secret)
		require.EqualValues(t, 3, r.lookups.Load())
		r.use(contacts.KindUnauthenticated, secret, strange)
		require.EqualValues(t, 4, r.lookups.Load(), "it is remembered that it was revoked")
	})
}

// Keys expire on time, also where they are cached.
func TestKeys_Expires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newKeyRing(t)
		secret, _, err := r.operator.Issue(t.Context(), "acme", contacts.Scopes(), time.Now().Add(time.Second))
		require.NoError(t, err)
		r.use("", secret)
		time.Sleep(time.Second)
		r.use(contacts.KindUnauthenticated, secret)
		require.EqualValues(t, 1, r.lookups.Load())
	})
}

// Concurrent look-ups of one key are one query.
func TestKeys_OneQuery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newKeyRing(t)
		secret, _ := r.issue()
		r.answer(slow(100 * time.Millisecond))
		for round := range 2 {
			var asking sync.WaitGroup
			for range 100 {
				asking.Go(func() { r.use("", secret) })
			}
			asking.Wait()
			require.EqualValues(t, round+1, r.lookups.Load())
			time.Sleep(5 * time.Second)
		}
		// A caller that gives up does not hold up others.
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(50 * time.Millisecond); cancel() }()
		done := make(chan error)
		go func() { _, err := r.keys.Authenticate(ctx, secret); done <- err }()
		synctest.Wait()
		r.use("", secret)
		require.ErrorIs(t, <-done, context.Canceled)
		require.EqualValues(t, 3, r.lookups.Load())
		require.Zero(t, r.result("stale"))
	})
}

// While the store is away the keys that were in use can be used on, for three minutes and
// without a waiting caller; of others it cannot be told whether they are good.
func TestKeys_StoreIsAway(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(context.Context) error{"refused": silent, "frozen": frozen} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newKeyRing(t)
				secret, key := r.issue()
				fresh, _ := r.issue()
				strange, _ := newKeyRing(t).issue()
				r.use("", secret)
				r.use(contacts.KindUnauthenticated, strange)
				begun := time.Now()
				r.answer(away)
				require.NoError(t, r.operator.Revoke(t.Context(), key.ID)) // elsewhere
				time.Sleep(5 * time.Second)
				r.use(contacts.KindUnavailable, fresh, strange)

				lookups, uses := r.lookups.Load(), 0
				var waited time.Duration
				for ; time.Since(begun) < 179*time.Second; uses++ {
					asked := time.Now()
					r.use("", secret)
					waited += time.Since(asked)
					time.Sleep(10 * time.Millisecond)
				}
				require.LessOrEqual(t, r.lookups.Load()-lookups, int64(180), "it is asked once a second at the most")
				require.LessOrEqual(t, waited/time.Duration(uses), 3*time.Millisecond, "hardly anybody waits for it")
				time.Sleep(time.Until(begun.Add(180 * time.Second)))
				r.use(contacts.KindUnavailable, secret)

				r.answer(func(context.Context) error { return nil })
				r.use(contacts.KindUnauthenticated, secret)
				r.use("", fresh)
			})
		})
	}
}

// A store that is only slow has the last word, as soon as it has come.
func TestKeys_StoreIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newKeyRing(t)
		secret, key := r.issue()
		r.use("", secret)
		require.NoError(t, r.operator.Revoke(t.Context(), key.ID))
		r.answer(slow(time.Second))
		time.Sleep(5 * time.Second)
		r.use("", secret)
		time.Sleep(time.Second)
		r.use(contacts.KindUnauthenticated, secret)
	})
}

// Any number of made-up keys are but two queries at a time, and push no key out that is in
// use.
func TestKeys_Flood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, made := newKeyRing(t), newKeyRing(t)
		secret, _ := r.issue()
		r.use("", secret)
		var mu sync.Mutex
		var now, most int
		count := func(n int) {
			mu.Lock()
			defer mu.Unlock()
			now += n
			most = max(most, now)
		}
		r.answer(func(context.Context) error {
			count(1)
			time.Sleep(10 * time.Millisecond)
			count(-1)
			return nil
		})
		time.Sleep(5 * time.Second)
		var flood sync.WaitGroup
		for range 5000 {
			strange, _ := made.issue()
			flood.Go(func() {
				_, err := r.keys.Authenticate(t.Context(), strange)
				if !contacts.IsKind(err, contacts.KindUnauthenticated) && !contacts.IsKind(err, contacts.KindUnavailable) {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		require.Equal(t, 2, most)
		r.use("", secret)
		require.Zero(t, r.result("stale"), "it does not have to queue up behind them")
		flood.Wait()
		require.Equal(t, 3, most)
		require.NotZero(t, r.result("error"), "who waits too long gives up")
		for range 5000 {
			strange, _ := made.issue()
			r.use(contacts.KindUnauthenticated, strange)
		}
		r.answer(silent)
		r.use("", secret)
		require.Equal(t, 1, r.result("stale"))
	})
}

// A store that is slow is not waited for, but heard: a revoked key is refused as soon as the
// store has said so.
func TestKeys_SlowStoreTellsOfRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newKeyRing(t)
		secret, key := r.issue()
		r.use("", secret)
		r.answer(func(context.Context) error { time.Sleep(300 * time.Millisecond); return nil })
		require.NoError(t, r.operator.Revoke(t.Context(), key.ID))
		for begun := time.Now(); ; time.Sleep(900 * time.Millisecond) {
			_, err := r.keys.Authenticate(t.Context(), secret)
			if contacts.IsKind(err, contacts.KindUnauthenticated) {
				break
			}
			require.NoError(t, err)
			require.Less(t, time.Since(begun), 10*time.Second)
		}
		time.Sleep(10 * time.Second) // the last look-ups end
	})
}
