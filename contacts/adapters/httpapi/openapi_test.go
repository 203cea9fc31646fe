package httpapi_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

const (
	waitLimit = 10 * time.Second
	waitTick  = 5 * time.Millisecond
)

// dig follows names into nested objects.
func dig(t *testing.T, object any, names ...string) any {
	t.Helper()
	for _, name := range names {
		members, ok := object.(map[string]any)
		require.True(t, ok && members[name] != nil, "no %s in %v", name, names)
		object = members[name]
	}
	return object
}

func TestOpenAPI_Document(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	answer := c.do(http.MethodGet, "/openapi.json", "")
	require.Equal(t, http.StatusOK, answer.StatusCode)
	document := answer.json(t)
	require.Equal(t, "3.1.0", document["openapi"])
	require.Equal(t, "1.2.3", dig(t, document, "info", "version"))

	components := dig(t, document, "components", "schemas").(map[string]any)
	require.NotContains(t, components, "ErrorModel")
	for _, ref := range regexp.MustCompile(`"\$ref":"([^"]*)"`).FindAllStringSubmatch(answer.body, -1) {
		require.Contains(t, components, strings.TrimPrefix(ref[1], "#/components/schemas/"))
	}

	ids := map[string]bool{}
	for path, item := range dig(t, document, "paths").(map[string]any) {
		for method, operation := range item.(map[string]any) {
			id := dig(t, operation, "operationId").(string)
			require.False(t, ids[id], id)
			ids[id] = true
			require.NotEmpty(t, dig(t, operation, "tags"), id)
			require.NotEmpty(t, dig(t, operation, "summary"), id)
			for status, response := range dig(t, operation, "responses").(map[string]any) {
				require.NotEmpty(t, dig(t, response, "description"), "%s %s", id, status)
				if status >= "400" {
					require.Equal(t, "#/components/schemas/Problem", dig(t, response, "content", "application/problem+json", "schema", "$ref"), "%s %s", id, status)
				}
			}
			for _, status := range []string{"422", "500", "503"} {
				dig(t, operation, "responses", status)
			}
			require.NotContains(t, method, "head", path)
		}
	}
	require.Len(t, ids, 9)
}

func TestOpenAPI_Bodies(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	document := c.do(http.MethodGet, "/openapi.json", "").json(t)
	one := dig(t, document, "paths", "/v1/contacts/{id}")
	content := dig(t, one, "patch", "requestBody", "content").(map[string]any)
	require.Len(t, content, 2)
	require.Contains(t, content, "application/merge-patch+json")
	require.Contains(t, content, "application/json")
	created := dig(t, document, "paths", "/v1/contacts", "post", "responses", "201")
	dig(t, created, "headers", "ETag")
	dig(t, created, "headers", "Location")
	dig(t, one, "put", "responses", "412", "headers", "ETag")

	schemas := dig(t, document, "components", "schemas")
	input, replacement := dig(t, schemas, "ContactInput", "properties"), dig(t, schemas, "ContactReplacement", "properties")
	require.NotContains(t, input, "id")
	require.Equal(t, true, dig(t, replacement, "id", "readOnly"))
	require.NotContains(t, dig(t, schemas, "ContactReplacement"), "required")
	require.Equal(t, []any{"string", "null"}, dig(t, input, "first_name", "type"))
	require.Equal(t, "string", dig(t, schemas, "Contact", "properties", "first_name", "type"))
	require.Equal(t, "array", dig(t, schemas, "Contact", "properties", "emails", "type"))
	for pointer, limit := range contacts.Limits() {
		name, rest, nested := strings.Cut(pointer, "/*")
		field := dig(t, input, name)
		if nested && name == "custom_fields" {
			field = dig(t, field, "additionalProperties")
		} else if nested {
			field = dig(t, field, "items")
		}
		if rest != "" {
			ref := strings.TrimPrefix(dig(t, field, "$ref").(string), "#/components/schemas/")
			field = dig(t, schemas, ref, "properties", rest[1:])
		}
		limits := field.(map[string]any)
		require.NotEmpty(t, limits["description"], pointer)
		require.Contains(t, []any{limits["maxLength"], limits["maxItems"], limits["maxProperties"]}, float64(limit), pointer)
	}
}

func TestOpenAPI_Paging(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	document := c.do(http.MethodGet, "/openapi.json", "").json(t)
	for _, p := range dig(t, document, "paths", "/v1/contacts", "get", "parameters").([]any) {
		if dig(t, p, "name") == "limit" {
			require.EqualValues(t, contacts.DefaultPage, dig(t, p, "schema", "default"))
			require.EqualValues(t, 1, dig(t, p, "schema", "minimum"))
			require.EqualValues(t, contacts.MaxPage, dig(t, p, "schema", "maximum"))
			return
		}
	}
	require.Fail(t, "limit is not described")
}

func TestOpenAPI_ExamplesAreValid(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	schemas := dig(t, c.do(http.MethodGet, "/openapi.json", "").json(t), "components", "schemas")
	example, err := json.Marshal(dig(t, schemas, "ContactInput", "examples").([]any)[0])
	require.NoError(t, err)
	got := c.do(http.MethodPost, "/contacts", string(example)).json(t)
	want := dig(t, schemas, "Contact", "examples").([]any)[0].(map[string]any)
	for _, changing := range []string{"id", "created_at", "updated_at"} {
		require.Contains(t, want, changing)
		got[changing] = want[changing]
	}
	require.Equal(t, want, got)
}

func TestReference(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	require.Equal(t, "/docs", c.do(http.MethodGet, "/", "").Header.Get("Location"))
	require.True(t, strings.HasPrefix(c.do(http.MethodGet, "/openapi.yaml", "").body, "components:"))
	for _, path := range []string{"/docs", "/docs/"} {
		page := c.do(http.MethodGet, path, "")
		require.Equal(t, http.StatusOK, page.StatusCode)
		requirePolicy(t, page.Header.Get("Content-Security-Policy"), page.body)
		sources := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page.body, -1)
		require.NotEmpty(t, sources)
		for _, source := range sources {
			require.True(t, strings.HasPrefix(source[1], "/docs/"), source[1])
			require.Equal(t, http.StatusOK, c.do(http.MethodGet, source[1], "").StatusCode, source[1])
		}
	}
}

// requirePolicy holds the policy to what is on the page: all of its scripts and styles are
// files of the server itself, and nothing else is allowed.
func requirePolicy(t *testing.T, policy, page string) {
	t.Helper()
	require.NotRegexp(t, `<script\b[^>]*>[^<]|<style|<[^>]*\s(style|on[a-z]+)=`, page, "the policy allows files only")
	require.Equal(t, []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, strings.Split(policy, "; "))
}
