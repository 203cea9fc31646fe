// Package cachetest holds the contract suites of the ports in package cache. Every adapter
// runs them:
//
//	func TestClient_Cache(t *testing.T) {
//		cachetest.RunCache(t, func(t *testing.T) cache.Cache { … })
//	}
package cachetest

import (
	"bytes"
	"context"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"contacts/platform/cache"
)

const (
	// ttl outlives every case that does not look at expiry.
	ttl = time.Minute
	// patience is how long a case waits for what must come, however slow the machine.
	patience = 20 * time.Second
	// tick is how often a case looks.
	tick = 10 * time.Millisecond
)

// RunCache checks that a [cache.Cache] keeps every guarantee of the port. open is called once
// for each case and must return a cache with a key space that is unused; it
// registers the closing with t.Cleanup. Cases run in parallel.
func RunCache(t *testing.T, open func(t *testing.T) cache.Cache) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, cache.Cache){
		"Ping_Answers":                   pingAnswers,
		"Fill_AfterMiss":                 fillAfterMiss,
		"Get_SecondMisserGetsNoLease":    secondMisserGetsNoLease,
		"Get_ManyMissersGetOneLease":     manyMissersGetOneLease,
		"Fill_WithoutLease":              fillWithoutLease,
		"Fill_WithAnothersLease":         fillWithAnothersLease,
		"Fill_Twice":                     fillTwice,
		"Fill_AfterPut":                  fillAfterPut,
		"Fill_AfterTombstone":            fillAfterTombstone,
		"Fill_AfterLeaseEnded":           fillAfterLeaseEnded,
		"Fill_AbsentThenPut":             fillAbsentThenPut,
		"Put_OnlyHigherVersionsReplace":  onlyHigherVersionsReplace,
		"Put_VersionsCompareAsNumbers":   versionsCompareAsNumbers,
		"Put_PendingThenResult":          pendingThenResult,
		"RenewTrust":                     renewTrust,
		"Add_OnlyWhereNoEntryIs":         addOnlyWhereNoEntryIs,
		"Add_VoidsLease":                 addVoidsLease,
		"Add_ManyAtOnce":                 addManyAtOnce,
		"Add_Expires":                    addExpires,
		"Put_ManyItems":                  putManyItems,
		"Put_SameKeyTwice":               putSameKeyTwice,
		"Put_Expires":                    putExpires,
		"Fill_Expires":                   fillExpires,
		"Put_TTLOfZero":                  putTTLOfZero,
		"Put_BodiesAreOpaque":            bodiesAreOpaque,
		"Cache_FollowsModel":             followsModel,
		"Cache_ConcurrentPutsOnlyGoUp":   concurrentPutsOnlyGoUp,
		"Cache_ConcurrentFillsAndPuts":   concurrentFillsAndPuts,
		"Cache_KeysWithUnusualCharacter": unusualKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func pingAnswers(t *testing.T, c cache.Cache) {
	require.NoError(t, c.Ping(t.Context()))
}

func fillAfterMiss(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	requireFill(t, true, c, lease, "k", live(3, "three"))
	requireHit(t, c, "k", live(3, "three"))
	requireHit(t, c, "k", live(3, "three"))
}

func secondMisserGetsNoLease(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	requireMissWithoutLease(t, c, "k")
	requireLease(t, c, "another")

	requireFill(t, true, c, lease, "k", live(1, "one"))
	requireHit(t, c, "k", live(1, "one"))
}

func manyMissersGetOneLease(t *testing.T, c cache.Cache) {
	const missers, rounds = 100, 100
	for round := range rounds {
		key := numbered(round)
		leases := make(chan cache.Lease, missers)
		start := make(chan struct{})
		// by the clock that a server times leases by, which may be set meanwhile
		began := time.Now().Round(0)
		var group errgroup.Group
		for range missers {
			group.Go(func() error {
				<-start
				_, found, lease, err := c.Get(t.Context(), key)
				assert.False(t, found)
				if lease != "" {
					leases <- lease
				}
				return err
			})
		}
		close(start)
		require.NoError(t, group.Wait())
		if time.Now().Round(0).Sub(began) > cache.LeaseTTL/2 {
			continue // the first lease may have ended
		}
		require.Len(t, leases, 1)
		requireFill(t, true, c, <-leases, key, live(1, "one"))
	}
}

func fillWithoutLease(t *testing.T, c cache.Cache) {
	requireFill(t, false, c, "", "k", live(1, "one"))
	requireFill(t, false, c, "made up", "k", live(1, "one"))

	lease := requireLease(t, c, "k")
	requireFill(t, false, c, "", "k", live(1, "one"))
	requireFill(t, false, c, lease+"x", "k", live(1, "one"))
	requireMissWithoutLease(t, c, "k")
	requireFill(t, true, c, lease, "k", live(1, "one"))
}

func fillWithAnothersLease(t *testing.T, c cache.Cache) {
	lease, other := requireLease(t, c, "k"), requireLease(t, c, "other")
	requireFill(t, false, c, other, "k", live(1, "one"))
	requireFill(t, false, c, lease, "other", live(1, "one"))
	requireFill(t, true, c, lease, "k", live(1, "one"))
	requireFill(t, true, c, other, "other", live(2, "two"))
}

func fillTwice(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	requireFill(t, true, c, lease, "k", live(1, "one"))
	requireFill(t, false, c, lease, "k", live(2, "two"))
	requireHit(t, c, "k", live(1, "one"))
}

// fillAfterPut is the race that leases are for: a reader misses and reads version 1 from the
// database, a writer commits version 2 and puts it, and only then does the reader fill.
func fillAfterPut(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	requirePut(t, c, "k", live(2, "two"))
	requireFill(t, false, c, lease, "k", live(1, "one"))
	requireHit(t, c, "k", live(2, "two"))

	// The lease is void for any version: a put's reader may be gone, but not its effect.
	requireFill(t, false, c, lease, "k", live(3, "three"))
	requireHit(t, c, "k", live(2, "two"))
}

func fillAfterTombstone(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	gone := cache.Entry{Version: 2, State: cache.Gone}
	requirePut(t, c, "k", gone)
	requireFill(t, false, c, lease, "k", live(1, "one"))
	requireHit(t, c, "k", gone)
	requirePut(t, c, "k", live(1, "one"))
	requireHit(t, c, "k", gone)
	requirePut(t, c, "k", live(3, "made again"))
	requireHit(t, c, "k", live(3, "made again"))
}

// fillAfterLeaseEnded waits for [cache.LeaseTTL] of real time, beside the other cases.
func fillAfterLeaseEnded(t *testing.T, c cache.Cache) {
	abandoned := requireLease(t, c, "k")
	var lease cache.Lease
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		var err error
		_, _, lease, err = c.Get(t.Context(), "k")
		require.NoError(collect, err)
		require.NotEmpty(collect, lease)
	}, patience, 20*tick, "the abandoned lease never ended")

	require.NotEqual(t, abandoned, lease)
	requireFill(t, false, c, abandoned, "k", live(1, "one"))
	requireFill(t, true, c, lease, "k", live(2, "two"))
	requireHit(t, c, "k", live(2, "two"))
}

func fillAbsentThenPut(t *testing.T, c cache.Cache) {
	absent := cache.Entry{State: cache.Absent}
	requireFill(t, true, c, requireLease(t, c, "k"), "k", absent)
	requireHit(t, c, "k", absent)
	requirePut(t, c, "k", live(1, "one"))
	requireHit(t, c, "k", live(1, "one"))
	requirePut(t, c, "k", absent)
	requireHit(t, c, "k", live(1, "one"))
}

func onlyHigherVersionsReplace(t *testing.T, c cache.Cache) {
	requirePut(t, c, "k", live(5, "five"))
	for _, older := range []cache.Entry{
		live(5, "another five"), {Version: 5, State: cache.Gone}, live(4, "four"), {State: cache.Absent},
	} {
		requirePut(t, c, "k", older)
		requireHit(t, c, "k", live(5, "five"))
	}
	requirePut(t, c, "k", live(6, "six"))
	requireHit(t, c, "k", live(6, "six"))
	requirePut(t, c, "k", cache.Entry{Version: 9, State: cache.Gone})
	requireHit(t, c, "k", cache.Entry{Version: 9, State: cache.Gone})
}

// versionsCompareAsNumbers climbs over the places where an adapter could compare as text or
// lose digits in a float.
func versionsCompareAsNumbers(t *testing.T, c cache.Cache) {
	rising := []int64{0, 1, 2, 9, 10, 11, 99, 100, 1<<53 - 1, 1 << 53, 1<<53 + 1, math.MaxInt64 - 1, math.MaxInt64}
	for i, version := range rising {
		requirePut(t, c, "k", live(version, "body"))
		requireHit(t, c, "k", live(version, "body"))
		for _, older := range rising[:i+1] {
			requirePut(t, c, "k", live(older, "older"))
		}
		requireHit(t, c, "k", live(version, "body"))
	}
}

// The steps: a write announces version 2, a slow one puts version 1, the announced write puts
// its result.
func pendingThenResult(t *testing.T, c cache.Cache) {
	pending := cache.Entry{Version: 2, State: cache.Pending}
	lease := requireLease(t, c, "key")
	requirePut(t, c, "key", pending)
	requireHit(t, c, "key", pending)
	requireFill(t, false, c, lease, "key", live(1, "read before"))
	requirePut(t, c, "key", live(1, "slow"))
	requireHit(t, c, "key", pending)
	requirePut(t, c, "key", live(2, "result"))
	requireHit(t, c, "key", live(2, "result"))
	requirePut(t, c, "key", pending)
	requirePut(t, c, "key", cache.Entry{Version: 2, State: cache.Gone})
	requireHit(t, c, "key", live(2, "result"))
	requirePut(t, c, "key", cache.Entry{Version: 3, State: cache.Pending})
	requireHit(t, c, "key", cache.Entry{Version: 3, State: cache.Pending})
}

func renewTrust(t *testing.T, c cache.Cache) {
	requireVouched := func(want bool) {
		t.Helper()
		got, err := c.Trusted(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	requireVouched(false)
	require.NoError(t, c.RenewTrust(t.Context(), time.Now().Add(time.Hour)))
	requireVouched(true)
	require.NoError(t, c.RenewTrust(t.Context(), time.Now().Add(-time.Second)))
	requireVouched(false)
	require.NoError(t, c.RenewTrust(t.Context(), time.Now().Add(200*time.Millisecond)))
	require.Eventually(t, func() bool {
		trusted, err := c.Trusted(t.Context())
		return err == nil && !trusted
	}, patience, tick)
}

func addOnlyWhereNoEntryIs(t *testing.T, c cache.Cache) {
	requireAdd(t, c, "k", live(5, "five"), live(5, "five"))
	for _, other := range []cache.Entry{
		live(4, "four"), live(5, "another five"), live(6, "six"), {Version: 9, State: cache.Gone}, {State: cache.Absent},
	} {
		requireAdd(t, c, "k", other, live(5, "five"))
		requireHit(t, c, "k", live(5, "five"))
	}
	requirePut(t, c, "k", live(6, "six"))
	requireAdd(t, c, "k", live(7, "seven"), live(6, "six"))
	for key, held := range map[string]cache.Entry{
		"gone":    {Version: 2, State: cache.Gone},
		"absent":  {State: cache.Absent},
		"pending": {Version: math.MaxInt64, State: cache.Pending, Body: []byte("body")},
	} {
		requirePut(t, c, key, held)
		requireAdd(t, c, key, live(3, "three"), held)
		requireHit(t, c, key, held)
	}
}

func addVoidsLease(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	requireAdd(t, c, "k", live(1, "one"), live(1, "one"))
	requireFill(t, false, c, lease, "k", live(2, "two"))
	requireHit(t, c, "k", live(1, "one"))
}

// Of many concurrent callers one stores its entry, and all get that entry.
func addManyAtOnce(t *testing.T, c cache.Cache) {
	const callers, rounds = 50, 20
	for round := range rounds {
		var stored atomic.Int64
		held := make([]cache.Entry, callers)
		var group errgroup.Group
		for i := range callers {
			group.Go(func() error {
				item := cache.Item{Key: numbered(round), Entry: live(int64(i), numbered(i)), TTL: ttl}
				entry, added, err := c.Add(t.Context(), item)
				if added {
					stored.Add(1)
					assert.Equal(t, item.Entry, entry)
				}
				held[i] = entry
				return err
			})
		}
		require.NoError(t, group.Wait())
		require.EqualValues(t, 1, stored.Load())
		for _, entry := range held {
			requireEntry(t, held[0], entry)
		}
		requireHit(t, c, numbered(round), held[0])
	}
}

func addExpires(t *testing.T, c cache.Cache) {
	item := cache.Item{Key: "k", Entry: live(2, "two"), TTL: 50 * time.Millisecond}
	_, added, err := c.Add(t.Context(), item)
	require.NoError(t, err)
	require.True(t, added)
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, added, err := c.Add(t.Context(), cache.Item{Key: "k", Entry: live(1, "one"), TTL: ttl})
		require.NoError(collect, err)
		require.True(collect, added)
	}, patience, tick, "it never expired")
	requireHit(t, c, "k", live(1, "one"))
}

func putManyItems(t *testing.T, c cache.Cache) {
	require.NoError(t, c.Put(t.Context()))

	requirePut(t, c, "key 7", live(100, "newer"))
	lease := requireLease(t, c, "key 8")
	items := make([]cache.Item, 200)
	for i := range items {
		items[i] = cache.Item{Key: numbered(i), Entry: live(int64(i+1), numbered(i)), TTL: ttl}
	}
	require.NoError(t, c.Put(t.Context(), items...))

	requireFill(t, false, c, lease, "key 8", live(1, "late"))
	for i := range items {
		want := live(int64(i+1), numbered(i))
		if i == 7 {
			want = live(100, "newer")
		}
		requireHit(t, c, numbered(i), want)
	}
}

func putSameKeyTwice(t *testing.T, c cache.Cache) {
	one, two := live(1, "one"), live(2, "two")
	for key, entries := range map[string][]cache.Entry{"rising": {one, two}, "falling": {two, one}} {
		require.NoError(t, c.Put(t.Context(),
			cache.Item{Key: key, Entry: entries[0], TTL: ttl}, cache.Item{Key: key, Entry: entries[1], TTL: ttl}))
		requireHit(t, c, key, two)
	}
}

func putExpires(t *testing.T, c cache.Cache) {
	requirePut(t, c, "stays", live(2, "stays"))
	require.NoError(t, c.Put(t.Context(), cache.Item{Key: "k", Entry: live(2, "two"), TTL: 50 * time.Millisecond}))
	requireFill(t, true, c, waitForLease(t, c, "k"), "k", live(1, "the cache has forgotten version 2"))
	requireHit(t, c, "k", live(1, "the cache has forgotten version 2"))
	requireHit(t, c, "stays", live(2, "stays"))
}

func fillExpires(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	stored, err := c.Fill(t.Context(), lease, cache.Item{
		Key: "k", Entry: cache.Entry{State: cache.Absent}, TTL: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	require.True(t, stored)
	waitForLease(t, c, "k")
}

func putTTLOfZero(t *testing.T, c cache.Cache) {
	lease := requireLease(t, c, "k")
	require.NoError(t, c.Put(t.Context(), cache.Item{Key: "k", Entry: live(2, "two")}))
	requireFill(t, false, c, lease, "k", live(1, "late"))
	waitForLease(t, c, "k")
}

func bodiesAreOpaque(t *testing.T, c cache.Cache) {
	binary := make([]byte, 256)
	for i := range binary {
		binary[i] = byte(i)
	}
	for name, body := range map[string]string{
		"empty":                 "",
		"binary":                string(binary),
		"like an entry":         "7:L:body",
		"a mebibyte":            strings.Repeat("0123456789abcdef", 1<<16),
		"line ends and unicode": "a\r\nb\x00c:\u00e9\u4e16",
	} {
		requirePut(t, c, "put "+name, live(1, body))
		requireHit(t, c, "put "+name, live(1, body))
		requireFill(t, true, c, requireLease(t, c, "filled "+name), "filled "+name, live(1, body))
		requireHit(t, c, "filled "+name, live(1, body))
	}
}

func unusualKeys(t *testing.T, c cache.Cache) {
	keys := []string{"a", "a ", "A", "{a}", "}{", "a:lease", "{}", "é", "a\x00b", "a\r\nb", strings.Repeat("long", 1000)}
	leases := make(map[string]cache.Lease)
	for _, key := range keys {
		leases[key] = requireLease(t, c, key)
	}
	for _, key := range keys {
		requireFill(t, true, c, leases[key], key, live(1, key))
	}
	for _, key := range keys {
		requireHit(t, c, key, live(1, key))
	}
}

// waitForLease waits until key is missed and returns the lease of that miss.
func waitForLease(t *testing.T, c cache.Cache, key string) cache.Lease {
	t.Helper()
	var lease cache.Lease
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		_, found, got, err := c.Get(t.Context(), key)
		require.NoError(collect, err)
		require.False(collect, found)
		lease = got
	}, patience, tick, "%q never expired", key)
	require.NotEmpty(t, lease)
	return lease
}

func requireLease(t require.TestingT, c cache.Cache, key string) cache.Lease {
	_, found, lease, err := c.Get(context.Background(), key)
	require.NoError(t, err)
	require.False(t, found, "%q should be missed", key)
	require.NotEmpty(t, lease, "the first to miss %q should get the lease", key)
	return lease
}

func requireMissWithoutLease(t require.TestingT, c cache.Cache, key string) {
	_, found, lease, err := c.Get(context.Background(), key)
	require.NoError(t, err)
	require.False(t, found, "%q should be missed", key)
	require.Empty(t, lease, "the lease of %q is held already", key)
}

func requireHit(t require.TestingT, c cache.Cache, key string, want cache.Entry) {
	got, found, lease, err := c.Get(context.Background(), key)
	require.NoError(t, err)
	require.True(t, found, "%q should be found", key)
	require.Empty(t, lease, "a hit of %q should give no lease", key)
	requireEntry(t, want, got)
}

// requireEntry makes no difference between an empty body and none.
func requireEntry(t require.TestingT, want, got cache.Entry) {
	require.Equal(t, want.Version, got.Version)
	require.Equal(t, string(want.State), string(got.State))
	if !bytes.Equal(want.Body, got.Body) {
		require.Fail(t, "the body has changed", "version %d, from %d to %d bytes",
			want.Version, len(want.Body), len(got.Body))
	}
}

func requireFill(t require.TestingT, want bool, c cache.Cache, lease cache.Lease, key string, entry cache.Entry) {
	stored, err := c.Fill(context.Background(), lease, cache.Item{Key: key, Entry: entry, TTL: ttl})
	require.NoError(t, err)
	require.Equal(t, want, stored, "fill of %q with version %d", key, entry.Version)
}

func requirePut(t require.TestingT, c cache.Cache, key string, entry cache.Entry) {
	require.NoError(t, c.Put(context.Background(), cache.Item{Key: key, Entry: entry, TTL: ttl}))
}

// requireAdd adds entry, and expects that the key then has held: the entry itself, or another
// one.
func requireAdd(t require.TestingT, c cache.Cache, key string, entry, held cache.Entry) {
	got, added, err := c.Add(context.Background(), cache.Item{Key: key, Entry: entry, TTL: ttl})
	require.NoError(t, err)
	requireEntry(t, held, got)
	require.Equal(t, entry.Version == held.Version && entry.State == held.State && bytes.Equal(entry.Body, held.Body), added, "add to %q", key)
}

func live(version int64, body string) cache.Entry {
	return cache.Entry{Version: version, State: cache.Live, Body: []byte(body)}
}
