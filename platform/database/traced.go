package database

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"gorm.io/gorm"
	"modernc.org/sqlite"

	"contacts/platform/telemetry"
)

// maxQueryText is how much of a statement a span holds: one that inserts many rows repeats
// itself.
const maxQueryText = 1000

// statements are what a pool or a transaction can run, each in a span below the one that its
// context belongs to. It is told without its values, which are people's data.
type statements struct {
	gorm.ConnPool

	system attribute.KeyValue
	within trace.Span // whose spans they are instead, if there is one
}

// tracedPool is a pool whose transactions are spans, too.
type tracedPool struct {
	statements

	pool *sql.DB
}

// tracedTx is a transaction in a span of its own.
type tracedTx struct {
	statements

	ctx context.Context // for the statements that are given none
	tx  *sql.Tx
}

var (
	_ gorm.ConnPoolBeginner = (*tracedPool)(nil)
	_ gorm.GetDBConnector   = (*tracedPool)(nil)
	_ gorm.TxCommitter      = (*tracedTx)(nil)
)

func newTracedPool(pool *sql.DB, system attribute.KeyValue) *tracedPool {
	return &tracedPool{statements{ConnPool: pool, system: system}, pool}
}

// GetDBConn implements [gorm.GetDBConnector].
func (p *tracedPool) GetDBConn() (*sql.DB, error) { return p.pool, nil }

// BeginTx implements [gorm.ConnPoolBeginner].
func (p *tracedPool) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	if !telemetry.Recorded(ctx) {
		return p.pool.BeginTx(ctx, options)
	}
	t := &tracedTx{statements: p.statements}
	t.ctx, t.within = telemetry.Child(ctx, "transaction", trace.SpanKindInternal, p.system)
	ctx, end := t.begin(ctx, "BEGIN")
	tx, err := p.pool.BeginTx(ctx, options)
	if end(err); err != nil {
		t.end(err)
		return nil, err
	}
	t.tx, t.ConnPool = tx, tx
	return t, nil
}

// Commit implements [gorm.TxCommitter].
func (t *tracedTx) Commit() error {
	_, end := t.begin(t.ctx, "COMMIT")
	err := t.tx.Commit()
	end(err)
	t.end(err)
	return err
}

// Rollback implements [gorm.TxCommitter].
func (t *tracedTx) Rollback() error {
	_, end := t.begin(t.ctx, "ROLLBACK")
	err := t.tx.Rollback()
	end(err)
	t.end(errRolledBack)
	return err
}

func (t *tracedTx) end(err error) {
	if err != nil {
		telemetry.Fail(t.within, errorClass(err))
	}
	t.within.End()
}

// ExecContext implements [gorm.ConnPool].
func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, end := s.begin(ctx, query)
	result, err := s.ConnPool.ExecContext(ctx, query, args...)
	end(err)
	return result, err
}

// QueryContext implements [gorm.ConnPool]. The span ends with the first row.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, end := s.begin(ctx, query)
	rows, err := s.ConnPool.QueryContext(ctx, query, args...)
	end(err)
	return rows, err
}

// QueryRowContext implements [gorm.ConnPool].
func (s *statements) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	ctx, end := s.begin(ctx, query)
	row := s.ConnPool.QueryRowContext(ctx, query, args...)
	end(row.Err())
	return row
}

// begin begins the span of a statement, which the returned function ends.
func (s *statements) begin(ctx context.Context, query string) (context.Context, func(error)) {
	if s.within != nil {
		ctx = trace.ContextWithSpan(ctx, s.within)
	}
	if !telemetry.Recorded(ctx) {
		return ctx, func(error) {}
	}
	// a letter may have been cut
	query = strings.ToValidUTF8(query[:min(len(query), maxQueryText)], "")
	name := summary(query)
	ctx, span := telemetry.Child(ctx, name, trace.SpanKindClient, s.system, semconv.DBQuerySummary(name), semconv.DBQueryText(query))
	return ctx, func(err error) {
		if err != nil {
			telemetry.Fail(span, errorClass(err))
		}
		span.End()
	}
}

// summary is what a statement does and to which tables, such as "SELECT contacts", or which
// function it calls: a name of which there are few.
func summary(query string) string {
	words := strings.Fields(query)
	if len(words) == 0 {
		return "statement"
	}
	parts := []string{strings.ToUpper(words[0])}
	for i, word := range words[:len(words)-1] {
		name, calls := leadingName(words[i+1])
		switch keyword := strings.ToUpper(word); {
		case keyword == "INTO", keyword == "UPDATE" && i == 0, (keyword == "FROM" || keyword == "JOIN") && !calls:
			if name != "" && !slices.Contains(parts, name) {
				parts = append(parts, name)
			}
		}
	}
	if len(parts) == 1 && len(words) > 1 {
		if name, calls := leadingName(words[1]); calls && name != "" {
			parts = append(parts, name)
		}
	}
	return strings.Join(parts, " ")
}

// leadingName returns the name that a word of a statement begins with, and whether that calls
// a function.
func leadingName(word string) (name string, calls bool) {
	word = strings.TrimLeft(word, "`\"")
	end := strings.IndexFunc(word, notOfName)
	if end < 0 {
		return word, false
	}
	return word[:end], word[end] == '('
}

func notOfName(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' }

// errRolledBack is why a transaction that was rolled back has failed; the statement that was
// to blame says more.
var errRolledBack = errors.New("rolled back")

// errorClass is the class of an error: the code that the database gave it, if it comes from
// there. What an error says may quote values.
func errorClass(err error) string {
	var postgresError *pgconn.PgError
	var sqliteError *sqlite.Error
	switch {
	case errors.Is(err, errRolledBack):
		return "rollback"
	case errors.As(err, &postgresError):
		return postgresError.Code
	case errors.As(err, &sqliteError):
		return strconv.Itoa(sqliteError.Code())
	default:
		return semconv.ErrorType(err).Value.AsString()
	}
}
