package sqs

import (
	"context"
	"errors"
	"path"

	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"contacts/platform/telemetry"
)

// span begins the span of a request to SQS, its retries included, that is made for callers
// that are in the given spans: below the first that is recorded, because a span has one
// parent, and linked with the others.
func (q *Queue) span(
	ctx context.Context, action string, operation attribute.KeyValue, of ...trace.Span,
) (context.Context, trace.Span) {
	var links []trace.Link
	var first trace.Span
	for _, span := range of {
		switch {
		case !span.IsRecording():
		case first == nil:
			first = span
		default:
			links = append(links, telemetry.Link(span))
		}
	}
	if first == nil {
		return ctx, noop.Span{}
	}
	name := path.Base(q.url)
	ctx, span := telemetry.Child(trace.ContextWithSpan(ctx, first), action+" "+name, trace.SpanKindClient,
		semconv.MessagingSystemAWSSQS, semconv.MessagingDestinationName(name), operation, semconv.MessagingOperationName(action))
	for _, link := range links {
		span.AddLink(link)
	}
	return ctx, span
}

// fail marks a request's span as failed. What SQS says may quote receipts, so only its code is
// kept.
func fail(span trace.Span, err error) {
	class := semconv.ErrorType(err).Value.AsString()
	var answered smithy.APIError
	if errors.As(err, &answered) {
		class = code(answered.ErrorCode())
	}
	telemetry.Fail(span, class)
}
