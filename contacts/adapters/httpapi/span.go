package httpapi

import (
	"context"
	"net/http"
	"strconv"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"contacts/platform/telemetry"
)

// begin begins the span of a request, in the trace that the caller names. It leaves out what
// the conventions for HTTP spans ask for and may hold people's data, or any text of the
// caller's: the path, the query, the user agent.
func (a *api) begin(r *http.Request, method, route string) (context.Context, trace.Span) {
	ctx := r.Context()
	if lines := r.Header.Values("Traceparent"); len(lines) == 1 { // two say nothing
		ctx = telemetry.WithTraceParent(ctx, lines[0])
	}
	if a.tracer == nil {
		return ctx, noop.Span{} // and the caller's trace goes on in the worker, if that one traces
	}
	return a.tracer.Start(ctx, method+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.HTTPRequestMethodKey.String(method), semconv.HTTPRoute(route)))
}

// describeAnswer adds to a request's span how it was answered.
func describeAnswer(span trace.Span, status int, r *record) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	switch {
	case r.problem != "" && status >= http.StatusInternalServerError:
		telemetry.Fail(span, string(r.problem))
	case r.problem != "": // the caller's fault, and so no failure of the server
		span.SetAttributes(semconv.ErrorTypeKey.String(string(r.problem)))
	case status >= http.StatusInternalServerError:
		telemetry.Fail(span, strconv.Itoa(status))
	}
}
