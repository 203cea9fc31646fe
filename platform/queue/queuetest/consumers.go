package queuetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

func (s suite) concurrentConsumers(t *testing.T) {
	q := s.open(t, long)
	const groups, each, consumers = 30, 8, 6
	seen := &ledger{holder: make(map[string]int), next: make(map[string]int)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	var work sync.WaitGroup
	for g := range groups {
		work.Go(func() {
			for i := range each {
				if err := persist(ctx, q, message(fmt.Sprint("group-", g), fmt.Sprint(i))); err != nil {
					seen.fault("send: %v", err)
				}
			}
		})
	}
	for range consumers {
		work.Go(func() {
			for seen.count() < groups*each && ctx.Err() == nil {
				consume(ctx, q, seen)
			}
		})
	}
	work.Wait()

	require.Empty(t, seen.faults)
	require.Equal(t, groups*each, seen.count(), "each message exactly once")
	requireNothing(t, q)
}

// consume receives once, checks the deliveries against what was seen before, and deletes them.
func consume(ctx context.Context, q queue.Queue, seen *ledger) {
	deliveries, err := q.Receive(ctx, 10, time.Second)
	if err != nil {
		seen.fault("receive: %v", err)
		return
	}
	if len(deliveries) == 0 {
		return
	}
	seen.take(deliveries)
	seen.release(deliveries)
	if err := q.Delete(ctx, receipts(deliveries)...); err != nil {
		seen.fault("delete: %v", err)
	}
}

// ledger records which consumer holds which group and which message of it comes next.
type ledger struct {
	mu       sync.Mutex
	receives int
	total    int
	holder   map[string]int
	next     map[string]int
	faults   []string
}

// take notes the deliveries of one Receive.
func (l *ledger) take(deliveries []queue.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receives++
	for _, delivery := range deliveries {
		group := delivery.Group
		if holder, held := l.holder[group]; held && holder != l.receives {
			l.faults = append(l.faults, fmt.Sprintf("%s is in flight twice", group))
		}
		l.holder[group] = l.receives
		if want := fmt.Sprint(l.next[group]); string(delivery.Body) != want || delivery.Attempt != 1 {
			l.faults = append(l.faults,
				fmt.Sprintf("%s: message %s, attempt %d, in place of %s", group, delivery.Body, delivery.Attempt, want))
		}
		l.next[group]++
		l.total++
	}
}

// release notes that the deliveries are about to be deleted: from then on others may be given
// their groups.
func (l *ledger) release(deliveries []queue.Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, delivery := range deliveries {
		delete(l.holder, delivery.Group)
	}
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}
