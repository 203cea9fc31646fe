package httpserver

import (
	"maps"
	"net/http"
	"strings"
)

// usual are the headers of every answer whose handler does not say otherwise: a browser makes
// of it what it is and nothing else, and no cache keeps it (an answer that does not say, a 404
// among them, may be kept for a while: RFC 9111, 4.2.2). All answers share the values, so they
// are never changed.
var usual = http.Header{
	"Cache-Control":                {"no-store"},
	"Content-Security-Policy":      {"default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {"camera=(), geolocation=(), microphone=()"},
	"Referrer-Policy":              {"no-referrer"},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
}

// strictTransport keeps browsers on TLS for a year (RFC 6797). Of the host's subdomains this
// server knows nothing.
var strictTransport = []string{"max-age=31536000"}

// withHeaders gives each answer the usual headers before its handler sets its own.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		maps.Copy(header, usual)
		if r.TLS != nil || forwardedOverTLS(r) {
			header["Strict-Transport-Security"] = strictTransport
		}
		next.ServeHTTP(w, r)
	})
}

// forwardedOverTLS tells whether a proxy got the request over TLS. Callers that make that up
// gain nothing, as browsers ignore the header on plain HTTP (RFC 6797, 8.1).
func forwardedOverTLS(r *http.Request) bool {
	// the caller's comes first, a chain's proxies after it
	scheme, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	return strings.EqualFold(strings.TrimSpace(scheme), "https")
}
