package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"contacts/contacts"
)

// config is huma's configuration: JSON only, errors as problems, and no pages of huma's own.
func (a *api) config(version string) huma.Config {
	format := huma.Format{Marshal: huma.DefaultJSONFormat.Marshal, Unmarshal: json.Unmarshal}
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:   "Contacts",
				Version: version,
				Description: "Keeps people's contacts. An accepted write is never lost, doubled or reordered, and callers " +
					"read their own writes.\n\nA write answers with its result, or, when that takes longer than the caller waits, " +
					"with 202 and an operation to ask for. Errors are problem documents (RFC 9457).",
			},
			Tags: []*huma.Tag{
				{Name: contactsTag, Description: "People and how to reach them."},
				{Name: operationsTag, Description: "What became of accepted writes."},
				{Name: changesTag, Description: "What has changed, for keeping a copy."},
			},
			Components: &huma.Components{Schemas: a.schemas.registry, SecuritySchemes: a.securitySchemes()},
		},
		Formats:       map[string]huma.Format{jsonType: format, "json": format},
		DefaultFormat: jsonType,
		Transformers:  []huma.Transformer{a.fromHuma},
	}
}

const (
	contactsTag   = "contacts"
	operationsTag = "operations"
	changesTag    = "changes"
)

// registerContacts adds the operations on contacts.
func (a *api) registerContacts() {
	const one = contactsPath + "/{id}"
	register(a, contacts.ScopeWrite, huma.Operation{
		OperationID: "create-contact", Method: http.MethodPost, Path: contactsPath, Tags: []string{contactsTag},
		Summary:     "Create a contact",
		Description: "A contact has at least one of a name, an email, a phone or an organization. null is the same as nothing.",
		Parameters:  []*huma.Param{idempotencyKeyParam(), preferParam(), traceParam()},
		RequestBody: body(a.schemas.input, jsonType),
		Responses: answers(
			a.written(http.StatusCreated, "The contact was created.", "ETag", "Location"), a.accepted(),
			a.problems(400, 408, 409, 410, 413, 415, 422, 500, 503)),
		DefaultStatus: http.StatusCreated,
	}, a.create)
	register(a, contacts.ScopeRead, huma.Operation{
		OperationID: "list-contacts", Method: http.MethodGet, Path: contactsPath, Tags: []string{contactsTag},
		Summary:     "List and search contacts",
		Description: "All that is asked for has to be met. A contact that is there the whole time, and keeps its place in the order, appears once on the pages, however many others come and go.",
		Responses: answers(
			answer(http.StatusOK, "A page of contacts.", a.schemas.list, "Link", "Cache-Control"), a.problems(422, 500, 503)),
	}, a.list)
	register(a, contacts.ScopeRead, huma.Operation{
		OperationID: "get-contact", Method: http.MethodGet, Path: one, Tags: []string{contactsTag},
		Summary:    "Get a contact",
		Parameters: []*huma.Param{headerParam("If-None-Match", "Entity tags of versions that the caller has already.", `"3"`)},
		Responses: answers(
			answer(http.StatusOK, "The contact.", a.schemas.contact, "ETag", "Cache-Control"),
			answer(http.StatusNotModified, "The caller has the contact as it is.", nil, "ETag", "Cache-Control"),
			a.problems(404, 422, 500, 503)),
	}, a.get)
	register(a, contacts.ScopeWrite, huma.Operation{
		OperationID: "replace-contact", Method: http.MethodPut, Path: one, Tags: []string{contactsTag},
		Summary:     "Replace a contact",
		Description: "Fields that are not given are emptied. What GET returned can be changed and sent back: id must be the same, and what only the server sets is ignored.",
		Parameters:  conditionalParams(),
		RequestBody: body(a.schemas.replacement, jsonType),
		Responses: answers(
			a.written(http.StatusOK, "The contact was replaced.", "ETag"), a.accepted(),
			a.problems(400, 404, 408, 409, 410, 412, 413, 415, 422, 500, 503)),
	}, a.replace)
	register(a, contacts.ScopeWrite, huma.Operation{
		OperationID: "upsert-contact", Method: http.MethodPut, Path: contactsPath + "/by-external-id/{external_id}", Tags: []string{contactsTag},
		Summary: "Create or replace a contact by its external_id",
		Description: "Replaces the contact that has the external_id, as PUT by its id does, or creates one. Of many such requests at the same time one creates the contact, and all others replace it. " +
			"Requests for one external_id are done in the order in which they were accepted. Before changing the contact by its id, wait until such a request has ended.",
		Parameters:  []*huma.Param{idempotencyKeyParam(), preferParam(), traceParam()},
		RequestBody: body(a.schemas.replacement, jsonType),
		Responses: answers(
			a.written(http.StatusOK, "The contact was replaced.", "ETag"), a.written(http.StatusCreated, "The contact was created.", "ETag", "Location"),
			a.accepted(), a.problems(400, 408, 410, 413, 415, 422, 500, 503)),
	}, a.upsert)
	register(a, contacts.ScopeWrite, huma.Operation{
		OperationID: "merge-contact", Method: http.MethodPatch, Path: one, Tags: []string{contactsTag},
		Summary:     "Change some fields of a contact",
		Description: "A merge patch (RFC 7396): a member replaces the field, null empties it (email and phone: removes the first entry of their lists), custom_fields are merged by their names, and lists are replaced as a whole. It is applied to the contact as it then is, so that patches of different fields all survive.",
		Parameters:  conditionalParams(),
		RequestBody: body(a.schemas.input, mergePatchType, jsonType),
		Responses: answers(
			a.written(http.StatusOK, "The contact was changed.", "ETag"), a.accepted(),
			a.problems(400, 404, 408, 409, 410, 412, 413, 415, 422, 500, 503)),
	}, a.merge)
	register(a, contacts.ScopeWrite, huma.Operation{
		OperationID: "delete-contact", Method: http.MethodDelete, Path: one, Tags: []string{contactsTag},
		Summary: "Delete a contact, or erase a person",
		Description: "A deleted contact is gone for readers, while its earlier versions are kept for followers of the changes, and for repeated requests. " +
			"With erase=true they go as well, for good: what is left of the contact is its id and the version that deleted it. " +
			"That can be asked of a contact that was deleted before, and be repeated. " +
			"It waits for earlier writes of the contact; later ones are answered 404, and nothing of them is kept.",
		Parameters: conditionalParams(),
		Responses: answers(
			answer(http.StatusNoContent, "The contact was deleted, or erased.", nil, "Preference-Applied"), a.accepted(),
			a.problems(404, 412, 422, 500, 503)),
		DefaultStatus: http.StatusNoContent,
	}, a.remove)
}

// registerOperations adds what can be asked about operations.
func (a *api) registerOperations() {
	register(a, contacts.ScopeRead, huma.Operation{
		OperationID: "get-operation", Method: http.MethodGet, Path: operationsPath + "/{id}", Tags: []string{operationsTag},
		Summary:     "Get an operation",
		Description: "Operations are kept for at least 30 days. Those on a contact that was erased stay as they ended, but their problems name no places of the request.",
		Responses: answers(
			answer(http.StatusOK, "How far the operation has come.", a.schemas.operation, "Retry-After", "Cache-Control"),
			a.problems(404, 422, 500, 503)),
	}, a.operation)
}

// registerChanges adds the feed of changes.
func (a *api) registerChanges() {
	ok := answer(http.StatusOK, "The changes after the cursor, none if there are none yet; or a stream of them.", a.schemas.changes, "Cache-Control")
	ok["200"].Content[eventStream] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	register(a, contacts.ScopeRead, huma.Operation{
		OperationID: "list-changes", Method: http.MethodGet, Path: changesPath, Tags: []string{changesTag},
		Summary: "Follow the changes",
		Description: "Every version of every contact, deletions included, in the order of the commits; none is missed, however many are being made. " +
			"Of a contact that was erased only the deletion is left. " +
			"Changes are kept for 90 days. To begin with a copy, ask with cursor=now, list all contacts, and go on from the next_cursor. " +
			"With Accept: text/event-stream the changes are sent as they come, as server-sent events of the type change, whose ids are cursors.",
		Parameters: []*huma.Param{
			headerParam("Accept", "text/event-stream for a stream.", eventStream),
			headerParam("Last-Event-ID", "With a stream: the cursor, which is sent by clients that connect again. It wins over the parameter.", ""),
		},
		Responses: answers(ok, a.problems(410, 422, 500, 503)),
	}, a.changes)
}

// headerTexts describe the headers of answers. It is never changed.
var headerTexts = map[string]string{
	"ETag":                "The contact's version in quotes, to be sent back in If-Match and If-None-Match.",
	"Location":            "Where the contact, or the operation, is.",
	"Link":                `With rel="next" the next page; with rel="status" the operation.`,
	"Cache-Control":       "The caller may keep the answer, but must ask before each use.",
	"Retry-After":         "After how many seconds to ask again.",
	"Preference-Applied":  "Which preferences of Prefer count; wait as it was cut.",
	"Allow":               "The methods that the path has.",
	"WWW-Authenticate":    "What is wrong with the credential (RFC 6750).",
	"Accept":              "The media types that the body may have.",
	"Accept-Patch":        "The media types that a patch may have.",
	rateLimitHeader:       `The caller's limit, as in "default";r=12;t=2: 12 requests are left for the next 2 seconds.`,
	rateLimitPolicyHeader: `The limit of each caller, as in "default";q=400;w=2: 400 requests, and as many again after 2 seconds.`,
}

type responses = map[string]*huma.Response

func answers(parts ...responses) responses {
	all := responses{}
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// answer describes an answer with JSON of the schema, or without a body where it is nil.
func answer(status int, description string, schema *huma.Schema, names ...string) responses {
	response := &huma.Response{Description: description, Headers: headers(names...)}
	if schema != nil {
		response.Content = map[string]*huma.MediaType{jsonType: {Schema: schema}}
	}
	return responses{strconv.Itoa(status): response}
}

// headers describes headers of an answer.
func headers(names ...string) map[string]*huma.Header {
	described := map[string]*huma.Header{}
	for _, name := range names {
		described[name] = &huma.Header{Description: headerTexts[name], Schema: &huma.Schema{Type: huma.TypeString}}
	}
	return described
}

func (a *api) written(status int, description string, headers ...string) responses {
	return answer(status, description, a.schemas.contact, append(headers, "Preference-Applied")...)
}

func (a *api) accepted() responses {
	return answer(http.StatusAccepted, "The write is accepted and will be done; it had not ended when the answer was due.",
		a.schemas.operation, "Location", "Retry-After", "Preference-Applied")
}

// problems describes errors by their status.
func (a *api) problems(statuses ...int) responses {
	headers := map[int][]string{
		http.StatusUnauthorized:         {"WWW-Authenticate"},
		http.StatusForbidden:            {"WWW-Authenticate"},
		http.StatusPreconditionFailed:   {"ETag"},
		http.StatusUnsupportedMediaType: {"Accept", "Accept-Patch"},
		http.StatusTooManyRequests:      {"Retry-After"},
		http.StatusServiceUnavailable:   {"Retry-After", "Link"},
	}
	all := responses{}
	for _, status := range statuses {
		described := answer(status, http.StatusText(status), nil, headers[status]...)
		for _, response := range described {
			response.Content = map[string]*huma.MediaType{problemContent: {Schema: a.schemas.problem}}
		}
		maps.Copy(all, described)
	}
	return all
}

// body describes a request's body, the same for each media type.
func body(schema *huma.Schema, mediaTypes ...string) *huma.RequestBody {
	content := map[string]*huma.MediaType{}
	for _, mediaType := range mediaTypes {
		content[mediaType] = &huma.MediaType{Schema: schema}
	}
	return &huma.RequestBody{Required: true, Content: content}
}

func headerParam(name, description, example string) *huma.Param {
	return &huma.Param{
		Name: name, In: "header", Description: description, Example: example, Schema: &huma.Schema{Type: huma.TypeString},
	}
}

func conditionalParams() []*huma.Param {
	ifMatch := headerParam("If-Match", "Entity tags of the versions that may be changed, or *. A weak tag matches none.", `"3"`)
	return []*huma.Param{ifMatch, idempotencyKeyParam(), preferParam(), traceParam()}
}

func idempotencyKeyParam() *huma.Param {
	return headerParam("Idempotency-Key", "A quoted string of 1 to 255 characters. Requests with the same key are one: "+
		"repeating one has the same effect and the same answer, for at least 24 hours; once the contact was erased, the answer is 410.", `"5ad0c1b2-7f0e"`)
}

func preferParam() *huma.Param {
	return headerParam("Prefer", "wait=N: wait up to N seconds, at most "+strconv.Itoa(int(MaxWait.Seconds()))+
		", for the write's end. respond-async: do not wait at all (RFC 7240).", "wait=10")
}

func traceParam() *huma.Param {
	return headerParam("Traceparent", "The trace that the write belongs to (W3C Trace Context).",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
}
