// Package health is what a process tells its operators over HTTP: whether it lives, whether it
// can do its work, and its metrics.
package health

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkTimeout is how long each check may take. Probes wait a few seconds at most.
const checkTimeout = 2 * time.Second

// Check tells whether something that the process needs is there.
type Check struct {
	// Name is what the answer of /readyz calls it.
	Name string
	// Run returns nil if all is well, and soon after ctx has ended in any case. It may be
	// called concurrently. Its error is logged, and not told to callers.
	Run func(ctx context.Context) error
}

// Handler serves
//   - /livez, which answers 200 as long as the process can answer at all;
//   - /readyz, which answers 200 if all checks pass, else 503, with the result of each:
//     {"ready":false,"checks":{"database": "failed"}};
//   - /metrics, what is in the registry, for Prometheus.
//
// The names of the checks must differ. What becomes of a check is logged whenever it changes.
func Handler(log *slog.Logger, registry *prometheus.Registry, checks ...Check) http.Handler {
	r := &readiness{log: log, checks: checks, last: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, live{true}) })
	mux.Handle("GET /readyz", r)
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry,
		// The format that can hold exemplars, for scrapers that ask for it.
		EnableOpenMetrics: true,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelError),
		// one broken collector must not hide all others
		ErrorHandling: promhttp.ContinueOnError,
	}))
	return mux
}

type live struct {
	Live bool `json:"live"`
}

type ready struct {
	Ready  bool              `json:"ready"`
	Checks map[string]string `json:"checks"`
}

// readiness runs the checks.
type readiness struct {
	log    *slog.Logger
	checks []Check

	mu   sync.Mutex
	last map[string]bool // what each check came to before; none at first
}

// ServeHTTP runs all checks at once and answers with what they came to.
func (r *readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	errs := r.run(request.Context())
	if request.Context().Err() != nil {
		return // the caller has gone, and the checks may have failed for that alone
	}
	r.logChanges(request.Context(), errs)
	answer := ready{Ready: true, Checks: map[string]string{}}
	status := http.StatusOK
	for name, err := range errs {
		answer.Checks[name] = "ok"
		if err != nil {
			answer.Checks[name] = "failed"
			answer.Ready, status = false, http.StatusServiceUnavailable
		}
	}
	writeJSON(w, status, answer)
}

func (r *readiness) run(ctx context.Context) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	results := make([]error, len(r.checks))
	var running sync.WaitGroup
	for i, check := range r.checks {
		running.Go(func() { results[i] = check.Run(ctx) })
	}
	running.Wait()
	errs := make(map[string]error, len(results))
	for i, check := range r.checks {
		errs[check.Name] = results[i]
	}
	return errs
}

// logChanges logs the checks that came to something else than before.
func (r *readiness) logChanges(ctx context.Context, errs map[string]error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		err := errs[name]
		before, known := r.last[name]
		r.last[name] = err == nil
		switch {
		case known && before == (err == nil):
		case err != nil:
			r.log.WarnContext(ctx, "not ready", "check", name, "error", err)
		default:
			r.log.InfoContext(ctx, "ready", "check", name)
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("encode %T: %w", v, err)) // it is made of strings and booleans
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body) // it fails when the caller has gone
}
