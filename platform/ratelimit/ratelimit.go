// Package ratelimit is the port to limits of how often callers may ask: so many times at once,
// and so often in the long run.
//
// Two adapters implement it: package redis, whose limits all processes share, and package
// memory, whose limits are this process's own. Package ratelimittest holds the contract suite
// that both pass.
package ratelimit

import (
	"context"
	"time"
)

// Limit is how often a key may be taken: Burst times at once, and once an Interval in the long
// run.
type Limit struct {
	// Interval is in whole microseconds, and at least one.
	Interval time.Duration
	// Burst is at least 1.
	Burst int
}

// PerSecond returns the limit of so many times a second in the long run, from 1 to 1,000,000,
// and burst times at once.
func PerSecond(rate, burst int) Limit {
	return Limit{Interval: (time.Second / time.Duration(rate)).Truncate(time.Microsecond), Burst: burst}
}

// Window is how long it takes until a key that was taken as often as it may be at once may be
// again.
func (l Limit) Window() time.Duration { return time.Duration(l.Burst) * l.Interval }

// Decision is what a limiter says to one taking.
type Decision struct {
	Allowed   bool
	Remaining int           // how many more would be allowed now
	Wait      time.Duration // how long until one more would be: 0 if it is allowed
	Recovery  time.Duration // how long until as many would be as there can be at once
}

// Limiter counts takings. All methods may be called concurrently.
type Limiter interface {
	// Take takes the key once, if the limit allows it: what it does not allow counts for
	// nothing. Keys are independent, and one that was not taken for the limit's window is as
	// good as new. Every key is to be taken with the same limit always: where it changes, the
	// key may become as good as new. An error says that the limiter could not be asked:
	// whether the taking counts is not known.
	Take(ctx context.Context, key string, limit Limit) (Decision, error)
}

// Decide is the rule that all adapters follow, the generic cell rate algorithm: of each key
// they keep no more than the time until which its takings last, an interval each. ahead is by
// how much that time is ahead of now; next is by how much it is then. What is behind, or
// further ahead than the limit lets it be, is of another limit, or another clock, and counts
// as 0.
func (l Limit) Decide(ahead time.Duration) (d Decision, next time.Duration) {
	if ahead < 0 || ahead > l.Window() {
		ahead = 0
	}
	if d.Allowed = ahead+l.Interval <= l.Window(); d.Allowed {
		ahead += l.Interval
	} else {
		d.Wait = ahead + l.Interval - l.Window()
	}
	d.Remaining = int((l.Window() - ahead) / l.Interval)
	d.Recovery = ahead
	return d, ahead
}

// Fallback is the limiter that asks Shared, and where that cannot be asked, Local, with the
// same limit: callers are neither refused nor let through without limit because something else
// is away.
type Fallback struct{ Shared, Local Limiter }

// Take implements [Limiter].
func (f Fallback) Take(ctx context.Context, key string, limit Limit) (Decision, error) {
	decision, err := f.Shared.Take(ctx, key, limit)
	if err != nil {
		return f.Local.Take(ctx, key, limit)
	}
	return decision, nil
}
