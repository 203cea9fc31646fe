package contacts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
)

// ParkedCommand is a message that was set aside because it could be neither applied nor read,
// so that what comes behind it can go on. An operator is to look at it.
type ParkedCommand struct {
	// the operation; where the message cannot be read, drawn from its group and body
	ID       uuid.UUID
	Tenant   Tenant // "" where the message cannot be read
	Group    string // the message group
	Body     []byte // the message as it was sent: people's data
	Reason   string // why it is here, without people's data
	Attempts int    // how often it was delivered
	ParkedAt time.Time
}

// Parking keeps parked commands.
type Parking interface {
	// Park sets a command aside and, unless ended is nil or the operation had ended before,
	// ends its operation, in one transaction. It returns the end that stands; nil where ended
	// is. What has ended well is not set aside: there is nothing to look at. Nor is a command
	// of an erased contact, read or not, which ends as [Operation.Overtaken]. Parking again
	// what is parked changes nothing.
	Park(ctx context.Context, parked ParkedCommand, ended *Operation) (stands *Operation, err error)

	// Parked returns up to limit parked commands, the latest first.
	Parked(ctx context.Context, limit int) ([]ParkedCommand, error)

	// ParkedCommand returns one, or an [Error] of [KindNotFound].
	ParkedCommand(ctx context.Context, id uuid.UUID) (ParkedCommand, error)

	// Reopen takes back the end that parking gave the operation of a parked command, so that
	// it can be applied after all, and returns that end; nil if there is none to take back.
	Reopen(ctx context.Context, id uuid.UUID) (ended *Operation, err error)

	// Discard removes a parked command for good. Its operation stays as it is. It returns an
	// [Error] of [KindNotFound].
	Discard(ctx context.Context, id uuid.UUID) error
}

// Park sets a message aside. command is what can be told of it, its operation at least, which
// then ends as failed unless it has ended before, and the waiting caller is told; nil where
// nothing can.
func (p *Processor) Park(ctx context.Context, parked ParkedCommand, command *Command) error {
	now := p.now().UTC().Truncate(time.Microsecond)
	parked.ParkedAt = now
	var ended *Operation
	if command == nil {
		// The same one each time: a message that was parked, but not deleted, comes again.
		parked.ID = uuid.NewHash(sha256.New(), uuid.Nil, slices.Concat([]byte(parked.Group+"\x00"), parked.Body), 8)
	} else {
		parked.ID, parked.Tenant = command.Operation, command.Tenant
		operation := command.End(Contact{}, &Error{
			Kind:   KindParked,
			Detail: "the write could not be applied and was set aside; an operator has to look at it",
		}, now)
		ended = &operation
	}
	stands, err := p.parking.Park(ctx, parked, ended)
	if err != nil {
		return fmt.Errorf("park command %s: %w", parked.ID, err)
	}
	if stands == nil || command == nil {
		return nil
	}
	if command.ReplyTo != "" {
		p.notify(ctx, []Notice{{Address: command.ReplyTo, Operation: *stands}})
	}
	parkedNow := stands.Problem != nil && stands.Problem.Kind == KindParked && stands.EndedAt.Equal(now)
	p.ended(ctx, *command, Outcome{Operation: *stands, Again: !parkedNow})
	return nil
}

// NoParkedCommand is the error of a [Parking] that has none of that id.
func NoParkedCommand() *Error { return notFound("parked command") }
