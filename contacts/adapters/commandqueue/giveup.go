package commandqueue

import (
	"context"
	"errors"
	"time"

	"contacts/contacts"
)

const (
	// parkAfter is how many deliveries a message gets that is itself to blame.
	parkAfter = 5
	// keepAfter is how many any other gets. A few more, and the dead-letter queue would take it, though all that keeps it from
	// being applied will pass: it would let the later ones of the contact go on as well, and tell nobody.
	keepAfter = 18
	// maxKept is how many such messages are kept at the same time. Each is a try now and then, which may wait for a lock
	// on one of the connections that the batches need too.
	maxKept = 100
	// keptPause is the longest pause between two tries of a message that is kept.
	keptPause = 15 * time.Second
)

// giveUp parts with what is not done. A message that is itself to blame, in its last delivery, is parked, so that those
// behind it can go on; one that circumstances keep from being applied for that long is kept. The others are handed back: on
// a shutdown at once, so that others take over; else for a pause that grows with each delivery. The commands of a contact
// stay in order, since no later one is delivered before the first.
func (c *Consumer) giveUp(ctx context.Context, left []item) {
	pauses := map[time.Duration][]string{}
	for _, it := range left {
		pause := time.Duration(0)
		if ctx.Err() == nil {
			attempts, tried := it.delivery.Attempt, !errors.Is(it.err, contacts.ErrBlocked)
			switch {
			case tried && it.blamed() && attempts >= parkAfter && c.park(ctx, it):
				continue
			case tried && attempts >= keepAfter && c.keep(ctx, it):
				continue
			}
			pause = min(time.Second<<min(attempts-1, 10), c.options.Visibility)
		}
		pauses[pause] = append(pauses[pause], it.delivery.Receipt)
	}
	for pause, receipts := range pauses {
		c.holding.remove(receipts...)
		c.report(ctx, "hand back", len(receipts), c.queue.Extend(context.WithoutCancel(ctx), pause, receipts...))
	}
}

// keep goes on trying a message, in a goroutine of its own so that it holds up no other contact, until it is done, or is
// parked as it turns out to be itself to blame, or ctx ends, when it is handed back. It reports whether there was room for it.
// Meanwhile the message is held, and what is behind it is not delivered; SQS allows that for twelve hours with each delivery.
func (c *Consumer) keep(ctx context.Context, it item) bool {
	select {
	case c.kept <- struct{}{}:
	default:
		c.options.Log.ErrorContext(ctx, "message handed back: too many are kept already", "group", it.delivery.Group, "reason", it.err)
		return false
	}
	c.options.Log.WarnContext(ctx, "message kept and tried until it passes",
		"group", it.delivery.Group, "attempt", it.delivery.Attempt, "reason", it.err)
	c.keeping.Go(func() {
		defer func() { <-c.kept }()
		for failures := 0; ; failures++ {
			sleep(ctx, backoff(failures, keptPause))
			switch {
			case ctx.Err() != nil:
				c.giveUp(ctx, []item{it})
				return
			case it.blamed(): // and could not be parked
				if c.park(ctx, it) {
					return
				}
			default:
				left, _ := c.attempt(ctx, []item{it})
				if len(left) == 0 {
					return
				}
				it = left[0]
			}
		}
	})
	return true
}

// park sets a message aside, and reports whether that was done.
func (c *Consumer) park(ctx context.Context, it item) bool {
	parked := contacts.ParkedCommand{
		Group: it.delivery.Group, Body: it.delivery.Body, Reason: it.err.Error(), Attempts: it.delivery.Attempt,
	}
	limited, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	if err := c.processor.Park(limited, parked, it.command); err != nil {
		c.options.Log.ErrorContext(ctx, "message not parked; trying again later", "group", it.delivery.Group, "error", err)
		return false
	}
	c.options.Log.ErrorContext(ctx, "message parked: see `contacts worker parked`", "group", it.delivery.Group, "reason", it.err)
	c.delete(ctx, []string{it.delivery.Receipt})
	return true
}
