package history

import (
	"fmt"
	"strings"
	"time"
)

// GaveUp is the problem of a call whose caller waited no longer. Any other that was not
// answered was cut off.
const GaveUp = "gave up"

// endLimit is how long the writes of an outage of PostgreSQL may take to end after its return.
const endLimit = time.Minute

// Outage is the time for which one target was broken.
type Outage struct {
	Target   string
	Broken   int  // index of the event from which on it was
	Repaired int  // index of the event by which it worked again
	Alone    bool // whether nothing else was broken meanwhile
}

// Outages returns the outages that have an end, in the order of their ends.
func Outages(events []Event) []Outage {
	var outages []Outage
	running := map[string]*Outage{} // by target
	for i, event := range events {
		if event.Type != Fault {
			continue
		}
		what, target, _ := strings.Cut(event.Note, " ")
		outage := running[target]
		switch {
		case what == "kill" || what == "terminate" || what == "freeze":
			running[target] = &Outage{Target: target, Broken: i, Alone: len(running) == 0}
			for _, other := range running {
				other.Alone = other.Alone && len(running) == 1
			}
		case outage == nil: // the history does not say how it began
		case what == "broken":
			outage.Broken = i
		case what == "repaired":
			outage.Repaired = i
			outages = append(outages, *outage)
			delete(running, target)
		}
	}
	return outages
}

// CheckOutages returns what callers should not have noticed of the outages of PostgreSQL and
// of Redis, in the order of the outages. Those that overlap others are left out: what their
// callers noticed may have been the others.
//
// While PostgreSQL is away writes are accepted, or not taken, which is a 503, and soon after
// its return all have ended. While Redis is away nothing is refused for it. What [Check] finds
// anyway, such as a refusal without a reason, is not looked for again.
func CheckOutages(events []Event) []Violation {
	var found []Violation
	for _, outage := range Outages(events) {
		if !outage.Alone {
			continue
		}
		switch outage.Target {
		case "postgres":
			found = append(found, checkAnswers(events, outage, 503)...)
			found = append(found, checkDelays(events, outage)...)
		case "redis":
			found = append(found, checkAnswers(events, outage, 0)...)
		}
	}
	return found
}

// checkAnswers looks for calls of an outage that were cut off, or answered with a failure
// other than the allowed one.
func checkAnswers(events []Event, outage Outage, allowed int) []Violation {
	var found []Violation
	calls := outage.Calls(events)
	for i, event := range events {
		call, began := calls[event.Call]
		if !began || event.Type == Invoke {
			continue
		}
		switch {
		case event.Status >= 500 && event.Status != allowed:
			found = append(found, outage.violation(call, i, "a %s was answered %d %s", call.Kind, event.Status, event.Problem))
		case event.Status == 0 && (event.Type == Retry || event.Type == Unknown) && event.Problem != GaveUp:
			found = append(found, outage.violation(call, i, "a %s was cut off", call.Kind))
		}
	}
	return found
}

// checkDelays looks for writes of an outage that ended too long after it, or not at all.
func checkDelays(events []Event, outage Outage) []Violation {
	var found []Violation
	unended := outage.Calls(events)
	limit := events[outage.Repaired].At + endLimit
	for i, event := range events {
		call, began := unended[event.Call]
		if !began || event.Type != OK && event.Type != Fail && event.Type != Unknown {
			continue
		}
		delete(unended, event.Call)
		if call.Kind != Read && event.At > limit {
			found = append(found, outage.violation(call, i, "a %s ended %s too late after its return", call.Kind,
				(event.At-limit).Round(time.Millisecond)))
		}
	}
	for _, event := range events[outage.Broken:outage.Repaired] {
		if call, began := unended[event.Call]; began && event.Type == Invoke && call.Kind != Read {
			found = append(found, outage.violation(call, len(events), "a %s has no end", call.Kind))
		}
	}
	return found
}

// Calls returns the calls that began in the outage, each with its Invoke.
func (o Outage) Calls(events []Event) map[int]Event {
	calls := map[int]Event{}
	for _, event := range events[o.Broken:o.Repaired] {
		if event.Type == Invoke {
			calls[event.Call] = event
		}
	}
	return calls
}

func (o Outage) violation(call Event, at int, format string, args ...any) Violation {
	return Violation{Unavailable, call.Contact, call.Call, at, "without " + o.Target + " " + fmt.Sprintf(format, args...)}
}
