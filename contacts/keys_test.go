package contacts_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func TestKeyModel_Contract(t *testing.T) {
	contactstest.RunKeys(t, func(*testing.T) contacts.KeyStore { return new(contactstest.KeyModel) })
}

// issue makes a key for all that there is.
func issue(t *testing.T, keys *contacts.Keys, tenant contacts.Tenant, expires time.Time) (string, contacts.APIKey) {
	t.Helper()
	secret, key, err := keys.Issue(t.Context(), tenant, contacts.Scopes(), expires)
	require.NoError(t, err)
	return secret, key
}

// refused requires that the error refuses the key for the reason, and that it does not tell
// the key.
func refused(t *testing.T, keys *contacts.Keys, secret, reason string) {
	t.Helper()
	caller, err := keys.Authenticate(t.Context(), secret)
	require.True(t, contacts.IsKind(err, contacts.KindUnauthenticated), "%v", err)
	require.ErrorContains(t, errors.Unwrap(err), reason)
	require.Zero(t, caller)
	if len(secret) > len("contacts_key_") {
		require.NotContains(t, err.Error()+errors.Unwrap(err).Error(), secret)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := new(contactstest.KeyModel)
		keys := contacts.NewKeys(store)
		secret, key := issue(t, keys, "acme", time.Time{})
		expires := time.Now().Add(time.Hour)
		passing, expiring := issue(t, keys, "acme", expires)
		require.Equal(t, expires.UTC(), expiring.ExpiresAt)

		caller, err := keys.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		require.Equal(t, contacts.Caller{Tenant: "acme", Subject: "key:" + key.ID.String(), Scopes: contacts.Scopes()}, caller)
		other, err := keys.Authenticate(t.Context(), passing)
		require.NoError(t, err)
		require.NotEqual(t, caller.Subject, other.Subject, "the keys of a tenant are told apart")

		time.Sleep(time.Hour - time.Nanosecond)
		_, err = keys.Authenticate(t.Context(), passing)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		refused(t, keys, passing, "expired")

		require.NoError(t, keys.Revoke(t.Context(), key.ID))
		require.NoError(t, keys.Revoke(t.Context(), key.ID))
		refused(t, keys, secret, "revoked")
		require.True(t, contacts.IsKind(keys.Revoke(t.Context(), contactstest.NewID(t)), contacts.KindNotFound))

		strange, _ := issue(t, contacts.NewKeys(new(contactstest.KeyModel)), "acme", time.Time{})
		refused(t, keys, strange, "unknown")
		listed, err := keys.List(t.Context(), "acme")
		require.NoError(t, err)
		require.Len(t, listed, 2)

		away := contacts.Unavailable("away", nil)
		store.OnLookup = func(context.Context, contacts.KeyHash) error { return away }
		_, err = keys.Authenticate(t.Context(), secret)
		require.ErrorIs(t, err, away)
	})
}

func TestKeys_Issue_Invalid(t *testing.T) {
	t.Parallel()
	keys := contacts.NewKeys(new(contactstest.KeyModel))
	for name, c := range map[string]struct {
		tenant   contacts.Tenant
		scopes   []contacts.Scope
		expires  time.Time
		pointers []string
	}{
		"everything": {"", nil, time.Now(), []string{"tenant", "scope", "expires"}},
		"space":      {"a b", contacts.Scopes(), time.Time{}, []string{"tenant"}},
		"accent":     {"é", contacts.Scopes(), time.Time{}, []string{"tenant"}},
		"long":       {contacts.Tenant(strings.Repeat("a", 129)), contacts.Scopes(), time.Time{}, []string{"tenant"}},
		"scope":      {"acme", []contacts.Scope{contacts.ScopeRead, "contacts:all"}, time.Time{}, []string{"scope"}},
	} {
		_, _, err := keys.Issue(t.Context(), c.tenant, c.scopes, c.expires)
		var problem *contacts.Error
		require.ErrorAs(t, err, &problem, name)
		var pointers []string
		for _, violation := range problem.Violations {
			pointers = append(pointers, violation.Pointer)
		}
		require.Equal(t, c.pointers, pointers, name)
	}
	listed, err := keys.List(t.Context(), "")
	require.NoError(t, err)
	require.Empty(t, listed)
	issue(t, keys, contacts.Tenant(strings.Repeat("~", 128)), time.Time{})
}

// What is mistyped, or cut, or of others, is refused without the store being asked.
func TestKeys_Form(t *testing.T) {
	t.Parallel()
	store := new(contactstest.KeyModel)
	keys := contacts.NewKeys(store)
	var asked []contacts.KeyHash
	store.OnLookup = func(_ context.Context, hash contacts.KeyHash) error { asked = append(asked, hash); return nil }
	form := regexp.MustCompile(`^contacts_key_[A-Z2-7]{59}$`)
	seen := map[string]bool{}
	for range 10 {
		secret, _ := issue(t, keys, "acme", time.Time{})
		require.Regexp(t, form, secret)
		require.False(t, seen[secret])
		seen[secret] = true
		require.True(t, contacts.IsAPIKey(secret))
		for i := range len(secret) {
			for _, typo := range []byte("2aZ_ \x00") {
				if typo != secret[i] {
					refused(t, keys, secret[:i]+string(typo)+secret[i+1:], "no API key")
				}
			}
			if i > 0 && secret[i] != secret[i-1] {
				refused(t, keys, secret[:i-1]+secret[i:i+1]+secret[i-1:i]+secret[i+1:], "no API key")
			}
			refused(t, keys, secret[:i], "no API key")
		}
		refused(t, keys, secret+"0", "no API key")
	}
	require.Empty(t, asked)
	for secret := range seen {
		_, err := keys.Authenticate(t.Context(), secret)
		require.NoError(t, err)
		require.Equal(t, contacts.KeyHash(sha256.Sum256([]byte(secret))), asked[len(asked)-1])
	}
}

func FuzzKeys_Authenticate(f *testing.F) {
	keys := contacts.NewKeys(new(contactstest.KeyModel))
	f.Add("")
	f.Add("contacts_key_")
	f.Add("contacts_key_" + strings.Repeat("A", 59))
	f.Fuzz(func(t *testing.T, credential string) {
		_, err := keys.Authenticate(t.Context(), credential)
		require.True(t, contacts.IsKind(err, contacts.KindUnauthenticated), "%v", err)
	})
}
