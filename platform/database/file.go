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

// ErrFileLost says that the path of a SQLite database no longer leads to the file that is
// open: it was removed, renamed or replaced, or so was its write-ahead log, its folder or its
// volume. What would be committed now would be gone with the process, so nothing is.
var ErrFileLost = errors.New("the database's file was removed, renamed or replaced while it was open")

// errUncommitted says, with [ErrFileLost], that the transaction was rolled back.
var errUncommitted = errors.New("nothing was committed")

// file is the file of an open SQLite database. It makes sure, before each commit, that what is
// committed stays.
type file struct {
	given  string // as the database's URL says
	path   string // without links
	opened os.FileInfo
	pool   *sql.DB // the one that writes
	log    *slog.Logger

	done chan struct{} // closed with the file
	mu   sync.Mutex
	// the write-ahead log and its index, by their suffix, once they are there
	beside   map[string]os.FileInfo
	saving   sync.WaitGroup // a copy is being made
	nextSave time.Time      // no copy is made before; zero: at once, when the file is lost
	closed   bool
	failed   error // why the last commit, or a statement before one, failed; nil if it did not
}

// openFile returns the file at a path, which is created when it is not there.
func openFile(given string, log *slog.Logger) (*file, error) {
	path, err := prepareFile(given)
	if err != nil {
		return nil, err
	}
	opened, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at the database's file: %w", err)
	}
	return &file{
		given: given, path: path, log: log, opened: opened, beside: map[string]os.FileInfo{}, done: make(chan struct{}),
	}, nil
}

// watchEvery is how often the file is looked at beside commits and probes, so that one that is
// lost while nothing is written is saved as long as it is open.
const watchEvery = 2 * time.Second

// watch looks at the file until it is closed.
func (f *file) watch(ctx context.Context) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = f.check(ctx) // which saves it
		case <-f.done:
			return
		}
	}
}

// connector connects to the file, and to no other that has come in its place. It does not try
// to once the file is lost: a connection would begin a new write-ahead log beside the one that
// others use.
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
	return prepares(conn)
}

// Driver implements [driver.Connector].
func (c connector) Driver() driver.Driver { return c.driver }

// check returns [ErrFileLost] if the path does not lead to the open file. It takes a few calls
// of the operating system. The first time, it begins to save what is open.
func (f *file) check(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.compare()
	switch {
	case err == nil:
		f.nextSave = time.Time{}
	case !f.closed && time.Now().After(f.nextSave):
		f.nextSave = time.Now().Add(saveLimit + saveAgain)
		ctx = context.WithoutCancel(ctx)
		f.saving.Go(func() { f.save(ctx) })
	}
	return err
}

// compare compares what is at the path, and beside it, with what was opened.
func (f *file) compare() error {
	for _, path := range []string{f.path, f.given} {
		now, err := os.Stat(path)
		if err != nil || !os.SameFile(now, f.opened) || now.Size() == 0 && f.opened.Size() > 0 {
			return fmt.Errorf("%w: %s", ErrFileLost, path)
		}
		if f.given == f.path {
			break
		}
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

const (
	// saveLimit is how long making a copy may take.
	saveLimit = 10 * time.Minute
	// saveAgain is how long after a copy that failed another one is tried.
	saveAgain = time.Minute
)

// save copies what is open, committed messages of the queue included, to a new file beside the
// lost one or, if there is no place for it, in another folder, and logs where.
func (f *file) save(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, saveLimit)
	defer cancel()
	name := filepath.Base(f.path) + ".saved-" + time.Now().UTC().Format(timestamp)
	folder := filepath.Dir(f.path)
	var errs []error
	for _, folder := range []string{folder, filepath.Dir(folder), os.TempDir()} {
		path := filepath.Join(folder, name)
		err := f.copyTo(ctx, path)
		if err == nil {
			f.log.ErrorContext(ctx, "the database's file is lost; no write is accepted any more; end this process, move what is left at the "+
				"file's path away, its -wal and -shm too, put the saved copy there, and start again", "file", f.path, "saved", path)
			return
		}
		errs = append(errs, err)
	}
	f.log.ErrorContext(ctx, "the database's file is lost, and could not be saved yet; no write is accepted any more; put the file back",
		"file", f.path, "error", errors.Join(errs...))
	f.mu.Lock()
	f.nextSave = time.Now().Add(saveAgain)
	f.mu.Unlock()
}

// copyTo copies the open database to a path, durably, or leaves nothing there.
func (f *file) copyTo(ctx context.Context, path string) (err error) {
	partial := path + ".partial"
	if err := createFile(partial); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(partial)
		}
	}()
	if _, err := f.pool.ExecContext(ctx, "VACUUM INTO ?", partial); err != nil {
		return fmt.Errorf("copy the database to %s: %w", partial, err)
	}
	if err := syncPath(partial); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return fmt.Errorf("name the copy of the database: %w", err)
	}
	return syncPath(filepath.Dir(path))
}

// syncPath has the operating system write a file, or a folder's names, to the disk.
func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return errors.Join(file.Sync(), file.Close())
}

// close looks at the file for the last time, and waits for a copy that is being made.
func (f *file) close() {
	close(f.done)
	_ = f.check(context.Background()) //nolint:forbidigo // closing has no context
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.saving.Wait()
}

// putAway renames the lost file's log and its index, if they are left beside another file or
// none: SQLite would take them for those of the next file at the path, and damage that. It is
// for the end, when nothing has them open.
func (f *file) putAway() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err == nil && os.SameFile(now, f.opened) {
		return nil
	}
	var errs []error
	for suffix, first := range f.beside {
		path := f.path + suffix
		if left, err := os.Stat(path); err == nil && os.SameFile(left, first) {
			errs = append(errs, os.Rename(path, path+".lost-"+time.Now().UTC().Format(timestamp)))
		}
	}
	return errors.Join(errs...)
}

// timestamp is how names of files tell the time.
const timestamp = "20060102T150405Z"

// createFile makes an empty file that only this user can read. SQLite itself would let others
// read it. Its log files take its mode.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return file.Close()
}

// note remembers the outcome of a commit, or why a statement before it failed.
func (f *file) note(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = err
}

// writable reports why nothing can be written. After a commit that failed it tries to write,
// so that it is known when there is room again.
func (f *file) writable(ctx context.Context) error {
	f.mu.Lock()
	err := f.failed
	f.mu.Unlock()
	if err == nil || FaultOf(err) != Down {
		return nil
	}
	if free, known := freeBytes(f.path); known && free < spareBytes {
		return fmt.Errorf("write to the database's file: %d bytes are free on its disk, expected %d: %w", free, spareBytes, err)
	}
	err = f.rewrite(ctx)
	f.note(err)
	return err
}

// spareBytes is what a disk that was full has to have again: more than the largest contact
// takes, in the queue, in its table and among the changes.
const spareBytes = 1 << 20

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
	if err := p.file.check(ctx); err != nil { // the connection may be busy with a copy
		return nil, err
	}
	tx, err := p.tracedPool.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return &guardedTx{tx, ctx, tx.(gorm.TxCommitter), p.file}, nil
}

// ExecContext implements [gorm.ConnPool]. A statement that changes much writes to the disk
// before the commit.
func (t *guardedTx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	result, err := t.ConnPool.ExecContext(ctx, query, args...)
	if err != nil {
		t.file.note(err)
	}
	return result, err
}

// Commit implements [gorm.TxCommitter]. A file that was lost during the commit leaves it
// uncertain: the copy that is made has what was committed.
func (t *guardedTx) Commit() error {
	if err := t.file.check(t.ctx); err != nil {
		return errors.Join(err, errUncommitted, t.committer.Rollback())
	}
	err := t.committer.Commit()
	t.file.note(err)
	if err == nil {
		err = t.file.check(t.ctx)
	}
	return err
}

// Rollback implements [gorm.TxCommitter].
func (t *guardedTx) Rollback() error { return t.committer.Rollback() }
