package main

import (
	"math/rand/v2"
	"sync"
)

// pool is the contacts that writers share, with the versions that they were told: a bounded
// number of living ones, so that writes of the same contact meet, and the last deleted ones.
type pool struct {
	mu     sync.Mutex
	living []known
	dead   []known
}

// known is what the callers know of a contact.
type known struct {
	contact string
	version int64
}

// How many contacts writers share.
const (
	maxLiving = 40
	maxDead   = 20
)

// add puts a new contact into the pool, in the place of any other where it is full.
func (p *pool) add(k known, random *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.living) < maxLiving {
		p.living = append(p.living, k)
	} else {
		p.living[random.IntN(maxLiving)] = k
	}
}

// learn notes a version of a contact.
func (p *pool) learn(k known) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.living {
		if p.living[i].contact == k.contact {
			p.living[i].version = max(p.living[i].version, k.version)
		}
	}
}

// bury moves a contact to the deleted ones.
func (p *pool) bury(contact string, random *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, k := range p.living {
		if k.contact != contact {
			continue
		}
		p.living = append(p.living[:i], p.living[i+1:]...)
		if len(p.dead) < maxDead {
			p.dead = append(p.dead, k)
		} else {
			p.dead[random.IntN(maxDead)] = k
		}
		return
	}
}

// pick returns one of the contacts, now and then a deleted one; found is false where there is
// none.
func (p *pool) pick(random *rand.Rand) (k known, found bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from := p.living
	if len(p.dead) > 0 && random.Float64() < 0.03 {
		from = p.dead
	}
	if len(from) == 0 {
		return known{}, false
	}
	return from[random.IntN(len(from))], true
}
