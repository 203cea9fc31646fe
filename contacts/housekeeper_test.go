package contacts_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// house has rows that are due, and notes when it was asked.
type house struct {
	mu      sync.Mutex
	due     int64 // operations
	all     int64
	stale   int64 // rows to index anew
	remains int64 // of erased contacts
	err     error
	asked   []time.Time
}

func (h *house) Overdue(_ context.Context, kind contacts.Past, _ time.Time) (due, all int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kind != contacts.PastOperations {
		return 0, 0, nil
	}
	return h.due, h.all, nil
}

func (h *house) Purge(_ context.Context, kind contacts.Past, before time.Time, limit int) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if kind != contacts.PastOperations {
		return 0, nil
	}
	h.asked = append(h.asked, before.Add(contacts.OperationsKept))
	removed := min(h.due, int64(limit))
	h.due -= removed
	h.all -= removed
	return removed, h.err
}

func (h *house) Reindex(_ context.Context, limit int) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := min(h.stale, int64(limit))
	h.stale -= done
	return done, nil
}

func (h *house) Scrub(context.Context) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	done := h.remains
	h.remains = 0
	return done, nil
}

// left is how many operations there are.
func (h *house) left() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.all
}

// set makes so many rows due, and has purging them fail with err.
func (h *house) set(due int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due, h.err = due, err
}

func TestHousekeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		old := &house{due: 1200, all: 200_000, stale: 700, remains: 3}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			contacts.NewHousekeeper(old, slog.New(slog.NewTextHandler(&log, nil)), nil).Run(ctx)
		}()
		synctest.Wait()
		require.Zero(t, old.due, "all that is due at once, in parts")
		require.Len(t, old.asked, 3)
		require.Zero(t, old.stale)
		require.Contains(t, log.String(), "rows=1200")
		require.Contains(t, log.String(), "rows=700")
		require.Contains(t, log.String(), `chore="remains of erased contacts removed" rows=3`)

		old.set(10, errors.New("no database"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, old.asked, 4, "what fails is not repeated at once")
		require.Contains(t, log.String(), "no database")
		old.set(1, nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, began.Add(2*time.Hour), old.asked[len(old.asked)-1])
		cancel()
		<-done
	})
}

// With a clock that is far ahead nearly everything is due. Only a share of it goes, hour by
// hour, until an operator confirms.
func TestHousekeeper_ClockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &house{due: 9950, all: 10_000}
		var log bytes.Buffer
		housekeeper := contacts.NewHousekeeper(old, slog.New(slog.NewTextHandler(&log, nil)), nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			housekeeper.Run(ctx)
		}()
		synctest.Wait()
		require.EqualValues(t, 9900, old.left())
		time.Sleep(time.Hour)
		synctest.Wait()
		require.EqualValues(t, 9801, old.left())
		cancel()
		<-done
		require.Contains(t, log.String(), "contacts worker purge")

		overdue, err := housekeeper.Overdue(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[contacts.Past]int64{
			contacts.PastOperations: 9751, contacts.PastChanges: 0, contacts.PastTombstones: 0, contacts.PastErasures: 0,
		}, overdue)
		removed, err := housekeeper.PurgeAll(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 9751, removed)
		require.EqualValues(t, 50, old.left())
	})
}
