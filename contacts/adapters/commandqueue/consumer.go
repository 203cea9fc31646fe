package commandqueue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"

	"contacts/contacts"
	"contacts/platform/queue"
	"contacts/platform/telemetry"
)

// Consumer receives commands and has them processed. A message is deleted once its command is
// done, or parked, and never before.
type Consumer struct {
	queue     queue.Queue
	processor Processor
	options   ConsumerOptions
	holding   holding
}

// Processor is what a consumer needs of [contacts.Processor].
type Processor interface {
	Process(ctx context.Context, commands []contacts.Command) []error
	Park(ctx context.Context, parked contacts.ParkedCommand, command *contacts.Command) error
}

// ConsumerOptions are the settings of a [Consumer]. All are required but Names, Tracer and
// Observe.
type ConsumerOptions struct {
	Pollers int // how many receives there are at the same time, at the most
	Loops   int // how many batches are worked on at the same time, at the most
	// how many messages a batch has, at the most but for the last that were received
	Batch    int
	PollWait time.Duration // how long one receive waits for messages
	// the queue's visibility timeout, which is extended while a batch is worked on
	Visibility time.Duration
	Names      Names // for traces
	Log        *slog.Logger
	// Tracer goes on with the traces that commands were sent in; nothing is traced where nil.
	Tracer trace.Tracer
	// Observe, unless nil, is called after each try of a batch. ctx belongs to the batch's
	// trace.
	Observe func(ctx context.Context, batch Batch)
}

// Batch describes one try of a batch, for metrics.
type Batch struct {
	Commands int           // how many were tried
	Done     int           // how many of them need no other try
	Duration time.Duration // of the try
	Oldest   time.Duration // how long ago the oldest one was accepted by the queue
	Again    int           // how many had been delivered before
	// Failed counts the others by why they need another try: "down" and "transient" blame the
	// circumstances, "blocked" an earlier command, "command" the command itself.
	Failed map[string]int
}

// NewConsumer returns a consumer of q that has commands processed by processor.
func NewConsumer(q queue.Queue, processor Processor, o ConsumerOptions) *Consumer {
	return &Consumer{
		queue: q, processor: processor, options: o,
		holding: holding{receipts: map[string]time.Time{}},
	}
}

const (
	// gatherTime is the longest that a batch waits to grow while others are being applied.
	gatherTime = 50 * time.Millisecond
	// manyReceived messages of one receive, half of what SQS hands out at a time, say that
	// there are more, as does one that has waited for longWait.
	manyReceived = 5
	longWait     = time.Second
	// receivePause is how long messages gather in the queue, before a receive, while a batch
	// waits to be worked on. A receive that waits there would be answered with the first of
	// them alone.
	receivePause = 5 * time.Millisecond
)

// Run consumes until ctx ends. It then finishes what is being applied, hands back what is not,
// and returns.
//
// A lone command is applied at once. While batches are being applied, the next one grows until
// they are done, or it is full, or for gatherTime, so that a command that takes long does not
// hold up the others. One receive at a time will do until one shows that there are more
// messages. With as many batches under way as there may be, as when the database is down, a
// full batch waits, and no more is received.
func (c *Consumer) Run(ctx context.Context) {
	stop := c.keepInvisible(ctx)
	defer stop()
	var running sync.WaitGroup
	defer running.Wait()
	var batch []queue.Delivery // not yet worked on
	received, receiving, pollers := make(chan []queue.Delivery), 0, 1
	applied, applying := make(chan struct{}, c.options.Loops), 0
	gathered, late := time.NewTimer(gatherTime), false
	defer gathered.Stop()
	for ctx.Err() == nil {
		in := received
		if full := len(batch) >= c.options.Batch; full {
			in = nil
		}
		for ; in != nil && receiving < pollers; receiving++ {
			var pause time.Duration
			if len(batch) > 0 {
				pause = receivePause
			}
			running.Go(func() { received <- c.receive(ctx, pause) })
		}
		select {
		case more := <-in:
			receiving--
			if len(more) >= manyReceived || len(more) > 0 && time.Since(more[0].SentAt) > longWait {
				pollers = min(pollers+1, c.options.Pollers)
			} else {
				pollers = max(pollers-1, 1)
			}
			if len(batch) == 0 {
				gathered.Reset(gatherTime)
				late = false
			}
			batch = append(batch, more...)
		case <-applied:
			applying--
		case <-gathered.C:
			late = true
		case <-ctx.Done():
		}
		ready := applying == 0 || late || len(batch) >= c.options.Batch
		if len(batch) > 0 && ready && applying < c.options.Loops {
			deliveries := batch
			batch = nil
			applying++
			running.Go(func() {
				c.handle(ctx, deliveries)
				applied <- struct{}{}
			})
		}
	}
	for ; receiving > 0; receiving-- {
		batch = append(batch, <-received...)
	}
	c.handBack(ctx, batch)
}

// receive returns the next messages that there are after a pause, or none once ctx has ended.
func (c *Consumer) receive(ctx context.Context, pause time.Duration) []queue.Delivery {
	sleep(ctx, pause)
	for failures := 0; ctx.Err() == nil; {
		deliveries, err := c.queue.Receive(ctx, c.options.Batch, c.options.PollWait)
		switch {
		case len(deliveries) > 0:
			c.holding.add(deliveries)
			return deliveries
		case err == nil:
			failures = 0
		case ctx.Err() == nil:
			c.options.Log.WarnContext(ctx, "no messages received; trying again", "error", err)
			sleep(ctx, backoff(failures, longestPause))
			failures++
		}
	}
	return nil
}

// handBack returns deliveries that were not worked on because ctx has ended.
func (c *Consumer) handBack(ctx context.Context, deliveries []queue.Delivery) {
	items := make([]item, len(deliveries))
	for i, delivery := range deliveries {
		items[i].delivery = delivery
	}
	c.settle(ctx, items)
}

// item is a received command, what holds it, and why it is not done.
type item struct {
	command  *contacts.Command // what can be told of it; nil where nothing can
	delivery queue.Delivery
	err      error
}

// handle works on a batch until every command is done, or ctx has ended, or what is left has
// failed too often. While the database is down that is as long as it takes: an outage is
// waited for here, and costs no message one of its deliveries.
func (c *Consumer) handle(ctx context.Context, deliveries []queue.Delivery) {
	left, unreadable := c.read(deliveries)
	c.settle(ctx, unreadable)
	for try, failures := 0, 0; len(left) > 0 && failures < maxTries && ctx.Err() == nil; try++ {
		if try > 0 {
			sleep(ctx, backoff(try-1, longestPause))
		}
		var down bool
		if left, down = c.attempt(ctx, left); !down {
			failures++
		}
	}
	c.settle(ctx, left)
}

const (
	// maxTries is how often a command is tried within one delivery, not counting an outage.
	// Then it makes way for those of other contacts.
	maxTries = 5
	// tryLimit bounds one try on this side too: a database that is frozen or cut off keeps no
	// limits of its own.
	tryLimit = 15 * time.Second
	// longestPause is the longest one between two tries.
	longestPause = 2 * time.Second
)

// attempt processes the commands, once, and returns those that are not done, and whether the
// database was found down.
func (c *Consumer) attempt(ctx context.Context, items []item) (left []item, down bool) {
	commands := make([]contacts.Command, len(items))
	oldest, again := items[0].delivery.SentAt, 0
	for i, it := range items {
		if it.delivery.Attempt > 1 {
			again++
		}
		commands[i] = *it.command
		if it.delivery.SentAt.Before(oldest) {
			oldest = it.delivery.SentAt
		}
	}
	started := time.Now()
	ctx, spans := c.process(ctx, items)
	// Not cut short by a shutdown: a transaction that is under way is finished.
	trying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tryLimit)
	defer cancel()
	errs := c.processor.Process(trying, commands)
	defer spans.end(errs)
	var done []string
	failed := map[string]int{}
	for i, it := range items {
		if fateOf(errs[i], it.delivery.Attempt).action == acknowledge {
			done = append(done, it.delivery.Receipt)
			continue
		}
		it.err = errs[i]
		left = append(left, it)
		failed[reason(errs[i])]++
		down = down || reason(errs[i]) == databaseDown
		c.options.Log.WarnContext(telemetry.WithTraceParent(ctx, it.command.TraceParent), "command not applied; trying again",
			"operation", it.command.Operation, "attempt", it.delivery.Attempt, "error", errs[i])
	}
	if len(done) > 0 {
		c.delete(ctx, done)
	}
	if c.options.Observe != nil {
		c.options.Observe(ctx, Batch{
			Commands: len(items), Done: len(done), Duration: time.Since(started), Oldest: started.Sub(oldest), Again: again, Failed: failed,
		})
	}
	return left, down
}

// delete acknowledges what is done. If the queue does not take that, twice, the messages are
// handed back: they change nothing when they come again, while hidden they would hold up the
// later ones of their contacts for a visibility timeout. Those whose receipts have expired are
// on their way to others already.
func (c *Consumer) delete(ctx context.Context, receipts []string) {
	c.holding.remove(receipts...)
	lasting := context.WithoutCancel(ctx)
	err := c.queue.Delete(lasting, receipts...)
	if errors.Is(err, queue.ErrUnavailable) {
		sleep(ctx, backoff(0, longestPause))
		err = c.queue.Delete(lasting, receipts...)
	}
	c.report(ctx, "delete", len(receipts), err)
	if errors.Is(err, queue.ErrUnavailable) {
		c.report(ctx, "hand back", len(receipts), c.queue.Extend(lasting, 0, receipts...))
	}
}

// read decodes the deliveries. Those behind an unreadable one in its group must not overtake
// it.
func (c *Consumer) read(deliveries []queue.Delivery) (readable, unreadable []item) {
	behind := map[string]bool{}
	for _, delivery := range deliveries {
		command, err := decode(delivery.Body)
		switch {
		case behind[delivery.Group]:
			unreadable = append(unreadable, item{command, delivery, contacts.ErrBlocked})
		case err != nil:
			behind[delivery.Group] = true
			unreadable = append(unreadable, item{command, delivery, err})
		default:
			readable = append(readable, item{command, delivery, nil})
		}
	}
	return readable, unreadable
}

// report logs the error of a call about messages that others may have been given already,
// which is nothing to stop for: what was not deleted is delivered again and changes nothing.
func (c *Consumer) report(ctx context.Context, call string, messages int, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		c.options.Log.WarnContext(ctx, "queue call failed", "call", call, "messages", messages, "error", err)
	}
}

// backoff is a pause that doubles with each failure up to the longest, less a random part, so
// that workers that failed together do not come back together.
func backoff(failures int, longest time.Duration) time.Duration {
	pause := min(50*time.Millisecond<<min(failures, 10), longest)
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
