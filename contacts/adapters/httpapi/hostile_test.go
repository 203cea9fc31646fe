package httpapi_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
)

// Bounds of the answer to a refused request and of its cost, for any request.
const (
	maxProblem      = 16 << 10 // bytes
	allocatedFor    = 20       // bytes of memory for each byte of the request
	allocatedAtOnce = 2 << 20  // and for any request
)

// handler is the API over a world, without a server, so that the cost of a request can be
// measured. It has answered one already: the first one loads the tables of phone numbers and
// the like.
func handler() http.Handler {
	h := httpapi.New(contacts.NewService(newWorld().options()), httpapi.Options{Log: slog.New(slog.DiscardHandler)})
	h.ServeHTTP(httptest.NewRecorder(), newRequest(http.MethodPost, "/v1/contacts", jane))
	return h
}

// serveMeasured answers one request and returns how many bytes of memory were allocated for
// that.
func serveMeasured(h http.Handler, r *http.Request) (*httptest.ResponseRecorder, uint64) {
	var before, after runtime.MemStats
	w := httptest.NewRecorder()
	runtime.ReadMemStats(&before)
	h.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	return w, after.TotalAlloc - before.TotalAlloc
}

// requireBounded holds an answer to a success or a short problem document, and its cost to the
// request's length.
func requireBounded(t *testing.T, w *httptest.ResponseRecorder, allocated uint64, length int) {
	t.Helper()
	if w.Code >= http.StatusBadRequest {
		require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
		require.Less(t, w.Body.Len(), maxProblem)
	}
	require.Less(t, w.Code, http.StatusInternalServerError, "%.1000s", w.Body)
	require.Less(t, allocated, uint64(allocatedAtOnce+allocatedFor*length))
}

func newRequest(method, target, body string) *http.Request {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// hostileBodies cost more than their length in ways of their own.
func hostileBodies() map[string]string {
	name := strings.Repeat("n", 95)
	long := strings.Repeat("n", 90_000)
	many := func(n int, part string) string { return strings.TrimSuffix(strings.Repeat(part+",", n), ",") }
	numbered := func(n int, part string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, part+",", i)
		}
		return strings.TrimSuffix(b.String(), ",")
	}
	return map[string]string{
		"nested objects with long names":    strings.Repeat(`{"`+name+`":`, 7492) + "1" + strings.Repeat("}", 7492),
		"nested in a known member":          `{"notes":` + strings.Repeat(`{"`+name+`":`, 7492) + "1" + strings.Repeat("}", 7493),
		"nested arrays":                     `{"emails":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"nested beyond what is read":        `{"x":` + strings.Repeat(`[`, 9_000) + strings.Repeat(`]`, 9_000) + "}",
		"a long name above equal members":   `{"` + long + `":{` + many(6000, `"a":1`) + "}}",
		"a long name in custom_fields":      `{"custom_fields":{"` + long + `":{` + many(6000, `"a":1`) + "}}}",
		"equal members":                     "{" + many(100_000, `"first_name":"x"`) + "}",
		"unknown members":                   "{" + numbered(60_000, `"a%d":1`) + "}",
		"long unknown members":              "{" + numbered(10, `"`+long+`%d":1`) + "}",
		"custom fields without end":         `{"first_name":"J","custom_fields":{` + numbered(60_000, `"a%d":"b"`) + "}}",
		"custom fields of the wrong type":   `{"first_name":"J","custom_fields":{` + numbered(60_000, `"a%d":[]`) + "}}",
		"long names of custom fields":       `{"first_name":"J","custom_fields":{` + numbered(10, `"`+long+`%d":"b"`) + "}}",
		"control characters in their names": `{"first_name":"J","custom_fields":{` + numbered(99, `"`+strings.Repeat(`\u0001`, 100)+`%d":"\u0001"`) + "}}",
		"emails without end":                `{"emails":[` + many(60_000, `{"address":"x"}`) + "]}",
		"emails of the wrong type":          `{"emails":[` + many(200_000, `1`) + "]}",
		"labels without end":                `{"first_name":"J","labels":[` + numbered(60_000, `"%d"`) + "]}",
		"invalid entries":                   `{"emails":[` + many(50, `{"address":"x","label":"\u0001"}`) + `],"phones":[` + many(50, `{"number":"x"}`) + "]}",
		"a long text":                       `{"notes":"` + strings.Repeat("x", 1_000_000) + `"}`,
		"marks to be composed":              `{"first_name":"` + strings.Repeat("a\u0300\u0323", 150_000) + `"}`,
		"text that grows when it is folded": `{"first_name":"J","notes":"` + strings.Repeat("\ufdfa", 20_000) + `"}`,
		"a number without end":              `{"version":` + strings.Repeat("9", 1_000_000) + "}",
		"spaces":                            strings.Repeat(" ", 1_000_000),
	}
}

func TestAPI_HostileBodies(t *testing.T) {
	h := handler()
	id := uuid.NewString()
	for name, body := range hostileBodies() {
		for method, target := range map[string]string{
			http.MethodPost: "/v1/contacts", http.MethodPut: "/v1/contacts/" + id, http.MethodPatch: "/v1/contacts/" + id,
		} {
			w, allocated := serveMeasured(h, newRequest(method, target, body))
			t.Logf("%s: %s of %d bytes answered %d with %d bytes, %d bytes allocated", name, method, len(body), w.Code, w.Body.Len(), allocated)
			requireBounded(t, w, allocated, len(body))
		}
	}
}

func FuzzAPI_Body(f *testing.F) {
	for _, body := range hostileBodies() {
		if len(body) < 1<<17 {
			f.Add(byte(0), body)
		}
	}
	f.Add(byte(0), jane)
	f.Add(byte(1), `{"emails":[{"address":"a@b.co","label":null}],"custom_fields":{"a":"b","c":null},"birthday":"--12-31"}`)
	f.Add(byte(2), `{"first_name":"\ud83d\ude00","notes":"\ud83d"}`)
	methods := []string{http.MethodPost, http.MethodPut, http.MethodPatch}
	var h http.Handler
	var path string
	served := 0
	f.Fuzz(func(t *testing.T, choice byte, body string) {
		if served%1000 == 0 { // what was created before takes memory, too
			h = handler()
			w, _ := serveMeasured(h, newRequest(http.MethodPost, "/v1/contacts", jane))
			path = w.Header().Get("Location")
		}
		served++
		method, target := methods[int(choice)%len(methods)], path
		if method == http.MethodPost {
			target = "/v1/contacts"
		}
		w, allocated := serveMeasured(h, newRequest(method, target, body))
		requireBounded(t, w, allocated, len(body))
	})
}

func FuzzAPI_Query(f *testing.F) {
	for _, query := range []string{
		"q=jane&sort=-name&limit=5", "erase=true", "cursor=e30", "wait=0&cursor=now", "email=x;", "updated_since=2026-01-31T00:00:00Z",
		"phone=%2B51+987", "label=%F0%9F%98%80", "=&&", "q=%00", "q=%ff", "erase=false&erase=true", strings.Repeat("a;&", 1000),
	} {
		for route := range byte(6) {
			f.Add(route, query)
		}
	}
	h := handler()
	f.Fuzz(func(t *testing.T, route byte, query string) {
		r := newRequest(http.MethodGet, "/", "")
		switch route % 6 {
		case 0:
			r.URL.Path = "/v1/contacts"
		case 1:
			r.URL.Path = "/v1/changes"
		case 2:
			r.URL.Path = "/v1/operations/" + uuid.NewString()
		case 3:
			r.URL.Path = "/openapi.json"
		case 4:
			r.URL.Path = "/docs/"
		case 5:
			r.Method, r.URL.Path = http.MethodDelete, "/v1/contacts/"+uuid.NewString()
		}
		if strings.Contains(query, "wait") {
			return // it would
		}
		r.URL.RawQuery = query
		w, allocated := serveMeasured(h, r)
		requireBounded(t, w, allocated, len(query))
		if len(query) > 0 && strings.Contains(query, ";") {
			require.Equal(t, http.StatusUnprocessableEntity, w.Code)
		}
	})
}

func FuzzAPI_Header(f *testing.F) {
	names := []string{
		"Content-Type", "Content-Encoding", "Authorization", "Idempotency-Key", "If-Match", "If-None-Match", "Prefer", "Accept",
		"Last-Event-ID", "Traceparent", "X-Request-Id", "RateLimit", "X-Forwarded-Proto",
	}
	for i := range names {
		for _, value := range []string{
			"", `"a"`, `*`, `W/"1", "2"`, "wait=1, respond-async", "Bearer x", "application/json; charset=utf-8", strings.Repeat(`"1",`, 3000),
			"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", `"\`, "text/html;q=0.9",
		} {
			f.Add(byte(i), byte(i), value, value)
		}
	}
	var h http.Handler
	served := 0
	f.Fuzz(func(t *testing.T, choice, first byte, value, second string) {
		if served%1000 == 0 {
			h = handler()
		}
		served++
		r := newRequest([]string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete}[choice%4], "/v1/contacts", jane)
		if r.Method == http.MethodPut || r.Method == http.MethodDelete {
			r.URL.Path += "/" + uuid.NewString()
		}
		r.Header.Add(names[int(first)%len(names)], value)
		if second != "" {
			r.Header.Add(names[int(choice)%len(names)], second)
		}
		w, allocated := serveMeasured(h, r)
		requireBounded(t, w, allocated, len(value)+len(second))
	})
}

// Half of a pair of surrogates stands for no character. It is refused wherever text is, names
// included.
func TestAPI_LoneSurrogates(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	for body, pointer := range map[string]string{
		`{"first_name":"\ud83d"}`:                                 "/first_name",
		`{"first_name":"\ude00\ud83d"}`:                           "/first_name",
		`{"emails":[{"address":"a@b.co","label":"\uDC00"}]}`:      "/emails/0/label",
		`{"first_name":"J","labels":["a","\ud83dx"]}`:             "/labels/1",
		`{"first_name":"J","custom_fields":{"a":"\ud83d\u0041"}}`: "/custom_fields/a",
		`{"first_name":"J","custom_fields":{"\ud83d":"a"}}`:       "/custom_fields/\ufffd",
		`{"\ud83d":"a"}`: "/\ufffd",
	} {
		for _, ask := range []struct{ method, path string }{{"POST", "/v1/contacts"}, {"PUT", path}, {"PATCH", path}} {
			refused := c.do(ask.method, ask.path, body)
			require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, "%s %s: %s", ask.method, body, refused.body)
			faults := refused.json(t)["errors"].([]any)
			require.Len(t, faults, 1)
			require.Equal(t, pointer, dig(t, faults[0], "pointer"))
		}
	}
	require.Equal(t, http.StatusCreated, c.do("POST", "/v1/contacts", `{"first_name":"\ud83d\ude00 \\ud83d"}`).StatusCode)
}

// What a query says is done, or refused: no part of it is dropped.
func TestAPI_AmbiguousQueries(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(`{"first_name":"Jane","email":"jane@example.com"}`)
	for _, test := range []struct{ method, target, parameter string }{
		{"DELETE", path + "?erase=true;", "erase"},
		{"DELETE", path + "?erase=false&erase=true", "erase"},
		{"DELETE", path + "?erase=", "erase"},
		{"DELETE", path + "?erase", "erase"},
		{"DELETE", path + "?erase=%zz", "erase"},
		{"DELETE", path + "?%65rase=true&erase=true", "erase"},
		{"GET", "/v1/contacts?email=x;", "email"},
		{"GET", "/v1/contacts?email=", "email"},
		{"GET", "/v1/contacts?email=a@b.co&email=jane@example.com", "email"},
		{"GET", "/v1/contacts?q=a;limit=1", "q"},
		{"GET", "/v1/contacts?q=%ff", "q"},
		{"GET", "/v1/contacts?limit=1&limit=1", "limit"},
		{"GET", "/v1/contacts?nope=1;", "nope"},
		{"GET", "/v1/contacts?;", ""},
		{"GET", "/v1/contacts?limit=1&", ""},
		{"GET", "/contacts/?cursor=", "cursor"},
		{"HEAD", "/v1/contacts?email=x;", ""},
		{"POST", "/v1/contacts?nope=1;", "nope"},
		{"PUT", path + "?nope=1;", "nope"},
		{"PATCH", path + "?nope=1;", "nope"},
		{"GET", path + "?nope=1;", "nope"},
		{"GET", "/v1/operations/" + uuid.NewString() + "?nope=1;", "nope"},
		{"GET", "/v1/changes?cursor=now&cursor=now", "cursor"},
		{"GET", "/openapi.json?nope=1;", "nope"},
		{"GET", "/docs?nope=1;", "nope"},
		{"GET", "/docs/?nope=1", "nope"},
		{"GET", "/openapi.yaml?nope=1", "nope"},
		{"GET", "/problems/invalid?nope=1", "nope"},
		{"GET", "/problems/invalid?nope=1;", "nope"},
	} {
		body := ""
		if test.method == "POST" || test.method == "PUT" || test.method == "PATCH" {
			body = jane
		}
		refused := c.do(test.method, test.target, body)
		require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, "%s %s: %s", test.method, test.target, refused.body)
		if test.parameter != "" {
			require.Equal(t, test.parameter, dig(t, refused.json(t)["errors"].([]any)[0], "parameter"), test.target)
		}
	}
	for _, name := range []string{"limit", "wait"} {
		refused := c.do(http.MethodGet, "/v1/changes?cursor=now&"+name+"=1", "", "Accept", "text/event-stream")
		require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, "a stream has no "+name)
	}
	require.Equal(t, http.StatusOK, c.do(http.MethodGet, path, "").StatusCode, "nothing was done")
	require.Len(t, c.do(http.MethodGet, "/v1/contacts?email=jane%40example.com&q=jane", "").json(t)["items"], 1)
}

// With two values of what a request has once, the server does not choose.
func TestAPI_RepeatedHeaders(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		r := newRequest(http.MethodPost, "/v1/contacts", jane)
		r.Header[name] = []string{"application/json", "identity"}
		w, _ := serveMeasured(handler(), r)
		require.Equal(t, http.StatusBadRequest, w.Code, w.Body)
		require.Contains(t, w.Body.String(), `"header":"`+name+`"`)
	}
	refused := c.do(http.MethodGet, "/v1/changes", "", "Last-Event-ID", "a", "Last-Event-ID", "b", "Accept", "text/event-stream")
	require.Equal(t, http.StatusBadRequest, refused.StatusCode, refused.body)
	for _, name := range []string{"If-Match", "If-None-Match"} {
		refused := c.do(http.MethodPost, "/v1/contacts", jane, name, "", name, "*")
		require.Equal(t, http.StatusUnprocessableEntity, refused.StatusCode, refused.body)
	}
	answered := c.do(http.MethodGet, "/v1/contacts", "", "X-Request-Id", "a", "X-Request-Id", "b")
	require.NotEqual(t, "a", answered.Header.Get("X-Request-Id"))
}

// No header fails the server.
func TestAPI_OddAccept(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	for _, accept := range []string{"text/html;q;0,9", ";", ",;", "a;", "a;q", ";q=,", "a;;;q=1,", "\xd9;\xd9,", "*/*;q=0"} {
		for path, status := range map[string]int{"/v1/contacts": 200, "/v1/contacts?nope=1": 422, "/v1/contacts/none": 404} {
			answer := c.do(http.MethodGet, path, "", "Accept", accept)
			require.Equal(t, status, answer.StatusCode, "%q: %s", accept, answer.body)
		}
	}
}

// A body that breaks off, or that is not sent as HTTP says, is the caller's fault.
func TestAPI_BrokenBodies(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(), 0, httpapi.Options{WriteWait: time.Minute})
	const head = "POST /v1/contacts HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct {
		sent   string
		status int
	}{
		"shorter than its length": {head + "Content-Length: 100\r\n\r\n" + jane, http.StatusBadRequest},
		"no chunk's length":       {head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + jane, http.StatusBadRequest},
		"a chunk that is longer":  {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n" + jane + "\r\n0\r\n\r\n", http.StatusBadRequest},
		"no last chunk":           {head + "Transfer-Encoding: chunked\r\n\r\n5\r\n{    \r\n", http.StatusBadRequest},
		"too long, not sent":      {head + "Content-Length: 1048577\r\n\r\n", http.StatusRequestEntityTooLarge},
	} {
		conn, answer := c.hold(test.sent)
		if test.status == http.StatusBadRequest {
			require.NoError(t, conn.(interface{ CloseWrite() error }).CloseWrite())
		}
		began := time.Now()
		response, err := http.ReadResponse(answer, nil)
		require.NoError(t, err, name)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, test.status, response.StatusCode, "%s: %s", name, body)
		require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
		require.Less(t, time.Since(began), 4*time.Second, "without waiting for the body")
	}
	require.NotContains(t, c.log.String(), `"level":"ERROR"`)
}
