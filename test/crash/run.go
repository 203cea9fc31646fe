package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"contacts/test/crash/history"
	"contacts/test/system"
)

// Options say how hard a run tries.
type Options struct {
	Mode  system.Mode
	Kills int // how many kills; terminations and freezes come in addition
	// how many writes are to be acknowledged; 0: the duration alone ends the load
	Writes   int
	Duration time.Duration // ends the load even if there were fewer writes; 0: no limit
	Seed     uint64        // draws the faults and what callers do
	Script   string        // faults that are told instead of drawn; see [readScript]
	// negative control: what a binary built for that fails in, see cmd/sabotage.go; "":
	// nothing
	Sabotage string
}

// settleLimit is how long everything may take to come to rest after the last fault.
const settleLimit = 2 * time.Minute

// Run makes one run. Its files, among them the history and the logs of the service, are in
// folder, which is to be empty. The error says that the run did not come to its end; what it
// found is in the report.
func Run(ctx context.Context, options Options, folder string) (report Report, err error) {
	if options.Mode != system.Production && options.Mode != system.Embedded {
		return report, fmt.Errorf("mode %q: expected %s or %s", options.Mode, system.Production, system.Embedded)
	}
	if options.Writes <= 0 && options.Duration <= 0 {
		return report, errors.New("expected a number of writes or a duration, which would end the run")
	}
	subject, err := system.Start(ctx, system.Options{
		Mode: options.Mode, Folder: folder, Sabotage: options.Sabotage, Replicas: 2, Workers: 2,
		// Short enough that a frozen worker's messages go to the other one.
		Env: []string{"CONTACTS_QUEUE_VISIBILITY=4s", "CONTACTS_QUEUE_POLL_WAIT=1s"},
	})
	defer func() { err = errors.Join(err, subject.Stop()) }()
	if err != nil {
		return report, err
	}
	path := filepath.Join(folder, "history.ndjson")
	report = Report{Options: options}
	if err := report.drive(ctx, subject, path); err != nil {
		return report, err
	}
	if report.Events, err = history.Load(path); err != nil {
		return report, err
	}
	held, err := final(ctx, subject)
	if err != nil {
		return report, err
	}
	report.judge(held)
	return report, nil
}

// drive runs callers and faults side by side, until there was enough of both, and lets
// everything settle.
func (r *Report) drive(ctx context.Context, subject *system.System, path string) (err error) {
	log, err := history.NewLog(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	faults := schedule(r.Options.Seed, r.Options.Kills, subject.Targets)
	if r.Options.Script != "" {
		if faults, err = readScript(r.Options.Script, subject.Targets); err != nil {
			return err
		}
	}
	load := &load{system: subject, log: log, seed: r.Options.Seed, polls: map[int]int{}}
	breaker := &breaker{system: subject, log: log, counts: map[string]int{}}
	meter := newMeter(subject)
	started := time.Now()
	progress := func() float64 {
		var part float64
		if r.Options.Writes > 0 {
			part = float64(load.writes.Load()) / float64(r.Options.Writes)
		}
		if r.Options.Duration > 0 {
			part = max(part, float64(time.Since(started))/float64(r.Options.Duration))
		}
		return part
	}
	broken := make(chan struct{}) // closed when the last fault is over
	group, groupCtx := errgroup.WithContext(ctx)
	settling, cancel := context.WithCancel(groupCtx)
	defer cancel()
	metering, stopMeter := context.WithCancel(ctx)
	metered := make(chan struct{})
	go func() { defer close(metered); meter.run(metering) }()
	group.Go(func() error {
		defer close(broken)
		err := breaker.run(groupCtx, faults, progress)
		time.AfterFunc(settleLimit, cancel) // calls without an end by then have none
		return err
	})
	group.Go(func() error {
		return load.run(settling, func() bool {
			select {
			case <-broken:
				return progress() >= 1
			default:
				return false
			}
		})
	})
	err = group.Wait()
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, settleLimit)
		if err = subject.AwaitQuiet(ctx); err == nil {
			err = subject.CheckDeadLetters(ctx)
		}
		cancel()
	}
	stopMeter()
	<-metered
	r.Took, r.Faults, r.SlowestStop, r.Tries = time.Since(started), breaker.counts, breaker.slowest, meter.totals
	r.Polls = load.polls
	return err
}
