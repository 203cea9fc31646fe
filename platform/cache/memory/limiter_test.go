package memory_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/cache/memory"
	"contacts/platform/ratelimit"
	"contacts/platform/ratelimit/ratelimittest"
)

func TestLimiter(t *testing.T) {
	t.Parallel()
	ratelimittest.Run(t, func(t *testing.T) ratelimit.Limiter { return newLimiter(t, 0) })
}

func TestLimiter_Take_ToTheNanosecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, limit := newLimiter(t, 0), ratelimit.PerSecond(10, 2)
		take := func() ratelimit.Decision {
			d, err := l.Take(t.Context(), "k", limit)
			require.NoError(t, err)
			return d
		}
		require.Equal(t, ratelimit.Decision{Allowed: true, Remaining: 1, Recovery: 100 * time.Millisecond}, take())
		require.Equal(t, ratelimit.Decision{Allowed: true, Recovery: 200 * time.Millisecond}, take())
		denied := take()
		require.Equal(t, ratelimit.Decision{Wait: 100 * time.Millisecond, Recovery: 200 * time.Millisecond}, denied)
		time.Sleep(denied.Wait - time.Nanosecond)
		require.Equal(t, time.Nanosecond, take().Wait)
		time.Sleep(time.Nanosecond)
		require.True(t, take().Allowed)
		require.False(t, take().Allowed)
		time.Sleep(200 * time.Millisecond)
		require.Equal(t, 1, take().Remaining, "all has recovered")
	})
}

// However many callers there are, the limiter remembers so many, and callers that ask all the
// time.
func TestLimiter_Take_ManyKeys(t *testing.T) {
	t.Parallel()
	const keys, kept = 20_000, 1000
	l, limit := newLimiter(t, kept), ratelimit.Limit{Interval: time.Hour, Burst: 1}
	denied := 0
	for i := range keys {
		d, err := l.Take(t.Context(), "always", limit)
		require.NoError(t, err)
		if !d.Allowed {
			denied++
		}
		_, err = l.Take(t.Context(), strconv.Itoa(i), limit)
		require.NoError(t, err)
	}
	require.Greater(t, denied, keys*9/10)
	remembered := 0
	// from the youngest on: to ask for one that is forgotten makes another be forgotten
	for i := keys - 1; i >= 0; i-- {
		if d, err := l.Take(t.Context(), strconv.Itoa(i), limit); !d.Allowed {
			require.NoError(t, err)
			remembered++
		}
	}
	require.NotZero(t, remembered)
	require.LessOrEqual(t, remembered, 2*kept)
}

func newLimiter(t *testing.T, maxKeys int) *memory.Limiter {
	l := memory.NewLimiter(maxKeys)
	t.Cleanup(l.Close)
	return l
}
