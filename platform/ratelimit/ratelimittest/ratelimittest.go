// Package ratelimittest holds the contract suite of the port in package ratelimit. Every
// adapter runs it:
//
//	func TestClient_Limiter(t *testing.T) {
//		ratelimittest.Run(t, func(t *testing.T) ratelimit.Limiter { … })
//	}
package ratelimittest

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"contacts/platform/ratelimit"
)

const (
	// patience is how long a case waits for what must come, however slow the machine.
	patience = 20 * time.Second
	// tick is how often it looks.
	tick = time.Millisecond
	// never is an interval that no case lives to see the end of.
	never = time.Hour
)

// Run checks that a [ratelimit.Limiter] keeps every guarantee of the port. open is called once
// for each case and must return a limiter whose keys are unused; it registers the
// closing with t.Cleanup. Cases run in parallel.
func Run(t *testing.T, open func(t *testing.T) ratelimit.Limiter) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, ratelimit.Limiter){
		"BurstIsAllowedAtOnce":     burst,
		"DeniedCountsForNothing":   deniedCountsForNothing,
		"KeysAreIndependent":       keysAreIndependent,
		"ManyAtTheSameTime":        manyAtTheSameTime,
		"AllowedAgain":             allowedAgain,
		"AsGoodAsNew":              asGoodAsNew,
		"NeverMoreThanTheRate":     neverMoreThanTheRate,
		"AnotherLimit":             anotherLimit,
		"FollowsModel":             followsModel,
		"KeysWithUnusualCharacter": unusualKeys,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func burst(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: never, Burst: 3}
	for i := 1; i <= limit.Burst; i++ {
		d := take(t, l, "k", limit)
		require.True(t, d.Allowed)
		require.Equal(t, limit.Burst-i, d.Remaining)
		require.Zero(t, d.Wait)
		requireAbout(t, time.Duration(i)*never, d.Recovery)
	}
	d := take(t, l, "k", limit)
	require.False(t, d.Allowed)
	require.Zero(t, d.Remaining)
	requireAbout(t, never, d.Wait)
	requireAbout(t, limit.Window(), d.Recovery)
}

func deniedCountsForNothing(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: never, Burst: 1}
	require.True(t, take(t, l, "k", limit).Allowed)
	first := take(t, l, "k", limit)
	for range 50 {
		d := take(t, l, "k", limit)
		require.False(t, d.Allowed)
		require.LessOrEqual(t, d.Wait, first.Wait)
		require.LessOrEqual(t, d.Recovery, first.Recovery)
	}
}

func keysAreIndependent(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: never, Burst: 1}
	for i := range 20 {
		key := fmt.Sprint("k", i)
		require.True(t, take(t, l, key, limit).Allowed)
		require.False(t, take(t, l, key, limit).Allowed)
	}
}

func manyAtTheSameTime(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: never, Burst: 70}
	var allowed atomic.Int64
	var group errgroup.Group
	for range 20 {
		group.Go(func() error {
			for range 10 {
				d, err := l.Take(t.Context(), "k", limit)
				if err != nil {
					return err
				}
				if d.Allowed {
					allowed.Add(1)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, limit.Burst, allowed.Load())
}

func allowedAgain(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: 100 * time.Millisecond, Burst: 2}
	denied := drain(t, l, "k", limit)
	require.Positive(t, denied.Wait)
	require.LessOrEqual(t, denied.Wait, limit.Interval)
	require.Eventually(t, func() bool { return take(t, l, "k", limit).Allowed }, patience, tick)
}

func asGoodAsNew(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: 20 * time.Millisecond, Burst: 3}
	denied := drain(t, l, "k", limit)
	<-time.After(denied.Recovery + tick) // the other side's clock may be of another granularity
	require.Equal(t, limit.Burst-1, take(t, l, "k", limit).Remaining)
}

// neverMoreThanTheRate counts what is allowed to a caller that asks all the time.
func neverMoreThanTheRate(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: 10 * time.Millisecond, Burst: 5}
	begun := time.Now()
	for allowed := 0; allowed < 40; {
		if take(t, l, "k", limit).Allowed {
			allowed++
		}
		// the clocks may differ a little
		most := limit.Burst + int((time.Since(begun)+tick)/limit.Interval)
		require.LessOrEqual(t, allowed, most)
	}
}

func anotherLimit(t *testing.T, l ratelimit.Limiter) {
	wide, narrow := ratelimit.Limit{Interval: never, Burst: 5}, ratelimit.Limit{Interval: never, Burst: 2}
	drain(t, l, "k", wide)
	require.True(t, take(t, l, "k", narrow).Allowed)
	require.True(t, take(t, l, "k", narrow).Allowed)
	require.False(t, take(t, l, "k", narrow).Allowed)
	d := take(t, l, "k", wide)
	require.True(t, d.Allowed, "what was taken under one limit counts for the other, as far as it fits")
	require.Equal(t, 2, d.Remaining)
}

// followsModel takes keys in any order and expects what counting expects. No interval ends
// meanwhile.
func followsModel(t *testing.T, l ratelimit.Limiter) {
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		limit := ratelimit.Limit{Interval: never, Burst: rapid.IntRange(1, 6).Draw(r, "burst")}
		taken := map[string]int{}
		for _, name := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 30).Draw(r, "keys") {
			key := fmt.Sprint(name, round)
			d, err := l.Take(t.Context(), key, limit)
			require.NoError(r, err)
			require.Equal(r, taken[key] < limit.Burst, d.Allowed)
			taken[key] = min(taken[key]+1, limit.Burst)
			require.Equal(r, limit.Burst-taken[key], d.Remaining)
		}
	})
}

func unusualKeys(t *testing.T, l ratelimit.Limiter) {
	limit := ratelimit.Limit{Interval: never, Burst: 1}
	for _, key := range []string{"", " ", "a:b", "a\x00b", "{a}b", "ü€", "\xff", strings.Repeat("long", 1000)} {
		require.True(t, take(t, l, key, limit).Allowed, "%q", key)
		require.False(t, take(t, l, key, limit).Allowed, "%q", key)
	}
}

// drain takes the key until it is denied, and returns that decision.
func drain(t *testing.T, l ratelimit.Limiter, key string, limit ratelimit.Limit) ratelimit.Decision {
	t.Helper()
	for {
		if d := take(t, l, key, limit); !d.Allowed {
			return d
		}
	}
}

func take(t *testing.T, l ratelimit.Limiter, key string, limit ratelimit.Limit) ratelimit.Decision {
	t.Helper()
	d, err := l.Take(t.Context(), key, limit)
	require.NoError(t, err)
	return d
}

// requireAbout allows for the time that the case has taken.
func requireAbout(t *testing.T, want, got time.Duration) {
	t.Helper()
	require.LessOrEqual(t, got, want)
	require.Greater(t, got, want-never/2)
}
