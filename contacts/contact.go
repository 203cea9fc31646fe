// Package contacts is the inside of the hexagon: what a contact is, the commands that change
// it, the use cases, and the ports through which they reach the world. It knows no database,
// no queue, no cache and no protocol; those live in adapters/ and are wired in cmd/.
package contacts

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Tenant owns contacts; nothing is ever visible across tenants. It comes from the caller's
// credential.
type Tenant string

// DefaultTenant is the only tenant while authentication is off.
const DefaultTenant Tenant = "default"

// maxTenant is how long a tenant's name may be, in characters.
const maxTenant = 128

// Validate says what a tenant's name has to be: 1 to 128 visible ASCII characters (0x21 to
// 0x7E), so that a space can stand between names. Code that takes a tenant from outside has to
// ask; the error does not show the name.
func (t Tenant) Validate() error {
	invisible := func(r rune) bool { return r <= ' ' || r > '~' }
	if t == "" || len(t) > maxTenant || strings.ContainsFunc(string(t), invisible) {
		return fmt.Errorf("expected a tenant's name of 1 to %d visible ASCII characters, without spaces", maxTenant)
	}
	return nil
}

// Fields are what people fill in of a contact. The JSON names are the API's.
//
// A Fields value out of a [Contact] is normalized: see [Fields.Normalize]. Any other may hold
// anything.
type Fields struct {
	FirstName   string `json:"first_name,omitempty"`
	MiddleName  string `json:"middle_name,omitempty"`
	LastName    string `json:"last_name,omitempty"`
	NamePrefix  string `json:"name_prefix,omitempty"`
	NameSuffix  string `json:"name_suffix,omitempty"`
	Nickname    string `json:"nickname,omitempty"`
	DisplayName string `json:"display_name,omitempty"` // given, or composed of the others

	Email  string         `json:"email,omitempty"` // shorthand for Emails[0].Address
	Phone  string         `json:"phone,omitempty"` // shorthand for Phones[0].Number
	Emails []EmailAddress `json:"emails,omitempty"`
	Phones []PhoneNumber  `json:"phones,omitempty"`

	Addresses    []PostalAddress `json:"addresses,omitempty"`
	Organization string          `json:"organization,omitempty"`
	Department   string          `json:"department,omitempty"`
	JobTitle     string          `json:"job_title,omitempty"`
	// YYYY-MM-DD, YYYY-MM, YYYY or --MM-DD (RFC 6350, 4.3.1)
	Birthday     string                 `json:"birthday,omitempty"`
	URLs         []string               `json:"urls,omitempty"`
	Notes        string                 `json:"notes,omitempty"`
	Labels       []string               `json:"labels,omitempty"`
	CustomFields map[string]CustomValue `json:"custom_fields,omitempty"`
	// unique among a tenant's live contacts
	ExternalID string `json:"external_id,omitempty"`
}

// EmailAddress is one address of a contact.
type EmailAddress struct {
	Address string `json:"address"`
	Label   string `json:"label,omitempty"`
}

// PhoneNumber is one number of a contact, as it was written.
type PhoneNumber struct {
	Number string `json:"number"`
	E164   string `json:"e164,omitempty"` // derived where Number parses; ITU-T E.164
	Label  string `json:"label,omitempty"`
}

// PostalAddress is one place of a contact. Every part is optional, but not all of them.
type PostalAddress struct {
	Street     string `json:"street,omitempty"`
	City       string `json:"city,omitempty"`
	Region     string `json:"region,omitempty"`
	PostalCode string `json:"postal_code,omitempty"`
	Country    string `json:"country,omitempty"`
	Label      string `json:"label,omitempty"`
}

// Contact is one version of one contact. Only [Command.Decide] makes new ones; a repository
// rebuilds stored ones.
type Contact struct {
	Tenant    Tenant
	ID        uuid.UUID // UUIDv7
	Version   int64     // 1, 2, 3 …, never reused
	CreatedAt time.Time // UTC, whole microseconds
	UpdatedAt time.Time // UTC, whole microseconds
	Deleted   bool      // the version is a tombstone
	Fields    Fields    // normalized
}

// Document returns the contact as readers get it.
func (c Contact) Document() (Document, error) {
	document := Document{Tenant: c.Tenant, ID: c.ID, Version: c.Version, State: Gone}
	if c.Deleted {
		return document, nil
	}
	body, err := Encode(Representation{
		ID: c.ID, Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt, Fields: c.Fields,
	})
	if err != nil {
		return Document{}, err
	}
	document.State, document.JSON = Live, body
	return document, nil
}

// Representation is the JSON form of a live contact.
type Representation struct {
	ID        uuid.UUID `json:"id"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	Fields
}

// State says what a [Document] knows of its contact.
type State int

// The states of a document.
const (
	Absent State = iota // no such contact
	Live                // JSON holds it
	Gone                // deleted by Version
)

// Document is what readers get of one contact: its version, and the bytes of its
// [Representation].
type Document struct {
	Tenant  Tenant
	ID      uuid.UUID
	Version int64 // 0 when Absent
	State   State
	JSON    json.RawMessage // nil unless Live; never to be changed
}
