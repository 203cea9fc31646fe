package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"contacts/test/system"
)

// sizes say how much is measured.
type sizes struct {
	rows     int           // contacts that pages and uncached reads are of
	writes   int           // writes of a round
	rounds   int           // of each figure and side
	period   time.Duration // that a round of reads takes
	soak     time.Duration // of the full load under which memory is watched
	profiles string        // a folder for profiles of the service's processes; "": none are taken
}

// measure measures one mode: of the binary as it is, and beside it, unless baseline is "", of that commit's.
func measure(ctx context.Context, mode system.Mode, baseline string, o sizes) (r report, err error) {
	folder, err := os.MkdirTemp("", "contacts-speed-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	var sides []*side
	defer func() {
		for _, s := range sides {
			err = errors.Join(err, s.stop())
		}
	}()
	for _, name := range []string{"baseline", "now"} {
		if name == "baseline" && baseline == "" {
			continue
		}
		fmt.Fprintf(os.Stderr, "speed: %s: build and fill %s\n", mode, name)
		own := filepath.Join(folder, name)
		if err := os.Mkdir(own, 0o700); err != nil {
			return r, err
		}
		binary, err := build(ctx, own, name, baseline)
		if err != nil {
			return r, err
		}
		s, err := startSide(ctx, name, mode, own, binary, o)
		sides = append(sides, s)
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, step := range steps {
		fmt.Fprintf(os.Stderr, "speed: %s: %s\n", mode, step.name)
		rounds := o.rounds
		if step.once {
			rounds = 1
		}
		if err := alternate(sides, rounds, func(s *side) error { return step.run(s, ctx) }); err != nil {
			return r, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return newReport(mode, baseline, sides), nil
}

// alternate runs rounds of each side in turn, and every other time in the reverse order, so that what disturbs the machine
// for a while hits both sides.
func alternate(sides []*side, rounds int, run func(s *side) error) error {
	sides = slices.Clone(sides)
	for range rounds {
		for _, s := range sides {
			if err := run(s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		slices.Reverse(sides)
	}
	return nil
}

func build(ctx context.Context, folder, name, baseline string) (string, error) {
	if name == "baseline" {
		return system.BuildCommit(ctx, folder, baseline)
	}
	return system.Build(ctx, folder, false)
}

// steps are measured one after the other, each in several rounds.
var steps = []struct {
	name string
	run  func(*side, context.Context) error
	once bool
}{
	{name: "latency", run: (*side).latency},
	{name: "cached reads", run: (*side).cachedReads},
	{name: "uncached reads", run: (*side).uncachedReads},
	{name: "pages", run: (*side).pages},
	{name: "writes with the worker stopped, and drain", run: (*side).backlog},
	{name: "durable writes", run: (*side).durable},
	{name: "memory", run: (*side).memory, once: true},
	{name: "start", run: (*side).start},
	{name: "round trips", run: (*side).roundTrips, once: true}, // the last: it leaves the processes behind proxies
}

// connections are the numbers of callers that each rate is measured with.
var connections = []int{16, 64}

// with says with how many connections.
func with(callers int) string {
	if callers == 1 {
		return "1 connection"
	}
	return fmt.Sprint(callers, " connections")
}

// rate measures a load and records its rate.
func (s *side) rate(ctx context.Context, name string, run func() (outcome, error)) (float64, error) {
	account, err := s.account(ctx, name)
	if err != nil {
		return 0, err
	}
	o, err := run()
	if err != nil {
		return 0, err
	}
	spent, err := account(o.calls)
	s.speed.add(name, "/s", sample{value: o.rate(), cpu: spent})
	return o.rate(), err
}

// latency has one caller write, and wait for each answer.
func (s *side) latency(ctx context.Context) error {
	batches, err := s.batches(ctx)
	if err != nil {
		return err
	}
	account, err := s.account(ctx, "POST answered 201")
	if err != nil {
		return err
	}
	o, err := load(ctx, s.api(), 1, 201, times(max(20, s.writes/60), s.create("")))
	if err != nil {
		return err
	}
	spent, err := account(o.calls)
	s.speed.add("POST answered 201, one caller, p50", "ms", sample{value: milliseconds(o.percentile(0.5)), cpu: spent})
	s.speed.add("POST answered 201, one caller, p99", "ms", sample{value: milliseconds(o.percentile(0.99))})
	return errors.Join(err, batches(1))
}

// batches returns a function that records how many commands a transaction has had meanwhile.
func (s *side) batches(ctx context.Context) (record func(callers int) error, err error) {
	const sum, count = "contacts_batch_commands_sum", "contacts_batch_commands_count"
	before, err := s.Metrics(ctx, s.consumer())
	return func(callers int) error {
		after, err := s.Metrics(ctx, s.consumer())
		s.protocol.add("commands per transaction, "+with(callers), "",
			sample{value: (after[sum] - before[sum]) / max(1, after[count]-before[count])})
		return err
	}, err
}

// cachedReads measures reads of one contact beside a bare server that answers with the same bytes.
func (s *side) cachedReads(ctx context.Context) error {
	few := s.filled[:min(64, len(s.filled))]
	get := func(caller, i int) request { return request{method: "GET", path: few[(caller+i)%len(few)]} }
	if _, err := load(ctx, s.api(), 1, 200, times(2*len(few), get)); err != nil { // they are in the cache by then
		return err
	}
	for _, callers := range connections {
		bare, err := s.rate(ctx, "bare handler, the same bytes, "+with(callers), func() (outcome, error) {
			return load(ctx, s.bare.URL, callers, 200, forSome(s.period, get))
		})
		if err != nil {
			return err
		}
		cached, err := s.rate(ctx, "cached read, "+with(callers), func() (outcome, error) {
			return load(ctx, s.api(), callers, 200, forSome(s.period, get))
		})
		if err != nil {
			return err
		}
		s.speed.add("cached read, of the bare handler, "+with(callers), "", sample{value: cached / bare})
	}
	return nil
}

// uncachedReads measures reads of contacts that the cache has forgotten, each once.
func (s *side) uncachedReads(ctx context.Context) error {
	for _, callers := range connections {
		if err := s.forget(ctx); err != nil {
			return err
		}
		ends, last := time.Now().Add(s.period), s.next.Load()+int64(len(s.filled))
		if _, err := s.rate(ctx, "uncached read, "+with(callers), func() (outcome, error) {
			return load(ctx, s.api(), callers, 200, func(caller, i int) (request, bool) {
				return s.get(caller, i), s.next.Load() < last && time.Now().Before(ends)
			})
		}); err != nil {
			return err
		}
	}
	return nil
}

// pages measures pages of 50, and searches.
func (s *side) pages(ctx context.Context) error {
	for _, page := range []struct {
		name string
		path func(caller, i int) string
	}{
		{"first page of 50", func(int, int) string { return "/v1/contacts" }},
		{"deep page of 50", func(int, int) string { return s.deep }},
		{"search", func(caller, i int) string { return fmt.Sprintf("/v1/contacts?q=first%d", 1+(caller*7919+i)%s.rows) }},
	} {
		for _, callers := range connections {
			if _, err := s.rate(ctx, page.name+", "+with(callers), func() (outcome, error) {
				return load(ctx, s.api(), callers, 200, forSome(s.period, func(caller, i int) request {
					return request{method: "GET", path: page.path(caller, i)}
				}))
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

// backlog measures writes that are accepted while the worker is stopped, and then how fast it drains what has gathered.
func (s *side) backlog(ctx context.Context) error {
	if s.Cache == "" {
		return nil // the worker is in the process that accepts the writes
	}
	worker := s.consumer()
	if _, err := worker.Terminate(); err != nil {
		return err
	}
	sent := 0
	for _, callers := range connections {
		if _, err := s.rate(ctx, "accepted writes, worker stopped, "+with(callers), func() (outcome, error) {
			o, err := s.send(ctx, callers, s.writes/len(connections))
			sent += o.calls
			return o, err
		}); err != nil {
			return err
		}
	}
	if err := worker.Restart(ctx); err != nil {
		return err
	}
	begun, err := s.applied(ctx) // it has drained a part by now
	if err != nil {
		return err
	}
	_, err = s.rate(ctx, "drain", func() (outcome, error) {
		started := time.Now()
		err := s.awaitApplied(ctx, float64(sent))
		return outcome{calls: sent - int(begun), took: time.Since(started)}, err
	})
	return err
}

// durable measures writes while the worker runs: how fast they are accepted, and from the first request until the last of
// them is applied.
func (s *side) durable(ctx context.Context) error {
	for _, callers := range connections {
		batches, err := s.batches(ctx)
		if err != nil {
			return err
		}
		if _, err := s.rate(ctx, "durable writes, "+with(callers), func() (outcome, error) {
			started := time.Now()
			o, err := s.write(ctx, callers, s.writes*callers/64)
			s.speed.add("accepted writes, worker running, "+with(callers), "/s", sample{value: o.rate()})
			return outcome{calls: o.calls, took: time.Since(started)}, err
		}); err != nil {
			return err
		}
		if err := batches(callers); err != nil {
			return err
		}
	}
	return nil
}
