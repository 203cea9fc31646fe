package contacts_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

func TestTenant_Validate(t *testing.T) {
	t.Parallel()
	for _, name := range []contacts.Tenant{
		contacts.DefaultTenant, "x", "org_2xK|7", "https://id.example.com/tenants/42?a=b&c", `"'\\,;{}*$1--`, "0f8fad5b-d9cb-469f-a165-70867728950e",
		contacts.Tenant(strings.Repeat("x", 128)),
	} {
		require.NoError(t, name.Validate(), name)
	}
	for _, name := range []contacts.Tenant{
		"", " ", "two names", " leading", "trailing ", "line\nbreak", "tab\t", "nul\x00", "del\x7f", "ünïcode", "\xff", "a\u00a0b",
		contacts.Tenant(strings.Repeat("x", 129)),
	} {
		err := name.Validate()
		require.ErrorContains(t, err, "expected a tenant's name of 1 to 128 visible ASCII characters", "%q", string(name))
		require.False(t, len(name) > 2 && strings.Contains(err.Error(), string(name)), "the error does not show it")
	}
}
