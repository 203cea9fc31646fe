package cachestore

import (
	"context"
	"sync"
	"time"

	"contacts/contacts"
)

// flights collapses concurrent queries for one key. Unlike the usual singleflight, a caller
// never shares a query that began before it came: that one may have read the state from before
// a write that the caller was already told of. A caller that comes while a query runs waits
// for the next one, and shares that.
//
// The zero flights are ready to use.
type flights struct {
	mu   sync.Mutex
	keys map[string]*lane
}

// lane is the queries for one key: the one that runs, and the one that waits for it, nil if
// no caller does.
type lane struct {
	next *flight
}

type flight struct {
	landed   chan struct{}
	document contacts.Document
	err      error
}

// queryLimit bounds a shared query, which does not end with any one of its callers.
const queryLimit = 10 * time.Second

// join answers by a query that begins after the call: at once if none for key is running,
// which is told to it by waited == false. It returns ctx's error if that ends first.
func (f *flights) join(
	ctx context.Context, key string, query func(ctx context.Context, waited bool) (contacts.Document, error),
) (contacts.Document, error) {
	f.mu.Lock()
	if f.keys == nil {
		f.keys = map[string]*lane{}
	}
	at, running := f.keys[key]
	var mine *flight
	if !running {
		mine = &flight{landed: make(chan struct{})}
		at = &lane{}
		f.keys[key] = at
	} else {
		if at.next == nil {
			at.next = &flight{landed: make(chan struct{})}
		}
		mine = at.next
	}
	f.mu.Unlock()
	if !running {
		go f.fly(context.WithoutCancel(ctx), key, at, mine, query)
	}
	select {
	case <-mine.landed:
		return mine.document, mine.err
	case <-ctx.Done():
		return contacts.Document{}, ctx.Err()
	}
}

// fly runs the first flight of a lane and those that come to wait meanwhile.
func (f *flights) fly(
	ctx context.Context, key string, at *lane, current *flight,
	query func(ctx context.Context, waited bool) (contacts.Document, error),
) {
	for waited := false; current != nil; waited = true {
		limited, cancel := context.WithTimeout(ctx, queryLimit)
		current.document, current.err = query(limited, waited)
		cancel()
		close(current.landed)
		f.mu.Lock()
		if current, at.next = at.next, nil; current == nil {
			delete(f.keys, key)
		}
		f.mu.Unlock()
	}
}
