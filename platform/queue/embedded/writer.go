package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"gorm.io/gorm"

	"contacts/platform/database"
	"contacts/platform/queue"
)

const (
	// maxGathered bounds how many operations share a transaction, and by that how long the
	// first one waits.
	maxGathered = 256
	// maxSwept bounds how many expired deduplication ids a transaction removes: more than it
	// can add.
	maxSwept = 2 * maxGathered
)

// errClosed is why a closed queue is unavailable.
var errClosed = errors.New("it was closed")

// operation is a change that one caller waits for.
type operation struct {
	// apply makes the change, at the time now in milliseconds since the epoch. It may run
	// again after a rollback.
	apply func(tx *gorm.DB, now int64) error
	// frees says that the change can let messages be received.
	frees bool
	// unsure is the error, out of the port's, of a change whose commit failed.
	unsure error

	// claimed is set once, by the writer when it takes the operation up or by the caller when
	// it withdraws it.
	claimed atomic.Bool
	// done takes one error, and has room for it.
	done chan error
}

// do has the writer make a change and returns once it is durable. When ctx ends before the
// change is taken up, nothing happens; later it is waited for, which is a matter of
// milliseconds, so that its outcome is known.
func (q *Queue) do(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return unavailable(err)
	}
	op.done = make(chan error, 1)
	select {
	case q.operations <- op:
	case <-ctx.Done():
		return unavailable(ctx.Err())
	case <-q.closing:
		return unavailable(errClosed)
	}
	select {
	case err := <-op.done:
		return err
	case <-ctx.Done():
		if op.claimed.CompareAndSwap(false, true) {
			return unavailable(ctx.Err())
		}
		return <-op.done
	}
}

// serve makes the changes of all callers, one transaction after the other, until the queue is
// closed. What arrives while one is being synced to the disk shares the next one.
func (q *Queue) serve() {
	for {
		select {
		case first := <-q.operations:
			q.transact(func() []*operation { return q.gather(first) })
		case <-q.closing:
			return
		}
	}
}

// gather takes up first and all that is waiting right now.
func (q *Queue) gather(first *operation) []*operation {
	var batch []*operation
	take := func(op *operation) {
		if op.claimed.CompareAndSwap(false, true) {
			batch = append(batch, op)
		}
	}
	take(first)
	for len(batch) < maxGathered {
		select {
		case op := <-q.operations:
			take(op)
		default:
			return batch
		}
	}
	return batch
}

// transact makes the changes that gather returns in one transaction and answers their callers.
// It asks gather once it has the connection: a caller that came while it waited for that goes
// along. When a change fails, each is tried alone, so that it fails alone.
func (q *Queue) transact(gather func() []*operation) {
	tx := q.write.Begin()
	batch := gather()
	if tx.Error != nil {
		finish(batch, func(*operation) error { return unavailable(tx.Error) })
		return
	}
	if err := q.applyAll(tx, batch); err != nil {
		tx.Rollback() // Its own error says nothing more: the transaction is gone either way.
		if len(batch) == 1 {
			finish(batch, func(*operation) error { return unavailable(err) })
			return
		}
		for _, op := range batch {
			q.transact(func() []*operation { return []*operation{op} })
		}
		return
	}
	err := tx.Commit().Error
	finish(batch, func(op *operation) error {
		switch {
		case err == nil:
			return nil
		case database.Undone(err):
			return unavailable(fmt.Errorf("commit: %w", err))
		default:
			return fmt.Errorf("%w: commit: %w", op.unsure, err)
		}
	})
	for _, op := range batch {
		if op.frees {
			q.freed.ring()
			break
		}
	}
}

func (q *Queue) applyAll(tx *gorm.DB, batch []*operation) error {
	now := q.now()
	if err := tx.Exec(sweepSQL, now, maxSwept).Error; err != nil {
		return fmt.Errorf("sweep deduplication ids: %w", err)
	}
	for _, op := range batch {
		if err := op.apply(tx, now); err != nil {
			return err
		}
	}
	return nil
}

// finish answers the callers of a batch.
func finish(batch []*operation, outcome func(*operation) error) {
	for _, op := range batch {
		op.done <- outcome(op)
	}
}

// Send implements [queue.Queue].
func (q *Queue) Send(ctx context.Context, message queue.Message) error {
	if err := message.Validate(); err != nil {
		return err
	}
	return q.do(ctx, &operation{
		frees:  true,
		unsure: queue.ErrUncertain,
		apply:  func(tx *gorm.DB, now int64) error { return insert(tx, message, now) },
	})
}
