//go:build sabotage

package cmd

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"contacts/contacts/adapters/sqlstore"
	"contacts/platform/cache"
	"contacts/platform/cache/redis"
	"contacts/platform/queue"
)

// sabotage turns off what CONTACTS_TEST_SABOTAGE names, separated by commas:
//
//   - fence: an operation that was applied before is applied again
//   - guard: a contact is written over another worker's changes
//   - lease: what was read after a miss is cached, even if it was written meanwhile
//   - fifo: messages have no order
//
// and, so that it soon shows, makes more of what the service has to put up with anyway:
//
//   - redeliver: some acknowledged messages are delivered again, and some are sent again
//     behind later ones
//   - late: entries of the cache vanish soon, and what was read after a miss is cached late
func (a *app) sabotage(store *sqlstore.Store) error {
	off := map[string]bool{}
	for _, name := range strings.Split(os.Getenv("CONTACTS_TEST_SABOTAGE"), ",") {
		off[name] = true
	}
	store.Sabotage(off["fence"], off["guard"])
	a.queue = brokenQueue{Queue: a.queue, disordered: off["fifo"], forgetful: off["redeliver"]}
	client, shared := a.cache.(*redis.Client)
	if !shared && (off["lease"] || off["late"]) {
		return fmt.Errorf("CONTACTS_TEST_SABOTAGE: expected cache.url to name a Redis")
	}
	a.cache = brokenCache{Cache: a.cache, client: client, blind: off["lease"], late: off["late"]}
	return nil
}

// brokenQueue loses the order of messages; or now and then loses an acknowledgement, and sends
// a message again when the contact may have been changed by others, as a retry does that the
// queue no longer recognizes.
type brokenQueue struct {
	queue.Queue
	disordered, forgetful bool
}

func (q brokenQueue) Send(ctx context.Context, message queue.Message) error {
	if q.disordered {
		message.Group = uuid.NewString()
	}
	if err := q.Queue.Send(ctx, message); err != nil || !q.forgetful || rand.Float64() > 0.03 {
		return err
	}
	time.AfterFunc(time.Second, func() {
		message.DeduplicationID = uuid.NewString()
		_ = q.Queue.Send(context.WithoutCancel(ctx), message)
	})
	return nil
}

func (q brokenQueue) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Delivery, error) {
	deliveries, err := q.Queue.Receive(ctx, limit, wait)
	if q.disordered { // and the first receiver may come last
		time.Sleep(rand.N(100 * time.Millisecond))
	}
	return deliveries, err
}

func (q brokenQueue) Delete(ctx context.Context, receipts ...string) error {
	var kept []string
	for _, receipt := range receipts {
		if !q.forgetful || rand.Float64() > 0.03 {
			kept = append(kept, receipt)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return q.Queue.Delete(ctx, kept...)
}

// brokenCache forgets soon and fills late, or fills blindly.
type brokenCache struct {
	cache.Cache
	client      *redis.Client
	blind, late bool
}

func (c brokenCache) Put(ctx context.Context, items ...cache.Item) error {
	for i := range items {
		if c.late && items[i].Entry.State != cache.Pending {
			items[i].TTL = 100 * time.Millisecond
		}
	}
	return c.Cache.Put(ctx, items...)
}

func (c brokenCache) Fill(ctx context.Context, lease cache.Lease, item cache.Item) (bool, error) {
	if c.late {
		time.Sleep(rand.N(200 * time.Millisecond))
	}
	if c.blind {
		return true, c.client.FillBlindly(ctx, item)
	}
	return c.Cache.Fill(ctx, lease, item)
}
