package contactstest

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
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
	changes    []tenantChange
	sequence   int64 // of the latest change
}

// tenantChange is a change of one of the tenants.
type tenantChange struct {
	tenant contacts.Tenant
	contacts.Change
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
	if err := tenant.Validate(); err != nil {
		return contacts.Document{}, err
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
func (m *Model) List(_ context.Context, tenant contacts.Tenant, query contacts.Query) (contacts.Listing, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := tenant.Validate(); err != nil {
		return contacts.Listing{}, err
	}
	sort, descending := query.Sort.Key()
	var page []contacts.Listed
	for at, contact := range m.contacts {
		if at.tenant != tenant || contact.Deleted || !selects(query, contact) {
			continue
		}
		document, err := contact.Document()
		if err != nil {
			return contacts.Listing{}, err
		}
		item := contacts.Listed{Document: document, At: contacts.Position{ID: at.id}}
		switch sort {
		case contacts.SortName:
			item.At.Name = contact.Index().Name
		case contacts.SortUpdated:
			item.At.Updated = contact.UpdatedAt
		}
		page = append(page, item)
	}
	compare := func(a, b contacts.Position) int {
		order := cmp.Or(cmp.Compare(a.Name, b.Name), a.Updated.Compare(b.Updated), bytes.Compare(a.ID[:], b.ID[:]))
		if descending {
			return -order
		}
		return order
	}
	slices.SortFunc(page, func(a, b contacts.Listed) int { return compare(a.At, b.At) })
	if query.After != nil {
		page = slices.DeleteFunc(page, func(item contacts.Listed) bool { return compare(item.At, *query.After) <= 0 })
	}
	length, bytes := 0, 0
	for length < min(len(page), query.Limit) && bytes < contacts.MaxPageBytes {
		bytes += len(page[length].JSON)
		length++
	}
	listing := contacts.Listing{Items: page[:length]}
	if length < len(page) {
		listing.Rest = &page[length-1].At
	}
	return listing, nil
}

// selects reports whether the query's filters let the contact through.
func selects(query contacts.Query, contact contacts.Contact) bool {
	ix := contact.Index()
	for _, forms := range query.Terms {
		if !slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(ix.Text, form) }) {
			return false
		}
	}
	return (query.Email == "" || slices.Contains(ix.Emails, query.Email)) &&
		(query.Label == "" || slices.Contains(ix.Labels, query.Label)) &&
		(len(query.Phones) == 0 || slices.ContainsFunc(query.Phones, func(p string) bool { return slices.Contains(ix.Phones, p) })) &&
		!contact.UpdatedAt.Before(query.UpdatedSince)
}

// Changes implements [contacts.ChangeLog].
func (m *Model) Changes(
	_ context.Context, tenant contacts.Tenant, after contacts.ChangePosition, limit int,
) ([]contacts.Change, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := tenant.Validate(); err != nil {
		return nil, err
	}
	if after.Sequence > m.sequence {
		return nil, contacts.CursorExpired()
	}
	var page []contacts.Change
	bytes := 0
	for _, change := range m.changes {
		if change.At.Sequence > after.Sequence && change.tenant == tenant && len(page) < limit && bytes < contacts.MaxPageBytes {
			page = append(page, change.Change)
			bytes += len(change.Document)
		}
	}
	return page, nil
}

// LatestChange implements [contacts.ChangeLog].
func (m *Model) LatestChange(context.Context) (contacts.ChangePosition, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return contacts.ChangePosition{Sequence: m.sequence}, nil
}

// Operation implements [contacts.Repository].
func (m *Model) Operation(_ context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	operation, found := m.operations[key{tenant, id}]
	return operation, found, tenant.Validate()
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
	next := Model{contacts: maps.Clone(m.contacts), operations: maps.Clone(m.operations), changes: slices.Clip(m.changes), sequence: m.sequence}
	outcomes := make([]contacts.Outcome, len(commands))
	var made []contacts.Document
	var forgotten []contacts.OperationKey
	for i, command := range commands {
		if err := command.Tenant.Validate(); err != nil {
			return nil, err
		}
		_, replayed := m.operations[key{command.Tenant, command.Operation}]
		outcome, err := next.apply(command, now)
		if err != nil {
			return nil, err
		}
		if outcomes[i] = outcome; !replayed && outcome.Operation.Status == contacts.Succeeded {
			made = append(made, outcome.Current)
			if command.Kind == contacts.Erase {
				forgotten = append(forgotten, next.purge(command.Tenant, command.Contact)...)
			}
		}
		if command.Fingerprint != "" && outcome.Operation.Fingerprint == "" {
			forgotten = append(forgotten, contacts.OperationKey{Tenant: command.Tenant, ID: command.Operation})
		}
	}
	if announce != nil && len(made)+len(forgotten) > 0 {
		if err := announce(ctx, made, forgotten); err != nil {
			return nil, err
		}
	}
	m.contacts, m.operations, m.changes, m.sequence = next.contacts, next.operations, next.changes, next.sequence
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
		if problem == nil && (before == nil || made.Version > before.Version) {
			document, err := made.Document()
			if err != nil {
				return contacts.Outcome{}, err
			}
			operation.Document = document.JSON
			m.sequence++
			m.changes = append(m.changes, tenantChange{command.Tenant, contacts.Change{
				At:      contacts.ChangePosition{Sequence: m.sequence},
				Contact: command.Contact, Version: made.Version, Operation: command.Operation, ChangedAt: operation.EndedAt,
				Document: document.JSON,
			}})
			m.contacts[at] = made
		}
		m.operations[of] = operation
	}
	current, err := m.document(at)
	return contacts.Outcome{Operation: operation, Again: applied, Current: current}, err
}

// purge removes what is kept of a contact's past, and returns the operations that it forgets.
func (m *Model) purge(tenant contacts.Tenant, contact uuid.UUID) (forgotten []contacts.OperationKey) {
	m.changes = slices.DeleteFunc(slices.Clone(m.changes), func(c tenantChange) bool {
		return c.tenant == tenant && c.Contact == contact && c.Document != nil
	})
	for of, operation := range m.operations {
		if of.tenant != tenant || operation.Contact != contact {
			continue
		}
		m.operations[of] = operation.Erased()
		if operation.Fingerprint != m.operations[of].Fingerprint {
			forgotten = append(forgotten, contacts.OperationKey{Tenant: tenant, ID: of.id})
		}
	}
	return forgotten
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
