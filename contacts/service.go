package contacts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Service is the use cases of the API, the seed and the import: accepting writes, and reading.
// All methods may be called concurrently, by any caller whose credential was checked.
//
// A write becomes an [Operation], whose id is drawn from tenant, caller and idempotency key,
// so that a retry is the same operation, whether or not the first try was accepted; without a
// key it is a new UUIDv7.
type Service struct {
	repository Repository
	queue      Queue
	outcomes   Outcomes
	pending    PendingOperations
	changes    ChangeLog
	region     string
	now        func() time.Time
	mayWait    func(Caller) (done func(), ok bool)
	draining   chan struct{} // closed by StopWaiting; pending waits return early
	drainOnce  sync.Once
}

// ServiceOptions are what a [Service] needs. All but Region, MayWait and Now are required.
type ServiceOptions struct {
	Repository Repository
	Queue      Queue
	Outcomes   Outcomes
	Pending    PendingOperations
	Changes    ChangeLog
	// how phone numbers without a country are read: ISO 3166-1 alpha-2, or "" not at all
	Region string
	// MayWait reports whether one more write of the caller may wait for its end, until done is
	// called; any number where nil. One that may not is accepted just the same. Each that
	// waits holds some 40 KiB of memory, and asks the database twice a second where notices
	// are lost.
	MayWait func(Caller) (done func(), ok bool)
	Now     func() time.Time // the clock; time.Now where nil
}

// NewService returns a service.
func NewService(o ServiceOptions) *Service {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MayWait == nil {
		o.MayWait = func(Caller) (func(), bool) { return func() {}, true }
	}
	return &Service{
		repository: o.Repository, queue: o.Queue, outcomes: o.Outcomes, pending: o.Pending, changes: o.Changes,
		region: o.Region, now: o.Now, mayWait: o.MayWait, draining: make(chan struct{}),
	}
}

// StopWaiting ends the waits of all writes, present and future: what has not ended is answered
// as pending. It is for a process that is about to end.
func (s *Service) StopWaiting() { s.drainOnce.Do(func() { close(s.draining) }) }

// Stopping is closed when [Service.StopWaiting] has been called.
func (s *Service) Stopping() <-chan struct{} { return s.draining }

// Write says how a write is to be made.
type Write struct {
	// IdempotencyKey makes repeated requests one operation; "" makes each its own.
	IdempotencyKey string
	// IfMatch are the versions that may be changed; none: any.
	IfMatch []int64
	// Wait is how long to wait for the operation's end; 0: not at all, as where too many wait
	// already.
	Wait time.Duration
}

// Create accepts a new contact. Like the other writes it returns the operation, [Pending] if
// it has not ended within write.Wait, or an [Error]: the problem that ended the operation, or
// the reason why the write was not accepted. An operation that has failed, or of which it is
// not known whether it was accepted, is returned with its error.
func (s *Service) Create(ctx context.Context, caller Caller, fields Fields, write Write) (Operation, error) {
	fields, err := fields.Normalize(s.region)
	if err != nil {
		return Operation{}, err
	}
	contact, err := uuid.NewV7()
	if err != nil {
		return Operation{}, fmt.Errorf("mint a contact's id: %w", err)
	}
	// The id is no part of the request: a retry mints another, which gives way to the first
	// one's.
	return s.submit(ctx, caller, Command{Kind: Create, Contact: contact, Fields: fields}, "", write)
}

// Replace accepts new fields for a contact: those not given are emptied. An email or a phone
// that is not the first of its list changes it, if the list is the contact's own.
func (s *Service) Replace(ctx context.Context, caller Caller, id uuid.UUID, fields Fields, write Write) (Operation, error) {
	fields, err := fields.normalize(s.region, true)
	if err != nil {
		return Operation{}, err
	}
	return s.submit(ctx, caller, Command{Kind: Replace, Contact: id, Fields: fields}, id.String(), write)
}

// Upsert accepts new fields for the contact that holds an external id, or for a new one if
// none does. The worker decides which, so that of many at the same time one creates the
// contact. The ended operation is a [Create] or a [Replace].
func (s *Service) Upsert(ctx context.Context, caller Caller, externalID string, fields Fields, write Write) (Operation, error) {
	valid := utf8.ValidString(externalID)
	externalID = cleanText(externalID)
	if !valid || externalID == "" || fields.ExternalID != "" && cleanText(fields.ExternalID) != externalID {
		return Operation{}, invalid(Violation{Pointer: "/external_id", Message: "expected the external_id that the path names, or none"})
	}
	fields.ExternalID = externalID
	fields, err := fields.normalize(s.region, true)
	if err != nil {
		return Operation{}, err
	}
	contact, err := uuid.NewV7()
	if err != nil {
		return Operation{}, fmt.Errorf("mint a contact's id: %w", err)
	}
	return s.submit(ctx, caller, Command{Kind: Upsert, Contact: contact, Fields: fields}, "", write)
}

// Merge accepts a patch of a contact, which is applied to the contact as it then is.
func (s *Service) Merge(ctx context.Context, caller Caller, id uuid.UUID, patch Patch, write Write) (Operation, error) {
	return s.submit(ctx, caller, Command{Kind: Merge, Contact: id, Patch: patch}, id.String(), write)
}

// Delete accepts the deletion of a contact.
func (s *Service) Delete(ctx context.Context, caller Caller, id uuid.UUID, write Write) (Operation, error) {
	return s.submit(ctx, caller, Command{Kind: Delete, Contact: id}, id.String(), write)
}

// Erase accepts the erasure of a contact: its deletion, if it was not deleted before, and that
// of everything that is kept of it, in its history, in the operations on it and among the
// parked commands, but for its id and version. It can be repeated.
func (s *Service) Erase(ctx context.Context, caller Caller, id uuid.UUID, write Write) (Operation, error) {
	return s.submit(ctx, caller, Command{Kind: Erase, Contact: id}, id.String(), write)
}

// submit sends the command and waits for its operation's end. target is the part of the
// request that names the contact.
func (s *Service) submit(ctx context.Context, caller Caller, command Command, target string, write Write) (Operation, error) {
	// or it would be accepted, and could never be applied
	if err := caller.Tenant.Validate(); err != nil {
		return Operation{}, err
	}
	command.Tenant = caller.Tenant
	command.AcceptedAt = s.now().UTC().Truncate(time.Microsecond)
	command.IfMatch = write.IfMatch
	command.Region = s.region
	if err := s.identify(&command, caller, target, write.IdempotencyKey); err != nil {
		return Operation{}, err
	}
	accepted, noted := command.pending(), false
	if write.IdempotencyKey != "" {
		// A retry of what has ended is answered at once. Not being able to tell, or not soon,
		// does no harm: the worker will.
		if ended := <-s.ask(ctx, command, askLimit); ended != nil {
			return settle(command, *ended)
		}
		var err error
		if accepted, noted, err = s.claim(ctx, &command); err != nil {
			return Operation{}, err
		}
	}
	if write.Wait > 0 {
		if done, ok := s.mayWait(caller); ok {
			defer done()
		} else {
			write.Wait = 0
		}
	}
	var notice <-chan Operation
	if write.Wait > 0 {
		var stop func()
		command.ReplyTo = s.outcomes.Address()
		notice, stop = s.outcomes.Expect(command.Tenant, command.Operation)
		defer stop()
	}
	switch err := s.send(ctx, command, accepted, noted); {
	case IsKind(err, KindUncertain):
		return accepted, err
	case err != nil:
		return Operation{}, err
	}
	if write.Wait > 0 {
		if ended, ok := s.await(ctx, command, notice, write.Wait); ok {
			return settle(command, ended)
		}
	}
	if write.IdempotencyKey == "" {
		s.note(ctx, accepted)
	}
	return accepted, nil
}

// claim records the operation of a command with an idempotency key, and gives a Create the
// contact of the key's first request. It returns the pending operation, and whether its record
// is of this very request. If the record cannot be read, the first command to commit decides
// on the contact of a Create, so that the operation names none; and the worker finds out if
// the key was used with another request.
func (s *Service) claim(ctx context.Context, command *Command) (accepted Operation, noted bool, err error) {
	accepted = command.pending()
	holder, failed := s.pending.Claim(ctx, accepted)
	if failed == nil && holder.Fingerprint != command.Fingerprint {
		return Operation{}, false, keyReused()
	}
	if command.Kind == Create {
		if accepted.Contact = holder.Contact; holder.Contact != uuid.Nil {
			command.Contact = holder.Contact
		}
	}
	noted = holder.Contact != uuid.Nil && holder.AcceptedAt.Equal(accepted.AcceptedAt)
	return accepted, noted, nil
}

// send sends the command, and corrects the record of its operation. noted says that this
// request has claimed it: then it is withdrawn if nothing was accepted. Otherwise what may
// have been accepted is noted; so is a retry, since the queue keeps its command from now on.
func (s *Service) send(ctx context.Context, command Command, accepted Operation, noted bool) error {
	err := s.queue.Send(ctx, command)
	switch accepts := err == nil || IsKind(err, KindUncertain); {
	case noted && !accepts:
		_ = s.pending.Withdraw(context.WithoutCancel(ctx), accepted)
	case !noted && accepts && (command.Fingerprint != "" || err != nil):
		s.note(ctx, accepted) // an operation without a key is noted when its wait is over
	}
	return err
}

// note records that the operation is pending. The write is accepted even if that fails: then
// asking for the operation before its end is answered "unavailable" or "not found", and after
// it as ever.
func (s *Service) note(ctx context.Context, accepted Operation) {
	_ = s.pending.Note(context.WithoutCancel(ctx), accepted)
}

// identify gives the command its operation and, where there is a key, the request's
// fingerprint. The key is a part of that, and kept nowhere: fingerprints alone do not allow
// guessing the data that they were drawn from.
func (s *Service) identify(command *Command, caller Caller, target, key string) error {
	if key == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("mint an operation's id: %w", err)
		}
		command.Operation = id
		return nil
	}
	body, err := Encode([]any{key, command.Kind, target, command.Fields, command.Patch, command.IfMatch})
	if err != nil {
		return fmt.Errorf("fingerprint the request: %w", err)
	}
	sum := sha256.Sum256(body)
	command.Fingerprint = hex.EncodeToString(sum[:16])
	scope, err := Encode([]string{string(caller.Tenant), caller.Subject, key})
	if err != nil {
		return fmt.Errorf("derive the operation from the key: %w", err)
	}
	command.Operation = uuid.NewHash(sha256.New(), uuid.Nil, scope, 8) // UUIDv8: RFC 9562, 5.8
	return nil
}

// settle turns an ended operation into the answer of the command that waited for it.
func settle(command Command, ended Operation) (Operation, error) {
	switch {
	case !command.isOf(ended):
		return Operation{}, keyReused()
	case ended.Problem != nil:
		return ended, ended.Problem
	case ended.Kind.carriesData() && ended.Document == nil:
		return ended, erased()
	}
	return ended, nil
}

// isOf reports whether the command is of the same request as the operation, as far as that can
// be told: not by the data if the contact was erased.
func (c Command) isOf(ended Operation) bool {
	if ended.Fingerprint == "" {
		if c.Kind == Upsert {
			return ended.Kind == Create || ended.Kind == Replace || ended.Kind == Upsert
		}
		return ended.Kind == c.Kind && (c.Kind == Create || ended.Contact == c.Contact)
	}
	return ended.Fingerprint == c.Fingerprint
}

// The database is asked for an operation of which no notice has come after firstPoll, then
// after pauses that double up to longestPause, and once more at the end.
const (
	firstPoll    = 100 * time.Millisecond
	longestPause = 500 * time.Millisecond
	// askLimit is how long a question may take that holds up the caller: before the command is
	// sent, and at the end of the wait.
	askLimit = 300 * time.Millisecond
)

// await waits for the notice and, because notices may be lost, asks the repository now and
// then. It asks in the background: a database that hangs must not keep the caller from hearing
// the notice, nor keep it longer than it wanted to wait.
func (s *Service) await(ctx context.Context, command Command, notice <-chan Operation, wait time.Duration) (Operation, bool) {
	until := time.Now().Add(wait)
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	pause := firstPoll
	poll := time.NewTimer(pause)
	defer poll.Stop()
	var answer <-chan *Operation // of the poll that is under way; nil while none is
	for over := false; !over; {
		select {
		case ended := <-notice:
			return ended, true
		case ended := <-answer:
			if ended != nil {
				return *ended, true
			}
			answer = nil
			pause = min(2*pause, longestPause)
			poll.Reset(pause)
		case <-poll.C:
			answer = s.ask(ctx, command, time.Until(until))
		case <-ctx.Done():
			return Operation{}, false
		case <-deadline.C:
			over = true
		case <-s.draining:
			over = true
		}
	}
	select {
	case ended := <-notice:
		return ended, true
	case ended := <-s.ask(ctx, command, askLimit):
		if ended != nil {
			return *ended, true
		}
	case <-ctx.Done():
	}
	return Operation{}, false
}

// ask looks for the command's operation, in the background and for at most limit, and sends
// it, or nil where it has not ended or that cannot be told. It goes on after the caller has
// gone: a query that is cut costs its connection.
func (s *Service) ask(ctx context.Context, command Command, limit time.Duration) <-chan *Operation {
	answer := make(chan *Operation, 1)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	go func() {
		defer cancel()
		ended, found, err := s.repository.Operation(ctx, command.Tenant, command.Operation)
		if err != nil || !found {
			answer <- nil
			return
		}
		answer <- &ended
	}()
	return answer
}

// Operation returns an operation of the caller's tenant, without its document. It returns an
// [Error] of [KindNotFound] or [KindUnavailable].
func (s *Service) Operation(ctx context.Context, caller Caller, id uuid.UUID) (Operation, error) {
	operation, found, err := s.repository.Operation(ctx, caller.Tenant, id)
	if err == nil && !found {
		operation, found, err = s.pending.Pending(ctx, caller.Tenant, id)
	}
	switch {
	case err != nil:
		return Operation{}, err
	case !found:
		return Operation{}, notFound("operation")
	case operation.Status == Pending && s.now().Sub(operation.AcceptedAt) > CommandsKept:
		operation.Status = Expired
	}
	operation.Document = nil
	return operation, nil
}

// Get returns a live contact, or an [Error] of [KindNotFound] or [KindUnavailable].
func (s *Service) Get(ctx context.Context, caller Caller, id uuid.UUID) (Document, error) {
	document, err := s.repository.Document(ctx, caller.Tenant, id)
	if err != nil {
		return Document{}, err
	}
	if document.State != Live {
		return Document{}, notFound("contact")
	}
	return document, nil
}

// The bounds of a page's length.
const (
	DefaultPage = 50
	MaxPage     = 500
	// MaxPageBytes is how many bytes the documents of a page have: one ends with the document
	// that reaches it. So a process can have many readers, however large the contacts are.
	MaxPageBytes = 256 << 10
)

// Page is a part of a list.
type Page struct {
	Items []Document
	Next  string // the cursor of the next page; "" on the last one
	Count *Count // of the whole list; nil unless asked for
}

// List returns a page of the caller's live contacts, those that the filter lets through in its
// order: at most limit, from after the cursor on, which is a Page's Next or "" to begin. Only
// a page without a Next is the last one, however few it has: it ends at [MaxPageBytes], and
// parts of one or two characters are looked for in so many contacts at a time. A contact that
// is there the whole time, and whose place in the order does not change, appears once however
// many others come and go meanwhile. It returns an [Error] of [KindInvalid] or
// [KindUnavailable].
func (s *Service) List(ctx context.Context, caller Caller, filter Filter, limit int, cursor string) (Page, error) {
	if limit < 1 || limit > MaxPage {
		return Page{}, invalid(Violation{Pointer: "limit", Message: fmt.Sprintf("expected 1 to %d", MaxPage)})
	}
	query, err := filter.query(s.region)
	if err != nil {
		return Page{}, err
	}
	if query.After, err = decodeCursor(query.Sort, cursor); err != nil {
		return Page{}, err
	}
	query.Limit = limit
	listing, err := s.repository.List(ctx, caller.Tenant, query)
	if err != nil {
		return Page{}, err
	}
	var page Page
	if filter.Count {
		count, err := s.repository.Count(ctx, caller.Tenant, query)
		if err != nil {
			return Page{}, err
		}
		page.Count = &count
	}
	if listing.Rest != nil {
		if page.Next, err = encodeCursor(query.Sort, *listing.Rest); err != nil {
			return Page{}, err
		}
	}
	for _, item := range listing.Items {
		page.Items = append(page.Items, item.Document)
	}
	return page, nil
}
