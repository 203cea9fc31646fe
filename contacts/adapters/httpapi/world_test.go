package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/contacts/contactstest"
	"contacts/platform/telemetry"
)

// world is a desk that holds commands, or fails, as a test says.
type world struct {
	*contactstest.Desk
	held    atomic.Bool
	sendErr error        // what Send returns
	readErr error        // what the repository returns
	panics  bool         // Document panics
	looks   atomic.Int64 // for changes
}

func (w *world) options() contacts.ServiceOptions {
	o := w.Options()
	o.Repository, o.Queue, o.Changes = w, w, w
	return o
}

// Send takes along the span that it is called in, as the queue's sender does.
func (w *world) Send(ctx context.Context, c contacts.Command) error {
	c.TraceParent = telemetry.TraceParent(ctx)
	return w.Desk.Send(ctx, c)
}

func newWorld() *world {
	w := &world{Desk: contactstest.NewDesk()}
	w.OnSend = func(c contacts.Command) error {
		if w.sendErr == nil && !w.held.Load() {
			w.ApplyCommand(c, true)
		}
		return w.sendErr
	}
	return w
}

// release applies the commands that were held, and holds no more.
func (w *world) release() {
	w.held.Store(false)
	for _, c := range w.Sent() {
		w.ApplyCommand(c, true)
	}
}

func (w *world) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	if w.panics {
		panic("the fake was told to")
	}
	document, err := w.Desk.Document(ctx, tenant, id)
	return document, errors.Join(w.readErr, err)
}

func (w *world) List(ctx context.Context, tenant contacts.Tenant, q contacts.Query) (contacts.Listing, error) {
	page, err := w.Desk.List(ctx, tenant, q)
	return page, errors.Join(w.readErr, err)
}

// Changes counts.
func (w *world) Changes(
	ctx context.Context, tenant contacts.Tenant, after contacts.ChangePosition, limit int,
) ([]contacts.Change, error) {
	w.looks.Add(1)
	return w.Desk.Changes(ctx, tenant, after, limit)
}

// client asks a server over the world.
type client struct {
	t       *testing.T
	world   *world
	url     string
	metrics *prometheus.Registry
	log     *syncBuffer
	audit   *syncBuffer
	spans   *tracetest.SpanRecorder
}

const maxBody = 4096

func newClient(t *testing.T) *client {
	t.Helper()
	c := &client{
		t: t, world: newWorld(), log: &syncBuffer{}, audit: &syncBuffer{}, metrics: prometheus.NewRegistry(), spans: tracetest.NewSpanRecorder(),
	}
	server := httptest.NewServer(httpapi.New(contacts.NewService(c.world.options()), httpapi.Options{
		WriteWait: time.Minute, MaxBodyBytes: maxBody, Version: "1.2.3",
		Log: slog.New(slog.NewJSONHandler(c.log, nil)), Audit: slog.New(slog.NewJSONHandler(c.audit, nil)), Metrics: c.metrics,
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(c.spans)).Tracer(""),
	}))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// reply is an answer with its body read.
type reply struct {
	*http.Response

	body string
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &object), "body: %s", r.body)
	return object
}

// do sends a request with JSON in its body where there is one; headers are pairs, and may take
// Content-Type's place.
func (c *client) do(method, path, body string, headers ...string) reply {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Content-Type" {
			request.Header.Del(headers[i])
		}
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request) // which follows no redirects
	require.NoError(c.t, err)
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return reply{response, string(raw)}
}

// create makes a contact and returns its id.
func (c *client) create(body string) string {
	c.t.Helper()
	answer := c.do(http.MethodPost, "/v1/contacts", body)
	require.Equal(c.t, http.StatusCreated, answer.StatusCode, answer.body)
	return strings.TrimPrefix(answer.Header.Get("Location"), "/v1/contacts/")
}

// syncBuffer is a buffer that a server and a test share.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
