//go:build sabotage

package redis

import (
	"context"
	"time"

	"github.com/redis/rueidis"

	"contacts/platform/cache"
)

// FillBlindly stores an entry, regardless of the present one and of the lease. It is for
// negative controls.
func (c *Client) FillBlindly(ctx context.Context, item cache.Item) error {
	return c.ask(ctx, "SET", func(ctx context.Context, conn rueidis.Client) error {
		set := conn.B().Set().Key(c.prefix + item.Key).Value(encode(item.Entry)).Px(max(item.TTL, time.Millisecond))
		return conn.Do(ctx, set.Build()).Error()
	})
}
