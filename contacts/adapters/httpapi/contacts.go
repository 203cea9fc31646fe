package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"contacts/contacts"
)

// contactRequest is about one contact. (huma does not look for parameters in what is
// embedded.)
type contactRequest struct {
	request

	ID string `path:"id" doc:"The contact's id, a UUID." example:"0197c5a4-3f52-7e63-9a0e-5d3c1b2a4f60"`
}

// contactID returns the id in the path. What is no UUID names no contact. Echo takes a longer
// path for an id, too.
func contactID(id string) (uuid.UUID, error) {
	switch {
	case strings.HasPrefix(id, "by-external-id/"):
		p := newProblem(kindMethodNotAllowed, "the path does not have this method: see Allow")
		p.header.Set("Allow", http.MethodPut)
		return uuid.Nil, p
	case strings.Contains(id, "/"):
		return uuid.Nil, newProblem(contacts.KindNotFound, "no such path")
	}
	parsed, err := uuid.Parse(id)
	if err != nil || len(id) != len(uuid.Nil.String()) || parsed == uuid.Nil {
		return uuid.Nil, newProblem(contacts.KindNotFound, "no such contact")
	}
	return parsed, nil
}

type createRequest struct {
	request

	RawBody []byte
}

func (a *api) create(ctx context.Context, in *createRequest) (*huma.StreamResponse, error) {
	write, err := a.unconditionalWrite(&in.request)
	if err != nil {
		return nil, err
	}
	body, err := a.decode(&in.request, in.RawBody, a.schemas.input, jsonType)
	if err != nil {
		return nil, err
	}
	operation, err := a.service.Create(ctx, callerOf(ctx), body.Fields, write)
	return settled(&in.request, operation, err)
}

func (a *api) get(ctx context.Context, in *contactRequest) (*huma.StreamResponse, error) {
	id, err := contactID(in.ID)
	if err != nil {
		return nil, err
	}
	document, err := a.service.Get(ctx, callerOf(ctx), id)
	if err != nil {
		return nil, err
	}
	tag := entityTag(document.Version)
	if noneMatch(in.header().Values("If-None-Match"), tag) {
		return respond(http.StatusNotModified, nil, "ETag", tag, "Cache-Control", cacheControl), nil
	}
	return respond(http.StatusOK, document.JSON, "ETag", tag, "Cache-Control", cacheControl), nil
}

// changeRequest is about one contact and says what becomes of it.
type changeRequest struct {
	request

	ID      string `path:"id" doc:"The contact's id, a UUID." example:"0197c5a4-3f52-7e63-9a0e-5d3c1b2a4f60"`
	RawBody []byte
}

// change reads which contact is to be changed and how.
func (a *api) change(
	in *changeRequest, schema *huma.Schema, types ...string,
) (id uuid.UUID, body fieldsBody, write contacts.Write, err error) {
	if id, err = contactID(in.ID); err != nil {
		return id, body, write, err
	}
	if write, err = a.write(&in.request); err != nil {
		return id, body, write, err
	}
	body, err = a.decode(&in.request, in.RawBody, schema, types...)
	return id, body, write, err
}

func (a *api) replace(ctx context.Context, in *changeRequest) (*huma.StreamResponse, error) {
	id, body, write, err := a.change(in, a.schemas.replacement, jsonType)
	if err != nil {
		return nil, err
	}
	if same, err := uuid.Parse(body.ID); body.ID != "" && (err != nil || same != id) {
		return nil, invalid(fault{Pointer: new("/id"), Detail: "expected the id in the path, or none"})
	}
	operation, err := a.service.Replace(ctx, callerOf(ctx), id, body.Fields, write)
	return settled(&in.request, operation, err)
}

// upsertRequest is about the contact that holds an external id.
type upsertRequest struct {
	request

	ExternalID string `path:"external_id" doc:"The contact's external_id, percent-encoded." example:"crm-4711"`
	RawBody    []byte
}

func (a *api) upsert(ctx context.Context, in *upsertRequest) (*huma.StreamResponse, error) {
	write, err := a.unconditionalWrite(&in.request)
	if err != nil {
		return nil, err
	}
	body, err := a.decode(&in.request, in.RawBody, a.schemas.replacement, jsonType)
	if err != nil {
		return nil, err
	}
	if body.ID != "" {
		return nil, invalid(fault{Pointer: new("/id"), Detail: "expected none: the external_id says which contact is meant"})
	}
	externalID := in.ExternalID
	// by which echo then routes, and which it leaves encoded
	if in.echo.Request().URL.RawPath != "" {
		if externalID, err = url.PathUnescape(externalID); err != nil {
			return nil, newProblem(contacts.KindNotFound, "no such path")
		}
	}
	operation, err := a.service.Upsert(ctx, callerOf(ctx), externalID, body.Fields, write)
	return settled(&in.request, operation, err)
}

func (a *api) merge(ctx context.Context, in *changeRequest) (*huma.StreamResponse, error) {
	id, body, write, err := a.change(in, a.schemas.input, mergePatchType, jsonType)
	if err != nil {
		return nil, err
	}
	patch, err := contacts.NewPatch(in.RawBody, body.Fields)
	if err != nil {
		return nil, err
	}
	operation, err := a.service.Merge(ctx, callerOf(ctx), id, patch, write)
	return settled(&in.request, operation, err)
}

// removeRequest is about one contact and says how it is to go.
type removeRequest struct {
	request

	ID    string `path:"id" doc:"The contact's id, a UUID." example:"0197c5a4-3f52-7e63-9a0e-5d3c1b2a4f60"`
	Erase bool   `query:"erase" doc:"Erase the person: beside the contact, all that is kept of its past."`
}

func (a *api) remove(ctx context.Context, in *removeRequest) (*huma.StreamResponse, error) {
	id, err := contactID(in.ID)
	if err != nil {
		return nil, err
	}
	write, err := a.write(&in.request)
	if err != nil {
		return nil, err
	}
	remove := a.service.Delete
	if in.Erase {
		remove, recordOf(ctx).write = a.service.Erase, "erase-contact"
	}
	operation, err := remove(ctx, callerOf(ctx), id, write)
	return settled(&in.request, operation, err)
}

// The numbers in the tags are contacts.DefaultPage and contacts.MaxPage; a test compares them.
type listRequest struct {
	request

	Text string `query:"q" maxLength:"200" doc:"Parts of a contact's texts and numbers, in any case, with or without accents. All of them have to be found. What looks like a phone number is one part: its digits." example:"jos per"`
	// The lookups are read by their table.
	Email        string `query:"email" maxLength:"254" doc:"One of the contact's email addresses, in any case." example:"jane@example.com"`
	Phone        string `query:"phone" maxLength:"200" doc:"One of the contact's phone numbers, in any notation." example:"+51 987 654 321"`
	Label        string `query:"label" maxLength:"200" doc:"One of the contact's labels, in any case." example:"friends"`
	ExternalID   string `query:"external_id" maxLength:"255" doc:"The contact's external_id, in any case." example:"crm-4711"`
	UpdatedSince string `query:"updated_since" format:"date-time" doc:"Contacts that have not changed since then are left out." example:"2026-01-31T00:00:00Z"`
	Sort         string `query:"sort" default:"created_at" enum:"created_at,-created_at,updated_at,-updated_at,name,-name,last_name,-last_name,first_name,-first_name" doc:"The order; with - before it, descending. created_at is the order in which contacts were accepted; name is display_name without name_prefix, in the order of its alphabet."`
	Count        bool   `query:"count" doc:"Count the contacts of the whole list, up to 10,000."`
	Limit        int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"How many contacts to return at most."`
	Cursor       string `query:"cursor" doc:"The next_cursor of the page before, with the same filters and order; none begins with the first contact."`
}

// filter returns the filter that the request asks for, and its query's parameters.
func (in *listRequest) filter() (contacts.Filter, url.Values) {
	filter := contacts.Filter{Text: in.Text, Values: map[string]string{}, Sort: contacts.Sort(in.Sort), Count: in.Count}
	if in.UpdatedSince != "" {
		filter.UpdatedSince, _ = parseTime(in.UpdatedSince) // it was checked: see parameterFaults
	}
	query := in.echo.QueryParams()
	for _, lookup := range contacts.Lookups() {
		filter.Values[lookup.Parameter] = query.Get(lookup.Parameter)
	}
	query.Set("limit", strconv.Itoa(in.Limit))
	query.Set("sort", in.Sort)
	return filter, query
}

func (a *api) list(ctx context.Context, in *listRequest) (*huma.StreamResponse, error) {
	filter, query := in.filter()
	var page contacts.Page
	err := a.inTurn(ctx, filter.Effort(), func() (err error) {
		page, err = a.service.List(ctx, callerOf(ctx), filter, in.Limit, in.Cursor)
		return err
	})
	if err != nil {
		return nil, err
	}
	headers := []string{"Cache-Control", cacheControl}
	if page.Next != "" {
		query.Set("cursor", page.Next)
		headers = append(headers, "Link", "<"+contactsPath+"?"+query.Encode()+`>; rel="next"`)
	}
	return respond(http.StatusOK, encodePage(page), headers...), nil
}

// encodePage puts the documents' bytes as they are into a list.
func encodePage(page contacts.Page) []byte {
	size := len(`{"items":[],"next_cursor":""}`) + len(page.Next)
	for _, item := range page.Items {
		size += len(item.JSON) + 1
	}
	body := append(make([]byte, 0, size), `{"items":[`...)
	for i, item := range page.Items {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, item.JSON...)
	}
	body = append(body, ']')
	if page.Next != "" {
		body = append(body, `,"next_cursor":`...)
		body = strconv.AppendQuote(body, page.Next) // base64url, which JSON and Go quote alike
	}
	if page.Count != nil {
		body = append(body, `,"count":`...)
		body = strconv.AppendInt(body, int64(page.Count.Contacts), 10)
		if page.Count.More {
			body = append(body, `,"count_has_more":true`...)
		}
	}
	return append(body, '}')
}
