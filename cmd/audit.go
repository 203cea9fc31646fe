package cmd

import (
	"context"
	"errors"
	"os"
	"strconv"

	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// ended writes into the audit log how an operation has ended, in the trace that it was sent in, and counts it. Its line may
// come again, when the worker dies before it has acknowledged the command: it then says so.
func (a *app) ended(ctx context.Context, command contacts.Command, outcome contacts.Outcome) {
	operation := outcome.Operation
	deed := contacts.Deed{
		Tenant: operation.Tenant, Action: string(operation.Kind), Contact: operation.Contact, Operation: operation.ID,
		Outcome: string(operation.Status), Version: operation.Version, Again: outcome.Again,
	}
	if operation.Problem != nil {
		deed.Problem = operation.Problem.Kind
	}
	deed.Log(telemetry.WithTraceParent(telemetry.Untraced(ctx), command.TraceParent), a.audit)
	if !outcome.Again {
		a.metrics.operation(operation)
	}
}

// operate does something about a parked command, and writes who did it into the audit log.
func (a *app) operate(
	ctx context.Context, action string, id uuid.UUID, do func(context.Context, contacts.ParkedCommand) error,
) error {
	parked, err := a.parking.ParkedCommand(ctx, id)
	if err == nil {
		err = do(ctx, parked)
	}
	deed := operated(action, err)
	deed.Tenant, deed.Operation = parked.Tenant, id
	deed.Log(ctx, a.audit)
	return err
}

// operated is what somebody has done, or failed to do, by a command of the program: the user of the operating system, by
// number.
func operated(action string, err error) contacts.Deed {
	deed := contacts.Deed{Subject: "operator:" + strconv.Itoa(os.Getuid()), Action: action, Outcome: contacts.OutcomeDone}
	if err != nil {
		deed.Outcome = contacts.OutcomeFailed
		if problem, ok := errors.AsType[*contacts.Error](err); ok {
			deed.Problem = problem.Kind
		}
	}
	return deed
}
