package history

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Class is a kind of broken promise.
type Class string

// The classes of violations.
const (
	Lost    Class = "lost"    // an acknowledged write is not there
	Doubled Class = "doubled" // a call or an operation had two effects
	// a contact's versions are not 1, 2, 3 …, or its row is not the last of them
	Gap Class = "gap"
	// a write made a version no higher than one of an earlier write
	Reordered Class = "reordered"
	Guard     Class = "guard" // If-Match let the wrong version pass
	// a read is older than what a caller was told before it was asked for
	Stale    Class = "stale"
	Returned Class = "returned" // what was deleted came back
	// an effect, or a read, of something that was not written, or that was refused
	Phantom Class = "phantom"
	Refused Class = "refused" // a write was refused without a reason
	Cache   Class = "cache"   // Redis disagrees with the database
	// a 202 without an end, or with another end than the operation's
	Unended Class = "unended"
	// the service failed: a 5xx that is not 503, or a command that was set aside
	Failed      Class = "failed"
	Unavailable Class = "unavailable" // callers noticed more of an outage than they have to
)

// Violation is one broken promise.
type Violation struct {
	Class   Class
	Contact string
	Call    int // the one that shows it; 0: none does
	// index of the event that shows it; the number of events where only the final state does
	At      int
	Message string
}

// Check returns all violations, in the order in which they showed.
func Check(events []Event, final Final) []Violation {
	c := checker{
		events: events, final: final, calls: map[int]*call{}, told: map[string]int64{}, deletes: map[string]int{},
		changes: map[string][]Change{}, deletions: map[string]int64{}, made: map[int]Change{}, accepted: map[string][]int{},
	}
	if final.Parked > 0 {
		c.report(Failed, "", 0, len(events), "%d commands were set aside", final.Parked)
	}
	c.sortChanges()
	c.replay()
	c.checkChanges()
	c.checkAcceptance()
	c.checkOperations()
	c.checkEnds()
	c.checkCopies()
	slices.SortStableFunc(c.found, func(a, b Violation) int { return cmp.Compare(a.At, b.At) })
	return c.found
}

// Tag is what a write leaves in the contact, so that its effect is known for its own.
func Tag(call int) string { return "w" + strconv.Itoa(call) }

// callOf returns the call whose tag is in the document; 0 where none is.
func callOf(document Document) int {
	call, err := strconv.Atoi(strings.TrimPrefix(document[Last], "w"))
	if err != nil {
		return 0
	}
	return call
}

// call is a request with its retries.
type call struct {
	Event     // its Invoke; Contact is filled in once a create has been answered
	at    int // index of the Invoke
	// the highest version of the contact that a caller had been told when it was invoked
	floor  int64
	behind int    // how many writes of the contact had been accepted when it was invoked
	op     string // of a 202
	taken  int    // index of the 202; 0: none
	end    *Event // nil: none
	endAt  int
}

type checker struct {
	events []Event
	final  Final
	found  []Violation

	calls   map[int]*call
	told    map[string]int64 // by contact: the highest version that a caller has been told so far
	deletes map[string]int   // by contact: when a deletion was first asked for
	// By contact: the calls that were answered 202, in the order of these answers.
	accepted map[string][]int

	changes   map[string][]Change // by contact, in the order of the versions
	deletions map[string]int64    // by contact: the version that deleted it
	made      map[int]Change      // by call: its effect; deletions carry no tag and are not here
}

func (c *checker) report(class Class, contact string, call, at int, format string, args ...any) {
	c.found = append(c.found, Violation{class, contact, call, at, fmt.Sprintf(format, args...)})
}

// sortChanges looks at the effects by themselves: whose they are, and whether a call had two.
func (c *checker) sortChanges() {
	operations := map[string]Change{}
	for _, change := range c.final.Changes {
		c.changes[change.Contact] = append(c.changes[change.Contact], change)
		if other, twice := operations[change.Operation]; twice {
			c.report(Doubled, change.Contact, callOf(change.Document), len(c.events), "operation %s made version %d of %s and version %d of %s",
				change.Operation, other.Version, other.Contact, change.Version, change.Contact)
		}
		operations[change.Operation] = change
		if change.Document == nil {
			c.deletions[change.Contact] = change.Version
			continue
		}
		call := callOf(change.Document)
		if other, twice := c.made[call]; twice {
			c.report(Doubled, change.Contact, call, len(c.events), "the call made version %d of %s and version %d of %s",
				other.Version, other.Contact, change.Version, change.Contact)
			continue
		}
		c.made[call] = change
	}
	for _, changes := range c.changes {
		slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Version, b.Version) })
	}
}

// replay goes through the history in its order, with what callers had been told at each
// moment.
func (c *checker) replay() {
	for i, event := range c.events {
		if event.Type == Invoke {
			c.calls[event.Call] = &call{
				Event: event, at: i, floor: c.told[event.Contact], behind: len(c.accepted[event.Contact]),
			}
			if _, asked := c.deletes[event.Contact]; event.Kind == Delete && !asked {
				c.deletes[event.Contact] = i
			}
			continue
		}
		call := c.calls[event.Call]
		if call == nil {
			continue // a fault
		}
		switch event.Type {
		case Accepted:
			call.op, call.taken = event.Operation, i
			if call.Kind != Create { // what is not yet there cannot be written
				c.accepted[call.Contact] = append(c.accepted[call.Contact], event.Call)
			}
		case OK, Fail, Unknown:
			call.end, call.endAt = &event, i
			call.Contact = cmp.Or(call.Contact, event.Contact)
		case Repeat:
			c.checkRepeat(call, event, i)
		case Reuse:
			c.checkReuse(call, event, i)
		}
		if event.Status >= 500 && event.Status != 503 {
			c.report(Failed, call.Contact, event.Call, i, "answered %d %s", event.Status, event.Problem)
		}
		version := event.Version
		switch {
		case event.Type == Fail:
			c.checkRefusal(call)
		case event.Type != OK:
			continue
		case call.Kind == Read:
			version = c.checkRead(call)
		default:
			version = c.checkWrite(call)
		}
		c.told[call.Contact] = max(c.told[call.Contact], version)
	}
}

// checkWrite looks for an acknowledged write's effect, and returns its version.
func (c *checker) checkWrite(call *call) int64 {
	contact, version := call.Contact, call.end.Version
	if call.Kind == Delete {
		// The answer to a deletion names no version, but the operation of a 202 does.
		version = c.deletions[contact]
		if version == 0 || call.end.Version > 0 && call.end.Version != version {
			c.report(Lost, contact, call.Call, call.endAt, "the deletion was acknowledged, and the contact was not deleted by it")
		}
	} else if effect, found := c.made[call.Call]; !found {
		c.report(Lost, contact, call.Call, call.endAt, "acknowledged as version %d, and in no version", version)
	} else if effect.Contact != contact || effect.Version != version {
		c.report(Lost, contact, call.Call, call.endAt, "acknowledged as version %d, and is version %d of %s", version, effect.Version, effect.Contact)
	} else if call.end.Document != nil && !maps.Equal(call.end.Document, effect.Document) {
		c.report(Phantom, contact, call.Call, call.endAt, "the answer shows %v, and version %d is %v", call.end.Document, version, effect.Document)
	}
	if call.IfMatch > 0 && version != call.IfMatch+1 {
		c.report(Guard, contact, call.Call, call.endAt, "made version %d although it was to change version %d only", version, call.IfMatch)
	}
	if version > 0 && version <= call.floor {
		c.report(Reordered, contact, call.Call, call.endAt, "made version %d, although version %d had been told before it was asked for", version, call.floor)
	}
	return version
}

// checkRead compares what was read with what the readers knew, and returns its version.
func (c *checker) checkRead(call *call) int64 {
	contact, version := call.Contact, call.end.Version
	deletion := c.deletions[contact]
	if !call.end.Found {
		if deletion == 0 || !c.deletedBefore(contact, call.endAt) {
			c.report(Stale, contact, call.Call, call.endAt, "found nothing, although version %d had been told and was not deleted", call.floor)
		}
		return deletion
	}
	switch i, found := c.find(contact, version); {
	case !found:
		c.report(Phantom, contact, call.Call, call.endAt, "found version %d, which does not exist", version)
	case !maps.Equal(call.end.Document, c.changes[contact][i].Document):
		c.report(Phantom, contact, call.Call, call.endAt, "found %v as version %d, which is %v", call.end.Document, version, c.changes[contact][i].Document)
	}
	switch {
	case version >= call.floor:
	case call.floor == deletion:
		c.report(Returned, contact, call.Call, call.endAt, "found version %d, although its deletion by version %d had been told before", version, deletion)
	default:
		c.report(Stale, contact, call.Call, call.endAt, "found version %d, although version %d had been told before", version, call.floor)
	}
	return version
}

// checkRefusal asks whether a write that was refused could be refused, and had no effect.
func (c *checker) checkRefusal(call *call) {
	contact := call.Contact
	if effect, found := c.made[call.Call]; found {
		c.report(Phantom, effect.Contact, call.Call, call.endAt, "refused with %d, and made version %d", call.end.Status, effect.Version)
	}
	before := call.endAt
	if call.taken > 0 {
		before = call.taken // what was asked for after the 202 comes after it
	}
	switch status := call.end.Status; {
	case status == 404 && call.Kind != Create && c.deletions[contact] > 0 && c.deletedBefore(contact, before):
	case status == 412 && call.IfMatch > 0 && call.end.Version != call.IfMatch && call.end.Version >= call.floor:
	case status == 503: // not taken, and said so
	default:
		c.report(Refused, contact, call.Call, call.endAt, "refused with %d %s, for which there was no reason", status, call.end.Problem)
	}
}

// checkRepeat asks whether a write that was sent again after its end was answered as it had
// been.
func (c *checker) checkRepeat(call *call, again Event, at int) {
	switch status := again.Status; {
	case status == 0 || status >= 500: // nothing was said of the write
	case status >= 300:
		c.report(Refused, call.Contact, call.Call, at, "done, and refused with %d %s when it was sent again", status, again.Problem)
	case status == 202:
		c.checkSameOperation(call, again, at)
	case call.Kind == Delete: // the answer names nothing
	case again.Contact != call.Contact || again.Version != call.end.Version:
		c.report(Doubled, call.Contact, call.Call, at, "done as version %d, and version %d of %s when it was sent again",
			call.end.Version, again.Version, again.Contact)
	default:
		effect, found := c.made[call.Call]
		if found && again.Document != nil && !maps.Equal(again.Document, effect.Document) {
			c.report(Phantom, call.Contact, call.Call, at, "the answer to the repeat shows %v, and version %d is %v",
				again.Document, effect.Version, effect.Document)
		}
	}
}

// checkReuse asks whether another payload under a call's key was refused.
func (c *checker) checkReuse(call *call, other Event, at int) {
	switch status := other.Status; {
	case status == 0 || status >= 500: // nothing was said of the payload
	case status == 422 && other.Problem == "idempotency-key-reused":
	case status >= 300:
		c.report(Refused, call.Contact, call.Call, at, "another payload under its key was refused with %d %s", status, other.Problem)
	// the record of the payload could not be asked for; the operation is still the one of the
	// key
	case status == 202:
		c.checkSameOperation(call, other, at)
	default:
		c.report(Doubled, call.Contact, call.Call, at, "another payload under its key was answered %d, version %d of %s",
			status, other.Version, other.Contact)
	}
}

// checkSameOperation asks whether a 202 names the operation that the call's key stands for, as
// far as that is known.
func (c *checker) checkSameOperation(call *call, accepted Event, at int) {
	operation := cmp.Or(call.op, c.made[call.Call].Operation)
	if call.Kind == Delete {
		if i, found := c.find(call.Contact, c.deletions[call.Contact]); found {
			operation = cmp.Or(call.op, c.changes[call.Contact][i].Operation)
		}
	}
	if operation != "" && accepted.Operation != operation {
		c.report(Doubled, call.Contact, call.Call, at, "its key stands for operation %s, and for %s when it was used again",
			operation, accepted.Operation)
	}
}

func (c *checker) deletedBefore(contact string, at int) bool {
	asked, found := c.deletes[contact]
	return found && asked < at
}

// find returns the index of a contact's version among its changes.
func (c *checker) find(contact string, version int64) (int, bool) {
	return slices.BinarySearchFunc(c.changes[contact], version, func(change Change, version int64) int {
		return cmp.Compare(change.Version, version)
	})
}
