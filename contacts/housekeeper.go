package contacts

import (
	"context"
	"log/slog"
	"time"
)

// How long the past is kept. An operation outlives every message that might carry its command again: a queue keeps it for 14
// days, a dead-letter queue for as long once more, and so does a queue to which it is redriven. A tombstone outlives the
// operations of its contact.
const (
	OperationsKept = 60 * 24 * time.Hour
	ChangesKept    = 90 * 24 * time.Hour
	TombstonesKept = 90 * 24 * time.Hour
)

// Housekeeping is what a store needs to have done now and then. Each method does a part, and returns how many rows that were
// of; 0 means that there is nothing left to do. Purge and Reindex do limit rows of a kind at the most.
type Housekeeping interface {
	// Purge removes operations that ended more than [OperationsKept] before now, changes older than [ChangesKept], and
	// tombstones, and marks of erasures, older than [TombstonesKept].
	Purge(ctx context.Context, now time.Time, limit int) (done int64, err error)

	// Reindex has live contacts found by what [Contact.Index] gives now, where they were indexed by an older [IndexVersion].
	// It changes nothing that readers of a contact see.
	Reindex(ctx context.Context, limit int) (done int64, err error)

	// Scrub removes what a database keeps of rows beyond their end, where it does not do so by itself: from its log, and, of
	// erased contacts, from parts of an index that wait to be merged.
	Scrub(ctx context.Context) (done int64, err error)
}

const (
	cleanEvery  = time.Hour
	cleanAtOnce = 500 // so that no transaction is long
)

// Housekeeper looks after a store. Every worker may run one.
type Housekeeper struct {
	store Housekeeping
	log   *slog.Logger
	now   func() time.Time
}

// NewHousekeeper returns a housekeeper. now is the clock; time.Now where nil.
func NewHousekeeper(store Housekeeping, log *slog.Logger, now func() time.Time) *Housekeeper {
	if now == nil {
		now = time.Now
	}
	return &Housekeeper{store, log, now}
}

// Run does what there is to do now and every hour, until ctx ends. What fails is tried again the next time.
func (h *Housekeeper) Run(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		h.do(ctx, "old operations, changes and tombstones purged", func() (int64, error) {
			return h.store.Purge(ctx, h.now(), cleanAtOnce)
		})
		h.do(ctx, "contacts of an older version indexed anew", func() (int64, error) {
			return h.store.Reindex(ctx, cleanAtOnce)
		})
		h.do(ctx, "remains of erased contacts removed", func() (int64, error) { return h.store.Scrub(ctx) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// do has a chore done, a part at a time, until nothing of it is left.
func (h *Housekeeper) do(ctx context.Context, what string, part func() (int64, error)) {
	var total int64
	for ctx.Err() == nil {
		done, err := part()
		total += done
		if err != nil && ctx.Err() == nil {
			h.log.WarnContext(ctx, "housekeeping failed; it is tried again in an hour", "chore", what, "error", err)
		}
		if err != nil || done == 0 {
			break
		}
	}
	if total > 0 {
		h.log.InfoContext(ctx, "housekeeping done", "chore", what, "rows", total)
	}
}
