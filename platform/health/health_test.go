package health_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"contacts/platform/health"
)

func get(t *testing.T, h http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	return answer
}

func always(name string, err error) health.Check {
	return health.Check{Name: name, Run: func(context.Context) error { return err }}
}

func TestHandler_Livez(t *testing.T) {
	t.Parallel()
	h := health.Handler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), always("database", errors.New("down")))
	answer := get(t, h, "/livez")
	require.Equal(t, http.StatusOK, answer.Code)
	require.JSONEq(t, `{"live":true}`, answer.Body.String())
}

func TestHandler_Readyz(t *testing.T) {
	t.Parallel()
	h := health.Handler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(), always("database", nil), always("queue", nil))
	answer := get(t, h, "/readyz")
	require.Equal(t, http.StatusOK, answer.Code)
	require.JSONEq(t, `{"ready":true,"checks":{"database":"ok","queue":"ok"}}`, answer.Body.String())
}

func TestHandler_Readyz_LogsChanges(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	down := errors.New("dial db:5432 with password: refused")
	var state error
	h := health.Handler(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry(), always("queue", nil),
		health.Check{Name: "database", Run: func(context.Context) error { return state }})

	get(t, h, "/readyz")
	state = down
	for range 3 {
		answer := get(t, h, "/readyz")
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.JSONEq(t, `{"ready":false,"checks":{"database":"failed","queue":"ok"}}`, answer.Body.String())
	}
	state = nil
	require.Equal(t, http.StatusOK, get(t, h, "/readyz").Code)
	require.Equal(t, 1, strings.Count(log.String(), down.Error()))
	require.Equal(t, 2, strings.Count(log.String(), "msg=ready check=database"))
	require.Equal(t, 1, strings.Count(log.String(), "msg=ready check=queue"))
}

func TestHandler_Readyz_EndsSlowChecks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		h := health.Handler(slog.New(slog.DiscardHandler), prometheus.NewRegistry(),
			health.Check{Name: "a", Run: slow}, health.Check{Name: "b", Run: slow}, always("c", nil))
		start := time.Now()
		answer := get(t, h, "/readyz")
		require.Equal(t, 2*time.Second, time.Since(start), "in the bubble's time, both checks at once")
		require.Equal(t, http.StatusServiceUnavailable, answer.Code)
		require.JSONEq(t, `{"ready":false,"checks":{"a":"failed","b":"failed","c":"ok"}}`, answer.Body.String())
	})
}

func TestHandler_Readyz_GivenUp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := health.Handler(slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry(),
		health.Check{Name: "database", Run: func(ctx context.Context) error { return ctx.Err() }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "/readyz", nil))
	require.Empty(t, log.String(), "that the prober left says nothing about the database")
}

func TestHandler_Metrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "apples_total", Help: "Apples."})
	registry.MustRegister(counter)
	counter.Add(3)
	answer := get(t, health.Handler(slog.New(slog.DiscardHandler), registry), "/metrics")
	require.Equal(t, http.StatusOK, answer.Code)
	require.Contains(t, answer.Body.String(), "apples_total 3")
}

func TestWithProfiles(t *testing.T) {
	t.Parallel()
	plain := health.Handler(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	require.Equal(t, http.StatusNotFound, get(t, plain, "/debug/pprof/").Code, "not unless asked for")
	profiled := health.WithProfiles(plain)
	require.Equal(t, http.StatusOK, get(t, profiled, "/livez").Code)
	require.Contains(t, get(t, profiled, "/debug/pprof/").Body.String(), "goroutine")
	heap := get(t, profiled, "/debug/pprof/heap")
	require.Equal(t, http.StatusOK, heap.Code)
	require.Equal(t, []byte{0x1f, 0x8b}, heap.Body.Bytes()[:2], "a profile is gzipped")
}
