// Package queue is the port to a durable FIFO queue with message groups, and the vocabulary
// its adapters share.
//
// Two adapters implement [Queue]: package sqs (Amazon SQS FIFO) and package embedded (tables
// in a SQLite file). Package queuetest holds the contract suite that both pass. The words are
// those of Amazon SQS.
package queue

import (
	"context"
	"errors"
	"time"
)

// Errors that every adapter returns, possibly wrapped: compare with [errors.Is].
var (
	// ErrUnavailable says that the queue did not take the call and that nothing happened: the
	// caller may try again.
	ErrUnavailable = errors.New("queue unavailable")

	// ErrUncertain says that a message was handed over and no answer came back: it may or may
	// not have been accepted. Sending it again with the same deduplication id is safe.
	ErrUncertain = errors.New("queue did not answer: the message may have been accepted")

	// ErrRejected says that the queue refuses this message for good (too large, malformed): a
	// retry cannot help.
	ErrRejected = errors.New("queue rejects the message")

	// ErrReceiptExpired says that a receipt no longer holds its message: its visibility
	// timeout has run out and the message is, or will be, delivered again. Nothing was deleted
	// or changed under that receipt.
	ErrReceiptExpired = errors.New("receipt has expired")
)

// Message is what a sender hands over.
type Message struct {
	// Group is the message group: messages of one group are delivered in the order in which
	// they were accepted. 1 to 128 printable ASCII characters without spaces.
	Group string
	// DeduplicationID makes a repeated send within five minutes, in the same group, an
	// accepted no-op. 1 to 128 printable ASCII characters without spaces.
	DeduplicationID string
	// Body is 1 to [MaxBody] bytes of the UTF-8 text that [Message.Validate] describes.
	Body []byte
}

// DefaultVisibility is the visibility timeout of an adapter that is opened without one.
const DefaultVisibility = 60 * time.Second

// Delivery is one receipt of a message. The same message may be delivered more than once.
type Delivery struct {
	// Receipt names this delivery, not the message: it stops working when the visibility
	// timeout has run out.
	Receipt string
	// Group is the message's group.
	Group string
	// Body is the message's body as it was sent.
	Body []byte
	// Attempt counts the deliveries of this message, this one included: 1 for the first.
	Attempt int
	// SentAt is when the queue accepted the message.
	SentAt time.Time
}

// Stats says how much a queue holds. Adapters may answer with approximate numbers.
type Stats struct {
	// Waiting counts the messages that can be received now or wait behind another of their
	// group.
	Waiting int64
	// InFlight counts the messages that were received and are not yet deleted nor visible
	// again.
	InFlight int64
}

// Queue is a durable FIFO queue. All methods may be called concurrently.
//
// What an implementation guarantees:
//
//   - At least once: once Send has returned nil, the message is delivered until a valid
//     receipt deletes it, also after every process was killed.
//   - In order within a group: a message is never delivered before an earlier one of its group
//     was deleted. While one message of a group is in flight, no other Receive is given
//     messages of that group. One Receive may return several messages of a group, in their
//     order.
//   - Fenced receipts: after the visibility timeout has run out, a receipt can neither delete
//     nor extend.
//   - Groups are independent: a group that is not acknowledged never holds up another one.
type Queue interface {
	// Send hands one message over and returns once it is stored durably. Concurrent calls are
	// gathered into batches; a lone call is not held back. It returns [ErrUnavailable],
	// [ErrUncertain] or [ErrRejected], the latter for what [Message.Validate] refuses. A
	// context that ends before the message is on its way gives [ErrUnavailable], one that ends
	// later gives [ErrUncertain].
	Send(ctx context.Context, message Message) error

	// Receive waits up to wait for messages and returns at most limit of them (limit ≥ 1; an
	// adapter may return fewer than are there), each invisible to others for the visibility
	// timeout that the adapter was opened with. No message within wait is an empty result, not
	// an error. It returns [ErrUnavailable], or the context's error if that ends first.
	Receive(ctx context.Context, limit int, wait time.Duration) ([]Delivery, error)

	// Delete acknowledges deliveries: their messages are never delivered again. Receipts that
	// have expired are reported as one error wrapping [ErrReceiptExpired]; the others are
	// deleted all the same. [ErrUnavailable] says that some may not have been deleted: calling
	// again with the same receipts is safe. One error can wrap both.
	Delete(ctx context.Context, receipts ...string) error

	// Extend makes the deliveries' messages invisible for d from now; zero hands them back at
	// once and ends their receipts. Expired receipts and errors are treated as by Delete.
	Extend(ctx context.Context, d time.Duration, receipts ...string) error

	// Stats reports the queue's depth. It returns [ErrUnavailable].
	Stats(ctx context.Context) (Stats, error)
}
