package cachestore

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/singleflight"

	"contacts/contacts"
)

// How long it is remembered what a look-up of an API key has found.
const (
	// keyFresh is how long the store is not asked again: a key can still be used for so long
	// after it was revoked.
	keyFresh = 5 * time.Second
	// keyTrusted is how long a key that was found can be used while the store cannot be asked.
	// Writes are to be accepted while the database is away, and a failover of a managed one
	// takes a minute or two; no key can be revoked then, either. But a replica may be the
	// only one that is cut off.
	keyTrusted = 3 * time.Minute
	// keyPatience is how long a caller waits for a slow database where that is so.
	keyPatience = 250 * time.Millisecond
	// keySilence is how long, after one has waited in vain, the others do not even begin to.
	keySilence = time.Second
	// keyLimit is how long a look-up may take.
	keyLimit = 2 * time.Second
)

// What others can use up by sending what is no key, however much of it: so much memory, and so
// many connections of the database. Keys that were found before have others.
const (
	maxUnknownKeys = 4096
	maxNewLookups  = 2
	maxKnownKeys   = 16384
	maxLookups     = 8
)

// Keys is a [contacts.KeyStore] that remembers in the process what look-ups have found,
// because every request makes one.
type Keys struct {
	contacts.KeyStore
	known    *otter.Cache[contacts.KeyHash, foundKey]
	unknown  *otter.Cache[contacts.KeyHash, time.Time] // when they were asked for
	lookups  singleflight.Group
	slots    chan struct{}
	newSlots chan struct{}
	silence  atomic.Pointer[silence]
	observe  func(result string)
}

// silence is the time after a look-up that had no answer, or none in time.
type silence struct {
	until time.Time // no caller waits for the store before
	slow  bool      // it may answer yet, so that it is asked
}

// foundKey is what a look-up has found, and when it was asked for.
type foundKey struct {
	key   contacts.APIKey
	asked time.Time
}

// NewKeys puts a memory before store. observe, unless nil, is called for each look-up: with
// "hit", with "miss" where the store was asked, with "stale" where it did not answer and did
// not have to, or else with "error".
func NewKeys(store contacts.KeyStore, observe func(result string)) *Keys {
	if observe == nil {
		observe = func(string) {}
	}
	k := &Keys{
		KeyStore: store,
		known:    otter.Must(&otter.Options[contacts.KeyHash, foundKey]{MaximumSize: maxKnownKeys}),
		unknown:  otter.Must(&otter.Options[contacts.KeyHash, time.Time]{MaximumSize: maxUnknownKeys}),
		slots:    make(chan struct{}, maxLookups),
		newSlots: make(chan struct{}, maxNewLookups),
		observe:  observe,
	}
	k.silence.Store(new(silence))
	return k
}

// APIKey implements [contacts.KeyStore]. What it returns is not older than [keyFresh] or,
// where the store does not answer, than [keyTrusted]. Concurrent look-ups of one key are one.
func (k *Keys) APIKey(ctx context.Context, hash contacts.KeyHash) (contacts.APIKey, bool, error) {
	now := time.Now()
	if asked, ok := k.unknown.GetIfPresent(hash); ok && now.Sub(asked) < keyFresh {
		k.observe("hit")
		return contacts.APIKey{}, false, nil
	}
	last, usable := k.known.GetIfPresent(hash)
	age, silent := now.Sub(last.asked), *k.silence.Load()
	usable = usable && age < keyTrusted
	switch {
	case usable && age < keyFresh:
		k.observe("hit")
		return last.key, true, nil
	case usable && now.Before(silent.until):
		if silent.slow {
			// for the next caller: a slow store tells of a revocation, too
			k.lookUp(ctx, hash, k.slots)
		}
		k.observe("stale")
		return last.key, true, nil
	}
	slots := k.newSlots
	var impatient <-chan time.Time // never
	slow := false
	if usable {
		slots = k.slots
		timer := time.NewTimer(keyPatience)
		defer timer.Stop()
		impatient = timer.C
	}
	select {
	case answer := <-k.lookUp(ctx, hash, slots):
		if answer.Err == nil {
			k.observe("miss")
			key, found := answer.Val.(contacts.APIKey)
			return key, found, nil
		}
		if !usable {
			k.observe("error")
			return contacts.APIKey{}, false, answer.Err
		}
	case <-impatient:
		slow = true
	case <-ctx.Done():
		return contacts.APIKey{}, false, ctx.Err()
	}
	k.silence.Store(&silence{time.Now().Add(keySilence), slow})
	k.observe("stale")
	return last.key, true, nil
}

// lookUp asks the store in one of the slots, and remembers what it answers. It sends a
// [contacts.APIKey], or nil where there is none.
func (k *Keys) lookUp(ctx context.Context, hash contacts.KeyHash, slots chan struct{}) <-chan singleflight.Result {
	ctx = context.WithoutCancel(ctx) // others may have come to wait for it
	return k.lookups.DoChan(string(hash[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, keyLimit)
		defer cancel()
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, contacts.Unavailable("credentials cannot be checked now: try again", errors.New("too many look-ups of API keys"))
		}
		asked := time.Now()
		key, found, err := k.KeyStore.APIKey(ctx, hash)
		switch {
		case err != nil:
			return nil, err
		case !found:
			k.known.Invalidate(hash)
			k.unknown.Set(hash, asked)
			return nil, nil
		}
		k.known.Set(hash, foundKey{key, asked})
		return key, nil
	})
}
