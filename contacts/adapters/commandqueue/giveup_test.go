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

// consume runs a consumer with one loop on the deliveries, in a bubble of its own, while do looks at what comes of them.
// script says what has become of them; stop ends the consumer.
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

// What circumstances keep from being applied is never set aside: before the dead-letter queue takes it, it is kept.
func TestConsumer_KeepsWhatWillPass(t *testing.T) {
	t.Parallel()
	var stuck atomic.Bool
	b := newBench(t, func(contacts.Command) error {
		if stuck.Load() {
			return contacts.ErrTransient
		}
		return nil
	})
	commands := story(t, 1)
	deliveries := b.deliver(17, nil, commands...)
	for kept := range 2 {
		stuck.Store(true)
		deliveries[0].Attempt += kept
		b.consume(deliveries, time.Minute, func(t *testing.T, script *scripted, _ func()) {
			_, extended := script.after(10 * time.Second)
			require.Len(t, extended, len(commands)-kept, "the first, and not the one behind it, which has not been tried")
			if kept == 0 {
				return
			}
			_, extended = script.after(20 * time.Minute)
			require.Equal(t, time.Minute, extended["0"], "it is held all the time")
			stuck.Store(false)
			deleted, _ := script.after(15 * time.Second)
			require.Equal(t, []string{"0"}, deleted)
			b.mu.Lock()
			require.Equal(t, commands[:1], b.seen[commands[0].Contact])
			b.mu.Unlock()
		})
		require.Empty(t, b.parked)
	}
}

// However many are stuck, the others go on; and there is an end to how many are kept.
func TestConsumer_WhatIsKeptHoldsUpNobody(t *testing.T) {
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
		require.Len(t, extended, 1, "one is too many")
		script.deliveries <- other
		deleted, _ := script.after(0)
		require.Equal(t, []string{"other"}, deleted)
		stop()
		_, extended = script.after(0)
		require.Len(t, extended, len(deliveries))
		immediately := slices.DeleteFunc(slices.Collect(maps.Values(extended)), func(d time.Duration) bool { return d != 0 })
		require.Len(t, immediately, len(deliveries)-1, "on a shutdown the others are handed back at once")
	})
}

// What turns out to be itself to blame is parked, when that can be done.
func TestConsumer_ParksWhatIsKept(t *testing.T) {
	t.Parallel()
	var bad, unparkable atomic.Bool
	b := newBench(t, func(contacts.Command) error {
		if bad.Load() {
			return errors.New("bad")
		}
		return contacts.ErrTransient
	})
	unparkable.Store(true)
	b.refusePark = func() error {
		if unparkable.Load() {
			return contacts.ErrDown
		}
		return nil
	}
	commands := slices.Concat(story(t, 0), story(t, 0))
	b.consume(b.deliver(18, map[int]string{1: "no event"}, commands...), time.Hour, func(t *testing.T, script *scripted, _ func()) {
		script.after(10 * time.Second)
		bad.Store(true)
		deleted, extended := script.after(time.Minute)
		require.Empty(t, deleted)
		require.Empty(t, extended, "neither the dead-letter queue nor anybody else has them")
		unparkable.Store(false)
		deleted, _ = script.after(15 * time.Second)
		require.ElementsMatch(t, []string{"0", "1"}, deleted)
	})
	require.Len(t, b.parked, 2)
}
