package cmd_test

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector receives traces over OTLP/HTTP, as OpenTelemetry's collector does.
type collector struct {
	url   string
	names *strings.Replacer // shortens the names of spans

	mu       sync.Mutex
	received []span
	raw      strings.Builder
}

// span is a received span with the process that it comes from.
type span struct {
	*tracepb.Span

	resource map[string]string
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{names: strings.NewReplacer()}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// variables are those by which a process sends its traces here, and soon.
func (c *collector) variables() []string {
	return []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + c.url, "OTEL_BSP_SCHEDULE_DELAY=50"}
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var message collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &message)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, fmt.Sprint("not OTLP: ", err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.WriteString(message.String() + "\n")
	for _, from := range message.ResourceSpans {
		resource := texts(from.Resource.Attributes)
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				s.Name = c.names.Replace(s.Name)
				c.received = append(c.received, span{s, resource})
			}
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// words returns all that was received so far as text.
func (c *collector) words() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

func texts(attributes []*commonpb.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		switch value := a.Value.Value.(type) {
		case *commonpb.AnyValue_StringValue:
			all[a.Key] = value.StringValue
		case *commonpb.AnyValue_IntValue:
			all[a.Key] = fmt.Sprint(value.IntValue)
		default:
			all[a.Key] = a.Value.String()
		}
	}
	return all
}

// spans returns all that was received so far.
func (c *collector) spans() []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.received)
}

// trace returns the spans of a trace, by their beginnings, once check finds no fault with
// them: they come from several processes, one after the other.
func (c *collector) trace(t *testing.T, id string, check func([]span) error) []span {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		all := c.spans()
		of := slices.DeleteFunc(all, func(s span) bool { return hex.EncodeToString(s.TraceId) != id })
		slices.SortFunc(of, func(a, b span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
		err := check(of)
		if err == nil {
			return of
		}
		require.True(t, time.Now().Before(deadline), "trace %s: %v\n%s", id, err, tree(of))
	}
}

// joined finds fault with a trace that lacks one of the edges, each the name of a span and
// that of one below it, or in which a span is below one that is not there; the root may be
// below its caller's.
func joined(root string, edges [][2]string) func([]span) error {
	return func(spans []span) error {
		names := map[string]string{}
		for _, s := range spans {
			names[string(s.SpanId)] = s.Name
		}
		var found [][2]string
		for _, s := range spans {
			parent, known := names[string(s.ParentSpanId)]
			if !known && s.Name != root {
				return fmt.Errorf("%s is below nothing", s.Name)
			}
			found = append(found, [2]string{parent, s.Name})
		}
		for _, edge := range edges {
			if !slices.Contains(found, edge) {
				return fmt.Errorf("no %s below %s", edge[1], edge[0])
			}
		}
		return nil
	}
}

// holding finds fault with a trace that lacks a span of the name.
func holding(name string) func([]span) error {
	return func(spans []span) error {
		if find(spans, name) == nil {
			return fmt.Errorf("no %s", name)
		}
		return nil
	}
}

// find returns the first span of a name, nil if there is none.
func find(spans []span, name string) *span {
	if i := slices.IndexFunc(spans, func(s span) bool { return s.Name == name }); i >= 0 {
		return &spans[i]
	}
	return nil
}

// below returns the spans below one, at any depth.
func below(spans []span, one span) (all []span) {
	for _, child := range spans {
		if string(child.ParentSpanId) == string(one.SpanId) {
			all = append(append(all, child), below(spans, child)...)
		}
	}
	return all
}

// tree writes the spans of a trace below each other, from the ones whose parents are
// elsewhere.
func tree(spans []span) string {
	var b strings.Builder
	known := map[string]bool{}
	for _, s := range spans {
		known[string(s.SpanId)] = true
	}
	var write func(s span, indent string)
	write = func(s span, indent string) {
		kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
		took := time.Duration(s.EndTimeUnixNano - s.StartTimeUnixNano).Round(10 * time.Microsecond)
		fmt.Fprintf(&b, "%-50s  %-8s  %8s  %s\n", indent+s.Name, kind, took, s.resource["contacts.role"])
		for _, child := range spans {
			if string(child.ParentSpanId) == string(s.SpanId) {
				write(child, indent+"  ")
			}
		}
	}
	for _, s := range spans {
		if !known[string(s.ParentSpanId)] {
			write(s, "")
		}
	}
	return b.String()
}
