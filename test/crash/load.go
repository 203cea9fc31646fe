package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"contacts/test/crash/history"
	"contacts/test/system"
)

const (
	writers = 16 // how many callers there are at the same time
	// how many accepted writes each of them has at the most before it waits for one to end
	unsettled = 30
)

// load is the callers.
type load struct {
	system *system.System
	log    *history.Log
	seed   uint64
	pool   pool
	writes atomic.Int64 // acknowledged
	calls  atomic.Int64

	mu sync.Mutex
	// questions for the end of an accepted write that were not answered with 200, by status
	polls map[int]int
}

// run makes calls until enough says so, and then ends those that have begun.
func (l *load) run(ctx context.Context, enough func() bool) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range writers {
		group.Go(func() error {
			w := writer{
				load: l, group: group, unsettled: make(chan struct{}, unsettled),
				random: rand.New(rand.NewPCG(l.seed, uint64(2+i))), slot: fmt.Sprintf("slot%d", i%4),
			}
			for !enough() && ctx.Err() == nil {
				if err := w.act(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// writer is one caller.
type writer struct {
	*load
	group     *errgroup.Group // of all callers
	unsettled chan struct{}   // holds one for each accepted write whose end it does not know yet
	random    *rand.Rand
	slot      string
}

func (w *writer) chance(p float64) bool { return w.random.Float64() < p }

// act makes one call of a random kind. After an acknowledged write, some callers read what
// they wrote on any replica.
func (w *writer) act(ctx context.Context) error {
	k, found := w.pool.pick(w.random)
	switch {
	case !found || w.chance(0.06):
		k = known{}
	case w.chance(0.3):
		return w.read(ctx, k.contact)
	}
	end, err := w.write(ctx, w.draw(k))
	if err == nil && end.Type == history.OK && w.chance(0.4) {
		err = w.read(ctx, end.Contact)
	}
	return err
}

// draw makes a write of a contact, or of a new one.
func (w *writer) draw(k known) history.Event {
	call := history.Event{
		Type: history.Invoke, Call: int(w.calls.Add(1)), Kind: history.Create, Contact: k.contact, Slot: w.slot, Async: w.chance(0.15),
	}
	if w.chance(0.6) {
		call.Key = fmt.Sprintf("key-%d", call.Call)
	}
	if k.contact == "" {
		return call
	}
	switch draw := w.random.Float64(); {
	case draw < 0.05:
		call.Kind = history.Delete
	case draw < 0.2:
		call.Kind = history.Replace
	default:
		call.Kind = history.Patch
	}
	if w.chance(0.2) {
		call.IfMatch = k.version
	}
	return call
}

// write makes a write and returns its end; that of an accepted one is learnt meanwhile. Under
// a key it is sent again, to any replica, until it is answered.
func (w *writer) write(ctx context.Context, call history.Event) (history.Event, error) {
	if err := w.log.Append(call); err != nil {
		return call, err
	}
	for attempt := 1; ; attempt++ {
		replica := w.replica()
		event, err := ask(ctx, w.system.HTTP, replica, call)
		if err != nil {
			return event, err
		}
		if event.Type == history.Accepted {
			return event, w.follow(ctx, call, event)
		}
		again := event.Type == history.Unknown || event.Status == http.StatusServiceUnavailable
		if !again || call.Key == "" || ctx.Err() != nil {
			return event, w.end(ctx, call, &event)
		}
		if err := w.pause(ctx, attempt); err != nil {
			return event, w.end(ctx, call, &event)
		}
		event.Type = history.Retry // says why
		if err := w.log.Append(event); err != nil {
			return event, err
		}
	}
}

// follow asks for the end of an accepted write until it is known, while the caller goes on.
func (w *writer) follow(ctx context.Context, call, accepted history.Event) error {
	if err := w.log.Append(accepted); err != nil {
		return err
	}
	w.unsettled <- struct{}{}
	follower := writer{load: w.load, random: rand.New(rand.NewPCG(w.seed, uint64(writers+2+call.Call)))}
	w.group.Go(func() error {
		defer func() { <-w.unsettled }()
		return follower.await(ctx, call, accepted)
	})
	return nil
}

// await asks any replica for the end of an accepted write, until it is known.
func (w *writer) await(ctx context.Context, call, accepted history.Event) error {
	for attempt := 1; ; attempt++ {
		event, ended, err := askOperation(ctx, w.system.HTTP, w.replica(), call, accepted.Operation)
		if err != nil {
			return err
		}
		if ended {
			return w.end(ctx, call, &event)
		}
		if event.Status != 0 {
			w.mu.Lock()
			w.polls[event.Status]++
			w.mu.Unlock()
			event.Status = 0 // it is no answer to the write
		}
		if err := w.pause(ctx, attempt); err != nil {
			event.Type, event.Problem = history.Unknown, history.GaveUp
			return w.end(ctx, call, &event)
		}
	}
}

// end records the end of a write, and only then shares what it told. Now and then the key of a
// write that is done is used again.
func (w *writer) end(ctx context.Context, call history.Event, event *history.Event) error {
	if event.Contact == "" {
		event.Contact = call.Contact
	}
	if err := w.log.Append(*event); err != nil {
		return err
	}
	if event.Type != history.OK {
		return nil
	}
	w.writes.Add(1)
	k := known{event.Contact, event.Version}
	switch call.Kind {
	case history.Create:
		w.pool.add(k, w.random)
	case history.Delete:
		w.pool.bury(k.contact, w.random)
	default:
		w.pool.learn(k)
	}
	if call.Key == "" {
		return nil
	}
	if w.chance(0.05) {
		if err := w.again(ctx, call, history.Repeat); err != nil {
			return err
		}
	}
	if call.Kind != history.Delete && w.chance(0.01) {
		call.Slot = "reused" // another payload
		return w.again(ctx, call, history.Reuse)
	}
	return nil
}

// again sends a write that is done once more under its key, to any replica, and records what
// that was answered.
func (w *writer) again(ctx context.Context, call history.Event, what history.Type) error {
	event, err := ask(ctx, w.system.HTTP, w.replica(), call)
	if err != nil {
		return err
	}
	event.Type = what
	return w.log.Append(event)
}

// read makes a read, on any replica.
func (w *writer) read(ctx context.Context, contact string) error {
	call := history.Event{Type: history.Invoke, Call: int(w.calls.Add(1)), Kind: history.Read, Contact: contact}
	if err := w.log.Append(call); err != nil {
		return err
	}
	event, err := ask(ctx, w.system.HTTP, w.replica(), call)
	if err != nil {
		return err
	}
	if err := w.log.Append(event); err != nil {
		return err
	}
	if event.Found {
		w.pool.learn(known{contact, event.Version})
	}
	return nil
}

func (w *writer) replica() *system.Target {
	return w.system.Replicas[w.random.IntN(len(w.system.Replicas))]
}

// pause waits longer after each attempt, half a second at the most. It returns ctx's error.
func (w *writer) pause(ctx context.Context, attempt int) error {
	sleep(ctx, time.Duration(min(50*attempt, 500))*time.Millisecond)
	return ctx.Err()
}
