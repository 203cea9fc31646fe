// Package contactstest holds the contract suites that every adapter of a port of package
// contacts must pass, and builders for tests.
package contactstest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// NewTenant returns a tenant that no other test uses, so that tests can share a database.
func NewTenant() contacts.Tenant { return contacts.Tenant("test-" + uuid.NewString()) }

// NewID returns a new UUIDv7.
func NewID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	require.NoError(t, err)
	return id
}

// Jane returns valid fields of the shape that seeds have, normalized.
func Jane(t testing.TB) contacts.Fields {
	t.Helper()
	return Normalize(t, contacts.Fields{FirstName: "Jane", LastName: "Doe", Email: "jane@example.com", Phone: "987654321"})
}

// Full returns valid fields with every member filled, normalized.
func Full(t testing.TB) contacts.Fields {
	t.Helper()
	return Normalize(t, contacts.Fields{
		FirstName: "Zoë", MiddleName: "Ana", LastName: "Núñez <& Söhne>", NamePrefix: "Dr.", NameSuffix: "PhD",
		Nickname: "Zo", DisplayName: "Zoë N.",
		Emails:       []contacts.EmailAddress{{Address: "zoe@example.com", Label: "work"}, {Address: "z@example.org"}},
		Phones:       []contacts.PhoneNumber{{Number: "+51 987 654 321", Label: "mobile"}, {Number: "ext 12"}},
		Addresses:    []contacts.PostalAddress{{Street: "1 Main St\nFloor 2", City: "Lima", Region: "LIM", PostalCode: "15001", Country: "PE", Label: "home"}},
		Organization: "Example & Co", Department: "R&D", JobTitle: "Engineer", Birthday: "--02-29",
		URLs: []string{"https://example.com/~zoe"}, Notes: "line one\nline \"two\" \u2028 日本語 😀", Labels: []string{"vip", "peru"},
		CustomFields: map[string]contacts.CustomValue{
			"b/c~d": contacts.CustomText("1"), "a": contacts.CustomText("ü"), "empty": {}, "number": customLiteral(t, "12345678901234567890.5"),
			"boolean": customLiteral(t, "false"),
		},
		ExternalID: "crm-" + uuid.NewString(),
	})
}

// customLiteral returns a number or a boolean, given as JSON.
func customLiteral(t testing.TB, text string) (value contacts.CustomValue) {
	t.Helper()
	require.NoError(t, value.UnmarshalJSON([]byte(text)))
	return value
}

// Normalize returns valid fields as they are stored.
func Normalize(t testing.TB, fields contacts.Fields) contacts.Fields {
	t.Helper()
	normal, err := fields.Normalize("")
	require.NoError(t, err)
	return normal
}

// NewCommand returns a command of its own operation, as the API would send it.
func NewCommand(t testing.TB, kind contacts.CommandKind, tenant contacts.Tenant, contact uuid.UUID) contacts.Command {
	t.Helper()
	return contacts.Command{
		Operation: NewID(t), Tenant: tenant, Contact: contact, Kind: kind,
		AcceptedAt: time.Now().UTC().Truncate(time.Microsecond),
	}
}

// CreateCommand returns the command that creates a new contact.
func CreateCommand(t testing.TB, tenant contacts.Tenant, fields contacts.Fields) contacts.Command {
	t.Helper()
	command := NewCommand(t, contacts.Create, tenant, NewID(t))
	command.Fields = fields
	return command
}

// MergeCommand returns the command that merges a patch into a contact.
func MergeCommand(t testing.TB, tenant contacts.Tenant, contact uuid.UUID, patch string) contacts.Command {
	t.Helper()
	command := NewCommand(t, contacts.Merge, tenant, contact)
	fields, err := contacts.DecodeFields([]byte(patch))
	require.NoError(t, err)
	command.Patch, err = contacts.NewPatch([]byte(patch), fields)
	require.NoError(t, err)
	return command
}
