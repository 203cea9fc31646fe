package cmd_test

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// The trace and the span of a caller.
const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// A write is one trace, from the caller's request to the commit and what comes after it,
// across all processes.
func TestEndToEnd_Trace(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		collected := newCollector(t)
		s.env = append(s.env, collected.variables()...)
		if s.worker {
			collected.names = strings.NewReplacer(path.Base(s.variable("CONTACTS_QUEUE_URL")), "contacts-commands")
		}
		s.start(t)
		response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`,
			"Traceparent", "00-"+callersTrace+"-"+callersSpan+"-01", "Idempotency-Key", "k")
		require.Equal(t, http.StatusCreated, response.StatusCode, body)

		const server, send, process = "POST /v1/contacts", "send contacts-commands", "process contacts-commands"
		role, engine := "serve", "sqlite"
		if s.worker {
			role, engine = "worker", "postgresql"
		}
		// Each span with the one that it is below.
		edges := [][2]string{
			{"", server},
			{server, send},
			{send, process},
			{process, "transaction"},
			{"transaction", "SELECT contacts"},
			{"transaction", "INSERT operations"},
		}
		// whether the key was used before
		looked := [2]string{server, "SELECT contact_changes operations"}
		if s.worker {
			looked[0] = "transaction"
			edges = append(edges,
				[2]string{server, "transaction"},
				[2]string{server, "EVAL add"}, // the key's claim
				[2]string{send, "SendMessageBatch contacts-commands"},
				[2]string{process, "EVAL put"},
				[2]string{process, "PUBLISH"},
				[2]string{process, "DeleteMessageBatch contacts-commands"})
		}
		spans := collected.trace(t, callersTrace, joined(server, append(edges, looked)))
		t.Log("one write:\n" + tree(spans))

		for _, one := range spans {
			require.Contains(t, []string{"serve", role}, one.resource["contacts.role"])
			require.Equal(t, "contacts", one.resource["service.name"])
			require.NotEmpty(t, one.resource["service.version"])
			require.NotEmpty(t, one.resource["service.instance.id"])
		}
		for _, name := range []string{server, send, process, "transaction", "COMMIT"} {
			require.NotEqual(t, tracepb.Status_STATUS_CODE_ERROR, find(spans, name).Status.GetCode(), name)
		}
		root := find(spans, server)
		require.Equal(t, callersSpan, hex.EncodeToString(root.ParentSpanId))
		require.Equal(t, tracepb.Span_SPAN_KIND_SERVER, root.Kind)
		require.Equal(t, "serve", root.resource["contacts.role"])
		sent, processed := find(spans, send), find(spans, process)
		require.Equal(t, tracepb.Span_SPAN_KIND_PRODUCER, sent.Kind)
		require.Equal(t, tracepb.Span_SPAN_KIND_CONSUMER, processed.Kind)
		require.Equal(t, role, processed.resource["contacts.role"])
		require.Equal(t, texts(sent.Attributes)["cloudevents.event_id"], texts(processed.Attributes)["cloudevents.event_id"], "the operation")
		applied := below(spans, *processed)
		require.NotNil(t, find(applied, "BEGIN"))
		commit := find(applied, "COMMIT")
		require.Equal(t, engine, texts(commit.Attributes)["db.system.name"])
		require.Less(t, commit.EndTimeUnixNano, root.EndTimeUnixNano, "the answer comes after the commit")

		// What was measured and what was logged lead to the trace.
		for _, admin := range s.admins {
			response, metrics := request(t, http.MethodGet, admin+"/metrics", "", "Accept", "application/openmetrics-text")
			require.Contains(t, response.Header.Get("Content-Type"), "application/openmetrics-text")
			require.Contains(t, metrics, `# {trace_id="`+callersTrace+`"}`)
		}
		for _, p := range s.processes {
			require.Zero(t, p.terminate(t))
			require.Contains(t, p.log(), `"trace_id":"`+callersTrace+`"`)
		}
	})
}

// What a batch does once for all of its commands is in the trace of one of them, and the
// others lead there.
func TestEndToEnd_TraceOfABatch(t *testing.T) {
	t.Parallel()
	s := production(t)
	collected := newCollector(t)
	s.env = append(s.env, collected.variables()...)
	s.env = append(s.env, "CONTACTS_WORKER_LOOPS=1")
	s.start(t)
	require.Zero(t, s.processes[1].terminate(t))
	traces := map[string]bool{}
	const writes = 5
	for i := range writes {
		trace := strings.Repeat(string(rune('1'+i)), 32)
		traces[trace] = true
		response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`, "Prefer", "respond-async",
			"Traceparent", "00-"+trace+"-"+callersSpan+"-01")
		require.Equal(t, http.StatusAccepted, response.StatusCode, body)
	}
	// One that the caller does not want to have recorded leaves nothing behind, and is
	// applied.
	response, _ := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"John"}`, "Prefer", "respond-async",
		"Traceparent", "00-"+strings.Repeat("9", 32)+"-"+callersSpan+"-00")
	require.Equal(t, http.StatusAccepted, response.StatusCode)

	_, _ = start(t, s.folder, s.env, "worker")
	process := "process " + path.Base(s.variable("CONTACTS_QUEUE_URL"))
	processed, byID := map[string]span{}, map[string]span{}
	for trace := range traces {
		one := *find(collected.trace(t, trace, holding(process)), process)
		processed[trace], byID[string(one.SpanId)] = one, one
	}
	transactions, linked := 0, 0
	for trace, one := range processed {
		leader := one
		// it ends before what it is a part of
		if find(collected.trace(t, trace, holding(process)), "transaction") != nil {
			transactions++
			linked += len(one.Links)
		} else {
			require.Len(t, one.Links, 1, "a command of a batch leads to what was done for it")
			leader = byID[string(one.Links[0].SpanId)]
		}
		collected.trace(t, hex.EncodeToString(leader.TraceId), holding("transaction"))
	}
	t.Logf("%d commands in %d transactions", writes, transactions)
	require.Less(t, transactions, writes, "some were applied together")
	require.Equal(t, writes-transactions, linked, "and the first leads to the others")
	for _, one := range collected.spans() {
		require.NotEqual(t, strings.Repeat("9", 32), hex.EncodeToString(one.TraceId))
	}
	page, err := s.client().List(t.Context(), contacts.Filter{}, 10, "")
	require.NoError(t, err)
	require.Len(t, page.Items, writes+1)
}

// A collector that is away, or takes nothing, changes no answer, and costs no more than now
// and then a line in the log.
func TestEndToEnd_CollectorAway(t *testing.T) {
	t.Parallel()
	refusing := httptest.NewServer(http.NewServeMux()) // which has no paths
	t.Cleanup(refusing.Close)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that the client has gone
		<-r.Context().Done()
	}))
	t.Cleanup(hanging.Close)
	for name, url := range map[string]string{"away": "http://" + closedPort(t), "refusing": refusing.URL, "hanging": hanging.URL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := embedded(t)
			s.env = append(s.env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+url+"/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=8")
			started := time.Now()
			s.start(t)
			for range 50 {
				made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
				require.NoError(t, err)
				_, err = s.client().Get(t.Context(), made.Contact)
				require.NoError(t, err)
			}
			require.Zero(t, s.processes[0].terminate(t))
			said := strings.Count(s.processes[0].log(), "spans not sent")
			require.GreaterOrEqual(t, said, 1)
			require.LessOrEqual(t, said, 1+int(time.Since(started)/time.Minute), "not a line for each failure")
		})
	}
}
