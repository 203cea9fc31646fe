package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"contacts/platform/queue"
)

const (
	// senders is how many batches can be on their way at once.
	senders = 32
	// gatherTime is the longest that a batch waits to fill while others are on their way.
	// Without others, a lone message leaves at once; under load every request is full.
	gatherTime = 10 * time.Millisecond
	// maxEntries is SQS's limit of entries in a batch, for every batch call.
	maxEntries = 10
	// maxBatchBytes limits a batch's bodies together. SQS allowed 256 KiB for years, and some
	// emulators still do.
	maxBatchBytes = queue.MaxBody
	// sendTimeout bounds a batch with its retries: an HTTP caller waits for it.
	sendTimeout = 2 * time.Second
)

// outgoing is a message that waits for its answer.
type outgoing struct {
	message queue.Message
	span    trace.Span // that it is sent in
	// result takes one error, nil for accepted. It has room for it, so that no sender waits
	// for a caller that left.
	result chan error
}

// Send implements [queue.Queue]. It answers within about two seconds, also while SQS is
// unreachable.
func (q *Queue) Send(ctx context.Context, message queue.Message) error {
	if err := message.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	out := &outgoing{message: message, span: trace.SpanFromContext(ctx), result: make(chan error, 1)}
	select {
	case q.outbox <- out:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-q.closing:
		return unavailable(errors.New("it was closed"))
	}
	select {
	case err := <-out.result:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", queue.ErrUncertain, ctx.Err())
	}
}

// sendAll sends what comes into the outbox, until the queue is closed and all that was taken
// has been sent.
func (q *Queue) sendAll(ctx context.Context) {
	var batch []*outgoing // not yet on its way
	var next *outgoing    // does not fit into it
	size := 0
	add := func(out *outgoing) {
		batch = append(batch, out)
		size += len(out.message.Body)
	}
	gathered := time.NewTimer(gatherTime)
	batches := make(chan []*outgoing)
	defer close(batches)
	arrived := make(chan struct{})
	underway, started := 0, 0
	for closing := q.closing; closing != nil || underway > 0 || len(batch) > 0; {
		outbox := q.outbox
		if len(batch) == maxEntries || next != nil || closing == nil {
			outbox = nil
		}
		ready := false
		select {
		case out := <-outbox:
			switch {
			case len(batch) > 0 && size+len(out.message.Body) > maxBatchBytes:
				next = out
			case len(batch) == 0:
				gathered.Reset(gatherTime)
				add(out)
			default:
				add(out)
			}
		case <-gathered.C:
			ready = true
		case <-arrived:
			underway--
		case <-closing:
			closing = nil
		}
		ready = ready || len(batch) == maxEntries || next != nil || closing == nil
		for len(batch) > 0 && (underway == 0 || ready && underway < senders) {
			full := batch
			batch, size = nil, 0
			if next != nil {
				gathered.Reset(gatherTime)
				add(next)
				next = nil
			}
			ready = closing == nil
			if underway++; underway > started {
				started++
				// It is kept for the next batches, because a new one would have to grow its
				// stack for the SDK's calls each time.
				q.senders.Go(func() {
					for batch := range batches {
						q.sendBatch(ctx, batch)
						arrived <- struct{}{}
					}
				})
			}
			batches <- full // one of those started is free
		}
	}
}

// sendBatch sends a batch and gives every caller its answer.
func (q *Queue) sendBatch(ctx context.Context, batch []*outgoing) {
	spans := make([]trace.Span, len(batch))
	for i, out := range batch {
		spans[i] = out.span
	}
	ctx, span := q.span(ctx, "SendMessageBatch", semconv.MessagingOperationTypeSend, spans...)
	defer span.End()
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	entries := make([]types.SendMessageBatchRequestEntry, len(batch))
	for i, out := range batch {
		id, body := strconv.Itoa(i), string(out.message.Body)
		entries[i] = types.SendMessageBatchRequestEntry{
			Id:                     &id,
			MessageBody:            &body,
			MessageGroupId:         &out.message.Group,
			MessageDeduplicationId: &out.message.DeduplicationID,
		}
	}
	var fate fate
	output, err := q.client.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries}, fate.watch)
	if err != nil {
		fail(span, err)
		failure := fate.failure(err)
		for _, out := range batch {
			out.result <- failure
		}
		return
	}
	results := fate.results(output)
	for i, out := range batch {
		err, answered := results[strconv.Itoa(i)]
		if !answered {
			err = fmt.Errorf("%w: SQS left it out of its answer", queue.ErrUncertain)
		}
		out.result <- err
	}
}
