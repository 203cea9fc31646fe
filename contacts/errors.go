package contacts

import (
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind sorts errors by what the caller can do about them. The values are stable: they are
// stored with operations and name the problem types of the API.
type Kind string

// The kinds of [Error].
const (
	// the input breaks the rules in Violations
	KindInvalid  Kind = "invalid"
	KindNotFound Kind = "not-found" // no such contact or operation
	// If-Match names another version than CurrentVersion
	KindStaleVersion Kind = "stale-version"
	// another live contact of the tenant has the external_id
	KindDuplicateExternalID Kind = "duplicate-external-id"
	KindKeyReused           Kind = "idempotency-key-reused"
	KindExpired             Kind = "expired" // a cursor after which changes are gone
	// done, and the contact that it made was erased since
	KindErased          Kind = "erased"
	KindUnauthenticated Kind = "unauthenticated" // no valid credential
	KindForbidden       Kind = "forbidden"       // a valid one that does not permit it
	// accepted, and could not be applied: an operator has to look at it
	KindParked      Kind = "parked"
	KindUnavailable Kind = "unavailable" // nothing happened; try again
	// nothing happened; nothing can be written until an operator has mended it
	KindStorageLost Kind = "storage-lost"
	// it may have happened; try again with the same key, or ask for Operation
	KindUncertain Kind = "uncertain"
)

// Error is an error that the caller can act upon. It is stored with failed operations and
// never holds a contact's data.
type Error struct {
	Kind           Kind        `json:"kind"`
	Detail         string      `json:"detail"`
	Violations     []Violation `json:"violations,omitempty"`
	CurrentVersion int64       `json:"current_version,omitempty"` // with KindStaleVersion
	// with KindUncertain: the operation to ask for
	Operation string `json:"operation,omitempty"`
	// with KindDuplicateExternalID: the contact that has it
	Contact string `json:"contact,omitempty"`
	cause   error
}

// Violation is one broken rule and its place.
type Violation struct {
	// Pointer is a JSON pointer (RFC 6901) into the input, "" for the whole. For a query
	// parameter it is its bare name.
	Pointer string `json:"pointer"`
	// Message says what was expected.
	Message string `json:"message"`
}

// Error implements error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Detail)
	for i, v := range e.Violations {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		if v.Pointer != "" {
			b.WriteString(v.Pointer + ": ")
		}
		b.WriteString(v.Message)
	}
	return b.String()
}

// Unwrap returns the error behind this one, which is for logs and not for callers; it is not
// stored.
func (e *Error) Unwrap() error { return e.cause }

// IsKind reports whether err is, or wraps, an [Error] of the kind.
func IsKind(err error, kind Kind) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind == kind
}

func invalid(violations ...Violation) *Error {
	return &Error{Kind: KindInvalid, Detail: "the input is not valid", Violations: violations}
}

func notFound(what string) *Error {
	return &Error{Kind: KindNotFound, Detail: "no such " + what}
}

func staleVersion(current int64) *Error {
	return &Error{
		Kind:           KindStaleVersion,
		Detail:         fmt.Sprintf("the contact is at version %d: read it again and repeat the change on that", current),
		CurrentVersion: current,
	}
}

// duplicateExternalID is the error of a command whose external_id another live contact of the
// tenant, its holder, has already.
func duplicateExternalID(holder uuid.UUID) *Error {
	return &Error{
		Kind:       KindDuplicateExternalID,
		Detail:     "another contact has this external_id: change that one, or give this one another",
		Contact:    holder.String(),
		Violations: []Violation{{Pointer: "/external_id", Message: "must be unique among the tenant's contacts"}},
	}
}

func keyReused() *Error {
	return &Error{
		Kind:   KindKeyReused,
		Detail: "this Idempotency-Key was used with another request: send the same request, or a new key",
	}
}

func erased() *Error {
	return &Error{Kind: KindErased, Detail: "the write was done, and its contact has been erased since: nothing of it is kept"}
}

// Unavailable is the error of an adapter that could not be asked. The cause is for logs, not
// for callers.
func Unavailable(detail string, cause error) *Error {
	return &Error{Kind: KindUnavailable, Detail: detail, cause: cause}
}

// StorageLost is the error of a queue that has lost its file.
func StorageLost(cause error) *Error {
	return &Error{
		Kind: KindStorageLost, cause: cause,
		Detail: "the write was not accepted, and nothing happened: the database's file was removed, renamed or replaced, and no write " +
			"would last; the service's operators have to put it back",
	}
}

// Uncertain is the error of a queue that did not say whether it took the operation's command.
func Uncertain(operation uuid.UUID, cause error) *Error {
	return &Error{
		Kind:      KindUncertain,
		Detail:    "the write may have been accepted: ask for the operation, or repeat the request with the same Idempotency-Key",
		Operation: operation.String(),
		cause:     cause,
	}
}

// TooLarge is the error of a queue that can never take a command because of its size.
func TooLarge(cause error) *Error {
	e := invalid(Violation{Message: "expected a smaller contact: this one does not fit into a message"})
	e.cause = cause
	return e
}

func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindInvalid, Detail: "the input is not valid", cause: err}
}

// Errors of a [Ledger] that blame no command: compare with [errors.Is].
var (
	// ErrTransient says that circumstances undid the transaction (a deadlock, a serialization
	// failure, a lost connection): the same commands may pass when they are tried again.
	ErrTransient = errors.New("transaction undone: try again")

	// ErrDown says that no command can pass for now: the database cannot be reached, or it is
	// not yet safe to write without the cache, which cannot be reached.
	ErrDown = errors.New("database is down, or the cache and not yet given up")
)

// ErrCacheDown says that the cache cannot be reached, or not in time.
var ErrCacheDown = errors.New("cache is down")
