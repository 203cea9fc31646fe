package sqlstore

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"
	driver "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// openStore returns a store on a database of its own, which ends with the test.
func openStore(t *testing.T, engine database.Engine) *Store {
	t.Helper()
	return openStoreAt(t, databasetest.Migrated(t, engine))
}

// openStoreAt returns a store on the database that a URL names.
func openStoreAt(t *testing.T, address string) *Store {
	t.Helper()
	db, err := database.Open(t.Context(), address)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return New(db)
}

// execute executes statements as the role that a URL names.
func execute(t *testing.T, address string, statements ...string) {
	t.Helper()
	db := openStoreAt(t, address).db
	for _, statement := range statements {
		require.NoError(t, db.Write.Exec(statement).Error, statement)
	}
}

// hook is given each statement of a store before it is executed, on the pool or in the
// transaction that it is for, and returns what is executed instead.
type hook func(pool gorm.ConnPool, query string, args []any) string

// hookedStore returns a store on the PostgreSQL database that a URL names, with a hook.
func hookedStore(t *testing.T, address string, on hook) *Store {
	t.Helper()
	s := openStoreAt(t, address)
	db, err := gorm.Open(driver.New(driver.Config{Conn: hooked{s.db.Read.Statement.ConnPool, on}}),
		&gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true, DisableAutomaticPing: true})
	require.NoError(t, err)
	return New(&database.DB{Engine: database.Postgres, Read: db, Write: db})
}

type hooked struct {
	gorm.ConnPool
	on hook
}

func (h hooked) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return h.ConnPool.ExecContext(ctx, h.on(h.ConnPool, query, args), args...)
}

func (h hooked) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return h.ConnPool.QueryContext(ctx, h.on(h.ConnPool, query, args), args...)
}

func (h hooked) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return h.ConnPool.QueryRowContext(ctx, h.on(h.ConnPool, query, args), args...)
}

// BeginTx implements gorm.ConnPoolBeginner.
func (h hooked) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := h.ConnPool.(gorm.ConnPoolBeginner).BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &hookedTx{hooked{tx, h.on}, tx.(gorm.TxCommitter)}, nil
}

type hookedTx struct {
	hooked
	gorm.TxCommitter
}

// eachStore runs the test on a store of each engine.
func eachStore(t *testing.T, test func(t *testing.T, store *Store)) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) { test(t, openStore(t, engine)) })
	}
}
