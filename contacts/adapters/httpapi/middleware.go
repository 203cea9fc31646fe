package httpapi

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// canonicalPath leads /contacts to /v1/contacts, and paths with a slash at their end to those
// without.
func canonicalPath(next echo.HandlerFunc) echo.HandlerFunc {
	canonical := func(path string) string {
		if path == "/contacts" || strings.HasPrefix(path, "/contacts/") {
			path = "/v1" + path
		}
		if strings.HasPrefix(path, "/v1/") {
			path = strings.TrimSuffix(path, "/")
		}
		return path
	}
	return func(c echo.Context) error {
		u := c.Request().URL
		u.Path, u.RawPath = canonical(u.Path), canonical(u.RawPath)
		return next(c)
	}
}

// requestIDHeader carries the id by which a request is found in the logs: the caller's, or a
// new one.
const requestIDHeader = "X-Request-Id"

func requestID(lines []string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/="
	if len(lines) == 1 && lines[0] != "" && len(lines[0]) <= 128 && strings.Trim(lines[0], allowed) == "" {
		return lines[0]
	}
	return uuid.NewString()
}

// observe gives each request its id and its span, answers its error, and leaves behind what
// can be seen of it: told by the route's pattern, without the path, the query, the headers and
// the body, which hold people's data.
func (a *api) observe(m *metrics) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			r := &record{id: requestID(c.Request().Header.Values(requestIDHeader))}
			c.Response().Header().Set(requestIDHeader, r.id)
			method, route := knownMethod(c.Request().Method), cmp.Or(c.Path(), "none")
			defer m.begin(route)()
			ctx, span := a.begin(c.Request(), method, route)
			defer span.End()
			ctx = context.WithValue(ctx, recordKey{}, r)
			c.SetRequest(c.Request().WithContext(ctx))
			if err := next(c); err != nil {
				a.fail(c, err)
			}
			status, seconds := c.Response().Status, time.Since(start).Seconds()
			describeAnswer(span, status, r)
			m.observe(ctx, method, route, status, seconds, r.problem)
			line := []slog.Attr{
				slog.String("method", method), slog.String("route", route), slog.Int("status", status),
				slog.Float64("seconds", seconds), slog.String("request_id", r.id),
			}
			if r.operation.ID != uuid.Nil {
				line = append(line, slog.String("operation", r.operation.ID.String()))
			}
			a.log.LogAttrs(ctx, requestLevel(method, status, r.problem), "request", line...)
			if r.write != "" {
				r.auditEvent(c.Param("id")).Log(ctx, a.audit)
			}
			return nil
		}
	}
}

// requestLevel is at which level a request is logged: reads that went well are what a service
// mostly does, and requests that are turned away at the door can be any number. Its metrics
// count both.
func requestLevel(method string, status int, problem contacts.Kind) slog.Level {
	switch problem {
	case contacts.KindUnauthenticated, kindRateLimited, kindOverloaded:
		return slog.LevelDebug
	}
	if (method == http.MethodGet || method == http.MethodHead) && status < http.StatusBadRequest {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// knownMethod keeps made-up methods from making ever new metrics.
func knownMethod(method string) string {
	known := []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
	if slices.Contains(known, method) {
		return method
	}
	return "other"
}

// recoverPanics turns a panic into an error, but for the one by which a handler breaks off its
// answer on purpose.
func (a *api) recoverPanics(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) (err error) {
		defer func() {
			switch reason := recover(); reason {
			case nil:
			case http.ErrAbortHandler:
				panic(reason)
			default:
				err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
			}
		}()
		return next(c)
	}
}

// acceptPatch tells which patches a path takes where its methods are told (RFC 5789, 3.1).
func acceptPatch(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if allow, _ := c.Get(echo.ContextKeyHeaderAllow).(string); strings.Contains(allow, http.MethodPatch) {
			c.Response().Header().Set("Accept-Patch", mergePatchType)
		}
		return next(c)
	}
}
