// Package cachestore puts a cache before the repository of contacts and a memory before the
// store of API keys, and carries the ends of operations over the bus.
package cachestore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/platform/cache"
)

// How long entries live. Writes replace them at once; the times bound what a lost write to the
// cache can cost.
const (
	// less up to a quarter, so that what was filled together does not end together
	liveTTL   = 10 * time.Minute
	goneTTL   = 10 * time.Minute
	absentTTL = 5 * time.Second
	// an expired operation is shown as such for as long again
	pendingTTL = 2 * contacts.CommandsKept

	// announcedTTL is longer than PostgreSQL lets a session stand idle within a transaction,
	// so that a commit cannot come after the mark has ended.
	announcedTTL = time.Minute
)

// Store is a repository behind a cache: it reads the cache, then the repository, and fills the
// cache with what it found. A caller that was told of a write reads that write or a later one,
// on every process. A cache that fails is passed by.
type Store struct {
	contacts.Repository
	cache   cache.Cache
	flights flights
	observe func(result string)
	trusted atomic.Pointer[time.Time] // until when; nil: always
}

var (
	_ contacts.Repository        = (*Store)(nil)
	_ contacts.Cache             = (*Store)(nil)
	_ contacts.PendingOperations = (*Store)(nil)
)

// New puts c before repository. observe, unless nil, is called with "hit", "miss", "pending",
// "doubted" or "error" for each look-up.
func New(repository contacts.Repository, c cache.Cache, observe func(result string)) *Store {
	if observe == nil {
		observe = func(string) {}
	}
	return &Store{Repository: repository, cache: c, observe: observe}
}

// Document implements [contacts.Repository]. Concurrent misses of one contact are answered by
// one query.
func (s *Store) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	document, found, lease := s.lookUp(ctx, tenant, id)
	if found {
		return document, nil
	}
	return s.flights.join(ctx, documentKey(tenant, id), func(ctx context.Context, waited bool) (contacts.Document, error) {
		if waited { // the flight before this one may have filled the cache
			if document, found, lease = s.lookUp(ctx, tenant, id); found {
				return document, nil
			}
		}
		document, err := s.Repository.Document(ctx, tenant, id)
		if err == nil && lease != "" {
			// A cache that cannot be filled costs the next reader a query.
			_, _ = s.cache.Fill(ctx, lease, newItem(document))
		}
		return document, err
	})
}

// lookUp asks the cache; a cache that fails has nothing.
func (s *Store) lookUp(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, bool, cache.Lease) {
	entry, found, lease, err := s.cache.Get(ctx, documentKey(tenant, id))
	switch {
	case err != nil:
		s.observe("error")
	case found && !s.Trusted():
		s.observe("doubted")
		return contacts.Document{}, false, ""
	case found && entry.State == cache.Pending:
		s.observe("pending")
	case found:
		s.observe("hit")
	default:
		s.observe("miss")
	}
	if !found || err != nil || entry.State == cache.Pending {
		return contacts.Document{}, false, lease
	}
	document := contacts.Document{Tenant: tenant, ID: id, Version: entry.Version}
	switch entry.State {
	case cache.Live:
		document.State, document.JSON = contacts.Live, entry.Body
	case cache.Gone:
		document.State = contacts.Gone
	case cache.Absent:
		document.State = contacts.Absent
	}
	return document, true, ""
}

// Announce implements [contacts.Cache].
func (s *Store) Announce(ctx context.Context, documents []contacts.Document, forgotten []contacts.OperationKey) error {
	items := make([]cache.Item, 0, len(documents)+len(forgotten))
	for _, document := range documents {
		items = append(items, cache.Item{
			Key:   documentKey(document.Tenant, document.ID),
			Entry: cache.Entry{Version: document.Version, State: cache.Pending},
			TTL:   announcedTTL,
		})
	}
	for _, operation := range forgotten {
		items = append(items, cache.Item{
			Key: operationKey(operation.Tenant, operation.ID), Entry: cache.Entry{Version: voidVersion, State: cache.Gone}, TTL: goneTTL,
		})
	}
	if err := s.cache.Put(ctx, items...); err != nil {
		return fmt.Errorf("%w: announce: %w", contacts.ErrCacheDown, err)
	}
	return nil
}

// RenewTrust implements [contacts.Cache].
func (s *Store) RenewTrust(ctx context.Context, until time.Time) error {
	return s.cache.RenewTrust(ctx, until)
}

// watchEvery is how often a watched cache is asked whether it is trusted.
const watchEvery = contacts.TrustTTL / 3

// Watch has the store trust its cache only as long as a worker renews the trust in it, and
// looks for that until ctx ends. A cache that processes share is to be watched; one that is in
// the process itself misses nothing.
func (s *Store) Watch(ctx context.Context) {
	s.trusted.Store(new(time.Time))
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		asked := time.Now()
		if trusted, err := s.cache.Trusted(ctx); err == nil && trusted {
			s.trusted.Store(new(asked.Add(contacts.TrustTTL)))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// Trusted reports whether what the cache has answered by now can be trusted.
func (s *Store) Trusted() bool {
	until := s.trusted.Load()
	return until == nil || time.Now().Before(*until)
}

// Refresh implements [contacts.Cache].
func (s *Store) Refresh(ctx context.Context, documents []contacts.Document) error {
	if len(documents) == 0 {
		return nil
	}
	items := make([]cache.Item, len(documents))
	for i, document := range documents {
		items[i] = newItem(document)
	}
	if err := s.cache.Put(ctx, items...); err != nil {
		return fmt.Errorf("refresh the cache: %w", err)
	}
	return nil
}

func newItem(document contacts.Document) cache.Item {
	item := cache.Item{Key: documentKey(document.Tenant, document.ID)}
	switch document.State {
	case contacts.Live:
		item.Entry = cache.Entry{Version: document.Version, State: cache.Live, Body: document.JSON}
		item.TTL = liveTTL - rand.N(liveTTL/4)
	case contacts.Gone:
		item.Entry = cache.Entry{Version: document.Version, State: cache.Gone}
		item.TTL = goneTTL
	case contacts.Absent:
		item.Entry = cache.Entry{State: cache.Absent}
		item.TTL = absentTTL
	}
	return item
}

// voidVersion is that of an operation whose request was forgotten: nothing replaces it. A
// record's own version is the time at which the operation was accepted, so that the latest one
// stays.
const voidVersion = math.MaxInt64

// Claim implements [contacts.PendingOperations]. Until it is noted, the record is
// [cache.Pending], so that Withdraw replaces this claim and nothing else.
func (s *Store) Claim(ctx context.Context, operation contacts.Operation) (contacts.Operation, error) {
	item, err := newRecord(operation, cache.Pending)
	if err != nil {
		return contacts.Operation{}, err
	}
	held, added, err := s.cache.Add(ctx, item)
	switch {
	case err != nil:
		return contacts.Operation{}, contacts.Unavailable("it cannot be told now whether this Idempotency-Key was used before: try again", err)
	case added:
		return operation, nil
	case len(held.Body) == 0:
		operation.Contact = uuid.Nil
		return operation, nil
	}
	return readRecord(held)
}

// Withdraw implements [contacts.PendingOperations].
func (s *Store) Withdraw(ctx context.Context, operation contacts.Operation) error {
	err := s.cache.Put(ctx, cache.Item{
		Key: operationKey(operation.Tenant, operation.ID),
		// it ends at once
		Entry: cache.Entry{Version: operation.AcceptedAt.UnixMicro(), State: cache.Gone},
	})
	if err != nil {
		return fmt.Errorf("withdraw operation %s: %w", operation.ID, err)
	}
	return nil
}

// Note implements [contacts.PendingOperations].
func (s *Store) Note(ctx context.Context, operation contacts.Operation) error {
	item, err := newRecord(operation, cache.Live)
	if err != nil {
		return err
	}
	if err := s.cache.Put(ctx, item); err != nil {
		return fmt.Errorf("note operation %s as pending: %w", operation.ID, err)
	}
	return nil
}

// Pending implements [contacts.PendingOperations].
func (s *Store) Pending(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	entry, found, _, err := s.cache.Get(ctx, operationKey(tenant, id))
	if err != nil || found && entry.Version == voidVersion {
		return contacts.Operation{}, false, contacts.Unavailable("it cannot be told now whether this operation is pending: try again", err)
	}
	if !found || len(entry.Body) == 0 {
		return contacts.Operation{}, false, nil
	}
	operation, err := readRecord(entry)
	operation.Fingerprint = ""
	return operation, err == nil, err
}

func newRecord(operation contacts.Operation, state cache.State) (cache.Item, error) {
	body, err := contacts.Encode(operation)
	if err != nil {
		return cache.Item{}, fmt.Errorf("encode operation %s: %w", operation.ID, err)
	}
	return cache.Item{
		Key:   operationKey(operation.Tenant, operation.ID),
		Entry: cache.Entry{Version: operation.AcceptedAt.UnixMicro(), State: state, Body: body},
		TTL:   pendingTTL,
	}, nil
}

func readRecord(entry cache.Entry) (operation contacts.Operation, err error) {
	if err := json.Unmarshal(entry.Body, &operation); err != nil {
		return contacts.Operation{}, fmt.Errorf("read the record of an operation: %w", err)
	}
	return operation, nil
}

func documentKey(tenant contacts.Tenant, id uuid.UUID) string {
	return "contact:" + string(tenant) + ":" + id.String()
}

func operationKey(tenant contacts.Tenant, id uuid.UUID) string {
	return "operation:" + string(tenant) + ":" + id.String()
}
