package oidc

import (
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/oidc/oidctest"
)

// BenchmarkVerifier_Verify compares a token that is remembered with one that is not.
func BenchmarkVerifier_Verify(b *testing.B) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		issuer := oidctest.NewIssuer(b, oidctest.NewKey(b, algorithm))
		verifier, err := New(Options{Issuer: issuer.URL, Audiences: []string{oidctest.Audience}, TenantClaim: "tenant"})
		require.NoError(b, err)
		token := issuer.Token(map[string]any{
			"scope": "contacts:read contacts:write", "azp": "web", "realm_access": map[string]any{"roles": []string{"user", "admin"}},
			"name": "Jane Doe", "email": "jane@example.com", "jti": "f9cb1d2e-6d5c-4a64-8f0c-0a4ce5b3bd7e",
		})
		_, err = verifier.Verify(b.Context(), token)
		require.NoError(b, err)
		b.Run(algorithm+"/first", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(algorithm+"/remembered", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := verifier.Verify(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
