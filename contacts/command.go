package contacts

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// CommandKind says what a [Command] does.
type CommandKind string

// The kinds of commands.
const (
	Create  CommandKind = "create"
	Replace CommandKind = "replace"
	// a Replace of the contact that holds the external id, or else a Create
	Upsert CommandKind = "upsert"
	Merge  CommandKind = "merge"
	Delete CommandKind = "delete"
	// a Delete, after which nothing is kept of the contact's past either
	Erase CommandKind = "erase"
)

// Command is an accepted write on its way to the database. Commands of one contact are applied
// in the order in which the queue accepted them, and those of one operation once.
type Command struct {
	Operation  uuid.UUID // see [Service]; the fence against doing it twice
	Tenant     Tenant
	Contact    uuid.UUID // of an Upsert the one that it makes if it finds none: see [Resolve]
	Kind       CommandKind
	AcceptedAt time.Time

	// of Create, Replace and Upsert; normalized, but for email and phone, which may differ
	// from a given list but in a Create
	Fields  Fields
	Patch   Patch   // of Merge
	IfMatch []int64 // the versions that all but Create may change; none: any
	// how phone numbers without a country are read; fixed when the command was accepted
	Region string

	// of the request, to tell a retry from another request under the same idempotency key
	Fingerprint string
	ReplyTo     string // where the waiting API listens; see [Outcomes]
	// the span that it was sent in (W3C Trace Context), or ""; set and read by the queue's two
	// ends
	TraceParent string
}

// Group is the command's message group: that of its contact or, as it is not known which one
// that is, an Upsert's external id. So the Upserts of an external id happen in order, and
// other writes of the contact only after those that have ended.
func (c Command) Group() string {
	if c.Kind != Upsert {
		return MessageGroup(c.Tenant, c.Contact)
	}
	return ExternalIDGroup(c.Tenant, c.Fields.ExternalID)
}

// ExternalIDGroup is the message group of the Upserts of an external id.
func ExternalIDGroup(tenant Tenant, externalID string) string {
	return groupOf(string(tenant), "external_id", externalID)
}

// MessageGroup names a contact to the queue and to locks, within all tenants, in 32
// hexadecimal digits: what happens to one contact happens in order.
func MessageGroup(tenant Tenant, contact uuid.UUID) string {
	return groupOf(string(tenant), contact.String())
}

func groupOf(names ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(names, "\x00"))) // which no tenant has
	return hex.EncodeToString(sum[:16])
}

// Decide says what the command makes of its contact as it is now: nil if there never was one,
// a deleted contact if it is gone. It returns the contact's next version, or the error that
// ends the operation; where nothing changes, as by an Erase of a deleted contact, of which
// only the past is left to erase, the contact as it is. It does nothing else, so that it may
// run any number of times before its result is committed.
func (c Command) Decide(current *Contact, now time.Time) (Contact, *Error) {
	now = now.UTC().Truncate(time.Microsecond)
	if c.Kind == Create {
		if current != nil {
			return Contact{}, staleVersion(current.Version)
		}
		fields, err := c.Fields.reconciled(Fields{}, c.Region)
		if err != nil {
			return Contact{}, asError(err)
		}
		return Contact{Tenant: c.Tenant, ID: c.Contact, Version: 1, CreatedAt: now, UpdatedAt: now, Fields: fields}, nil
	}
	switch {
	case current == nil, current.Deleted && c.Kind != Erase:
		return Contact{}, notFound("contact")
	case len(c.IfMatch) > 0 && !slices.Contains(c.IfMatch, current.Version):
		return Contact{}, staleVersion(current.Version)
	case current.Deleted:
		return *current, nil
	}
	next := *current
	next.Version++
	if next.UpdatedAt = now; now.Before(current.UpdatedAt) {
		next.UpdatedAt = current.UpdatedAt // another worker's clock was ahead
	}
	switch c.Kind {
	case Delete, Erase:
		next.Deleted, next.Fields = true, Fields{} // a tombstone keeps no data
		return next, nil
	case Merge:
		fields, err := c.Patch.merge(current.Fields)
		if err == nil {
			fields, err = fields.Normalize(c.Region)
		}
		if err != nil {
			return Contact{}, asError(err)
		}
		next.Fields = fields
	default:
		fields, err := c.Fields.reconciled(current.Fields, c.Region)
		if err != nil {
			return Contact{}, asError(err)
		}
		next.Fields = fields.following(current.Fields)
	}
	if reflect.DeepEqual(next.Fields, current.Fields) {
		return *current, nil
	}
	return next, nil
}

// ExternalID is the external_id that the command gives its contact, "" where it gives none.
func (c Command) ExternalID() string {
	if c.Kind != Merge {
		return c.Fields.ExternalID
	}
	patch, err := DecodeFields(c.Patch)
	if err != nil {
		return ""
	}
	return cleanText(patch.ExternalID)
}
