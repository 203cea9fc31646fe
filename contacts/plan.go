package contacts

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ContactKey names a contact within all tenants.
type ContactKey struct {
	Tenant Tenant
	ID     uuid.UUID
}

// ExternalKey names a live contact within all tenants by its external_id.
type ExternalKey struct {
	Tenant     Tenant
	ExternalID string
}

// Stored is a contact as a store holds it.
type Stored struct {
	Document

	Keys []string // [Index.Keys], as they were when it was written
}

// Snapshot is what the commands of a batch meet, as far as it matters to them. The contacts
// must not change until the effects are committed.
type Snapshot struct {
	Contacts map[ContactKey]Stored // the commands' contacts
	// the commands' operations that have ended, with their documents
	Operations map[OperationKey]Operation
	// the contacts that hold an external id of [Command.ExternalID]
	Holders map[ExternalKey]uuid.UUID
	Erased  map[string]time.Time // when erasures were accepted, by [ExternalIDGroup]
}

// Effects is what a batch of commands does, to be committed as a whole.
type Effects struct {
	Outcomes   []Outcome      // one for each command, in the commands' order
	Operations []Operation    // that end
	Versions   []Version      // that are made
	Erased     []Erasure      // contacts whose past is to be removed
	Documents  []Document     // that the caches have to forget: those of Versions, and of Erased
	Forgotten  []OperationKey // whose requests no cache may remember
}

// Erasure is the erasure of a contact. Upserts of its external ids that were accepted no later
// than it are not applied any more.
type Erasure struct {
	ContactKey

	ExternalID string    // that the contact has had last; "" if it has none
	AcceptedAt time.Time // of the command
}

// Version is a new version of a contact, with all that a store keeps of it.
type Version struct {
	Contact

	Document  Document
	Index     Index
	Operation uuid.UUID // that made it
	ChangedAt time.Time // when it ended
	OldKeys   []string  // the keys of the version before that this one has not
	NewKeys   []string  // the keys of this version that the one before has not
}

// Resolve returns the commands, each [Upsert] of the contact that holds its external id, if
// there is one.
func Resolve(commands []Command, holders map[ExternalKey]uuid.UUID) []Command {
	resolved := slices.Clone(commands)
	for i, c := range resolved {
		if holder, held := holders[ExternalKey{c.Tenant, c.Fields.ExternalID}]; held && c.Kind == Upsert {
			resolved[i].Contact = holder
		}
	}
	return resolved
}

// Plan decides what the commands make of the state. No two commands may be of one contact, nor
// of one operation; Upserts have to be resolved. A command whose operation has ended changes
// nothing. Plan does nothing itself, so that it may run any number of times. It returns
// [ErrTransient] if an external id has changed hands since [Resolve], and fails if the state
// holds a document that is none.
func Plan(commands []Command, state Snapshot, now time.Time) (Effects, error) {
	p := plan{state: state, now: now, claimed: map[ExternalKey]uuid.UUID{}}
	for _, command := range commands {
		if err := p.add(command); err != nil {
			return Effects{}, fmt.Errorf("contact %s: %w", command.Contact, err)
		}
	}
	return p.effects, nil
}

type plan struct {
	state   Snapshot
	now     time.Time
	claimed map[ExternalKey]uuid.UUID // by earlier commands of the batch
	effects Effects
}

func (p *plan) add(command Command) error {
	at := ContactKey{command.Tenant, command.Contact}
	stored, found := p.state.Contacts[at]
	outcome := Outcome{Current: stored.Document}
	if !found {
		outcome.Current = Document{Tenant: command.Tenant, ID: command.Contact}
	}
	outcome.Operation, outcome.Again = p.state.Operations[OperationKey{command.Tenant, command.Operation}]
	if !outcome.Again {
		if err := p.apply(command, stored, found, &outcome); err != nil {
			return err
		}
	}
	if command.Fingerprint != "" && outcome.Operation.Fingerprint == "" {
		p.effects.Forgotten = append(p.effects.Forgotten, OperationKey{command.Tenant, command.Operation})
	}
	p.effects.Outcomes = append(p.effects.Outcomes, outcome)
	return nil
}

// apply applies a command whose operation has not ended.
func (p *plan) apply(command Command, stored Stored, found bool, outcome *Outcome) error {
	var current *Contact
	if found {
		decoded, err := stored.Contact()
		if err != nil {
			return err
		}
		current = &decoded
	}
	group := ""
	if command.Kind == Upsert {
		group = command.Group()
		holder, held := p.state.Holders[ExternalKey{command.Tenant, command.Fields.ExternalID}]
		switch {
		case held != found, held && holder != command.Contact:
			return fmt.Errorf("%w: the external id has changed hands", ErrTransient)
		case held:
			command.Kind = Replace
		default:
			command.Kind = Create
		}
	}
	made, problem := command.Decide(current, p.now)
	if erasedAt, erased := p.state.Erased[group]; erased && current == nil && !command.AcceptedAt.After(erasedAt) {
		problem = notFound("contact") // it was, when the command was accepted
	}
	if problem == nil {
		if holder, taken := p.taken(made); taken {
			problem = duplicateExternalID(holder)
		}
	}
	operation := command.End(made, problem, p.now)
	if problem == nil && (current == nil || made.Version > current.Version) {
		version, err := newVersion(made, operation, stored.Keys)
		if err != nil {
			return err
		}
		p.effects.Versions = append(p.effects.Versions, version)
		outcome.Current = version.Document
		if command.Kind != Erase {
			p.effects.Documents = append(p.effects.Documents, version.Document)
		}
	}
	if problem == nil {
		operation.Document = outcome.Current.JSON
		if command.Kind == Erase {
			p.effects.Documents = append(p.effects.Documents, outcome.Current)
			p.effects.Erased = append(p.effects.Erased, Erasure{
				ContactKey{command.Tenant, command.Contact}, current.Fields.ExternalID, command.AcceptedAt,
			})
		}
	}
	p.effects.Operations = append(p.effects.Operations, operation)
	outcome.Operation = operation
	return nil
}

func newVersion(made Contact, operation Operation, keys []string) (Version, error) {
	document, err := made.Document()
	if err != nil {
		return Version{}, err
	}
	v := Version{Contact: made, Document: document, Index: made.Index(), Operation: operation.ID, ChangedAt: operation.EndedAt}
	v.OldKeys, v.NewKeys = without(keys, v.Index.Keys), without(v.Index.Keys, keys)
	return v, nil
}

// without returns the values that are not among others.
func without(values, others []string) (left []string) {
	for _, value := range values {
		if !slices.Contains(others, value) {
			left = append(left, value)
		}
	}
	return left
}

// taken reports whether another live contact of the tenant, the holder, has the contact's
// external_id, and claims it for the contact otherwise.
func (p *plan) taken(made Contact) (holder uuid.UUID, taken bool) {
	if made.Deleted || made.Fields.ExternalID == "" {
		return uuid.Nil, false
	}
	claim := ExternalKey{made.Tenant, made.Fields.ExternalID}
	holder, held := p.claimed[claim]
	if !held {
		holder, held = p.state.Holders[claim]
	}
	if held && holder != made.ID {
		return holder, true
	}
	p.claimed[claim] = made.ID
	return uuid.Nil, false
}

// Contact decodes the document of a contact that is there, or deleted. A deleted one has no
// times.
func (d Document) Contact() (Contact, error) {
	if d.State != Live {
		return Contact{Tenant: d.Tenant, ID: d.ID, Version: d.Version, Deleted: true}, nil
	}
	var r Representation
	if err := json.Unmarshal(d.JSON, &r); err != nil {
		return Contact{}, fmt.Errorf("decode a stored document: %w", err)
	}
	return Contact{
		Tenant: d.Tenant, ID: d.ID, Version: d.Version, CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Fields: r.Fields,
	}, nil
}
