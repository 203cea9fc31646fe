package health

import (
	"net/http"
	"net/http/pprof"
)

// WithProfiles adds /debug/pprof/ to a handler: profiles of the running process, for `go tool pprof`. They show what the
// process is doing, and taking one costs it some time; so they are only for those who run it, and only where they ask.
func WithProfiles(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and the profiles by their names: heap, goroutine, mutex …
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
