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
	TenantID  string     `json:"tenant_id" gorm:"primaryKey"`
	ID        uuid.UUID  `json:"id" gorm:"primaryKey"`
	Version   int64      `json:"version"`
	CreatedAt time.Time  `json:"created_at" gorm:"autoCreateTime:false"`
	UpdatedAt time.Time  `json:"updated_at" gorm:"autoUpdateTime:false"`
	DeletedAt *time.Time `json:"deleted_at"`

	FirstName    string `json:"first_name"`
	MiddleName   string `json:"middle_name"`
	LastName     string `json:"last_name"`
	NamePrefix   string `json:"name_prefix"`
	NameSuffix   string `json:"name_suffix"`
	Nickname     string `json:"nickname"`
	DisplayName  string `json:"display_name"`
	Email        string `json:"email"`
	Phone        string `json:"phone"`
	Organization string `json:"organization"`
	Department   string `json:"department"`
	JobTitle     string `json:"job_title"`
	Birthday     string `json:"birthday"`
	Notes        string `json:"notes"`
	ExternalID   string `json:"external_id"`

	Emails       []contacts.EmailAddress  `json:"emails" gorm:"serializer:json"`
	Phones       []contacts.PhoneNumber   `json:"phones" gorm:"serializer:json"`
	Addresses    []contacts.PostalAddress `json:"addresses" gorm:"serializer:json"`
	URLs         []string                 `json:"urls" gorm:"column:urls;serializer:json"`
	Labels       []string                 `json:"labels" gorm:"serializer:json"`
	CustomFields map[string]string        `json:"custom_fields" gorm:"serializer:json"`

	SearchText    string `json:"search_text"`
	SearchName    string `json:"search_name"`
	SearchVersion int64  `json:"search_version"` // the [contacts.IndexVersion] that made these two and the contact's keys
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
	TenantID  string    `json:"tenant_id"`
	Kind      string    `json:"kind"`
	Value     string    `json:"value"`
	ContactID uuid.UUID `json:"contact_id"`
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
	TenantID    string          `json:"tenant_id" gorm:"primaryKey"`
	ID          uuid.UUID       `json:"id" gorm:"primaryKey"`
	Kind        string          `json:"kind"`
	ContactID   uuid.UUID       `json:"contact_id"`
	Status      string          `json:"status"`
	Version     int64           `json:"version"`
	Problem     *contacts.Error `json:"problem" gorm:"serializer:json"`
	Fingerprint string          `json:"fingerprint"`
	AcceptedAt  time.Time       `json:"accepted_at"`
	EndedAt     time.Time       `json:"ended_at"`
	// Document is joined from contact_changes.
	Document *string `json:"-" gorm:"->"`
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
	TenantID    string    `json:"tenant_id"`
	ContactID   uuid.UUID `json:"contact_id"`
	Version     int64     `json:"version"`
	OperationID uuid.UUID `json:"operation_id"`
	ChangedAt   time.Time `json:"changed_at"`
	Document    *string   `json:"document"`
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
