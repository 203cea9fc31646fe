package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go
)

// maxReaders is how many connections read a SQLite file at the same time, beside the one that
// writes.
const maxReaders = 8

// How long, in milliseconds, a connection waits for the locks of others, and for readers to
// have done before the log can be emptied, while no process writes.
const (
	busyTimeout  = 10_000
	emptyTimeout = 500
)

// filePath returns the file that a sqlite:// URL names: relative to the working directory, or
// absolute behind a third slash.
func filePath(databaseURL string) string { return strings.TrimPrefix(databaseURL, "sqlite://") }

func openSQLite(ctx context.Context, path string, o options) (*DB, error) {
	file, err := openFile(path, o.log)
	if err != nil {
		return nil, err
	}
	writer, err := sqlitePool(file, writing()...)
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	file.pool = writer
	go file.watch(context.WithoutCancel(ctx))
	db := &DB{Engine: SQLite, pools: []*sql.DB{writer}, file: file}
	if err := checkSQLite(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	reader, err := sqlitePool(file, "query_only(true)")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	reader.SetMaxOpenConns(maxReaders)
	reader.SetMaxIdleConns(maxReaders)
	if o.maxConnections > 0 {
		reader.SetMaxOpenConns(o.maxConnections)
	}
	db.pools = append(db.pools, reader)
	for _, handle := range []struct {
		pool gorm.ConnPool
		gorm **gorm.DB
	}{
		{&guardedPool{newTracedPool(writer, semconv.DBSystemNameSQLite), file}, &db.Write},
		{newTracedPool(reader, semconv.DBSystemNameSQLite), &db.Read},
	} {
		if *handle.gorm, err = newGorm(sqlite.New(sqlite.Config{Conn: handle.pool})); err != nil {
			return nil, errors.Join(fmt.Errorf("open gorm: %w", err), db.Close())
		}
	}
	return db, nil
}

// writing are the pragmas of connections that write. What was acknowledged has to survive a
// power cut, so every commit is synced. What was deleted is overwritten: it would stay in the
// file until its place is needed.
func writing() []string {
	return []string{"journal_mode(WAL)", "synchronous(FULL)", "secure_delete(true)"}
}

// sqlitePool returns a pool on the file.
func sqlitePool(file *file, pragmas ...string) (*sql.DB, error) {
	query := url.Values{
		"mode":    {"rw"}, // a file that has vanished is not made anew
		"_pragma": append([]string{fmt.Sprintf("busy_timeout(%d)", busyTimeout), "foreign_keys(true)"}, pragmas...),
		// A transaction that starts to write late could not get the lock; writers take it at
		// once.
		"_txlock": {"immediate"},
		// Fixed-offset text: it sorts as the times do.
		"_time_format": {"sqlite"},
		"_timezone":    {"UTC"},
	}
	dsn := "file:" + (&url.URL{Path: file.path}).EscapedPath() + "?" + query.Encode()
	// for the driver, as which modernc registers itself; it connects to nothing
	known, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", file.path, err)
	}
	return sql.OpenDB(connector{known.Driver(), dsn, file}), known.Close()
}

// EmptyLog moves what is in SQLite's write-ahead log into the database's file. The log would
// keep the pages that were written, and with them what is deleted by now, until others take
// their places. It returns an error where a reader is in the way for too long. On PostgreSQL,
// whose log is the server's, it does nothing.
func (db *DB) EmptyLog(ctx context.Context) error {
	if db.Engine != SQLite {
		return nil
	}
	return db.Write.WithContext(ctx).Connection(func(conn *gorm.DB) error {
		if err := conn.Exec(fmt.Sprintf("PRAGMA busy_timeout = %d", emptyTimeout)).Error; err != nil {
			return fmt.Errorf("empty the write-ahead log: %w", err)
		}
		var busy bool
		err := conn.Raw("PRAGMA wal_checkpoint(TRUNCATE)").Row().Scan(&busy, new(int), new(int))
		err = errors.Join(err, conn.WithContext(context.WithoutCancel(ctx)).Exec(fmt.Sprintf("PRAGMA busy_timeout = %d", busyTimeout)).Error)
		if err == nil && busy {
			err = errors.New("others are reading from it")
		}
		if err != nil {
			return fmt.Errorf("empty the write-ahead log: %w", err)
		}
		return nil
	})
}

// checkSQLite makes sure of what durability hangs on: a library without the WAL corruption bug
// that 3.51.3 mended, and synced commits.
func checkSQLite(ctx context.Context, writer *sql.DB) error {
	var version string
	var major, minor, patch, synchronous int
	if err := writer.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		return err
	}
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return fmt.Errorf("read SQLite's version %q: %w", version, err)
	}
	if number := major*1_000_000 + minor*1_000 + patch; number < 3_051_003 {
		return fmt.Errorf("SQLite %s may corrupt its write-ahead log: build with 3.51.3 or later", version)
	}
	if err := writer.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if synchronous != 2 {
		return fmt.Errorf("PRAGMA synchronous is %d, expected 2 (FULL): commits would not survive a power cut", synchronous)
	}
	return nil
}
