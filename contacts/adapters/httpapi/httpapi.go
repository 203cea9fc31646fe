// Package httpapi is the service's HTTP API: it turns requests into calls of
// [contacts.Service], and what these return into JSON, or into problem documents (RFC 9457).
// Echo routes the requests; huma binds them and describes the operations as OpenAPI 3.1.
package httpapi

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"contacts/contacts"
	"contacts/platform/fairshare"
	"contacts/platform/httpserver"
	"contacts/platform/ratelimit"
)

// MaxWait is the longest that a caller can make a write wait by "Prefer: wait". A server's
// time limits must be longer.
const MaxWait = 30 * time.Second

// defaultMaxBody leaves room for a contact of [contacts.MaxDocument] whose text is written
// with escapes.
const defaultMaxBody = 1 << 20

// DefaultFollowers is how many callers wait for changes, or follow them as a stream, at the
// same time unless told otherwise. Each asks the database five times a second.
const DefaultFollowers = 200

// DefaultQueries is the effort of lists that are read together unless told otherwise.
const DefaultQueries = 6

// Options are the settings of the API. The zero value works.
type Options struct {
	// WriteWait is how long a write waits for its end when the caller does not say; 0: not at
	// all.
	WriteWait time.Duration
	// MaxBodyBytes is how long a request's body may be; 0: 1 MiB.
	MaxBodyBytes int64
	// Requests is how many requests the server answers at the same time, of which each caller
	// has a share; 0: half of [httpserver.DefaultConnections].
	Requests int
	// Queries is the effort of all lists that are read from the database together, and of
	// pages of changes; 0: [DefaultQueries]. It is to be less than the database has
	// connections, so that some are free for contacts that are read one by one, and for
	// look-ups, and 4 at least.
	Queries int
	// Followers is how many callers may wait for changes, or follow them as a stream, at the
	// same time; 0: [DefaultFollowers]. One more does not wait, or is refused the stream.
	Followers int
	// Log gets one line a request, and the errors that callers are not told; slog.Default()
	// where nil.
	Log *slog.Logger
	// Audit gets one line a write, accepted or refused; none is written where nil. See
	// [contacts.AuditEvent].
	Audit *slog.Logger
	// Metrics gets what is measured of requests, under names that begin with http_; nothing is
	// registered where nil.
	Metrics prometheus.Registerer
	// Tracer begins a span for each request, in the caller's trace if it names one; nothing is
	// traced where nil.
	Tracer trace.Tracer
	// Authenticate returns the caller that a credential identifies, the one behind
	// "Authorization: Bearer", or an error: [contacts.Unauthenticated] where it is not valid,
	// [contacts.Unavailable] where that cannot be told. Where nil, callers need none: all
	// callers are of the default tenant, are not told apart, and may do everything.
	Authenticate func(ctx context.Context, credential string) (contacts.Caller, error)
	// Limiter counts the requests of each caller, and Limit is how many it may send. Where
	// either is missing, or callers are not told apart, they have no limit. A request that
	// cannot be counted is let through.
	Limiter ratelimit.Limiter
	Limit   ratelimit.Limit
	// Version is the program's version, for the OpenAPI document.
	Version string
}

// New returns the handler of the whole API: everything under /v1, the same contacts under
// /contacts, the OpenAPI document and its reference page.
func New(service *contacts.Service, o Options) http.Handler {
	a := &api{
		service: service, log: o.Log, audit: o.Audit, tracer: o.Tracer, authenticate: o.Authenticate,
		limiter: o.Limiter, limit: o.Limit, limitPolicy: policyOf(o.Limit), writeWait: o.WriteWait,
	}
	a.maxBody = cmp.Or(o.MaxBodyBytes, defaultMaxBody)
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.audit == nil {
		a.audit = slog.New(slog.DiscardHandler)
	}
	a.requests = fairshare.New(int64(cmp.Or(o.Requests, httpserver.DefaultConnections/2)))
	a.followers = fairshare.New(int64(cmp.Or(o.Followers, DefaultFollowers)))
	a.bodies = fairshare.New(max(bodyRoom, 2*a.maxBody))
	a.queries = fairshare.New(int64(cmp.Or(o.Queries, DefaultQueries)))
	a.schemas = newSchemas()

	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) { a.fail(c, err) }
	e.Pre(canonicalPath)
	e.Use(a.observe(newMetrics(o.Metrics)), a.recoverPanics, a.shed, acceptPatch)

	a.huma = jsonOnly{humaecho.New(e, a.config(cmp.Or(o.Version, "dev")))}
	a.registerContacts()
	a.registerOperations()
	a.registerChanges()
	serveProblemTypes(e)
	serveReference(e, a.huma.OpenAPI())
	return e
}

// jsonOnly answers in JSON, for any Accept header: huma's own negotiation panics at some of
// them, such as "a;q;0,9".
type jsonOnly struct{ huma.API }

// Negotiate implements [huma.API].
func (jsonOnly) Negotiate(string) (string, error) { return jsonType, nil }

// api holds what the handlers share.
type api struct {
	service      *contacts.Service
	authenticate func(ctx context.Context, credential string) (contacts.Caller, error)
	limiter      ratelimit.Limiter
	limit        ratelimit.Limit
	limitPolicy  string // for a header
	log          *slog.Logger
	audit        *slog.Logger
	tracer       trace.Tracer
	schemas      schemas
	huma         huma.API
	writeWait    time.Duration
	maxBody      int64
	// What callers share: see [api.holder].
	requests  *fairshare.Pool // that are being answered
	followers *fairshare.Pool // requests that wait for changes, or follow them
	bodies    *fairshare.Pool // the bytes of long bodies that are being read
	queries   *fairshare.Pool // lists, by their effort, and changes
}

// request gives a handler the request itself, because huma binds no more than the first line
// of each header.
type request struct{ echo echo.Context }

var _ huma.Resolver = (*request)(nil)

// Resolve is called by huma before the handler that the request is for.
func (r *request) Resolve(ctx huma.Context) []error {
	r.echo = humaecho.Unwrap(ctx)
	return nil
}

func (r *request) header() http.Header { return r.echo.Request().Header }

// register adds an operation, for callers whose credential has the scope. An error that its
// handler returns is answered as a problem. What can be read with GET can be asked for with
// HEAD, whose body net/http leaves out.
func register[I any](a *api, scope contacts.Scope, op huma.Operation, handle func(context.Context, *I) (*huma.StreamResponse, error)) {
	op.SkipValidateParams = true    // see parameterFaults
	op.SkipValidateBody = true      // see decode
	op.MaxBodyBytes = a.maxBody + 1 // the guard has read the body, within its own limits
	op.BodyReadTimeout = -1
	a.guard(&op, scope)
	answer := func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		response, err := handle(ctx, in)
		if err != nil {
			return nil, a.problem(ctx, err)
		}
		return response, nil
	}
	huma.Register(a.huma, op, answer)
	if op.RequestBody != nil {
		delete(op.RequestBody.Content, "application/octet-stream") // what huma makes of RawBody
	}
	if op.Method == http.MethodGet {
		op.Method, op.Hidden = http.MethodHead, true
		huma.Register(a.huma, op, answer)
	}
}
