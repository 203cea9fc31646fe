package cachestore

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/platform/cache"
)

// Notices carries the ends of operations from workers to the API process that waits for them.
type Notices struct {
	bus     cache.Bus
	address string
	log     *slog.Logger

	mu      sync.Mutex
	waiting map[operation][]chan contacts.Operation
}

// operation names an operation within all tenants.
type operation struct {
	tenant contacts.Tenant
	id     uuid.UUID
}

var (
	_ contacts.Notices  = (*Notices)(nil)
	_ contacts.Outcomes = (*Notices)(nil)
)

// NewNotices returns the notices of this process, whose address is new. To get any, Listen has
// to run.
func NewNotices(bus cache.Bus, log *slog.Logger) *Notices {
	return &Notices{
		bus: bus, address: "notices:" + uuid.NewString(), log: log,
		waiting: map[operation][]chan contacts.Operation{},
	}
}

// Listen receives notices until ctx ends.
func (n *Notices) Listen(ctx context.Context) error {
	return n.bus.Subscribe(ctx, n.address, n.receive, func(standing bool) {
		if !standing {
			n.log.WarnContext(ctx, "no notices until the bus is back; the database is asked instead")
		}
	})
}

func (n *Notices) receive(body []byte) {
	var batch []contacts.Operation
	if err := json.Unmarshal(body, &batch); err != nil {
		n.log.Error("unreadable notice dropped; the database is asked instead")
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, ended := range batch {
		key := operation{ended.Tenant, ended.ID}
		for _, waiter := range n.waiting[key] {
			waiter <- ended // has room for the one
		}
		delete(n.waiting, key)
	}
}

// Address implements [contacts.Outcomes].
func (n *Notices) Address() string { return n.address }

// Expect implements [contacts.Outcomes]. Any number of callers may wait for one operation.
func (n *Notices) Expect(tenant contacts.Tenant, id uuid.UUID) (<-chan contacts.Operation, func()) {
	key, waiter := operation{tenant, id}, make(chan contacts.Operation, 1)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting[key] = append(n.waiting[key], waiter)
	return waiter, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		rest := n.waiting[key][:0]
		for _, other := range n.waiting[key] {
			if other != waiter {
				rest = append(rest, other)
			}
		}
		if n.waiting[key] = rest; len(rest) == 0 {
			delete(n.waiting, key)
		}
	}
}

// Notify implements [contacts.Notices]. What goes to one address goes in one message.
func (n *Notices) Notify(ctx context.Context, notices []contacts.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	batches := map[string][]contacts.Operation{}
	for _, notice := range notices {
		batches[notice.Address] = append(batches[notice.Address], notice.Operation)
	}
	var bodies []cache.Notice
	for address, batch := range batches {
		body, err := contacts.Encode(batch)
		if err != nil {
			return fmt.Errorf("encode the ends of %d operations: %w", len(batch), err)
		}
		bodies = append(bodies, cache.Notice{Address: address, Body: body})
	}
	if err := n.bus.Publish(ctx, bodies...); err != nil {
		return fmt.Errorf("notify waiting callers: %w", err)
	}
	return nil
}
