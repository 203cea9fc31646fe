package cmd_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/test/servers"
)

// audited returns the lines of the audit log in what processes have written, without what
// every line has, and without those that say again what was said before.
func audited(t *testing.T, log string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for text := range strings.Lines(log) {
		var line map[string]any
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == "audit" && line["again"] == nil {
			require.Equal(t, "INFO", line["level"])
			for _, key := range []string{"time", "level", "msg"} {
				delete(line, key)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// startSilently starts the system's processes with a log that does not even say when they are
// ready.
func (s *system) startSilently(t *testing.T) {
	t.Helper()
	s.processes = nil
	names := []string{"serve"}
	if s.worker {
		names = append(names, "worker")
	}
	for _, name := range names {
		env := slices.Concat(s.env, []string{"CONTACTS_LOG_LEVEL=error", "CONTACTS_LOG_FORMAT=json"})
		if name == "serve" {
			port, err := servers.FreePort(t.Context())
			require.NoError(t, err)
			s.url = "http://127.0.0.1:" + port
			env = append(env, "CONTACTS_HTTP_ADDR=127.0.0.1:"+port)
		}
		c := command(t, s.folder, env, name)
		server, err := servers.StartProgram(t.Context(), s.url, servers.Program{
			Name: name, Args: c.Args, Env: c.Env, Dir: c.Dir, Stop: syscall.SIGKILL,
			Ready: func(context.Context, *servers.Server) error { return nil }, // it is asked below
		})
		require.NoError(t, err)
		s.processes = append(s.processes, keep(t, server))
	}
	require.Eventually(t, func() bool {
		response, err := http.Get(s.url + "/openapi.json")
		if err == nil {
			_ = response.Body.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
}

// At every log level it records each write with its caller and its outcome.
func TestEndToEnd_Audit(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		if s.worker {
			s.start(t) // which makes the queue
			for _, p := range s.processes {
				require.Zero(t, p.terminate(t))
			}
		}
		s.startSilently(t)
		const parent = "00-" + callersTrace + "-" + callersSpan + "-01"
		response, body := request(t, http.MethodPost, s.url+"/contacts", `{"first_name":"Jane"}`, "Traceparent", parent, "X-Request-Id", "r-1")
		require.Equal(t, http.StatusCreated, response.StatusCode, body)
		path := response.Header.Get("Location")
		response, body = request(t, http.MethodPatch, s.url+path, `{"first_name":"John"}`, "If-Match", `"7"`, "X-Request-Id", "r-2")
		require.Equal(t, http.StatusPreconditionFailed, response.StatusCode, body)
		var log string
		require.Eventually(t, func() bool {
			log = ""
			for _, p := range s.processes {
				log += p.log()
			}
			return len(audited(t, log)) == 4
		}, time.Minute, 10*time.Millisecond)
		bySource := map[string][]map[string]any{}
		for _, line := range audited(t, log) {
			require.Equal(t, "default", line["tenant"])
			require.Equal(t, strings.TrimPrefix(path, "/v1/contacts/"), line["contact"])
			source := "worker"
			if line["subject"] != nil {
				source = "api"
				require.Equal(t, "anonymous", line["subject"])
			}
			bySource[source] = append(bySource[source], line)
		}
		api, worker := bySource["api"], bySource["worker"]
		require.Len(t, api, 2)
		require.Len(t, worker, 2)
		for i := range 2 {
			require.Equal(t, api[i]["operation"], worker[i]["operation"], "by which the two lines of a write are found")
			require.Equal(t, api[i]["outcome"], worker[i]["outcome"])
			require.Equal(t, api[i]["problem"], worker[i]["problem"])
		}
		require.Equal(t, []any{"create-contact", "create", "succeeded", 1.0, "r-1"},
			[]any{api[0]["action"], worker[0]["action"], api[0]["outcome"], worker[0]["version"], api[0]["request_id"]})
		require.Equal(t, []any{"merge-contact", "merge", "failed", "stale-version", "r-2"},
			[]any{api[1]["action"], worker[1]["action"], api[1]["outcome"], api[1]["problem"], api[1]["request_id"]})
		require.Equal(t, []any{callersTrace, callersTrace}, []any{api[0]["trace_id"], worker[0]["trace_id"]})
		require.NotContains(t, log, "Jane")
	})
}
