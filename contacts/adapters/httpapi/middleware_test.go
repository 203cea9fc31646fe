package httpapi_test

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
)

func TestAPI_RequestID(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	require.Equal(t, "abc-1", c.do(http.MethodGet, "/contacts", "", "X-Request-Id", "abc-1").Header.Get("X-Request-Id"))
	for _, odd := range []string{"a b", `a"b`, strings.Repeat("x", 129), ""} {
		id := c.do(http.MethodGet, "/contacts", "", "X-Request-Id", odd).Header.Get("X-Request-Id")
		require.NotEmpty(t, id)
		require.NotEqual(t, odd, id)
	}
}

func TestAPI_AccessLog(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.do(http.MethodGet, "/contacts?cursor=private", "", "X-Request-Id", "req-1")
	c.do(http.MethodGet, "/contacts", "") // goes well, and has no line
	c.do(http.MethodGet, "/private/path", "")
	c.do(http.MethodPost, "/contacts", `{"first_name":"private"}`)
	// A line is written after its answer.
	require.Eventually(t, func() bool { return strings.Count(c.log.String(), "\n") == 3 }, waitLimit, waitTick)
	require.NotContains(t, c.log.String(), "private")
	var line map[string]any
	for text := range strings.Lines(c.log.String()) {
		if strings.Contains(text, "req-1") {
			require.NoError(t, json.Unmarshal([]byte(text), &line))
		}
	}
	require.Equal(t, "GET", line["method"])
	require.Equal(t, "/v1/contacts", line["route"])
	require.EqualValues(t, 422, line["status"])
	require.Equal(t, "req-1", line["request_id"])
	require.Contains(t, line, "seconds")
	require.Contains(t, c.log.String(), `"operation":"`+c.world.Sent()[0].Operation.String()+`"`)
}

func TestAPI_Metrics(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.do(http.MethodGet, "/contacts/none", "")
	c.do("BREW", "/coffee", "")
	c.do(http.MethodPost, "/contacts", `{`)
	seen := func() map[string]float64 {
		families, err := c.metrics.Gather()
		require.NoError(t, err)
		series := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				name := family.GetName()
				for _, label := range metric.GetLabel() {
					name += " " + label.GetValue()
				}
				series[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
				if family.GetName() == "http_problems_total" && series[name] == 0 {
					delete(series, name) // it is there before it happens
				}
			}
		}
		return series
	}
	want := map[string]float64{
		"http_request_duration_seconds GET /v1/contacts/:id 404": 1,
		"http_request_duration_seconds POST /v1/contacts 400":    1,
		"http_request_duration_seconds other none 404":           1,
		"http_requests_in_flight /v1/contacts/:id":               0,
		"http_requests_in_flight /v1/contacts":                   0,
		"http_requests_in_flight none":                           0,
		"http_problems_total not-found":                          2,
		"http_problems_total malformed":                          1,
	}
	require.Eventually(t, func() bool { return maps.Equal(want, seen()) }, waitLimit, waitTick, "%v", want)

	c.world.held.Store(true)
	waiting := make(chan reply)
	go func() { waiting <- c.do(http.MethodPost, "/contacts", jane) }()
	require.Eventually(t, func() bool { return seen()["http_requests_in_flight /v1/contacts"] == 1 }, waitLimit, waitTick)
	c.world.release()
	require.Equal(t, http.StatusCreated, (<-waiting).StatusCode)
	require.Eventually(t, func() bool { return seen()["http_requests_in_flight /v1/contacts"] == 0 }, waitLimit, waitTick)
}

// ended returns the spans that have ended, once there are so many.
func (c *client) ended(n int) []sdktrace.ReadOnlySpan {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return len(c.spans.Ended()) == n }, waitLimit, waitTick, "%d spans", n)
	return c.spans.Ended()
}

// A span tells of its request by the route, the status and the kind of problem, and by nothing
// that the caller has written.
func TestAPI_Span(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, r := range []struct {
		method, path, body string
		panics             bool
		name               string
		failed             bool
		attributes         map[attribute.Key]string
	}{
		{http.MethodPost, "/contacts/", jane, false, "POST /v1/contacts", false, map[attribute.Key]string{
			"http.request.method": "POST", "http.route": "/v1/contacts", "http.response.status_code": "201",
		}},
		{http.MethodGet, "/contacts?q=private&cursor=private", "", false, "GET /v1/contacts", false, map[attribute.Key]string{
			"http.request.method": "GET", "http.route": "/v1/contacts", "http.response.status_code": "422", "error.type": "invalid",
		}},
		{"PRIVATE", "/private", "", false, "other none", false, map[attribute.Key]string{
			"http.request.method": "other", "http.route": "none", "http.response.status_code": "404", "error.type": "not-found",
		}},
		{http.MethodGet, "/contacts/" + uuid.NewString(), "", true, "GET /v1/contacts/:id", true, map[attribute.Key]string{
			"http.request.method": "GET", "http.route": "/v1/contacts/:id", "http.response.status_code": "500", "error.type": "internal",
		}},
	} {
		before := len(c.spans.Ended())
		c.world.panics = r.panics
		c.do(r.method, r.path, r.body, "User-Agent", "private", "Tracestate", "a=private", "Baggage", "a=private", "X-Private", "private")
		spans := c.ended(before + 1)
		span := spans[before]
		require.Equal(t, r.name, span.Name())
		require.Equal(t, trace.SpanKindServer, span.SpanKind())
		require.Equal(t, r.failed, span.Status().Code == codes.Error, r.name)
		require.Empty(t, span.Status().Description)
		require.Empty(t, span.Events())
		require.Empty(t, span.SpanContext().TraceState().String())
		told := map[attribute.Key]string{}
		for _, a := range span.Attributes() {
			told[a.Key] = a.Value.String()
		}
		require.Equal(t, r.attributes, told)
	}
}

// A request goes on with its caller's trace (W3C Trace Context, 3.2), and what cannot be read
// begins one of its own.
func TestAPI_TraceParent(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	const good, id = "00-" + of + "-00f067aa0ba902b7-01", "00f067aa0ba902b7"
	for i, test := range []struct {
		sent   []string
		parent string
	}{
		{[]string{good}, id},
		{[]string{"01" + good[2:] + "-of-a-later-version"}, id},
		{nil, ""},
		{[]string{""}, ""},
		{[]string{good + "-extra"}, ""},
		{[]string{"ff" + good[2:]}, ""},
		{[]string{strings.ToUpper(good)}, ""},
		{[]string{"00-" + strings.Repeat("0", 32) + good[35:]}, ""},
		{[]string{good, good}, ""},
	} {
		var headers []string
		for _, value := range test.sent {
			headers = append(headers, "Traceparent", value)
		}
		c.do(http.MethodPost, "/v1/contacts", jane, headers...)
		span := c.ended(i + 1)[i]
		require.Equal(t, test.parent != "", span.Parent().IsValid(), test.sent)
		if test.parent != "" {
			require.Equal(t, of, span.SpanContext().TraceID().String())
			require.Equal(t, test.parent, span.Parent().SpanID().String())
			require.True(t, span.Parent().IsRemote())
		}
		sent := c.world.Sent()[i].TraceParent
		require.Equal(t, "00-"+span.SpanContext().TraceID().String()+"-"+span.SpanContext().SpanID().String()+"-01", sent, "the command goes on with it")
	}
	// What the caller has not sampled is not recorded, and goes on all the same.
	c.do(http.MethodPost, "/v1/contacts", jane, "Traceparent", good[:len(good)-1]+"0")
	sent := c.world.Sent()
	require.Regexp(t, "^00-"+of+"-[0-9a-f]{16}-00$", sent[len(sent)-1].TraceParent)
}

// of is the trace of a caller.
const of = "4bf92f3577b34da6a3ce929d0e0e4736"

// Without tracing a command takes along the trace of its caller: the worker may have it.
func TestAPI_TraceParent_Off(t *testing.T) {
	t.Parallel()
	w := newWorld()
	server := httptest.NewServer(httpapi.New(contacts.NewService(w.options()), httpapi.Options{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	c := &client{t: t, world: w, url: server.URL}
	const sent = "00-" + of + "-00f067aa0ba902b7-01"
	c.do(http.MethodPost, "/v1/contacts", jane, "Traceparent", sent)
	c.do(http.MethodPost, "/v1/contacts", jane)
	require.Equal(t, sent, w.Sent()[0].TraceParent)
	require.Empty(t, w.Sent()[1].TraceParent)
}
