package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"contacts/contacts"
	"contacts/test/crash/history"
	"contacts/test/system"
)

// patience is how long a caller waits for an answer.
const patience = 5 * time.Second

// answer is what a server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request and reads the whole answer.
func send(client *http.Client, request *http.Request) (answer, error) {
	ctx, cancel := context.WithTimeout(request.Context(), patience)
	defer cancel()
	response, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, body}, err
}

// ask makes the request of a call to one replica, and says what came of it: the end of the
// call, Accepted with the operation, or Unknown with what went wrong.
func ask(ctx context.Context, client *http.Client, replica *system.Target, call history.Event) (history.Event, error) {
	request, err := newRequest(ctx, replica.API, call)
	if err != nil {
		return history.Event{}, err
	}
	event := history.Event{Type: history.Unknown, Call: call.Call, Replica: replica.Name}
	answer, err := send(client, request)
	if err != nil {
		event.Problem = "no answer"
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			event.Problem = history.GaveUp
		}
		return event, nil
	}
	event.Status = answer.status
	switch {
	case answer.status == http.StatusAccepted:
		event.Type = history.Accepted
		event.Operation = strings.TrimPrefix(answer.header.Get("Location"), "/v1/operations/")
		return event, nil
	case answer.status < http.StatusMultipleChoices:
		event.Type = history.OK
		event.Found = call.Kind == history.Read
		return event, readContact(&event, answer)
	case answer.status == http.StatusNotFound && call.Kind == history.Read:
		event.Type = history.OK
		return event, nil
	}
	var p problem
	if err := json.Unmarshal(answer.body, &p); err != nil {
		return event, fmt.Errorf("%s answered %d without a problem document: %w", replica.Name, answer.status, err)
	}
	p.fill(&event)
	return event, nil
}

// problem is the part of a problem document that callers act upon.
type problem struct {
	Type           string `json:"type"`
	Status         int    `json:"status"`
	CurrentVersion int64  `json:"current_version"`
}

// fill makes the event the one of a refusal, or of an Unknown where the problem does not say
// that nothing was done.
func (p problem) fill(event *history.Event) {
	event.Status, event.Version = p.Status, p.CurrentVersion
	event.Problem = p.Type[strings.LastIndex(p.Type, "/")+1:]
	if p.Status < http.StatusInternalServerError || event.Problem == string(contacts.KindUnavailable) {
		event.Type = history.Fail
	}
}

func readContact(event *history.Event, answer answer) error {
	if len(answer.body) == 0 {
		return nil // the end of a deletion
	}
	var c contacts.Representation
	if err := json.Unmarshal(answer.body, &c); err != nil {
		return fmt.Errorf("read a contact: %w", err)
	}
	if tag := answer.header.Get("ETag"); tag != strconv.Quote(strconv.FormatInt(c.Version, 10)) {
		return fmt.Errorf("version %d has the ETag %s", c.Version, tag)
	}
	event.Contact, event.Version, event.Document = c.ID.String(), c.Version, tags(c.CustomFields)
	return nil
}

// tags are a contact's custom fields; nil where there are none.
func tags(custom map[string]contacts.CustomValue) history.Document {
	if custom == nil {
		return nil
	}
	tags := history.Document{}
	for name, value := range custom {
		tags[name] = value.String()
	}
	return tags
}

// askOperation asks one replica for the end of an accepted call: ended is false where it is
// not known yet, and the event then has the status that says why, as far as there is one.
func askOperation(
	ctx context.Context, client *http.Client, replica *system.Target, call history.Event, operation string,
) (event history.Event, ended bool, err error) {
	event = history.Event{Call: call.Call, Replica: replica.Name, Contact: call.Contact}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, replica.API+"/v1/operations/"+operation, http.NoBody)
	if err != nil {
		return event, false, err
	}
	answer, err := send(client, request)
	if err != nil {
		return event, false, nil //nolint:nilerr // it is asked again
	}
	if answer.status != http.StatusOK {
		// An unknown operation was accepted, and its note was lost with the cache:
		// it will be applied all the same.
		event.Status = answer.status
		return event, false, nil
	}
	var o struct {
		Status    contacts.Status `json:"status"`
		ContactID string          `json:"contact_id"`
		Version   int64           `json:"version"`
		Problem   problem         `json:"problem"`
	}
	if err := json.Unmarshal(answer.body, &o); err != nil {
		return event, false, fmt.Errorf("read an operation: %w", err)
	}
	switch o.Status {
	case contacts.Succeeded:
		event.Type, event.Version, event.Contact = history.OK, o.Version, o.ContactID
		return event, true, nil
	case contacts.Failed:
		o.Problem.fill(&event)
		return event, true, nil
	default:
		return event, false, nil
	}
}

// newRequest makes the HTTP request of a call.
func newRequest(ctx context.Context, api string, call history.Event) (*http.Request, error) {
	method, contentType := http.MethodGet, "application/json"
	var body any
	tag := contacts.CustomText(history.Tag(call.Call))
	fields := contacts.Fields{
		FirstName: "Crash", CustomFields: map[string]contacts.CustomValue{history.Last: tag, call.Slot: tag},
	}
	switch call.Kind {
	case history.Create:
		method, body = http.MethodPost, fields
	case history.Replace:
		method, body = http.MethodPut, fields
	case history.Patch:
		method, contentType = http.MethodPatch, "application/merge-patch+json"
		body = map[string]any{"custom_fields": fields.CustomFields}
	case history.Delete:
		method = http.MethodDelete
	}
	path := "/v1/contacts"
	if call.Kind != history.Create {
		path += "/" + call.Contact
	}
	var content []byte
	if body != nil {
		var err error
		if content, err = contacts.Encode(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, api+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", contentType)
	if call.Key != "" {
		request.Header.Set("Idempotency-Key", strconv.Quote(call.Key))
	}
	if call.IfMatch > 0 {
		request.Header.Set("If-Match", fmt.Sprintf("%q", strconv.FormatInt(call.IfMatch, 10)))
	}
	if call.Async {
		request.Header.Set("Prefer", "respond-async")
	}
	return request, nil
}
