package history_test

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/test/crash/history"
)

// story is a hand-made history with its final state.
type story struct {
	events []history.Event
	final  history.Final
}

// sound is a story without a fault: c1 is created by call 1, patched by 2 (accepted with 202),
// read by 3 and 4, and deleted by 5; c2 is created by call 6, and 7 to 9 are writes of it that
// are refused or stay unknown.
func sound() *story {
	v1 := history.Document{"last": "w1", "a": "w1"}
	v2 := history.Document{"last": "w2", "a": "w1", "b": "w2"}
	other := history.Document{"last": "w6", "a": "w6"}
	return &story{
		events: []history.Event{
			// 0
			{Type: history.Invoke, Call: 1, Kind: history.Create, Slot: "a", Key: "k"},
			// 1
			{Type: history.Retry, Call: 1, Problem: "no answer"},
			// 2
			{Type: history.OK, Call: 1, Contact: "c1", Version: 1, Document: v1},
			// 3
			{Type: history.Invoke, Call: 2, Kind: history.Patch, Contact: "c1", Slot: "b", IfMatch: 1},
			// 4
			{Type: history.Accepted, Call: 2, Operation: "o2"},
			// 5
			{Type: history.Fault, Note: "kill serve-0"},
			// 6
			{Type: history.OK, Call: 2, Contact: "c1", Version: 2},
			// 7
			{Type: history.Invoke, Call: 3, Kind: history.Read, Contact: "c1"},
			// 8
			{Type: history.OK, Call: 3, Contact: "c1", Version: 2, Found: true, Document: v2},
			// 9
			{Type: history.Invoke, Call: 5, Kind: history.Delete, Contact: "c1"},
			// 10
			{Type: history.OK, Call: 5},
			// 11
			{Type: history.Invoke, Call: 4, Kind: history.Read, Contact: "c1"},
			// 12
			{Type: history.OK, Call: 4},
			// 13
			{Type: history.Invoke, Call: 6, Kind: history.Create, Slot: "a"},
			// 14
			{Type: history.OK, Call: 6, Contact: "c2", Version: 1, Document: other},
			// 15
			{Type: history.Invoke, Call: 7, Kind: history.Patch, Contact: "c2", Slot: "a", IfMatch: 3},
			// 16
			{Type: history.Fail, Call: 7, Status: 412, Problem: "stale-version", Version: 1},
			// 17
			{Type: history.Invoke, Call: 8, Kind: history.Replace, Contact: "c2", Slot: "a"},
			// 18
			{Type: history.Unknown, Call: 8, Problem: "no answer"},
			// 19
			{Type: history.Invoke, Call: 9, Kind: history.Patch, Contact: "c1", Slot: "a"},
			// 20
			{Type: history.Fail, Call: 9, Status: 404},
			// 21
			{Type: history.Invoke, Call: 10, Kind: history.Patch, Contact: "c2", Slot: "a"},
			// 22
			{Type: history.Fail, Call: 10, Status: 503, Problem: "unavailable"},
			// 23
			{Type: history.Invoke, Call: 11, Kind: history.Read, Contact: "c2"},
			// 24
			{Type: history.OK, Call: 11, Contact: "c2", Version: 1, Found: true, Document: maps.Clone(other)},
		},
		final: history.Final{
			Contacts: map[string]history.Contact{
				"c1": {Version: 3, Deleted: true},
				"c2": {Version: 1, Document: maps.Clone(other)},
			},
			Changes: []history.Change{
				{Contact: "c1", Version: 1, Operation: "o1", Document: maps.Clone(v1)},
				{Contact: "c1", Version: 2, Operation: "o2", Document: maps.Clone(v2)},
				{Contact: "c1", Version: 3, Operation: "o5"},
				{Contact: "c2", Version: 1, Operation: "o6", Document: maps.Clone(other)},
			},
			Operations: map[string]history.Operation{
				"o1": {Kind: "create", Contact: "c1", Succeeded: true, Version: 1},
				"o2": {Kind: "merge", Contact: "c1", Succeeded: true, Version: 2},
				"o5": {Kind: "delete", Contact: "c1", Succeeded: true, Version: 3},
				"o6": {Kind: "create", Contact: "c2", Succeeded: true, Version: 1},
				"o7": {Kind: "merge", Contact: "c2", Problem: "stale-version"},
			},
			Cached: map[string]history.Cached{
				"c1": {Version: 3, State: "gone"},
				"c2": {Version: 1, State: "live", Document: maps.Clone(other)},
			},
			Served: []history.Served{
				{Replica: "serve-0", Contact: "c1"},
				{Replica: "serve-0", Contact: "c2", Version: 1, Document: maps.Clone(other)},
			},
		},
	}
}

// again adds a version of c2, as call number's effect.
func (s *story) again(version int64, operation string, document history.Document) {
	s.final.Changes = append(s.final.Changes, history.Change{Contact: "c2", Version: version, Operation: operation, Document: document})
	s.final.Operations[operation] = history.Operation{Contact: "c2", Succeeded: true, Version: version}
	s.final.Contacts["c2"] = history.Contact{Version: version, Document: document}
	s.final.Cached["c2"] = history.Cached{Version: version, State: "live", Document: document}
	s.final.Served[1] = history.Served{Replica: "serve-0", Contact: "c2", Version: version, Document: document}
}

func TestCheck_SoundHistory(t *testing.T) {
	s := sound()
	require.Empty(t, history.Check(s.events, s.final))
	// A write may be accepted and then fail, as its operation says.
	require.Empty(t, history.Check(slices.Insert(slices.Clone(s.events), 16,
		history.Event{Type: history.Accepted, Call: 7, Operation: "o7"}), s.final))
	// Creates may be accepted one after the other.
	accepted := func(call int, operation string) history.Event {
		return history.Event{Type: history.Accepted, Call: call, Operation: operation}
	}
	require.Empty(t, history.Check(slices.Concat(s.events[:1], []history.Event{accepted(1, "o1")}, s.events[1:14],
		[]history.Event{accepted(6, "o6")}, s.events[14:]), s.final))
	// What stayed unknown may have been done.
	s.again(2, "o8", history.Document{"last": "w8", "a": "w8"})
	require.Empty(t, history.Check(s.events, s.final))
}

// repeats is the sound story with what comes after the end of call 1, or of another one, under
// its key.
func repeats(events ...history.Event) *story {
	s := sound()
	for _, event := range events {
		event.Call = cmp.Or(event.Call, 1)
		s.events = append(s.events, event)
	}
	return s
}

func TestCheck_SoundRepeats(t *testing.T) {
	document := history.Document{"last": "w1", "a": "w1"}
	s := repeats(
		history.Event{Type: history.Repeat, Status: 201, Contact: "c1", Version: 1, Document: document},
		history.Event{Type: history.Repeat, Status: 202, Operation: "o1"},
		history.Event{Type: history.Repeat, Status: 503, Problem: "uncertain"},
		history.Event{Type: history.Repeat, Problem: "no answer"},
		history.Event{Type: history.Repeat, Call: 2, Status: 202, Operation: "o2"},
		history.Event{Type: history.Repeat, Call: 5, Status: 204},
		history.Event{Type: history.Repeat, Call: 5, Status: 202, Operation: "o5"},
		history.Event{Type: history.Reuse, Status: 422, Problem: "idempotency-key-reused"},
		history.Event{Type: history.Reuse, Status: 202, Operation: "o1"},
		history.Event{Type: history.Reuse, Status: 503, Problem: "unavailable"},
		history.Event{Type: history.Reuse, Problem: "no answer"},
	)
	require.Empty(t, history.Check(s.events, s.final))
}

func TestCheck_FindsAKeyThatIsForgotten(t *testing.T) {
	for name, c := range map[string]struct {
		event history.Event
		want  history.Class
	}{
		"a create makes another contact":  {history.Event{Type: history.Repeat, Status: 201, Contact: "c3", Version: 1}, history.Doubled},
		"a patch makes another version":   {history.Event{Type: history.Repeat, Call: 2, Status: 200, Contact: "c1", Version: 3}, history.Doubled},
		"a create is another operation":   {history.Event{Type: history.Repeat, Status: 202, Operation: "o9"}, history.Doubled},
		"a 202 is another operation":      {history.Event{Type: history.Repeat, Call: 2, Status: 202, Operation: "o9"}, history.Doubled},
		"a deletion is another operation": {history.Event{Type: history.Repeat, Call: 5, Status: 202, Operation: "o9"}, history.Doubled},
		"a deletion finds nothing left":   {history.Event{Type: history.Repeat, Call: 5, Status: 404, Problem: "not-found"}, history.Refused},
		"a patch meets its own version":   {history.Event{Type: history.Repeat, Call: 2, Status: 412, Version: 2}, history.Refused},
		"the service fails":               {history.Event{Type: history.Repeat, Status: 500, Problem: "internal"}, history.Failed},
		"the answer shows something else": {history.Event{
			Type: history.Repeat, Status: 201, Contact: "c1", Version: 1, Document: history.Document{"last": "w2"},
		}, history.Phantom},
		"another payload is the same operation's end": {history.Event{Type: history.Reuse, Status: 201, Contact: "c1", Version: 1}, history.Doubled},
		"another payload is another contact":          {history.Event{Type: history.Reuse, Status: 201, Contact: "c3", Version: 1}, history.Doubled},
		"another payload is another operation":        {history.Event{Type: history.Reuse, Status: 202, Operation: "o9"}, history.Doubled},
		"another payload is refused as invalid":       {history.Event{Type: history.Reuse, Status: 422, Problem: "invalid"}, history.Refused},
		"another payload makes the service fail":      {history.Event{Type: history.Reuse, Status: 500}, history.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			s := repeats(c.event)
			found := history.Check(s.events, s.final)
			require.Len(t, found, 1)
			require.Equal(t, c.want, found[0].Class, found)
			require.Equal(t, 25, found[0].At, found)
		})
	}
}

// TestCheck_FindsEachViolation breaks the sound story once in each way, and expects the
// violation that comes first.
func TestCheck_FindsEachViolation(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*story)
		want  history.Class
		at    int // 25: only the final state shows it
	}{
		"an acknowledged create is not there": {func(s *story) {
			s.final.Changes = s.final.Changes[:3]
			delete(s.final.Operations, "o6")
			delete(s.final.Contacts, "c2")
		}, history.Lost, 14},
		"an acknowledged patch is another version": {func(s *story) { s.events[6].Version = 7 }, history.Lost, 6},
		"an acknowledged deletion is not there": {func(s *story) {
			s.final.Changes = slices.Delete(s.final.Changes, 2, 3)
			delete(s.final.Operations, "o5")
			s.final.Contacts["c1"] = history.Contact{Version: 2, Document: s.final.Changes[1].Document}
		}, history.Lost, 10},
		"a succeeded operation has no effect": {func(s *story) {
			s.final.Operations["o9"] = history.Operation{Contact: "c2", Succeeded: true, Version: 2}
		}, history.Lost, 25},
		"a call has two effects": {func(s *story) {
			s.again(2, "o9", history.Document{"last": "w6", "a": "w6"})
		}, history.Doubled, 25},
		"a create under a key makes two contacts": {func(s *story) {
			document := history.Document{"last": "w1", "a": "w1"}
			s.final.Changes = append(s.final.Changes, history.Change{Contact: "c3", Version: 1, Operation: "o3", Document: document})
			s.final.Operations["o3"] = history.Operation{Contact: "c3", Succeeded: true, Version: 1}
			s.final.Contacts["c3"] = history.Contact{Version: 1, Document: document}
		}, history.Doubled, 25},
		"an operation has two effects": {func(s *story) {
			s.again(2, "o6", history.Document{"last": "w8", "a": "w8"})
		}, history.Doubled, 25},
		"two calls delete one contact": {func(s *story) {
			s.events[19].Kind, s.events[20] = history.Delete, history.Event{Type: history.OK, Call: 9}
		}, history.Reordered, 20},
		"two overlapping calls delete one contact": {func(s *story) {
			s.events = append([]history.Event{{Type: history.Invoke, Call: 12, Kind: history.Delete, Contact: "c1"}}, s.events...)
			s.events = append(s.events, history.Event{Type: history.OK, Call: 12})
		}, history.Doubled, 26},
		"a version is missing": {func(s *story) {
			s.again(3, "o8", history.Document{"last": "w8", "a": "w8"})
		}, history.Gap, 25},
		"a version is there twice": {func(s *story) {
			s.again(1, "o8", history.Document{"last": "w8", "a": "w8"})
		}, history.Gap, 25},
		"the row is behind its versions": {func(s *story) {
			s.final.Contacts["c1"] = history.Contact{Version: 2, Document: s.final.Changes[1].Document}
		}, history.Gap, 25},
		"a later write makes a lower version": {func(s *story) {
			// The read of version 2 ends before the patch that makes version 2 is asked for.
			s.events[3].IfMatch = 0
			s.events = append([]history.Event{s.events[0], s.events[1], s.events[2], s.events[7], s.events[8]}, s.events[3:]...)
		}, history.Reordered, 8},
		"a later write of unknown end makes a lower version": {func(s *story) {
			s.again(2, "o8", history.Document{"last": "w8", "a": "w8"})
			s.events[16].Version = 2
		}, history.Reordered, 17},
		"a write overtakes one that was accepted before": {func(s *story) {
			patch := history.Document{"last": "w8", "a": "w8"}
			s.again(2, "o8", patch)
			later := maps.Clone(patch)
			later["last"], later["a"] = "w12", "w12"
			s.again(3, "o12", later)
			s.events = slices.Insert(s.events, 17,
				history.Event{Type: history.Invoke, Call: 12, Kind: history.Patch, Contact: "c2", Slot: "a"},
				history.Event{Type: history.Accepted, Call: 12, Operation: "o12"})
			s.events = append(s.events, history.Event{Type: history.OK, Call: 12, Contact: "c2", Version: 3})
		}, history.Reordered, 19},
		"a deletion overtakes a patch that was accepted before": {func(s *story) {
			s.events = slices.Insert(s.events, 9,
				history.Event{Type: history.Invoke, Call: 12, Kind: history.Patch, Contact: "c1", Slot: "a"},
				history.Event{Type: history.Accepted, Call: 12, Operation: "o12"})
			s.events = append(s.events, history.Event{Type: history.Fail, Call: 12, Status: 404})
			s.final.Operations["o12"] = history.Operation{Contact: "c1"}
		}, history.Refused, 27},
		"a write is refused for a version of the past": {func(s *story) {
			s.again(2, "o8", history.Document{"last": "w8", "a": "w8"})
			told := s.events[24]
			told.Call, told.Version, told.Document = 12, 2, s.final.Contacts["c2"].Document
			s.events[24].Version, s.events[24].Document = 2, told.Document
			s.events = slices.Insert(s.events, 15, history.Event{Type: history.Invoke, Call: 12, Kind: history.Read, Contact: "c2"}, told)
		}, history.Refused, 18},
		"a refused deletion has an effect": {func(s *story) {
			s.events[10] = history.Event{Type: history.Fail, Call: 5, Status: 503}
		}, history.Phantom, 25},
		"the service fails":                  {func(s *story) { s.events[18].Status = 500 }, history.Failed, 18},
		"a command is set aside":             {func(s *story) { s.final.Parked = 1 }, history.Failed, 25},
		"If-Match lets another version pass": {func(s *story) { s.events[3].IfMatch = 4 }, history.Guard, 6},
		"a read is older than an acknowledgement": {func(s *story) {
			s.events[8].Version, s.events[8].Document = 1, s.events[2].Document
		}, history.Stale, 8},
		"a read is older than another read": {func(s *story) {
			s.again(2, "o8", history.Document{"last": "w8", "a": "w8"})
			first := s.events[24]
			first.Call, first.Version, first.Document = 12, 2, s.final.Contacts["c2"].Document
			s.events = slices.Insert(s.events, 23, history.Event{Type: history.Invoke, Call: 12, Kind: history.Read, Contact: "c2"}, first)
		}, history.Stale, 26},
		"a read finds nothing of what is there": {func(s *story) {
			s.events[24] = history.Event{Type: history.OK, Call: 11}
		}, history.Stale, 24},
		"a replica is behind in the end": {func(s *story) { s.final.Served[1].Version = 0 }, history.Stale, 25},
		"a read finds what was deleted": {func(s *story) {
			s.events[12] = history.Event{Type: history.OK, Call: 4, Contact: "c1", Version: 2, Found: true, Document: s.events[8].Document}
		}, history.Returned, 12},
		"a version follows the deletion": {func(s *story) {
			s.final.Changes = append(s.final.Changes, history.Change{Contact: "c1", Version: 4, Operation: "o9", Document: history.Document{"last": "w9", "a": "w9"}})
		}, history.Phantom, 20},
		"a replica finds what was deleted in the end": {func(s *story) {
			s.final.Served[0].Document = history.Document{}
		}, history.Returned, 25},
		"a refused write has an effect": {func(s *story) {
			s.again(2, "o10", history.Document{"last": "w10", "a": "w10"})
		}, history.Phantom, 22},
		"a read finds what nobody wrote": {func(s *story) {
			s.events[24].Document = history.Document{"last": "w99"}
		}, history.Phantom, 24},
		"a patch loses another's field": {func(s *story) {
			delete(s.final.Changes[1].Document, "a")
			delete(s.events[8].Document, "a")
		}, history.Phantom, 3},
		"an effect without its operation":                   {func(s *story) { delete(s.final.Operations, "o6") }, history.Phantom, 25},
		"a write is refused for a version that it named":    {func(s *story) { s.events[15].IfMatch = 1 }, history.Refused, 16},
		"a write of a living contact is refused as unknown": {func(s *story) { s.events[16].Status = 404 }, history.Refused, 16},
		"Redis holds an older version": {func(s *story) {
			s.final.Cached["c2"] = history.Cached{Version: 0, State: "live"}
		}, history.Cache, 25},
		"Redis holds what was deleted": {func(s *story) {
			s.final.Cached["c1"] = history.Cached{Version: 2, State: "live"}
		}, history.Cache, 25},
		"Redis says that nothing is there": {func(s *story) {
			s.final.Cached["c2"] = history.Cached{State: "absent"}
		}, history.Cache, 25},
		"a 202 without an end":               {func(s *story) { s.events[6] = history.Event{Type: history.Fault} }, history.Unended, 25},
		"a write under a key without an end": {func(s *story) { s.events[17].Key = "k8" }, history.Unended, 25},
		"a 202 that ended otherwise": {func(s *story) {
			s.final.Operations["o2"] = history.Operation{Contact: "c1", Succeeded: false}
		}, history.Unended, 6},
		"a 202 that failed for another reason": {func(s *story) {
			s.events = slices.Insert(s.events, 16, history.Event{Type: history.Accepted, Call: 7, Operation: "o7"})
			s.final.Operations["o7"] = history.Operation{Contact: "c2", Problem: "not-found"}
		}, history.Unended, 17},
	} {
		t.Run(name, func(t *testing.T) {
			s := sound()
			c.spoil(s)
			found := history.Check(s.events, s.final)
			require.NotEmpty(t, found)
			require.Equal(t, c.want, found[0].Class, found)
			require.Equal(t, c.at, found[0].At, found)
		})
	}
}

func TestExcerpt_ShowsTheContactAndTheFaults(t *testing.T) {
	s := sound()
	var out bytes.Buffer
	require.NoError(t, history.Excerpt(&out, s.events, history.Violation{Contact: "c1", Call: 2, At: 6}))
	require.Contains(t, out.String(), "\n>       6 {")
	require.Contains(t, out.String(), "kill serve-0")
	require.NotContains(t, out.String(), "c2")
}
