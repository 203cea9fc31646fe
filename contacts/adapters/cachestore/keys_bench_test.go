package cachestore_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/cachestore"
	"contacts/contacts/contactstest"
)

// BenchmarkKeys_Authenticate is what every request pays for its key.
func BenchmarkKeys_Authenticate(b *testing.B) {
	keys := contacts.NewKeys(cachestore.NewKeys(new(contactstest.KeyModel), nil))
	secret, _, err := keys.Issue(b.Context(), "acme", contacts.Scopes(), time.Time{})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Authenticate(b.Context(), secret); err != nil {
			b.Fatal(err)
		}
	}
}
