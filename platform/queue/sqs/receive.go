package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"contacts/platform/queue"
)

// The limits of a long poll. SQS takes zero too, but the SDK leaves it out of the request,
// where SQS then puts the queue's own setting.
const (
	minWait = time.Second
	maxWait = 20 * time.Second
)

// Receive implements [queue.Queue]: at most ten messages, and a wait of 1 to 20 whole seconds
// (rounded up). A poll cannot be called back: cut off, SQS may still fill it, and hide its
// messages from all consumers for a visibility timeout. So when ctx ends Receive returns at
// once, and the poll goes on behind it, hands back what it is given, and is waited for by
// [Queue.Close].
func (q *Queue) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	type result struct {
		deliveries []queue.Delivery
		err        error
	}
	polled := make(chan result)
	q.polls.Go(func() {
		background := context.WithoutCancel(ctx)
		deliveries, err := q.poll(background, limit, wait)
		select {
		case polled <- result{deliveries, err}:
		case <-ctx.Done():
			q.handBack(background, deliveries, err)
		}
	})
	select {
	case r := <-polled:
		return r.deliveries, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("receive: %w", ctx.Err())
	}
}

// handBack makes messages without a waiting receiver visible at once. Where that fails,
// their visibility timeout does, and until then the later ones of their groups wait too. So
// they do where the poll itself failed (err), but SQS had given it some.
func (q *Queue) handBack(ctx context.Context, deliveries []queue.Delivery, err error) {
	receipts := make([]string, len(deliveries))
	for i, d := range deliveries {
		receipts[i] = d.Receipt
	}
	if err == nil {
		err = q.Extend(ctx, 0, receipts...)
	}
	if errors.Is(err, queue.ErrUnavailable) {
		q.log.WarnContext(ctx, "messages of a last poll may stay hidden for a visibility timeout", "messages", len(receipts), "error", err)
	}
}

// poll asks SQS once.
func (q *Queue) poll(ctx context.Context, limit int, wait time.Duration) ([]queue.Delivery, error) {
	seconds := wholeSeconds(max(wait, minWait), maxWait)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+callTimeout)
	defer cancel()
	// With an attempt id, a retry after a lost answer is given the same messages instead of
	// leaving them hidden.
	attempt := uuid.NewString()
	output, err := q.client.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{
		QueueUrl:                &q.url,
		MaxNumberOfMessages:     int32(min(max(limit, 1), maxEntries)),
		VisibilityTimeout:       q.visibility,
		WaitTimeSeconds:         seconds,
		ReceiveRequestAttemptId: &attempt,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{
			types.MessageSystemAttributeNameApproximateReceiveCount,
			types.MessageSystemAttributeNameMessageGroupId,
			types.MessageSystemAttributeNameSentTimestamp,
		},
	})
	if err != nil {
		return nil, unavailable(err)
	}
	deliveries := make([]queue.Delivery, len(output.Messages))
	for i, message := range output.Messages {
		deliveries[i] = delivery(message)
	}
	return deliveries, nil
}

// delivery converts a received message. Attributes that a server leaves out come out as a
// first attempt, sent at an unknown time: dropping the message for them would only bring it
// again.
func delivery(message types.Message) queue.Delivery {
	number := func(name types.MessageSystemAttributeName) (int64, bool) {
		n, err := strconv.ParseInt(message.Attributes[string(name)], 10, 64)
		return n, err == nil
	}
	d := queue.Delivery{
		Receipt: aws.ToString(message.ReceiptHandle),
		Group:   message.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)],
		Body:    []byte(aws.ToString(message.Body)),
		Attempt: 1,
	}
	if count, ok := number(types.MessageSystemAttributeNameApproximateReceiveCount); ok {
		d.Attempt = int(count)
	}
	if millis, ok := number(types.MessageSystemAttributeNameSentTimestamp); ok {
		d.SentAt = time.UnixMilli(millis)
	}
	return d
}

// Delete implements [queue.Queue].
func (q *Queue) Delete(ctx context.Context, receipts ...string) error {
	return q.inBatches(ctx, "DeleteMessageBatch", receipts, func(ctx context.Context, batch []string) ([]types.BatchResultErrorEntry, error) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(batch))
		for i, receipt := range batch {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &receipt}
		}
		output, err := q.client.DeleteMessageBatch(ctx, &awssqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, err
		}
		return output.Failed, nil
	})
}

// Extend implements [queue.Queue], in whole seconds (rounded up). SQS hides no message for
// more than 12 hours after it was received.
func (q *Queue) Extend(ctx context.Context, d time.Duration, receipts ...string) error {
	seconds := wholeSeconds(d, maxVisibility)
	return q.inBatches(ctx, "ChangeMessageVisibilityBatch", receipts, func(ctx context.Context, batch []string) ([]types.BatchResultErrorEntry, error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(batch))
		for i, receipt := range batch {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &receipt, VisibilityTimeout: seconds,
			}
		}
		output, err := q.client.ChangeMessageVisibilityBatch(ctx,
			&awssqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return nil, err
		}
		return output.Failed, nil
	})
}

// inBatches makes one call for every ten receipts, several at once, and gathers what went
// wrong into one error.
func (q *Queue) inBatches(
	ctx context.Context, action string, receipts []string,
	call func(context.Context, []string) ([]types.BatchResultErrorEntry, error),
) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var calls errgroup.Group
	calls.SetLimit(senders)
	errs := make([]error, (len(receipts)+maxEntries-1)/maxEntries)
	for i := range errs {
		batch := receipts[i*maxEntries : min((i+1)*maxEntries, len(receipts))]
		calls.Go(func() error {
			ctx, span := q.span(ctx, action, semconv.MessagingOperationTypeSettle, trace.SpanFromContext(ctx))
			defer span.End()
			failed, err := call(ctx, batch)
			if err != nil {
				fail(span, err)
				errs[i] = unavailable(err)
			} else {
				errs[i] = entryFailures(failed)
			}
			return nil
		})
	}
	_ = calls.Wait() // The calls keep their errors in errs: one that fails must not hide another.
	return errors.Join(errs...)
}

// entryFailures sorts the failed entries of one call into expired receipts and everything
// else.
func entryFailures(failed []types.BatchResultErrorEntry) error {
	var expired int
	var other error
	for _, entry := range failed {
		if expiredReceipt(entry) {
			expired++
		} else {
			other = unavailable(entryError(entry))
		}
	}
	if expired > 0 {
		return errors.Join(fmt.Errorf("%d messages: %w", expired, queue.ErrReceiptExpired), other)
	}
	return other
}

// expiredReceipt recognises the ways in which SQS says that a receipt no longer holds. A FIFO
// queue answers InvalidParameterValue with "The receipt handle has expired", or
// ReceiptHandleIsInvalid, to a receipt whose visibility timeout has run out, and
// MessageNotInflight to a change of visibility.
func expiredReceipt(entry types.BatchResultErrorEntry) bool {
	switch code(aws.ToString(entry.Code)) {
	case "ReceiptHandleIsInvalid", "MessageNotInflight":
		return true
	case "InvalidParameterValue":
		text := strings.ToLower(aws.ToString(entry.Message))
		return strings.Contains(text, "receipt handle") || strings.Contains(text, "receipthandle")
	default:
		return false
	}
}
