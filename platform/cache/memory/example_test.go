package memory_test

import (
	"context"
	"fmt"
	"time"

	"contacts/platform/cache"
	"contacts/platform/cache/memory"
)

// After a miss, a reader fills the cache from the source. A write in between voids its lease,
// so that it cannot store what it has read before.
func ExampleOpen() {
	ctx := context.Background()
	c := memory.Open(memory.Options{})
	version := func(n int64) cache.Item {
		return cache.Item{Key: "contact", Entry: cache.Entry{Version: n, State: cache.Live, Body: []byte("Ana")}, TTL: time.Minute}
	}

	_, found, lease, _ := c.Get(ctx, "contact")
	fmt.Println(found)
	_ = c.Put(ctx, version(2)) // by a writer
	stored, _ := c.Fill(ctx, lease, version(1))
	fmt.Println(stored)

	_ = c.Put(ctx, version(1)) // a late one
	entry, found, _, _ := c.Get(ctx, "contact")
	fmt.Println(entry.Version, found)
	// Output:
	// false
	// false
	// 2 true
}
