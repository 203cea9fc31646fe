package history_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/test/crash/history"
)

// outage is a history in which target is broken while call 2 is a write and call 3 a read,
// which began and ended in it; call 1 began before it, and call 4 after it.
func outage(target string, during ...history.Event) []history.Event {
	fault := func(what string) history.Event {
		return history.Event{Type: history.Fault, Note: what + " " + target, At: 2 * time.Second}
	}
	events := []history.Event{
		{Type: history.Invoke, Call: 1, Kind: history.Patch, Contact: "c1"},
		fault("kill"), fault("broken"),
		{Type: history.Invoke, Call: 2, Kind: history.Patch, Contact: "c1"},
		{Type: history.Invoke, Call: 3, Kind: history.Read, Contact: "c1"},
	}
	events = append(events, during...)
	events = append(events, fault("restart"), fault("repaired"))
	for i := len(events) - 2; i < len(events); i++ {
		events[i].At = 32 * time.Second
	}
	return append(events, history.Event{Type: history.Invoke, Call: 4, Kind: history.Patch, Contact: "c1"})
}

func TestOutages_SaysWhichAreAlone(t *testing.T) {
	note := func(what string) history.Event { return history.Event{Type: history.Fault, Note: what} }
	require.Equal(t, []history.Outage{
		{Target: "redis", Broken: 1, Repaired: 3, Alone: true},
		{Target: "serve-0", Broken: 6, Repaired: 9},
		{Target: "postgres", Broken: 7, Repaired: 11},
		{Target: "redis", Broken: 12, Repaired: 13, Alone: true},
	}, history.Outages([]history.Event{
		// 0 to 3
		note("freeze redis"), note("broken redis"), note("thaw redis"), note("repaired redis"),
		// 4 to 7
		note("kill serve-0"), note("freeze postgres"), note("broken serve-0"), note("broken postgres"),
		// 8 to 11
		note("restart serve-0"), note("repaired serve-0"), note("thaw postgres"), note("repaired postgres"),
		// 12 to 15
		note("terminate redis"), note("repaired redis"), note("kill worker-0"), note("repaired nobody"),
	}))
}

func TestCheckOutages_WhatMayBe(t *testing.T) {
	ok := history.Event{Type: history.OK, Call: 2, Status: 200}
	read := history.Event{Type: history.OK, Call: 3, Status: 200}
	late := func(after time.Duration) history.Event {
		return history.Event{Type: history.OK, Call: 2, At: 32*time.Second + after}
	}
	for name, events := range map[string][]history.Event{
		"Redis is not missed":           outage("redis", ok, read),
		"a caller gives up":             outage("redis", history.Event{Type: history.Unknown, Call: 2, Problem: history.GaveUp}, read),
		"a call of before fails":        outage("redis", history.Event{Type: history.Fail, Call: 1, Status: 503}, ok, read),
		"a call of after fails":         append(outage("redis", ok, read), history.Event{Type: history.Fail, Call: 4, Status: 503}),
		"a write is not taken":          outage("postgres", history.Event{Type: history.Fail, Call: 2, Status: 503}, read),
		"a read is not possible":        outage("postgres", ok, history.Event{Type: history.Fail, Call: 3, Status: 503}),
		"a write ends after its return": append(outage("postgres", history.Event{Type: history.Accepted, Call: 2, Status: 202}), late(time.Minute)),
		"a write of after ends much later": append(outage("postgres", ok, read),
			history.Event{Type: history.OK, Call: 4, At: time.Hour}),
		"a read has no end":  outage("postgres", ok),
		"a write is refused": outage("postgres", history.Event{Type: history.Fail, Call: 2, Status: 412}, read),
		"another target":     outage("sqs", history.Event{Type: history.Fail, Call: 2, Status: 500}, read),
	} {
		t.Run(name, func(t *testing.T) { require.Empty(t, history.CheckOutages(events)) })
	}
	// What else was broken may have been what the caller noticed.
	require.Empty(t, history.CheckOutages(outage("redis", history.Event{Type: history.Fault, Note: "kill serve-0"},
		history.Event{Type: history.Unknown, Call: 2, Problem: "no answer"}, read)))
}

func TestCheckOutages_WhatMayNotBe(t *testing.T) {
	ok := history.Event{Type: history.OK, Call: 2, Status: 200}
	read := history.Event{Type: history.OK, Call: 3, Status: 200}
	for name, c := range map[string]struct {
		events []history.Event
		at     int
	}{
		"a write is not taken without Redis": {outage("redis", history.Event{Type: history.Fail, Call: 2, Status: 503}, read), 5},
		"a read is not possible without it":  {outage("redis", ok, history.Event{Type: history.Fail, Call: 3, Status: 503}), 6},
		"a write is sent again for a 503":    {outage("redis", history.Event{Type: history.Retry, Call: 2, Status: 503}, ok, read), 5},
		"a write fails":                      {outage("postgres", history.Event{Type: history.Unknown, Call: 2, Status: 500}, read), 5},
		"a read fails":                       {outage("postgres", ok, history.Event{Type: history.Unknown, Call: 3, Status: 504}), 6},
		"a repeat fails":                     {outage("postgres", ok, history.Event{Type: history.Repeat, Call: 2, Status: 500}), 6},
		"a write is cut off":                 {outage("postgres", history.Event{Type: history.Unknown, Call: 2, Problem: "no answer"}), 5},
		"a write is cut off and sent again":  {outage("redis", history.Event{Type: history.Retry, Call: 2, Problem: "no answer"}, ok), 5},
		"a write has no end":                 {outage("postgres", history.Event{Type: history.Accepted, Call: 2, Status: 202}), 9},
		"a write ends long after its return": {
			append(outage("postgres", read), history.Event{Type: history.OK, Call: 2, At: 93 * time.Second}), 9,
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := history.CheckOutages(c.events)
			require.Len(t, found, 1)
			require.Equal(t, history.Unavailable, found[0].Class)
			require.Equal(t, c.at, found[0].At, found)
		})
	}
}
