package cmd_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Every answer of both listeners, errors included, tells browsers and caches what they may do
// with it: as good as nothing.
func TestEndToEnd_Headers(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.env = append(s.env, "CONTACTS_ADMIN_PPROF=true")
	s.start(t)
	var document struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	_, body := request(t, http.MethodGet, s.url+"/openapi.json", "")
	require.NoError(t, json.Unmarshal([]byte(body), &document))
	require.NotEmpty(t, document.Paths)
	asked := map[string][]string{} // the methods of each URL
	for path, operations := range document.Paths {
		url := s.url + strings.ReplaceAll(path, "{id}", uuid.NewString())
		for method := range operations {
			asked[url] = append(asked[url], strings.ToUpper(method))
		}
		asked[url] = append(asked[url], http.MethodHead, http.MethodOptions, http.MethodTrace)
	}
	for _, path := range []string{
		"/", "/contacts/", "/openapi.json", "/openapi.yaml", "/problems/invalid", "/nothing",
		"/docs", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js", "/docs/oauth2-redirect.html", "/docs/nothing",
	} {
		asked[s.url+path] = []string{http.MethodGet, http.MethodHead, http.MethodPost}
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics", "/debug/pprof/", "/debug/pprof/cmdline", "/nothing"} {
		asked[s.admin+path] = []string{http.MethodGet, http.MethodPost}
	}
	for url, methods := range asked {
		for _, method := range methods {
			response, _ := request(t, method, url, "")
			header, what := response.Header, method+" "+url
			require.Contains(t, []string{"no-store", "no-cache", "private, no-cache"}, header.Get("Cache-Control"), what)
			policy := header.Get("Content-Security-Policy")
			require.True(t, strings.HasPrefix(policy, "default-src 'none'; "), "%s: %s", what, policy)
			require.NotContains(t, policy, "unsafe", what)
			for _, closed := range []string{"base-uri", "form-action", "frame-ancestors"} {
				require.Contains(t, policy, closed+" 'none'", what)
			}
			require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), what)
			require.Equal(t, "same-origin", header.Get("Cross-Origin-Opener-Policy"), what)
			require.Equal(t, "same-origin", header.Get("Cross-Origin-Resource-Policy"), what)
			for name := range header {
				require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s: other origins have no business here", what)
			}
		}
	}
}
