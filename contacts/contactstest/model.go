package contactstest

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
)

// Model is the simplest store there can be: maps under one lock. It passes [RunStore], serves
// tests that need no database, and is what other stores are compared with.
type Model struct {
	mu         sync.Mutex
	contacts   map[contacts.ContactKey]contacts.Version
	operations map[contacts.OperationKey]contacts.Operation
	changes    []tenantChange
	sequence   int64                // of the latest change
	erased     map[string]time.Time // see [contacts.Snapshot]
}

// tenantChange is a change of one of the tenants.
type tenantChange struct {
	tenant contacts.Tenant
	contacts.Change
}

var _ Store = (*Model)(nil)

// NewModel returns an empty model.
func NewModel() *Model {
	return &Model{
		contacts:   map[contacts.ContactKey]contacts.Version{},
		operations: map[contacts.OperationKey]contacts.Operation{},
		erased:     map[string]time.Time{},
	}
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
	stored, found := m.contacts[contacts.ContactKey{Tenant: tenant, ID: id}]
	if !found {
		return contacts.Document{Tenant: tenant, ID: id}, nil
	}
	return stored.Document, nil
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
		if at.Tenant != tenant || contact.Deleted || !selects(query, contact) {
			continue
		}
		item := contacts.Listed{Document: contact.Document, At: contacts.Position{ID: at.ID}}
		switch sort {
		case contacts.SortUpdated:
			item.At.Updated = contact.UpdatedAt
		default:
			item.At.Name = contact.Index.Orders[sort]
		}
		page = append(page, item)
	}
	compare := func(a, b contacts.Position) int {
		order := cmp.Or(bytes.Compare(a.Name, b.Name), a.Updated.Compare(b.Updated), bytes.Compare(a.ID[:], b.ID[:]))
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

// Count implements [contacts.Repository].
func (m *Model) Count(_ context.Context, tenant contacts.Tenant, query contacts.Query) (contacts.Count, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var count contacts.Count
	for at, contact := range m.contacts {
		if at.Tenant == tenant && !contact.Deleted && selects(query, contact) {
			count.Contacts++
		}
	}
	if count.Contacts > contacts.MaxCount {
		count = contacts.Count{Contacts: contacts.MaxCount, More: true}
	}
	return count, tenant.Validate()
}

// selects reports whether the query's filters let the contact through.
func selects(query contacts.Query, contact contacts.Version) bool {
	for _, forms := range query.Terms {
		if !slices.ContainsFunc(forms, func(form string) bool { return strings.Contains(contact.Index.Text, form) }) {
			return false
		}
	}
	for _, values := range query.Values {
		if !slices.ContainsFunc(values.Keys, func(key string) bool { return slices.Contains(contact.Index.Keys, key) }) {
			return false
		}
	}
	return !contact.UpdatedAt.Before(query.UpdatedSince)
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
	operation, found := m.operations[contacts.OperationKey{Tenant: tenant, ID: id}]
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
	for _, command := range commands {
		if err := command.Tenant.Validate(); err != nil {
			return nil, err
		}
	}
	state := m.state()
	effects, err := contacts.Plan(contacts.Resolve(commands, state.Holders), state, now)
	if err != nil {
		return nil, err
	}
	next := Model{contacts: maps.Clone(m.contacts), operations: maps.Clone(m.operations), changes: slices.Clip(m.changes), sequence: m.sequence, erased: maps.Clone(m.erased)}
	effects.Forgotten = append(effects.Forgotten, next.save(effects)...)
	if announce != nil && len(effects.Documents)+len(effects.Forgotten) > 0 {
		if err := announce(ctx, effects.Documents, effects.Forgotten); err != nil {
			return nil, err
		}
	}
	m.contacts, m.operations, m.changes, m.sequence, m.erased = next.contacts, next.operations, next.changes, next.sequence, next.erased
	return effects.Outcomes, nil
}

// state is all there is.
func (m *Model) state() contacts.Snapshot {
	state := contacts.Snapshot{
		Contacts:   make(map[contacts.ContactKey]contacts.Stored, len(m.contacts)),
		Operations: m.operations,
		Erased:     m.erased,
		Holders:    map[contacts.ExternalKey]uuid.UUID{},
	}
	for at, contact := range m.contacts {
		state.Contacts[at] = contacts.Stored{Document: contact.Document, Keys: contact.Index.Keys}
		if external := contact.Fields.ExternalID; external != "" {
			state.Holders[contacts.ExternalKey{Tenant: at.Tenant, ExternalID: external}] = at.ID
		}
	}
	return state
}

// save does what a batch does, and returns the operations that are forgotten with what it
// erases.
func (m *Model) save(effects contacts.Effects) (forgotten []contacts.OperationKey) {
	for _, operation := range effects.Operations {
		m.operations[contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID}] = operation
	}
	for _, version := range effects.Versions {
		m.contacts[contacts.ContactKey{Tenant: version.Tenant, ID: version.ID}] = version
		m.sequence++
		m.changes = append(m.changes, tenantChange{version.Tenant, contacts.Change{
			At:      contacts.ChangePosition{Sequence: m.sequence},
			Contact: version.ID, Version: version.Version, Operation: version.Operation, ChangedAt: version.ChangedAt,
			Document: version.Document.JSON,
		}})
	}
	for _, erased := range effects.Erased {
		m.markErased(erased)
		forgotten = append(forgotten, m.purge(erased.Tenant, erased.ID)...)
	}
	return forgotten
}

// markErased notes an erasure by the external ids that the contact has had.
func (m *Model) markErased(erased contacts.Erasure) {
	ids := []string{erased.ExternalID}
	for _, change := range m.changes {
		var r contacts.Representation
		if change.tenant == erased.Tenant && change.Contact == erased.ID && json.Unmarshal(change.Document, &r) == nil {
			ids = append(ids, r.ExternalID)
		}
	}
	for _, id := range ids {
		group := contacts.ExternalIDGroup(erased.Tenant, id)
		if id != "" && erased.AcceptedAt.After(m.erased[group]) {
			m.erased[group] = erased.AcceptedAt
		}
	}
}

// purge removes what is kept of a contact's past, and returns the operations that it forgets.
func (m *Model) purge(tenant contacts.Tenant, contact uuid.UUID) (forgotten []contacts.OperationKey) {
	m.changes = slices.DeleteFunc(slices.Clone(m.changes), func(c tenantChange) bool {
		return c.tenant == tenant && c.Contact == contact && c.Document != nil
	})
	for of, operation := range m.operations {
		if of.Tenant != tenant || operation.Contact != contact {
			continue
		}
		m.operations[of] = operation.Erased()
		if operation.Fingerprint != m.operations[of].Fingerprint {
			forgotten = append(forgotten, of)
		}
	}
	return forgotten
}
