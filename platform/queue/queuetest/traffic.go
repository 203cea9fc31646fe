package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

// patience bounds how long a case waits for something that must happen.
const patience = 60 * time.Second

// message makes a message with a deduplication id of its own.
func message(group, body string) queue.Message {
	return queue.Message{Group: group, DeduplicationID: uuid.NewString(), Body: []byte(body)}
}

// persist sends m until the queue knows whether it has it: on a busy machine a server may
// answer too late, and repeating an uncertain send is safe by contract.
func persist(ctx context.Context, q queue.Queue, m queue.Message) error {
	for {
		if err := q.Send(ctx, m); !errors.Is(err, queue.ErrUncertain) || ctx.Err() != nil {
			return err
		}
	}
}

// send sends bodies to group, in their order.
func send(t *testing.T, q queue.Queue, group string, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		require.NoError(t, persist(t.Context(), q, message(group, body)))
	}
}

// receive gathers deliveries until there are at least n.
func receive(t *testing.T, q queue.Queue, n int) []queue.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []queue.Delivery
	for len(all) < n {
		deliveries, err := q.Receive(ctx, 10, 5*time.Second)
		require.NoError(t, err, "%d of %d messages were delivered", len(all), n)
		require.LessOrEqual(t, len(deliveries), 10)
		all = append(all, deliveries...)
	}
	return all
}

// receiveOne receives the only message that can be received.
func receiveOne(t *testing.T, q queue.Queue) queue.Delivery {
	t.Helper()
	deliveries := receive(t, q, 1)
	require.Len(t, deliveries, 1)
	return deliveries[0]
}

// requireNothing checks that no message can be received now.
func requireNothing(t *testing.T, q queue.Queue) {
	t.Helper()
	deliveries, err := q.Receive(t.Context(), 10, time.Second)
	require.NoError(t, err)
	require.Empty(t, bodies(deliveries))
}

// requireStats waits until the queue reports want: a server's numbers may lag behind.
func requireStats(t *testing.T, q queue.Queue, want queue.Stats) {
	t.Helper()
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		return err == nil && stats == want
	}, patience, 50*time.Millisecond, "the queue does not come to report %+v", want)
}

// drain receives and deletes n messages, and returns their bodies by group in the order of
// delivery.
func drain(t *testing.T, q queue.Queue, n int) map[string][]string {
	t.Helper()
	drained := make(map[string][]string)
	for count := 0; count < n; {
		deliveries := receive(t, q, 1)
		for _, delivery := range deliveries {
			drained[delivery.Group] = append(drained[delivery.Group], string(delivery.Body))
		}
		require.NoError(t, q.Delete(t.Context(), receipts(deliveries)...))
		count += len(deliveries)
	}
	return drained
}

func bodies(deliveries []queue.Delivery) []string {
	all := make([]string, len(deliveries))
	for i, delivery := range deliveries {
		all[i] = string(delivery.Body)
	}
	return all
}

func receipts(deliveries []queue.Delivery) []string {
	all := make([]string, len(deliveries))
	for i, delivery := range deliveries {
		all[i] = delivery.Receipt
	}
	return all
}
