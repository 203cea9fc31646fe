package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"contacts/test/crash/history"
	"contacts/test/system"
)

// fault is something that is done to a target.
type fault struct {
	at     float64 // how far the load has come by then, from 0 to 1
	kind   string  // kill, terminate or freeze
	target int
	lasts  time.Duration // until it is restarted or thawed
}

// readScript reads faults that are told and not drawn, separated by commas: "kill postgres
// 30s, freeze redis 1m". The load has come a third of its way when they begin. A kind stands
// for its first target.
func readScript(script string, targets []*system.Target) ([]fault, error) {
	var faults []fault
	for line := range strings.SplitSeq(script, ",") {
		words := strings.Fields(line)
		if len(words) != 3 {
			return nil, fmt.Errorf("fault %q: expected an action, a target and a duration, as in kill postgres 30s", line)
		}
		f := fault{at: 1. / 3, kind: words[0]}
		if !slices.Contains([]string{"kill", "terminate", "freeze"}, f.kind) {
			return nil, fmt.Errorf("fault %q: expected kill, terminate or freeze", line)
		}
		f.target = slices.IndexFunc(targets, func(t *system.Target) bool { return t.Name == words[1] || t.Kind == words[1] })
		if f.target < 0 {
			return nil, fmt.Errorf("fault %q: nothing is called %s", line, words[1])
		}
		var err error
		if f.lasts, err = time.ParseDuration(words[2]); err != nil {
			return nil, fmt.Errorf("fault %q: %w", line, err)
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// schedule draws faults, as many kills as are asked for and others between them. The same seed
// and targets give the same schedule.
func schedule(seed uint64, kills int, targets []*system.Target) []fault {
	random := rand.New(rand.NewPCG(seed, 1))
	var faults []fault
	for killed := 0; killed < kills; {
		f := fault{at: random.Float64(), target: random.IntN(len(targets))}
		draw, long := random.Float64(), random.Float64()
		kind := targets[f.target].Kind
		switch {
		// it keeps everything in memory: it is never killed, and a long freeze only stops
		// everything
		case kind == "sqs":
			f.kind, f.lasts = "freeze", time.Duration(100+900*long)*time.Millisecond
		case draw < 0.6:
			f.kind, f.lasts = "kill", time.Duration(1000*long)*time.Millisecond
			killed++
		case draw < 0.75 && (kind == "serve" || kind == "worker"):
			f.kind, f.lasts = "terminate", time.Duration(1000*long)*time.Millisecond
		default:
			// Short ones more often than long ones: 0.1 to 8 s.
			f.kind, f.lasts = "freeze", time.Duration(100+7900*long*long*long)*time.Millisecond
		}
		faults = append(faults, f)
	}
	slices.SortFunc(faults, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return faults
}

// respite is how long a target works at least between two faults, so that each meets it at
// work.
const respite = 500 * time.Millisecond

// breaker carries out a schedule.
type breaker struct {
	system *system.System
	log    *history.Log

	mu      sync.Mutex
	counts  map[string]int // by kind and target's kind
	slowest time.Duration  // from a SIGTERM to the end
}

// run carries out each fault when the load has come so far, and returns once all are over and
// repaired. Faults of one target wait for each other; those of different ones overlap.
func (b *breaker) run(ctx context.Context, faults []fault, progress func() float64) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	busy := make([]sync.Mutex, len(b.system.Targets))
	var running sync.WaitGroup
	defer running.Wait()
	for _, f := range faults {
		for progress() < f.at {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		target := b.system.Targets[f.target]
		busy[f.target].Lock()
		running.Go(func() {
			defer busy[f.target].Unlock()
			if err := b.inflict(ctx, f, target); err != nil {
				cancel(fmt.Errorf("%s %s: %w", f.kind, target.Name, err))
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// inflict breaks the target, and repairs it after a while.
func (b *breaker) inflict(ctx context.Context, f fault, target *system.Target) error {
	if err := b.note(f.kind + " " + target.Name); err != nil {
		return err
	}
	breaking, repair, repaired := target.Freeze, func(context.Context) error { return target.Thaw() }, "thaw"
	switch f.kind {
	case "kill":
		breaking, repair, repaired = target.Kill, target.Restart, "restart"
	case "terminate":
		breaking, repair, repaired = func() error { return b.terminate(target) }, target.Restart, "restart"
	}
	if err := errors.Join(breaking(), b.note("broken "+target.Name)); err != nil {
		return err
	}
	sleep(ctx, f.lasts)
	if err := b.note(repaired + " " + target.Name); err != nil {
		return err
	}
	if err := repair(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	b.mu.Lock()
	b.counts[f.kind+" "+target.Kind]++
	b.mu.Unlock()
	err := b.note("repaired " + target.Name)
	sleep(ctx, respite)
	return err
}

func (b *breaker) terminate(target *system.Target) error {
	took, err := target.Terminate()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slowest = max(b.slowest, took)
	return err
}

// sleep returns after a while, or when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (b *breaker) note(what string) error {
	return b.log.Append(history.Event{Type: history.Fault, Note: what})
}
