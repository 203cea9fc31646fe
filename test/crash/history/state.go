package history

import (
	"maps"
	"slices"
)

// checkChanges looks at each contact's versions: that they follow each other, that each is
// what its write makes of the one before, and that the row is the last of them.
func (c *checker) checkChanges() {
	for _, contact := range slices.Sorted(maps.Keys(c.changes)) {
		changes := c.changes[contact]
		var before Document
		for i, change := range changes {
			if change.Version != int64(i)+1 {
				c.report(Gap, contact, 0, len(c.events), "version %d stands where version %d belongs", change.Version, i+1)
				break
			}
			if i > 0 && before == nil {
				c.report(Returned, contact, 0, len(c.events), "version %d follows the deletion", change.Version)
			}
			c.checkEffect(contact, change, before)
			before = change.Document
		}
		last := changes[len(changes)-1]
		row, found := c.final.Contacts[contact]
		if !found || row.Version != last.Version || row.Deleted != (last.Document == nil) ||
			!row.Deleted && !maps.Equal(row.Document, last.Document) {
			c.report(Gap, contact, 0, len(c.events), "the row is %+v, and the last version %+v", row, last)
		}
	}
	for _, contact := range slices.Sorted(maps.Keys(c.final.Contacts)) {
		if len(c.changes[contact]) == 0 {
			c.report(Phantom, contact, 0, len(c.events), "a contact without any version")
		}
	}
}

// checkEffect compares one version with the call that made it.
func (c *checker) checkEffect(contact string, change Change, before Document) {
	if change.Document == nil {
		if _, asked := c.deletes[contact]; !asked {
			c.report(Phantom, contact, 0, len(c.events), "the deletion by version %d was not asked for", change.Version)
		}
		return
	}
	number := callOf(change.Document)
	call := c.calls[number]
	if call == nil || call.Kind == Read || call.Kind == Delete || (call.Kind == Create) != (change.Version == 1) ||
		call.Kind != Create && call.Contact != contact {
		c.report(Phantom, contact, number, len(c.events), "version %d is %v, which was not asked for", change.Version, change.Document)
		return
	}
	want := Document{}
	if call.Kind == Patch {
		maps.Copy(want, before)
	}
	want[Last], want[call.Slot] = Tag(number), Tag(number)
	if !maps.Equal(want, change.Document) {
		c.report(Phantom, contact, number, call.at, "made version %d %v, and not %v", change.Version, change.Document, want)
	}
	// Of acknowledged calls this has been said at the acknowledgement.
	if acknowledged := call.end != nil && call.end.Type == OK; !acknowledged && change.Version <= call.floor {
		c.report(Reordered, contact, number, call.at, "made version %d, although version %d had been told before it was asked for", change.Version, call.floor)
	}
}

// checkAcceptance looks for writes that overtook others: those that had been accepted, with
// 202, before they were asked for.
func (c *checker) checkAcceptance() {
	for contact, accepted := range c.accepted {
		// of the versions that the first so many of them made
		highest := make([]int64, len(accepted)+1)
		for i, number := range accepted {
			highest[i+1] = max(highest[i], c.made[number].Version)
		}
		for _, change := range c.changes[contact] {
			number := callOf(change.Document)
			call := c.calls[number]
			if call != nil && call.Contact == contact && change.Version < highest[call.behind] {
				c.report(Reordered, contact, number, call.at, "made version %d, although a write that made version %d had been accepted before it was asked for",
					change.Version, highest[call.behind])
			}
		}
	}
}

// checkOperations compares the operations with their effects.
func (c *checker) checkOperations() {
	effects := make(map[string]Change, len(c.final.Changes))
	for _, change := range c.final.Changes {
		effects[change.Operation] = change
		if operation := c.final.Operations[change.Operation]; !operation.Succeeded ||
			operation.Contact != change.Contact || operation.Version != change.Version {
			c.report(Phantom, change.Contact, 0, len(c.events), "version %d was made by operation %s, which is %+v", change.Version, change.Operation, operation)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(c.final.Operations)) {
		operation := c.final.Operations[id]
		if _, found := effects[id]; operation.Succeeded && !found {
			c.report(Lost, operation.Contact, 0, len(c.events), "operation %s has succeeded with version %d, which is not there", id, operation.Version)
		}
	}
}

// checkEnds looks at the calls' ends: that each 202 has one, that it is its operation's, and
// that a contact was deleted by one call.
func (c *checker) checkEnds() {
	deleted, mayDelete := map[string]int{}, map[string]bool{}
	for _, number := range slices.Sorted(maps.Keys(c.calls)) {
		call := c.calls[number]
		succeeded := call.end != nil && call.end.Type == OK
		if call.Kind == Delete && (call.end == nil || call.end.Type != Fail) {
			mayDelete[call.Contact] = true
		}
		if succeeded && call.Kind == Delete {
			if other, twice := deleted[call.Contact]; twice {
				c.report(Doubled, call.Contact, number, call.endAt, "deleted the contact, as call %d did", other)
			}
			deleted[call.Contact] = number
		}
		if call.op == "" {
			if call.Key != "" && (call.end == nil || call.end.Type == Unknown) {
				c.report(Unended, call.Contact, number, len(c.events), "sent again and again under its key, and its caller never learnt its end")
			}
			continue
		}
		operation, ended := c.final.Operations[call.op]
		switch {
		case call.end == nil || call.end.Type == Unknown:
			c.report(Unended, call.Contact, number, len(c.events), "operation %s was accepted, and its caller never learnt its end", call.op)
		case !ended:
			c.report(Unended, call.Contact, number, call.endAt, "operation %s has an end that is not in the database", call.op)
		case operation.Succeeded != succeeded || succeeded && operation.Version != call.end.Version,
			!succeeded && operation.Problem != call.end.Problem:
			c.report(Unended, call.Contact, number, call.endAt, "operation %s is %+v, and its caller was told another end", call.op, operation)
		}
	}
	for _, contact := range slices.Sorted(maps.Keys(c.deletions)) {
		if !mayDelete[contact] {
			c.report(Phantom, contact, 0, len(c.events), "was deleted, although every deletion was refused")
		}
	}
}

// checkCopies compares with the rows what Redis holds and what the API answers.
func (c *checker) checkCopies() {
	for _, contact := range slices.Sorted(maps.Keys(c.final.Cached)) {
		cached := c.final.Cached[contact]
		row, exists := c.final.Contacts[contact]
		var agrees bool
		switch cached.State {
		case "live":
			agrees = exists && !row.Deleted && cached.Version == row.Version && maps.Equal(cached.Document, row.Document)
		case "gone":
			agrees = exists && row.Deleted && cached.Version == row.Version
		case "absent":
			agrees = !exists
		}
		if !agrees {
			c.report(Cache, contact, 0, len(c.events), "Redis holds %+v, and the row is %+v", cached, row)
		}
	}
	for _, served := range c.final.Served {
		row := c.final.Contacts[served.Contact]
		switch {
		case row.Deleted && served.Document != nil:
			c.report(Returned, served.Contact, 0, len(c.events), "in the end %s finds version %d of a deleted contact", served.Replica, served.Version)
		case !row.Deleted && (served.Version != row.Version || !maps.Equal(served.Document, row.Document)):
			c.report(Stale, served.Contact, 0, len(c.events), "in the end %s answers %+v, and the row is %+v", served.Replica, served, row)
		}
	}
}
