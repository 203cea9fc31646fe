package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/contacts/contactstest"
)

// sink takes every command and keeps nothing.
type sink struct{ contacts.PendingOperations }

func (sink) Send(context.Context, contacts.Command) error { return nil }

func (sink) Note(context.Context, contacts.Operation) error { return nil }

// benchmark answers requests, with their logs encoded and their spans sampled out, as under
// load.
func benchmark(b *testing.B, request func() *http.Request, status int) {
	b.Helper()
	desk := contactstest.NewDesk()
	o := desk.Options()
	o.Queue, o.Pending = sink{}, sink{desk}
	log := slog.New(slog.NewJSONHandler(discard{}, nil))
	h := httpapi.New(contacts.NewService(o), httpapi.Options{
		Log: log, Audit: log, Metrics: prometheus.NewRegistry(),
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer(""),
	})
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, request())
		require.Equal(b, status, w.Code)
	}
}

// discard is io.Discard, which slog would not encode lines for.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

const benchBody = `{"first_name":"Jane","last_name":"Doe","emails":[{"address":"jane@example.com","label":"work"}],` +
	`"phones":[{"number":"+1 415 555 2671","label":"mobile"}],"organization":"Example Ltd","labels":["customer"],` +
	`"birthday":"1990-05-17","custom_fields":{"favourite colour":"blue"}}`

func BenchmarkAPI_Create(b *testing.B) {
	benchmark(b, func() *http.Request {
		r := newRequest(http.MethodPost, "/v1/contacts", benchBody)
		r.Header.Set("Prefer", "respond-async")
		return r
	}, http.StatusAccepted)
}

func BenchmarkAPI_Merge(b *testing.B) {
	target := "/v1/contacts/" + uuid.NewString()
	benchmark(b, func() *http.Request { return newRequest(http.MethodPatch, target, benchBody) }, http.StatusAccepted)
}

func BenchmarkAPI_Refused(b *testing.B) {
	body := strings.Replace(benchBody, `"label"`, `"lable"`, 2)
	benchmark(b, func() *http.Request { return newRequest(http.MethodPost, "/v1/contacts", body) }, http.StatusUnprocessableEntity)
}
