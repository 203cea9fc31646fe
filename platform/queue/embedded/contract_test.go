package embedded_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"contacts/migrations"
	"contacts/platform/queue"
	"contacts/platform/queue/embedded"
	"contacts/platform/queue/queuetest"
)

func TestQueue_Contract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queue.Queue {
		t.Helper()
		file := newFile(t)
		return open(t, file, visibility)
	})
}

func TestQueue_Contract_TwoProcesses(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queue.Queue {
		t.Helper()
		file := newFile(t)
		return &pair{queues: [2]queue.Queue{open(t, file, visibility), open(t, file, visibility)}}
	})
}

// pair is two queues on one file, as two processes have them: every call goes to the one that
// did not get the last.
type pair struct {
	queues [2]queue.Queue
	calls  atomic.Int64
}

func (p *pair) next() queue.Queue { return p.queues[p.calls.Add(1)%2] }

func (p *pair) Send(ctx context.Context, message queue.Message) error {
	return p.next().Send(ctx, message)
}

func (p *pair) Receive(ctx context.Context, limit int, wait time.Duration) ([]queue.Delivery, error) {
	return p.next().Receive(ctx, limit, wait)
}

func (p *pair) Delete(ctx context.Context, receipts ...string) error {
	return p.next().Delete(ctx, receipts...)
}

func (p *pair) Extend(ctx context.Context, d time.Duration, receipts ...string) error {
	return p.next().Extend(ctx, d, receipts...)
}

func (p *pair) Stats(ctx context.Context) (queue.Stats, error) { return p.next().Stats(ctx) }

// newFile makes a database with the queue's tables.
func newFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "queue.db")
	schema, err := migrations.Files.ReadFile("sqlite/000010_queue.up.sql")
	require.NoError(t, err)
	require.NoError(t, writeHandle(t, file).Exec(string(schema)).Error)
	return file
}

// open opens the queue in file with handles of its own, and closes all of them when the test
// ends.
func open(t *testing.T, file string, visibility time.Duration) *embedded.Queue {
	t.Helper()
	q := embedded.Open(writeHandle(t, file), readHandle(t, file), embedded.Options{Visibility: visibility})
	t.Cleanup(q.Close)
	return q
}

func writeHandle(t *testing.T, file string) *gorm.DB {
	t.Helper()
	return handle(t, file+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)", 1)
}

func readHandle(t *testing.T, file string) *gorm.DB {
	t.Helper()
	return handle(t, file+"?_pragma=query_only(true)&_pragma=busy_timeout(10000)", 4)
}

func handle(t *testing.T, address string, connections int) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: "file:" + address}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(connections)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	return db
}
