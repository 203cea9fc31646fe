package contacts_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func BenchmarkFields_Normalize(b *testing.B) {
	fields := contactstest.Jane(b)
	b.ReportAllocs()
	for b.Loop() {
		_, err := fields.Normalize("PE")
		require.NoError(b, err)
	}
}

func BenchmarkCommand_Merge(b *testing.B) {
	command := contactstest.MergeCommand(b, contacts.DefaultTenant, contactstest.NewID(b), `{"nickname":"J"}`)
	current := contacts.Contact{Version: 1, Fields: contactstest.Full(b)}
	b.ReportAllocs()
	for b.Loop() {
		_, problem := command.Decide(&current, time.Now())
		require.Nil(b, problem)
	}
}

func BenchmarkContact_Index(b *testing.B) {
	contact := contacts.Contact{Fields: contactstest.Full(b)}
	b.ReportAllocs()
	for b.Loop() {
		require.NotEmpty(b, contact.Index().Text)
	}
}
