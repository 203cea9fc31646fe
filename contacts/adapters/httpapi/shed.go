package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"contacts/platform/httpserver"
)

const (
	// smallBody is up to how many bytes a body needs no room of its own: the server bounds how many requests there are.
	smallBody = 16 << 10
	// bodyRoom is how many bytes all longer bodies may have together. They take several times as much while they are decoded.
	bodyRoom = 16 << 20
)

// shed turns away, before anything is done for them, the requests that the process has no room for.
func (a *api) shed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if httpserver.Overloaded(c.Request().Context()) {
			return overloaded("too many requests are being answered")
		}
		return next(c)
	}
}

// takeRoom takes the room for a body that is to be read, and returns what gives it back, or the problem where there is none. It
// is asked only once it is known that the caller may send one: whoever may not would keep others from it.
func (a *api) takeRoom(r *http.Request) (giveBack func(), err error) {
	length := r.ContentLength
	if length < 0 { // it is not known
		length = a.maxBody
	}
	switch {
	case length > a.maxBody:
		return nil, newProblem(kindTooLarge, tooLarge(a.maxBody))
	case length <= smallBody:
		return func() {}, nil
	case !a.bodies.TryAcquire(length):
		return nil, overloaded("too many long bodies, or bodies of unknown length, are being read")
	}
	return func() { a.bodies.Release(length) }, nil
}

func overloaded(detail string) error {
	p := newProblem(kindOverloaded, detail)
	p.header.Set("Retry-After", retryUnavailable)
	return p
}
