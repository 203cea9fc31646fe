package oidc_test

import (
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/oidc"
	"contacts/platform/oidc/oidctest"
)

// open returns a verifier for the issuer's tokens; change alters its options.
func open(t testing.TB, issuer *oidctest.Issuer, change func(*oidc.Options)) *oidc.Verifier {
	t.Helper()
	options := oidc.Options{
		Issuer: issuer.URL, Audiences: []string{oidctest.Audience}, TenantClaim: "tenant", Log: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&options)
	}
	verifier, err := oidc.New(options)
	require.NoError(t, err)
	return verifier
}

// openInBubble returns a verifier that can ask the issuer where time is the test's own.
func openInBubble(t testing.TB, issuer *oidctest.Issuer) *oidc.Verifier {
	t.Helper()
	return open(t, issuer, func(o *oidc.Options) { o.Client = &http.Client{Transport: issuer} })
}

// rsaKeys are made once: it takes a while.
var (
	rsaKeys     []oidctest.Key
	rsaKeysOnce sync.Once
)

// rsaKey returns one of three RSA keys.
func rsaKey(t testing.TB, n int) oidctest.Key {
	t.Helper()
	rsaKeysOnce.Do(func() {
		for range 3 {
			rsaKeys = append(rsaKeys, oidctest.NewKey(t, "RS256"))
		}
	})
	return rsaKeys[n]
}

// TestVerifier_Verify_Issuers has access tokens with the headers and claims that the large
// issuers' documentation shows.
func TestVerifier_Verify_Issuers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	issued, expires := now.Unix(), now.Add(time.Hour).Unix()
	for name, c := range map[string]struct {
		path           string // of the issuer's URL
		options        oidc.Options
		header, claims map[string]any
		subject        string
		scopes         []string
	}{
		"Amazon Cognito": {
			path: "/eu-west-1_Example01",
			options: oidc.Options{
				Audiences: []string{"6example1client", "7example2client"}, AudienceClaim: "client_id",
				TenantClaim: "custom:tenant", ScopePrefix: "https://contacts.example.com/",
			},
			claims: map[string]any{
				"sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "device_key": "eu-west-1_aaaaaaaa", "cognito:groups": []string{"admin"},
				"version": 2, "client_id": "7example2client", "origin_jti": "aaaaaaaa-bbbb", "event_id": "aaaaaaaa-cccc",
				"token_use": "access", "scope": "openid https://contacts.example.com/contacts:read https://contacts.example.com/contacts:write",
				"auth_time": issued, "exp": expires, "iat": issued, "jti": "aaaaaaaa-dddd", "username": "jane", "custom:tenant": "acme",
			},
			subject: "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
			scopes:  []string{"contacts:read", "contacts:write"},
		},
		"Keycloak": {
			path: "/realms/acme",
			options: oidc.Options{
				Audiences: []string{"contacts"}, TenantClaim: "/organization/name", ScopeClaim: "/resource_access/contacts/roles",
			},
			header: map[string]any{"typ": "JWT"},
			claims: map[string]any{
				"exp": expires, "iat": issued, "auth_time": issued, "jti": "onrtac:1c0d2a1e", "aud": []string{"contacts", "account"},
				"sub": "f9cb1d2e-6d5c-4a64-8f0c-0a4ce5b3bd7e", "typ": "Bearer", "azp": "web", "sid": "5a2b", "acr": "1",
				"allowed-origins": []string{"https://app.example.com"},
				"realm_access":    map[string]any{"roles": []string{"offline_access", "default-roles-acme"}},
				"resource_access": map[string]any{
					"contacts": map[string]any{"roles": []string{"contacts:read"}},
					"account":  map[string]any{"roles": []string{"manage-account"}},
				},
				"scope": "openid email profile", "email_verified": true, "preferred_username": "jane", "organization": map[string]any{"name": "acme"},
			},
			subject: "f9cb1d2e-6d5c-4a64-8f0c-0a4ce5b3bd7e",
			scopes:  []string{"contacts:read"},
		},
		"Auth0": {
			path: "/",
			options: oidc.Options{
				Audiences: []string{"https://contacts.example.com"}, TenantClaim: "https://contacts.example.com/tenant", ScopeClaim: "permissions",
			},
			header: map[string]any{"typ": "JWT"},
			claims: map[string]any{
				"sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": []string{"https://contacts.example.com", "https://acme.eu.auth0.com/userinfo"},
				"iat": issued, "exp": expires, "azp": "my_client_id", "scope": "openid profile contacts:read",
				"permissions": []string{"contacts:read", "contacts:write"}, "https://contacts.example.com/tenant": "acme",
			},
			subject: "auth0|5f7c8ec7c33c6c004bbafe82",
			scopes:  []string{"contacts:read", "contacts:write"},
		},
		"Auth0, RFC 9068, for a machine": {
			path:    "/",
			options: oidc.Options{Audiences: []string{"https://contacts.example.com"}, TenantClaim: "org_id"},
			header:  map[string]any{"typ": "at+jwt"},
			claims: map[string]any{
				"sub": "my_client_id@clients", "aud": "https://contacts.example.com", "iat": issued, "exp": expires, "jti": "73WakrfVbNJBaAmhQtEeDv",
				"client_id": "my_client_id", "scope": "contacts:read", "gty": "client-credentials", "org_id": "acme",
			},
			subject: "my_client_id@clients",
			scopes:  []string{"contacts:read"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key := rsaKey(t, 0)
			issuer := oidctest.NewIssuer(t, key)
			issuer.URL += c.path
			c.options.Issuer = issuer.URL
			verifier, err := oidc.New(c.options)
			require.NoError(t, err)

			c.claims["iss"] = issuer.URL
			identity, err := verifier.Verify(t.Context(), key.Sign(t, c.header, c.claims))
			require.NoError(t, err)
			require.Equal(t, oidc.Identity{Subject: c.subject, Tenant: "acme", Scopes: c.scopes, Expires: time.Unix(expires, 0)}, identity)
		})
	}
}

func TestVerifier_Verify_Algorithms(t *testing.T) {
	t.Parallel()
	for _, algorithm := range oidc.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			var key oidctest.Key
			if algorithm[1] == 'S' && algorithm[0] != 'E' {
				key = rsaKey(t, 0)
				key.Algorithm = algorithm
			} else {
				key = oidctest.NewKey(t, algorithm)
			}
			issuer := oidctest.NewIssuer(t, key)
			token := issuer.Token(nil)
			_, err := open(t, issuer, nil).Verify(t.Context(), token)
			require.NoError(t, err)

			others := slices.DeleteFunc(oidc.Algorithms(), func(a string) bool { return a == algorithm })
			_, err = open(t, issuer, func(o *oidc.Options) { o.Algorithms = others }).Verify(t.Context(), token)
			require.ErrorIs(t, err, oidc.ErrInvalid)
			require.ErrorContains(t, err, "its algorithm is not allowed")

			key.Members = map[string]any{"alg": nil, "use": nil, "key_ops": []string{"verify"}}
			issuer.Publish(key)
			_, err = open(t, issuer, nil).Verify(t.Context(), token)
			require.NoError(t, err, "the key does not say what it is for")
		})
	}
}

// What is not a forgery, though it looks odd.
func TestVerifier_Verify_Odd(t *testing.T) {
	t.Parallel()
	key := oidctest.NewKey(t, "ES256")
	issuer := oidctest.NewIssuer(t, key)
	verifier := open(t, issuer, nil)
	for name, claims := range map[string]map[string]any{
		"without a date of issue": {"iat": nil},
		"with a time to begin":    {"nbf": time.Now().Unix()},
		"a fraction of a second":  {"exp": float64(time.Now().Unix()) + 60.5},
		"several audiences":       {"aud": []string{"another", oidctest.Audience}},
		"an audience in an array": {"aud": []string{oidctest.Audience}},
	} {
		_, err := verifier.Verify(t.Context(), issuer.Token(claims))
		require.NoError(t, err, name)
	}
	for _, kind := range []string{"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"} {
		_, err := verifier.Verify(t.Context(), key.Sign(t, map[string]any{"typ": kind}, issuer.Claims(nil)))
		require.NoError(t, err, kind)
	}
	for scope, want := range map[any][]string{
		"": nil, " ": nil, "a": {"a"}, "a b": {"a", "b"}, " a  b ": {"a", "b"},
	} {
		identity, err := verifier.Verify(t.Context(), issuer.Token(map[string]any{"scope": scope}))
		require.NoError(t, err)
		require.Equal(t, want, identity.Scopes, scope)
	}
	identity, err := verifier.Verify(t.Context(), issuer.Token(map[string]any{"scope": []string{"", "a b", "c"}}))
	require.NoError(t, err)
	require.Equal(t, []string{"a b", "c"}, identity.Scopes, "an array's elements are whole")
	identity, err = verifier.Verify(t.Context(), issuer.Token(nil))
	require.NoError(t, err)
	require.Nil(t, identity.Scopes)
}

func TestVerifier_Verify_ScopePrefix(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, func(o *oidc.Options) { o.ScopePrefix = "service/" })
	identity, err := verifier.Verify(t.Context(), issuer.Token(map[string]any{"scope": "write service/read other/write service/ xservice/write"}))
	require.NoError(t, err)
	require.Equal(t, []string{"read"}, identity.Scopes)
}

func TestVerifier_Verify_ClaimsByPointer(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, func(o *oidc.Options) { o.TenantClaim = "/a~1b/c~0d/" })
	identity, err := verifier.Verify(t.Context(), issuer.Token(map[string]any{"a/b": map[string]any{"c~d": map[string]any{"": "acme"}}}))
	require.NoError(t, err)
	require.Equal(t, "acme", identity.Tenant)

	for _, way := range []any{
		nil, "acme", []any{"acme"}, map[string]any{"c~d": "acme"}, map[string]any{"c~d": map[string]any{"x": "acme"}},
	} {
		_, err = verifier.Verify(t.Context(), issuer.Token(map[string]any{"a/b": way}))
		require.ErrorIs(t, err, oidc.ErrInvalid)
		require.ErrorContains(t, err, `it has no "a/b/c~d/"`)
	}
}

// The dates count within the skew, to the nanosecond.
func TestVerifier_Verify_Skew(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	synctest.Test(t, func(t *testing.T) {
		verifier := openInBubble(t, issuer)
		now := time.Now().Unix()
		expiring := issuer.Token(map[string]any{"exp": now})
		for _, claim := range []string{"nbf", "iat"} {
			early := issuer.Token(map[string]any{claim: now + 30, "exp": now + 1000})
			_, err := verifier.Verify(t.Context(), early)
			require.NoError(t, err)
			early = issuer.Token(map[string]any{claim: now + 31, "exp": now + 1000})
			_, err = verifier.Verify(t.Context(), early)
			require.ErrorIs(t, err, oidc.ErrInvalid, claim)
			defer func() {
				_, err = verifier.Verify(t.Context(), early)
				require.NoError(t, err, "what was refused is not remembered")
			}()
		}
		time.Sleep(30*time.Second - time.Nanosecond)
		_, err := verifier.Verify(t.Context(), expiring)
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = verifier.Verify(t.Context(), expiring)
		require.ErrorIs(t, err, oidc.ErrInvalid, "a remembered token expires, too")
		require.ErrorContains(t, err, "it has expired")
		_, err = openInBubble(t, issuer).Verify(t.Context(), expiring)
		require.ErrorIs(t, err, oidc.ErrInvalid)
		time.Sleep(time.Second)
	})
}

// A remembered token is not verified again: that would make several hundred allocations.
func TestVerifier_Verify_Remembers(t *testing.T) {
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, nil)
	token := issuer.Token(nil)
	allocations := testing.AllocsPerRun(100, func() { _, _ = verifier.Verify(t.Context(), token) })
	require.Less(t, allocations, 10.0)
}

// What a caller does with an identity does not change the next one's.
func TestVerifier_Verify_OwnScopes(t *testing.T) {
	t.Parallel()
	issuer := oidctest.NewIssuer(t)
	verifier := open(t, issuer, nil)
	token := issuer.Token(map[string]any{"scope": "read"})
	for range 3 {
		identity, err := verifier.Verify(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, []string{"read"}, identity.Scopes)
		identity.Scopes[0] = "write"
	}
}

func TestNew_Errors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*oidc.Options)
		want   string
	}{
		"no issuer":           {func(o *oidc.Options) { o.Issuer = "" }, "Issuer"},
		"issuer not a URL":    {func(o *oidc.Options) { o.Issuer = "https://a b" }, "Issuer"},
		"issuer without host": {func(o *oidc.Options) { o.Issuer = "https:///realms/a" }, "Issuer"},
		"issuer over http":    {func(o *oidc.Options) { o.Issuer = "http://issuer.example.com" }, "Issuer"},
		"issuer almost local": {func(o *oidc.Options) { o.Issuer = "http://localhost.example.com" }, "Issuer"},
		"issuer with user":    {func(o *oidc.Options) { o.Issuer = "https://me@issuer.example.com" }, "Issuer"},
		"issuer with query":   {func(o *oidc.Options) { o.Issuer = "https://issuer.example.com?a=b" }, "Issuer"},
		"issuer with mark":    {func(o *oidc.Options) { o.Issuer = "https://issuer.example.com/#" }, "Issuer"},
		"no audience":         {func(o *oidc.Options) { o.Audiences = nil }, "Audiences"},
		"empty audience":      {func(o *oidc.Options) { o.Audiences = []string{"a", ""} }, "Audiences"},
		"no tenant":           {func(o *oidc.Options) { o.TenantClaim = "" }, "TenantClaim"},
		"alg none":            {func(o *oidc.Options) { o.Algorithms = []string{"RS256", "none"} }, `"none"`},
		"alg HS256":           {func(o *oidc.Options) { o.Algorithms = []string{"HS256"} }, `"HS256"`},
		"no algorithm":        {func(o *oidc.Options) { o.Algorithms = []string{} }, "Algorithms"},
		"negative skew":       {func(o *oidc.Options) { o.Skew = -1 }, "Skew"},
		"large skew":          {func(o *oidc.Options) { o.Skew = 5*time.Minute + 1 }, "Skew"},
	} {
		options := oidc.Options{Issuer: "https://issuer.example.com", Audiences: []string{"a"}, TenantClaim: "tenant"}
		_, err := oidc.New(options)
		require.NoError(t, err)
		c.change(&options)
		_, err = oidc.New(options)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := oidc.New(oidc.Options{})
	for _, option := range []string{"Issuer", "Audiences", "TenantClaim"} {
		require.ErrorContains(t, err, option, "all errors are told at once")
	}
	for _, local := range []string{"http://localhost:8080/realms/a", "http://127.0.0.1:8080", "http://[::1]:8080/"} {
		_, err := oidc.New(oidc.Options{Issuer: local, Audiences: []string{"a"}, TenantClaim: "tenant"})
		require.NoError(t, err, local)
	}
}
