package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gorm.io/gorm"
)

// ErrFileLost says that the path of a SQLite database no longer leads to the file that is open: it
// was removed, renamed or replaced, or so was its write-ahead log, its folder or its volume. What
// would be committed now would be gone with the process, so nothing is.
var ErrFileLost = errors.New("the database's file was removed, renamed or replaced while it was open")

// file is the file of an open SQLite database. It makes sure, before each commit, that what is
// committed stays.
type file struct {
	path   string // without links
	opened os.FileInfo
	pool   *sql.DB // the one that writes
	log    *slog.Logger

	saves  sync.WaitGroup
	mu     sync.Mutex
	beside map[string]os.FileInfo // the write-ahead log and its index, by their suffix, once they are there
	saving bool                   // a copy is being made, or was
	failed error                  // why the last commit failed; nil if it did not
}

// openFile returns the file at a path, which is created when it is not there.
func openFile(path string, log *slog.Logger) (*file, error) {
	path, err := prepareFile(path)
	if err != nil {
		return nil, err
	}
	opened, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at the database's file: %w", err)
	}
	return &file{path: path, log: log, opened: opened, beside: map[string]os.FileInfo{}}, nil
}

// connector connects to the file, and to no other that has come in its place. It does not try to once
// the file is lost: a connection would begin a new write-ahead log beside the one that others use.
type connector struct {
	driver driver.Driver
	dsn    string
	file   *file
}

// Connect implements [driver.Connector].
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	if err := c.file.check(ctx); err != nil {
		return nil, err
	}
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	if err := c.file.check(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Driver implements [driver.Connector].
func (c connector) Driver() driver.Driver { return c.driver }

// check returns [ErrFileLost] if the path does not lead to the open file. It takes three calls of the
// operating system. The first time, it begins to save what is open.
func (f *file) check(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.compare()
	if err != nil && !f.saving {
		f.saving = true
		ctx = context.WithoutCancel(ctx)
		f.saves.Go(func() { f.save(ctx) })
	}
	return err
}

// compare compares what is at the path, and beside it, with what was opened.
func (f *file) compare() error {
	if now, err := os.Stat(f.path); err != nil || !os.SameFile(now, f.opened) {
		return fmt.Errorf("%w: %s", ErrFileLost, f.path)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		now, err := os.Stat(f.path + suffix)
		switch first := f.beside[suffix]; {
		case first == nil && err == nil:
			f.beside[suffix] = now
		case first != nil && (err != nil || !os.SameFile(now, first)):
			return fmt.Errorf("%w: %s%s", ErrFileLost, f.path, suffix)
		}
	}
	return nil
}

// saveLimit is how long making a copy may take.
const saveLimit = 10 * time.Minute

// save copies what is open, committed messages of the queue included, to a new file beside the lost
// one or, if there is no place for it, in another folder, and logs where.
func (f *file) save(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, saveLimit)
	defer cancel()
	name := filepath.Base(f.path) + ".saved-" + time.Now().UTC().Format("20060102T150405Z")
	folder := filepath.Dir(f.path)
	var errs []error
	for _, folder := range []string{folder, filepath.Dir(folder), os.TempDir()} {
		path := filepath.Join(folder, name)
		err := createFile(path)
		if err == nil {
			_, err = f.pool.ExecContext(ctx, "VACUUM INTO ?", path)
		}
		if err == nil {
			f.log.ErrorContext(ctx, "the database's file is lost; no write is accepted any more; end this process, put the saved copy "+
				"in the file's place, and start again", "file", f.path, "saved", path)
			return
		}
		errs = append(errs, err)
	}
	f.log.ErrorContext(ctx, "the database's file is lost, and could not be saved; no write is accepted any more; put the file back",
		"file", f.path, "error", errors.Join(errs...))
}

// createFile makes an empty file that only this user can read. SQLite itself would let others read
// it. Its log files take its mode.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make the database's file: %w", err)
	}
	return file.Close()
}

// committed notes what became of a commit.
func (f *file) committed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
}

// writable reports why nothing can be written. After a commit that failed it tries to write, so
// that it is known when there is room again.
func (f *file) writable(ctx context.Context) error {
	f.mu.Lock()
	err := f.failed
	f.mu.Unlock()
	if err == nil || FaultOf(err) != Down {
		return f.check(ctx)
	}
	err = f.rewrite(ctx)
	f.committed(err)
	return errors.Join(f.check(ctx), err)
}

// rewrite writes a number into the file's header that is there already.
func (f *file) rewrite(ctx context.Context) (err error) {
	tx, err := f.pool.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("try to write: %w", err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// guardedPool is a pool on a file that each of its transactions has checked before its commit.
type guardedPool struct {
	*tracedPool

	file *file
}

// guardedTx is a transaction of a guardedPool.
type guardedTx struct {
	gorm.ConnPool

	ctx       context.Context // of the transaction
	committer gorm.TxCommitter
	file      *file
}

var (
	_ gorm.ConnPoolBeginner = (*guardedPool)(nil)
	_ gorm.TxCommitter      = (*guardedTx)(nil)
)

// BeginTx implements [gorm.ConnPoolBeginner].
func (p *guardedPool) BeginTx(ctx context.Context, options *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := p.tracedPool.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &guardedTx{tx, ctx, tx.(gorm.TxCommitter), p.file}, nil
}

// Commit implements [gorm.TxCommitter].
func (t *guardedTx) Commit() error {
	if err := t.file.check(t.ctx); err != nil {
		return errors.Join(err, t.committer.Rollback())
	}
	err := t.committer.Commit()
	t.file.committed(err)
	return err
}

// Rollback implements [gorm.TxCommitter].
func (t *guardedTx) Rollback() error { return t.committer.Rollback() }
