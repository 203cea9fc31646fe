package httpapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// lines returns the lines of the audit log, once there are so many.
func (c *client) lines(n int) []map[string]any {
	c.t.Helper()
	require.Eventually(c.t, func() bool { return strings.Count(c.audit.String(), "\n") == n }, waitLimit, waitTick, "%d lines", n)
	var lines []map[string]any
	for text := range strings.Lines(c.audit.String()) {
		var line map[string]any
		require.NoError(c.t, json.Unmarshal([]byte(text), &line))
		delete(line, "time")
		lines = append(lines, line)
	}
	return lines
}

// Every write leaves one line with its outcome, and no read does.
func TestAPI_Audit(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	id := c.create(jane)
	one := "/v1/contacts/" + id
	c.lines(1)
	require.Equal(t, http.StatusOK, c.do(http.MethodGet, one, "").StatusCode)
	require.Equal(t, http.StatusNotFound, c.do(http.MethodGet, "/v1/contacts/"+uuid.NewString(), "").StatusCode)
	require.Equal(t, http.StatusNotFound, c.do(http.MethodPost, "/private", jane).StatusCode)

	operation := func() string {
		sent := c.world.Sent()
		return sent[len(sent)-1].Operation.String()
	}
	said := 1
	expect := func(action, outcome, problem, contact, operation string) {
		t.Helper()
		want := map[string]any{
			"level": "INFO", "msg": "audit", "subject": "anonymous", "tenant": "default", "action": action, "outcome": outcome, "request_id": "r",
		}
		for key, value := range map[string]string{"problem": problem, "contact": contact, "operation": operation} {
			if value != "" {
				want[key] = value
			}
		}
		got := c.lines(said + 1)[said]
		if outcome == "succeeded" {
			require.NotZero(t, got["version"])
			delete(got, "version")
		}
		require.Equal(t, want, got)
		said++
	}
	do := func(method, path, body string, headers ...string) {
		c.do(method, path, body, append(headers, "X-Request-Id", "r")...)
	}
	do(http.MethodPost, "/contacts", jane, "Idempotency-Key", "k")
	made, key := c.lines(2)[1]["contact"].(string), operation()
	expect("create-contact", "succeeded", "", made, key)
	do(http.MethodPost, "/contacts", jane, "Idempotency-Key", "k")
	expect("create-contact", "succeeded", "", made, key)
	do(http.MethodPost, "/contacts", `{"first_name":"John"}`, "Idempotency-Key", "k")
	expect("create-contact", "refused", "idempotency-key-reused", "", "")
	do(http.MethodPut, one, `{"first_name":"private"}`)
	expect("replace-contact", "succeeded", "", id, operation())
	do(http.MethodPatch, one, `{"nickname":"private"}`, "If-Match", `"1"`)
	expect("merge-contact", "failed", "stale-version", id, operation())
	do(http.MethodPatch, one, `{"private":1}`)
	expect("merge-contact", "refused", "invalid", id, "")
	do(http.MethodDelete, "/v1/contacts/private", "")
	expect("delete-contact", "refused", "not-found", "", "")
	do(http.MethodPost, "/contacts", `{"notes":"`+strings.Repeat("x", maxBody)+`"}`)
	expect("create-contact", "refused", "too-large", "", "")

	c.world.held.Store(true)
	do(http.MethodPost, "/contacts", jane, "Prefer", "respond-async")
	// a retry's contact may be another one
	expect("create-contact", "accepted", "", "", operation())
	do(http.MethodDelete, one, "", "Prefer", "respond-async")
	expect("delete-contact", "accepted", "", id, operation())
	c.world.sendErr = contacts.Unavailable("away", errors.New("no answer"))
	do(http.MethodDelete, one, "")
	expect("delete-contact", "refused", "unavailable", id, "")
	c.world.OnSend = func(command contacts.Command) error {
		return contacts.Uncertain(command.Operation, errors.New("no answer"))
	}
	do(http.MethodDelete, one, "")
	expect("delete-contact", "uncertain", "uncertain", id, operation())
	require.NotContains(t, c.audit.String(), "private")
}

// A caller without permission leaves a line too. An unknown one leaves none: of those there
// can be any number.
func TestAPI_Audit_Refused(t *testing.T) {
	t.Parallel()
	c := newGuardedClient(t)
	for _, headers := range [][]string{nil, as("bad"), as("acme contacts:read"), as("acme")} {
		c.do(http.MethodPost, "/contacts", jane, append(headers, "X-Request-Id", "r")...)
	}
	lines := c.lines(2)
	for i, want := range [][]any{{"acme", "refused", "forbidden"}, {"acme", "succeeded", nil}} {
		require.Equal(t, want, []any{lines[i]["tenant"], lines[i]["outcome"], lines[i]["problem"]})
	}
}
