package telemetry_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"contacts/platform/telemetry"
)

func recorded(t *testing.T) (context.Context, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "root")
	t.Cleanup(func() { span.End() })
	return ctx, recorder
}

func TestChild(t *testing.T) {
	ctx, recorder := recorded(t)
	below, span := telemetry.Child(ctx, "GET", trace.SpanKindClient)
	require.True(t, telemetry.Recorded(below))
	telemetry.Fail(span, "timeout")
	span.End()
	ended := recorder.Ended()
	require.Len(t, ended, 1)
	require.Equal(t, trace.SpanContextFromContext(ctx).SpanID(), ended[0].Parent().SpanID())
	require.Equal(t, sdktrace.Status{Code: codes.Error}, ended[0].Status())
	require.Equal(t, "timeout", ended[0].Attributes()[0].Value.AsString())
}

// Where nothing is recorded, a span costs nothing: what is not recorded begins no trace of its
// own either.
func TestChild_Off(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"no trace":        t.Context(),
		"not recorded":    telemetry.WithTraceParent(t.Context(), parent),
		"taken out of it": func() context.Context { ctx, _ := recorded(t); return telemetry.Untraced(ctx) }(),
	} {
		below, span := telemetry.Child(ctx, "GET", trace.SpanKindClient)
		require.Equal(t, ctx, below, name)
		require.False(t, span.IsRecording(), name)
		require.Zero(t, testing.AllocsPerRun(100, func() {
			_, span := telemetry.Child(ctx, "GET", trace.SpanKindClient)
			span.End()
		}), name)
	}
}

func TestTraceParent(t *testing.T) {
	require.Empty(t, telemetry.TraceParent(t.Context()))
	require.Equal(t, parent, telemetry.TraceParent(telemetry.WithTraceParent(t.Context(), parent)))
	for _, unreadable := range []string{"", "x", parent + "-x", "ff" + parent[2:]} {
		require.Equal(t, t.Context(), telemetry.WithTraceParent(t.Context(), unreadable), unreadable)
	}
}

func TestObserve(t *testing.T) {
	registry := prometheus.NewRegistry()
	histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Help: "h", Buckets: []float64{1}})
	registry.MustRegister(histogram)
	exemplars := func() (ids []string) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, bucket := range families[0].GetMetric()[0].GetHistogram().GetBucket() {
			if exemplar := bucket.GetExemplar(); exemplar != nil {
				ids = append(ids, exemplar.GetLabel()[0].GetValue())
			}
		}
		return ids
	}
	telemetry.Observe(t.Context(), histogram, 0.5)
	telemetry.Observe(telemetry.WithTraceParent(t.Context(), parent[:len(parent)-1]+"0"), histogram, 0.5)
	require.Empty(t, exemplars(), "a trace that is not sampled leads nowhere")
	telemetry.Observe(telemetry.WithTraceParent(t.Context(), parent), histogram, 0.5)
	require.Equal(t, []string{traceID}, exemplars())
}

func BenchmarkChild_Off(b *testing.B) {
	ctx := b.Context()
	for b.Loop() {
		_, span := telemetry.Child(ctx, "GET", trace.SpanKindClient)
		span.End()
	}
}
