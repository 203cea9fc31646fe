package httpapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/contacts/contactstest"
)

// after is the query that names a cursor.
func after(cursor string) string {
	if cursor == "" {
		return ""
	}
	return "?cursor=" + url.QueryEscape(cursor)
}

func TestAPI_Changes(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	now := c.do(http.MethodGet, "/v1/changes?cursor=now", "")
	require.Equal(t, http.StatusOK, now.StatusCode, now.body)
	require.Empty(t, now.json(t)["items"])
	id := c.create(jane)
	c.do(http.MethodPatch, "/v1/contacts/"+id, `{"nickname":"J"}`)
	c.do(http.MethodDelete, "/v1/contacts/"+id, "")

	first := c.do(http.MethodGet, "/v1/changes?limit=2&wait=5&cursor="+url.QueryEscape(now.json(t)["next_cursor"].(string)), "")
	require.Equal(t, http.StatusOK, first.StatusCode, first.body)
	require.Equal(t, "no-store", first.Header.Get("Cache-Control"))
	items := first.json(t)["items"].([]any)
	require.Len(t, items, 2)
	for i, kind := range []string{"created", "updated"} {
		require.Equal(t, kind, dig(t, items[i], "type"))
		require.Equal(t, id, dig(t, items[i], "contact_id"))
		require.EqualValues(t, i+1, dig(t, items[i], "version"))
		require.EqualValues(t, i+1, dig(t, items[i], "contact", "version"))
		require.NotEmpty(t, dig(t, items[i], "operation_id"))
		require.NotEmpty(t, dig(t, items[i], "changed_at"))
	}
	last := c.do(http.MethodGet, "/v1/changes?cursor="+url.QueryEscape(dig(t, items[1], "cursor").(string)), "").json(t)
	require.Len(t, last["items"], 1)
	require.Equal(t, "deleted", dig(t, last["items"].([]any)[0], "type"))
	require.NotContains(t, last["items"].([]any)[0], "contact")

	for _, bad := range []string{"cursor=x", "limit=0", "limit=501", "wait=51", "wait=-1", "q=x"} {
		answer := c.do(http.MethodGet, "/v1/changes?"+bad, "")
		require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode, bad)
		name, _, _ := strings.Cut(bad, "=")
		require.Contains(t, answer.body, `"parameter":"`+name+`"`)
	}
}

func TestAPI_Changes_Expired(t *testing.T) {
	t.Parallel()
	desk := contactstest.NewDesk()
	clock := time.Now()
	options := desk.Options()
	options.Now = func() time.Time { return clock }
	server := httptest.NewServer(httpapi.New(contacts.NewService(options), httpapi.Options{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	get := func(cursor string) (int, map[string]any) {
		answer, err := http.Get(server.URL + "/v1/changes" + after(cursor))
		require.NoError(t, err)
		defer answer.Body.Close()
		var body map[string]any
		require.NoError(t, json.NewDecoder(answer.Body).Decode(&body))
		return answer.StatusCode, body
	}
	_, page := get("")
	clock = clock.Add(contacts.ChangesKept)
	status, problem := get(page["next_cursor"].(string))
	require.Equal(t, http.StatusGone, status)
	require.Equal(t, "/problems/expired", problem["type"])
	require.Contains(t, problem["detail"], "cursor=now")
}

// events reads the server-sent events of an answer: each as its fields, in order.
func events(t *testing.T, body io.Reader) func() map[string]string {
	lines := bufio.NewScanner(body)
	return func() map[string]string {
		event := map[string]string{}
		for lines.Scan() {
			if lines.Text() == "" {
				if len(event) > 0 {
					return event
				}
				continue
			}
			name, value, found := strings.Cut(lines.Text(), ": ")
			require.True(t, found, lines.Text())
			if name != "" { // a comment has none
				event[name] = value
			}
		}
		return nil
	}
}

func TestAPI_Changes_Stream(t *testing.T) {
	t.Parallel()
	desk := contactstest.NewDesk()
	service := contacts.NewService(desk.Options())
	server := httptest.NewServer(httpapi.New(service, httpapi.Options{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(server.Close)
	client := contactstest.HTTP{URL: server.URL}
	open := func(cursor, last string) (*http.Response, func() map[string]string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/v1/changes"+after(cursor), nil)
		require.NoError(t, err)
		request.Header.Set("Accept", "text/event-stream")
		if last != "" {
			request.Header.Set("Last-Event-ID", last)
		}
		answer, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		t.Cleanup(func() { _ = answer.Body.Close() })
		return answer, events(t, answer.Body)
	}
	write := contacts.Write{Wait: 10 * time.Second}
	made, err := client.Create(t.Context(), contactstest.Jane(t), write)
	require.NoError(t, err)
	answer, next := open("", "")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.Equal(t, "text/event-stream", answer.Header.Get("Content-Type"))
	first := next()
	require.Equal(t, "change", first["event"])
	require.Contains(t, first["data"], `"type":"created"`)
	require.Contains(t, first["data"], made.Contact.String())
	_, err = client.Merge(t.Context(), made.Contact, contacts.Patch(`{"notes":"two\nlines"}`), write)
	require.NoError(t, err)
	require.Contains(t, next()["data"], `"type":"updated"`, "as it comes")

	_, quiet := open("now", "")
	begun := quiet()
	require.NotContains(t, begun, "data", "no event, and yet a place to go on from")
	_, resumed := open("now", begun["id"])
	_, err = client.Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"J"}`), write)
	require.NoError(t, err)
	require.Contains(t, quiet()["data"], `"nickname":"J"`)
	require.Equal(t, begun["id"], resumed()["id"])
	require.Contains(t, resumed()["data"], `"nickname":"J"`)

	_, again := open("now", first["id"])
	require.Contains(t, again()["data"], `"type":"updated"`, "it goes on from the last event")
	require.Contains(t, again()["data"], `"nickname":"J"`)
	service.StopWaiting()
	// a process that is about to end ends its streams
	for last := again(); last != nil; last = again() {
		require.NotContains(t, last, "data")
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+"/v1/changes", nil)
	require.NoError(t, err)
	request.Header.Set("Accept", "text/event-stream")
	head, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.Equal(t, "application/json", head.Header.Get("Content-Type"), "there is no stream without a body")

	refused, _ := open("x", "")
	require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode)
}

// The numbers that are in tags are those of the domain.
func TestOpenAPI_Changes(t *testing.T) {
	t.Parallel()
	document := newClient(t).do(http.MethodGet, "/openapi.json", "").json(t)
	found := map[string]any{}
	for _, p := range dig(t, document, "paths", "/v1/changes", "get", "parameters").([]any) {
		found[dig(t, p, "name").(string)] = dig(t, p, "schema")
	}
	require.EqualValues(t, contacts.DefaultPage, dig(t, found["limit"], "default"))
	require.EqualValues(t, contacts.MaxPage, dig(t, found["limit"], "maximum"))
	require.EqualValues(t, int(contacts.MaxChangesWait/time.Second), dig(t, found["wait"], "maximum"))
}
