package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/sony/gobreaker/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"contacts/platform/cache"
	"contacts/platform/cache/redis"
	"contacts/platform/ratelimit"
)

func TestOpen_RedisIsDown(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.kill()
	c := openWith(t, redis.Options{URL: s.url()})
	requireUnavailable(t, c)
	requireFailsAtOnce(t, c)

	s.start(t)
	requireRecovers(t, c)
}

func TestClient_RedisIsKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openWith(t, redis.Options{URL: s.url()})
	requireRecovers(t, c)

	s.kill()
	requireUnavailable(t, c)
	requireFailsAtOnce(t, c)

	s.start(t)
	requireRecovers(t, c)
}

// A frozen Redis keeps its connections open, so that only the timeout tells.
func TestClient_RedisIsFrozen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openWith(t, redis.Options{URL: s.url()})
	requireRecovers(t, c)

	s.freeze(t)
	requireUnavailable(t, c)
	requireFailsAtOnce(t, c)

	s.thaw(t)
	requireRecovers(t, c)
}

// A server that is frozen from the start accepts connections and never says a word.
func TestOpen_RedisIsFrozen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.freeze(t)
	c := openWith(t, redis.Options{URL: s.url()})
	requireUnavailable(t, c)
	requireFailsAtOnce(t, c)

	s.thaw(t)
	requireRecovers(t, c)
}

// A caller that gives up while Redis is slow must not count as a failure of Redis.
func TestClient_CallerGivesUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openWith(t, redis.Options{URL: s.url(), Timeout: patience})
	require.NoError(t, c.Ping(t.Context()))

	s.freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*tick)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- c.Ping(ctx) }()
	<-ctx.Done()
	s.thaw(t)
	if err := next(t, ended); err != nil { // it came too late to ask at all
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, c.Ping(t.Context()))
}

func TestClient_Subscribe_AgainAfterRestart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openWith(t, redis.Options{URL: s.url(), Timeout: patience})
	ctx, cancel := context.WithCancel(t.Context())
	stands, received, ended := make(chan bool, 100), make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, "address",
			func(body []byte) {
				select {
				case received <- string(body):
				default:
				}
			},
			func(is bool) { stands <- is })
	}()
	require.True(t, next(t, stands))

	s.kill()
	require.False(t, next(t, stands))
	s.start(t)
	require.True(t, next(t, stands))

	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.NoError(collect, c.Publish(t.Context(), cache.Notice{Address: "address", Body: []byte("hello")}))
		require.NotEmpty(collect, received)
	}, patience, tick)
	require.Equal(t, "hello", next(t, received))
	cancel()
	require.ErrorIs(t, next(t, ended), context.Canceled)
}

// A subscriber of a frozen Redis must not take the silence for an absence of notices.
func TestClient_Subscribe_RedisIsFrozen(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := openWith(t, redis.Options{URL: s.url()})
	stands := make(chan bool, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, "address", func([]byte) {}, func(is bool) { stands <- is })
	}()
	require.True(t, next(t, stands))

	s.freeze(t)
	require.False(t, next(t, stands))
	s.thaw(t)
	require.True(t, next(t, stands))
	cancel()
	require.ErrorIs(t, next(t, ended), context.Canceled)
}

// An unsubscribed process leaves nothing behind on the server.
func TestClient_Subscribe_Leaves(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c, admin := openWith(t, redis.Options{URL: s.url(), KeyPrefix: "p/", Timeout: patience}), connect(t, s.url())
	subscribers := func() int64 {
		reply, err := admin.Do(t.Context(), admin.B().PubsubNumsub().Channel("p/address").Build()).AsIntMap()
		require.NoError(t, err)
		return reply["p/address"]
	}
	ctx, cancel := context.WithCancel(t.Context())
	stands, ended := make(chan bool, 100), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, "address", func([]byte) {}, func(is bool) { stands <- is })
	}()
	require.True(t, next(t, stands))
	require.EqualValues(t, 1, subscribers())
	cancel()
	require.ErrorIs(t, next(t, ended), context.Canceled)
	require.Eventually(t, func() bool { return subscribers() == 0 }, patience, tick)
}

// requireUnavailable makes the call that finds out. It waits for Redis itself, not for the
// breaker's word.
func requireUnavailable(t *testing.T, c *redis.Client) {
	t.Helper()
	_, _, _, err := c.Get(t.Context(), "k")
	require.ErrorIs(t, err, cache.ErrUnavailable)
	require.NotErrorIs(t, err, gobreaker.ErrOpenState)
}

// requireFailsAtOnce looks for the breaker's word in every method. Now and then a call is let
// through as a probe, so one look may miss it.
func requireFailsAtOnce(t *testing.T, c *redis.Client) {
	t.Helper()
	item := cache.Item{Key: "k", Entry: cache.Entry{Version: 1, State: cache.Live}, TTL: time.Minute}
	for name, call := range map[string]func(context.Context) error{
		"Get":     func(ctx context.Context) error { _, _, _, err := c.Get(ctx, "k"); return err },
		"Fill":    func(ctx context.Context) error { _, err := c.Fill(ctx, "lease:x", item); return err },
		"Put":     func(ctx context.Context) error { return c.Put(ctx, item, item) },
		"Ping":    c.Ping,
		"Publish": func(ctx context.Context) error { return c.Publish(ctx, cache.Notice{Address: "a"}) },
		"Take": func(ctx context.Context) error {
			_, err := c.Take(ctx, "k", ratelimit.PerSecond(1, 1))
			return err
		},
	} {
		require.EventuallyWithT(t, func(collect *assert.CollectT) {
			err := call(t.Context())
			require.ErrorIs(collect, err, cache.ErrUnavailable)
			require.ErrorIs(collect, err, gobreaker.ErrOpenState)
		}, patience, tick, name)
	}
}

// requireRecovers waits until every method works again.
func requireRecovers(t *testing.T, c *redis.Client) {
	t.Helper()
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		item := cache.Item{Key: "k", Entry: cache.Entry{Version: 1, State: cache.Live}, TTL: time.Minute}
		require.NoError(collect, c.Ping(t.Context()))
		require.NoError(collect, c.Put(t.Context(), item))
		_, found, _, err := c.Get(t.Context(), "k")
		require.NoError(collect, err)
		require.True(collect, found)
	}, patience, tick)
}

func next[T any](t *testing.T, events <-chan T) T {
	t.Helper()
	select {
	case event := <-events:
		return event
	case <-time.After(patience):
		require.FailNow(t, "what the test waits for never came")
		panic("unreachable")
	}
}
