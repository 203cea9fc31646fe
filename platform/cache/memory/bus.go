package memory

import (
	"context"
	"slices"
	"sync"

	"contacts/platform/cache"
)

// bus hands notices over on the publisher's goroutine: nothing is queued, so
// nothing is lost or reordered.
type bus struct {
	mu            sync.RWMutex
	subscriptions map[string][]*subscription // by address; replaced, never changed in place
}

type subscription struct {
	mu      sync.Mutex // held while receive runs
	receive func(body []byte)
	ended   bool
}

// Publish implements [cache.Bus]. When it returns, every subscriber has received the notices.
func (b *bus) Publish(_ context.Context, notices ...cache.Notice) error {
	for _, notice := range notices {
		b.mu.RLock()
		subscriptions := b.subscriptions[notice.Address]
		b.mu.RUnlock()
		for _, s := range subscriptions {
			s.deliver(notice.Body)
		}
	}
	return nil
}

// Subscribe implements [cache.Bus]. A subscription in memory stands until ctx ends.
func (b *bus) Subscribe(
	ctx context.Context, address string, receive func(body []byte), subscribed func(bool),
) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s := &subscription{receive: receive}
	b.mu.Lock()
	b.subscriptions[address] = append(slices.Clip(b.subscriptions[address]), s)
	b.mu.Unlock()
	if subscribed != nil {
		subscribed(true)
	}
	<-ctx.Done()
	b.remove(address, s)
	s.end()
	return ctx.Err()
}

func (b *bus) remove(address string, s *subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(b.subscriptions[address]), func(other *subscription) bool { return other == s })
	if len(rest) == 0 {
		delete(b.subscriptions, address)
		return
	}
	b.subscriptions[address] = rest
}

func (s *subscription) deliver(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.receive(body)
	}
}

// end waits for a receive that is running and lets none start afterwards.
func (s *subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}
