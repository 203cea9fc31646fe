package memory

import (
	"context"
	"time"

	"github.com/maypok86/otter/v2"

	"contacts/platform/ratelimit"
)

var _ ratelimit.Limiter = (*Limiter)(nil)

// DefaultMaxKeys is how many keys a limiter remembers unless told otherwise.
const DefaultMaxKeys = 10_000

// keptLonger is how long takings are remembered that last no more. A process that stands still
// in the middle of Take would else forget so much too early, and allow again what was taken.
const keptLonger = time.Second

// Limiter implements [ratelimit.Limiter] for a single process. It never fails, and remembers
// only so many keys at the same time: of more, some may be taken more often than their limit
// allows.
type Limiter struct {
	until *otter.Cache[string, time.Time] // until when a key's takings last
}

// NewLimiter returns a limiter of up to maxKeys keys; 0: [DefaultMaxKeys]. Close it after use.
func NewLimiter(maxKeys int) *Limiter {
	if maxKeys == 0 {
		maxKeys = DefaultMaxKeys
	}
	return &Limiter{until: otter.Must(&otter.Options[string, time.Time]{
		MaximumSize: maxKeys,
		ExpiryCalculator: otter.ExpiryWritingFunc(func(e otter.Entry[string, time.Time]) time.Duration {
			return time.Until(e.Value) + keptLonger
		}),
	})}
}

// Close stops the clean-up of expired keys. The limiter must not be used afterwards.
func (l *Limiter) Close() { l.until.StopAllGoroutines() }

// Take implements [ratelimit.Limiter].
func (l *Limiter) Take(_ context.Context, key string, limit ratelimit.Limit) (decision ratelimit.Decision, _ error) {
	l.until.Compute(key, func(until time.Time, _ bool) (time.Time, otter.ComputeOp) {
		now := time.Now()
		var next time.Duration
		if decision, next = limit.Decide(until.Sub(now)); !decision.Allowed {
			return until, otter.CancelOp
		}
		return now.Add(next), otter.WriteOp
	})
	return decision, nil
}
