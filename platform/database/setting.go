package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// setting is a PostgreSQL setting and its value.
type setting struct{ name, value string }

type settingKey struct{}

// WithSetting returns a context under which every transaction that is begun on PostgreSQL has the setting from its beginning to its
// end, as SET LOCAL would give it: what policies of row-level security go by. name is the program's own, as in "app.name"; value may
// be anything. SQLite has no settings, and ignores it.
func WithSetting(ctx context.Context, name, value string) context.Context {
	return context.WithValue(ctx, settingKey{}, setting{name, value})
}

// settingConnector makes connections that know of [WithSetting].
type settingConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c settingConnector) Connect(ctx context.Context) (driver.Conn, error) {
	connection, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return settingConn{connection.(*stdlib.Conn)}, nil
}

// settingConn sets what its context says in the message that begins the transaction: a statement for it would be one more round trip.
type settingConn struct{ *stdlib.Conn }

// BeginTx implements driver.ConnBeginTx.
func (c settingConn) BeginTx(ctx context.Context, options driver.TxOptions) (driver.Tx, error) {
	local, set := ctx.Value(settingKey{}).(setting)
	if !set {
		return c.Conn.BeginTx(ctx, options)
	}
	begin := "begin"
	if level := sql.IsolationLevel(options.Isolation); level != sql.LevelDefault {
		begin += " isolation level " + level.String()
	}
	if options.ReadOnly {
		begin += " read only"
	}
	pg := c.Conn.Conn()
	if pg.IsClosed() {
		return nil, driver.ErrBadConn
	}
	value, err := pg.PgConn().EscapeString(local.value)
	if err != nil {
		return nil, fmt.Errorf("begin a transaction with a setting: %w", err)
	}
	tx, err := pg.BeginTx(ctx, pgx.TxOptions{
		BeginQuery: fmt.Sprintf("%s; select set_config('%s', '%s', true)", begin, local.name, value),
	})
	if err != nil {
		return nil, err
	}
	return settingTx{ctx, tx}, nil
}

type settingTx struct {
	ctx context.Context
	tx  pgx.Tx
}

// Commit implements driver.Tx.
func (t settingTx) Commit() error { return t.tx.Commit(t.ctx) }

// Rollback implements driver.Tx.
func (t settingTx) Rollback() error { return t.tx.Rollback(t.ctx) }
