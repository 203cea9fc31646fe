package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPI_Accepted(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.world.held.Store(true)
	accepted := c.do(http.MethodPost, "/v1/contacts", jane, "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, accepted.StatusCode, accepted.body)
	require.Equal(t, "respond-async", accepted.Header.Get("Preference-Applied"))
	require.Equal(t, "1", accepted.Header.Get("Retry-After"))
	operation := accepted.Header.Get("Location")
	require.Equal(t, "/v1/operations/"+accepted.json(t)["id"].(string), operation)

	pending := c.do(http.MethodGet, operation, "")
	require.Equal(t, http.StatusOK, pending.StatusCode)
	require.Equal(t, "1", pending.Header.Get("Retry-After"))
	require.Equal(t, "pending", pending.json(t)["status"])
	contact := accepted.json(t)["contact_id"]
	require.NotEmpty(t, contact, "it is decided")
	require.Equal(t, contact, pending.json(t)["contact_id"])

	c.world.release()
	ended := c.do(http.MethodGet, operation+"/", "")
	require.Empty(t, ended.Header.Get("Retry-After"))
	require.Equal(t, "succeeded", ended.json(t)["status"])
	require.EqualValues(t, 1, ended.json(t)["version"])
	require.Equal(t, contact, ended.json(t)["contact_id"])
	require.Equal(t, http.StatusOK, c.do(http.MethodGet, "/v1/contacts/"+contact.(string), "").StatusCode)
}

func TestAPI_Accepted_Failed(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	c.world.held.Store(true)
	accepted := c.do(http.MethodDelete, path, "", "Prefer", "wait=0", "If-Match", `"9"`)
	require.Equal(t, http.StatusAccepted, accepted.StatusCode, accepted.body)
	require.Equal(t, "wait=0", accepted.Header.Get("Preference-Applied"))
	require.Equal(t, strings.TrimPrefix(path, "/v1/contacts/"), accepted.json(t)["contact_id"])
	c.world.release()
	ended := c.do(http.MethodGet, accepted.Header.Get("Location"), "").json(t)
	require.Equal(t, "failed", ended["status"])
	problem := ended["problem"].(map[string]any)
	require.Equal(t, "/problems/stale-version", problem["type"])
	require.EqualValues(t, 412, problem["status"])
	require.EqualValues(t, 1, problem["current_version"])
}

func TestAPI_Prefer(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for header, applied := range map[string]string{
		"wait=10":                           "wait=10",
		"wait=3600":                         "wait=30",
		`foo="a,wait=1"; x=y, wait="7";q=1`: "wait=7",
		"respond-async, wait=5":             "respond-async, wait=5",
		"wait=5, wait=9":                    "wait=5",
		"wait=-1, wait=soon":                "",
		"return=minimal":                    "",
	} {
		created := c.do(http.MethodPost, "/v1/contacts", jane, "Prefer", header)
		require.Equal(t, http.StatusCreated, created.StatusCode, header)
		require.Equal(t, applied, created.Header.Get("Preference-Applied"), header)
	}
	two := c.do(http.MethodPost, "/v1/contacts", jane, "Prefer", "handling=strict", "Prefer", "wait=4")
	require.Equal(t, "wait=4", two.Header.Get("Preference-Applied"))
}

func TestAPI_IdempotencyKey(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	first := c.do(http.MethodPost, "/v1/contacts", jane, "Idempotency-Key", `"k-1"`)
	require.Equal(t, http.StatusCreated, first.StatusCode)
	for _, same := range []string{`"k-1"`, `k-1`} {
		again := c.do(http.MethodPost, "/v1/contacts", jane, "Idempotency-Key", same)
		require.Equal(t, http.StatusCreated, again.StatusCode, same)
		require.Equal(t, first.body, again.body)
		require.Equal(t, first.Header.Get("Location"), again.Header.Get("Location"))
	}
	require.Len(t, c.do(http.MethodGet, "/v1/contacts", "").json(t)["items"], 1)

	other := c.do(http.MethodPost, "/v1/contacts", `{"first_name":"John"}`, "Idempotency-Key", `"k-1"`)
	require.Equal(t, http.StatusUnprocessableEntity, other.StatusCode)
	require.Equal(t, "/problems/idempotency-key-reused", other.json(t)["type"])
}
