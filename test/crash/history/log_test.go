package history_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/test/crash/history"
)

func TestLog_KeepsTheOrderOfEachCaller(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.ndjson")
	log, err := history.NewLog(path)
	require.NoError(t, err)
	const callers, events = 8, 20
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for i := range events {
				if err := log.Append(history.Event{Type: history.Invoke, Call: caller + 1, Version: int64(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	// It is on the disk before the log is closed.
	loaded, err := history.Load(path)
	require.NoError(t, err)
	require.Len(t, loaded, callers*events)
	next := map[int]int64{}
	for _, event := range loaded {
		require.Equal(t, next[event.Call], event.Version)
		next[event.Call]++
	}
	require.NoError(t, log.Close())
}

func TestLog_OfAnotherRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.ndjson")
	log, err := history.NewLog(path)
	require.NoError(t, err)
	require.NoError(t, log.Close())
	_, err = history.NewLog(path)
	require.ErrorContains(t, err, "create the history")
}
