package httpapi

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// problemsPath begins the types of all problems. They are references relative to the server
// (RFC 9457, 3.1.1), which explains each under its own.
const problemsPath = "/problems"

// retryUnavailable is when to try again what the service cannot do now, in seconds.
const retryUnavailable = "2"

// The kinds of problems that only HTTP has.
const (
	kindMalformed        contacts.Kind = "malformed"
	kindTooLarge         contacts.Kind = "too-large"
	kindUnsupportedMedia contacts.Kind = "unsupported-media-type"
	kindMethodNotAllowed contacts.Kind = "method-not-allowed"
	kindTimeout          contacts.Kind = "request-timeout"
	kindRateLimited      contacts.Kind = "rate-limited"
	kindOverloaded       contacts.Kind = "overloaded"
	kindInternal         contacts.Kind = "internal"
)

// problemType is what all problems of one kind have in common.
type problemType struct {
	status int
	title  string
	help   string
}

// problemTypes are all kinds of problems; what is not here is [kindInternal]. It is never
// changed.
var problemTypes = map[contacts.Kind]problemType{
	contacts.KindInvalid: {
		http.StatusUnprocessableEntity, "The request is not valid",
		"Correct what errors[] names. Sending the same request again gives the same answer.",
	},
	contacts.KindNotFound: {
		http.StatusNotFound, "Not found",
		"Nothing has this path, or the contact was deleted, or the operation is unknown or too old.",
	},
	contacts.KindStaleVersion: {
		http.StatusPreconditionFailed, "The contact has changed",
		"If-Match names other versions than current_version. Read the contact, repeat the change on it, and send it with the new ETag.",
	},
	contacts.KindDuplicateExternalID: {
		http.StatusConflict, "The external_id is taken",
		"Another contact has the external_id. Change that one, or choose another external_id.",
	},
	contacts.KindKeyReused: {
		http.StatusUnprocessableEntity, "The Idempotency-Key is taken",
		"The key was used with another request. Use a new key for each new request, and the same only to repeat one.",
	},
	contacts.KindExpired: {
		http.StatusGone, "The cursor has expired",
		"Changes after it may be gone. Ask for the changes from now on (cursor=now), list all contacts, and then go on from the next_cursor.",
	},
	contacts.KindUnauthenticated: {
		http.StatusUnauthorized, "No valid credential",
		"Send an API key, or a token of the service's issuer, as in: Authorization: Bearer … One that has expired or was revoked is not valid.",
	},
	contacts.KindForbidden: {
		http.StatusForbidden, "The credential does not permit this",
		"Use a credential with the scope that detail names.",
	},
	contacts.KindErased: {
		http.StatusGone, "The contact was erased",
		"The request was done before, and the contact that it made or changed has been erased since. Nothing of it is kept, and the request is not done again.",
	},
	contacts.KindParked: {
		http.StatusInternalServerError, "The write was set aside",
		"The write was accepted and could not be applied. The service's operators are told, and may apply it later.",
	},
	contacts.KindUnavailable: {
		http.StatusServiceUnavailable, "Not available now",
		"Nothing has happened. Try again after Retry-After seconds.",
	},
	contacts.KindStorageLost: {
		http.StatusServiceUnavailable, "The database's file is lost",
		"Nothing has happened. The service's operators have to put the file back, or the copy of it that the log names, and start the service again.",
	},
	contacts.KindUncertain: {
		http.StatusServiceUnavailable, "Not known whether it happened",
		"The write may have been accepted. Ask for the operation, or repeat the request with the same Idempotency-Key.",
	},
	kindMalformed: {
		http.StatusBadRequest, "The request is malformed",
		"The body is missing, broke off, or is not JSON in UTF-8 (RFC 8259); or a header was repeated that a request has once.",
	},
	kindTooLarge: {
		http.StatusRequestEntityTooLarge, "The body is too long",
		"Send less at once.",
	},
	kindUnsupportedMedia: {
		http.StatusUnsupportedMediaType, "The body's media type is not known",
		"Send the body as one of the media types in the answer's Accept header, and name it in Content-Type.",
	},
	kindMethodNotAllowed: {
		http.StatusMethodNotAllowed, "The method is not allowed",
		"The answer's Allow header has the methods that the path has.",
	},
	kindTimeout: {
		http.StatusRequestTimeout, "The request took too long",
		"Send the request again.",
	},
	kindRateLimited: {
		http.StatusTooManyRequests, "Too many requests",
		"Nothing has happened. Try again after Retry-After seconds. RateLimit-Policy says how many requests (q) may come in how many seconds (w), RateLimit how many are left.",
	},
	kindOverloaded: {
		http.StatusServiceUnavailable, "Too much is going on",
		"Nothing has happened. Try again after Retry-After seconds.",
	},
	kindInternal: {
		http.StatusInternalServerError, "The server failed",
		"Tell the service's operators the X-Request-Id of the answer.",
	},
}

// serveProblemTypes explains each type under its own path.
func serveProblemTypes(e *echo.Echo) {
	for kind, t := range problemTypes {
		text := fmt.Sprintf("%s (%d)\n\n%s\n", t.title, t.status, t.help)
		explain := func(c echo.Context) error { return c.String(http.StatusOK, text) }
		e.Match([]string{http.MethodGet, http.MethodHead}, problemsPath+"/"+string(kind), explain, withoutQuery)
	}
}

func tooLarge(limit int64) string { return fmt.Sprintf("expected a body of at most %d bytes", limit) }
