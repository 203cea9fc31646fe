package queuetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

// beginning is how long a Receive is given to begin its wait, which cannot be seen from
// outside. A case that comes too early still passes.
const beginning = 300 * time.Millisecond

func (s suite) receiveNothing(t *testing.T) {
	q := s.open(t, long)
	const wait = time.Second
	start := time.Now()
	deliveries, err := q.Receive(t.Context(), 10, wait)
	require.NoError(t, err)
	require.Empty(t, deliveries)
	require.GreaterOrEqual(t, time.Since(start), wait*9/10, "an empty queue is waited for, not polled in a loop")

	deliveries, err = q.Receive(t.Context(), 1, 0)
	require.NoError(t, err)
	require.Empty(t, deliveries)
}

func (s suite) receiveLimit(t *testing.T) {
	q := s.open(t, long)
	for i := range 5 {
		send(t, q, fmt.Sprint(i), "1", "2")
	}
	deliveries, err := q.Receive(t.Context(), 2, patience)
	require.NoError(t, err)
	require.NotEmpty(t, deliveries)
	require.LessOrEqual(t, len(deliveries), 2)
}

func (s suite) receiveWokenBySend(t *testing.T) {
	q := s.open(t, long)
	const wait = 20 * time.Second
	sent := make(chan error, 1)
	time.AfterFunc(beginning, func() { sent <- q.Send(t.Context(), message("group", "body")) })
	start := time.Now()
	deliveries, err := q.Receive(t.Context(), 10, wait)
	require.NoError(t, err)
	require.Equal(t, []string{"body"}, bodies(deliveries))
	require.Less(t, time.Since(start), wait, "the wait ends with the first message")
	require.NoError(t, <-sent)
}

func (s suite) receiveCanceledContext(t *testing.T) {
	q := s.open(t, long)
	const wait = 20 * time.Second
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(beginning, cancel)
	start := time.Now()
	deliveries, err := q.Receive(ctx, 10, wait)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, deliveries)
	require.Less(t, time.Since(start), wait)
}

func (s suite) orderWithinGroup(t *testing.T) {
	q := s.open(t, long)
	const groups, each = 3, 20
	want := make(map[string][]string)
	for i := range each {
		for g := range groups {
			group, body := fmt.Sprint("group-", g), fmt.Sprint(i)
			send(t, q, group, body)
			want[group] = append(want[group], body)
		}
	}
	require.Equal(t, want, drain(t, q, groups*each))
}

func (s suite) inFlightBlocksOnlyItsGroup(t *testing.T) {
	q := s.open(t, long)
	send(t, q, "held", "1")
	held := receiveOne(t, q)
	send(t, q, "held", "2", "3")
	requireNothing(t, q)

	send(t, q, "free", "a", "b")
	require.Equal(t, map[string][]string{"free": {"a", "b"}}, drain(t, q, 2), "other groups go on")

	require.NoError(t, q.Delete(t.Context(), held.Receipt))
	require.Equal(t, map[string][]string{"held": {"2", "3"}}, drain(t, q, 2), "a deletion lets the next ones through")
	requireNothing(t, q)
}

func (s suite) deleteMany(t *testing.T) {
	q := s.open(t, long)
	const count = 25
	for i := range count {
		send(t, q, fmt.Sprint(i), "body")
	}
	deliveries := receive(t, q, count)
	require.NoError(t, q.Delete(t.Context()), "no receipts, nothing to do")
	require.NoError(t, q.Extend(t.Context(), long, receipts(deliveries)...))
	require.NoError(t, q.Delete(t.Context(), receipts(deliveries)...))
	requireStats(t, q, queue.Stats{})
}

func (s suite) stats(t *testing.T) {
	q := s.open(t, long)
	send(t, q, "one", "1", "2", "3")
	send(t, q, "two", "1", "2")
	requireStats(t, q, queue.Stats{Waiting: 5})
	taken := int64(len(receive(t, q, 1)))
	requireStats(t, q, queue.Stats{Waiting: 5 - taken, InFlight: taken})
}
