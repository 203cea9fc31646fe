package httpapi_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/platform/cache/memory"
	"contacts/platform/ratelimit"
)

// newLimitedClient asks a server whose credentials are "tenant subject scope…", each caller
// with the limit.
func newLimitedClient(t *testing.T, limiter ratelimit.Limiter, limit ratelimit.Limit) *client {
	t.Helper()
	w, log := newWorld(), &syncBuffer{}
	server := httptest.NewServer(httpapi.New(contacts.NewService(w.options()), httpapi.Options{
		WriteWait: time.Minute, Log: slog.New(slog.NewJSONHandler(log, nil)), Limiter: limiter, Limit: limit,
		Authenticate: func(_ context.Context, credential string) (contacts.Caller, error) {
			parts := strings.Fields(credential)
			if len(parts) < 2 {
				return contacts.Caller{}, contacts.Unauthenticated(errors.New("of the test"))
			}
			caller := contacts.Caller{Tenant: contacts.Tenant(parts[0]), Subject: parts[1]}
			for _, scope := range parts[2:] {
				caller.Scopes = append(caller.Scopes, contacts.Scope(scope))
			}
			return caller, nil
		},
	}))
	t.Cleanup(server.Close)
	return &client{t: t, world: w, url: server.URL, log: log}
}

func localLimiter(t *testing.T) ratelimit.Limiter {
	limiter := memory.NewLimiter(0)
	t.Cleanup(limiter.Close)
	return limiter
}

func TestAPI_RateLimit(t *testing.T) {
	t.Parallel()
	c := newLimitedClient(t, localLimiter(t), ratelimit.Limit{Interval: time.Minute, Burst: 3})
	jane, joe := as("acme jane contacts:read"), as("acme joe contacts:read")
	const path = "/v1/contacts"
	for _, want := range []struct {
		status int
		header string
	}{{200, `"default";r=2;t=60`}, {404, `"default";r=1;t=120`}, {422, `"default";r=0;t=180`}} {
		at := map[int]string{200: path, 404: path + "/4711", 422: path + "?limit=0"}[want.status]
		answer := c.do(http.MethodGet, at, "", jane...)
		require.Equal(t, want.status, answer.StatusCode)
		require.Equal(t, want.header, answer.Header.Get("RateLimit"))
		require.Equal(t, `"default";q=3;w=180`, answer.Header.Get("RateLimit-Policy"))
		require.Empty(t, answer.Header.Get("Retry-After"))
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		denied := c.do(method, path, "", jane...)
		require.Equal(t, http.StatusTooManyRequests, denied.StatusCode, denied.body)
		require.Equal(t, "60", denied.Header.Get("Retry-After"))
		require.Equal(t, `"default";r=0;t=60`, denied.Header.Get("RateLimit"))
		require.Equal(t, `"default";q=3;w=180`, denied.Header.Get("RateLimit-Policy"))
		if method == http.MethodGet {
			require.Equal(t, "application/problem+json", denied.Header.Get("Content-Type"))
			require.Equal(t, "/problems/rate-limited", denied.json(t)["type"])
		}
	}

	// Others have limits of their own, under any name.
	for _, other := range [][]string{joe, as("rival jane contacts:read"), as("acmej ane contacts:read")} {
		require.Equal(t, `"default";r=2;t=60`, c.do(http.MethodGet, path, "", other...).Header.Get("RateLimit"))
	}
	// A caller without permission is counted too; an unknown one cannot be.
	require.Equal(t, http.StatusForbidden, c.do(http.MethodPost, path, `{"first_name":"J"}`, joe...).StatusCode)
	require.Equal(t, http.StatusForbidden, c.do(http.MethodPost, path, `{"first_name":"J"}`, joe...).StatusCode)
	require.Equal(t, http.StatusTooManyRequests, c.do(http.MethodPost, path, `{"first_name":"J"}`, joe...).StatusCode)
	for range 5 {
		unknown := c.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusUnauthorized, unknown.StatusCode)
		require.Empty(t, unknown.Header.Get("RateLimit"))
	}
	require.Equal(t, http.StatusOK, c.do(http.MethodGet, "/openapi.json", "", jane...).StatusCode, "what is for everybody has no limit")
	require.NotContains(t, c.log.String(), `"status":429`, "a flood must not flood the log")
}

// A request too many is refused before its body is read.
func TestAPI_RateLimit_BodyIsNotRead(t *testing.T) {
	t.Parallel()
	c := newLimitedClient(t, localLimiter(t), ratelimit.Limit{Interval: time.Minute, Burst: 1})
	c.do(http.MethodGet, "/v1/contacts", "", as("acme jane contacts:read")...)
	body, _ := io.Pipe() // nothing ever comes
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/contacts", body)
	require.NoError(t, err)
	request.ContentLength = 1 << 20
	request.Header.Set("Authorization", "Bearer acme jane contacts:write")
	answer, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusTooManyRequests, answer.StatusCode)
}

// away is a limiter that cannot be asked.
type away struct{}

func (away) Take(context.Context, string, ratelimit.Limit) (ratelimit.Decision, error) {
	return ratelimit.Decision{}, errors.New("no answer")
}

func TestAPI_RateLimit_CannotBeCounted(t *testing.T) {
	t.Parallel()
	c := newLimitedClient(t, away{}, ratelimit.PerSecond(1, 1))
	for range 3 {
		require.Equal(t, http.StatusOK, c.do(http.MethodGet, "/v1/contacts", "", as("acme jane contacts:read")...).StatusCode)
	}
	require.Contains(t, c.log.String(), "no answer")
}

func TestOpenAPI_RateLimit(t *testing.T) {
	t.Parallel()
	limited := newLimitedClient(t, localLimiter(t), ratelimit.PerSecond(1, 1)).do(http.MethodGet, "/openapi.json", "").json(t)
	for path, item := range dig(t, limited, "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			dig(t, operation, "responses", "429", "headers", "Retry-After")
			for status, response := range dig(t, operation, "responses").(map[string]any) {
				if status == "401" {
					continue
				}
				for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
					require.NotEmpty(t, dig(t, response, "headers", name, "description"), "%s %s %s", method, path, status)
				}
			}
		}
	}
	require.NotContains(t, newGuardedClient(t).do(http.MethodGet, "/openapi.json", "").body, "RateLimit", "without a limit")
	require.NotContains(t, newClient(t).do(http.MethodGet, "/openapi.json", "").body, "RateLimit", "without callers")
}
