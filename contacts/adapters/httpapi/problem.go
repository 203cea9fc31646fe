package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// problem is the body of every error, a problem document (RFC 9457). It never repeats what the
// caller sent, but for the names of members and parameters.
type problem struct {
	Type           string  `json:"type" format:"uri-reference" doc:"Names the kind of problem, and never changes. Under this path the server explains it." example:"/problems/invalid"`
	Title          string  `json:"title" doc:"The kind of problem in words." example:"The request is not valid"`
	Status         int     `json:"status" doc:"The HTTP status." example:"422"`
	Detail         string  `json:"detail,omitempty" doc:"What is wrong with this request." example:"the input is not valid"`
	Errors         []fault `json:"errors,omitempty" nullable:"false" doc:"The single faults of the request."`
	CurrentVersion int64   `json:"current_version,omitempty" doc:"With stale-version: the version that the contact is at." example:"7"`
	ContactID      string  `json:"contact_id,omitempty" format:"uuid" doc:"With duplicate-external-id: the contact that has it."`
	Operation      string  `json:"operation,omitempty" format:"uri-reference" doc:"With uncertain: where to ask what became of the write."`

	kind   contacts.Kind
	header http.Header
}

// fault is one fault of a request and its place: one of Pointer, Parameter and Header.
type fault struct {
	Pointer   *string `json:"pointer,omitempty" doc:"Where in the body: a JSON pointer (RFC 6901), empty for the whole." example:"/emails/0/address"`
	Parameter string  `json:"parameter,omitempty" doc:"Which parameter of the query or the path."`
	Header    string  `json:"header,omitempty" doc:"Which header."`
	Detail    string  `json:"detail" doc:"What was expected." example:"expected an email address such as jane@example.com"`
}

var (
	_ huma.StatusError       = (*problem)(nil)
	_ huma.HeadersError      = (*problem)(nil)
	_ huma.ContentTypeFilter = (*problem)(nil)
)

// maxFaults is how many faults of a request are told at the most.
const maxFaults = 20

// problemContent is the media type of problems.
const problemContent = "application/problem+json"

// Error implements error.
func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus, GetHeaders and ContentType tell huma how to send the problem.
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.header }
func (p *problem) ContentType(string) string { return problemContent }

// newProblem returns a problem of a kind that [problemTypes] has.
func newProblem(kind contacts.Kind, detail string, faults ...fault) *problem {
	t := problemTypes[kind]
	return &problem{
		Type: problemsPath + "/" + string(kind), Title: t.title, Status: t.status,
		Detail: detail, Errors: faults[:min(len(faults), maxFaults)], kind: kind, header: http.Header{},
	}
}

// invalid returns the problem of a request with faults.
func invalid(faults ...fault) *problem {
	return newProblem(contacts.KindInvalid, "the input is not valid", faults...)
}

// fromDomain returns an error of the domain as a problem.
func fromDomain(e *contacts.Error) *problem {
	kind := e.Kind
	if _, known := problemTypes[kind]; !known {
		kind = kindInternal
	}
	faults := make([]fault, len(e.Violations))
	for i, v := range e.Violations {
		faults[i].Detail = v.Message
		if v.Pointer == "" || strings.HasPrefix(v.Pointer, "/") {
			faults[i].Pointer = &v.Pointer
		} else {
			faults[i].Parameter = v.Pointer
		}
	}
	p := newProblem(kind, e.Detail, faults...)
	switch kind {
	case contacts.KindDuplicateExternalID:
		p.ContactID = e.Contact
	case contacts.KindStaleVersion:
		p.CurrentVersion = e.CurrentVersion
		p.header.Set("ETag", entityTag(e.CurrentVersion))
	case contacts.KindUnauthenticated:
		challenge := `Bearer realm="contacts"`
		if e.Unwrap() != nil { // there was one
			challenge += `, error="invalid_token"`
		}
		p.header.Set("WWW-Authenticate", challenge)
	case contacts.KindForbidden:
		p.header.Set("WWW-Authenticate", `Bearer realm="contacts", error="insufficient_scope"`)
	case contacts.KindUnavailable:
		p.header.Set("Retry-After", retryUnavailable)
	case contacts.KindUncertain:
		p.header.Set("Retry-After", retryUnavailable)
		if e.Operation != "" {
			p.Operation = operationsPath + "/" + e.Operation
			p.header.Set("Link", "<"+p.Operation+`>; rel="status"`) // RFC 8631
		}
	}
	return p
}

// problem returns what to answer for an error, and logs what the caller is not told.
func (a *api) problem(ctx context.Context, err error) *problem {
	var told *problem
	var domain *contacts.Error
	var routed *echo.HTTPError
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &domain):
		if cause := domain.Unwrap(); cause != nil {
			level := slog.LevelWarn
			if domain.Kind == contacts.KindUnauthenticated {
				// any client that can reach the port can send them without limit
				level = slog.LevelDebug
			}
			a.log.Log(ctx, level, "request not served", "kind", domain.Kind, "error", cause, "request_id", recordOf(ctx).id)
		}
		return fromDomain(domain)
	case errors.As(err, &routed) && routed.Code == http.StatusNotFound:
		return newProblem(contacts.KindNotFound, "no such path")
	case errors.As(err, &routed) && routed.Code == http.StatusMethodNotAllowed:
		return newProblem(kindMethodNotAllowed, "the path does not have this method: see Allow")
	case errors.Is(err, context.Canceled):
		// the caller has gone
		return newProblem(contacts.KindUnavailable, "the request was given up")
	}
	a.log.ErrorContext(ctx, "request failed", "error", err, "request_id", recordOf(ctx).id)
	return newProblem(kindInternal, "the server failed; the request's id leads to the reason in its log")
}

// fail answers with the problem of an error that no operation has answered.
func (a *api) fail(c echo.Context, err error) {
	p := a.problem(c.Request().Context(), err)
	if c.Response().Committed {
		return
	}
	body, err := contacts.Encode(p)
	if err != nil {
		a.log.ErrorContext(c.Request().Context(), "problem not encoded", "error", err, "request_id", recordOf(c.Request().Context()).id)
	}
	recordOf(c.Request().Context()).problem = p.kind
	maps.Copy(c.Response().Header(), p.header)
	_ = c.Blob(p.Status, problemContent, body) // it fails when the caller has gone
}

// fromHuma is a [huma.Transformer] that gives huma's own errors the shape of all others, and
// notes what is answered. It is per API, unlike huma.NewError.
func (a *api) fromHuma(ctx huma.Context, _ string, v any) (any, error) {
	if model, ok := v.(*huma.ErrorModel); ok {
		v = fromModel(model)
	}
	if p, ok := v.(*problem); ok {
		recordOf(ctx.Context()).problem = p.kind
	}
	return v, nil
}

// fromModel returns one of huma's own errors, which echo the values they complain about, as a
// problem.
func fromModel(model *huma.ErrorModel) *problem {
	p := newProblem(kindInternal, "the request could not be read")
	p.Status = model.Status
	return p
}
