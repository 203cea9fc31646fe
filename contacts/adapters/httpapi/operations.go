package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"contacts/contacts"
)

// retryOperation is when to ask again for a pending operation, in seconds.
const retryOperation = "1"

// operation is the JSON form of a [contacts.Operation].
type operation struct {
	ID         uuid.UUID            `json:"id" format:"uuid" doc:"Names the operation."`
	Kind       contacts.CommandKind `json:"kind" enum:"create,replace,upsert,merge,delete,erase" doc:"What was asked for. A write by external_id is an upsert until it has ended, and then the create or the replace that it was."`
	Status     contacts.Status      `json:"status" enum:"pending,succeeded,failed,expired" doc:"How far it has come; succeeded and failed are final. expired: it was not done within the 14 days that a queue keeps it, and will not be unless an operator has it sent again."`
	ContactID  *uuid.UUID           `json:"contact_id,omitempty" format:"uuid" doc:"The contact: of a create the one that it makes. Left out of a pending upsert, which may find another, and of a pending create whose id could not be determined because the cache was unavailable."`
	Version    int64                `json:"version,omitempty" minimum:"1" doc:"The version of the contact that the operation made, once it has succeeded."`
	AcceptedAt time.Time            `json:"accepted_at" doc:"When the write was accepted."`
	EndedAt    time.Time            `json:"ended_at,omitzero" doc:"When the operation ended."`
	Problem    *problem             `json:"problem,omitempty" doc:"Why the operation failed."`
}

// describe returns the operation as callers see it. The contact's id is left out where it is
// not known: see [contacts.PendingOperations].
func describe(o contacts.Operation) operation {
	described := operation{
		ID: o.ID, Kind: o.Kind, Status: o.Status, Version: o.Version, AcceptedAt: o.AcceptedAt, EndedAt: o.EndedAt,
	}
	if o.Contact != uuid.Nil && o.Kind != contacts.Upsert {
		described.ContactID = &o.Contact
	}
	if o.Problem != nil {
		described.Problem = fromDomain(o.Problem)
	}
	return described
}

type operationRequest struct {
	request

	ID string `path:"id" doc:"The operation's id, a UUID." example:"0197c5a4-3f51-7d02-8c11-2f6f0e9b7a35"`
}

func (a *api) operation(ctx context.Context, in *operationRequest) (*huma.StreamResponse, error) {
	id, err := uuid.Parse(in.ID)
	if err != nil || len(in.ID) != len(id.String()) {
		return nil, newProblem(contacts.KindNotFound, "no such operation")
	}
	found, err := a.service.Operation(ctx, callerOf(ctx), id)
	if err != nil {
		return nil, err
	}
	body, err := contacts.Encode(describe(found))
	if err != nil {
		return nil, err
	}
	headers := []string{"Cache-Control", cacheControl}
	if found.Status == contacts.Pending {
		headers = append(headers, "Retry-After", retryOperation)
	}
	return respond(http.StatusOK, body, headers...), nil
}
