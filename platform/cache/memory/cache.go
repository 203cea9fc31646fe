// Package memory is the cache, the bus and the limiter of a single process. Nothing of it
// outlives the process or leaves it.
package memory

import (
	"context"
	"crypto/rand"
	"math"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"contacts/platform/cache"
)

var (
	_ cache.Cache = (*Cache)(nil)
	_ cache.Bus   = (*Cache)(nil)
)

// DefaultMaxBytes is how much a cache keeps unless told otherwise.
const DefaultMaxBytes = 32 << 20

// Options are the settings of a cache. The zero Options are ready to use.
type Options struct {
	// MaxBytes bounds the memory that keys and bodies take, in bytes and with an allowance for
	// what surrounds them. When they take more, entries that are seldom read are forgotten.
	// Zero means [DefaultMaxBytes].
	MaxBytes uint64
}

// Cache implements both [cache.Cache] and [cache.Bus]. None of its methods fails or waits, so
// contexts are not looked at, except by Subscribe.
type Cache struct {
	bus
	slots   *otter.Cache[string, slot]
	trusted atomic.Pointer[time.Time]
}

// slot is what stands under a key: an entry, or the lease of the caller about to bring one.
// That it is never both is what makes a put void the lease.
type slot struct {
	entry cache.Entry
	lease cache.Lease // empty when the slot holds an entry
	ttl   time.Duration
}

// slotBytes is the allowance for a slot beside its key and its body: the slot, its node and
// its place in the table.
const slotBytes = 256

// Open returns an empty cache. Close it after use.
func Open(options Options) *Cache {
	if options.MaxBytes == 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	return &Cache{
		bus: bus{subscriptions: make(map[string][]*subscription)},
		slots: otter.Must(&otter.Options[string, slot]{
			MaximumWeight: options.MaxBytes,
			Weigher: func(key string, held slot) uint32 {
				return uint32(min(len(key)+len(held.entry.Body)+slotBytes, math.MaxUint32))
			},
			ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, slot]) time.Duration {
				return e.Value.ttl
			}),
		}),
	}
}

// Close stops the clean-up of expired entries. The cache must not be used afterwards.
func (c *Cache) Close() { c.slots.StopAllGoroutines() }

// Get implements [cache.Cache].
func (c *Cache) Get(_ context.Context, key string) (cache.Entry, bool, cache.Lease, error) {
	if held, ok := c.slots.GetIfPresent(key); ok {
		return held.entry, held.lease == "", "", nil
	}
	fresh := slot{lease: cache.Lease(rand.Text()), ttl: cache.LeaseTTL}
	held, taken := c.slots.SetIfAbsent(key, fresh)
	if taken {
		return cache.Entry{}, false, fresh.lease, nil
	}
	return held.entry, held.lease == "", "", nil
}

// Fill implements [cache.Cache].
func (c *Cache) Fill(_ context.Context, lease cache.Lease, item cache.Item) (bool, error) {
	stored := false
	c.slots.ComputeIfPresent(item.Key, func(held slot) (slot, otter.ComputeOp) {
		if stored = lease != "" && held.lease == lease; !stored {
			return held, otter.CancelOp
		}
		return entrySlot(item), otter.WriteOp
	})
	return stored, nil
}

// Put implements [cache.Cache].
func (c *Cache) Put(_ context.Context, items ...cache.Item) error {
	for _, item := range items {
		c.slots.Compute(item.Key, func(held slot, found bool) (slot, otter.ComputeOp) {
			if found && held.lease == "" && !replaces(item.Entry, held.entry) {
				return held, otter.CancelOp
			}
			return entrySlot(item), otter.WriteOp
		})
	}
	return nil
}

// Add implements [cache.Cache].
func (c *Cache) Add(_ context.Context, item cache.Item) (held cache.Entry, added bool, _ error) {
	c.slots.Compute(item.Key, func(present slot, found bool) (slot, otter.ComputeOp) {
		if added = !found || present.lease != ""; !added {
			held = present.entry
			return present, otter.CancelOp
		}
		held = item.Entry
		return entrySlot(item), otter.WriteOp
	})
	return held, added, nil
}

// RenewTrust implements [cache.Cache].
func (c *Cache) RenewTrust(_ context.Context, until time.Time) error {
	c.trusted.Store(&until)
	return nil
}

// Trusted implements [cache.Cache].
func (c *Cache) Trusted(context.Context) (bool, error) {
	until := c.trusted.Load()
	return until != nil && time.Now().Before(*until), nil
}

// replaces reports whether an entry may take the place of another.
func replaces(next, held cache.Entry) bool {
	if next.Version == held.Version {
		return held.State == cache.Pending && next.State != cache.Pending
	}
	return next.Version > held.Version
}

// Ping implements [cache.Cache]. The memory always answers.
func (c *Cache) Ping(context.Context) error { return nil }

func entrySlot(item cache.Item) slot {
	return slot{entry: item.Entry, ttl: max(item.TTL, time.Millisecond)}
}
