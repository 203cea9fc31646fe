package contactstest

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
)

// Model is the simplest store there can be: maps under one lock. It passes [RunStore], serves tests that need no database,
// and is what other stores are compared with.
type Model struct {
	mu         sync.Mutex
	contacts   map[key]contacts.Contact
	operations map[key]contacts.Operation
}

var _ Store = (*Model)(nil)

type key struct {
	tenant contacts.Tenant
	id     uuid.UUID
}

// NewModel returns an empty model.
func NewModel() *Model {
	return &Model{contacts: map[key]contacts.Contact{}, operations: map[key]contacts.Operation{}}
}

// Document implements [contacts.Repository].
func (m *Model) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return contacts.Document{}, ctx.Err()
	}
	return m.document(key{tenant, id})
}

func (m *Model) document(at key) (contacts.Document, error) {
	contact, found := m.contacts[at]
	if !found {
		return contacts.Document{Tenant: at.tenant, ID: at.id}, nil
	}
	return contact.Document()
}

// List implements [contacts.Repository].
func (m *Model) List(_ context.Context, tenant contacts.Tenant, query contacts.Query) ([]contacts.Document, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []contacts.Document
	for at, contact := range m.contacts {
		if at.tenant != tenant || contact.Deleted || bytes.Compare(at.id[:], query.After[:]) <= 0 {
			continue
		}
		document, err := contact.Document()
		if err != nil {
			return nil, err
		}
		page = append(page, document)
	}
	slices.SortFunc(page, func(a, b contacts.Document) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return page[:min(len(page), query.Limit)], nil
}

// Operation implements [contacts.Repository].
func (m *Model) Operation(_ context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	operation, found := m.operations[key{tenant, id}]
	return operation, found, nil
}

// Apply implements [contacts.Ledger]. Readers wait for its end.
func (m *Model) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	next := Model{contacts: maps.Clone(m.contacts), operations: maps.Clone(m.operations)}
	outcomes := make([]contacts.Outcome, len(commands))
	var made []contacts.Document
	for i, command := range commands {
		_, replayed := m.operations[key{command.Tenant, command.Operation}]
		outcome, err := next.apply(command, now)
		if err != nil {
			return nil, err
		}
		if outcomes[i] = outcome; !replayed && outcome.Operation.Status == contacts.Succeeded {
			made = append(made, outcome.Current)
		}
	}
	if announce != nil && len(made) > 0 {
		if err := announce(ctx, made); err != nil {
			return nil, err
		}
	}
	m.contacts, m.operations = next.contacts, next.operations
	return outcomes, nil
}

func (m *Model) apply(command contacts.Command, now time.Time) (contacts.Outcome, error) {
	of, at := key{command.Tenant, command.Operation}, key{command.Tenant, command.Contact}
	operation, applied := m.operations[of]
	if !applied {
		var before *contacts.Contact
		if stored, found := m.contacts[at]; found {
			before = &stored
		}
		made, problem := command.Decide(before, now)
		if problem == nil && m.taken(made) {
			problem = contacts.DuplicateExternalID()
		}
		operation = command.End(made, problem, now)
		if problem == nil {
			document, err := made.Document()
			if err != nil {
				return contacts.Outcome{}, err
			}
			operation.Document = document.JSON
			m.contacts[at] = made
		}
		m.operations[of] = operation
	}
	current, err := m.document(at)
	return contacts.Outcome{Operation: operation, Current: current}, err
}

// taken reports whether another live contact of the tenant has the external_id of the one that was made.
func (m *Model) taken(made contacts.Contact) bool {
	if made.Deleted || made.Fields.ExternalID == "" {
		return false
	}
	for at, other := range m.contacts {
		if at.tenant == made.Tenant && at.id != made.ID && !other.Deleted && other.Fields.ExternalID == made.Fields.ExternalID {
			return true
		}
	}
	return false
}
