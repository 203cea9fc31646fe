package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
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

	steps *regexp.Regexp // the names of the steps that are measured
}

// measure measures one mode: of the binary as it is, and beside it, unless baseline is "", of
// that commit's.
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
	for _, step := range steps() {
		if !o.steps.MatchString(step.name) {
			continue
		}
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

// alternate runs rounds of each side in turn, and every other time in the reverse order, so
// that what disturbs the machine for a while hits both sides.
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

// step is what a round measures of one side before it is the other one's turn.
type step struct {
	name string
	run  func(*side, context.Context) error
	once bool // one round will do
}

// steps returns what is measured, one after the other: as little at a time as can be, so that
// both sides meet the same machine.
func steps() []step {
	all := []step{{name: "latency", run: (*side).latency}}
	each := func(name string, run func(s *side, ctx context.Context, callers int, name string) error) {
		for _, callers := range connections {
			name := name + ", " + with(callers)
			all = append(all, step{name: name, run: func(s *side, ctx context.Context) error { return run(s, ctx, callers, name) }})
		}
	}
	each("cached read", (*side).cachedRead)
	each("uncached read", (*side).uncachedRead)
	each("first page of 50", page(func(*side, int) string { return "/v1/contacts" }))
	each("deep page of 50", page(func(s *side, _ int) string { return s.deep }))
	each("search", page(func(s *side, i int) string { return fmt.Sprintf("/v1/contacts?q=first%d", 1+i%s.rows) }))
	all = append(all, step{name: "writes with the worker stopped, and drain", run: (*side).backlog})
	each("durable writes", (*side).durable)
	return append(all,
		step{name: "memory", run: (*side).memory, once: true},
		step{name: "start", run: (*side).start},
		// the last: it leaves the processes behind proxies
		step{name: "round trips", run: (*side).roundTrips, once: true},
	)
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

// batches returns a function that records how many commands a transaction has had meanwhile,
// and what each took of SQS.
func (s *side) batches(ctx context.Context) (record func(callers int) error, err error) {
	before, err := s.queueing(ctx)
	return func(callers int) error {
		after, err := s.queueing(ctx)
		commands := max(1, after.commands-before.commands)
		s.protocol.add("commands per transaction, "+with(callers), "", sample{value: commands / max(1, after.transactions-before.transactions)})
		if s.Cache != "" {
			s.protocol.add("SQS requests, one write, "+with(callers), "", sample{value: (after.requests - before.requests) / commands})
		}
		return err
	}, err
}

// queueing is what the service's processes have counted.
type queueing struct{ commands, transactions, requests float64 }

func (s *side) queueing(ctx context.Context) (q queueing, err error) {
	for _, t := range s.Targets {
		if t.Admin == "" {
			continue
		}
		values, err := s.Metrics(ctx, t)
		if err != nil {
			return q, err
		}
		q.commands += values["contacts_batch_commands_sum"]
		q.transactions += values["contacts_batch_commands_count"]
		for name, value := range values {
			if strings.HasPrefix(name, "contacts_sqs_requests_total{") && !strings.Contains(name, "GetQueueAttributes") {
				q.requests += value
			}
		}
	}
	return q, nil
}

// cachedRead measures reads of a few contacts beside a bare server that answers with the same
// bytes.
func (s *side) cachedRead(ctx context.Context, callers int, name string) error {
	few := s.filled[:min(64, len(s.filled))]
	get := func(caller, i int) request { return request{method: "GET", path: few[(caller+i)%len(few)]} }
	// they are in the cache by then
	if _, err := load(ctx, s.api(), 1, 200, times(2*len(few), get)); err != nil {
		return err
	}
	bare, err := s.rate(ctx, "bare handler, the same bytes, "+with(callers), func() (outcome, error) {
		return load(ctx, s.bare.URL, callers, 200, forSome(s.period, get))
	})
	if err != nil {
		return err
	}
	cached, err := s.rate(ctx, name, func() (outcome, error) {
		return load(ctx, s.api(), callers, 200, forSome(s.period, get))
	})
	s.speed.add("cached read, of the bare handler, "+with(callers), "", sample{value: cached / bare})
	return err
}

// uncachedRead measures reads of contacts that the cache has forgotten, each once.
func (s *side) uncachedRead(ctx context.Context, callers int, name string) error {
	if err := s.forget(ctx); err != nil {
		return err
	}
	_, err := s.rate(ctx, name, func() (outcome, error) {
		ends, last := time.Now().Add(s.period), s.next.Load()+int64(len(s.filled))
		return load(ctx, s.api(), callers, 200, func(caller, i int) (request, bool) {
			return s.get(caller, i), s.next.Load() < last && time.Now().Before(ends)
		})
	})
	return err
}

// page returns what measures pages at such paths, of which each call may have another one.
func page(path func(s *side, i int) string) func(*side, context.Context, int, string) error {
	return func(s *side, ctx context.Context, callers int, name string) error {
		_, err := s.rate(ctx, name, func() (outcome, error) {
			return load(ctx, s.api(), callers, 200, forSome(s.period, func(caller, i int) request {
				return request{method: "GET", path: path(s, caller*7919+i)}
			}))
		})
		return err
	}
}

// backlog measures writes that are accepted while the worker is stopped, and then how fast it
// drains what has gathered.
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

// durable measures writes while the worker runs: how fast they are accepted, and from the
// first request until the last of them is applied.
func (s *side) durable(ctx context.Context, callers int, name string) error {
	batches, err := s.batches(ctx)
	if err != nil {
		return err
	}
	if _, err := s.rate(ctx, name, func() (outcome, error) {
		started := time.Now()
		o, err := s.write(ctx, callers, s.writes*callers/128)
		s.speed.add("accepted writes, worker running, "+with(callers), "/s", sample{value: o.rate()})
		return outcome{calls: o.calls, took: time.Since(started)}, err
	}); err != nil {
		return err
	}
	return batches(callers)
}
