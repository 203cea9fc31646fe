package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/migrations"
	"contacts/platform/queue"
	"contacts/platform/queue/embedded"
)

const (
	// long is a visibility timeout that does not run out while a test lasts.
	long = time.Hour
	// patience bounds how long a test waits for a condition, tick is how often it looks.
	patience = 30 * time.Second
	tick     = 5 * time.Millisecond
)

func message(group, body string) queue.Message {
	return queue.Message{Group: group, DeduplicationID: uuid.NewString(), Body: []byte(body)}
}

func TestQueue_Reopen_KeepsMessages(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	first := open(t, file, 50*time.Millisecond)
	once := message("other", "other")
	require.NoError(t, first.Send(t.Context(), message("group", "1")))
	require.NoError(t, first.Send(t.Context(), message("group", "2")))
	require.NoError(t, first.Send(t.Context(), once))
	held, err := first.Receive(t.Context(), 10, 0)
	require.NoError(t, err)
	require.Len(t, held, 2)
	first.Close()

	second := open(t, file, long)
	require.NoError(t, second.Send(t.Context(), once), "deduplication ids are kept too")
	got := make(map[string]int)
	for len(got) < 2 {
		deliveries, err := second.Receive(t.Context(), 10, patience)
		require.NoError(t, err)
		require.NotEmpty(t, deliveries)
		for _, delivery := range deliveries {
			got[string(delivery.Body)] = delivery.Attempt
		}
	}
	require.Equal(t, map[string]int{"1": 2, "other": 2}, got, "the old claims run out")
	stats, err := second.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, queue.Stats{Waiting: 1, InFlight: 2}, stats)
}

// The age is that of the oldest message which is not deleted.
func TestQueue_Age(t *testing.T) {
	t.Parallel()
	q := open(t, newFile(t), long)
	age := func() time.Duration {
		t.Helper()
		age, err := q.Age(t.Context())
		require.NoError(t, err)
		return age
	}
	// between reports whether an age is that of what was sent between two times, which are
	// kept in milliseconds.
	between := func(from, to time.Time) {
		t.Helper()
		asked := time.Now()
		got := age()
		require.GreaterOrEqual(t, got, asked.Sub(to))
		require.LessOrEqual(t, got, time.Since(from)+time.Millisecond)
	}
	require.Zero(t, age())
	first := time.Now()
	require.NoError(t, q.Send(t.Context(), message("a", "1")))
	firstSent := time.Now()
	time.Sleep(20 * time.Millisecond)
	second := time.Now()
	require.NoError(t, q.Send(t.Context(), message("b", "2")))
	secondSent := time.Now()
	between(first, firstSent)
	deliveries, err := q.Receive(t.Context(), 1, patience)
	require.NoError(t, err)
	require.Equal(t, "1", string(deliveries[0].Body))
	between(first, firstSent)
	require.NoError(t, q.Delete(t.Context(), deliveries[0].Receipt))
	between(second, secondSent)
	deliveries, err = q.Receive(t.Context(), 1, patience)
	require.NoError(t, err)
	require.NoError(t, q.Delete(t.Context(), deliveries[0].Receipt))
	require.Zero(t, age())
}

func TestQueue_Close_Refuses(t *testing.T) {
	t.Parallel()
	q := open(t, newFile(t), long)
	waiting := make(chan error)
	go func() {
		_, err := q.Receive(t.Context(), 1, patience)
		waiting <- err
	}()
	q.Close()
	q.Close()
	require.ErrorIs(t, <-waiting, queue.ErrUnavailable)
	require.ErrorIs(t, q.Send(t.Context(), message("group", "body")), queue.ErrUnavailable)
	require.ErrorIs(t, q.Delete(t.Context(), "receipt"), queue.ErrUnavailable)
	require.ErrorIs(t, q.Extend(t.Context(), 0, "receipt"), queue.ErrUnavailable)
}

func TestQueue_Receive_ManyAtOnce(t *testing.T) {
	t.Parallel()
	q := open(t, newFile(t), long)
	const count = 120
	var senders sync.WaitGroup
	errs := make([]error, count)
	for i := range count {
		senders.Go(func() { errs[i] = q.Send(t.Context(), message(fmt.Sprint(i), "body")) })
	}
	senders.Wait()
	require.NoError(t, errors.Join(errs...))
	deliveries, err := q.Receive(t.Context(), 100, 0)
	require.NoError(t, err)
	require.Len(t, deliveries, 100)
	rest, err := q.Receive(t.Context(), 100, 0)
	require.NoError(t, err)
	require.Len(t, rest, count-100)
}

func TestQueue_Receive_TakesTurns(t *testing.T) {
	t.Parallel()
	q := open(t, newFile(t), long)
	for _, group := range []string{"a", "b"} {
		for range 3 {
			require.NoError(t, q.Send(t.Context(), message(group, "body")))
		}
	}
	var groups []string
	for range 4 {
		deliveries, err := q.Receive(t.Context(), 1, 0)
		require.NoError(t, err)
		require.Len(t, deliveries, 1)
		groups = append(groups, deliveries[0].Group)
		// A millisecond later, so that the group that is handed back is behind the other one.
		before := time.Now()
		require.Eventually(t, func() bool { return time.Since(before) > 2*time.Millisecond }, patience, time.Millisecond)
		require.NoError(t, q.Extend(t.Context(), 0, deliveries[0].Receipt))
	}
	require.Equal(t, []string{"a", "b", "a", "b"}, groups, "a group that is not acknowledged does not hold up others")
}

func TestQueue_Receive_IdleOnlyReads(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	write := writeHandle(t, file)
	q := embedded.Open(write, readHandle(t, file), embedded.Options{})
	t.Cleanup(q.Close)
	pool, err := write.DB()
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	deliveries, err := q.Receive(t.Context(), 10, 500*time.Millisecond)
	require.NoError(t, err, "an idle queue needs no write connection")
	require.Empty(t, deliveries)

	require.ErrorIs(t, q.Send(t.Context(), message("group", "body")), queue.ErrUnavailable)
}

func TestQueue_Receipt_Malformed(t *testing.T) {
	t.Parallel()
	q := open(t, newFile(t), long)
	require.NoError(t, q.Send(t.Context(), message("group", "body")))
	deliveries, err := q.Receive(t.Context(), 1, 0)
	require.NoError(t, err)
	held := deliveries[0].Receipt
	for _, bad := range []string{"", "x", ".", ".1", held + "0", "0" + held, held[:len(held)-1]} {
		require.ErrorIs(t, q.Delete(t.Context(), bad), queue.ErrReceiptExpired, "%q", bad)
		require.ErrorIs(t, q.Extend(t.Context(), 0, bad), queue.ErrReceiptExpired, "%q", bad)
	}
	require.NoError(t, q.Delete(t.Context(), held, held), "the same receipt twice is one receipt")
	require.ErrorIs(t, q.Delete(t.Context(), held), queue.ErrReceiptExpired)
}

func TestQueue_Send_OneFails(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	write := writeHandle(t, file)
	require.NoError(t, write.Exec(`CREATE TRIGGER refuse BEFORE INSERT ON queue_messages WHEN NEW.group_id = 'bad'
		BEGIN SELECT RAISE(ABORT, 'refused'); END`).Error)
	q := embedded.Open(write, readHandle(t, file), embedded.Options{Visibility: long})
	t.Cleanup(q.Close)

	// While the only write connection is taken, the sends gather into one transaction.
	taken := write.Begin()
	require.NoError(t, taken.Error)
	const count = 10
	var senders sync.WaitGroup
	good, bad := make([]error, count), make([]error, count)
	for i := range count {
		senders.Go(func() { good[i] = q.Send(t.Context(), message(fmt.Sprint(i), "body")) })
		senders.Go(func() { bad[i] = q.Send(t.Context(), message("bad", "body")) })
	}
	require.NoError(t, taken.Rollback().Error)
	senders.Wait()
	require.NoError(t, errors.Join(good...))
	for _, err := range bad {
		require.ErrorIs(t, err, queue.ErrUnavailable)
	}
	deliveries, err := q.Receive(t.Context(), 2*count, 0)
	require.NoError(t, err)
	require.Len(t, deliveries, count)
}

func TestQueue_Send_WithdrawnInTime(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	write := writeHandle(t, file)
	q := embedded.Open(write, readHandle(t, file), embedded.Options{Visibility: long})
	t.Cleanup(q.Close)
	taken := write.Begin()
	require.NoError(t, taken.Error)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := q.Send(ctx, message("group", "body"))
	require.ErrorIs(t, err, queue.ErrUnavailable, "it had not begun")
	require.ErrorIs(t, err, context.DeadlineExceeded)

	require.NoError(t, taken.Rollback().Error)
	require.NoError(t, q.Send(t.Context(), message("group", "next")))
	deliveries, err := q.Receive(t.Context(), 1, 0)
	require.NoError(t, err)
	require.Equal(t, "next", string(deliveries[0].Body), "what was withdrawn is not sent")
}

func TestQueue_Deduplication_Ends(t *testing.T) {
	t.Parallel()
	file := newFile(t)
	write := writeHandle(t, file)
	q := embedded.Open(write, readHandle(t, file), embedded.Options{Visibility: long})
	t.Cleanup(q.Close)
	repeated := message("group", "body")
	require.NoError(t, q.Send(t.Context(), repeated))
	require.NoError(t, q.Send(t.Context(), repeated))

	var expiresAt int64
	require.NoError(t, write.Raw("SELECT expires_at FROM queue_deduplications").Scan(&expiresAt).Error)
	require.WithinDuration(t, time.Now().Add(5*time.Minute), time.UnixMilli(expiresAt), time.Minute)
	require.NoError(t, write.Exec("UPDATE queue_deduplications SET expires_at = 1").Error)

	require.NoError(t, q.Send(t.Context(), message("other", "body")))
	var remembered int64
	require.NoError(t, write.Raw("SELECT count(*) FROM queue_deduplications").Scan(&remembered).Error)
	require.EqualValues(t, 1, remembered, "what has expired is swept in passing")

	require.NoError(t, q.Send(t.Context(), repeated))
	stats, err := q.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, stats.Waiting)
}

func TestMigration_Down(t *testing.T) {
	t.Parallel()
	db := writeHandle(t, newFile(t))
	down, err := migrations.Files.ReadFile("sqlite/000010_queue.down.sql")
	require.NoError(t, err)
	require.NoError(t, db.Exec(string(down)).Error)
	var left []string
	require.NoError(t, db.Raw("SELECT name FROM sqlite_schema WHERE name LIKE 'queue%'").Scan(&left).Error)
	require.Empty(t, left)
}
