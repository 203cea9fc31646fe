package commandqueue

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// Names are what traces call the queue: its messaging system, and the queue itself
// (OpenTelemetry's conventions for messaging).
type Names struct {
	System string
	Queue  string
}

func (n Names) attributes(operation attribute.KeyValue, command contacts.Command) []attribute.KeyValue {
	return []attribute.KeyValue{
		operation, semconv.MessagingOperationName(operation.Value.AsString()),
		semconv.MessagingSystemKey.String(n.System), semconv.MessagingDestinationName(n.Queue),
		semconv.CloudEventsEventID(command.Operation.String()), semconv.CloudEventsEventType(eventType(command.Kind)),
	}
}

// sending begins the span in which a command is sent, and of which its message tells the
// worker.
func (n Names) sending(ctx context.Context, command contacts.Command) (context.Context, trace.Span) {
	if !telemetry.Recorded(ctx) {
		return ctx, noop.Span{}
	}
	return telemetry.Child(ctx, "send "+n.Queue, trace.SpanKindProducer, n.attributes(semconv.MessagingOperationTypeSend, command)...)
}

// processing is the spans of one try of a batch, one a command: each is in the trace that its
// command was sent in.
//
// What is done once for all, the transaction above all, is below the first of them that is
// recorded, because a span has one parent. The others are linked with it, in both directions.
type processing []trace.Span

// process begins the spans, none without a tracer. The context that it returns is the batch's.
func (c *Consumer) process(ctx context.Context, items []item) (context.Context, processing) {
	if c.options.Tracer == nil {
		return ctx, nil
	}
	spans := make(processing, len(items))
	batch := ctx
	var first trace.Span
	for i, it := range items {
		of, span := c.options.Tracer.Start(telemetry.WithTraceParent(ctx, it.command.TraceParent), "process "+c.options.Names.Queue,
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(c.options.Names.attributes(semconv.MessagingOperationTypeProcess, *it.command)...))
		spans[i] = span
		switch {
		case !span.IsRecording():
		case first == nil:
			first, batch = span, of
			first.SetAttributes(semconv.MessagingBatchMessageCount(len(items)))
		default:
			span.AddLink(telemetry.Link(first))
			first.AddLink(telemetry.Link(span))
		}
	}
	return batch, spans
}

// end ends the spans, each with what became of its command: nil, or why it is to be tried
// again.
func (p processing) end(errs []error) {
	for i, span := range p {
		if errs[i] != nil {
			telemetry.Fail(span, reason(errs[i]))
		}
		span.End()
	}
}
