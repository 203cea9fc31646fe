// Package commandqueue takes commands from the API to the worker over a durable FIFO queue.
package commandqueue

import (
	"context"
	"errors"
	"fmt"

	"contacts/contacts"
	"contacts/platform/database"
	"contacts/platform/queue"
	"contacts/platform/telemetry"
)

// Sender sends commands. The message group is the contact, so that its commands stay in order;
// the deduplication id is the operation.
type Sender struct {
	queue queue.Queue
	names Names
}

var _ contacts.Queue = (*Sender)(nil)

// NewSender returns a sender to q.
func NewSender(q queue.Queue, names Names) *Sender { return &Sender{q, names} }

// Send implements [contacts.Queue]. The command takes the trace along that ctx belongs to.
func (s *Sender) Send(ctx context.Context, command contacts.Command) error {
	ctx, span := s.names.sending(ctx, command)
	defer span.End()
	command.TraceParent = telemetry.TraceParent(ctx)
	err := s.send(ctx, command)
	var problem *contacts.Error
	switch {
	case errors.As(err, &problem):
		telemetry.Fail(span, string(problem.Kind))
	case err != nil:
		telemetry.Fail(span, "encoding")
	}
	return err
}

func (s *Sender) send(ctx context.Context, command contacts.Command) error {
	body, err := encode(command)
	if err != nil {
		return fmt.Errorf("encode command of operation %s: %w", command.Operation, err)
	}
	err = s.queue.Send(ctx, queue.Message{
		Group: command.Group(), DeduplicationID: command.Operation.String(), Body: body,
	})
	switch {
	case errors.Is(err, queue.ErrUncertain):
		return contacts.Uncertain(command.Operation, err)
	case errors.Is(err, database.ErrFileLost):
		return contacts.StorageLost(err)
	case errors.Is(err, queue.ErrUnavailable):
		return contacts.Unavailable("the write was not accepted, and nothing happened: try again", err)
	case errors.Is(err, queue.ErrRejected):
		return contacts.TooLarge(err)
	}
	return err
}
