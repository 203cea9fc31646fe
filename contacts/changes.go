package contacts

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// Change is one version of a contact on its way to followers of the changes.
type Change struct {
	At        ChangePosition
	Cursor    string // to go on from after it; set by [Service.Changes]
	Contact   uuid.UUID
	Version   int64
	Operation uuid.UUID // that made it
	ChangedAt time.Time
	Document  json.RawMessage // the contact's [Representation]; nil for a deletion
}

// ChangePosition is a place in the order of commits: that of a change, or of none. The zero
// position is before all.
type ChangePosition struct {
	// grows from commit to commit; on databases that number every change in order it is 0
	Commit   uint64
	Sequence int64 // grows from change to change of a commit
}

// ChangeLog is the committed changes, in the order of their commits. A reader that goes from
// position to position sees each change once and misses none, however many are being committed
// meanwhile; those of one contact come in the order of its versions. Of an erased contact only
// the deletion is left. Errors are as those of a [Repository].
type ChangeLog interface {
	// Changes returns up to limit of the tenant's changes after the position, at least one if
	// there is one. They are fewer than limit and than there are where their documents have
	// [MaxPageBytes]. It returns an [Error] of [KindExpired] for a position that the log has
	// not come to: that of another database, or of this one before it was restored.
	Changes(ctx context.Context, tenant Tenant, after ChangePosition, limit int) ([]Change, error)

	// LatestChange returns a position after which come all changes that are committed from now
	// on, and few others.
	LatestChange(ctx context.Context) (ChangePosition, error)
}

// ChangePage is a part of the changes.
type ChangePage struct {
	Items []Change
	Next  string // the cursor to go on from; also where there are no items
}

// The cursors of [Service.Changes] that name no page before.
const (
	FromTheBeginning = ""    // the oldest change that is kept
	FromNow          = "now" // no change yet, but all that come
)

// MaxChangesWait is how long [Service.Changes] waits at the most.
const MaxChangesWait = 50 * time.Second

// changesPoll is how often the changes are looked for while a caller waits for one.
const changesPoll = 200 * time.Millisecond

// Changes returns the caller's changes from after the cursor on, at most limit, and of
// [MaxPageBytes], in the order of their commits. Where there are none it waits for one, at
// most for wait, or until ctx ends, or [Service.StopWaiting]. It returns an [Error] of
// [KindInvalid], of [KindExpired] for a cursor after which changes may be gone, or of
// [KindUnavailable].
func (s *Service) Changes(ctx context.Context, caller Caller, cursor string, limit int, wait time.Duration) (ChangePage, error) {
	if limit < 1 || limit > MaxPage {
		return ChangePage{}, invalid(Violation{Pointer: "limit", Message: fmt.Sprintf("expected 1 to %d", MaxPage)})
	}
	after, err := s.changePosition(ctx, cursor)
	if err != nil {
		return ChangePage{}, err
	}
	deadline := time.NewTimer(min(wait, MaxChangesWait))
	defer deadline.Stop()
	poll := time.NewTicker(changesPoll)
	defer poll.Stop()
	for over := wait <= 0 || cursor == FromNow; ; {
		asked := s.now()
		items, err := s.changes.Changes(ctx, caller.Tenant, after, limit)
		if err != nil {
			return ChangePage{}, err
		}
		if len(items) > 0 || over {
			return changePage(items, after, asked, len(items) < limit && documentBytes(items) < MaxPageBytes)
		}
		select {
		case <-poll.C:
		case <-deadline.C:
			over = true
		case <-s.draining:
			over = true
		case <-ctx.Done():
			return ChangePage{}, ctx.Err()
		}
	}
}

func documentBytes(items []Change) (bytes int) {
	for _, item := range items {
		bytes += len(item.Document)
	}
	return bytes
}

// changePage gives the changes that were asked for, after a position, their cursors. all says
// that there were no others.
func changePage(items []Change, after ChangePosition, asked time.Time, all bool) (page ChangePage, err error) {
	page.Items = items
	// as far as it is known, all changes after the page's last one are younger than this
	complete := asked
	for i := range items {
		after = items[i].At
		since := items[i].ChangedAt
		if all && i == len(items)-1 {
			since = asked
		}
		// A caller that reads from the beginning is given the time to ask for the next page,
		// also where this one is about to be purged.
		since = latest(since, asked.Add(cursorMargin+nextPage-ChangesKept))
		if items[i].Cursor, err = encodeChangeCursor(after, since); err != nil {
			return ChangePage{}, err
		}
		complete = since
	}
	page.Next, err = encodeChangeCursor(after, complete)
	return page, err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// changeCursor is the JSON form of a cursor. It is good for as long as all changes after it
// are kept.
type changeCursor struct {
	Commit   uint64 `json:"c,omitempty"`
	Sequence int64  `json:"s"`
	// seconds since 1970: no change after the cursor is older, but for some clocks' difference
	Since int64 `json:"t"`
}

func encodeChangeCursor(at ChangePosition, since time.Time) (string, error) {
	raw, err := Encode(changeCursor{at.Commit, at.Sequence, since.Unix()})
	if err != nil {
		return "", fmt.Errorf("encode a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

const (
	// cursorMargin is how much earlier than its purging a change counts as gone: transactions
	// take time, and clocks differ.
	cursorMargin = time.Hour
	// nextPage is how long every cursor is good at least.
	nextPage = 10 * time.Minute
)

func (s *Service) changePosition(ctx context.Context, cursor string) (ChangePosition, error) {
	switch cursor {
	case FromTheBeginning:
		return ChangePosition{}, nil
	case FromNow:
		return s.changes.LatestChange(ctx)
	}
	var c changeCursor
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sequence < 0 || c.Since <= 0 || c.Commit > math.MaxInt64 {
		return ChangePosition{}, invalid(Violation{
			Pointer: "cursor", Message: `expected a next_cursor of the changes, "now" for those that come, or none for all that are kept`,
		})
	}
	if time.Unix(c.Since, 0).Before(s.now().Add(cursorMargin - ChangesKept)) {
		return ChangePosition{}, CursorExpired()
	}
	return ChangePosition{Commit: c.Commit, Sequence: c.Sequence}, nil
}

// CursorExpired is the error of changes that are asked for after a position from which they
// cannot be told any more.
func CursorExpired() *Error {
	return &Error{
		Kind: KindExpired,
		Detail: "changes after this cursor may be gone: start over by asking for the changes from now on (cursor=now), list all contacts, " +
			"and then go on from the next_cursor",
	}
}
