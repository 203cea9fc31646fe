// Package oidctest is an OpenID Connect provider for tests: a server on loopback with
// discovery and keys, and the tokens that those keys sign.
package oidctest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a token claims unless its test says otherwise.
const (
	Audience = "test-service"
	Subject  = "test-subject"
	Tenant   = "test-tenant" // in the claim "tenant"
)

// The paths of an issuer's documents.
const (
	DiscoveryPath = "/.well-known/openid-configuration"
	KeysPath      = "/keys"
)

// Issuer is a running provider. Its methods may be called concurrently.
type Issuer struct {
	// URL is what its tokens have as "iss". A test may add a path to it before it is used.
	URL string

	t         testing.TB
	mu        sync.Mutex
	keys      []Key // published; the last one signs
	intercept func(w http.ResponseWriter, r *http.Request) (handled bool)
	requests  int
}

// NewIssuer returns a provider that serves until the test ends. It publishes the keys and
// signs with the last one; where none is given, it makes one for ES256.
func NewIssuer(t testing.TB, keys ...Key) *Issuer {
	t.Helper()
	if len(keys) == 0 {
		keys = []Key{NewKey(t, "ES256")}
	}
	issuer := &Issuer{t: t, keys: keys}
	server := httptest.NewUnstartedServer(issuer)
	issuer.URL = "http://" + server.Listener.Addr().String()
	server.Start()
	t.Cleanup(server.Close)
	return issuer
}

// Token returns an access token that is valid for five minutes. The claims replace and add to
// those that it has anyway; one whose value is nil is left out.
func (i *Issuer) Token(claims map[string]any) string {
	i.t.Helper()
	i.mu.Lock()
	key := i.keys[len(i.keys)-1]
	i.mu.Unlock()
	return key.Sign(i.t, map[string]any{"typ": "at+jwt"}, i.Claims(claims))
}

// Claims returns what Token signs.
func (i *Issuer) Claims(claims map[string]any) map[string]any {
	now := time.Now()
	return merge(map[string]any{
		"iss": i.URL, "aud": Audience, "sub": Subject, "tenant": Tenant,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}, claims)
}

// Rotate adds a new key, for the same algorithm as the one before it, which signs from now on.
func (i *Issuer) Rotate() {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(slices.Clone(i.keys), NewKey(i.t, i.keys[len(i.keys)-1].Algorithm))
}

// Publish replaces the keys. The last one signs.
func (i *Issuer) Publish(keys ...Key) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Withdraw stops publishing all keys but the one that signs.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// SetDown makes the provider answer 503, or no longer.
func (i *Issuer) SetDown(down bool) {
	if !down {
		i.Intercept(nil)
		return
	}
	i.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	})
}

// Intercept lets a test answer requests in the provider's place: those for which intercept
// returns true.
func (i *Issuer) Intercept(intercept func(w http.ResponseWriter, r *http.Request) (handled bool)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.intercept = intercept
}

// Requests returns how many requests have come: two when the keys are fetched once.
func (i *Issuer) Requests() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests
}

// ServeHTTP answers as the provider.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests++
	intercept, keys := i.intercept, i.keys
	i.mu.Unlock()
	if intercept != nil && intercept(w, r) {
		return
	}
	base := strings.TrimSuffix(i.URL, "/")
	_, own, _ := strings.Cut(base, "://")
	switch strings.TrimPrefix(r.Host+r.URL.Path, own) {
	case DiscoveryPath:
		WriteJSON(w, map[string]any{
			"issuer": i.URL, "jwks_uri": base + KeysPath,
			"authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"},
		})
	case KeysPath:
		published := make([]any, len(keys))
		for n, key := range keys {
			published[n] = key.JWK()
		}
		WriteJSON(w, map[string]any{"keys": published})
	default:
		http.NotFound(w, r)
	}
}

// RoundTrip answers a request without a connection, so that a client can ask the provider
// where time is the test's own (testing/synctest), which a connection would keep from passing.
func (i *Issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	i.ServeHTTP(recorder, r)
	return recorder.Result(), r.Context().Err()
}

// WriteJSON answers with a document.
func WriteJSON(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(document) // it fails when the caller has gone
}
