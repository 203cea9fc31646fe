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

// archive has rows that are due, and notes when it was asked.
type archive struct {
	mu    sync.Mutex
	due   int64
	err   error
	asked []time.Time
}

func (a *archive) Purge(_ context.Context, now time.Time, limit int) (int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, now)
	removed := min(a.due, int64(limit))
	a.due -= removed
	return removed, a.err
}

// set makes so many rows due, and has purging them fail with err.
func (a *archive) set(due int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.due, a.err = due, err
}

func TestPurger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		old := &archive{due: 1200}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			contacts.NewPurger(old, slog.New(slog.NewTextHandler(&log, nil)), nil).Run(ctx)
		}()
		synctest.Wait()
		require.Zero(t, old.due, "all that is due at once, in parts")
		require.Len(t, old.asked, 4)
		require.Contains(t, log.String(), "rows=1200")

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
