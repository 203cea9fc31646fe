package sqlstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
)

// contactRow is a row of the table contacts.
type contactRow struct {
	TenantID  string    `gorm:"primaryKey"`
	ID        uuid.UUID `gorm:"primaryKey"`
	Version   int64
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	UpdatedAt time.Time `gorm:"autoUpdateTime:false"`
	DeletedAt *time.Time

	FirstName    string
	MiddleName   string
	LastName     string
	NamePrefix   string
	NameSuffix   string
	Nickname     string
	DisplayName  string
	Email        string
	Phone        string
	Organization string
	Department   string
	JobTitle     string
	Birthday     string
	Notes        string
	ExternalID   string

	Emails       []contacts.EmailAddress  `gorm:"serializer:json"`
	Phones       []contacts.PhoneNumber   `gorm:"serializer:json"`
	Addresses    []contacts.PostalAddress `gorm:"serializer:json"`
	URLs         []string                 `gorm:"column:urls;serializer:json"`
	Labels       []string                 `gorm:"serializer:json"`
	CustomFields map[string]string        `gorm:"serializer:json"`

	SearchText    string
	SearchName    string
	SearchVersion int64 // the [contacts.IndexVersion] that made these two and the contact's keys
}

// TableName implements gorm's Tabler.
func (contactRow) TableName() string { return "contacts" }

func newContactRow(c contacts.Contact, ix contacts.Index) contactRow {
	f := c.Fields
	row := contactRow{
		TenantID: string(c.Tenant), ID: c.ID, Version: c.Version, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		FirstName: f.FirstName, MiddleName: f.MiddleName, LastName: f.LastName, NamePrefix: f.NamePrefix,
		NameSuffix: f.NameSuffix, Nickname: f.Nickname, DisplayName: f.DisplayName, Email: f.Email, Phone: f.Phone,
		Organization: f.Organization, Department: f.Department, JobTitle: f.JobTitle, Birthday: f.Birthday,
		Notes: f.Notes, ExternalID: f.ExternalID, Emails: f.Emails, Phones: f.Phones, Addresses: f.Addresses,
		URLs: f.URLs, Labels: f.Labels, CustomFields: f.CustomFields,
		SearchText: ix.Text, SearchName: ix.Name, SearchVersion: contacts.IndexVersion,
	}
	if c.Deleted {
		row.DeletedAt = &c.UpdatedAt
	}
	return row
}

func (r contactRow) contact() contacts.Contact {
	return contacts.Contact{
		Tenant: contacts.Tenant(r.TenantID), ID: r.ID, Version: r.Version,
		CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(), Deleted: r.DeletedAt != nil,
		Fields: contacts.Fields{
			FirstName: r.FirstName, MiddleName: r.MiddleName, LastName: r.LastName, NamePrefix: r.NamePrefix,
			NameSuffix: r.NameSuffix, Nickname: r.Nickname, DisplayName: r.DisplayName, Email: r.Email, Phone: r.Phone,
			Organization: r.Organization, Department: r.Department, JobTitle: r.JobTitle, Birthday: r.Birthday,
			Notes: r.Notes, ExternalID: r.ExternalID, Emails: r.Emails, Phones: r.Phones, Addresses: r.Addresses,
			URLs: r.URLs, Labels: r.Labels, CustomFields: r.CustomFields,
		},
	}
}

// keyRow is a row of the table contact_keys.
type keyRow struct {
	TenantID  string
	Kind      string
	Value     string
	ContactID uuid.UUID
}

// The kinds of keys.
const (
	emailKey = "email"
	phoneKey = "phone"
	labelKey = "label"
)

// TableName implements gorm's Tabler.
func (keyRow) TableName() string { return "contact_keys" }

// newKeyRows returns the keys of a contact, in their order.
func newKeyRows(c contacts.Contact, ix contacts.Index) []keyRow {
	var rows []keyRow
	for _, keys := range []struct {
		kind   string
		values []string
	}{{emailKey, ix.Emails}, {phoneKey, ix.Phones}, {labelKey, ix.Labels}} {
		for _, value := range keys.values {
			rows = append(rows, keyRow{string(c.Tenant), keys.kind, value, c.ID})
		}
	}
	return rows
}

// operationRow is a row of the table operations.
type operationRow struct {
	TenantID    string    `gorm:"primaryKey"`
	ID          uuid.UUID `gorm:"primaryKey"`
	Kind        string
	ContactID   uuid.UUID
	Status      string
	Version     int64
	Problem     *contacts.Error `gorm:"serializer:json"`
	Fingerprint string
	AcceptedAt  time.Time
	EndedAt     time.Time
	// Document is joined from contact_changes.
	Document *string `gorm:"->"`
}

// TableName implements gorm's Tabler.
func (operationRow) TableName() string { return "operations" }

func newOperationRow(o contacts.Operation) operationRow {
	return operationRow{
		TenantID: string(o.Tenant), ID: o.ID, Kind: string(o.Kind), ContactID: o.Contact, Status: string(o.Status),
		Version: o.Version, Problem: o.Problem, Fingerprint: o.Fingerprint, AcceptedAt: o.AcceptedAt, EndedAt: o.EndedAt,
	}
}

func (r operationRow) operation() contacts.Operation {
	o := contacts.Operation{
		ID: r.ID, Tenant: contacts.Tenant(r.TenantID), Kind: contacts.CommandKind(r.Kind), Contact: r.ContactID,
		Status: contacts.Status(r.Status), Version: r.Version, Problem: r.Problem, Fingerprint: r.Fingerprint,
		AcceptedAt: r.AcceptedAt.UTC(), EndedAt: r.EndedAt.UTC(),
	}
	if r.Document != nil {
		o.Document = json.RawMessage(*r.Document)
	}
	return o
}

// changeRow is a row of the table contact_changes, without its number.
type changeRow struct {
	TenantID    string
	ContactID   uuid.UUID
	Version     int64
	OperationID uuid.UUID
	ChangedAt   time.Time
	Document    *string
}

// TableName implements gorm's Tabler.
func (changeRow) TableName() string { return "contact_changes" }

func newChangeRow(o contacts.Operation) changeRow {
	row := changeRow{
		TenantID: string(o.Tenant), ContactID: o.Contact, Version: o.Version, OperationID: o.ID, ChangedAt: o.EndedAt,
	}
	if o.Document != nil {
		document := string(o.Document)
		row.Document = &document
	}
	return row
}

// documentOf encodes a stored contact. It fails only where a row holds what no contact can.
func documentOf(c contacts.Contact) (contacts.Document, error) {
	document, err := c.Document()
	if err != nil {
		return contacts.Document{}, fmt.Errorf("encode contact %s: %w", c.ID, err)
	}
	return document, nil
}
