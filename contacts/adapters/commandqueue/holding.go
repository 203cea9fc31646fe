package commandqueue

import (
	"context"
	"sync"
	"time"

	"contacts/platform/queue"
)

// keepInvisible extends the visibility of all that is held, together, until the returned
// function is called.
func (c *Consumer) keepInvisible(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(c.options.Visibility / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-ticker.C:
				if receipts := c.holding.since(now.Add(-c.options.Visibility / 6)); len(receipts) > 0 {
					c.report(ctx, "extend visibility", len(receipts), c.queue.Extend(ctx, c.options.Visibility, receipts...))
				}
			}
		}
	})
	return func() { cancel(); beating.Wait() }
}

// holding is the receipts of all messages that the consumer has, with the time when it got
// them.
type holding struct {
	mu       sync.Mutex
	receipts map[string]time.Time
}

func (h *holding) add(deliveries []queue.Delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, delivery := range deliveries {
		h.receipts[delivery.Receipt] = now
	}
}

func (h *holding) remove(receipts ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, receipt := range receipts {
		delete(h.receipts, receipt)
	}
}

// since returns the receipts that have been held since before the given time.
func (h *holding) since(before time.Time) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var receipts []string
	for receipt, got := range h.receipts {
		if got.Before(before) {
			receipts = append(receipts, receipt)
		}
	}
	return receipts
}
