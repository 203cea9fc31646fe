package queuetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

func (s suite) roundTrip(t *testing.T) {
	q := s.open(t, long)
	sent := []string{
		"x",
		"\t two\r\n lines ",
		`{"name":"Zoë \"Ž\" Łukasiewicz","kanji":"山田"}`,
		"<a href='b'>&amp;</a> %20 \u0085 \u2028",
		strings.Repeat("ü", queue.MaxBody/4),
		strings.Repeat("m", queue.MaxBody),
	}
	before := time.Now()
	for i, body := range sent {
		send(t, q, fmt.Sprintf("group!%d~", i), body)
	}
	received := make(map[string]string)
	for _, delivery := range receive(t, q, len(sent)) {
		received[delivery.Group] = string(delivery.Body)
		require.NotEmpty(t, delivery.Receipt)
		require.Equal(t, 1, delivery.Attempt)
		require.WithinRange(t, delivery.SentAt, before.Add(-time.Minute), time.Now().Add(time.Minute))
	}
	require.Len(t, received, len(sent))
	for i, body := range sent {
		unchanged := body == received[fmt.Sprintf("group!%d~", i)]
		require.True(t, unchanged, "body %d came back changed", i)
	}
}

func (s suite) roundTripEveryCharacter(t *testing.T) {
	s.need(t, EveryCharacter)
	q := s.open(t, long)
	send(t, q, "group", "😀 𝒳 \U0010FFFF")
	require.Equal(t, "😀 𝒳 \U0010FFFF", string(receiveOne(t, q).Body))
}

func (s suite) sendRejected(t *testing.T) {
	q := s.open(t, long)
	rejected := []queue.Message{
		message("group", strings.Repeat("x", queue.MaxBody+1)),
		message("group", ""),
		message("group", "control \x01 character"),
		message("group", "no UTF-8: \xff"),
		message("", "body"),
		message("two words", "body"),
		message(strings.Repeat("g", 129), "body"),
		{Group: "group", Body: []byte("body")},
	}
	// Sent at once with good ones, so that they may share a batch.
	var senders sync.WaitGroup
	good := make([]error, len(rejected))
	bad := make([]error, len(rejected))
	for i, m := range rejected {
		senders.Go(func() { bad[i] = q.Send(t.Context(), m) })
		senders.Go(func() { good[i] = persist(t.Context(), q, message(fmt.Sprint(i), "good")) })
	}
	senders.Wait()
	for i := range rejected {
		require.ErrorIs(t, bad[i], queue.ErrRejected, "message %d", i)
		require.NoError(t, good[i])
	}
	for _, delivery := range receive(t, q, len(rejected)) {
		require.Equal(t, "good", string(delivery.Body))
	}
	requireNothing(t, q)
}

func (s suite) sendCanceledContext(t *testing.T) {
	q := s.open(t, long)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := message("group", "once")
	err := q.Send(ctx, m)
	require.True(t, errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrUncertain), "got %v", err)
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, q.Send(t.Context(), m), "a retry with the same id is safe")
	delivery := receiveOne(t, q)
	require.Equal(t, "once", string(delivery.Body))
	require.NoError(t, q.Delete(t.Context(), delivery.Receipt))
	requireNothing(t, q)
}

func (s suite) sendConcurrent(t *testing.T) {
	q := s.open(t, long)
	const count = 200
	var senders sync.WaitGroup
	errs := make([]error, count)
	for i := range count {
		senders.Go(func() { errs[i] = persist(t.Context(), q, message(fmt.Sprint(i), fmt.Sprint("body ", i))) })
	}
	senders.Wait()
	require.NoError(t, errors.Join(errs...))

	delivered := drain(t, q, count)
	for i := range count {
		require.Equal(t, []string{fmt.Sprint("body ", i)}, delivered[fmt.Sprint(i)])
	}
	requireNothing(t, q)
}

func (s suite) sendSameDeduplicationID(t *testing.T) {
	q := s.open(t, long)
	first := message("group", "first")
	repeated := first
	repeated.Body = []byte("repeated")
	require.NoError(t, q.Send(t.Context(), first))
	require.NoError(t, q.Send(t.Context(), repeated), "a repeated send is accepted")
	send(t, q, "group", "second")
	require.Equal(t, []string{"first", "second"}, drain(t, q, 2)["group"])

	require.NoError(t, q.Send(t.Context(), repeated), "also after the message was deleted")
	requireNothing(t, q)
}

func (s suite) sendSameDeduplicationIDOtherGroup(t *testing.T) {
	s.need(t, DeduplicationPerGroup)
	q := s.open(t, long)
	one := message("one", "body")
	other := one
	other.Group = "other"
	require.NoError(t, q.Send(t.Context(), one))
	require.NoError(t, q.Send(t.Context(), other))
	require.Equal(t, map[string][]string{"one": {"body"}, "other": {"body"}}, drain(t, q, 2))
}
