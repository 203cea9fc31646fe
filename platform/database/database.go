// Package database opens PostgreSQL and SQLite under gorm, keeps their schema, and sorts their
// errors. It knows no table.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Engine is a kind of database. Its value is the scheme of the database's URL.
type Engine string

// The engines.
const (
	Postgres Engine = "postgres"
	SQLite   Engine = "sqlite"
)

// EngineOf returns the engine that a database's URL names: postgres://…, or sqlite:// and a
// file's path.
func EngineOf(url string) (Engine, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	switch {
	case (scheme == "postgres" || scheme == "postgresql") && rest != "":
		return Postgres, nil
	case scheme == "sqlite" && rest != "":
		return SQLite, nil
	}
	return "", errors.New("expected postgres://… or sqlite:// and a file's path")
}

// Check reports what is wrong with a database's URL, without connecting. The URL's password is
// in no error.
func Check(url string) error {
	engine, err := EngineOf(url)
	if err == nil && engine == Postgres {
		_, err = postgresConfig(url)
	}
	return err
}

// DB is an open database. Write is for what changes data. Read is for what only reads, and
// sees every transaction that was committed before. On PostgreSQL they are one pool; on SQLite
// Write is a single connection, so that writers queue here and not in the file's lock.
type DB struct {
	Engine Engine
	Write  *gorm.DB
	Read   *gorm.DB
	pools  []*sql.DB
	file   *file // SQLite's
}

// Option changes how a database is opened.
type Option func(*options)

type options struct {
	maxConnections int // 0: as many as the engine's adapter likes
	log            *slog.Logger
}

// MaxConnections bounds how many connections there are at the same time; on SQLite, how many
// that read.
func MaxConnections(n int) Option { return func(o *options) { o.maxConnections = n } }

// Log gets what an operator has to know of a SQLite file that was lost; slog.Default() unless
// told otherwise.
func Log(log *slog.Logger) Option { return func(o *options) { o.log = log } }

// Open opens the database that url names and checks that it answers. A SQLite file is created
// when it is not there. The URL's password is in no error.
func Open(ctx context.Context, url string, choices ...Option) (*DB, error) {
	engine, err := EngineOf(url)
	if err != nil {
		return nil, err
	}
	o := options{log: slog.Default()}
	for _, choose := range choices {
		choose(&o)
	}
	if engine == Postgres {
		return openPostgres(ctx, url, o)
	}
	return openSQLite(ctx, filePath(url), o)
}

// Pools returns the pools of connections by their names, for what measures them.
func (db *DB) Pools() map[string]*sql.DB {
	if db.Engine == Postgres {
		return map[string]*sql.DB{"main": db.pools[0]}
	}
	return map[string]*sql.DB{"write": db.pools[0], "read": db.pools[1]}
}

// Readers is how many connections can read at the same time.
func (db *DB) Readers() int { return db.pools[len(db.pools)-1].Stats().MaxOpenConnections }

// Ping reports whether the database answers and, on SQLite, whether it can be written to: it
// returns [ErrFileLost] where the file is not there any more.
func (db *DB) Ping(ctx context.Context) error {
	if db.file != nil {
		if err := db.file.check(ctx); err != nil {
			return err
		}
	}
	for _, pool := range db.pools {
		if err := pool.PingContext(ctx); err != nil {
			return fmt.Errorf("ask the database: %w", err)
		}
	}
	if db.file != nil {
		return db.file.writable(ctx)
	}
	return nil
}

// Close closes the database; running statements end first, and so does the copy of a lost
// file.
func (db *DB) Close() error {
	if db.file != nil {
		db.file.close()
	}
	var errs []error
	for _, pool := range db.pools {
		errs = append(errs, pool.Close())
	}
	if db.file != nil {
		errs = append(errs, db.file.putAway())
	}
	return errors.Join(errs...)
}

// newGorm puts gorm over a pool. gorm's own log is off: it would print statements with the
// data in them.
func newGorm(dialector gorm.Dialector) (*gorm.DB, error) {
	return gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard,
		SkipDefaultTransaction: true, // callers say where a transaction begins and ends
		DisableAutomaticPing:   true,
	})
}
