package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/contacts/contactstest"
)

// newGuardedClient asks a server whose credentials are "tenant" for all scopes, and "tenant
// scope" for one.
func newGuardedClient(t *testing.T) *client {
	t.Helper()
	w, log, audit := newWorld(), &syncBuffer{}, &syncBuffer{}
	server := httptest.NewServer(httpapi.New(contacts.NewService(w.options()), httpapi.Options{
		WriteWait: time.Minute, Log: slog.New(slog.NewJSONHandler(log, nil)), Audit: slog.New(slog.NewJSONHandler(audit, nil)),
		Authenticate: func(_ context.Context, credential string) (contacts.Caller, error) {
			switch tenant, scope, one := strings.Cut(credential, " "); {
			case tenant == "away":
				return contacts.Caller{}, contacts.Unavailable("credentials cannot be checked now", errors.New("no answer"))
			case tenant == "bad":
				return contacts.Caller{}, contacts.Unauthenticated(errors.New("of the test"))
			case one:
				return contacts.Caller{Tenant: contacts.Tenant(tenant), Scopes: []contacts.Scope{contacts.Scope(scope)}}, nil
			default:
				return contacts.Caller{Tenant: contacts.Tenant(tenant), Scopes: contacts.Scopes()}, nil
			}
		},
	}))
	t.Cleanup(server.Close)
	return &client{t: t, world: w, url: server.URL, log: log, audit: audit}
}

// as is the header of a credential.
func as(credential string) []string { return []string{"Authorization", "Bearer " + credential} }

func TestAPI_Access(t *testing.T) {
	t.Parallel()
	c := newGuardedClient(t)
	contactstest.RunAccess(t, contactstest.GuardedAPI{
		URL: c.url, Owner: "acme", Rival: "rival", Bad: []string{"bad"},
		Only: map[contacts.Scope]string{contacts.ScopeRead: "acme contacts:read", contacts.ScopeWrite: "acme contacts:write"},
	})
	require.Equal(t, http.StatusServiceUnavailable, c.do(http.MethodGet, "/v1/contacts", "", as("away")...).StatusCode)
	require.NotContains(t, c.log.String(), "of the test", "refused credentials are not worth a line each")
	require.Empty(t, c.do(http.MethodGet, "/v1/contacts", "", as("rival")...).json(t)["items"])
	require.Empty(t, c.do(http.MethodGet, "/v1/changes", "", as("rival")...).json(t)["items"])
}

// Without credentials the document asks for none.
func TestAPI_Access_Open(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	document := c.do(http.MethodGet, "/openapi.json", "")
	require.NotContains(t, document.body, `"security`)
	require.NotContains(t, document.body, `"401"`)
	c.create(jane)
	require.Equal(t, contacts.DefaultTenant, c.world.Sent()[0].Tenant)
}

// A caller that waits for changes is told none that come after the credential has ended.
func TestAPI_Access_EndsWhileWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld()
	service := contacts.NewService(w.options())
	var revoked atomic.Bool
	server := httptest.NewServer(httpapi.New(service, httpapi.Options{
		Log: slog.New(slog.DiscardHandler),
		Authenticate: func(context.Context, string) (contacts.Caller, error) {
			if revoked.Load() {
				return contacts.Caller{}, contacts.Unauthenticated(errors.New("revoked"))
			}
			return contacts.Caller{Tenant: "acme", Scopes: contacts.Scopes()}, nil
		},
	}))
	t.Cleanup(server.Close)
	client := contactstest.HTTP{URL: server.URL, Credential: "key"}
	ask := func(path, accept string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer key")
		request.Header.Set("Accept", accept)
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer
	}
	_, err := client.Create(t.Context(), contactstest.Jane(t), contacts.Write{Wait: time.Minute})
	require.NoError(t, err)
	var page struct {
		Next string `json:"next_cursor"`
	}
	require.NoError(t, json.NewDecoder(ask("/v1/changes", "application/json").Body).Decode(&page))

	waited, looks := make(chan *http.Response), w.looks.Load()
	go func() { waited <- ask("/v1/changes?wait=50&cursor="+url.QueryEscape(page.Next), "application/json") }()
	require.Eventually(t, func() bool { return w.looks.Load() > looks }, 10*time.Second, time.Millisecond)
	next := events(t, ask("/v1/changes?cursor="+url.QueryEscape(page.Next), "text/event-stream").Body)
	require.NotContains(t, next(), "data")
	revoked.Store(true)
	direct := contactstest.Direct{Service: service, Caller: contacts.Caller{Tenant: "acme"}}
	_, err = direct.Create(t.Context(), contactstest.Jane(t), contacts.Write{Wait: time.Minute})
	require.NoError(t, err)
	require.Nil(t, next(), "the stream has ended")
	require.Equal(t, http.StatusUnauthorized, (<-waited).StatusCode)
}

// With two credentials it is not known which caller is meant.
func TestAPI_TwoCredentials(t *testing.T) {
	t.Parallel()
	c := newGuardedClient(t)
	for _, path := range []string{"/v1/contacts", "/v1/changes"} {
		for _, second := range []string{"acme", "rival", "bad"} {
			refused := c.do(http.MethodGet, path, "", append(as("acme"), append(as(second), "Accept", "text/event-stream")...)...)
			require.Equal(t, http.StatusBadRequest, refused.StatusCode, refused.body)
			require.Equal(t, "Authorization", dig(t, refused.json(t)["errors"].([]any)[0], "header"))
		}
	}
	refused := c.do(http.MethodPost, "/v1/contacts", jane, append(as("acme"), as("rival")...)...)
	require.Equal(t, http.StatusBadRequest, refused.StatusCode, refused.body)
	require.Empty(t, c.world.Sent())
}
