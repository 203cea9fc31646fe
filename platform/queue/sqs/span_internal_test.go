package sqs

import (
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// A request that is made for several is below the first of them that is recorded, and leads to
// the others.
func TestQueue_Span(t *testing.T) {
	t.Parallel()
	q := &Queue{url: "https://sqs.eu-west-1.amazonaws.com/123456789012/commands.fifo"}
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("")
	_, first := tracer.Start(t.Context(), "first")
	_, second := tracer.Start(t.Context(), "second")

	ctx, span := q.span(t.Context(), "SendMessageBatch", semconv.MessagingOperationTypeSend, noop.Span{}, first, noop.Span{}, second)
	require.Equal(t, span, trace.SpanFromContext(ctx))
	span.End()
	ended := recorder.Ended()
	require.Len(t, ended, 1)
	require.Equal(t, "SendMessageBatch commands.fifo", ended[0].Name())
	require.Equal(t, first.SpanContext(), ended[0].Parent())
	require.Len(t, ended[0].Links(), 1)
	require.Equal(t, second.SpanContext(), ended[0].Links()[0].SpanContext)

	_, span = q.span(trace.ContextWithSpan(t.Context(), first), "SendMessageBatch", semconv.MessagingOperationTypeSend, noop.Span{})
	span.End()
	require.Len(t, recorder.Ended(), 1, "nobody's: it must not end another's span either")
	require.True(t, first.IsRecording())
}
