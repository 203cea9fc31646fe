package redis

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"contacts/platform/ratelimit"
)

// take is [ratelimit.Limit.Decide] on Redis' own clock, which all processes share, in
// microseconds. The key holds the time until which its takings last, and expires with it;
// anything else counts as nothing, and is replaced. Lua's numbers are exact up to 2^53, which
// is in the year 2255.
var take = rueidis.NewLuaScriptNoSha(`
local time = redis.call('TIME')
local now, interval, window = time[1] * 1000000 + time[2], tonumber(ARGV[1]), tonumber(ARGV[2])
local held = redis.pcall('GET', KEYS[1])
local ahead = (type(held) == 'string' and tonumber(held) or 0) - now
if not (ahead >= 0 and ahead <= window) then ahead = 0 end
local next = ahead + interval
if next <= window then
	redis.call('SET', KEYS[1], now + next, 'PX', math.ceil(next / 1000))
end
return ahead`)

// Take implements [ratelimit.Limiter]. It returns [cache.ErrUnavailable].
func (c *Client) Take(ctx context.Context, key string, limit ratelimit.Limit) (ratelimit.Decision, error) {
	var decision ratelimit.Decision
	err := c.ask(ctx, "EVAL take", func(ctx context.Context, conn rueidis.Client) error {
		ahead, err := take.Exec(ctx, conn, []string{c.prefix + key}, []string{
			strconv.FormatInt(limit.Interval.Microseconds(), 10), strconv.FormatInt(limit.Window().Microseconds(), 10),
		}).AsInt64()
		if err == nil {
			decision, _ = limit.Decide(time.Duration(ahead) * time.Microsecond)
		}
		return err
	})
	return decision, err
}
