package telemetry

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Recorded reports whether the span that ctx belongs to is recorded, so that spans below it
// are worth their names.
func Recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Child begins a span below the one that ctx belongs to, by the same tracer provider. Where
// that one is not recorded there is nothing to do: what a process does for itself, such as
// looking whether the cache can be trusted, begins no trace. The caller ends the span.
func Child(
	ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue,
) (context.Context, trace.Span) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	return parent.TracerProvider().Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...))
}

// scope is the instrumentation scope of all spans.
const scope = "contacts/platform/telemetry"

// Fail marks a span as failed, by a class of errors of which there are few. What the error
// itself says stays out of traces: it may quote people's data.
func Fail(span trace.Span, class string) {
	span.SetStatus(codes.Error, "")
	span.SetAttributes(semconv.ErrorTypeKey.String(class))
}

// Link returns a link to the span.
func Link(span trace.Span) trace.Link { return trace.Link{SpanContext: span.SpanContext()} }

// parentKey is the name of the header and of the CloudEvents attribute (Distributed Tracing
// extension).
const parentKey = "traceparent"

// TraceParent returns the span that ctx belongs to as a traceparent (W3C Trace Context, 3.2),
// "" if it belongs to none.
func TraceParent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[parentKey]
}

// WithTraceParent returns a context that belongs to the span of a traceparent, which is one of
// another process, or ctx itself if there is none, or none that can be read. Neither
// tracestate nor baggage comes with it: a caller may put anything into them.
func WithTraceParent(ctx context.Context, traceParent string) context.Context {
	if traceParent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{parentKey: traceParent})
}

// Untraced returns a context that belongs to no span.
func Untraced(ctx context.Context) context.Context { return trace.ContextWithSpan(ctx, noop.Span{}) }

// Observe adds a value to a histogram, with the trace that ctx belongs to as its exemplar if
// that is sampled.
func Observe(ctx context.Context, histogram prometheus.Observer, value float64) {
	span := trace.SpanContextFromContext(ctx)
	if exemplars, ok := histogram.(prometheus.ExemplarObserver); ok && span.IsSampled() {
		exemplars.ObserveWithExemplar(value, prometheus.Labels{"trace_id": span.TraceID().String()})
		return
	}
	histogram.Observe(value)
}
