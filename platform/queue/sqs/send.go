package sqs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"contacts/platform/queue"
)

const (
	// senders is how many batches can be on their way at once.
	senders = 32
	// eager is how many of them leave at once, however few messages they have. While so many are on their way, the next ones
	// wait until they are full, or one has arrived: a lone message is never held back, and under load every request is full.
	eager = 2
	// maxEntries is SQS's limit of entries in a batch, for every batch call.
	maxEntries = 10
	// maxBatchBytes limits a batch's bodies together. SQS allowed 256 KiB for years, and some emulators still do.
	maxBatchBytes = queue.MaxBody
	// sendTimeout bounds a batch with its retries: an HTTP caller waits for it.
	sendTimeout = 2 * time.Second
)

// outgoing is a message that waits for its answer.
type outgoing struct {
	message queue.Message
	// result takes one error, nil for accepted. It has room for it, so that no sender waits for a caller that left.
	result chan error
}

// Send implements [queue.Queue]. It answers within about two seconds, whatever becomes of SQS.
func (q *Queue) Send(ctx context.Context, message queue.Message) error {
	if err := message.Validate(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	out := &outgoing{message: message, result: make(chan error, 1)}
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

// sendAll sends what comes into the outbox, until the queue is closed and all that was taken has been sent.
func (q *Queue) sendAll(ctx context.Context) {
	var batch []*outgoing // not yet on its way
	size := 0
	arrived := make(chan struct{})
	underway := 0
	send := func() {
		full := batch
		batch, size = nil, 0
		underway++
		q.senders.Go(func() {
			q.sendBatch(ctx, full)
			arrived <- struct{}{}
		})
	}
	closing := q.closing
	for closing != nil || underway > 0 || len(batch) > 0 {
		outbox := q.outbox
		if len(batch) == maxEntries || closing == nil {
			outbox = nil
		}
		select {
		case out := <-outbox:
			if size += len(out.message.Body); size > maxBatchBytes && len(batch) > 0 {
				send() // one more than senders, rarely
				size = len(out.message.Body)
			}
			batch = append(batch, out)
		case <-arrived:
			underway--
		case <-closing:
			closing = nil
		}
		full := len(batch) == maxEntries || closing == nil
		if len(batch) > 0 && (underway < eager || full && underway < senders) {
			send()
		}
	}
}

// sendBatch sends a batch and gives every caller its answer.
func (q *Queue) sendBatch(ctx context.Context, batch []*outgoing) {
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
