package commandqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"contacts/contacts"
	"contacts/contacts/adapters/commandqueue"
	"contacts/platform/queue"
	"contacts/platform/telemetry"
)

// once processes one batch: its third command fails. It keeps the context that it was given.
type once struct {
	quiet
	ctx context.Context
}

func (o *once) Process(ctx context.Context, commands []contacts.Command) []error {
	errs := make([]error, len(commands))
	if o.ctx == nil {
		o.ctx = ctx
		errs[2] = fmt.Errorf("somebody's name: %w", contacts.ErrTransient)
	}
	return errs
}

func (o *once) Park(context.Context, contacts.ParkedCommand, *contacts.Command) error { return nil }

// Each command of a batch has a span in the trace that it was sent in, and what is done for
// all is below the first that is recorded.
func TestConsumer_Spans(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("")
	names := commandqueue.Names{System: "aws_sqs", Queue: "commands"}
	outbox := &keeping{}
	var sent []trace.SpanContext
	for i := range 3 {
		ctx, span := tracer.Start(t.Context(), "request")
		if i == 0 { // its caller does not want it recorded
			ctx = telemetry.WithTraceParent(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")
		}
		require.NoError(t, commandqueue.NewSender(outbox, names).Send(ctx, story(t, 1)[0]))
		span.End()
		sent = append(sent, trace.SpanContextFromContext(ctx))
	}
	senders := ended(recorder, "send commands")
	require.Len(t, senders, 2)
	for i, span := range senders {
		require.Equal(t, sent[i+1].SpanID(), span.Parent().SpanID())
		require.Equal(t, trace.SpanKindProducer, span.SpanKind())
	}

	script := &scripted{deliveries: make(chan []queue.Delivery, 1), extended: map[string]time.Duration{}}
	script.deliveries <- outbox.deliveries
	processor := &once{}
	consumer := commandqueue.NewConsumer(script, processor, commandqueue.ConsumerOptions{
		Pollers: 1, Loops: 1, Batch: 10, PollWait: time.Second, Visibility: time.Minute, Log: slog.New(slog.DiscardHandler), Names: names, Tracer: tracer,
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go consumer.Run(ctx)
	require.Eventually(t, func() bool { return len(ended(recorder, "process commands")) == 3 }, 30*time.Second, 5*time.Millisecond, "two, and a second try")

	spans := ended(recorder, "process commands")
	first, failed, again := spans[0], spans[1], spans[2]
	for i, span := range []sdktrace.ReadOnlySpan{first, failed} {
		require.Equal(t, senders[i].SpanContext().TraceID(), span.SpanContext().TraceID())
		require.Equal(t, senders[i].SpanContext().SpanID(), span.Parent().SpanID())
		require.Equal(t, trace.SpanKindConsumer, span.SpanKind())
		require.Len(t, span.Links(), 1)
	}
	require.Equal(t, failed.SpanContext(), first.Links()[0].SpanContext)
	require.Equal(t, first.SpanContext(), failed.Links()[0].SpanContext)
	require.Equal(t, first.SpanContext(), trace.SpanContextFromContext(processor.ctx))
	require.Equal(t, codes.Unset, first.Status().Code)
	require.Equal(t, sdktrace.Status{Code: codes.Error}, failed.Status())
	require.Equal(t, "transient", attributes(failed)["error.type"])
	require.Equal(t, codes.Unset, again.Status().Code)
	require.Empty(t, again.Links(), "it is alone now")
	require.Equal(t, failed.SpanContext().TraceID(), again.SpanContext().TraceID())
	require.Equal(t, attributes(senders[1])["cloudevents.event_id"], attributes(failed)["cloudevents.event_id"])
}

func attributes(span sdktrace.ReadOnlySpan) map[string]string {
	all := map[string]string{}
	for _, a := range span.Attributes() {
		all[string(a.Key)] = a.Value.String()
	}
	return all
}

func ended(recorder *tracetest.SpanRecorder, name string) (spans []sdktrace.ReadOnlySpan) {
	for _, span := range recorder.Ended() {
		if span.Name() == name {
			spans = append(spans, span)
		}
	}
	return spans
}

// keeping is a queue that keeps what it is sent, as deliveries.
type keeping struct {
	queue.Queue
	deliveries []queue.Delivery
}

func (k *keeping) Send(_ context.Context, message queue.Message) error {
	k.deliveries = append(k.deliveries, queue.Delivery{
		Receipt: fmt.Sprint(len(k.deliveries)), Group: message.Group, Body: message.Body, Attempt: 1, SentAt: time.Now(),
	})
	return nil
}
