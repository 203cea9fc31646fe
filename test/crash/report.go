package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"contacts/test/crash/history"
	"contacts/test/system"
)

// Report is what a run did and found.
type Report struct {
	Options     Options
	Took        time.Duration
	Faults      map[string]int // by kind and kind of target
	SlowestStop time.Duration  // from a SIGTERM to the process's end
	// of commands by the workers, by result, as far as it was seen before they were killed
	Tries map[string]float64
	// questions for the end of an accepted write that were not answered with 200, by status
	Polls      map[int]int
	Operations int // rows
	Changes    int // rows
	Events     []history.Event
	Violations []history.Violation
}

// stopLimit is how long a process may take to end after a SIGTERM.
const stopLimit = 20 * time.Second

// judge finds the violations, by what the service holds in the end.
func (r *Report) judge(held history.Final) {
	r.Operations, r.Changes = len(held.Operations), len(held.Changes)
	r.Violations = history.Check(r.Events, held)
	if r.Options.Script != "" { // drawn faults overlap, and callers notice one or the other
		r.Violations = append(r.Violations, history.CheckOutages(r.Events)...)
		slices.SortStableFunc(r.Violations, func(a, b history.Violation) int { return cmp.Compare(a.At, b.At) })
	}
	failed := func(format string, args ...any) {
		r.Violations = append(r.Violations, history.Violation{
			Class: history.Failed, At: len(r.Events), Message: fmt.Sprintf(format, args...),
		})
	}
	if r.SlowestStop > stopLimit {
		failed("a process took %s to end after a SIGTERM, and not %s", r.SlowestStop.Round(time.Millisecond), stopLimit)
	}
	for _, status := range slices.Sorted(maps.Keys(r.Polls)) {
		// A note of a pending operation may be lost with a Redis that starts empty: these are
		// counted, and no violation.
		if status != http.StatusNotFound && status != http.StatusServiceUnavailable {
			failed("%d questions for the end of an accepted write were answered %d", r.Polls[status], status)
		}
	}
}

// Print writes the counts and the first violation with its history. It returns an error if
// there is a violation.
func (r Report) Print(w io.Writer) error {
	o := r.Options
	fmt.Fprintf(w, "%s, seed %d, %s\n", o.Mode, o.Seed, r.Took.Round(time.Second))
	printCounts(w, "faults", r.Faults)
	fmt.Fprintf(w, "  slowest stop      %s after a SIGTERM\n", r.SlowestStop.Round(time.Millisecond))
	counted := r.countCalls()
	for _, kind := range []history.Kind{history.Create, history.Patch, history.Replace, history.Delete, history.Read} {
		printCounts(w, string(kind), counted.calls[kind])
	}
	printCounts(w, "answers", counted.answers)
	printCounts(w, "retries", counted.retries)
	printCounts(w, "repeats", counted.repeats)
	printCounts(w, "keys reused", counted.reuses)
	missing, unavailable := r.Polls[http.StatusNotFound], r.Polls[http.StatusServiceUnavailable]
	fmt.Fprintf(w, "  %-17s %d 404, %d 503\n", "operation polls", missing, unavailable)
	tries := map[string]int{}
	for result, n := range r.Tries {
		tries[result] = int(n)
	}
	printCounts(w, "tries by workers", tries)
	fmt.Fprintf(w, "  %-17s %d operations, %d versions\n", "rows", r.Operations, r.Changes)
	if r.Options.Mode == system.Production {
		fmt.Fprintf(w, "  %-17s none\n", "dead letters") // or there would be no report
	}
	if r.Options.Script != "" {
		r.printOutages(w)
	}
	if len(r.Violations) == 0 {
		fmt.Fprintln(w, "  violations        none: 0 lost, 0 doubled, 0 reordered, 0 stale")
		return nil
	}
	classes := map[string]int{}
	for _, violation := range r.Violations {
		classes[string(violation.Class)]++
	}
	printCounts(w, "VIOLATIONS", classes)
	first := r.Violations[0]
	fmt.Fprintf(w, "the first: %s: contact %s, call %d: %s\n", first.Class, first.Contact, first.Call, first.Message)
	if err := history.Excerpt(w, r.Events, first); err != nil {
		return err
	}
	return fmt.Errorf("%d violations", len(r.Violations))
}

// printOutages says, for each fault that has an end, how the calls were answered that began
// while it lasted, and when the last of these writes ended.
func (r Report) printOutages(w io.Writer) {
	for _, outage := range history.Outages(r.Events) {
		answers, last := r.answers(outage)
		printCounts(w, "without "+outage.Target, answers)
		after := max(0, last-r.Events[outage.Repaired].At).Round(time.Millisecond)
		fmt.Fprintf(w, "  %-17s %s after it was back\n", "the last ended", after)
	}
}

// answers counts how the calls of an outage were answered first, and says when the last of the
// writes ended.
func (r Report) answers(outage history.Outage) (counts map[string]int, last time.Duration) {
	calls, answered := outage.Calls(r.Events), map[int]bool{}
	counts = map[string]int{}
	for _, event := range r.Events {
		call, counted := calls[event.Call]
		if !counted || event.Type == history.Invoke {
			continue
		}
		what := "write"
		if call.Kind == history.Read {
			what = "read"
		}
		if !answered[event.Call] {
			answered[event.Call] = true
			counts[strings.TrimSpace(fmt.Sprintf("%s %s %s", what, cmp.Or(status(event), "-"), event.Problem))]++
		}
		if what == "write" && (event.Type == history.OK || event.Type == history.Fail || event.Type == history.Unknown) {
			last = max(last, event.At)
		}
	}
	return counts, last
}

// tally is what callers did and were told.
type tally struct {
	calls   map[history.Kind]map[string]int // by kind and end
	answers map[string]int                  // that ended no call
	retries map[string]int                  // by their reason
	repeats map[string]int                  // of writes that were done, by what they were answered
	// of these writes' keys for another payload, by what they were answered
	reuses map[string]int
}

func (r Report) countCalls() tally {
	kinds, calls := map[int]history.Kind{}, map[history.Kind]map[string]int{}
	c := tally{calls, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}}
	for _, event := range r.Events {
		why := strings.TrimSpace(fmt.Sprintf("%s %s", status(event), event.Problem))
		switch event.Type {
		case history.Invoke:
			kinds[event.Call] = event.Kind
			if calls[event.Kind] == nil {
				calls[event.Kind] = map[string]int{}
			}
			calls[event.Kind]["asked"]++
		case history.OK:
			outcome := "ok"
			if kinds[event.Call] == history.Read && !event.Found {
				outcome = "not found"
			}
			calls[kinds[event.Call]][outcome]++
		case history.Fail, history.Unknown:
			calls[kinds[event.Call]][strings.TrimSpace(string(event.Type)+" "+why)]++
		case history.Accepted:
			c.answers["202"]++
		case history.Retry:
			c.retries[why]++
		case history.Repeat:
			c.repeats[why]++
		case history.Reuse:
			c.reuses[why]++
		}
	}
	return c
}

func status(event history.Event) string {
	if event.Status == 0 {
		return ""
	}
	return fmt.Sprint(event.Status)
}

func printCounts(w io.Writer, name string, counts map[string]int) {
	parts := make([]string, 0, len(counts))
	for _, key := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	}) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[key], key))
	}
	if len(parts) == 0 {
		parts = []string{"none"}
	}
	fmt.Fprintf(w, "  %-17s %s\n", name, strings.Join(parts, ", "))
}

// meter adds up what processes count, which they forget when they are killed.
type meter struct {
	system *system.System
	last   map[string]float64 // by process and result
	totals map[string]float64
}

func newMeter(s *system.System) *meter {
	return &meter{system: s, last: map[string]float64{}, totals: map[string]float64{}}
}

// run looks twice a second until ctx ends.
func (m *meter) run(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, t := range m.system.Targets {
			if t.Admin != "" {
				m.look(ctx, t)
			}
		}
	}
}

func (m *meter) look(ctx context.Context, t *system.Target) {
	ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	values, err := m.system.Metrics(ctx, t)
	if err != nil {
		return // it is down
	}
	for name, value := range values {
		result, isTries := strings.CutPrefix(name, `contacts_commands_total{result="`)
		if !isTries {
			continue
		}
		result = strings.TrimSuffix(result, `"}`)
		more := value - m.last[t.Name+result]
		if more < 0 { // another process than before
			more = value
		}
		m.last[t.Name+result] = value
		m.totals[result] += more
	}
}
