package httpapi_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
)

// newGuardedClient asks a server whose credentials are "tenant" for all scopes, and "tenant scope" for one.
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

// route is one operation of the OpenAPI document.
type route struct {
	method, path, scope string
	body                string
}

// routes reads them from the server's own document, those that answer HEAD like GET included.
func routes(t *testing.T, c *client) []route {
	t.Helper()
	var all []route
	for path, item := range dig(t, c.do(http.MethodGet, "/openapi.json", "").json(t), "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			security := dig(t, operation, "security").([]any)
			require.Len(t, security, 1, path)
			scopes := dig(t, security[0], "bearer").([]any)
			require.Len(t, scopes, 1, path)
			for _, status := range []string{"401", "403"} {
				dig(t, operation, "responses", status, "headers", "WWW-Authenticate")
			}
			r := route{method: strings.ToUpper(method), path: path, scope: scopes[0].(string)}
			if operation.(map[string]any)["requestBody"] != nil {
				r.body = `{"first_name":"John"}`
			}
			all = append(all, r)
			if r.method == http.MethodGet {
				r.method = http.MethodHead
				all = append(all, r)
			}
		}
	}
	require.NotEmpty(t, all)
	return all
}

// TestAPI_Access asks for every route of the document without a credential, with a bad one, with one of the other scope, for
// what another tenant has, and for what nobody has.
func TestAPI_Access(t *testing.T) {
	t.Parallel()
	c := newGuardedClient(t)
	created := c.do(http.MethodPost, "/v1/contacts", jane, as("acme")...)
	require.Equal(t, http.StatusCreated, created.StatusCode, created.body)
	ids := map[string]string{
		"/v1/contacts/{id}":   strings.TrimPrefix(created.Header.Get("Location"), "/v1/contacts/"),
		"/v1/operations/{id}": c.world.Sent()[0].Operation.String(),
	}
	seen := map[string]bool{}
	for _, r := range routes(t, c) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			own := strings.Replace(r.path, "{id}", ids[r.path], 1)
			other := slices.DeleteFunc(contacts.Scopes(), func(s contacts.Scope) bool { return string(s) == r.scope })
			require.Len(t, other, 1)

			none := c.do(r.method, own, r.body)
			require.Equal(t, http.StatusUnauthorized, none.StatusCode, none.body)
			require.Equal(t, `Bearer realm="contacts"`, none.Header.Get("WWW-Authenticate"))
			for _, authorization := range []string{"Bearer bad", "bearer bad"} {
				bad := c.do(r.method, own, r.body, "Authorization", authorization)
				require.Equal(t, http.StatusUnauthorized, bad.StatusCode, bad.body)
				require.Equal(t, `Bearer realm="contacts", error="invalid_token"`, bad.Header.Get("WWW-Authenticate"))
			}
			for _, authorization := range []string{"Basic acme", "Bearer", "Bearer ", "acme"} {
				require.Equal(t, http.StatusUnauthorized, c.do(r.method, own, r.body, "Authorization", authorization).StatusCode, authorization)
			}
			wrong := c.do(r.method, own, r.body, as("acme "+string(other[0]))...)
			require.Equal(t, http.StatusForbidden, wrong.StatusCode, wrong.body)
			require.Equal(t, `Bearer realm="contacts", error="insufficient_scope"`, wrong.Header.Get("WWW-Authenticate"))
			require.Equal(t, http.StatusServiceUnavailable, c.do(r.method, own, r.body, as("away")...).StatusCode)

			// What is behind the guard is not looked at before: a body that cannot be read changes nothing.
			require.Equal(t, http.StatusUnauthorized, c.do(r.method, own+"?unknown=1", "{", "Content-Type", "text/plain").StatusCode)

			if ids[r.path] == "" {
				return
			}
			seen[r.path] = true
			foreign := c.do(r.method, own, r.body, as("rival")...)
			random := c.do(r.method, strings.Replace(r.path, "{id}", uuid.NewString(), 1), r.body, as("rival")...)
			require.Equal(t, http.StatusNotFound, foreign.StatusCode, foreign.body)
			require.Equal(t, random.StatusCode, foreign.StatusCode)
			require.Equal(t, random.body, foreign.body)
			for _, changing := range []string{"X-Request-Id", "Date"} {
				foreign.Header.Del(changing)
				random.Header.Del(changing)
			}
			require.Equal(t, random.Header, foreign.Header)
		})
	}
	require.Len(t, seen, len(ids), "a path of the test is not in the document")

	require.Empty(t, c.do(http.MethodGet, "/v1/contacts", "", as("rival")...).json(t)["items"])
	require.Empty(t, c.do(http.MethodGet, "/v1/changes", "", as("rival")...).json(t)["items"])
	require.Equal(t, created.body, c.do(http.MethodGet, created.Header.Get("Location"), "", as("acme")...).body, "somebody changed it")
	require.NotContains(t, c.log.String(), "of the test", "refused credentials are not worth a line each")
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
