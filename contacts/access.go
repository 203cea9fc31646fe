package contacts

import (
	"slices"
	"strings"
)

// Scope is what a credential permits.
type Scope string

// The scopes there are. Neither contains the other.
const (
	ScopeRead Scope = "contacts:read" // everything that changes nothing
	// create, replace, merge and delete, and the answers to these
	ScopeWrite Scope = "contacts:write"
)

// Scopes returns all scopes.
func Scopes() []Scope { return []Scope{ScopeRead, ScopeWrite} }

func (s Scope) known() bool { return slices.Contains(Scopes(), s) }

// scopeNames names all scopes, for errors.
func scopeNames() string {
	names := make([]string, 0, len(Scopes()))
	for _, scope := range Scopes() {
		names = append(names, string(scope))
	}
	return strings.Join(names, ", ")
}

// Caller identifies the caller of a request, by its credential. Subject tells callers of one
// tenant apart, so that their idempotency keys cannot collide, and is what the audit log calls
// them: it must name no person.
type Caller struct {
	Tenant  Tenant
	Subject string
	Scopes  []Scope
}

// May reports whether the caller's credential permits what the scope stands for.
func (c Caller) May(scope Scope) bool { return slices.Contains(c.Scopes, scope) }

// Unauthenticated returns the error of a request whose credential is missing (cause is nil),
// or unknown or no longer valid: then cause says why, for the log, and holds nothing of the
// credential.
func Unauthenticated(cause error) *Error {
	return &Error{Kind: KindUnauthenticated, Detail: "expected a valid credential, as in: Authorization: Bearer …", cause: cause}
}

// Forbidden returns the error of a request with a credential that does not permit it.
func Forbidden(scope Scope) *Error {
	return &Error{Kind: KindForbidden, Detail: "the credential lacks the scope " + string(scope)}
}
