package health

import (
	"net/http"
	"net/http/pprof"
)

// WithProfiles adds /debug/pprof/ to a handler: profiles of the running process, for `go tool
// pprof`. They show what the process is doing, and taking one costs it some time; so they are
// only for operators that ask for it.
func WithProfiles(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", next)
	// and the profiles by their names: heap, goroutine, mutex …
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}
