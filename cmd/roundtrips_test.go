package cmd_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/test/servers"
)

// Redis counts the commands that the API sends for one keyed POST, of a caller with a rate
// limit. Each is at most one round trip.
func TestEndToEnd_RedisRoundTrips(t *testing.T) {
	t.Parallel()
	s := withKeys(production(t))
	redis, err := servers.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, redis.Stop()) })
	named := func(name string) []string {
		return append(slices.Clip(s.env), "CONTACTS_CACHE_URL="+redis.URL+"?client_name="+name)
	}
	_, ready := start(t, s.folder, named("api"), "serve", "--create-queue")
	s.url = ready["api"].(string)
	worker, _ := start(t, s.folder, named("worker"), "worker")
	key := createKey(t, s, "acme", allScopes)

	post := func(name string, status int, headers ...string) {
		t.Helper()
		response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"`+name+`"}`,
			append(headers, "Authorization", "Bearer "+key)...)
		require.Equal(t, status, response.StatusCode, body)
	}
	// and sends what a process asks once
	post("Jane", http.StatusCreated, "Idempotency-Key", "connects")
	seen := watchRedis(t, redis)
	count := func(what, name string, status int, headers ...string) {
		t.Helper()
		seen.sentBy("api")
		post(name, status, headers...)
		sent := seen.sentBy("api")
		t.Logf("%s: %q", what, sent)
		require.NotEmpty(t, sent, what)
		require.LessOrEqual(t, len(sent), 3, what)
	}
	count("first request", "Jane", http.StatusCreated, "Idempotency-Key", "one")
	count("retry after the end", "Jane", http.StatusCreated, "Idempotency-Key", "one")
	require.Zero(t, worker.terminate(t))
	count("first request, pending", "Jane", http.StatusAccepted, "Idempotency-Key", "two", "Prefer", "respond-async")
	count("retry, pending", "Jane", http.StatusAccepted, "Idempotency-Key", "two", "Prefer", "respond-async")
	count("without a key, pending", "Jane", http.StatusAccepted, "Prefer", "respond-async")
	count("another request", "John", http.StatusUnprocessableEntity, "Idempotency-Key", "two", "Prefer", "respond-async")
}

// redisWatch is everything that the clients of a Redis send, as the server sees it (MONITOR).
type redisWatch struct {
	t      *testing.T
	server *servers.Server
	lines  *bufio.Scanner
}

func watchRedis(t *testing.T, server *servers.Server) *redisWatch {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "redis://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*time.Minute)))
	_, err = io.WriteString(conn, "MONITOR\r\n")
	require.NoError(t, err)
	lines := bufio.NewScanner(conn)
	require.True(t, lines.Scan())
	require.Equal(t, "+OK", lines.Text())
	return &redisWatch{t, server, lines}
}

var monitored = regexp.MustCompile(`^\+[0-9.]+ \[\d+ (\S+)\] "([^"]+)"`)

// sentBy returns the commands that the client of a name has sent since the last call, without
// those that scripts run. Without EXISTS and SET as well: they renew the trust in the cache,
// by time.
func (w *redisWatch) sentBy(name string) (commands []string) {
	w.t.Helper()
	addresses := w.addresses(name)
	require.NotEmpty(w.t, addresses)
	answer, err := answerOf(w.t, w.server, "ECHO counted")
	require.NoError(w.t, err)
	require.Equal(w.t, "$7", answer)
	for w.lines.Scan() {
		line := monitored.FindStringSubmatch(w.lines.Text())
		require.NotNil(w.t, line, w.lines.Text())
		switch {
		case line[2] == "ECHO":
			return commands
		case addresses[line[1]] && line[2] != "EXISTS" && line[2] != "SET":
			commands = append(commands, line[2])
		}
	}
	require.NoError(w.t, w.lines.Err())
	require.Fail(w.t, "Redis has closed the connection")
	return nil
}

// addresses are those that the client of a name has.
func (w *redisWatch) addresses(name string) map[string]bool {
	w.t.Helper()
	conn, err := new(net.Dialer).DialContext(w.t.Context(), "tcp", strings.TrimPrefix(w.server.URL, "redis://"))
	require.NoError(w.t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "CLIENT LIST\r\nQUIT\r\n")
	require.NoError(w.t, err)
	list, err := io.ReadAll(conn)
	require.NoError(w.t, err)
	addresses := map[string]bool{}
	for _, client := range regexp.MustCompile(`(?m) addr=(\S+) .* name=`+name+` `).FindAllSubmatch(list, -1) {
		addresses[string(client[1])] = true
	}
	return addresses
}
