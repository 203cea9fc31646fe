package contacts

import (
	"context"
	"log/slog"
	"time"
)

// How long the past is kept. An operation outlives every message that might carry its command
// again: a queue keeps it for 14 days, a dead-letter queue for as long once more, and so does
// a queue to which it is redriven. A tombstone outlives the operations of its contact.
const (
	OperationsKept = 60 * 24 * time.Hour
	ChangesKept    = 90 * 24 * time.Hour
	TombstonesKept = 90 * 24 * time.Hour
)

// Past is a kind of rows that are kept for a time.
type Past string

// The kinds of rows that are purged, of which each has a time: an operation's end, a change's,
// a contact's deletion, an erasure's.
const (
	PastOperations Past = "operations"
	PastChanges    Past = "changes"
	PastTombstones Past = "tombstones"
	PastErasures   Past = "erasures"
)

// Pasts returns all kinds, and for how long each is kept.
func Pasts() map[Past]time.Duration {
	return map[Past]time.Duration{
		PastOperations: OperationsKept, PastChanges: ChangesKept, PastTombstones: TombstonesKept, PastErasures: TombstonesKept,
	}
}

// Housekeeping is what a store needs to have done now and then. Purge, Reindex and Scrub do a
// part each, of limit rows at the most, and return how many rows that were; 0 means that there
// is nothing left to do.
type Housekeeping interface {
	// Overdue counts the rows of a kind that are older than before, and all rows of the kind.
	Overdue(ctx context.Context, kind Past, before time.Time) (due, all int64, err error)

	// Purge removes the oldest rows of a kind that are older than before.
	Purge(ctx context.Context, kind Past, before time.Time, limit int) (done int64, err error)

	// Reindex has live contacts found by what [Contact.Index] gives now, where they are marked
	// as to be reindexed. It changes nothing that readers of a contact see.
	Reindex(ctx context.Context, limit int) (done int64, err error)

	// Scrub removes what a database keeps of rows beyond their end, where it does not do so by
	// itself: from its log, and, of erased contacts, from parts of an index that wait to be
	// merged.
	Scrub(ctx context.Context) (done int64, err error)
}

const (
	cleanEvery  = time.Hour
	cleanAtOnce = 500 // so that no transaction is long
	// reindexAtOnce contacts are locked while they are indexed anew: a write of one of them
	// waits.
	reindexAtOnce = 50
	// purgedShare is which part of a kind's rows is purged at a time, one in so many, unless
	// an operator confirms more. A clock that is wrong once costs no more than that; hour by
	// hour it is several times as much as falls due.
	purgedShare = 100
	// suspectShare is which part of a kind's rows is worth a warning when it is due at once,
	// one in so many.
	suspectShare = 10
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

// Run does what there is to do now and every hour, until ctx ends. What fails is tried again
// the next time.
func (h *Housekeeper) Run(ctx context.Context) {
	ticker := time.NewTicker(cleanEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		h.purgeShares(ctx)
		h.do(ctx, "contacts of an older version indexed anew", func() (int64, error) {
			return h.store.Reindex(ctx, reindexAtOnce)
		})
		h.do(ctx, "remains of erased contacts removed", func() (int64, error) { return h.store.Scrub(ctx) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// purgeShares purges what is due, but of each kind no more than its share.
func (h *Housekeeper) purgeShares(ctx context.Context) {
	for kind, kept := range Pasts() {
		before := h.now().Add(-kept)
		due, all, err := h.store.Overdue(ctx, kind, before)
		if err != nil {
			if ctx.Err() == nil {
				h.log.WarnContext(ctx, "housekeeping failed; it is tried again in an hour", "chore", "count old "+string(kind), "error", err)
			}
			continue
		}
		left := min(due, (all+purgedShare-1)/purgedShare)
		if left < due && due > all/suspectShare { // a few rows of a small store may wait
			h.log.WarnContext(ctx, "more is due to be purged than may be at a time; if the clock is right, `contacts worker purge --confirm` removes the rest",
				"kind", kind, "due", due, "all", all, "removed", left, "before", before)
		}
		h.do(ctx, "old "+string(kind)+" purged", func() (int64, error) {
			if left == 0 {
				return 0, nil
			}
			done, err := h.store.Purge(ctx, kind, before, int(min(left, cleanAtOnce)))
			left -= done
			return done, err
		})
	}
}

// Overdue counts what is due to be purged by now. It returns an error of the store's.
func (h *Housekeeper) Overdue(ctx context.Context) (map[Past]int64, error) {
	overdue := map[Past]int64{}
	for kind, kept := range Pasts() {
		due, _, err := h.store.Overdue(ctx, kind, h.now().Add(-kept))
		if err != nil {
			return nil, err
		}
		overdue[kind] = due
	}
	return overdue, nil
}

// PurgeAll purges all that is due by now, as an operator has confirmed, and returns how many
// rows that were. It returns an error of the store's.
func (h *Housekeeper) PurgeAll(ctx context.Context) (removed int64, err error) {
	for kind, kept := range Pasts() {
		before := h.now().Add(-kept)
		for done := int64(1); done > 0; removed += done {
			if done, err = h.store.Purge(ctx, kind, before, cleanAtOnce); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
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
