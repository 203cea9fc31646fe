package httpapi

import (
	"context"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"contacts/contacts"
)

// bearer is the name of the security scheme in the OpenAPI document, and of HTTP's (RFC 6750).
const bearer = "bearer"

// anyone is the caller without authentication.
func anyone() contacts.Caller {
	return contacts.Caller{Tenant: contacts.DefaultTenant, Subject: "anonymous", Scopes: contacts.Scopes()}
}

// callerOf returns the caller of a request, which the guard of every operation has identified.
func callerOf(ctx context.Context) contacts.Caller { return recordOf(ctx).caller }

// guard lets only callers whose credential has the scope, and whose limit is not reached, come
// to the operation, before anything else of their request is read, and says so in its
// description.
func (a *api) guard(op *huma.Operation, scope contacts.Scope) {
	if a.authenticate != nil {
		op.Security = []map[string][]string{{bearer: {string(scope)}}}
		maps.Copy(op.Responses, a.problems(http.StatusUnauthorized, http.StatusForbidden))
	}
	a.describeLimit(op)
	op.Middlewares = append(op.Middlewares, func(ctx huma.Context, next func(huma.Context)) {
		request := humaecho.Unwrap(ctx).Request()
		caller, err := a.admit(ctx.Context(), request.Header, scope)
		r := recordOf(ctx.Context())
		r.caller = caller
		if err == nil || contacts.IsKind(err, contacts.KindForbidden) { // the caller is known
			if tooMany := a.rateLimit(ctx, caller); tooMany != nil {
				err = tooMany
			} else if scope == contacts.ScopeWrite {
				r.write = op.OperationID
			}
		}
		if err == nil {
			var release func()
			if release, err = a.admitRequest(caller); err == nil {
				defer release()
				err = unambiguous(request)
			}
			if faults := parameterFaults(ctx.Operation().Parameters, request.URL.Query()); err == nil && len(faults) > 0 {
				err = invalid(faults...)
			}
		}
		if err == nil && op.RequestBody != nil {
			var release func()
			if release, err = a.takeRoom(caller, request); err == nil {
				var length int
				if length, err = a.readBody(humaecho.Unwrap(ctx)); length <= smallBody {
					release()
				} else {
					defer release()
				}
			}
		}
		if err != nil {
			a.fail(humaecho.Unwrap(ctx), err)
			return
		}
		next(ctx)
	})
}

// admit authenticates the caller by the header Authorization, and checks its scope.
func (a *api) admit(ctx context.Context, header http.Header, scope contacts.Scope) (contacts.Caller, error) {
	if a.authenticate == nil {
		return anyone(), nil
	}
	if err := once(header, "Authorization"); err != nil {
		return contacts.Caller{}, err
	}
	scheme, credential, _ := strings.Cut(header.Get("Authorization"), " ")
	if credential = strings.TrimSpace(credential); !strings.EqualFold(scheme, bearer) || credential == "" {
		return contacts.Caller{}, contacts.Unauthenticated(nil)
	}
	caller, err := a.authenticate(ctx, credential)
	if err == nil && !caller.May(scope) {
		err = contacts.Forbidden(scope)
	}
	return caller, err
}

// securitySchemes describes what callers have to send.
func (a *api) securitySchemes() map[string]*huma.SecurityScheme {
	if a.authenticate == nil {
		return nil
	}
	return map[string]*huma.SecurityScheme{bearer: {
		Type: "http", Scheme: bearer,
		Description: "An API key, or an access token of the service's issuer. An operation names the scope that it needs.",
	}}
}
