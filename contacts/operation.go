package contacts

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Status is how far an [Operation] has come.
type Status string

// The statuses of an operation. Succeeded and Failed are final.
const (
	Pending   Status = "pending"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	// Expired is the status of an operation that is still pending when no queue has its
	// command any more: see [CommandsKept]. It ends only if an operator has the command sent
	// again, from a dead-letter queue say.
	Expired Status = "expired"
)

// CommandsKept is how long a queue keeps a command. SQS allows no more.
const CommandsKept = 14 * 24 * time.Hour

// Operation is one accepted write, and its end. Every command has one; a retry under the same
// idempotency key has the same one.
type Operation struct {
	ID      uuid.UUID   `json:"id"`
	Tenant  Tenant      `json:"tenant"`
	Kind    CommandKind `json:"kind"`
	Contact uuid.UUID   `json:"contact"`
	Status  Status      `json:"status"`
	// the contact's, which the operation made; with Succeeded
	Version     int64     `json:"version,omitempty"`
	Problem     *Error    `json:"problem,omitempty"` // with Failed
	Fingerprint string    `json:"fingerprint,omitempty"`
	AcceptedAt  time.Time `json:"accepted_at"`
	EndedAt     time.Time `json:"ended_at,omitzero"`
	// Document is the contact as the operation made it: what the write's answer shows, also
	// when it is repeated. It is nil after a Delete or an Erase, where it was not asked for,
	// and once the contact was erased.
	Document json.RawMessage `json:"document,omitempty"`
}

// OperationKey names an operation within all tenants.
type OperationKey struct {
	Tenant Tenant
	ID     uuid.UUID
}

// Erased returns the ended operation as it stays after its contact was erased: without its
// document, without the places in its request that its problem points at, and without its
// fingerprint where that was drawn from a person's data.
func (o Operation) Erased() Operation {
	o.Document = nil
	if o.Kind.carriesData() {
		o.Fingerprint = ""
	}
	if o.Problem != nil {
		problem := *o.Problem
		problem.Violations = nil
		o.Problem = &problem
	}
	return o
}

// Overtaken returns the operation as it ends where its command came behind the erasure of the
// contact.
func (o Operation) Overtaken() Operation {
	o.Status, o.Version, o.Problem = Failed, 0, notFound("contact")
	return o.Erased()
}

// carriesData reports whether commands of the kind hold a person's data, and make a contact
// that does.
func (k CommandKind) carriesData() bool { return k != Delete && k != Erase }

// End returns the ended operation of a command: succeeded with the contact it made, or failed
// with the problem. Where there is no contact, nothing of what was to become of it is kept: it
// may have been erased.
func (c Command) End(made Contact, problem *Error, now time.Time) Operation {
	operation := c.pending()
	operation.EndedAt = now.UTC().Truncate(time.Microsecond)
	if problem != nil {
		operation.Status, operation.Problem = Failed, problem
	} else {
		operation.Status, operation.Version = Succeeded, made.Version
	}
	if operation.Problem != nil && operation.Problem.Kind == KindNotFound {
		return operation.Erased()
	}
	return operation
}

func (c Command) pending() Operation {
	return Operation{
		ID: c.Operation, Tenant: c.Tenant, Kind: c.Kind, Contact: c.Contact, Status: Pending,
		Fingerprint: c.Fingerprint, AcceptedAt: c.AcceptedAt,
	}
}

// Outcome is what applying a command came to.
type Outcome struct {
	// Operation is the command's operation as it stands in the database, from now or, if it
	// had been applied before, from then.
	Operation Operation
	// Again says that it had been applied before.
	Again bool
	// Current is the command's contact as it is after the transaction.
	Current Document
}
