package commandqueue_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/commandqueue"
	"contacts/platform/queue"
)

// consume runs a consumer with one loop on the deliveries, in a bubble of its own, while do
// looks at what comes of them. script says what has become of them; stop ends the consumer.
func (b *bench) consume(
	deliveries []queue.Delivery, visibility time.Duration, do func(t *testing.T, script *scripted, stop func()),
) {
	b.t.Helper()
	synctest.Test(b.t, func(t *testing.T) {
		script := &scripted{
			deliveries: make(chan []queue.Delivery, 1), refuse: b.refuseDelete, extended: map[string]time.Duration{},
		}
		consumer := commandqueue.NewConsumer(script, b, commandqueue.ConsumerOptions{
			Pollers: 1, Loops: 1, Batch: 500, PollWait: time.Second, Visibility: visibility, Log: slog.New(slog.DiscardHandler),
		})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { consumer.Run(ctx) })
		stop := func() { cancel(); running.Wait() }
		defer stop()
		script.deliveries <- deliveries
		do(t, script, stop)
	})
}

// after lets time pass and returns what has become of the messages by then.
func (s *scripted) after(d time.Duration) (deleted []string, extended map[string]time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deleted), maps.Clone(s.extended)
}

// What circumstances keep from being applied is never parked, however often it was delivered.
func TestConsumer_RetriesWhatWillPass(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	b := newBench(t, func(contacts.Command) error {
		if stuck.Load() {
			return contacts.ErrTransient
		}
		return nil
	})
	commands := story(t, 1)
	deliveries := b.deliver(999, nil, commands...)
	stuck.Store(true)
	b.consume(deliveries, time.Minute, func(t *testing.T, script *scripted, _ func()) {
		deleted, extended := script.after(10 * time.Second)
		require.Empty(t, deleted)
		require.Equal(t, map[string]time.Duration{"0": 25 * time.Minute, "1": 25 * time.Minute}, extended)
		stuck.Store(false)
		script.deliveries <- deliveries // when the pause is over
		deleted, _ = script.after(time.Second)
		require.Equal(t, []string{"0", "1"}, deleted)
	})
	require.Empty(t, b.parked)
	require.Equal(t, commands, b.seen[commands[0].Contact])
}

// However many are stuck, the others go on.
func TestConsumer_StuckMessagesHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(command contacts.Command) error {
		if command.Fields.FirstName == "Stuck" {
			return contacts.ErrTransient
		}
		return nil
	})
	stuck := make([]contacts.Command, 101)
	for i := range stuck {
		stuck[i] = story(t, 0)[0]
		stuck[i].Fields.FirstName = "Stuck"
	}
	deliveries := b.deliver(18, nil, stuck...)
	good := story(t, 0)[0]
	other := b.deliver(1, nil, good)
	other[0].Receipt = "other"
	b.consume(deliveries, time.Hour, func(t *testing.T, script *scripted, stop func()) {
		_, extended := script.after(10 * time.Second)
		require.Len(t, extended, len(deliveries))
		script.deliveries <- other
		deleted, _ := script.after(0)
		require.Equal(t, []string{"other"}, deleted)
		script.deliveries <- deliveries
		script.after(10 * time.Millisecond) // they are being tried
		stop()
		_, extended = script.after(0)
		immediately := slices.DeleteFunc(slices.Collect(maps.Values(extended)), func(d time.Duration) bool { return d != 0 })
		require.Len(t, immediately, len(deliveries), "on a shutdown they are handed back at once")
	})
}

// A message that cannot be parked comes again, and is parked then.
func TestConsumer_ParksLater(t *testing.T) {
	t.Parallel()
	var unparkable atomic.Bool
	b := newBench(t, func(contacts.Command) error { return errors.New("bad") })
	unparkable.Store(true)
	b.refusePark = func() error {
		if unparkable.Load() {
			return contacts.ErrDown
		}
		return nil
	}
	commands := slices.Concat(story(t, 0), story(t, 0))
	deliveries := b.deliver(5, map[int]string{1: "no event"}, commands...)
	b.consume(deliveries, time.Hour, func(t *testing.T, script *scripted, _ func()) {
		deleted, extended := script.after(10 * time.Second)
		require.Empty(t, deleted)
		require.Equal(t, map[string]time.Duration{"0": 16 * time.Second, "1": 16 * time.Second}, extended)
		unparkable.Store(false)
		deliveries[0].Attempt, deliveries[1].Attempt = 6, 6
		script.deliveries <- deliveries
		deleted, _ = script.after(10 * time.Second)
		require.ElementsMatch(t, []string{"0", "1"}, deleted)
	})
	require.Len(t, b.parked, 2)
}
