package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"contacts/platform/ratelimit"
)

func TestPerSecond(t *testing.T) {
	t.Parallel()
	require.Equal(t, ratelimit.Limit{Interval: 5 * time.Millisecond, Burst: 400}, ratelimit.PerSecond(200, 400))
	require.Equal(t, 333333*time.Microsecond, ratelimit.PerSecond(3, 1).Interval, "whole microseconds, and never fewer takings")
	require.Equal(t, time.Microsecond, ratelimit.PerSecond(1_000_000, 1).Interval)
	require.Equal(t, 2*time.Second, ratelimit.PerSecond(200, 400).Window())
}

// For every state and limit, a decision is consistent in itself.
func TestLimit_Decide(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := ratelimit.Limit{
			Interval: time.Duration(rapid.IntRange(1, 1e9).Draw(t, "interval")) * time.Microsecond,
			Burst:    rapid.IntRange(1, 1000).Draw(t, "burst"),
		}
		ahead := time.Duration(rapid.Int64Range(-int64(limit.Interval), 2*int64(limit.Window())).Draw(t, "ahead"))
		d, next := limit.Decide(ahead)
		require.LessOrEqual(t, next, limit.Window())
		require.Equal(t, next, d.Recovery)
		require.GreaterOrEqual(t, d.Remaining, 0)
		require.Less(t, d.Remaining, limit.Burst)
		require.Equal(t, d.Allowed, d.Wait == 0)
		after, _ := limit.Decide(next)
		require.Equal(t, d.Remaining > 0, after.Allowed)
		if !d.Allowed {
			require.Equal(t, ahead, next, "denied, it changes nothing")
			soon, _ := limit.Decide(ahead - d.Wait + 1)
			require.False(t, soon.Allowed)
			later, _ := limit.Decide(ahead - d.Wait)
			require.True(t, later.Allowed)
		}
	})
}

// fixed is a limiter that always says the same.
type fixed struct {
	decision ratelimit.Decision
	err      error
}

func (f fixed) Take(context.Context, string, ratelimit.Limit) (ratelimit.Decision, error) {
	return f.decision, f.err
}

func TestFallback(t *testing.T) {
	t.Parallel()
	shared, local := fixed{decision: ratelimit.Decision{Remaining: 1}}, fixed{decision: ratelimit.Decision{Remaining: 2}}
	d, err := ratelimit.Fallback{Shared: shared, Local: local}.Take(t.Context(), "k", ratelimit.PerSecond(1, 1))
	require.NoError(t, err)
	require.Equal(t, shared.decision, d)
	shared.err = errors.New("away")
	d, err = ratelimit.Fallback{Shared: shared, Local: local}.Take(t.Context(), "k", ratelimit.PerSecond(1, 1))
	require.NoError(t, err)
	require.Equal(t, local.decision, d)
}
