package redis

import (
	"context"
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"contacts/platform/cache"
)

// Under a key stands one string, which is either an entry or the lease of the caller about to
// bring one. That it is never both is what makes a put void the lease, lets a hit cost a
// single GET, and keeps everything about a key in one slot of a cluster. See encoding.go for
// how the two look.
//
// Scripts are sent whole: Redis keeps them compiled either way, and after a restart or a
// failover there is no second round trip to load them.

// What is of another type than string under a key, which only others can have put there,
// counts as nothing, and is replaced: the scripts read with pcall, since one such key would
// otherwise fail a whole batch.

// swap stores ARGV[2] for ARGV[3] milliseconds if the key holds exactly ARGV[1], where nothing
// is the empty string.
var swap = rueidis.NewLuaScriptNoSha(`
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' then held = '' end
if held ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

// put stores for each key an entry, of which it is given the version, the bytes and the
// milliseconds to live, unless the key holds an entry of a higher version, or of the same and
// either is not the result of the write that the held one announces. Versions are compared as
// decimal digits, since Lua's numbers are exact up to 2^53 only. What is neither an entry nor
// a lease is replaced.
var put = rueidis.NewLuaScriptNoSha(`
for i, key in ipairs(KEYS) do
	local version, entry, ttl = ARGV[3*i-2], ARGV[3*i-1], ARGV[3*i]
	local head = redis.pcall('GETRANGE', key, 0, 21)
	if type(head) ~= 'string' then head = '' end
	local held, state = string.match(head, '^(%d+):([LGAP]):')
	local keep
	if held == version then
		keep = state ~= 'P' or string.find(entry, '^%d+:P:')
	else
		keep = held and (#held > #version or #held == #version and held > version)
	end
	if not keep then redis.call('SET', key, entry, 'PX', ttl) end
end
return 1`)

// add stores ARGV[1] for ARGV[2] milliseconds unless the key holds an entry, which it then
// returns. SET with NX and GET would not replace a lease.
var add = rueidis.NewLuaScriptNoSha(`
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and string.find(held, '^%d+:[LGAP]:') then return held end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false`)

// maxPut is how many entries one call of put stores at the most: other clients wait for it.
const maxPut = 50

// Get implements [cache.Cache].
func (c *Client) Get(
	ctx context.Context, key string,
) (entry cache.Entry, found bool, lease cache.Lease, err error) {
	err = c.ask(ctx, "GET", func(ctx context.Context, conn rueidis.Client) error {
		held, err := conn.Do(ctx, conn.B().Get().Key(c.prefix+key).Build()).ToString()
		switch {
		case isWrongType(err):
			held = ""
		case err != nil && !rueidis.IsRedisNil(err):
			return err
		}
		if entry, found = decode(held); found || isLease(held) {
			return nil
		}
		fresh := newLease()
		taken, err := c.swap(ctx, conn, key, held, string(fresh), cache.LeaseTTL)
		if taken {
			lease = fresh
		}
		return err
	})
	return entry, found, lease, err
}

// Fill implements [cache.Cache].
func (c *Client) Fill(ctx context.Context, lease cache.Lease, item cache.Item) (stored bool, err error) {
	if !isLease(string(lease)) {
		return false, nil
	}
	err = c.ask(ctx, "EVAL swap", func(ctx context.Context, conn rueidis.Client) error {
		var err error
		stored, err = c.swap(ctx, conn, item.Key, string(lease), encode(item.Entry), item.TTL)
		return err
	})
	return stored, err
}

// Put implements [cache.Cache]. Where all keys are on one server, a call stores many of them;
// in a cluster each is in a slot of its own. Either way all travel in one pipeline.
func (c *Client) Put(ctx context.Context, items ...cache.Item) error {
	if len(items) == 0 {
		return nil
	}
	return c.ask(ctx, "EVAL put", func(ctx context.Context, conn rueidis.Client) error {
		each := maxPut
		if conn.Mode() == rueidis.ClientModeCluster {
			each = 1
		}
		var calls []rueidis.LuaExec
		for chunk := range slices.Chunk(items, each) {
			var call rueidis.LuaExec
			for _, item := range chunk {
				call.Keys = append(call.Keys, c.prefix+item.Key)
				call.Args = append(call.Args, strconv.FormatInt(item.Entry.Version, 10), encode(item.Entry), milliseconds(item.TTL))
			}
			calls = append(calls, call)
		}
		return firstError(put.ExecMulti(ctx, conn, calls...))
	})
}

// Add implements [cache.Cache].
func (c *Client) Add(ctx context.Context, item cache.Item) (held cache.Entry, added bool, err error) {
	err = c.ask(ctx, "EVAL add", func(ctx context.Context, conn rueidis.Client) error {
		present, err := add.Exec(ctx, conn, []string{c.prefix + item.Key}, []string{encode(item.Entry), milliseconds(item.TTL)}).ToString()
		if added = rueidis.IsRedisNil(err); added {
			held = item.Entry
			return nil
		}
		held, _ = decode(present)
		return err
	})
	return held, added, err
}

// trustKey holds something as long as the cache is trusted.
const trustKey = "trusted"

// RenewTrust implements [cache.Cache]. The time is absolute, so that a call that is held up on
// its way does not last longer; the clocks of the processes and of Redis have to agree about
// as well as network time lets them.
func (c *Client) RenewTrust(ctx context.Context, until time.Time) error {
	return c.ask(ctx, "SET", func(ctx context.Context, conn rueidis.Client) error {
		return conn.Do(ctx, conn.B().Set().Key(c.prefix+trustKey).Value("1").Pxat(until).Build()).Error()
	})
}

// Trusted implements [cache.Cache].
func (c *Client) Trusted(ctx context.Context) (trusted bool, err error) {
	err = c.ask(ctx, "EXISTS", func(ctx context.Context, conn rueidis.Client) error {
		var err error
		trusted, err = conn.Do(ctx, conn.B().Exists().Key(c.prefix+trustKey).Build()).AsBool()
		return err
	})
	return trusted, err
}

// Ping implements [cache.Cache].
func (c *Client) Ping(ctx context.Context) error {
	return c.ask(ctx, "PING", func(ctx context.Context, conn rueidis.Client) error {
		return conn.Do(ctx, conn.B().Ping().Build()).Error()
	})
}

func (c *Client) swap(
	ctx context.Context, conn rueidis.Client, key, held, next string, ttl time.Duration,
) (bool, error) {
	return swap.Exec(ctx, conn, []string{c.prefix + key}, []string{held, next, milliseconds(ttl)}).AsBool()
}

// milliseconds is ttl as Redis takes it, which refuses a time to live of zero.
func milliseconds(ttl time.Duration) string {
	return strconv.FormatInt(max(ttl.Milliseconds(), 1), 10)
}

// isWrongType reports whether Redis has refused a command because the key holds no string.
func isWrongType(err error) bool {
	reply, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(reply.Error(), "WRONGTYPE")
}

func newLease() cache.Lease { return cache.Lease(leaseMark + rand.Text()) }

func firstError(results []rueidis.RedisResult) error {
	for _, result := range results {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}
