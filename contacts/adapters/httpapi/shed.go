package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"contacts/contacts"
	"contacts/platform/fairshare"
	"contacts/platform/httpserver"
)

const (
	// smallBody is up to how many bytes a body needs no room of its own: the server bounds how
	// many requests there are.
	smallBody = 16 << 10
	// bodyRoom is how many bytes all longer bodies may have together. They take several times
	// as much while they are decoded.
	bodyRoom = 16 << 20
	// queryWait is how long a list waits for its turn.
	queryWait = 10 * time.Second
)

// shed turns away, before anything is done for them, the requests that the process has no room
// for.
func (a *api) shed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if httpserver.Overloaded(c.Request().Context()) {
			return overloaded("too many requests are being answered")
		}
		return next(c)
	}
}

// holder names the caller to the pools that callers share. Without authentication they
// are not told apart.
func (a *api) holder(caller contacts.Caller) fairshare.Holder {
	if a.authenticate == nil {
		return fairshare.Holder{}
	}
	return fairshare.Holder{Tenant: string(caller.Tenant), Caller: caller.Subject}
}

// admitRequest takes a place among the requests that are being answered, or returns the
// problem where the caller has its share. Where callers are not told apart, the server's bound
// is enough.
func (a *api) admitRequest(caller contacts.Caller) (release func(), err error) {
	if a.authenticate == nil {
		return func() {}, nil
	}
	release, ok := a.requests.TryAcquire(a.holder(caller), 1)
	if !ok {
		return nil, overloaded("the caller has its share of the requests that are answered at the same time")
	}
	return release, nil
}

// inTurn has ask read much from the database, with so much effort, once it is the caller's
// turn.
func (a *api) inTurn(ctx context.Context, effort int64, ask func() error) error {
	waiting, cancel := context.WithTimeout(ctx, queryWait)
	defer cancel()
	release, err := a.queries.Acquire(waiting, a.holder(callerOf(ctx)), effort)
	switch {
	case err == nil:
		defer release()
		return ask()
	case ctx.Err() == nil:
		return overloaded("too many lists and searches are being answered")
	}
	return err
}

// takeRoom takes the room for a body that is to be read, or returns the problem where there is
// none. It is asked only once it is known that the caller may send one, or callers that may
// not would keep others from it.
func (a *api) takeRoom(caller contacts.Caller, r *http.Request) (release func(), err error) {
	length := r.ContentLength
	if length < 0 { // it is not known
		length = a.maxBody
	}
	switch {
	case length > a.maxBody:
		return nil, newProblem(kindTooLarge, tooLarge(a.maxBody))
	case length <= smallBody:
		return func() {}, nil
	}
	release, ok := a.bodies.TryAcquire(a.holder(caller), length)
	if !ok {
		return nil, overloaded("too many long bodies, or bodies of unknown length, are being read")
	}
	return release, nil
}

func overloaded(detail string) error {
	p := newProblem(kindOverloaded, detail)
	p.header.Set("Retry-After", retryUnavailable)
	return p
}
