package fairshare_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"contacts/platform/fairshare"
)

// fill takes 1 as often as the holder gets it, and returns how often that was.
func fill(p *fairshare.Pool, holder fairshare.Holder) (n int) {
	for ; ; n++ {
		if _, ok := p.TryAcquire(holder, 1); !ok {
			return n
		}
	}
}

func TestPool_Shares(t *testing.T) {
	t.Parallel()
	p := fairshare.New(300)
	require.Equal(t, 100, fill(p, fairshare.Holder{Tenant: "a", Caller: "1"}), "a caller gets a third")
	require.Equal(t, 34, fill(p, fairshare.Holder{Tenant: "a", Caller: "2"}))
	for i := range 100 {
		fill(p, fairshare.Holder{Tenant: "a", Caller: fmt.Sprint("more", i)})
	}
	require.LessOrEqual(t, p.Used(), int64(150), "a tenant gets at most half, however many callers it has")
	require.GreaterOrEqual(t, fill(p, fairshare.Holder{Tenant: "b", Caller: "1"}), 50, "others get theirs")

	whole := fairshare.New(300)
	require.Equal(t, 300, fill(whole, fairshare.Holder{}), "callers that are not told apart have it all")
}

func TestPool_Weights(t *testing.T) {
	t.Parallel()
	p := fairshare.New(16)
	a, b := fairshare.Holder{Tenant: "a", Caller: "1"}, fairshare.Holder{Tenant: "b", Caller: "1"}
	release, ok := p.TryAcquire(a, 6)
	require.True(t, ok)
	_, ok = p.TryAcquire(a, 6)
	require.False(t, ok)
	_, ok = p.TryAcquire(b, 6)
	require.True(t, ok, "what is too much for one is not for the next one")
	release()
	_, ok = p.TryAcquire(a, 6)
	require.True(t, ok)
}

// One that waits is passed by another holder, but not by another of its own.
func TestPool_Acquire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := fairshare.New(3)
		a, b := fairshare.Holder{Tenant: "a", Caller: "1"}, fairshare.Holder{Tenant: "b", Caller: "1"}
		release, err := p.Acquire(t.Context(), a, 1)
		require.NoError(t, err)
		served := make(chan int, 3)
		for i := range 3 {
			go func() {
				if _, err := p.Acquire(t.Context(), a, 1); err == nil { // else the test has ended
					served <- i
				}
			}()
			synctest.Wait()
		}
		require.Empty(t, served)
		releaseOther, err := p.Acquire(t.Context(), b, 1)
		require.NoError(t, err, "others do not wait behind them")
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error, 1)
		go func() {
			_, err := p.Acquire(ctx, b, 1)
			gaveUp <- err
		}()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-gaveUp, context.Canceled)
		releaseOther()
		release()
		synctest.Wait()
		require.Equal(t, 0, <-served, "in their order")
		require.Empty(t, served)
		require.EqualValues(t, 1, p.Used())
	})
}

// After any takes and releases the capacity is kept, and a holder that has nothing gets
// something once another one has had all that it may.
func TestPool_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(3, 500).Draw(t, "capacity")
		p := fairshare.New(capacity)
		var releases []func()
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				holder := fairshare.Holder{Tenant: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"), Caller: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "caller")}
				if release, ok := p.TryAcquire(holder, rapid.Int64Range(1, capacity).Draw(t, "weight")); ok {
					releases = append(releases, release)
				}
			},
			"release": func(t *rapid.T) {
				if len(releases) > 0 {
					i := rapid.IntRange(0, len(releases)-1).Draw(t, "which")
					releases[i]()
					releases = append(releases[:i], releases[i+1:]...)
				}
			},
			"": func(t *rapid.T) {
				require.LessOrEqual(t, p.Used(), capacity)
				require.GreaterOrEqual(t, p.Used(), int64(0))
			},
		})
		for _, release := range releases {
			release()
		}
		require.Zero(t, p.Used())
		fill(p, fairshare.Holder{Tenant: "greedy", Caller: "1"})
		_, ok := p.TryAcquire(fairshare.Holder{Tenant: "modest", Caller: "1"}, 1)
		require.True(t, ok)
	})
}
