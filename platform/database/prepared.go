package database

import (
	"context"
	"database/sql/driver"
	"errors"
)

// sqliteConn is what SQLite's connections are.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// maxPrepared is how many statements a connection keeps prepared. Texts that vary, as those
// with lists of values do, must not pile up.
const maxPrepared = 100

// preparingConn is a connection that keeps its statements prepared: SQLite takes longer to
// compile a small statement than to execute it. A connection is used by one caller at a time.
type preparingConn struct {
	sqliteConn

	prepared map[string]*preparedStatement
}

type preparedStatement struct {
	driver.Stmt

	reading bool // its rows are not closed yet: it cannot be executed again
}

var (
	_ driver.ExecerContext  = (*preparingConn)(nil)
	_ driver.QueryerContext = (*preparingConn)(nil)
)

// ExecContext implements [driver.ExecerContext].
func (c *preparingConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 { // a script, perhaps, or a pragma
		return c.sqliteConn.(driver.ExecerContext).ExecContext(ctx, query, args)
	}
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.(driver.ExecerContext).ExecContext(ctx, query, args)
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// QueryContext implements [driver.QueryerContext].
func (c *preparingConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.sqliteConn.(driver.QueryerContext).QueryContext(ctx, query, args)
	}
	rows, err := s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.reading = true
	return preparedRows{rows, s}, nil
}

// prepare returns the prepared statement, or nil while its rows are being read.
func (c *preparingConn) prepare(ctx context.Context, query string) (*preparedStatement, error) {
	if s, found := c.prepared[query]; found {
		if s.reading {
			return nil, nil //nolint:nilnil // it is there, and in use
		}
		return s, nil
	}
	if len(c.prepared) >= maxPrepared {
		c.forget()
	}
	made, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s := &preparedStatement{Stmt: made}
	c.prepared[query] = s
	return s, nil
}

// forget closes the statements that are not in use.
func (c *preparingConn) forget() {
	for query, s := range c.prepared {
		if !s.reading {
			_ = s.Close() // it reports an error of the last execution again
			delete(c.prepared, query)
		}
	}
}

// Close implements [driver.Conn].
func (c *preparingConn) Close() error {
	c.forget()
	return c.sqliteConn.Close()
}

// preparedRows are the rows of a prepared statement.
type preparedRows struct {
	driver.Rows

	statement *preparedStatement
}

// Close implements [driver.Rows].
func (r preparedRows) Close() error {
	r.statement.reading = false
	return r.Rows.Close()
}

// prepares returns the connection as one that keeps its statements prepared.
func prepares(conn driver.Conn) (driver.Conn, error) {
	plain, ok := conn.(sqliteConn)
	if !ok {
		return nil, errors.Join(errors.New("SQLite's driver lacks methods that were expected"), conn.Close())
	}
	return &preparingConn{plain, map[string]*preparedStatement{}}, nil
}
