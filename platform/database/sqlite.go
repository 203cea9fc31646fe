package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go
)

// maxReaders is how many connections read a SQLite file at the same time, beside the one that writes.
const maxReaders = 8

// filePath returns the file that a sqlite:// URL names: relative to the working directory, or absolute behind a third
// slash.
func filePath(databaseURL string) string { return strings.TrimPrefix(databaseURL, "sqlite://") }

func openSQLite(ctx context.Context, path string, o options) (*DB, error) {
	// What was acknowledged has to survive a power cut, so every commit is synced.
	writer, err := sqlitePool(path, "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	writer.SetMaxOpenConns(1)
	db := &DB{Engine: SQLite, pools: []*sql.DB{writer}}
	if err := checkSQLite(ctx, writer); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	reader, err := sqlitePool(path, "query_only(true)")
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
		pool *sql.DB
		gorm **gorm.DB
	}{{writer, &db.Write}, {reader, &db.Read}} {
		if *handle.gorm, err = newGorm(sqlite.New(sqlite.Config{Conn: newTracedPool(handle.pool, semconv.DBSystemNameSQLite)})); err != nil {
			return nil, errors.Join(fmt.Errorf("open gorm: %w", err), db.Close())
		}
	}
	return db, nil
}

// sqlitePool returns a pool on the file, which is created, with its folder, when it is not there.
func sqlitePool(path string, pragmas ...string) (*sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the database's folder: %w", err)
	}
	// People's data: SQLite itself would let others read it. Its log files take the mode of this one.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the database's file: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open the database's file: %w", err)
	}
	query := url.Values{
		"_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(true)"}, pragmas...),
		// A transaction that starts to write late could not get the lock; writers take it at once.
		"_txlock": {"immediate"},
		// Fixed-offset text: it sorts as the times do.
		"_time_format": {"sqlite"},
		"_timezone":    {"UTC"},
	}
	pool, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return pool, nil
}

// checkSQLite makes sure of what durability hangs on: a library without the WAL corruption bug that 3.51.3 mended, and
// synced commits.
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
