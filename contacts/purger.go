package contacts

import (
	"context"
	"log/slog"
	"time"
)

// How long the past is kept. An operation outlives every message that might carry its command again, which a queue keeps
// for 14 days; a tombstone outlives the operations of its contact.
const (
	OperationsKept = 30 * 24 * time.Hour
	ChangesKept    = 90 * 24 * time.Hour
	TombstonesKept = 90 * 24 * time.Hour
)

// Archive is the past: ended operations, the versions that contacts had, and the tombstones of deleted ones.
type Archive interface {
	// Purge removes up to limit of each: operations that ended more than [OperationsKept] before now, changes older than
	// [ChangesKept], and tombstones older than [TombstonesKept]. It returns how many there were; 0 means that none is left.
	Purge(ctx context.Context, now time.Time, limit int) (removed int64, err error)
}

const (
	purgeEvery  = time.Hour
	purgeAtOnce = 500 // so that no transaction is long
)

// Purger removes what has been kept for long enough. Every worker may run one.
type Purger struct {
	archive Archive
	log     *slog.Logger
	now     func() time.Time
}

// NewPurger returns a purger. now is the clock; time.Now where nil.
func NewPurger(archive Archive, log *slog.Logger, now func() time.Time) *Purger {
	if now == nil {
		now = time.Now
	}
	return &Purger{archive, log, now}
}

// Run purges now and every hour, until ctx ends.
func (p *Purger) Run(ctx context.Context) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for ctx.Err() == nil {
		p.purge(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// purge removes all that is due, a part at a time. What fails is tried again the next time.
func (p *Purger) purge(ctx context.Context) {
	var total int64
	for ctx.Err() == nil {
		removed, err := p.archive.Purge(ctx, p.now(), purgeAtOnce)
		total += removed
		if err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "old operations, changes and tombstones not purged; trying again in an hour", "error", err)
		}
		if err != nil || removed == 0 {
			break
		}
	}
	if total > 0 {
		p.log.InfoContext(ctx, "old operations, changes and tombstones purged", "rows", total)
	}
}
