package httpapi_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// place is where a problem says a fault is.
type place struct{ pointer, parameter, header any }

func at(pointer string) place { return place{pointer: pointer} }

func TestAPI_BadInput(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	c.create(`{"first_name":"Jane","external_id":"taken"}`)
	const all = "/v1/contacts"
	type want struct {
		status int
		kind   string
		places []place
	}
	places := func(places ...place) want { return want{422, "invalid", places} }
	kind := func(status int, kind string) want { return want{status, kind, nil} }

	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		want               want
	}{
		"malformed JSON":               {"POST", all, `{"first_name": Jane}`, nil, kind(400, "malformed")},
		"text after the JSON":          {"POST", all, jane + `{}`, nil, kind(400, "malformed")},
		"not UTF-8":                    {"POST", all, "{\"first_name\":\"\xff\"}", nil, kind(400, "malformed")},
		"no body":                      {"POST", all, "", nil, kind(400, "malformed")},
		"no body to replace":           {"PUT", path, "", nil, kind(400, "malformed")},
		"no object":                    {"POST", all, `["x"]`, nil, places(at(""))},
		"null":                         {"PATCH", path, `null`, nil, places(at(""))},
		"read-only member":             {"POST", all, `{"first_name":"Jane","version":1}`, nil, places(at("/version"))},
		"unknown member":               {"POST", all, `{"first_name":"Jane","frist_name":"x"}`, nil, places(at("/frist_name"))},
		"unknown to a patch":           {"PATCH", path, `{"frist_name":"x"}`, nil, places(at("/frist_name"))},
		"unknown by its case":          {"PATCH", path, `{"Email":null}`, nil, places(at("/Email"))},
		"unknown nested member":        {"POST", all, `{"emails":[{"address":"a@b.co","kind":1}]}`, nil, places(at("/emails/0/kind"))},
		"unknown with dots":            {"POST", all, `{"a.b":{"c":[1]},"d":1,"e/f~":2}`, nil, places(at("/a.b"), at("/d"), at("/e~1f~0"))},
		"member given twice":           {"POST", all, `{"first_name":"Jane","first_name":"x"}`, nil, places(at("/first_name"))},
		"read-only in a create":        {"POST", all, `{"first_name":"Jane","id":"x"}`, nil, places(at("/id"))},
		"read-only in a patch":         {"PATCH", path, `{"version":1}`, nil, places(at("/version"))},
		"wrong types":                  {"POST", all, `{"first_name":1,"emails":{},"phones":["x"],"labels":[null],"custom_fields":{"a.b":[1]}}`, nil, places(at("/first_name"), at("/emails"), at("/phones/0"), at("/labels/0"), at("/custom_fields/a.b"))},
		"wrong read-only type":         {"PUT", path, `{"first_name":"Jane","version":1.5}`, nil, places(at("/version"))},
		"another id":                   {"PUT", path, `{"first_name":"Jane","id":"` + uuid.NewString() + `"}`, nil, places(at("/id"))},
		"too long":                     {"POST", all, `{"first_name":"` + strings.Repeat("x", 201) + `"}`, nil, places(at("/first_name"))},
		"too long in a patch":          {"PATCH", path, `{"first_name":"` + strings.Repeat("x", 201) + `"}`, nil, places(at("/first_name"))},
		"invalid email":                {"POST", all, `{"email":"nobody"}`, nil, places(at("/email"))},
		"nothing in it":                {"POST", all, `{}`, nil, places(at(""))},
		"nothing left":                 {"PATCH", path, `{"first_name":null,"emails":null,"display_name":null}`, nil, places(at(""))},
		"body over the limit":          {"POST", all, `{"notes":"` + strings.Repeat("x", maxBody) + `"}`, nil, kind(413, "too-large")},
		"form":                         {"POST", all, `first_name=Jane`, []string{"Content-Type", "application/x-www-form-urlencoded"}, kind(415, "unsupported-media-type")},
		"no content type":              {"POST", all, jane, []string{"Content-Type", ""}, kind(415, "unsupported-media-type")},
		"merge patch as a PUT":         {"PUT", path, jane, []string{"Content-Type", "application/merge-patch+json"}, kind(415, "unsupported-media-type")},
		"unknown id":                   {"GET", all + "/" + uuid.NewString(), "", nil, kind(404, "not-found")},
		"unknown id to replace":        {"PUT", all + "/" + uuid.NewString(), jane, nil, kind(404, "not-found")},
		"no UUID":                      {"GET", all + "/4711", "", nil, kind(404, "not-found")},
		"no UUID to patch":             {"PATCH", all + "/4711", `{`, nil, kind(404, "not-found")},
		"no canonical UUID":            {"GET", all + "/%7B" + uuid.NewString() + "%7D", "", nil, kind(404, "not-found")},
		"unknown operation":            {"GET", "/v1/operations/" + uuid.NewString(), "", nil, kind(404, "not-found")},
		"no operation":                 {"GET", "/v1/operations/4711", "", nil, kind(404, "not-found")},
		"unknown path":                 {"GET", "/v2/contacts", "", nil, kind(404, "not-found")},
		"wrong method":                 {"PATCH", all, jane, nil, kind(405, "method-not-allowed")},
		"bad cursor":                   {"GET", all + "?cursor=x", "", nil, places(place{parameter: "cursor"})},
		"limit too small":              {"GET", all + "?limit=0", "", nil, places(place{parameter: "limit"})},
		"limit too large":              {"GET", all + "?limit=501", "", nil, places(place{parameter: "limit"})},
		"limit no number":              {"GET", all + "?limit=many", "", nil, places(place{parameter: "limit"})},
		"unknown parameter":            {"GET", all + "?page.no=2&where=x", "", nil, places(place{parameter: "page.no"}, place{parameter: "where"})},
		"unknown parameter to a write": {"DELETE", path + "?force=1", "", nil, places(place{parameter: "force"})},
		"bad If-Match":                 {"PUT", path, jane, []string{"If-Match", `3`}, places(place{header: "If-Match"})},
		"empty If-Match":               {"DELETE", path, "", []string{"If-Match", ""}, places(place{header: "If-Match"})},
		"If-Match on a create":         {"POST", all, jane, []string{"If-Match", `"3"`}, places(place{header: "If-Match"})},
		"If-None-Match on a PUT":       {"PUT", path, jane, []string{"If-None-Match", "*"}, places(place{header: "If-None-Match"})},
		"bad Idempotency-Key":          {"POST", all, jane, []string{"Idempotency-Key", `"open`}, places(place{header: "Idempotency-Key"})},
		"long Idempotency-Key":         {"POST", all, jane, []string{"Idempotency-Key", strings.Repeat("k", 256)}, places(place{header: "Idempotency-Key"})},
		"two Idempotency-Keys":         {"POST", all, jane, []string{"Idempotency-Key", `"a"`, "Idempotency-Key", `"b"`}, places(place{header: "Idempotency-Key"})},
		"two bad headers":              {"PATCH", path, jane, []string{"Idempotency-Key", `""`, "If-Match", `x`}, places(place{header: "Idempotency-Key"}, place{header: "If-Match"})},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.do(test.method, test.path, test.body, test.headers...)
			require.Equal(t, test.want.status, answer.StatusCode, answer.body)
			require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
			problem := answer.json(t)
			require.Equal(t, "/problems/"+test.want.kind, problem["type"])
			require.EqualValues(t, test.want.status, problem["status"])
			require.NotEmpty(t, problem["title"])
			require.NotEmpty(t, problem["detail"])
			require.NotEmpty(t, answer.Header.Get("X-Request-Id"))
			var got []place
			faults, _ := problem["errors"].([]any)
			for _, f := range faults {
				fault := f.(map[string]any)
				require.NotEmpty(t, fault["detail"])
				got = append(got, place{fault["pointer"], fault["parameter"], fault["header"]})
			}
			require.Equal(t, test.want.places, got, answer.body)
		})
	}
	require.Len(t, c.do(http.MethodGet, "/v1/contacts", "").json(t)["items"], 2, "nothing bad came through")
}

func TestAPI_BadInput_Hints(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	malformed := c.do(http.MethodPost, "/contacts", "{\n  \"first_name\": x")
	require.Equal(t, "not JSON at line 2, byte 17 of the line", malformed.json(t)["detail"])
	form := c.do(http.MethodPost, "/contacts", "x", "Content-Type", "text/plain")
	require.Equal(t, "application/json", form.Header.Get("Accept"))
	require.Empty(t, form.Header.Get("Accept-Patch"))
	made := "/v1/contacts/" + c.create(jane)
	patch := c.do(http.MethodPatch, made, "[]", "Content-Type", "application/json-patch+json")
	require.Equal(t, http.StatusUnsupportedMediaType, patch.StatusCode)
	require.Equal(t, "application/merge-patch+json, application/json", patch.Header.Get("Accept-Patch"))
	for _, method := range []string{http.MethodOptions, http.MethodPost} {
		require.Equal(t, "application/merge-patch+json", c.do(method, made, "").Header.Get("Accept-Patch"), method)
	}
	require.Empty(t, c.do(http.MethodOptions, "/contacts", "").Header.Get("Accept-Patch"))
	wrong := c.do(http.MethodPatch, "/contacts", jane)
	require.Equal(t, "OPTIONS, GET, HEAD, POST", wrong.Header.Get("Allow"))
	require.NotContains(t, c.do(http.MethodPost, "/contacts", `{"email":"secret value"}`).body, "secret value")
	require.NotContains(t, c.do(http.MethodGet, "/contacts?limit=secret", "").body, "secret")
}

// The words of faults are ours, in the query as in the body.
func TestAPI_BadInput_Words(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	path := "/v1/contacts/" + c.create(jane)
	c.do(http.MethodPatch, path, `{"notes":"x"}`)
	const sorts = `expected one of ["created_at" "-created_at" "updated_at" "-updated_at" "name" "-name" "last_name" "-last_name" "first_name" "-first_name"]`
	const rfc3339 = "expected a time of RFC 3339 such as 2026-01-31T00:00:00Z or 2026-01-31T00:00:00%2B01:00"
	for request, want := range map[string]string{
		"GET /v1/contacts?limit=many":                              "expected an integer from 1 to 500",
		"GET /v1/contacts?limit=0":                                 "expected an integer from 1 to 500",
		"GET /v1/contacts?limit=5e1":                               "expected an integer from 1 to 500",
		"GET /v1/contacts?limit=99999999999":                       "expected an integer from 1 to 500",
		"GET /v1/contacts?count=yes":                               "expected true or false",
		"GET /v1/contacts?sort=age":                                sorts,
		"GET /v1/contacts?q=" + strings.Repeat("x", 201):           "expected at most 200 characters",
		"GET /v1/contacts?updated_since=2026":                      rfc3339,
		"GET /v1/contacts?updated_since=2026-01-31T00:00:00+01:00": rfc3339,
		"GET /v1/contacts?where=x":                                 "unknown query parameter",
		"GET /v1/changes?wait=51":                                  "expected an integer from 0 to 50",
		"DELETE " + path + "?erase=yes":                            "expected true or false",
		"GET " + path + "?limit=1":                                 "unknown query parameter",
		"GET /openapi.json?limit=1":                                "unknown query parameter",
		"GET /v1/contacts?email=":                                  "expected a value, or none of this parameter",
		"GET /v1/contacts?label=a&label=b":                         "expected once",
		"PATCH " + path + " W/\"2\"":                               `expected a strong entity tag: a weak one, W/"…", never matches here`,
		"DELETE " + path + " \"1\", W/\"2\"":                       `expected a strong entity tag: a weak one, W/"…", never matches here`,
	} {
		method, to, _ := strings.Cut(request, " ")
		to, tags, conditional := strings.Cut(to, " ")
		body, headers := "", []string(nil)
		if conditional {
			headers = []string{"If-Match", tags}
		}
		if method == http.MethodPatch {
			body = `{"notes":"y"}`
		}
		answer := c.do(method, to, body, headers...)
		require.GreaterOrEqual(t, answer.StatusCode, 400, request)
		faults := answer.json(t)["errors"].([]any)
		require.Len(t, faults, 1, answer.body)
		require.Equal(t, want, faults[0].(map[string]any)["detail"], request)
		if conditional {
			require.Equal(t, http.StatusPreconditionFailed, answer.StatusCode)
			require.Equal(t, `"2"`, answer.Header.Get("ETag"))
		}
	}
	stale := c.do(http.MethodPatch, path, `{"notes":"y"}`, "If-Match", `"1"`)
	require.Equal(t, http.StatusPreconditionFailed, stale.StatusCode)
	require.NotContains(t, stale.body, "weak")
	require.Equal(t, http.StatusOK, c.do(http.MethodPatch, path, `{"notes":"y"}`, "If-Match", `W/"1", "2"`).StatusCode, "the strong one matches")
}

func TestAPI_BodyAtTheLimit(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	body := `{"first_name":"Jane"}` + strings.Repeat(" ", maxBody)
	require.Equal(t, http.StatusCreated, c.do(http.MethodPost, "/contacts", body[:maxBody]).StatusCode)
	require.Equal(t, http.StatusRequestEntityTooLarge, c.do(http.MethodPost, "/contacts", body[:maxBody+1]).StatusCode)
}

func TestAPI_DuplicateExternalID(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.create(`{"first_name":"Jane","external_id":"4711"}`)
	taken := c.do(http.MethodPost, "/contacts", `{"first_name":"John","external_id":"4711"}`)
	require.Equal(t, http.StatusConflict, taken.StatusCode)
	require.Equal(t, "/problems/duplicate-external-id", taken.json(t)["type"])
	require.Equal(t, "/external_id", taken.json(t)["errors"].([]any)[0].(map[string]any)["pointer"])
}

func TestAPI_Unavailable(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.world.sendErr = &contacts.Error{Kind: contacts.KindUnavailable, Detail: "the queue cannot be reached"}
	unavailable := c.do(http.MethodPost, "/contacts", jane)
	require.Equal(t, http.StatusServiceUnavailable, unavailable.StatusCode)
	require.Equal(t, "/problems/unavailable", unavailable.json(t)["type"])
	require.NotEmpty(t, unavailable.Header.Get("Retry-After"))

	operation := uuid.NewString()
	c.world.sendErr = &contacts.Error{Kind: contacts.KindUncertain, Detail: "the queue did not answer", Operation: operation}
	uncertain := c.do(http.MethodPost, "/contacts", jane)
	require.Equal(t, http.StatusServiceUnavailable, uncertain.StatusCode)
	require.Equal(t, "/problems/uncertain", uncertain.json(t)["type"])
	require.Equal(t, "/v1/operations/"+operation, uncertain.json(t)["operation"])
	require.Equal(t, "</v1/operations/"+operation+`>; rel="status"`, uncertain.Header.Get("Link"))
	require.NotEmpty(t, uncertain.Header.Get("Retry-After"))
}

func TestAPI_InternalError(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.world.readErr = errors.New("the disk is on fire")
	failed := c.do(http.MethodGet, "/contacts/"+uuid.NewString(), "", "X-Request-Id", "req-1")
	require.Equal(t, http.StatusInternalServerError, failed.StatusCode)
	require.Equal(t, "/problems/internal", failed.json(t)["type"])
	require.NotContains(t, failed.body, "fire")
	require.Contains(t, c.log.String(), `"error":"the disk is on fire","request_id":"req-1"`)
}

func TestAPI_Panic(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.world.panics = true
	failed := c.do(http.MethodGet, "/contacts/"+uuid.NewString(), "", "X-Request-Id", "req-1")
	require.Equal(t, http.StatusInternalServerError, failed.StatusCode)
	require.Equal(t, "application/problem+json", failed.Header.Get("Content-Type"))
	require.Equal(t, "/problems/internal", failed.json(t)["type"])
	require.Contains(t, c.log.String(), "the fake was told to")
}

func TestAPI_ProblemTypes(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	missing := c.do(http.MethodGet, "/contacts/none", "")
	explained := c.do(http.MethodGet, missing.json(t)["type"].(string), "")
	require.Equal(t, http.StatusOK, explained.StatusCode)
	require.Contains(t, explained.body, missing.json(t)["title"])
}
