package cmd_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/test/servers"
)

func TestHealthcheck(t *testing.T) {
	t.Parallel()
	_, ready := start(t, t.TempDir(), nil, "serve", "--http-addr", "127.0.0.1:0", "--admin-addr", "127.0.0.1:0")
	address := strings.TrimPrefix(ready["admin"].(string), "http://")
	_, port, _ := strings.Cut(address, ":")
	for _, there := range []string{address, ":" + port, "0.0.0.0:" + port, "[::]:" + port} {
		got := run(t, t.TempDir(), nil, "healthcheck", "--admin-addr", there)
		require.Zero(t, got.status, "%s: %s", there, got.stderr)
		require.Empty(t, got.stdout+got.stderr)
	}

	ill := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(ill.Close)
	got := run(t, t.TempDir(), nil, "healthcheck", "--admin-addr", strings.TrimPrefix(ill.URL, "http://"))
	require.Equal(t, 1, got.status)
	require.Contains(t, got.stderr, "answers 404, expected 200")

	port, err := servers.FreePort(t.Context())
	require.NoError(t, err)
	got = run(t, t.TempDir(), nil, "healthcheck", "--admin-addr", "127.0.0.1:"+port)
	require.Equal(t, 1, got.status)
	require.Contains(t, got.stderr, "no answer at admin.addr")
}
