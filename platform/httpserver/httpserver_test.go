package httpserver_test

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/httpserver"
)

const loopback = "127.0.0.1:0"

// start serves the handler until the returned function is called, which returns what Serve
// did.
func start(t *testing.T, o httpserver.Options) (url string, stop func() error) {
	t.Helper()
	o.Addr = loopback
	server, err := httpserver.Listen(t.Context(), o)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		_ = server.Close()
	})
	return "http://" + server.Addr(), func() error {
		cancel()
		return <-served
	}
}

// get asks once, over a connection of its own.
func get(ctx context.Context, url string) (string, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// gate is a handler that answers its first request when it is opened, or when that is given
// up, and all others at once.
type gate struct {
	used          atomic.Bool
	entered, open chan struct{}
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.used.Swap(true) {
		return
	}
	close(g.entered)
	select {
	case <-g.open:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
	}
}

func TestServer_Serve(t *testing.T) {
	t.Parallel()
	url, stop := start(t, httpserver.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello")
	})})
	body, err := get(t.Context(), url)
	require.NoError(t, err)
	require.Equal(t, "hello", body)
	require.NoError(t, stop())
	_, err = get(t.Context(), url)
	require.Error(t, err, "it listens no more")
}

func TestServer_Headers(t *testing.T) {
	t.Parallel()
	url, _ := start(t, httpserver.Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/own" {
			w.Header().Set("Cache-Control", "private, no-cache")
			w.Header().Add("Content-Security-Policy", "sandbox")
		}
		w.WriteHeader(http.StatusTeapot)
	})})
	head := func(path, forwarded string) http.Header {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		require.NoError(t, err)
		if forwarded != "" {
			request.Header.Set("X-Forwarded-Proto", forwarded)
		}
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		response.Header.Del("Date")
		response.Header.Del("Content-Length")
		return response.Header
	}
	usual := http.Header{
		"Cache-Control":                {"no-store"},
		"Content-Security-Policy":      {"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		"Cross-Origin-Opener-Policy":   {"same-origin"},
		"Cross-Origin-Resource-Policy": {"same-origin"},
		"Permissions-Policy":           {"camera=(), geolocation=(), microphone=()"},
		"Referrer-Policy":              {"no-referrer"},
		"X-Content-Type-Options":       {"nosniff"},
		"X-Frame-Options":              {"DENY"},
	}
	require.Equal(t, usual, head("/", ""))
	own := head("/own", "")
	require.Equal(t, "private, no-cache", own.Get("Cache-Control"))
	require.Equal(t, append(usual["Content-Security-Policy"], "sandbox"), own["Content-Security-Policy"])
	require.Equal(t, usual, head("/", "http"), "what one answer says for itself stays with it")
	for _, forwarded := range []string{"https", "HTTPS", "https, http"} {
		require.Equal(t, "max-age=31536000", head("/", forwarded).Get("Strict-Transport-Security"), forwarded)
	}
	require.Empty(t, head("/", "http, https").Get("Strict-Transport-Security"))
}

func TestListen_AddressInUse(t *testing.T) {
	t.Parallel()
	first, err := httpserver.Listen(t.Context(), httpserver.Options{Addr: loopback, Handler: http.NotFoundHandler()})
	require.NoError(t, err)
	_, err = httpserver.Listen(t.Context(), httpserver.Options{Addr: first.Addr(), Handler: http.NotFoundHandler()})
	require.ErrorContains(t, err, first.Addr())
	require.NoError(t, first.Close())

	again, err := httpserver.Listen(t.Context(), httpserver.Options{Addr: first.Addr(), Handler: http.NotFoundHandler()})
	require.NoError(t, err, "Close gives the address back")
	require.NoError(t, again.Close())
}

func TestServer_Serve_EndsRunningRequests(t *testing.T) {
	t.Parallel()
	g := newGate()
	url, stop := start(t, httpserver.Options{Handler: g})
	answered := make(chan string, 1)
	go func() {
		body, _ := get(context.WithoutCancel(t.Context()), url)
		answered <- body
	}()
	<-g.entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	require.Eventually(t, func() bool {
		_, err := get(t.Context(), url)
		return err != nil
	}, 10*time.Second, time.Millisecond, "it takes no more requests")
	close(g.open)
	require.Equal(t, "done", <-answered)
	require.NoError(t, <-stopped)
}

func TestServer_Serve_CutsOffAfterGrace(t *testing.T) {
	t.Parallel()
	g := newGate()
	url, stop := start(t, httpserver.Options{Handler: g, Grace: time.Millisecond})
	failed := make(chan error, 1)
	go func() {
		_, err := get(context.WithoutCancel(t.Context()), url)
		failed <- err
	}()
	<-g.entered
	require.ErrorIs(t, stop(), context.DeadlineExceeded)
	require.Error(t, <-failed)
}

func TestServer_Serve_StoppedBefore(t *testing.T) {
	t.Parallel()
	server, err := httpserver.Listen(t.Context(), httpserver.Options{Addr: loopback, Handler: http.NotFoundHandler()})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, server.Serve(ctx))
}

func TestServer_Serve_ClosedFromOutside(t *testing.T) {
	t.Parallel()
	server, err := httpserver.Listen(t.Context(), httpserver.Options{Addr: loopback, Handler: http.NotFoundHandler()})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context()) }()
	_, err = get(t.Context(), "http://"+server.Addr())
	require.NoError(t, err)
	require.NoError(t, server.Close())
	require.ErrorIs(t, <-served, http.ErrServerClosed)
}
