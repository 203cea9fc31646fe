package httpapi

import (
	"context"

	"github.com/google/uuid"

	"contacts/contacts"
)

// record is what is noted of a request on its way, for the lines, the metrics and the span
// that it leaves behind. One goroutine at a time has it.
type record struct {
	id string // by which the request is found in the logs
	// the operation of the API by which it writes; "" if it only reads, or the path is unknown
	write     string
	caller    contacts.Caller    // as far as it is known
	operation contacts.Operation // what became of a write, ended or not; zero: it was not accepted
	problem   contacts.Kind      // what was answered; "" if all went well
}

// recordKey is the key of the request's record in its context.
type recordKey struct{}

// recordOf returns the record of the request that ctx belongs to.
func recordOf(ctx context.Context) *record {
	if r, ok := ctx.Value(recordKey{}).(*record); ok {
		return r
	}
	return &record{} // of no request: it is not read
}

// auditEvent is what the caller did, if it asked for a write, for the audit log. contact is
// the id in the path, "" where there is none.
func (r *record) auditEvent(contact string) contacts.AuditEvent {
	d := contacts.AuditEvent{
		Subject: r.caller.Subject, Tenant: r.caller.Tenant, Action: r.write, Operation: r.operation.ID, Outcome: string(r.operation.Status),
		Problem: r.problem, Version: r.operation.Version, Request: r.id,
	}
	switch {
	case r.problem == contacts.KindUncertain:
		d.Outcome = contacts.OutcomeUncertain
	case r.operation.ID == uuid.Nil:
		d.Outcome = contacts.OutcomeRefused
	case r.operation.Status == contacts.Pending:
		d.Outcome = contacts.OutcomeAccepted
	}
	if id, err := contactID(contact); err == nil {
		d.Contact = id
	} else if r.operation.Status == contacts.Succeeded {
		// A create that has not ended may fail, and make no contact.
		d.Contact = r.operation.Contact
	}
	return d
}
