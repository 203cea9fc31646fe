package commandqueue

import (
	"context"
	"errors"
	"time"

	"contacts/contacts"
)

// action is what the consumer does with a delivery.
type action int

const (
	acknowledge action = iota // delete the message: its command is done
	retry                     // hide the message for a pause, after which it is delivered again
	park                      // set the message aside, so that its group goes on
)

// fate is what becomes of a delivery.
type fate struct {
	action action
	pause  time.Duration // until the next delivery, also where parking fails
}

const (
	// parkAfter is how many deliveries a message gets that fails by itself.
	parkAfter = 5
	// maxBackoff is the longest pause between two deliveries. SQS keeps a message for 14 days
	// and moves it to the dead-letter queue after 1,000 deliveries. With pauses of 1 s,
	// doubled up to 25 minutes, 14 days are 817 deliveries. The rest is for workers that stop
	// with the message in hand. A visibility timeout may be up to 12 hours.
	maxBackoff = 25 * time.Minute
)

// fateOf decides on a command by the error of its last try, nil if it is done, and by the
// queue's count of deliveries. Only a message that fails by itself is ever parked: any other
// cause passes, and the message is retried for as long as the queue keeps it.
func fateOf(err error, deliveries int) fate {
	pause := min(time.Second<<min(max(deliveries-1, 0), 11), maxBackoff)
	switch {
	case err == nil:
		return fate{action: acknowledge}
	case reason(err) == failsByItself && deliveries >= parkAfter:
		return fate{park, pause}
	default:
		return fate{retry, pause}
	}
}

// The reasons for which a command is not done. The first three blame circumstances.
const (
	databaseDown  = "down"
	undone        = "transient"
	behindAnother = "blocked"
	failsByItself = "command"
)

func reason(err error) string {
	switch {
	case errors.Is(err, contacts.ErrDown):
		return databaseDown
	case errors.Is(err, contacts.ErrTransient):
		return undone
	case errors.Is(err, contacts.ErrBlocked):
		return behindAnother
	default:
		return failsByItself
	}
}

// settle ends this consumer's work on messages that are not done: it parks them or returns
// them to the queue. On a shutdown it returns all of them at once, for other workers. The
// commands of a contact stay in order: the queue delivers no later one while an earlier one is
// hidden.
func (c *Consumer) settle(ctx context.Context, left []item) {
	pauses := map[time.Duration][]string{}
	for _, it := range left {
		decided := fateOf(it.err, it.delivery.Attempt)
		switch {
		case ctx.Err() != nil:
			decided.pause = 0
		case decided.action == park && c.park(ctx, it):
			continue
		}
		pauses[decided.pause] = append(pauses[decided.pause], it.delivery.Receipt)
	}
	for pause, receipts := range pauses {
		c.holding.remove(receipts...)
		c.report(ctx, "hand back", len(receipts), c.queue.Extend(context.WithoutCancel(ctx), pause, receipts...))
	}
}

// park sets a message aside, and reports whether that was done.
func (c *Consumer) park(ctx context.Context, it item) bool {
	parked := contacts.ParkedCommand{
		Group: it.delivery.Group, Body: it.delivery.Body, Reason: it.err.Error(), Attempts: it.delivery.Attempt,
	}
	limited, cancel := context.WithTimeout(ctx, tryLimit)
	defer cancel()
	if err := c.processor.Park(limited, parked, it.command); err != nil {
		c.options.Log.ErrorContext(ctx, "message not parked; it is delivered again later", "group", it.delivery.Group, "error", err)
		return false
	}
	c.options.Log.ErrorContext(ctx, "message parked: see `contacts worker parked`", "group", it.delivery.Group, "reason", it.err)
	c.delete(ctx, []string{it.delivery.Receipt})
	return true
}
