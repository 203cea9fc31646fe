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

// ended writes into the audit log how an operation has ended, in the trace that it was sent
// in, and counts it. Its line may come again, when the worker dies before it has acknowledged
// the command: it then says so.
func (a *app) ended(ctx context.Context, command contacts.Command, outcome contacts.Outcome) {
	operation := outcome.Operation
	event := contacts.AuditEvent{
		Tenant: operation.Tenant, Action: string(operation.Kind), Contact: operation.Contact, Operation: operation.ID,
		Outcome: string(operation.Status), Version: operation.Version, Again: outcome.Again,
	}
	if operation.Problem != nil {
		event.Problem = operation.Problem.Kind
	}
	event.Log(telemetry.WithTraceParent(telemetry.Untraced(ctx), command.TraceParent), a.audit)
	if !outcome.Again {
		a.metrics.operation(operation)
	}
}

// operate applies an operator's decision on a parked command, and records the operator in the
// audit log.
func (a *app) operate(
	ctx context.Context, action string, id uuid.UUID, do func(context.Context, contacts.ParkedCommand) error,
) error {
	parked, err := a.parking.ParkedCommand(ctx, id)
	if err == nil {
		err = do(ctx, parked)
	}
	event := operated(action, err)
	event.Tenant, event.Operation = parked.Tenant, id
	event.Log(ctx, a.audit)
	return err
}

// operated is an operator's action by a command of the program, or its failure: the user
// of the operating system, by number.
func operated(action string, err error) contacts.AuditEvent {
	event := contacts.AuditEvent{Subject: "operator:" + strconv.Itoa(os.Getuid()), Action: action, Outcome: contacts.OutcomeDone}
	if err != nil {
		event.Outcome = contacts.OutcomeFailed
		if problem, ok := errors.AsType[*contacts.Error](err); ok {
			event.Problem = problem.Kind
		}
	}
	return event
}
