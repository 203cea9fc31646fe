package commandqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/commandqueue"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/platform/queue"
	"contacts/platform/queue/embedded"
)

// visibility leaves a busy machine time to extend it.
const visibility = 8 * time.Second

// bench is a consumer on a real queue, with a process of the test's making.
type bench struct {
	t      *testing.T
	queue  *embedded.Queue
	sender *commandqueue.Sender
	cancel func() // begins what stop waits for
	stop   func()

	refusePark   func() error // nil: nothing is refused
	refuseDelete []error      // what the first deletes of [bench.consume] return

	mu      sync.Mutex
	process func(contacts.Command) error
	seen    map[uuid.UUID][]contacts.Command // by contact, in the order of their processing
	parked  []contacts.ParkedCommand
	batches []commandqueue.Batch
}

func newBench(t *testing.T, process func(contacts.Command) error) *bench {
	t.Helper()
	db, err := database.Open(t.Context(), databasetest.Migrated(t, database.SQLite))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	b := &bench{
		t: t, queue: embedded.Open(db.Write, db.Read, embedded.Options{Visibility: visibility}),
		process: process, seen: map[uuid.UUID][]contacts.Command{},
	}
	t.Cleanup(b.queue.Close)
	b.sender = commandqueue.NewSender(b.queue, commandqueue.Names{})
	return b
}

// run starts the consumer; it stops with the test or when stop is called.
func (b *bench) run() {
	consumer := commandqueue.NewConsumer(b.queue, b, commandqueue.ConsumerOptions{
		Pollers: 4, Loops: 3, Batch: 10, PollWait: 100 * time.Millisecond, Visibility: visibility, Log: slog.New(slog.DiscardHandler),
		Observe: func(_ context.Context, batch commandqueue.Batch) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.batches = append(b.batches, batch)
		},
	})
	ctx, cancel := context.WithCancel(b.t.Context())
	var running sync.WaitGroup
	running.Go(func() { consumer.Run(ctx) })
	b.cancel, b.stop = cancel, func() { cancel(); running.Wait() }
	b.t.Cleanup(b.stop)
}

func (b *bench) Park(_ context.Context, parked contacts.ParkedCommand, command *contacts.Command) error {
	if b.refusePark != nil {
		if err := b.refusePark(); err != nil {
			return err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if command != nil {
		parked.ID = command.Operation
	}
	b.parked = append(b.parked, parked)
	return nil
}

func (b *bench) Process(_ context.Context, commands []contacts.Command) []error {
	errs := make([]error, len(commands))
	blocked := map[uuid.UUID]bool{}
	for i, command := range commands {
		if blocked[command.Contact] {
			errs[i] = contacts.ErrBlocked
			continue
		}
		if errs[i] = b.process(command); errs[i] != nil {
			blocked[command.Contact] = true
		} else {
			b.mu.Lock()
			b.seen[command.Contact] = append(b.seen[command.Contact], command)
			b.mu.Unlock()
		}
	}
	return errs
}

func (b *bench) send(commands ...contacts.Command) {
	b.t.Helper()
	for _, command := range commands {
		require.NoError(b.t, b.sender.Send(b.t.Context(), command))
	}
}

func (b *bench) stats() queue.Stats {
	b.t.Helper()
	stats, err := b.queue.Stats(context.WithoutCancel(b.t.Context()))
	require.NoError(b.t, err)
	return stats
}

func (b *bench) requireEmpty() {
	b.t.Helper()
	require.Eventually(b.t, func() bool { return b.stats() == queue.Stats{} }, 30*time.Second, 5*time.Millisecond)
}

func (b *bench) processed(contact uuid.UUID) []contacts.Command {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[contact]
}

// story returns a create and updates of one contact.
func story(t *testing.T, updates int) []contacts.Command {
	t.Helper()
	commands := []contacts.Command{contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))}
	for i := range updates {
		commands = append(commands, contactstest.MergeCommand(t, contacts.DefaultTenant, commands[0].Contact, fmt.Sprintf(`{"nickname":"N%d"}`, i)))
	}
	return commands
}

func TestConsumer_ProcessesInOrderAndDeletes(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(contacts.Command) error { return nil })
	stories := make([][]contacts.Command, 10)
	for i := range stories {
		stories[i] = story(t, 4)
		b.send(stories[i]...)
	}
	b.run()
	b.requireEmpty()
	for _, want := range stories {
		require.Equal(t, want, b.processed(want[0].Contact))
	}
	b.stop() // the last try may still be told of
	require.NotEmpty(t, b.batches)
}

// An outage is waited for with the message in hand: it costs no delivery.
func TestConsumer_WaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // where a slow disk takes none of the message's time
		var tries atomic.Int64
		b := newBench(t, func(contacts.Command) error {
			if tries.Add(1) < 12 {
				return fmt.Errorf("apply: %w", contacts.ErrDown)
			}
			return nil
		})
		commands := story(t, 0)
		b.send(commands...)
		b.run()
		b.requireEmpty()
		require.Equal(t, commands, b.processed(commands[0].Contact))
		require.EqualValues(t, 12, tries.Load())
		b.stop() // the last try may still be told of
		for _, batch := range b.batches {
			require.Zero(t, batch.Again, "it has been delivered once")
		}
	})
}

// What is itself to blame is given back after a few tries; its contact waits and the others go
// on.
func TestConsumer_OneBadCommand(t *testing.T) {
	t.Parallel()
	bad := story(t, 1)
	var mu sync.Mutex
	tries, passes := 0, false
	b := newBench(t, func(command contacts.Command) error {
		mu.Lock()
		defer mu.Unlock()
		if command.Operation == bad[0].Operation {
			if tries++; tries < 8 || !passes {
				return errors.New("bad")
			}
		}
		return nil
	})
	b.send(bad...)
	good := story(t, 3)
	b.send(good...)
	b.run()
	require.Eventually(t, func() bool { return len(b.processed(good[0].Contact)) == 4 }, 30*time.Second, 5*time.Millisecond)
	require.Empty(t, b.processed(bad[0].Contact))
	mu.Lock()
	passes = true
	mu.Unlock()
	b.requireEmpty()
	require.Equal(t, bad, b.processed(bad[0].Contact), "in order, when it passes at last")
}

// A transient failure of one contact's command, however long it lasts, keeps no other contact
// waiting.
func TestConsumer_OneStuckContact(t *testing.T) {
	t.Parallel()
	var stuck sync.Map
	b := newBench(t, func(command contacts.Command) error {
		if _, is := stuck.Load(command.Contact); is {
			return fmt.Errorf("row locked: %w", contacts.ErrTransient)
		}
		return nil
	})
	var held [][]contacts.Command
	for range 8 { // more than the consumer has loops
		commands := story(t, 1)
		stuck.Store(commands[0].Contact, true)
		held = append(held, commands)
		b.send(commands...)
	}
	b.run()
	good := story(t, 2)
	b.send(good...)
	require.Eventually(t, func() bool { return len(b.processed(good[0].Contact)) == 3 }, 30*time.Second, 5*time.Millisecond)
	stuck.Clear()
	b.requireEmpty()
	for _, commands := range held {
		require.Equal(t, commands, b.processed(commands[0].Contact), "in order, when they pass at last")
	}
}

// scripted is a queue that hands out what the test says, several messages of a group at once,
// as SQS does.
type scripted struct {
	queue.Queue
	deliveries chan []queue.Delivery
	receiving  atomic.Int32 // how many receives are under way

	mu       sync.Mutex
	refuse   []error // what the first calls of Delete return
	deletes  int
	deleted  []string
	extended map[string]time.Duration
}

func (s *scripted) Receive(ctx context.Context, _ int, _ time.Duration) ([]queue.Delivery, error) {
	s.receiving.Add(1)
	defer s.receiving.Add(-1)
	select {
	case deliveries := <-s.deliveries:
		return deliveries, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s *scripted) Delete(_ context.Context, receipts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.deletes++; s.deletes <= len(s.refuse) {
		return s.refuse[s.deletes-1]
	}
	s.deleted = append(s.deleted, receipts...)
	return nil
}

func (s *scripted) Extend(_ context.Context, d time.Duration, receipts ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, receipt := range receipts {
		s.extended[receipt] = d
	}
	return nil
}

// deliver has commands delivered together, the groups given by their contacts, and receipts by
// their position.
func (b *bench) deliver(attempt int, bodies map[int]string, commands ...contacts.Command) []queue.Delivery {
	b.t.Helper()
	deliveries := make([]queue.Delivery, len(commands))
	for i, command := range commands {
		b.send(command)
		received, err := b.queue.Receive(b.t.Context(), 1, time.Minute)
		require.NoError(b.t, err)
		require.NoError(b.t, b.queue.Delete(b.t.Context(), received[0].Receipt))
		deliveries[i] = received[0]
		deliveries[i].Receipt, deliveries[i].Attempt, deliveries[i].Group = fmt.Sprint(i), attempt, command.Contact.String()
		if body, ok := bodies[i]; ok {
			deliveries[i].Body = []byte(body)
		}
	}
	return deliveries
}

func TestConsumer_SeveralMessagesOfAGroup(t *testing.T) {
	t.Parallel()
	first, second := story(t, 2), story(t, 2)
	b := newBench(t, func(command contacts.Command) error {
		if command.Operation == second[1].Operation {
			return errors.New("bad")
		}
		return nil
	})
	deliveries := b.deliver(3, map[int]string{1: "no event"}, slices.Concat(first, second)...)
	script := &scripted{deliveries: make(chan []queue.Delivery, 1), extended: map[string]time.Duration{}}
	script.deliveries <- deliveries
	consumer := commandqueue.NewConsumer(script, b, commandqueue.ConsumerOptions{
		Pollers: 1, Loops: 1, Batch: 10, PollWait: time.Second, Visibility: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go consumer.Run(ctx)
	require.Eventually(t, func() bool {
		script.mu.Lock()
		defer script.mu.Unlock()
		return len(script.extended) == 4
	}, 30*time.Second, 5*time.Millisecond)
	script.mu.Lock()
	defer script.mu.Unlock()
	require.ElementsMatch(t, []string{"0", "3"}, script.deleted, "what is behind an unreadable or a failing message waits")
	const pause = 4 * time.Second // longer with every delivery
	require.Equal(t, map[string]time.Duration{"1": pause, "2": pause, "4": pause, "5": pause}, script.extended)
	require.Equal(t, first[:1], b.processed(first[0].Contact))
}

// What is itself to blame, five deliveries over, is set aside, and its group goes on.
func TestConsumer_Parks(t *testing.T) {
	t.Parallel()
	bad, unreadable := story(t, 2), story(t, 1)
	b := newBench(t, func(command contacts.Command) error {
		if command.Operation == bad[1].Operation {
			return errors.New("bad")
		}
		return nil
	})
	deliveries := b.deliver(5, map[int]string{3: "no event"}, slices.Concat(bad, unreadable)...)
	script := &scripted{deliveries: make(chan []queue.Delivery, 2), extended: map[string]time.Duration{}}
	script.deliveries <- deliveries
	consumer := commandqueue.NewConsumer(script, b, commandqueue.ConsumerOptions{
		Pollers: 1, Loops: 1, Batch: 10, PollWait: time.Second, Visibility: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go consumer.Run(ctx)
	require.Eventually(t, func() bool {
		script.mu.Lock()
		defer script.mu.Unlock()
		return len(script.extended) == 2
	}, 30*time.Second, 5*time.Millisecond)
	script.mu.Lock()
	require.ElementsMatch(t, []string{"0", "1", "3"}, script.deleted)
	script.mu.Unlock()
	// what was behind them is delivered again
	script.deliveries <- []queue.Delivery{deliveries[2], deliveries[4]}
	require.Eventually(t, func() bool {
		script.mu.Lock()
		defer script.mu.Unlock()
		return len(script.deleted) == 5
	}, 30*time.Second, 5*time.Millisecond)
	require.Len(t, b.parked, 2)
	require.Equal(t, contacts.ParkedCommand{
		Group: deliveries[3].Group, Body: []byte("no event"), Reason: b.parked[0].Reason, Attempts: 5,
	}, b.parked[0])
	require.Equal(t, bad[1].Operation, b.parked[1].ID)
	require.Equal(t, "bad", b.parked[1].Reason)
	require.Equal(t, []contacts.Command{bad[0], bad[2]}, b.processed(bad[0].Contact))
	require.Equal(t, unreadable[1:], b.processed(unreadable[0].Contact))
}

// quiet is what a processor has around its ledger, without notices.
type quiet struct {
	contacts.Parking
	contacts.Invalidations
}

func (quiet) Announce(context.Context, []contacts.Document, []contacts.OperationKey) error {
	return nil
}
func (quiet) Refresh(context.Context, []contacts.Document) error { return nil }
func (quiet) RenewTrust(context.Context, time.Time) error        { return nil }
func (quiet) Notify(context.Context, []contacts.Notice) error    { return nil }

// locked is a ledger some of whose contacts are locked by another transaction.
type locked struct {
	contacts.Ledger
	contacts []uuid.UUID
	patience time.Duration
}

func (l locked) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	if slices.ContainsFunc(commands, func(c contacts.Command) bool { return slices.Contains(l.contacts, c.Contact) }) {
		select {
		case <-time.After(l.patience):
			return nil, contacts.ErrTransient
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", contacts.ErrDown, ctx.Err())
	}
	return l.Ledger.Apply(ctx, commands, now, announce)
}

// Locks that are held use up the time of every try of a batch: it is handed back all the same,
// and so are those in it that were never tried.
func TestConsumer_TwoStuckContactsHoldNoBatch(t *testing.T) {
	t.Parallel()
	b := newBench(t, nil)
	commands := make([]contacts.Command, 64)
	for i := range commands {
		commands[i] = story(t, 0)[0]
	}
	deliveries := b.deliver(1, nil, commands...)
	synctest.Test(t, func(t *testing.T) {
		script := &scripted{deliveries: make(chan []queue.Delivery, 1), extended: map[string]time.Duration{}}
		script.deliveries <- deliveries
		ledger := locked{contactstest.NewModel(), []uuid.UUID{commands[0].Contact, commands[33].Contact}, 8 * time.Second}
		processor := contacts.NewProcessor(ledger, quiet{}, quiet{}, quiet{}, quiet{}, nil, slog.New(slog.DiscardHandler), nil)
		consumer := commandqueue.NewConsumer(script, processor, commandqueue.ConsumerOptions{
			Pollers: 1, Loops: 1, Batch: 100, PollWait: time.Second, Visibility: time.Hour, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { consumer.Run(ctx) })
		time.Sleep(2 * time.Minute)
		script.mu.Lock()
		require.Contains(t, script.extended, "0")
		require.Contains(t, script.extended, "33")
		require.Len(t, script.deleted, len(commands)-len(script.extended))
		script.mu.Unlock()
		cancel()
		running.Wait()
	})
}

// While a batch is worked on others are received, and make up the next one together. A lone
// command is applied at once. While a batch is being applied, the next one grows: until that
// is done, or it is full, or for a short time, so that what takes long does not hold up the
// others.
func TestConsumer_Batches(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		loops int
		// how many each of the later receives brings, while the first batch is being applied
		follow  []int
		finish  time.Duration // when that is done
		batches []int         // how many commands each batch has, in the order of their beginnings
		begun   []time.Duration
	}{
		"until the batch before is done": {
			loops: 4, follow: []int{2, 2}, finish: 20 * time.Millisecond,
			batches: []int{1, 4}, begun: []time.Duration{0, 20 * time.Millisecond},
		},
		"until it is full": {
			loops: 4, follow: []int{4, 4}, finish: time.Hour,
			batches: []int{1, 8}, begun: []time.Duration{0, 2 * time.Millisecond},
		},
		"for a short time": {
			loops: 4, follow: []int{2, 2}, finish: time.Hour,
			batches: []int{1, 4}, begun: []time.Duration{0, 51 * time.Millisecond},
		},
		"for as long as all loops are taken": {
			loops: 1, follow: []int{2, 2}, finish: time.Hour,
			batches: []int{1, 4}, begun: []time.Duration{0, time.Hour},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := newBench(t, nil)
			deliveries := [][]queue.Delivery{first.deliver(1, nil, story(t, 0)...)}
			for _, count := range test.follow {
				deliveries = append(deliveries, first.deliver(1, nil, story(t, count-1)...))
			}
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				process := &slow{started: started, first: test.finish}
				script := &scripted{deliveries: make(chan []queue.Delivery), extended: map[string]time.Duration{}}
				consumer := commandqueue.NewConsumer(script, process, commandqueue.ConsumerOptions{
					Pollers: 5, Loops: test.loops, Batch: 8, PollWait: time.Second, Visibility: 24 * time.Hour,
					Log: slog.New(slog.DiscardHandler),
				})
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { consumer.Run(ctx) })
				for _, receive := range deliveries {
					script.deliveries <- receive
					time.Sleep(time.Millisecond)
				}
				time.Sleep(2 * time.Hour)
				cancel()
				running.Wait()
				require.Equal(t, test.batches, process.batches)
				for i, begun := range test.begun {
					require.InDelta(t, begun, process.begun[i], float64(10*time.Millisecond), "batch %d", i)
				}
			})
		})
	}
}

// slow is a processor whose first batch takes long.
type slow struct {
	started time.Time
	first   time.Duration

	mu      sync.Mutex
	batches []int
	begun   []time.Duration
}

func (s *slow) Process(_ context.Context, commands []contacts.Command) []error {
	s.mu.Lock()
	s.batches, s.begun = append(s.batches, len(commands)), append(s.begun, time.Since(s.started))
	first := len(s.batches) == 1
	s.mu.Unlock()
	if first {
		time.Sleep(s.first)
	}
	return make([]error, len(commands))
}

func (s *slow) Park(context.Context, contacts.ParkedCommand, *contacts.Command) error { return nil }

// An idle consumer has one receive under way; more of them only while they bring many
// messages, or some that have waited.
func TestConsumer_ReceivesMoreWhereThereIsMore(t *testing.T) {
	t.Parallel()
	maker := newBench(t, nil)
	many := func() []queue.Delivery { return maker.deliver(1, nil, story(t, 4)...) }
	few := func(sentAt time.Time) []queue.Delivery {
		deliveries := maker.deliver(1, nil, story(t, 0)...)
		deliveries[0].SentAt = sentAt
		return deliveries
	}
	past, future := time.Time{}, time.Now() // for the bubble, whose clock begins in 2000
	deliveries := [][]queue.Delivery{few(future), many(), few(past), many(), few(future), few(future)}
	synctest.Test(t, func(t *testing.T) {
		script := &scripted{deliveries: make(chan []queue.Delivery), extended: map[string]time.Duration{}}
		consumer := commandqueue.NewConsumer(script, &slow{started: time.Now()}, commandqueue.ConsumerOptions{
			Pollers: 3, Loops: 1, Batch: 10, PollWait: time.Second, Visibility: time.Hour, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { consumer.Run(ctx) })
		synctest.Wait()
		receives := []int32{script.receiving.Load()}
		for _, receive := range deliveries {
			script.deliveries <- receive
			time.Sleep(time.Second)
			receives = append(receives, script.receiving.Load())
		}
		cancel()
		running.Wait()
		require.Equal(t, []int32{1, 1, 2, 3, 3, 2, 1}, receives)
	})
}

func TestConsumer_KeepsALongBatchInvisible(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // where a slow disk takes none of the message's time
		var started atomic.Int64
		b := newBench(t, func(contacts.Command) error {
			started.Add(1)
			time.Sleep(2 * visibility)
			return nil
		})
		b.send(story(t, 0)...)
		b.run()
		time.Sleep(3 * visibility)
		require.EqualValues(t, 1, started.Load(), "nobody else was given it meanwhile")
		require.Equal(t, queue.Stats{}, b.stats())
	})
}

// What was applied and cannot be deleted does not hold up its contact until the visibility
// timeout has run out.
func TestConsumer_DeleteFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(contacts.Command) error { return nil })
	deliveries := b.deliver(1, nil, story(t, 0)...)
	unavailable := fmt.Errorf("delete: %w", queue.ErrUnavailable)
	for name, test := range map[string]struct {
		errs     []error
		deletes  int
		deleted  []string
		extended map[string]time.Duration
	}{
		"once":       {[]error{unavailable}, 2, []string{"0"}, map[string]time.Duration{}},
		"throughout": {[]error{unavailable, unavailable}, 2, nil, map[string]time.Duration{"0": 0}},
		"expired":    {[]error{queue.ErrReceiptExpired}, 1, nil, map[string]time.Duration{}},
	} {
		b.refuseDelete = test.errs
		b.consume(deliveries, time.Hour, func(t *testing.T, script *scripted, _ func()) {
			deleted, extended := script.after(time.Second)
			require.Equal(t, test.deletes, script.deletes, name)
			require.Equal(t, test.deleted, deleted, name)
			require.Equal(t, test.extended, extended, name)
		})
	}
}

func TestConsumer_Stop(t *testing.T) {
	t.Parallel()
	begun, finish := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b := newBench(t, func(contacts.Command) error {
		once.Do(func() { close(begun) })
		<-finish
		return nil
	})
	commands := story(t, 2)
	b.send(commands...)
	b.run()
	<-begun
	b.cancel()
	close(finish)
	b.stop()
	require.Equal(t, commands[:1], b.processed(commands[0].Contact), "what was begun is finished")
	require.Equal(t, queue.Stats{Waiting: 2}, b.stats(), "and nothing is left in flight")
}

func TestConsumer_Stop_HandsBackWhatFails(t *testing.T) {
	t.Parallel()
	tried := make(chan struct{}, 100)
	b := newBench(t, func(contacts.Command) error {
		tried <- struct{}{}
		return contacts.ErrTransient
	})
	b.send(story(t, 0)...)
	b.run()
	<-tried
	b.stop()
	require.Equal(t, queue.Stats{Waiting: 1}, b.stats())
}

// refusing is a queue that answers every send with an error.
type refusing struct {
	queue.Queue
	err error
}

func (r refusing) Send(context.Context, queue.Message) error { return r.err }

func TestSender_Errors(t *testing.T) {
	command := story(t, 0)[0]
	for kind, err := range map[contacts.Kind]error{
		contacts.KindUnavailable: queue.ErrUnavailable,
		contacts.KindUncertain:   fmt.Errorf("time-out: %w", queue.ErrUncertain),
		contacts.KindInvalid:     queue.ErrRejected,
	} {
		got := commandqueue.NewSender(refusing{err: err}, commandqueue.Names{}).Send(t.Context(), command)
		require.True(t, contacts.IsKind(got, kind), "%v", got)
		require.ErrorIs(t, got, err, "the cause stays, for the log")
		var e *contacts.Error
		require.ErrorAs(t, got, &e)
		if kind == contacts.KindUncertain {
			require.Equal(t, command.Operation.String(), e.Operation)
		}
	}
}
