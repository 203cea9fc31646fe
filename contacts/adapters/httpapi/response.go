package httpapi

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"contacts/contacts"
)

// The paths that answers point to.
const (
	contactsPath   = "/v1/contacts"
	operationsPath = "/v1/operations"
	changesPath    = "/v1/changes"
)

// cacheControl lets the caller's own cache keep a contact, and ask by its ETag whether it is
// still the same.
const cacheControl = "private, no-cache"

// respond answers with the body's bytes as they are, JSON, or with no body where it is nil.
// Headers are pairs of a name and a value.
func respond(status int, body []byte, headers ...string) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		for i := 0; i+1 < len(headers); i += 2 {
			ctx.SetHeader(headers[i], headers[i+1])
		}
		if body == nil {
			ctx.SetStatus(status)
			return
		}
		ctx.SetHeader("Content-Type", "application/json")
		ctx.SetHeader("Content-Length", strconv.Itoa(len(body)))
		ctx.SetStatus(status)
		_, _ = ctx.BodyWriter().Write(body) // it fails when the caller has gone
	}}
}

// settled answers a write: with what it made, or with the operation to ask for if it has not
// ended yet. The operation is noted for the request's lines in the logs, to be found in the
// worker's as well.
func settled(r *request, operation contacts.Operation, err error) (*huma.StreamResponse, error) {
	recordOf(r.echo.Request().Context()).operation = operation
	refused, _ := errors.AsType[*contacts.Error](err)
	switch {
	case refused != nil && refused.Kind == contacts.KindStaleVersion && weak(r.header().Values("If-Match")):
		p := fromDomain(refused)
		p.Errors = append(p.Errors, fault{Header: "If-Match", Detail: `expected a strong entity tag: a weak one, W/"…", never matches here`})
		return nil, p
	case err != nil:
		return nil, err
	case operation.Status == contacts.Pending:
		body, err := contacts.Encode(describe(operation))
		return respond(http.StatusAccepted, body,
			"Location", operationsPath+"/"+operation.ID.String(), "Retry-After", retryOperation), err
	case operation.Kind == contacts.Delete, operation.Kind == contacts.Erase:
		return respond(http.StatusNoContent, nil), nil
	case operation.Kind == contacts.Create:
		return respond(http.StatusCreated, operation.Document,
			"ETag", entityTag(operation.Version), "Location", contactsPath+"/"+operation.Contact.String()), nil
	default:
		return respond(http.StatusOK, operation.Document, "ETag", entityTag(operation.Version)), nil
	}
}
