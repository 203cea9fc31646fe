package redis_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/cache/redis"
	"contacts/platform/ratelimit"
	"contacts/platform/ratelimit/ratelimittest"
)

func TestClient_Limiter(t *testing.T) {
	t.Parallel()
	ratelimittest.Run(t, func(t *testing.T) ratelimit.Limiter { return open(t, sharedURL(t)) })
}

// A key leaves by itself, and not before its takings are of no account.
func TestClient_Take_Expires(t *testing.T) {
	t.Parallel()
	prefix, admin := rand.Text()+"/", connect(t, sharedURL(t))
	c := openWith(t, redis.Options{URL: sharedURL(t), KeyPrefix: prefix, Timeout: patience})
	limit := ratelimit.Limit{Interval: time.Hour, Burst: 2}
	for i := 1; i <= 3; i++ {
		d, err := c.Take(t.Context(), "k", limit)
		require.NoError(t, err)
		left, err := admin.Do(t.Context(), admin.B().Pttl().Key(prefix+"k").Build()).AsInt64()
		require.NoError(t, err)
		require.InDelta(t, d.Recovery, time.Duration(left)*time.Millisecond, float64(time.Minute))
	}
	_, err := c.Take(t.Context(), "short", ratelimit.Limit{Interval: time.Millisecond, Burst: 1})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := admin.Do(t.Context(), admin.B().Exists().Key(prefix+"short").Build()).AsInt64()
		return err == nil && n == 0
	}, patience, tick)
}

// What another program has put under a key does not get in the way.
func TestClient_Take_ForeignValue(t *testing.T) {
	t.Parallel()
	prefix, admin := rand.Text()+"/", connect(t, sharedURL(t))
	c := openWith(t, redis.Options{URL: sharedURL(t), KeyPrefix: prefix, Timeout: patience})
	for _, value := range []string{"", "x", "-1", "9007199254740993", "nan", "inf"} {
		require.NoError(t, admin.Do(t.Context(), admin.B().Set().Key(prefix+"k").Value(value).Build()).Error())
		d, err := c.Take(t.Context(), "k", ratelimit.Limit{Interval: time.Hour, Burst: 1})
		require.NoError(t, err, value)
		require.True(t, d.Allowed, value)
	}
}
