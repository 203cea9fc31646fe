// Package commandqueue takes commands from the API to the worker over a durable FIFO queue.
package commandqueue

import (
	"context"
	"errors"
	"fmt"

	"contacts/contacts"
	"contacts/platform/queue"
)

// Sender sends commands. The message group is the contact, so that its commands stay in order; the deduplication id is
// the operation.
type Sender struct {
	queue queue.Queue
}

var _ contacts.Queue = (*Sender)(nil)

// NewSender returns a sender to q.
func NewSender(q queue.Queue) *Sender { return &Sender{queue: q} }

// Send implements [contacts.Queue].
func (s *Sender) Send(ctx context.Context, command contacts.Command) error {
	body, err := encode(command)
	if err != nil {
		return fmt.Errorf("encode command of operation %s: %w", command.Operation, err)
	}
	err = s.queue.Send(ctx, queue.Message{
		Group: contacts.MessageGroup(command.Tenant, command.Contact), DeduplicationID: command.Operation.String(), Body: body,
	})
	switch {
	case errors.Is(err, queue.ErrUncertain):
		return contacts.Uncertain(command.Operation, err)
	case errors.Is(err, queue.ErrUnavailable):
		return contacts.Unavailable("the write was not accepted, and nothing happened: try again", err)
	case errors.Is(err, queue.ErrRejected):
		return contacts.TooLarge(err)
	}
	return err
}
