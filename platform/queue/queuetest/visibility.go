package queuetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

func (s suite) visibilityRedelivers(t *testing.T) {
	q := s.open(t, short)
	send(t, q, "group", "1", "2")
	first := receive(t, q, 1)
	again := receive(t, q, 1)
	require.Equal(t, "1", string(again[0].Body), "the oldest comes first, also when it comes again")
	require.Equal(t, first[0].Attempt+1, again[0].Attempt)
	require.Equal(t, first[0].SentAt, again[0].SentAt)
	require.NotEqual(t, first[0].Receipt, again[0].Receipt)
}

func (s suite) receiptExpiredThenRedelivered(t *testing.T) {
	q := s.open(t, short)
	send(t, q, "group", "1")
	late := receiveOne(t, q)
	current := receiveOne(t, q)
	require.Equal(t, 2, current.Attempt)

	// What Delete reports here is receiptLateDeleteReported's business; that it deletes
	// nothing is everyone's.
	_ = q.Delete(t.Context(), late.Receipt)
	require.ErrorIs(t, q.Extend(t.Context(), long, late.Receipt), queue.ErrReceiptExpired)
	require.ErrorIs(t, q.Extend(t.Context(), 0, late.Receipt), queue.ErrReceiptExpired)

	again := receiveOne(t, q)
	require.Equal(t, "1", string(again.Body))
	require.Equal(t, 3, again.Attempt, "a late receipt changed nothing about the later delivery")
}

func (s suite) receiptLateDeleteReported(t *testing.T) {
	s.need(t, LateDeleteReported)
	q := s.open(t, long)
	send(t, q, "late", "body")
	late := receiveOne(t, q)
	require.NoError(t, q.Extend(t.Context(), short, late.Receipt), "the only one that has to run out")
	current := receiveOne(t, q)
	send(t, q, "timely", "body")
	timely := receiveOne(t, q)

	require.ErrorIs(t, q.Delete(t.Context(), late.Receipt, timely.Receipt), queue.ErrReceiptExpired)
	requireStats(t, q, queue.Stats{InFlight: 1})
	require.NoError(t, q.Delete(t.Context(), current.Receipt), "the later delivery still holds")
	requireStats(t, q, queue.Stats{})
}

func (s suite) receiptEndsOnTime(t *testing.T) {
	s.need(t, ReceiptEndsOnTime)
	q := s.open(t, short)
	send(t, q, "group", "body")
	late := receiveOne(t, q)
	requireStats(t, q, queue.Stats{Waiting: 1})
	require.ErrorIs(t, q.Extend(t.Context(), long, late.Receipt), queue.ErrReceiptExpired)
	require.ErrorIs(t, q.Delete(t.Context(), late.Receipt), queue.ErrReceiptExpired)

	again := receiveOne(t, q)
	require.Equal(t, "body", string(again.Body))
	require.Equal(t, 2, again.Attempt)
}

func (s suite) extendKeepsHidden(t *testing.T) {
	const first = 5 * time.Second // in which also a busy machine extends it
	q := s.open(t, first)
	send(t, q, "group", "1")
	held := receiveOne(t, q)
	require.NoError(t, q.Extend(t.Context(), long, held.Receipt))
	send(t, q, "group", "2")

	// Longer than the first timeout: without the extension the message would come again.
	deliveries, err := q.Receive(t.Context(), 10, first+time.Second)
	require.NoError(t, err)
	require.Empty(t, bodies(deliveries))

	require.NoError(t, q.Delete(t.Context(), held.Receipt), "the receipt still holds")
	require.Equal(t, "2", string(receiveOne(t, q).Body))
}

func (s suite) extendZeroHandsBack(t *testing.T) {
	q := s.open(t, long)
	send(t, q, "group", "1", "2")
	first := receive(t, q, 1)
	require.NoError(t, q.Extend(t.Context(), 0, receipts(first)...))

	again := receive(t, q, 1)
	require.Equal(t, bodies(first)[0], bodies(again)[0], "it comes again at once, before its group's next one")
	require.Equal(t, 2, again[0].Attempt)
	require.NoError(t, q.Delete(t.Context(), receipts(again)...))
}
