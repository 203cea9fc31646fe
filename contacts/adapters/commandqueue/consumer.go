package commandqueue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"contacts/contacts"
	"contacts/platform/queue"
)

// Consumer receives commands and has them processed. A message is deleted once its command is done, or parked, and never
// before.
type Consumer struct {
	queue     queue.Queue
	processor Processor
	options   ConsumerOptions
}

// Processor is what a consumer needs of [contacts.Processor].
type Processor interface {
	Process(ctx context.Context, commands []contacts.Command) []error
	Park(ctx context.Context, parked contacts.ParkedCommand, command *contacts.Command) error
}

// ConsumerOptions are the settings of a [Consumer]. All are required.
type ConsumerOptions struct {
	Loops      int           // how many batches are worked on at the same time
	Batch      int           // how many messages a batch has at the most
	PollWait   time.Duration // how long one receive waits for messages
	Visibility time.Duration // the queue's visibility timeout, which is extended while a batch is worked on
	Log        *slog.Logger
	// Observe, unless nil, is called after each try of a batch.
	Observe func(Batch)
}

// Batch describes one try of a batch, for metrics.
type Batch struct {
	Commands int           // how many were tried
	Done     int           // how many of them need no other try
	Duration time.Duration // of the try
	Oldest   time.Duration // how long ago the oldest one was accepted by the queue
}

// NewConsumer returns a consumer of q that has commands processed by processor.
func NewConsumer(q queue.Queue, processor Processor, o ConsumerOptions) *Consumer {
	return &Consumer{queue: q, processor: processor, options: o}
}

// Run consumes until ctx ends. It then finishes what is being applied, hands back what is not, and returns.
func (c *Consumer) Run(ctx context.Context) {
	var loops sync.WaitGroup
	for range c.options.Loops {
		loops.Go(func() { c.loop(ctx) })
	}
	loops.Wait()
}

func (c *Consumer) loop(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		deliveries, err := c.queue.Receive(ctx, c.options.Batch, c.options.PollWait)
		if err != nil && ctx.Err() == nil {
			c.options.Log.WarnContext(ctx, "no messages received; trying again", "error", err)
			sleep(ctx, backoff(failures))
			failures++
			continue
		}
		failures = 0
		if len(deliveries) > 0 {
			c.handle(ctx, deliveries)
		}
	}
}

// item is a received command, what holds it, and why it is not done.
type item struct {
	command  *contacts.Command // nil where the message cannot be read
	delivery queue.Delivery
	err      error
}

// blamed reports whether it is the message's own fault that it is not done.
func (i item) blamed() bool {
	return !errors.Is(i.err, contacts.ErrDown) && !errors.Is(i.err, contacts.ErrTransient) && !errors.Is(i.err, contacts.ErrBlocked)
}

// handle works on a batch until every command is done, or ctx has ended, or what is left has failed too often. It keeps
// the batch invisible to others meanwhile. While the database is down that is as long as it takes: an outage is waited for
// here, and costs no message one of its deliveries.
func (c *Consumer) handle(ctx context.Context, deliveries []queue.Delivery) {
	held, unreadable := c.read(deliveries)
	c.giveUp(ctx, unreadable)
	stop := c.keepInvisible(ctx, held)
	for try := 0; len(held.items()) > 0 && ctx.Err() == nil; try++ {
		if try > 0 {
			sleep(ctx, backoff(try-1))
		}
		if down := c.attempt(ctx, held); !down && try+1 >= maxTries {
			break
		}
	}
	stop()
	c.giveUp(ctx, held.items())
}

const (
	// maxTries is how often a command is tried within one delivery. Then it makes way for those of other contacts.
	maxTries = 5
	// tryLimit bounds one try on this side too: a database that is frozen or cut off keeps no limits of its own.
	tryLimit = 15 * time.Second
	// parkAfter is how many deliveries a message gets that is itself to blame.
	parkAfter = 5
)

// giveUp parts with what is not done. A message that is itself to blame, in its last delivery, is parked, so that those
// behind it can go on. The others are handed back: on a shutdown at once, so that others take over; else for a pause that
// grows with each delivery. The commands of a contact stay in order, since no later one is delivered before the first.
func (c *Consumer) giveUp(ctx context.Context, left []item) {
	pauses := map[time.Duration][]string{}
	for _, it := range left {
		pause := time.Duration(0)
		if ctx.Err() == nil {
			if it.blamed() && it.delivery.Attempt >= parkAfter && c.park(ctx, it) {
				continue
			}
			pause = min(time.Second<<min(it.delivery.Attempt-1, 10), c.options.Visibility)
		}
		pauses[pause] = append(pauses[pause], it.delivery.Receipt)
	}
	for pause, receipts := range pauses {
		c.report(ctx, "hand back", len(receipts), c.queue.Extend(context.WithoutCancel(ctx), pause, receipts...))
	}
}

// park sets a message aside, and reports whether that was done.
func (c *Consumer) park(ctx context.Context, it item) bool {
	parked := contacts.ParkedCommand{
		Group: it.delivery.Group, Body: it.delivery.Body, Reason: it.err.Error(), Attempts: it.delivery.Attempt,
	}
	if err := c.processor.Park(ctx, parked, it.command); err != nil {
		c.options.Log.ErrorContext(ctx, "message not parked; it is handed back", "group", it.delivery.Group, "error", err)
		return false
	}
	c.options.Log.ErrorContext(ctx, "message parked: see `contacts worker parked`", "group", it.delivery.Group, "reason", it.err)
	c.report(ctx, "delete", 1, c.queue.Delete(ctx, it.delivery.Receipt))
	return true
}

// attempt processes what is held, once, and reports whether the database was found down.
func (c *Consumer) attempt(ctx context.Context, held *batch) (down bool) {
	items := held.items()
	commands := make([]contacts.Command, len(items))
	oldest := items[0].delivery.SentAt
	for i, it := range items {
		commands[i] = *it.command
		if it.delivery.SentAt.Before(oldest) {
			oldest = it.delivery.SentAt
		}
	}
	started := time.Now()
	// Not cut short by a shutdown: a transaction that is under way is finished.
	trying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryLimit)
	defer cancel()
	errs := c.processor.Process(trying, commands)
	var left []item
	var done []string
	for i, it := range items {
		if errs[i] == nil {
			done = append(done, it.delivery.Receipt)
			continue
		}
		it.err = errs[i]
		left = append(left, it)
		down = down || errors.Is(errs[i], contacts.ErrDown)
		c.options.Log.WarnContext(ctx, "command not applied; trying again",
			"operation", it.command.Operation, "attempt", it.delivery.Attempt, "error", errs[i])
	}
	held.keep(left)
	if len(done) > 0 {
		c.report(ctx, "delete", len(done),
			c.queue.Delete(context.WithoutCancel(ctx), done...))
	}
	if c.options.Observe != nil {
		c.options.Observe(Batch{
			Commands: len(items), Done: len(done), Duration: time.Since(started), Oldest: started.Sub(oldest),
		})
	}
	return down
}

// read decodes the deliveries. Those behind an unreadable one in its group must not overtake it.
func (c *Consumer) read(deliveries []queue.Delivery) (held *batch, unreadable []item) {
	held = &batch{}
	behind := map[string]bool{}
	for _, delivery := range deliveries {
		command, err := decode(delivery.Body)
		switch {
		case behind[delivery.Group]:
			unreadable = append(unreadable, item{&command, delivery, contacts.ErrBlocked})
		case err != nil:
			behind[delivery.Group] = true
			unreadable = append(unreadable, item{nil, delivery, err})
		default:
			held.left = append(held.left, item{&command, delivery, nil})
		}
	}
	return held, unreadable
}

// keepInvisible extends the visibility of all that is held, together, until the returned function is called.
func (c *Consumer) keepInvisible(ctx context.Context, held *batch) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(c.options.Visibility / 3)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				receipts := held.receipts()
				c.report(ctx, "extend visibility", len(receipts), c.queue.Extend(ctx, c.options.Visibility, receipts...))
			}
		}
	})
	return func() { cancel(); beating.Wait() }
}

// report logs the error of a call about messages that others may have been given already, which is nothing to stop for:
// what was not deleted is delivered again and changes nothing.
func (c *Consumer) report(ctx context.Context, call string, messages int, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		c.options.Log.WarnContext(ctx, "queue call failed", "call", call, "messages", messages, "error", err)
	}
}

// batch is what one loop holds, shared with its heartbeat.
type batch struct {
	mu   sync.Mutex
	left []item
}

func (b *batch) items() []item {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left
}

func (b *batch) keep(left []item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = left
}

func (b *batch) receipts() []string {
	var receipts []string
	for _, it := range b.items() {
		receipts = append(receipts, it.delivery.Receipt)
	}
	return receipts
}

// backoff is a pause that doubles with each failure up to five seconds, less a random part, so that workers that failed
// together do not come back together.
func backoff(failures int) time.Duration {
	pause := min(50*time.Millisecond<<min(failures, 10), 5*time.Second)
	return pause/2 + rand.N(pause/2)
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
