package redis_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"contacts/platform/cache"
	"contacts/platform/cache/cachetest"
	"contacts/platform/cache/redis"
	"contacts/platform/ratelimit"
)

func TestClient_Cache(t *testing.T) {
	t.Parallel()
	cachetest.RunCache(t, func(t *testing.T) cache.Cache { return open(t, sharedURL(t)) })
}

func TestClient_Bus(t *testing.T) {
	t.Parallel()
	cachetest.RunBus(t, func(t *testing.T) cache.Bus { return open(t, sharedURL(t)) })
}

// A cluster refuses commands and scripts whose keys lie in several slots, even when it has one
// node only.
func TestClient_Cluster(t *testing.T) {
	t.Parallel()
	s := startServer(t, "--cluster-enabled", "yes")
	admin := connect(t, s.url())
	slots := admin.B().ClusterAddslotsrange().StartSlotEndSlot().StartSlotEndSlot(0, 16383).Build()
	require.NoError(t, admin.Do(t.Context(), slots).Error())
	require.Eventually(t, func() bool {
		info, err := admin.Do(t.Context(), admin.B().ClusterInfo().Build()).ToString()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	}, patience, tick)

	t.Run("Cache", func(t *testing.T) {
		cachetest.RunCache(t, func(t *testing.T) cache.Cache { return open(t, s.url()) })
	})
	t.Run("Bus", func(t *testing.T) {
		cachetest.RunBus(t, func(t *testing.T) cache.Bus { return open(t, s.url()) })
	})
}

func TestOpen_UnreadableURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"",
		"127.0.0.1:6379",
		"memory://",
		"redis://",
		"redis://user:secret@host:port",
		"redis://user:secret@host/database",
		"redis://user:sec/ret@host",
		"redis://user:12/secret@host",
		"redis://user:12?secret@host",
		"redis://user:12#secret@host",
		"redis://user:secret%zz@host",
		"redis://user:secret@host:1?dial_timeout=secret",
	} {
		client, err := redis.Open(redis.Options{URL: url})
		require.Error(t, err, url)
		require.Nil(t, client)
		require.NotContains(t, err.Error(), "sec", url)
		require.ErrorContains(t, err, "redis://", "the error should say what a URL looks like")
	}
}

func TestClient_WrongPassword(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	admin := connect(t, s.url())
	require.NoError(t, admin.Do(t.Context(), admin.B().ConfigSet().ParameterValue().
		ParameterValue("requirepass", "right").Build()).Error())

	err := open(t, "redis://:s3cr3t@"+s.address()).Ping(t.Context())
	require.ErrorIs(t, err, cache.ErrUnavailable)
	require.NotContains(t, err.Error(), "s3cr3t")
	require.NoError(t, open(t, "redis://:right@"+s.address()).Ping(t.Context()))
}

// A caller that gave up must not stop the others.
func TestClient_EndedContext(t *testing.T) {
	t.Parallel()
	c := open(t, sharedURL(t))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		err := c.Ping(ended)
		require.ErrorIs(t, err, cache.ErrUnavailable)
		require.ErrorIs(t, err, context.Canceled)
	}
	require.NoError(t, c.Ping(t.Context()))
}

func TestClient_Closed(t *testing.T) {
	t.Parallel()
	c := open(t, sharedURL(t))
	require.NoError(t, c.Ping(t.Context()))
	c.Close()
	require.ErrorIs(t, c.Ping(t.Context()), cache.ErrUnavailable)
}

// What another program or another version of this one left under a key is missed, and then
// replaced by fill or put.
func TestClient_Get_BrokenEntry(t *testing.T) {
	t.Parallel()
	entry := cache.Entry{Version: 1, State: cache.Live, Body: []byte("one")}
	for name, broken := range map[string]string{
		"empty":           "",
		"foreign":         "\x80\x04foreign",
		"no body":         "7:L",
		"unknown state":   "7:X:body",
		"negative":        "-7:L:body",
		"beyond an int64": "99999999999999999999:L:body",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			prefix := rand.Text() + "/"
			c := openWith(t, redis.Options{URL: sharedURL(t), KeyPrefix: prefix, Timeout: patience})
			admin := connect(t, sharedURL(t))
			plant := func(key string) {
				set := admin.B().Set().Key(prefix + key).Value(broken).Px(time.Minute).Build()
				require.NoError(t, admin.Do(t.Context(), set).Error())
			}

			plant("filled")
			_, found, lease, err := c.Get(t.Context(), "filled")
			require.NoError(t, err)
			require.False(t, found)
			stored, err := c.Fill(t.Context(), lease, cache.Item{Key: "filled", Entry: entry, TTL: time.Minute})
			require.NoError(t, err)
			require.True(t, stored)

			plant("put")
			require.NoError(t, c.Put(t.Context(), cache.Item{Key: "put", Entry: entry, TTL: time.Minute}))

			for _, key := range []string{"filled", "put"} {
				got, found, _, err := c.Get(t.Context(), key)
				require.NoError(t, err)
				require.True(t, found)
				require.Equal(t, entry, got)
			}
		})
	}
}

// Redis is there, it only refuses one call: the others must not be stopped.
func TestClient_RefusedCall(t *testing.T) {
	t.Parallel()
	c := openWith(t, redis.Options{URL: startServer(t, "--maxmemory", "1").url(), Timeout: patience})
	err := c.Put(t.Context(), cache.Item{Key: "k", Entry: cache.Entry{Version: 1, State: cache.Gone}, TTL: time.Minute})
	require.ErrorIs(t, err, cache.ErrUnavailable)
	require.ErrorContains(t, err, "OOM")
	require.NoError(t, c.Ping(t.Context()))
}

// A key of another type than string, set by another program, counts as missing and is
// replaced. It fails no other key.
func TestClient_KeyOfAnotherType(t *testing.T) {
	t.Parallel()
	prefix := rand.Text() + "/"
	c := openWith(t, redis.Options{URL: sharedURL(t), KeyPrefix: prefix, Timeout: patience})
	admin := connect(t, sharedURL(t))
	plant := func(key string) {
		t.Helper()
		require.NoError(t, admin.Do(t.Context(), admin.B().Lpush().Key(prefix+key).Element("x").Build()).Error())
	}
	for _, key := range []string{"put", "get", "add", "rate", "trusted"} {
		plant(key)
		t.Cleanup(func() { _ = admin.Do(context.Background(), admin.B().Del().Key(prefix+key).Build()).Error() })
	}
	item := func(key string) cache.Item {
		return cache.Item{Key: key, Entry: cache.Entry{Version: 1, State: cache.Live, Body: []byte("b")}, TTL: time.Minute}
	}
	require.NoError(t, c.Put(t.Context(), item("other"), item("put"), item("another")))
	for _, key := range []string{"other", "put", "another"} {
		entry, found, _, err := c.Get(t.Context(), key)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, item(key).Entry, entry)
	}
	_, found, lease, err := c.Get(t.Context(), "get")
	require.NoError(t, err)
	require.False(t, found)
	require.NotEmpty(t, lease)
	stored, err := c.Fill(t.Context(), lease, item("get"))
	require.NoError(t, err)
	require.True(t, stored)
	for _, added := range []bool{true, false} {
		held, got, err := c.Add(t.Context(), item("add"))
		require.NoError(t, err)
		require.Equal(t, added, got)
		require.Equal(t, item("add").Entry, held)
	}
	for range 2 {
		decision, err := c.Take(t.Context(), "rate", ratelimit.PerSecond(10, 10))
		require.NoError(t, err)
		require.True(t, decision.Allowed)
	}
	require.NoError(t, c.RenewTrust(t.Context(), time.Now().Add(time.Minute)))
	trusted, err := c.Trusted(t.Context())
	require.NoError(t, err)
	require.True(t, trusted)
}

// open returns a client with a key space of its own and a timeout that a busy machine does not
// reach.
func open(t *testing.T, url string) *redis.Client {
	return openWith(t, redis.Options{URL: url, KeyPrefix: rand.Text() + "/", Timeout: patience})
}

func openWith(t *testing.T, options redis.Options) *redis.Client {
	t.Helper()
	c, err := redis.Open(options)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// connect returns a plain connection, to prepare and to look behind the client.
func connect(t *testing.T, url string) rueidis.Client {
	t.Helper()
	option, err := rueidis.ParseURL(url)
	require.NoError(t, err)
	option.DisableCache = true
	option.ForceSingleClient = true
	conn, err := rueidis.NewClient(option)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}
