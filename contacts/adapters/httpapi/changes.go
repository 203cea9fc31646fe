package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// change is the JSON form of a [contacts.Change].
type change struct {
	Cursor    string          `json:"cursor" doc:"To go on from after this change."`
	Type      string          `json:"type" enum:"created,updated,deleted" doc:"What happened."`
	ContactID uuid.UUID       `json:"contact_id" format:"uuid" doc:"The contact."`
	Version   int64           `json:"version" minimum:"1" doc:"The contact's version that the change made."`
	ChangedAt time.Time       `json:"changed_at" doc:"When it was made."`
	Operation uuid.UUID       `json:"operation_id" format:"uuid" doc:"The operation that made it."`
	Contact   json.RawMessage `json:"contact,omitempty" doc:"The contact as it was then; none if it was deleted."`
}

// changeList is a page of changes.
type changeList struct {
	Items []change `json:"items" nullable:"false" doc:"The changes, in the order of their commits."`
	Next  string   `json:"next_cursor" doc:"To go on from, also where there are no items."`
}

func describeChange(c contacts.Change) change {
	described := change{
		Cursor: c.Cursor, Type: "updated", ContactID: c.Contact, Version: c.Version, ChangedAt: c.ChangedAt, Operation: c.Operation,
		Contact: c.Document,
	}
	switch {
	case c.Document == nil:
		described.Type = "deleted"
	case c.Version == 1:
		described.Type = "created"
	}
	return described
}

// The numbers in the tags are contacts.DefaultPage, contacts.MaxPage and
// contacts.MaxChangesWait; a test compares them.
type changesRequest struct {
	request

	Cursor string `query:"cursor" doc:"The next_cursor of the page before, or a change's; now for the changes that come; none for all that are kept."`
	Limit  int    `query:"limit" default:"50" minimum:"1" maximum:"500" doc:"How many changes to return at most; not with a stream."`
	Wait   int    `query:"wait" default:"0" minimum:"0" maximum:"50" doc:"How many seconds to wait for a change if there is none; not with a stream, and not at all where too many wait already."`
}

func (a *api) changes(ctx context.Context, in *changesRequest) (*huma.StreamResponse, error) {
	if in.echo.Request().Method == http.MethodGet && strings.Contains(strings.Join(in.header().Values("Accept"), ","), eventStream) {
		return a.follow(ctx, in)
	}
	page, err := a.pageOfChanges(ctx, in)
	if err != nil {
		return nil, err
	}
	list := changeList{Items: make([]change, len(page.Items)), Next: page.Next}
	for i, item := range page.Items {
		list.Items[i] = describeChange(item)
	}
	body, err := contacts.Encode(list)
	return respond(http.StatusOK, body, "Cache-Control", "no-store"), err
}

// pageOfChanges returns a page at once, or waits for one among the followers.
func (a *api) pageOfChanges(ctx context.Context, in *changesRequest) (contacts.ChangePage, error) {
	wait := time.Duration(in.Wait) * time.Second
	if wait > 0 {
		release, ok := a.followers.TryAcquire(a.holder(callerOf(ctx)), 1)
		if !ok {
			wait = 0
		} else {
			defer release()
		}
	}
	return a.changesAfter(ctx, in.header(), in.Cursor, in.Limit, wait)
}

// follow begins a stream.
func (a *api) follow(ctx context.Context, in *changesRequest) (*huma.StreamResponse, error) {
	for _, name := range []string{"limit", "wait"} {
		if in.echo.QueryParams().Has(name) {
			return nil, invalid(fault{Parameter: name, Detail: "expected not with a stream"})
		}
	}
	release, ok := a.followers.TryAcquire(a.holder(callerOf(ctx)), 1)
	if !ok {
		return nil, overloaded("too many callers follow the changes")
	}
	streaming := false
	defer func() {
		if !streaming {
			release()
		}
	}()
	cursor := cmp.Or(in.header().Get("Last-Event-ID"), in.Cursor)
	first, err := a.changesAfter(ctx, in.header(), cursor, contacts.DefaultPage, 0)
	if err != nil {
		return nil, err
	}
	streaming = true
	return &huma.StreamResponse{Body: func(answer huma.Context) {
		defer release()
		a.stream(answer, in.header(), first)
	}}, nil
}

// changesAfter returns the changes after a cursor. It takes its turn with other queries, but
// not while it waits for a change where there is none. What it has waited for, or what goes on
// a stream, is returned if the credential is still valid by then.
func (a *api) changesAfter(
	ctx context.Context, header http.Header, cursor string, limit int, wait time.Duration,
) (page contacts.ChangePage, err error) {
	read := func() error {
		page, err = a.service.Changes(ctx, callerOf(ctx), cursor, limit, 0)
		return err
	}
	err = a.inTurn(ctx, 1, read)
	if err == nil && wait > 0 && len(page.Items) == 0 && cursor != contacts.FromNow {
		cursor = page.Next
		// no more than is needed to know of one
		page, err = a.service.Changes(ctx, callerOf(ctx), cursor, 1, wait)
		if err == nil && len(page.Items) > 0 && limit > 1 {
			err = a.inTurn(ctx, 1, read)
		}
	}
	if err == nil && wait > 0 {
		_, err = a.admit(ctx, header, contacts.ScopeRead)
	}
	return page, err
}

// eventStream is the media type of server-sent events (HTML Standard, 9.2).
const eventStream = "text/event-stream"

const (
	// heartbeat is how often a stream says something when there is nothing to say, so that
	// proxies do not take it for dead.
	heartbeat = 15 * time.Second
	// streamTimeout is how long the other side may take to receive what is sent.
	streamTimeout = 30 * time.Second
)

// stream sends changes as they come, until the caller has gone or its credential ends, or the
// process is about to end, or the database cannot be asked: the caller then connects again,
// and goes on from the last event that it was sent.
func (a *api) stream(answer huma.Context, header http.Header, page contacts.ChangePage) {
	answer.SetHeader("Content-Type", eventStream)
	answer.SetHeader("Cache-Control", "no-store")
	answer.SetHeader("X-Accel-Buffering", "no") // of proxies that collect answers
	answer.SetStatus(http.StatusOK)
	writer, _ := answer.BodyWriter().(http.ResponseWriter)
	controller := http.NewResponseController(writer)
	ctx := answer.Context()
	// or the request's span would get new ones below it for hours
	untraced := telemetry.Untraced(ctx)
	for {
		// where it is not to be had the server's counts
		_ = controller.SetWriteDeadline(time.Now().Add(streamTimeout))
		if err := writeEvents(writer, page); err != nil || controller.Flush() != nil {
			return // the caller has gone
		}
		select {
		case <-a.service.Stopping():
			return
		case <-ctx.Done():
			return
		default:
		}
		var err error
		if page, err = a.changesAfter(untraced, header, page.Next, contacts.DefaultPage, heartbeat); err != nil {
			if ctx.Err() != nil {
				return // the caller has gone
			}
			a.log.WarnContext(ctx, "stream of changes ended", "error", err, "request_id", recordOf(ctx).id)
			return
		}
	}
}

func writeEvents(w io.Writer, page contacts.ChangePage) error {
	if len(page.Items) == 0 {
		// Without data it is no event, but the caller goes on from here if the stream breaks
		// off.
		_, err := fmt.Fprintf(w, "id: %s\n\n", page.Next)
		return err
	}
	for _, item := range page.Items {
		// on one line, as JSON's strings have no line ends
		data, err := contacts.Encode(describeChange(item))
		if err == nil {
			_, err = fmt.Fprintf(w, "id: %s\nevent: change\ndata: %s\n\n", item.Cursor, data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
