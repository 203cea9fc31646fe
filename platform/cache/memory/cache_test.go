package memory_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/cache"
	"contacts/platform/cache/cachetest"
	"contacts/platform/cache/memory"
)

func TestCache_Cache(t *testing.T) {
	t.Parallel()
	cachetest.RunCache(t, func(t *testing.T) cache.Cache { return open(t, memory.Options{}) })
}

func TestCache_Bus(t *testing.T) {
	t.Parallel()
	cachetest.RunBus(t, func(t *testing.T) cache.Bus { return open(t, memory.Options{}) })
}

func TestCache_Get_LeaseLastsItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory.Options{})
		_, _, lease, err := c.Get(t.Context(), "k")
		require.NoError(t, err)
		require.NotEmpty(t, lease)

		time.Sleep(cache.LeaseTTL - time.Nanosecond)
		_, _, second, err := c.Get(t.Context(), "k")
		require.NoError(t, err)
		require.Empty(t, second, "the lease is still held")

		time.Sleep(time.Nanosecond)
		item := cache.Item{Key: "k", Entry: cache.Entry{Version: 1, State: cache.Live}, TTL: time.Minute}
		stored, err := c.Fill(t.Context(), lease, item)
		require.NoError(t, err)
		require.False(t, stored, "the lease has ended")
		_, _, second, err = c.Get(t.Context(), "k")
		require.NoError(t, err)
		require.NotEmpty(t, second)
	})
}

func TestCache_Put_LastsItsTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, memory.Options{})
		item := cache.Item{Key: "k", Entry: cache.Entry{Version: 1, State: cache.Live}, TTL: 5 * time.Minute}
		require.NoError(t, c.Put(t.Context(), item))

		time.Sleep(item.TTL / 2)
		require.NoError(t, c.Put(t.Context(), item), "the same version changes nothing, nor the time to live")
		time.Sleep(item.TTL/2 - time.Nanosecond)
		_, found, _, err := c.Get(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, found)

		time.Sleep(time.Nanosecond)
		_, found, _, err = c.Get(t.Context(), "k")
		require.NoError(t, err)
		require.False(t, found)
	})
}

// A full cache keeps within its bound, still takes new keys by miss and fill, and keeps what
// is read often.
func TestCache_MaxBytes(t *testing.T) {
	t.Parallel()
	const bodyBytes, entries, fit = 1000, 5000, 500
	c := open(t, memory.Options{MaxBytes: fit * bodyBytes})
	fill := func(key string) bool {
		_, found, lease, err := c.Get(t.Context(), key)
		require.NoError(t, err)
		if found {
			return true
		}
		stored, err := c.Fill(t.Context(), lease, cache.Item{
			Key: key, Entry: cache.Entry{Version: 1, State: cache.Live, Body: make([]byte, bodyBytes)}, TTL: time.Hour,
		})
		require.NoError(t, err)
		return stored
	}

	filled, hot := 0, 0
	for i := range entries {
		if fill(strconv.Itoa(i)) {
			filled++
		}
		if fill("hot") {
			hot++
		}
	}
	require.Greater(t, filled, entries*9/10, "a full cache should take new entries")
	require.Greater(t, hot, entries*9/10)

	c.Settle()
	kept := 0
	// the newest first: what is not found leaves a lease, which takes another's place
	for i := range entries {
		if _, found, _, err := c.Get(t.Context(), strconv.Itoa(entries-1-i)); found {
			require.NoError(t, err)
			kept++
		}
	}
	require.NotZero(t, kept)
	require.LessOrEqual(t, kept, fit)
}

func open(t *testing.T, options memory.Options) *memory.Cache {
	c := memory.Open(options)
	t.Cleanup(c.Close)
	return c
}
