package database

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// Batch is statements that are executed in order. On PostgreSQL they travel together: a batch
// costs one round trip, in which a transaction also begins and, with [Batch.Commit], ends. The
// zero value is an empty batch.
type Batch struct{ statements []statement }

type statement struct {
	query    string
	args     []any
	read     func(Rows) error // nil: the statement returns no rows
	affected *int64           // nil: not counted
}

// Rows are the rows that a statement returns. They end with their reader.
type Rows interface {
	Next() bool
	Scan(dest ...any) error
	Err() error
}

// Query adds a statement that returns rows, for the engine as it is: parameters are $1 on
// PostgreSQL and ? on SQLite. read is called with its rows when the batch is sent; its error
// ends the batch.
func (b *Batch) Query(read func(Rows) error, query string, args ...any) {
	b.statements = append(b.statements, statement{query: query, args: args, read: read})
}

// Exec adds a statement that returns no rows. The number of rows that it affects is added to
// affected, unless that is nil.
func (b *Batch) Exec(affected *int64, query string, args ...any) {
	b.statements = append(b.statements, statement{query: query, args: args, affected: affected})
}

// Send executes the batch in the transaction of tx. With an error the transaction has to be
// undone.
func (b *Batch) Send(tx *gorm.DB) error { return b.send(tx, false) }

// Commit executes the batch as the last statements of the transaction of tx and, on
// PostgreSQL, commits with them.
func (b *Batch) Commit(tx *gorm.DB) error { return b.send(tx, true) }

// batcher is a transaction that sends a batch at once.
type batcher interface {
	sendBatch(ctx context.Context, statements []statement, last bool) error
}

func (b *Batch) send(tx *gorm.DB, last bool) error {
	ctx, pool := tx.Statement.Context, tx.Statement.ConnPool
	if transaction, ok := pool.(batcher); ok {
		return transaction.sendBatch(ctx, b.statements, last)
	}
	for _, s := range b.statements {
		if err := s.run(ctx, pool); err != nil {
			return err
		}
	}
	return nil
}

// run executes the statement alone.
func (s statement) run(ctx context.Context, pool gorm.ConnPool) (err error) {
	if s.read == nil {
		result, err := pool.ExecContext(ctx, s.query, s.args...)
		if err != nil || s.affected == nil {
			return err
		}
		count, err := result.RowsAffected()
		*s.affected += count
		return err
	}
	rows, err := pool.QueryContext(ctx, s.query, s.args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if err := s.read(rows); err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	return rows.Err()
}
