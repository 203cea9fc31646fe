package httpapi_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/contacts/contactstest"
)

const jane = `{"first_name":"Jane","email":"jane@example.com"}`

func TestAPI_Create(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	created := c.do(http.MethodPost, "/v1/contacts", jane)
	require.Equal(t, http.StatusCreated, created.StatusCode, created.body)
	require.Equal(t, `"1"`, created.Header.Get("ETag"))
	require.Equal(t, "application/json", created.Header.Get("Content-Type"))
	contact := created.json(t)
	require.Equal(t, "/v1/contacts/"+contact["id"].(string), created.Header.Get("Location"))
	require.Equal(t, "Jane", contact["display_name"])

	read := c.do(http.MethodGet, created.Header.Get("Location"), "")
	require.Equal(t, http.StatusOK, read.StatusCode)
	require.Equal(t, created.body, read.body)
	require.Equal(t, `"1"`, read.Header.Get("ETag"))
	require.Equal(t, "private, no-cache", read.Header.Get("Cache-Control"))
}

func TestAPI_Create_NullIsNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	created := c.do(http.MethodPost, "/v1/contacts",
		`{"first_name":"Jane","last_name":null,"emails":null,"phones":[{"number":"1","label":null}],"custom_fields":{"a":null,"b.c":"1"}}`)
	require.Equal(t, http.StatusCreated, created.StatusCode, created.body)
	require.Equal(t, map[string]any{"b.c": "1"}, created.json(t)["custom_fields"])
}

func TestAPI_Paths(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, path := range []string{"/contacts", "/contacts/", "/v1/contacts", "/v1/contacts/"} {
		created := c.do(http.MethodPost, path, jane)
		require.Equal(t, http.StatusCreated, created.StatusCode, path)
		require.Equal(t, http.StatusOK, c.do(http.MethodGet, path, "").StatusCode, path)
		id := created.json(t)["id"].(string)
		for _, prefix := range []string{"/contacts/", "/v1/contacts/"} {
			for _, suffix := range []string{"", "/"} {
				read := c.do(http.MethodGet, prefix+id+suffix, "")
				require.Equal(t, http.StatusOK, read.StatusCode, prefix+id+suffix)
				require.Equal(t, created.body, read.body)
			}
		}
	}
}

func TestAPI_Get_IfNoneMatch(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	for _, header := range []string{`"1"`, `W/"1"`, `"7", "1"`, `*`} {
		answer := c.do(http.MethodGet, path, "", "If-None-Match", header)
		require.Equal(t, http.StatusNotModified, answer.StatusCode, header)
		require.Equal(t, `"1"`, answer.Header.Get("ETag"))
		require.Empty(t, answer.body)
	}
	for _, header := range []string{`"2"`, `1`, `"`} {
		require.Equal(t, http.StatusOK, c.do(http.MethodGet, path, "", "If-None-Match", header).StatusCode, header)
	}
	two := c.do(http.MethodGet, path, "", "If-None-Match", `"5"`, "If-None-Match", `"1"`)
	require.Equal(t, http.StatusNotModified, two.StatusCode)
}

func TestAPI_Head(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(`{"first_name":"Jane","notes":"`+strings.Repeat("x", 3000)+`"}`)
	read, head := c.do(http.MethodGet, path, ""), c.do(http.MethodHead, path, "")
	require.Equal(t, http.StatusOK, head.StatusCode)
	require.Empty(t, head.body)
	require.Equal(t, read.Header.Get("ETag"), head.Header.Get("ETag"))
	require.Equal(t, read.ContentLength, head.ContentLength)
	for _, other := range []string{"/v1/contacts", "/openapi.json", "/docs"} {
		require.Equal(t, http.StatusOK, c.do(http.MethodHead, other, "").StatusCode, other)
	}
	require.Equal(t, http.StatusNotFound, c.do(http.MethodHead, "/v1/contacts/none", "").StatusCode)
}

func TestAPI_Replace(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	replaced := c.do(http.MethodPut, path, `{"last_name":"Doe"}`)
	require.Equal(t, http.StatusOK, replaced.StatusCode, replaced.body)
	require.Equal(t, `"2"`, replaced.Header.Get("ETag"))
	require.NotContains(t, replaced.json(t), "first_name")

	again := c.do(http.MethodPut, path, replaced.body)
	require.Equal(t, http.StatusOK, again.StatusCode, "what GET gave can be sent back: %s", again.body)
	require.Equal(t, replaced.body, again.body, "which changes nothing")
	require.Equal(t, `"2"`, again.Header.Get("ETag"))
}

// A retry is the same request if it means the same, however it is written.
func TestAPI_IdempotencyKey_ByMeaning(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch} {
		to := path
		if method == http.MethodPost {
			to = "/v1/contacts"
		}
		key := `"key-of-` + method + `"`
		first := c.do(method, to, `{"first_name":"é","notes":"a/b","custom_fields":{"n":1,"a":true}}`, "Idempotency-Key", key)
		require.Contains(t, []int{http.StatusOK, http.StatusCreated}, first.StatusCode, first.body)
		for _, same := range []string{
			`{"notes":"a/b","custom_fields":{"a":true,"n":1},"first_name":"é"}`,
			"\ufeff{\n\t\"first_name\": \"\\u00e9\", \"notes\": \"a\\/b\", \"custom_fields\": {\"n\": 1.0, \"a\": true}}\n",
			`{"first_name":"\u00E9","notes":"\u0061/b","custom_fields":{"n":10e-1,"a":true}}`,
		} {
			again := c.do(method, to, same, "Idempotency-Key", key)
			require.Equal(t, first.StatusCode, again.StatusCode, "%s %s: %s", method, same, again.body)
			require.Equal(t, first.body, again.body)
		}
		for _, other := range []string{
			`{"first_name":"é","notes":"a/b","custom_fields":{"n":"1","a":true}}`,
			`{"first_name":"e","notes":"a/b","custom_fields":{"n":1,"a":true}}`,
			`{"first_name":"é","notes":"a/b","custom_fields":{"n":1}}`,
		} {
			again := c.do(method, to, other, "Idempotency-Key", key)
			require.Equal(t, http.StatusUnprocessableEntity, again.StatusCode, "%s %s: %s", method, other, again.body)
		}
	}
}

func TestAPI_Merge(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	for _, mediaType := range []string{"application/merge-patch+json", "application/json", "application/json; charset=utf-8"} {
		merged := c.do(http.MethodPatch, path, `{"last_name":"Doe","custom_fields":{"gone":null}}`, "Content-Type", mediaType)
		require.Equal(t, http.StatusOK, merged.StatusCode, merged.body)
		require.Equal(t, "Jane", merged.json(t)["first_name"])
		require.Equal(t, "Doe", merged.json(t)["last_name"])
	}
	require.Equal(t, `"2"`, c.do(http.MethodGet, path, "").Header.Get("ETag"), "the others changed nothing")
}

func TestAPI_Delete(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	deleted := c.do(http.MethodDelete, path, "")
	require.Equal(t, http.StatusNoContent, deleted.StatusCode)
	require.Empty(t, deleted.body)
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		require.Equal(t, http.StatusNotFound, c.do(method, path, "").StatusCode, method)
	}
}

func TestAPI_Erase(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	created := c.do(http.MethodPost, "/v1/contacts", jane, "Idempotency-Key", `"k1"`)
	require.Equal(t, http.StatusCreated, created.StatusCode, created.body)
	path := created.Header.Get("Location")
	for _, query := range []string{"?erase=perhaps", "?erase=", "?erase"} {
		unclear := c.do(http.MethodDelete, path+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, unclear.StatusCode, query)
		require.Contains(t, unclear.body, `"parameter":"erase"`)
	}
	require.Equal(t, http.StatusNoContent, c.do(http.MethodDelete, path+"?erase=false", "").StatusCode)
	require.Equal(t, http.StatusNotFound, c.do(http.MethodDelete, path, "").StatusCode)
	for range 2 {
		erased := c.do(http.MethodDelete, path+"?erase=true", "")
		require.Equal(t, http.StatusNoContent, erased.StatusCode, erased.body)
		require.Empty(t, erased.body)
	}
	var kinds []contacts.CommandKind
	for _, command := range c.world.Sent() {
		kinds = append(kinds, command.Kind)
	}
	require.Equal(t, []contacts.CommandKind{contacts.Create, contacts.Delete, contacts.Delete, contacts.Erase, contacts.Erase}, kinds)

	again := c.do(http.MethodPost, "/v1/contacts", jane, "Idempotency-Key", `"k1"`)
	require.Equal(t, http.StatusGone, again.StatusCode)
	require.Equal(t, "/problems/erased", again.json(t)["type"])
	changes := c.do(http.MethodGet, "/v1/changes", "").json(t)["items"].([]any)
	require.Len(t, changes, 1)
	require.Equal(t, "deleted", changes[0].(map[string]any)["type"])
	require.EqualValues(t, 2, changes[0].(map[string]any)["version"])
}

func TestAPI_IfMatch(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	requests := []struct{ method, body string }{
		{http.MethodPut, `{"last_name":"Doe"}`}, {http.MethodPatch, `{"last_name":"Doe"}`}, {http.MethodDelete, ""},
	}
	for _, r := range requests {
		for _, stale := range []string{`"9"`, `W/"1"`, `"01"`, `"x"`, `"8", W/"1"`} {
			refused := c.do(r.method, path, r.body, "If-Match", stale)
			require.Equal(t, http.StatusPreconditionFailed, refused.StatusCode, "%s %s", r.method, stale)
			require.Equal(t, `"1"`, refused.Header.Get("ETag"))
			require.Equal(t, "/problems/stale-version", refused.json(t)["type"])
			require.EqualValues(t, 1, refused.json(t)["current_version"])
		}
	}
	for i, good := range []string{`"1"`, `"9", "2"`, `*`} {
		done := c.do(http.MethodPatch, path, fmt.Sprintf(`{"last_name":"Doe %d"}`, i), "If-Match", good)
		require.Equal(t, http.StatusOK, done.StatusCode, good)
		require.EqualValues(t, i+2, done.json(t)["version"])
	}
}

func TestAPI_List(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	empty := c.do(http.MethodGet, "/v1/contacts", "")
	require.JSONEq(t, `{"items":[]}`, empty.body)
	require.Empty(t, empty.Header.Get("Link"))

	want := []string{c.create(jane), c.create(jane), c.create(jane)}
	var got []string
	path := "/contacts?limit=2"
	for range 2 {
		page := c.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, page.StatusCode, page.body)
		for _, item := range page.json(t)["items"].([]any) {
			got = append(got, item.(map[string]any)["id"].(string))
		}
		next, _ := page.json(t)["next_cursor"].(string)
		if next == "" {
			path = ""
			require.Empty(t, page.Header.Get("Link"))
			break
		}
		path = "/v1/contacts?cursor=" + url.QueryEscape(next) + "&limit=2&sort=created_at"
		require.Equal(t, "<"+path+`>; rel="next"`, page.Header.Get("Link"))
	}
	require.Empty(t, path, "two pages have all")
	require.Equal(t, want, got)
}

func TestAPI_List_Filters(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.create(jane)
	for range 2 {
		c.create(`{"first_name":"José","labels":["Amigos"],"phone":"+51 1 555 2671"}`)
	}
	query := url.Values{
		"q": {"jos"}, "phone": {"+51 (1) 555-2671"}, "label": {"amigos"}, "updated_since": {"2020-01-31T00:00:00-05:00"}, "sort": {"-name"},
	}
	page := c.do(http.MethodGet, "/v1/contacts?limit=1&"+query.Encode(), "")
	require.Equal(t, http.StatusOK, page.StatusCode, page.body)
	require.Len(t, page.json(t)["items"], 1)
	link, _, _ := strings.Cut(strings.TrimPrefix(page.Header.Get("Link"), "<"), ">")
	next, err := url.Parse(link)
	require.NoError(t, err)
	for name, values := range query {
		require.Equal(t, values, next.Query()[name], "the next page is of the same list")
	}
	last := c.do(http.MethodGet, link, "")
	require.Len(t, last.json(t)["items"], 1)
	require.Empty(t, last.Header.Get("Link"))
	require.JSONEq(t, `{"items":[]}`, c.do(http.MethodGet, "/v1/contacts?email=jose@example.com", "").body)

	for _, query := range []string{"sort=age", "updated_since=yesterday", "phone=none", "cursor=x", "limit=0", "q=" + strings.Repeat("x", 201)} {
		bad := c.do(http.MethodGet, "/v1/contacts?"+query, "")
		require.Equal(t, http.StatusUnprocessableEntity, bad.StatusCode, query)
		name, _, _ := strings.Cut(query, "=")
		require.Contains(t, bad.body, `"parameter":"`+name+`"`)
	}
}

// The service's contract, through HTTP.
func TestAPI_ServiceContract(t *testing.T) {
	t.Parallel()
	desk := contactstest.NewDesk()
	server := httptest.NewServer(httpapi.New(contacts.NewService(desk.Options()), httpapi.Options{
		Log: slog.New(slog.DiscardHandler),
	}))
	t.Cleanup(server.Close)
	contactstest.RunService(t, contactstest.HTTP{URL: server.URL})
}

// BenchmarkAPI_Get measures a read of one contact through the whole API, without the network.
func BenchmarkAPI_Get(b *testing.B) {
	desk := contactstest.NewDesk()
	create := contactstest.CreateCommand(b, contacts.DefaultTenant, contactstest.Jane(b))
	desk.ApplyCommand(create, false)
	api := httpapi.New(contacts.NewService(desk.Options()), httpapi.Options{Log: slog.New(slog.DiscardHandler)})
	request := httptest.NewRequest(http.MethodGet, "/v1/contacts/"+create.Contact.String(), nil)
	b.ReportAllocs()
	for b.Loop() {
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, request)
		require.Equal(b, http.StatusOK, answer.Code)
	}
}

// BenchmarkAPI_List measures a page of 50 contacts in the same way.
func BenchmarkAPI_List(b *testing.B) {
	desk := contactstest.NewDesk()
	for range contacts.DefaultPage {
		desk.ApplyCommand(contactstest.CreateCommand(b, contacts.DefaultTenant, contactstest.Jane(b)), false)
	}
	api := httpapi.New(contacts.NewService(desk.Options()), httpapi.Options{Log: slog.New(slog.DiscardHandler)})
	request := httptest.NewRequest(http.MethodGet, "/v1/contacts", nil)
	b.ReportAllocs()
	for b.Loop() {
		answer := httptest.NewRecorder()
		api.ServeHTTP(answer, request)
		require.Equal(b, http.StatusOK, answer.Code)
	}
}

// null takes a custom field away from a contact, and from what is sent for a new one. Its name
// has to be one that a field could have had.
func TestAPI_NullCustomFields(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	id := c.create(`{"first_name":"J","custom_fields":{"a":null,"b":"","c":"x"},"emails":[]}`)
	require.Equal(t, map[string]any{"b": "", "c": "x"}, c.do(http.MethodGet, "/v1/contacts/"+id, "").json(t)["custom_fields"])
	patched := c.do(http.MethodPatch, "/v1/contacts/"+id, `{"custom_fields":{"b":null,"d":null}}`)
	require.Equal(t, map[string]any{"c": "x"}, patched.json(t)["custom_fields"])
	long := `{"first_name":"J","custom_fields":{"` + strings.Repeat("n", 101) + `":null}}`
	require.Equal(t, http.StatusOK, c.do(http.MethodPut, "/v1/contacts/"+id, long).StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, c.do(http.MethodPatch, "/v1/contacts/"+id, long).StatusCode)
}

func TestAPI_Upsert(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	const path = "/v1/contacts/by-external-id/crm-1"
	created := c.do(http.MethodPut, path, jane)
	require.Equal(t, http.StatusCreated, created.StatusCode, created.body)
	require.Equal(t, "crm-1", created.json(t)["external_id"])
	require.Equal(t, "/v1/contacts/"+created.json(t)["id"].(string), created.Header.Get("Location"))
	require.Equal(t, `"1"`, created.Header.Get("ETag"))
	same := c.do(http.MethodPut, "/contacts/by-external-id/crm-1/", jane)
	require.Equal(t, http.StatusOK, same.StatusCode)
	require.Equal(t, created.body, same.body)
	require.Empty(t, same.Header.Get("Location"))
	replaced := c.do(http.MethodPut, path, `{"first_name":"Jane","external_id":"crm-1","version":7}`)
	require.Equal(t, http.StatusOK, replaced.StatusCode, replaced.body)
	require.Equal(t, `"2"`, replaced.Header.Get("ETag"))
	for _, id := range []string{"a/b", "%2f", "é", "+ ", "..", "?#"} {
		answer := c.do(http.MethodPut, "/v1/contacts/by-external-id/"+url.PathEscape(id)+"x", jane)
		require.Equal(t, http.StatusCreated, answer.StatusCode, "%s: %s", id, answer.body)
		require.Equal(t, strings.TrimSpace(id+"x"), answer.json(t)["external_id"])
	}

	for name, refused := range map[string]reply{
		"/external_id":  c.do(http.MethodPut, path, `{"first_name":"Jane","external_id":"crm-2"}`),
		"/id":           c.do(http.MethodPut, path, created.body),
		"If-Match":      c.do(http.MethodPut, path, jane, "If-Match", `"2"`),
		"If-None-Match": c.do(http.MethodPut, path, jane, "If-None-Match", `*`),
	} {
		require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, name)
		require.Contains(t, refused.body, `"`+name+`"`)
	}
	for _, id := range []string{"%20", "%01", strings.Repeat("x", 256), "%E2%80%8B", "a%FF", "%ED%A0%80x"} {
		answer := c.do(http.MethodPut, "/v1/contacts/by-external-id/"+id, jane)
		require.Equal(t, http.StatusUnprocessableEntity, answer.StatusCode, id)
		require.Contains(t, answer.body, `"/external_id"`)
	}
	get := c.do(http.MethodGet, path, "")
	require.Equal(t, http.StatusMethodNotAllowed, get.StatusCode)
	require.Equal(t, http.MethodPut, get.Header.Get("Allow"))

	c.world.held.Store(true)
	accepted := c.do(http.MethodPut, path, `{"first_name":"June"}`, "Prefer", "respond-async")
	require.Equal(t, http.StatusAccepted, accepted.StatusCode)
	require.Equal(t, "upsert", accepted.json(t)["kind"])
	require.NotContains(t, accepted.json(t), "contact_id", "another may have the external_id by then")
	c.world.release()
	operation := c.do(http.MethodGet, accepted.Header.Get("Location"), "").json(t)
	require.Equal(t, []any{"replace", "succeeded", created.json(t)["id"]}, []any{operation["kind"], operation["status"], operation["contact_id"]})
}
