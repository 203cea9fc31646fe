package cachetest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"contacts/platform/cache"
)

// followsModel makes arbitrary calls, one after another, and expects what a model of one map
// expects. Nothing expires and nothing is evicted meanwhile.
func followsModel(t *testing.T, c cache.Cache) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		m := &model{cache: c, keys: freshKeys(round), slots: make(map[string]slot)}
		t.Repeat(map[string]func(*rapid.T){"get": m.get, "fill": m.fill, "put": m.put, "add": m.add})
	})
}

// model says what a cache holds under each key: an entry, a lease, or neither.
type model struct {
	cache cache.Cache
	keys  []string
	slots map[string]slot
	given []cache.Lease
}

type slot struct {
	entry *cache.Entry
	lease cache.Lease
}

func (m *model) get(t *rapid.T) {
	key := rapid.SampledFrom(m.keys).Draw(t, "key")
	switch held := m.slots[key]; {
	case held.entry != nil:
		requireHit(t, m.cache, key, *held.entry)
	case held.lease != "":
		requireMissWithoutLease(t, m.cache, key)
	default:
		lease := requireLease(t, m.cache, key)
		require.NotContains(t, m.given, lease, "a lease was given twice")
		m.given = append(m.given, lease)
		m.slots[key] = slot{lease: lease}
	}
}

func (m *model) fill(t *rapid.T) {
	key := rapid.SampledFrom(m.keys).Draw(t, "key")
	lease := rapid.SampledFrom(append([]cache.Lease{""}, m.given...)).Draw(t, "lease")
	entry := drawEntry(t)
	held := lease != "" && m.slots[key].lease == lease
	requireFill(t, held, m.cache, lease, key, entry)
	if held {
		m.slots[key] = slot{entry: &entry}
	}
}

func (m *model) put(t *rapid.T) {
	items := make([]cache.Item, rapid.IntRange(0, 4).Draw(t, "items"))
	for i := range items {
		items[i] = cache.Item{Key: rapid.SampledFrom(m.keys).Draw(t, "key"), Entry: drawEntry(t), TTL: ttl}
	}
	require.NoError(t, m.cache.Put(t.Context(), items...))
	for _, item := range items {
		held := m.slots[item.Key].entry
		if held == nil || held.Version < item.Entry.Version ||
			held.Version == item.Entry.Version && held.State == cache.Pending && item.Entry.State != cache.Pending {
			m.slots[item.Key] = slot{entry: &item.Entry}
		}
	}
}

func (m *model) add(t *rapid.T) {
	key, entry := rapid.SampledFrom(m.keys).Draw(t, "key"), drawEntry(t)
	got, added, err := m.cache.Add(t.Context(), cache.Item{Key: key, Entry: entry, TTL: ttl})
	require.NoError(t, err)
	held := m.slots[key].entry
	require.Equal(t, held == nil, added)
	if added {
		held = &entry
		m.slots[key] = slot{entry: held}
	}
	requireEntry(t, *held, got)
}

func drawEntry(t *rapid.T) cache.Entry {
	entry := cache.Entry{
		Version: rapid.Int64Range(0, 12).Draw(t, "version"),
		State:   rapid.SampledFrom([]cache.State{cache.Live, cache.Gone, cache.Pending}).Draw(t, "state"),
	}
	switch {
	case entry.Version == 0:
		entry.State = cache.Absent
	case entry.State == cache.Live:
		entry.Body = rapid.SliceOf(rapid.Byte()).Draw(t, "body")
	}
	return entry
}

// concurrentPutsOnlyGoUp lets writers put shuffled versions of one key while a reader watches
// them.
func concurrentPutsOnlyGoUp(t *testing.T, c cache.Cache) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		key := freshKeys(round)[0]
		versions := rapid.SliceOfN(rapid.Int64Range(1, 40), 1, 40).Draw(t, "versions")
		batches := slices.Collect(slices.Chunk(versions, rapid.IntRange(1, 10).Draw(t, "versions of each writer")))

		watcher := watch(c, key)
		var writers errgroup.Group
		for _, batch := range batches {
			writers.Go(func() error {
				for _, version := range batch {
					item := cache.Item{Key: key, Entry: live(version, strconv.FormatInt(version, 10)), TTL: ttl}
					if err := c.Put(t.Context(), item); err != nil {
						return err
					}
				}
				return nil
			})
		}
		put, watched := writers.Wait(), watcher.stop()
		require.NoError(t, put)
		require.NoError(t, watched)

		highest := slices.Max(versions)
		requireHit(t, c, key, live(highest, strconv.FormatInt(highest, 10)))
	})
}

// concurrentFillsAndPuts plays the whole protocol: a writer raises a source's version and puts
// it after each write, while readers that miss fill from the source as they found it. Once a
// put has returned, no reader may find an older version.
func concurrentFillsAndPuts(t *testing.T, c cache.Cache) {
	const keys, readers, writes = 20, 4, 20
	for i := range keys {
		key := numbered(i)
		var source, put atomic.Int64
		source.Store(1)

		done := make(chan struct{})
		var group errgroup.Group
		for range readers {
			group.Go(func() error {
				for {
					select {
					case <-done:
						return nil
					default:
					}
					if err := readThrough(t, c, key, &source, &put); err != nil {
						return err
					}
				}
			})
		}
		group.Go(func() error {
			defer close(done)
			for range writes {
				version := source.Add(1)
				err := c.Put(t.Context(), cache.Item{Key: key, Entry: live(version, "put"), TTL: ttl})
				if err != nil {
					return err
				}
				put.Store(version)
			}
			return nil
		})
		require.NoError(t, group.Wait())
	}
}

func readThrough(t *testing.T, c cache.Cache, key string, source, put *atomic.Int64) error {
	atLeast := put.Load()
	entry, found, lease, err := c.Get(t.Context(), key)
	if err != nil {
		return err
	}
	if found && entry.Version < atLeast {
		return fmt.Errorf("read version %d of %q after version %d was put", entry.Version, key, atLeast)
	}
	if lease == "" {
		return nil
	}
	_, err = c.Fill(t.Context(), lease, cache.Item{Key: key, Entry: live(source.Load(), "filled"), TTL: ttl})
	return err
}

// watcher reads one key over and over and remembers whether it ever went back.
type watcher struct {
	done  chan struct{}
	group errgroup.Group
}

func watch(c cache.Cache, key string) *watcher {
	w := &watcher{done: make(chan struct{})}
	w.group.Go(func() error {
		for last := int64(0); ; {
			select {
			case <-w.done:
				return nil
			default:
			}
			entry, found, _, err := c.Get(context.Background(), key)
			switch {
			case err != nil:
				return err
			case !found && last > 0:
				return fmt.Errorf("version %d of %q vanished", last, key)
			case found && entry.Version < last:
				return fmt.Errorf("%q went back from version %d to %d", key, last, entry.Version)
			case found:
				last = entry.Version
			}
		}
	})
	return w
}

func (w *watcher) stop() error {
	close(w.done)
	return w.group.Wait()
}

// freshKeys returns keys that no other round of the case uses. Rounds that rapid repeats to
// shrink a failure also count as rounds.
func freshKeys(round int) []string {
	keys := make([]string, 3)
	for i := range keys {
		keys[i] = fmt.Sprintf("round %d key %d", round, i)
	}
	return keys
}

func numbered(i int) string { return "key " + strconv.Itoa(i) }
