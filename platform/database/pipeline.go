package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"

	"contacts/platform/telemetry"
)

// setting is a PostgreSQL setting and its value.
type setting struct{ name, value string }

type settingsKey struct{}

// WithSetting returns a context under which every transaction that begins on PostgreSQL has
// the setting from its beginning to its end, as SET LOCAL would give it: policies of row-level
// security go by such settings. SQLite has no settings and ignores it.
func WithSetting(ctx context.Context, name, value string) context.Context {
	settings, _ := ctx.Value(settingsKey{}).([]setting)
	return context.WithValue(ctx, settingsKey{}, append(settings[:len(settings):len(settings)], setting{name, value}))
}

// postgresTx is a transaction on one connection. It begins with its first statement, in the
// same round trip, and one without a statement never begins.
type postgresTx struct {
	statements

	ctx      context.Context // for the beginning and the end
	conn     *sql.Conn
	begin    string // the statement
	settings []setting
	begun    bool
	ended    bool
}

var (
	_ gorm.TxCommitter = (*postgresTx)(nil)
	_ batcher          = (*postgresTx)(nil)
)

// postgresTxPool is a pool of connections whose transactions are postgresTx.
type postgresTxPool struct{ *tracedPool }

// BeginTx implements [gorm.ConnPoolBeginner].
func (p postgresTxPool) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	conn, err := p.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	t := &postgresTx{statements: statements{ConnPool: conn, system: p.system}, ctx: ctx, conn: conn, begin: beginStatement(options)}
	t.settings, _ = ctx.Value(settingsKey{}).([]setting)
	if telemetry.Recorded(ctx) {
		t.ctx, t.within = telemetry.Child(ctx, "transaction", trace.SpanKindInternal, p.system)
	}
	return t, nil
}

// beginStatement returns the statement that begins a transaction.
func beginStatement(options *sql.TxOptions) string {
	begin := "BEGIN"
	if options == nil {
		return begin
	}
	if options.Isolation != sql.LevelDefault {
		begin += " ISOLATION LEVEL " + strings.ToUpper(options.Isolation.String())
	}
	if options.ReadOnly {
		begin += " READ ONLY"
	}
	return begin
}

// ExecContext implements [gorm.ConnPool].
func (t *postgresTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := t.ensureBegun(ctx); err != nil {
		return nil, err
	}
	return t.statements.ExecContext(ctx, query, args...)
}

// QueryContext implements [gorm.ConnPool].
func (t *postgresTx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.ensureBegun(ctx); err != nil {
		return nil, err
	}
	return t.statements.QueryContext(ctx, query, args...)
}

// QueryRowContext implements [gorm.ConnPool].
func (t *postgresTx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := t.ensureBegun(ctx); err != nil {
		// a row can only be made by a query that fails
		ended, cancel := context.WithCancelCause(ctx)
		cancel(err)
		ctx = ended
	}
	return t.statements.QueryRowContext(ctx, query, args...)
}

func (t *postgresTx) ensureBegun(ctx context.Context) error {
	if t.begun {
		return nil
	}
	return t.sendBatch(ctx, nil, false)
}

// sendBatch implements [batcher]. A single statement that is a transaction of its own needs
// neither BEGIN nor COMMIT: what is sent together is one.
func (t *postgresTx) sendBatch(ctx context.Context, batch []statement, last bool) error {
	alone := last && !t.begun && len(batch) == 1
	var all []statement
	if !t.begun {
		if !alone {
			all = append(all, statement{query: t.begin})
		}
		all = append(all, settingStatements(t.settings)...)
	}
	all = append(all, batch...)
	if last && !alone {
		all = append(all, statement{query: commitStatement})
	}
	t.begun = true
	err := t.raw(func(conn *pgx.Conn) error { return t.pipeline(ctx, conn, all) })
	t.ended = last && err == nil
	return err
}

// settingStatements returns the statement that makes the settings of a transaction.
func settingStatements(settings []setting) []statement {
	if len(settings) == 0 {
		return nil
	}
	calls := make([]string, len(settings))
	args := make([]any, 0, 2*len(settings))
	for i, s := range settings {
		calls[i] = fmt.Sprintf("set_config($%d, $%d, true)", 2*i+1, 2*i+2)
		args = append(args, s.name, s.value)
	}
	return []statement{{query: "SELECT " + strings.Join(calls, ", "), args: args}}
}

// pipeline sends statements together, and then reads their results.
func (t *postgresTx) pipeline(ctx context.Context, conn *pgx.Conn, all []statement) error {
	var batch pgx.Batch
	ends := make([]func(error), len(all))
	for i, s := range all {
		batch.Queue(s.query, binaryIDs(s.args)...)
		_, ends[i] = t.statements.begin(ctx, s.query)
	}
	results := conn.SendBatch(ctx, &batch)
	var failed error
	for i, s := range all {
		if failed == nil {
			failed = s.result(results)
		}
		ends[i](failed)
	}
	if err := results.Close(); failed == nil {
		failed = err
	}
	return failed
}

// result reads the result of the statement, which is the next one of results.
func (s statement) result(results pgx.BatchResults) error {
	if s.read == nil {
		tag, err := results.Exec()
		switch {
		case err != nil:
			return err
		case s.query == commitStatement && tag.String() == "ROLLBACK":
			return pgx.ErrTxCommitRollback
		case s.affected != nil:
			*s.affected += tag.RowsAffected()
		}
		return nil
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	if err := s.read(pgxRows{rows}); err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	rows.Close()
	return rows.Err()
}

// binaryIDs returns arguments with UUIDs in a type of which pgx knows that it is 16 bytes: by
// itself it would take them, and give them in [pgxRows], as texts.
func binaryIDs(args []any) []any {
	binary := make([]any, len(args))
	for i, arg := range args {
		if id, ok := arg.(uuid.UUID); ok {
			arg = [16]byte(id)
		}
		binary[i] = arg
	}
	return binary
}

type pgxRows struct{ pgx.Rows }

// Scan implements [Rows].
func (r pgxRows) Scan(dest ...any) error {
	for i, d := range dest {
		if id, ok := d.(*uuid.UUID); ok {
			dest[i] = (*[16]byte)(id)
		}
	}
	return r.Rows.Scan(dest...)
}

const commitStatement = "COMMIT"

// raw calls do with pgx' connection.
func (t *postgresTx) raw(do func(conn *pgx.Conn) error) error {
	return t.conn.Raw(func(conn any) error { return do(conn.(*stdlib.Conn).Conn()) })
}

// Commit implements [gorm.TxCommitter].
func (t *postgresTx) Commit() error {
	var err error
	if t.begun && !t.ended {
		err = t.raw(func(conn *pgx.Conn) error {
			return t.pipeline(t.ctx, conn, []statement{{query: commitStatement}})
		})
	}
	t.end(err)
	return err
}

// rollbackLimit is how long a rollback may take. A connection that does not manage is closed.
const rollbackLimit = 5 * time.Second

// Rollback implements [gorm.TxCommitter]. It does not end with the transaction's context.
func (t *postgresTx) Rollback() error {
	var err error
	if t.begun && !t.ended {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), rollbackLimit)
		defer cancel()
		err = t.raw(func(conn *pgx.Conn) error {
			if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
				return nil
			}
			_, end := t.statements.begin(ctx, "ROLLBACK")
			_, err := conn.Exec(ctx, "ROLLBACK")
			if end(err); err != nil {
				return errors.Join(err, conn.Close(ctx))
			}
			return nil
		})
	}
	t.end(errRolledBack)
	return err
}

// end gives the connection back and ends the span.
func (t *postgresTx) end(err error) {
	t.ended = true
	_ = t.conn.Close() // fails only if it was closed before
	if t.within == nil {
		return
	}
	if err != nil {
		telemetry.Fail(t.within, errorClass(err))
	}
	t.within.End()
}

func newPostgresPool(pool *sql.DB) postgresTxPool {
	return postgresTxPool{newTracedPool(pool, semconv.DBSystemNamePostgreSQL)}
}
