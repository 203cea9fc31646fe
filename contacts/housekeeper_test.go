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
	due     int64
	stale   int64 // rows to index anew
	remains int64 // of erased contacts
	err     error
	asked   []time.Time
}

func (h *house) Purge(_ context.Context, now time.Time, limit int) (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, now)
	removed := min(h.due, int64(limit))
	h.due -= removed
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

// set makes so many rows due, and has purging them fail with err.
func (h *house) set(due int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due, h.err = due, err
}

func TestHousekeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		old := &house{due: 1200, stale: 700, remains: 3}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			contacts.NewHousekeeper(old, slog.New(slog.NewTextHandler(&log, nil)), nil).Run(ctx)
		}()
		synctest.Wait()
		require.Zero(t, old.due, "all that is due at once, in parts")
		require.Len(t, old.asked, 4)
		require.Zero(t, old.stale)
		require.Contains(t, log.String(), "rows=1200")
		require.Contains(t, log.String(), "rows=700")
		require.Contains(t, log.String(), `chore="remains of erased contacts removed" rows=3`)

		old.set(10, errors.New("no database"))
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, old.asked, 5, "what fails is not repeated at once")
		require.Contains(t, log.String(), "no database")
		old.set(0, nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, began.Add(2*time.Hour), old.asked[len(old.asked)-1])
		cancel()
		<-done
	})
}
