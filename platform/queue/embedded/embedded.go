// Package embedded is the [queue.Queue] in tables of a SQLite file, for a service that runs
// without a queue server.
//
// A group that has messages has one row, which knows the group's oldest message and the
// consumer that holds it. A receive claims groups whose turn it is, under a random token, and
// delivers their oldest messages: one message a group. A receipt is that token and the
// message's number; it works until the claim's deadline. Several processes may share the file.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"contacts/platform/queue"
)

// pollInterval is how often a waiting Receive looks for what this process cannot see happen:
// messages sent by other processes on the same file, and claims that run out.
const pollInterval = 200 * time.Millisecond

// Options says how to open the queue.
type Options struct {
	// Visibility is for how long a received message stays hidden. Zero means
	// [queue.DefaultVisibility].
	Visibility time.Duration
}

// Queue is an open embedded queue. Make it with [Open].
type Queue struct {
	write, read *gorm.DB
	visibility  time.Duration
	opened      time.Time // the queue's clock goes on from then

	operations chan *operation
	freed      bell
	closing    chan struct{}
	close      sync.Once
	writer     sync.WaitGroup
}

var _ queue.Queue = (*Queue)(nil)

// Open returns the queue in the SQLite file behind two handles, whose schema holds
// migrations/sqlite/000010_queue. The write handle is a pool of one connection, which others
// may use too, in WAL mode with synchronous=FULL (for Send to keep its promise) and with a
// busy timeout and immediate transactions (for other processes to take turns). The read handle
// only reads and sees what was committed. The caller closes the queue first, then the handles.
func Open(write, read *gorm.DB, options Options) *Queue {
	if options.Visibility <= 0 {
		options.Visibility = queue.DefaultVisibility
	}
	// gorm's log prints statements with their values: message bodies belong in no log.
	quiet := &gorm.Session{Logger: logger.Discard, NewDB: true}
	q := &Queue{
		write:      write.Session(quiet),
		read:       read.Session(quiet),
		visibility: options.Visibility,
		opened:     time.Now(),
		operations: make(chan *operation),
		freed:      bell{rung: make(chan struct{})},
		closing:    make(chan struct{}),
	}
	q.writer.Go(q.serve)
	return q
}

// now is the queue's time, in milliseconds since the epoch. It goes on from when the queue was
// opened, however the system's clock is set meanwhile: no claim lasts longer than it should.
func (q *Queue) now() int64 { return q.opened.Add(time.Since(q.opened)).UnixMilli() }

// ReleaseClaims has all messages delivered again that are claimed, by an earlier process, and
// takes back times that lie ahead: its clock may have been ahead of this one's. It is for a
// process that alone receives. It returns [queue.ErrUnavailable].
func (q *Queue) ReleaseClaims(ctx context.Context) error {
	return q.do(ctx, &operation{
		frees: true, unsure: queue.ErrUnavailable,
		apply: func(tx *gorm.DB, now int64) error {
			err := tx.Exec(releaseAllSQL, map[string]any{"now": now}).Error
			return errors.Join(err, tx.Exec(shortenSQL, map[string]any{"until": now + deduplication}).Error)
		},
	})
}

// Close finishes the transaction that is running and refuses everything else from then on with
// [queue.ErrUnavailable]. It may be called more than once.
func (q *Queue) Close() {
	q.close.Do(func() { close(q.closing) })
	q.writer.Wait()
}

// Stats implements [queue.Queue], with exact numbers. It takes time in proportion to the
// number of messages.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	var counts struct{ Total, InFlight int64 }
	if err := q.read.WithContext(ctx).Raw(countSQL, q.now()).Scan(&counts).Error; err != nil {
		return queue.Stats{}, unavailable(err)
	}
	return queue.Stats{Waiting: counts.Total - counts.InFlight, InFlight: counts.InFlight}, nil
}

// Age is how long ago the oldest message was accepted that is not deleted yet; 0 if there is
// none. It returns [queue.ErrUnavailable].
func (q *Queue) Age(ctx context.Context) (time.Duration, error) {
	var sent []int64
	if err := q.read.WithContext(ctx).Raw(oldestSQL).Scan(&sent).Error; err != nil {
		return 0, unavailable(err)
	}
	if len(sent) == 0 {
		return 0, nil
	}
	return max(time.Duration(q.now()-sent[0])*time.Millisecond, 0), nil
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
}

// bell wakes all listeners.
type bell struct {
	mu   sync.Mutex
	rung chan struct{}
}

// listen returns a channel that is closed when the bell rings next.
func (b *bell) listen() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}
