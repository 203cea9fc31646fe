package contactstest

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// GuardedAPI is an API whose callers need credentials.
type GuardedAPI struct {
	URL string
	// Owner and Rival are credentials of two tenants, for all scopes.
	Owner, Rival string
	// Only are credentials of the owner's tenant for one scope each.
	Only map[contacts.Scope]string
	// Bad are what is no credential, or none any more.
	Bad []string
}

// RunAccess asks for every operation that the API's own OpenAPI document has: without a
// credential, with bad ones, with one for another scope, for what another tenant has, and for
// what does not exist.
func RunAccess(t *testing.T, door GuardedAPI) {
	guest := visitor{t, door.URL, ""}
	owner, rival := visitor{t, door.URL, "Bearer " + door.Owner}, visitor{t, door.URL, "bearer " + door.Rival}
	made := owner.ask(http.MethodPost, "/v1/contacts", `{"first_name":"Jane","external_id":"e"}`, "Idempotency-Key", `"k"`)
	require.Equal(t, http.StatusCreated, made.StatusCode, made.body)
	id := strings.TrimPrefix(made.Header.Get("Location"), "/v1/contacts/")
	var changes struct {
		Items []struct {
			Operation string `json:"operation_id"`
		} `json:"items"`
	}
	require.NoError(t, json.Unmarshal([]byte(owner.ask(http.MethodGet, "/v1/changes?wait=30", "").body), &changes))
	require.Len(t, changes.Items, 1)
	ids := map[string]string{"/v1/contacts/{id}": id, "/v1/operations/{id}": changes.Items[0].Operation}

	seen := map[string]bool{}
	for _, r := range routes(t, guest.ask(http.MethodGet, "/openapi.json", "").body) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			guest, owner, rival := guest.in(t), owner.in(t), rival.in(t)
			own := strings.Replace(r.path, "{id}", ids[r.path], 1)
			for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic " + door.Owner, door.Owner} {
				none := guest.as(authorization).ask(r.method, own, r.body)
				require.Equal(t, http.StatusUnauthorized, none.StatusCode, none.body)
				require.Equal(t, `Bearer realm="contacts"`, none.Header.Get("WWW-Authenticate"))
			}
			for _, credential := range door.Bad {
				bad := guest.as("Bearer "+credential).ask(r.method, own, r.body)
				require.Equal(t, http.StatusUnauthorized, bad.StatusCode, bad.body)
				require.Equal(t, `Bearer realm="contacts", error="invalid_token"`, bad.Header.Get("WWW-Authenticate"))
			}
			for scope, credential := range door.Only {
				answer := owner.as("Bearer "+credential).ask(r.method, own, r.body, "If-Match", `"99"`)
				if scope == r.scope {
					require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, answer.StatusCode, answer.body)
					continue
				}
				require.Equal(t, http.StatusForbidden, answer.StatusCode, answer.body)
				require.Equal(t, `Bearer realm="contacts", error="insufficient_scope"`, answer.Header.Get("WWW-Authenticate"))
			}
			// What is behind the door is not looked at before: neither a body that cannot be
			// read nor an unknown parameter.
			unread := guest.ask(r.method, own+"?unknown=1", "{", "Content-Type", "text/plain")
			require.Equal(t, http.StatusUnauthorized, unread.StatusCode)

			if ids[r.path] == "" {
				return
			}
			seen[r.path] = true
			foreign := rival.ask(r.method, own, r.body)
			random := rival.ask(r.method, strings.Replace(r.path, "{id}", uuid.NewString(), 1), r.body)
			require.Equal(t, http.StatusNotFound, foreign.StatusCode, foreign.body)
			require.Equal(t, random.StatusCode, foreign.StatusCode)
			require.Equal(t, random.body, foreign.body)
			for _, changing := range []string{"X-Request-Id", "Date", "RateLimit"} {
				foreign.Header.Del(changing)
				random.Header.Del(changing)
			}
			require.Equal(t, random.Header, foreign.Header)
		})
	}
	require.Len(t, seen, len(ids), "a path of the test is not in the document")
	require.Equal(t, made.body, owner.ask(http.MethodGet, "/v1/contacts/"+id, "").body, "somebody changed it")
}

// route is one operation of an OpenAPI document.
type route struct {
	method, path string
	scope        contacts.Scope
	body         string
}

// routes reads them from the document, those that answer HEAD like GET included. Each needs
// one scope.
func routes(t *testing.T, document string) []route {
	t.Helper()
	var api struct {
		Paths map[string]map[string]struct {
			Security    []map[string][]contacts.Scope `json:"security"`
			RequestBody json.RawMessage               `json:"requestBody"`
			Responses   map[string]struct {
				Headers map[string]json.RawMessage `json:"headers"`
			} `json:"responses"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal([]byte(document), &api), document)
	var all []route
	for path, operations := range api.Paths {
		for method, operation := range operations {
			require.Len(t, operation.Security, 1, path)
			require.Len(t, operation.Security[0]["bearer"], 1, path)
			for _, status := range []string{"401", "403"} {
				require.Contains(t, operation.Responses[status].Headers, "WWW-Authenticate", path)
			}
			r := route{method: strings.ToUpper(method), path: path, scope: operation.Security[0]["bearer"][0]}
			require.Contains(t, contacts.Scopes(), r.scope)
			if operation.RequestBody != nil {
				r.body = `{"first_name":"John"}`
			}
			all = append(all, r)
			if r.method == http.MethodGet {
				r.method = http.MethodHead
				all = append(all, r)
			}
		}
	}
	require.NotEmpty(t, all)
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// visitor asks with one value of the header Authorization, "" for none.
type visitor struct {
	t             *testing.T
	url           string
	authorization string
}

func (v visitor) in(t *testing.T) visitor { v.t = t; return v }

func (v visitor) as(authorization string) visitor { v.authorization = authorization; return v }

// reply is an answer with its body read.
type reply struct {
	*http.Response

	body string
}

// ask sends a request, with a body of JSON unless it is "", and waits for the end of a write.
// headers are pairs.
func (v visitor) ask(method, path, body string, headers ...string) reply {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, strings.NewReader(body))
	require.NoError(v.t, err)
	request.Header.Set("Prefer", "wait=30")
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if v.authorization != "" {
		request.Header.Set("Authorization", v.authorization)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(v.t, err)
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	return reply{response, string(raw)}
}
