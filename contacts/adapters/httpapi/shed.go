package httpapi

import (
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
		r := c.Request()
		if httpserver.Overloaded(r.Context()) {
			return overloaded("too many requests are being answered")
		}
		length := r.ContentLength // negative where it is not known
		if length < 0 || length > a.maxBody {
			length = a.maxBody
		}
		if length > smallBody {
			if !a.bodies.TryAcquire(length) {
				return overloaded("too many long bodies, or bodies of unknown length, are being read")
			}
			defer a.bodies.Release(length)
		}
		return next(c)
	}
}

func overloaded(detail string) error {
	p := newProblem(kindOverloaded, detail)
	p.header.Set("Retry-After", retryUnavailable)
	return p
}
