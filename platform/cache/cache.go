// Package cache is the port to a cache of versioned entries that never goes back in time, and
// to the message bus that lives beside it.
//
// Two adapters implement both ports: package redis (Redis 7, Valkey 8) and package memory
// (this process). Package cachetest holds the contract suites that both pass.
package cache

import (
	"context"
	"errors"
	"time"
)

// ErrUnavailable says that the cache could not be asked in time: what it holds is not known,
// and whether a write took effect is not known either. Compare with [errors.Is].
var ErrUnavailable = errors.New("cache unavailable")

// State says what an entry knows about its key.
type State byte

// The states of an entry.
const (
	// Live is an entry with a body.
	Live State = 'L'
	// Gone is a tombstone: the thing was deleted by Version.
	Gone State = 'G'
	// Absent says that the thing was not there at the last look-up. Its version is 0, so that
	// any write replaces it.
	Absent State = 'A'
	// Pending says that the write that makes Version is about to be committed, or was: until
	// its result is put, only the source can tell what is true. It keeps older versions, and
	// leases, from its key.
	Pending State = 'P'
)

// Entry is what the cache holds under a key.
type Entry struct {
	// Version is never negative.
	Version int64
	State   State
	// Body is opaque to the cache. Callers must not change it after handing it over or
	// receiving it.
	Body []byte
}

// Lease is the right to fill one key after a miss. The zero Lease is none.
type Lease string

// Item is an entry to write, under its key and for its time to live.
type Item struct {
	Key   string
	Entry Entry
	// TTL is at least a millisecond. What is less, zero included, counts as one.
	TTL time.Duration
}

// Cache holds versioned entries. All methods may be called concurrently, by any number of
// processes on one cache.
//
// What an implementation guarantees:
//
//   - Versions only grow: under one key, neither Put nor Fill ever replaces an entry by one of
//     a lower version, nor by one of the same version, but for a Pending one by the result of
//     its write. Add never replaces an entry.
//   - Leases: of the callers that miss a key at the same time, at most one gets a lease; it
//     ends by itself after [LeaseTTL]. Put and Add void the lease of their key, so that a
//     value read before a write can never be filled after it.
//   - Entries may vanish at any time.
type Cache interface {
	// Get returns the entry under key. On a miss it returns found == false, with a lease if
	// this caller may fill the key, and with the zero lease if another caller is about to. It
	// returns [ErrUnavailable].
	Get(ctx context.Context, key string) (entry Entry, found bool, lease Lease, err error)

	// Fill stores what was read from the source after a miss, if lease is still held and no
	// entry of the same or a higher version is there, and ends the lease. It reports whether
	// the entry was stored. It returns [ErrUnavailable].
	Fill(ctx context.Context, lease Lease, item Item) (stored bool, err error)

	// Put stores what a write is about to make (Pending), or has made, under each item's key,
	// unless the same or a higher version is there, and voids the key's lease in any case.
	// Items are independent of each other: when it returns [ErrUnavailable], any number of
	// them may have been stored.
	Put(ctx context.Context, items ...Item) error

	// Add stores the item unless its key has an entry, and returns the entry that the key then
	// has; added reports whether that is the item's. It voids the key's lease. When it returns
	// [ErrUnavailable], the item may have been stored.
	Add(ctx context.Context, item Item) (held Entry, added bool, err error)

	// RenewTrust says that until the given time the cache is in step with its source, for
	// readers that ask Trusted. A later time replaces an earlier one, and the other way round.
	// It returns [ErrUnavailable].
	RenewTrust(ctx context.Context, until time.Time) error

	// Trusted reports whether the cache is trusted now. It returns [ErrUnavailable].
	Trusted(ctx context.Context) (bool, error)

	// Ping reports whether the cache answers: nil or [ErrUnavailable].
	Ping(ctx context.Context) error
}

// LeaseTTL is how long a lease is held at the most. A fill that takes longer is not stored.
const LeaseTTL = 3 * time.Second

// Notice is a message on the bus.
type Notice struct {
	// Address names the receivers, as they gave it to Subscribe.
	Address string
	// Body is opaque to the bus. Neither the publisher nor the receivers may change it.
	Body []byte
}

// Bus carries short messages between processes, at most once: a notice is lost when no process
// listens or the connection fails, so that a waiting process must have another way to find
// out.
type Bus interface {
	// Publish sends the notices to the current subscribers of their addresses. It returns
	// [ErrUnavailable].
	Publish(ctx context.Context, notices ...Notice) error

	// Subscribe calls receive, one notice at a time, for every notice to address until ctx
	// ends, and returns then with ctx's error. It subscribes again by itself after a lost
	// connection; subscribed, unless nil, is called with true each time the subscription
	// stands and with false each time it was lost. Neither function may block, and neither is
	// called after Subscribe has returned.
	Subscribe(ctx context.Context, address string, receive func(body []byte), subscribed func(bool)) error
}
