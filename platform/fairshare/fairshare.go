// Package fairshare divides a capacity among callers, so that none of them, and no tenant with
// many, keeps out the others.
//
// The rule is that of dynamic thresholds with a factor of 1 (A. Choudhury and E. Hahne,
// "Dynamic queue length thresholds for shared-memory packet switches", 1998), applied to
// callers and their tenants: what a caller and its tenant hold already, and what the caller
// asks for, may together be no more than what is free. So a tenant gets at most half of the
// capacity, and a caller at most a third. The more tenants there are, the less each gets, and
// a small part stays free for the next one. What a caller holds is never taken from it.
package fairshare

import (
	"container/list"
	"context"
	"sync"
)

// Holder is a caller of a tenant. The zero Holder stands for callers that
// are not told apart; it may hold the whole capacity.
type Holder struct{ Tenant, Caller string }

// Pool is a capacity that is shared. Make it with [New]. All methods may be called
// concurrently.
type Pool struct {
	mu       sync.Mutex
	capacity int64
	used     int64
	tenants  map[string]int64
	callers  map[Holder]int64
	waiting  list.List // of *waiter, the longest waiting first
}

type waiter struct {
	holder Holder
	weight int64
	ready  chan struct{}
}

// New returns a pool of a capacity, which is at least 1.
func New(capacity int64) *Pool {
	return &Pool{capacity: capacity, tenants: map[string]int64{}, callers: map[Holder]int64{}}
}

// TryAcquire takes a weight, from 1 to the capacity, for a holder. It reports false where the
// holder has its share already, or too little is free. The caller calls release once, when it
// needs it no more.
func (p *Pool) TryAcquire(holder Holder, weight int64) (release func(), ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.allows(holder, weight) {
		return nil, false
	}
	return p.take(holder, weight), true
}

// Acquire is TryAcquire, but waits until the holder may have the weight, or ctx ends, when it
// returns ctx's error. Of those that wait the first one is served that may be; those of one
// holder are served in their order.
func (p *Pool) Acquire(ctx context.Context, holder Holder, weight int64) (release func(), err error) {
	p.mu.Lock()
	w := &waiter{holder, weight, make(chan struct{})}
	place := p.waiting.PushBack(w)
	p.serve()
	p.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		select {
		case <-w.ready: // just now
		default:
			p.waiting.Remove(place)
			p.serve() // those that stood behind it
			return nil, ctx.Err()
		}
	}
	return p.releaser(holder, weight), nil
}

// Used is how much is taken now.
func (p *Pool) Used() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

func (p *Pool) allows(holder Holder, weight int64) bool {
	free := p.capacity - p.used
	if holder == (Holder{}) {
		return weight <= free
	}
	return p.callers[holder]+p.tenants[holder.Tenant]+weight <= free
}

func (p *Pool) take(holder Holder, weight int64) (release func()) {
	p.add(holder, weight)
	return p.releaser(holder, weight)
}

func (p *Pool) releaser(holder Holder, weight int64) func() {
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.add(holder, -weight)
		p.serve()
	}
}

func (p *Pool) add(holder Holder, weight int64) {
	p.used += weight
	if p.tenants[holder.Tenant] += weight; p.tenants[holder.Tenant] == 0 {
		delete(p.tenants, holder.Tenant)
	}
	if p.callers[holder] += weight; p.callers[holder] == 0 {
		delete(p.callers, holder)
	}
}

// serve gives those that wait what they may have.
func (p *Pool) serve() {
	var behind map[Holder]bool // those of which one goes on waiting
	for place := p.waiting.Front(); place != nil; {
		next, w := place.Next(), place.Value.(*waiter)
		switch {
		case behind[w.holder]:
		case p.allows(w.holder, w.weight):
			p.add(w.holder, w.weight)
			p.waiting.Remove(place)
			close(w.ready)
		default:
			if behind == nil {
				behind = map[Holder]bool{}
			}
			behind[w.holder] = true
		}
		place = next
	}
}
