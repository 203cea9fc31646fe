package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// canonicalPath leads /contacts to /v1/contacts, and paths with a slash at their end to those without.
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

// requestIDHeader carries the id by which a request is found in the logs: the caller's, or a new one.
const requestIDHeader = "X-Request-Id"

func requestID(given string) string {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:+/="
	if given != "" && len(given) <= 128 && strings.Trim(given, allowed) == "" {
		return given
	}
	return uuid.NewString()
}

// operationKey is the key of a write's operation in echo's context.
const operationKey = "operation"

// requestIDKey is the key of the request's id in its context.
type requestIDKey struct{}

// requestOf returns the id of the request that ctx belongs to, for its lines in the log.
func requestOf(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}

// observe gives each request its id, answers its error, measures it and logs it: by the route's pattern, without the
// query and the body, which hold people's data.
func (a *api) observe(metrics prometheus.Registerer) echo.MiddlewareFunc {
	durations := promauto.With(metrics).NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds",
		Help: "How long requests took until their answer was written.",
	}, []string{"method", "route", "status"})
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			start := time.Now()
			id := requestID(c.Request().Header.Get(requestIDHeader))
			c.Response().Header().Set(requestIDHeader, id)
			ctx := context.WithValue(c.Request().Context(), requestIDKey{}, id)
			c.SetRequest(c.Request().WithContext(ctx))
			if err := next(c); err != nil {
				a.fail(c, err)
			}
			method, route, status := knownMethod(c.Request().Method), c.Path(), c.Response().Status
			if route == "" {
				route = "none"
			}
			seconds := time.Since(start).Seconds()
			durations.WithLabelValues(method, route, strconv.Itoa(status)).Observe(seconds)
			line := []slog.Attr{
				slog.String("method", method), slog.String("route", route), slog.Int("status", status),
				slog.Float64("seconds", seconds), slog.String("request_id", id),
			}
			if operation, ok := c.Get(operationKey).(string); ok {
				line = append(line, slog.String("operation", operation))
			}
			a.log.LogAttrs(ctx, requestLevel(method, status), "request", line...)
			return nil
		}
	}
}

// requestLevel is at which level a request is logged: reads that went well are what a service mostly does, and are counted by
// its metrics.
func requestLevel(method string, status int) slog.Level {
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

// recoverPanics turns a panic into an error, but for the one by which a handler breaks off its answer on purpose.
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
