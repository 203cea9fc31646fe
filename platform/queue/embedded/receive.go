package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"contacts/platform/queue"
)

// Receive implements [queue.Queue]. It returns one message a group, and as many as limit,
// which knows no upper bound. An idle wait only reads.
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Delivery, error) {
	end := time.NewTimer(wait)
	defer end.Stop()
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		freed := q.freed.listen() // Before looking: what is freed after the look is heard.
		deliveries, err := q.claim(ctx, max(limit, 1))
		if len(deliveries) > 0 || err != nil {
			return deliveries, err
		}
		select {
		case <-freed:
		case <-poll.C:
		case <-end.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("receive: %w", ctx.Err())
		case <-q.closing:
			return nil, unavailable(errClosed)
		}
	}
}

// claim takes the messages whose turn it is, if a look at the queue shows any.
func (q *Queue) claim(ctx context.Context, limit int) ([]queue.Delivery, error) {
	var found bool
	err := q.read.WithContext(ctx).Raw(lookSQL, q.now()).Scan(&found).Error
	var deliveries []queue.Delivery
	if err == nil && found {
		err = q.do(ctx, &operation{
			unsure: queue.ErrUnavailable,
			apply: func(tx *gorm.DB, now int64) (err error) {
				deliveries, err = claim(tx, limit, rand.Text(), now, now+milliseconds(q.visibility))
				return err
			},
		})
	}
	switch {
	case err == nil:
		return deliveries, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("receive: %w", ctx.Err())
	case errors.Is(err, queue.ErrUnavailable):
		return nil, err
	default:
		return nil, unavailable(err)
	}
}

// Delete implements [queue.Queue].
func (q *Queue) Delete(ctx context.Context, receipts ...string) error {
	return q.acknowledge(ctx, receipts, remove)
}

// Extend implements [queue.Queue], to the millisecond.
func (q *Queue) Extend(ctx context.Context, d time.Duration, receipts ...string) error {
	return q.acknowledge(ctx, receipts, func(tx *gorm.DB, held []receipt, now int64) (int, error) {
		if d <= 0 {
			return release(tx, held, now)
		}
		return extend(tx, held, now, now+milliseconds(d))
	})
}

// acknowledge makes a change to the messages that receipts still hold. The change returns how
// many those were.
func (q *Queue) acknowledge(ctx context.Context, receipts []string, change func(*gorm.DB, []receipt, int64) (int, error)) error {
	if len(receipts) == 0 {
		return nil
	}
	known, distinct := parseReceipts(receipts)
	var changed int
	err := q.do(ctx, &operation{
		frees:  true,
		unsure: queue.ErrUnavailable,
		apply: func(tx *gorm.DB, now int64) (err error) {
			changed, err = change(tx, known, now)
			return err
		},
	})
	if err != nil {
		return err
	}
	if expired := distinct - changed; expired > 0 {
		return fmt.Errorf("%d messages: %w", expired, queue.ErrReceiptExpired)
	}
	return nil
}

// milliseconds rounds up: a message is never visible earlier than asked.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
