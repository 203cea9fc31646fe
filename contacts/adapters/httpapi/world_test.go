package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
)

// world is the service's outside in memory: commands are applied as soon as they are sent, unless they are held.
type world struct {
	mu         sync.Mutex
	contacts   map[uuid.UUID]contacts.Contact
	operations map[uuid.UUID]contacts.Operation
	pending    map[uuid.UUID]contacts.Operation
	waiting    map[uuid.UUID]chan contacts.Operation
	sent       []contacts.Command
	held       bool
	sendErr    error // what Send returns
	readErr    error // what the repository returns
	panics     bool  // Document panics
}

func newWorld() *world {
	return &world{
		contacts:   map[uuid.UUID]contacts.Contact{},
		operations: map[uuid.UUID]contacts.Operation{},
		pending:    map[uuid.UUID]contacts.Operation{},
		waiting:    map[uuid.UUID]chan contacts.Operation{},
	}
}

func (w *world) Send(_ context.Context, c contacts.Command) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sendErr != nil {
		return w.sendErr
	}
	w.sent = append(w.sent, c)
	if !w.held {
		w.apply(c)
	}
	return nil
}

// release applies the commands that were held, and holds no more.
func (w *world) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = false
	for _, c := range w.sent {
		w.apply(c)
	}
}

func (w *world) apply(c contacts.Command) {
	ended, before := w.operations[c.Operation]
	if !before {
		var current *contacts.Contact
		if found, ok := w.contacts[c.Contact]; ok {
			current = &found
		}
		next, problem := c.Decide(current, time.Now())
		for _, other := range w.contacts {
			if problem == nil && next.Fields.ExternalID != "" && other.Fields.ExternalID == next.Fields.ExternalID && other.ID != next.ID {
				problem = contacts.DuplicateExternalID()
			}
		}
		ended = c.End(next, problem, time.Now())
		if problem == nil {
			w.contacts[next.ID] = next
			document, _ := next.Document()
			ended.Document = document.JSON
		}
		w.operations[c.Operation] = ended
	}
	if notice := w.waiting[c.Operation]; notice != nil {
		notice <- ended
	}
}

func (w *world) Address() string { return "here" }

func (w *world) Expect(_ contacts.Tenant, id uuid.UUID) (<-chan contacts.Operation, func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	notice := make(chan contacts.Operation, 8)
	w.waiting[id] = notice
	return notice, func() {}
}

func (w *world) Document(_ context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.panics {
		panic("the fake was told to")
	}
	found, ok := w.contacts[id]
	if !ok || w.readErr != nil {
		return contacts.Document{Tenant: tenant, ID: id}, w.readErr
	}
	return found.Document()
}

func (w *world) List(_ context.Context, _ contacts.Tenant, q contacts.Query) ([]contacts.Document, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var page []contacts.Document
	for id, found := range w.contacts {
		if document, _ := found.Document(); document.State == contacts.Live && bytes.Compare(id[:], q.After[:]) > 0 {
			page = append(page, document)
		}
	}
	slices.SortFunc(page, func(a, b contacts.Document) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return page[:min(len(page), q.Limit)], w.readErr
}

func (w *world) Operation(_ context.Context, _ contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.operations[id]
	return found, ok, nil
}

func (w *world) Note(_ context.Context, o contacts.Operation) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[o.ID] = o
	return nil
}

func (w *world) Pending(_ context.Context, _ contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, ok := w.pending[id]
	return found, ok, nil
}

// client asks a server over the world.
type client struct {
	t       *testing.T
	world   *world
	url     string
	metrics *prometheus.Registry
	log     *syncBuffer
}

const maxBody = 4096

func newClient(t *testing.T) *client {
	t.Helper()
	w, log, metrics := newWorld(), &syncBuffer{}, prometheus.NewRegistry()
	service := contacts.NewService(contacts.ServiceOptions{Repository: w, Queue: w, Outcomes: w, Pending: w})
	server := httptest.NewServer(httpapi.New(service, httpapi.Options{
		WriteWait: time.Minute, MaxBodyBytes: maxBody, Version: "1.2.3",
		Log: slog.New(slog.NewJSONHandler(log, nil)), Metrics: metrics,
	}))
	t.Cleanup(server.Close)
	return &client{t: t, world: w, url: server.URL, metrics: metrics, log: log}
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

// do sends a request with JSON in its body where there is one; headers are pairs, and may take Content-Type's place.
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
