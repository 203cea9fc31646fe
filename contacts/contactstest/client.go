package contactstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
)

// Client is the service as one caller sees it: the use cases themselves, or the API over HTTP.
// Its methods are those of [contacts.Service] for one caller.
type Client interface {
	Create(ctx context.Context, fields contacts.Fields, write contacts.Write) (contacts.Operation, error)
	Replace(ctx context.Context, id uuid.UUID, fields contacts.Fields, write contacts.Write) (contacts.Operation, error)
	Upsert(ctx context.Context, externalID string, fields contacts.Fields, write contacts.Write) (contacts.Operation, error)
	Merge(ctx context.Context, id uuid.UUID, patch contacts.Patch, write contacts.Write) (contacts.Operation, error)
	Delete(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error)
	Erase(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error)
	Get(ctx context.Context, id uuid.UUID) (contacts.Document, error)
	List(ctx context.Context, filter contacts.Filter, limit int, cursor string) (contacts.Page, error)
	Operation(ctx context.Context, id uuid.UUID) (contacts.Operation, error)
}

// Direct is the client that calls the use cases.
type Direct struct {
	Service *contacts.Service
	Caller  contacts.Caller
}

var _ Client = Direct{}

// Create implements [Client].
func (d Direct) Create(ctx context.Context, fields contacts.Fields, write contacts.Write) (contacts.Operation, error) {
	return d.Service.Create(ctx, d.Caller, fields, write)
}

// Replace implements [Client].
func (d Direct) Replace(ctx context.Context, id uuid.UUID, fields contacts.Fields, write contacts.Write) (contacts.Operation, error) {
	return d.Service.Replace(ctx, d.Caller, id, fields, write)
}

// Upsert implements [Client].
func (d Direct) Upsert(
	ctx context.Context, externalID string, fields contacts.Fields, write contacts.Write,
) (contacts.Operation, error) {
	return d.Service.Upsert(ctx, d.Caller, externalID, fields, write)
}

// Merge implements [Client].
func (d Direct) Merge(ctx context.Context, id uuid.UUID, patch contacts.Patch, write contacts.Write) (contacts.Operation, error) {
	return d.Service.Merge(ctx, d.Caller, id, patch, write)
}

// Delete implements [Client].
func (d Direct) Delete(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error) {
	return d.Service.Delete(ctx, d.Caller, id, write)
}

// Erase implements [Client].
func (d Direct) Erase(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error) {
	return d.Service.Erase(ctx, d.Caller, id, write)
}

// Get implements [Client].
func (d Direct) Get(ctx context.Context, id uuid.UUID) (contacts.Document, error) {
	return d.Service.Get(ctx, d.Caller, id)
}

// List implements [Client].
func (d Direct) List(ctx context.Context, filter contacts.Filter, limit int, cursor string) (contacts.Page, error) {
	return d.Service.List(ctx, d.Caller, filter, limit, cursor)
}

// Operation implements [Client].
func (d Direct) Operation(ctx context.Context, id uuid.UUID) (contacts.Operation, error) {
	return d.Service.Operation(ctx, d.Caller, id)
}

// HTTP is the client that speaks with the API at a base URL such as http://127.0.0.1:8000,
// with a credential unless that is "". What an answer does not carry, such as the operation's
// id of a write that has ended, is left empty.
type HTTP struct{ URL, Credential string }

var _ Client = HTTP{}

// Create implements [Client].
func (h HTTP) Create(ctx context.Context, fields contacts.Fields, write contacts.Write) (contacts.Operation, error) {
	return h.write(ctx, http.MethodPost, "/v1/contacts", "application/json", fields, write)
}

// Replace implements [Client].
func (h HTTP) Replace(ctx context.Context, id uuid.UUID, fields contacts.Fields, write contacts.Write) (contacts.Operation, error) {
	return h.write(ctx, http.MethodPut, "/v1/contacts/"+id.String(), "application/json", fields, write)
}

// Upsert implements [Client].
func (h HTTP) Upsert(
	ctx context.Context, externalID string, fields contacts.Fields, write contacts.Write,
) (contacts.Operation, error) {
	return h.write(ctx, http.MethodPut, "/v1/contacts/by-external-id/"+url.PathEscape(externalID), "application/json", fields, write)
}

// Merge implements [Client].
func (h HTTP) Merge(ctx context.Context, id uuid.UUID, patch contacts.Patch, write contacts.Write) (contacts.Operation, error) {
	return h.write(ctx, http.MethodPatch, "/v1/contacts/"+id.String(), "application/merge-patch+json", patch, write)
}

// Delete implements [Client].
func (h HTTP) Delete(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error) {
	return h.remove(ctx, id, "", write)
}

// Erase implements [Client].
func (h HTTP) Erase(ctx context.Context, id uuid.UUID, write contacts.Write) (contacts.Operation, error) {
	return h.remove(ctx, id, "?erase=true", write)
}

func (h HTTP) remove(ctx context.Context, id uuid.UUID, query string, write contacts.Write) (contacts.Operation, error) {
	operation, err := h.write(ctx, http.MethodDelete, "/v1/contacts/"+id.String()+query, "", nil, write)
	if err == nil && operation.Status == contacts.Succeeded {
		operation.Contact = id
	}
	return operation, err
}

// Get implements [Client].
func (h HTTP) Get(ctx context.Context, id uuid.UUID) (contacts.Document, error) {
	response, body, err := h.do(ctx, http.MethodGet, "/v1/contacts/"+id.String(), nil, nil)
	if err != nil {
		return contacts.Document{}, err
	}
	version, err := strconv.ParseInt(strings.Trim(response.Header.Get("ETag"), `"`), 10, 64)
	return contacts.Document{Tenant: contacts.DefaultTenant, ID: id, Version: version, State: contacts.Live, JSON: body}, err
}

// List implements [Client].
func (h HTTP) List(ctx context.Context, filter contacts.Filter, limit int, cursor string) (contacts.Page, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	parameters := map[string]string{"q": filter.Text, "sort": string(filter.Sort), "cursor": cursor}
	maps.Copy(parameters, filter.Values)
	for name, value := range parameters {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !filter.UpdatedSince.IsZero() {
		query.Set("updated_since", filter.UpdatedSince.Format(time.RFC3339Nano))
	}
	if filter.Count {
		query.Set("count", "true")
	}
	_, body, err := h.do(ctx, http.MethodGet, "/v1/contacts?"+query.Encode(), nil, nil)
	if err != nil {
		return contacts.Page{}, err
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"next_cursor"`
		Count *int              `json:"count"`
		More  bool              `json:"count_has_more"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return contacts.Page{}, err
	}
	page := contacts.Page{Next: list.Next}
	if list.Count != nil {
		page.Count = &contacts.Count{Contacts: *list.Count, More: list.More}
	}
	for _, raw := range list.Items {
		var c contacts.Representation
		if err := json.Unmarshal(raw, &c); err != nil {
			return contacts.Page{}, err
		}
		page.Items = append(page.Items, contacts.Document{
			Tenant: contacts.DefaultTenant, ID: c.ID, Version: c.Version, State: contacts.Live, JSON: raw,
		})
	}
	return page, nil
}

// Operation implements [Client].
func (h HTTP) Operation(ctx context.Context, id uuid.UUID) (contacts.Operation, error) {
	_, body, err := h.do(ctx, http.MethodGet, "/v1/operations/"+id.String(), nil, nil)
	if err != nil {
		return contacts.Operation{}, err
	}
	return decodeOperation(body)
}

// operation is the API's form of an operation.
type operation struct {
	ID        uuid.UUID            `json:"id"`
	Kind      contacts.CommandKind `json:"kind"`
	Status    contacts.Status      `json:"status"`
	ContactID uuid.UUID            `json:"contact_id"`
	Version   int64                `json:"version"`
	Accepted  time.Time            `json:"accepted_at"`
	Ended     time.Time            `json:"ended_at"`
	Problem   *problem             `json:"problem"`
}

func decodeOperation(body []byte) (contacts.Operation, error) {
	var o operation
	if err := json.Unmarshal(body, &o); err != nil {
		return contacts.Operation{}, fmt.Errorf("read an operation: %w", err)
	}
	decoded := contacts.Operation{
		ID: o.ID, Tenant: contacts.DefaultTenant, Kind: o.Kind, Contact: o.ContactID, Status: o.Status, Version: o.Version,
		AcceptedAt: o.Accepted, EndedAt: o.Ended,
	}
	if o.Problem != nil {
		decoded.Problem = o.Problem.decode()
	}
	return decoded, nil
}

// problem is the API's form of an error.
type problem struct {
	Type           string `json:"type"`
	Detail         string `json:"detail"`
	CurrentVersion int64  `json:"current_version"`
	ContactID      string `json:"contact_id"`
	Errors         []struct {
		Pointer   string `json:"pointer"`
		Parameter string `json:"parameter"`
		Header    string `json:"header"`
		Detail    string `json:"detail"`
	} `json:"errors"`
}

func (p problem) decode() *contacts.Error {
	e := &contacts.Error{
		Kind: contacts.Kind(p.Type[strings.LastIndex(p.Type, "/")+1:]), Detail: p.Detail, CurrentVersion: p.CurrentVersion, Contact: p.ContactID,
	}
	for _, fault := range p.Errors {
		e.Violations = append(e.Violations, contacts.Violation{
			Pointer: fault.Pointer + fault.Parameter + fault.Header, Message: fault.Detail,
		})
	}
	return e
}

func (h HTTP) write(
	ctx context.Context, method, path, contentType string, body any, write contacts.Write,
) (contacts.Operation, error) {
	header := http.Header{"Content-Type": {contentType}}
	if write.IdempotencyKey != "" {
		header.Set("Idempotency-Key", strconv.Quote(write.IdempotencyKey))
	}
	tags := make([]string, len(write.IfMatch))
	for i, version := range write.IfMatch {
		tags[i] = fmt.Sprintf("%q", strconv.FormatInt(version, 10))
	}
	if len(tags) > 0 {
		header.Set("If-Match", strings.Join(tags, ", "))
	}
	if write.Wait > 0 {
		header.Set("Prefer", fmt.Sprintf("wait=%d", max(1, int(write.Wait.Seconds()))))
	} else {
		header.Set("Prefer", "respond-async")
	}
	response, answer, err := h.do(ctx, method, path, header, body)
	if err != nil {
		return contacts.Operation{}, err
	}
	if response.StatusCode == http.StatusAccepted {
		return decodeOperation(answer)
	}
	made := contacts.Operation{Status: contacts.Succeeded, Tenant: contacts.DefaultTenant}
	if response.StatusCode == http.StatusCreated {
		made.Kind = contacts.Create
	}
	if len(answer) > 0 {
		var c contacts.Representation
		if err := json.Unmarshal(answer, &c); err != nil {
			return contacts.Operation{}, fmt.Errorf("read a contact: %w", err)
		}
		made.Contact, made.Version, made.Document = c.ID, c.Version, answer
	}
	return made, nil
}

// do sends a request and returns the answer, or the problem in it as a [contacts.Error].
func (h HTTP) do(ctx context.Context, method, path string, header http.Header, body any) (*http.Response, []byte, error) {
	var content io.Reader
	if body != nil {
		raw, err := contacts.Encode(body)
		if err != nil {
			return nil, nil, err
		}
		content = bytes.NewReader(raw)
	}
	request, err := http.NewRequestWithContext(ctx, method, h.URL+path, content)
	if err != nil {
		return nil, nil, err
	}
	for name, values := range header {
		request.Header[name] = values
	}
	if h.Credential != "" {
		request.Header.Set("Authorization", "Bearer "+h.Credential)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, nil, err
	}
	if response.StatusCode < http.StatusBadRequest {
		return response, answer, nil
	}
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || p.Type == "" {
		return nil, nil, fmt.Errorf("%s %s answered %s without a problem document", method, path, response.Status)
	}
	return nil, nil, p.decode()
}
