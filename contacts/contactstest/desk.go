package contactstest

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
)

// Desk is everything around a service, in memory: a model for a database, and a queue whose
// commands are applied as soon as they are sent unless the test says otherwise.
type Desk struct {
	*Model
	// OnSend, unless nil, is called for each command instead of applying it. Send returns its
	// error.
	OnSend func(contacts.Command) error

	mu         sync.Mutex
	sent       []contacts.Command
	waiting    map[contacts.OperationKey][]chan contacts.Operation
	notes      map[contacts.OperationKey]contacts.Operation
	claims     map[contacts.OperationKey]bool // whose commands are not known to be accepted
	notesError error
}

var (
	_ contacts.Queue             = (*Desk)(nil)
	_ contacts.Outcomes          = (*Desk)(nil)
	_ contacts.PendingOperations = (*Desk)(nil)
)

// NewDesk returns a desk with an empty model.
func NewDesk() *Desk {
	return &Desk{
		Model:   NewModel(),
		waiting: map[contacts.OperationKey][]chan contacts.Operation{},
		notes:   map[contacts.OperationKey]contacts.Operation{},
		claims:  map[contacts.OperationKey]bool{},
	}
}

// Options are those of a service at the desk. A test may put something before one of its
// ports.
func (d *Desk) Options() contacts.ServiceOptions {
	return contacts.ServiceOptions{Repository: d, Queue: d, Outcomes: d, Pending: d, Changes: d}
}

// Send implements [contacts.Queue].
func (d *Desk) Send(_ context.Context, command contacts.Command) error {
	d.mu.Lock()
	d.sent = append(d.sent, command)
	d.mu.Unlock()
	if d.OnSend != nil {
		return d.OnSend(command)
	}
	d.ApplyCommand(command, true)
	return nil
}

// Sent returns the commands that were sent so far.
func (d *Desk) Sent() []contacts.Command {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sent[:len(d.sent):len(d.sent)]
}

// ApplyCommand does the worker's part: it applies the command and, if asked to, tells the
// callers that wait for its end.
func (d *Desk) ApplyCommand(command contacts.Command, notify bool) {
	outcomes, err := d.Apply(context.Background(), []contacts.Command{command}, time.Now(), nil)
	if err != nil {
		panic(err) // a model does not fail
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	at := contacts.OperationKey{Tenant: command.Tenant, ID: command.Operation}
	if !notify {
		return
	}
	for _, waiter := range d.waiting[at] {
		waiter <- outcomes[0].Operation
	}
	delete(d.waiting, at)
}

// Address implements [contacts.Outcomes].
func (d *Desk) Address() string { return "here" }

// Expect implements [contacts.Outcomes].
func (d *Desk) Expect(tenant contacts.Tenant, operation uuid.UUID) (<-chan contacts.Operation, func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, waiter := contacts.OperationKey{Tenant: tenant, ID: operation}, make(chan contacts.Operation, 1)
	d.waiting[at] = append(d.waiting[at], waiter)
	return waiter, func() {}
}

// FailNotes makes Claim, Withdraw, Note and Pending return err from now on, and do nothing.
func (d *Desk) FailNotes(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.notesError = err
}

// Claim implements [contacts.PendingOperations].
func (d *Desk) Claim(_ context.Context, operation contacts.Operation) (contacts.Operation, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.notesError != nil {
		return contacts.Operation{}, d.notesError
	}
	at := contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID}
	if holder, found := d.notes[at]; found {
		return holder, nil
	}
	d.notes[at], d.claims[at] = operation, true
	return operation, nil
}

// Withdraw implements [contacts.PendingOperations].
func (d *Desk) Withdraw(_ context.Context, operation contacts.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID}
	if d.notesError == nil && d.claims[at] && d.notes[at].AcceptedAt.Equal(operation.AcceptedAt) {
		delete(d.notes, at)
		delete(d.claims, at)
	}
	return d.notesError
}

// Note implements [contacts.PendingOperations].
func (d *Desk) Note(_ context.Context, operation contacts.Operation) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	at := contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID}
	if held, found := d.notes[at]; d.notesError == nil && (!found || !operation.AcceptedAt.Before(held.AcceptedAt)) {
		d.notes[at] = operation
		delete(d.claims, at)
	}
	return d.notesError
}

// Pending implements [contacts.PendingOperations].
func (d *Desk) Pending(_ context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	operation, found := d.notes[contacts.OperationKey{Tenant: tenant, ID: id}]
	operation.Fingerprint = ""
	return operation, found, d.notesError
}
