package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/cmd"
	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/queue"
	"contacts/platform/queue/sqs"
)

// breakingQueue takes some messages, and does not tell of the next one that it took it.
type breakingQueue struct {
	queue.Queue
	takes int
}

func (q *breakingQueue) Send(ctx context.Context, message queue.Message) error {
	err := q.Queue.Send(ctx, message)
	if q.takes--; q.takes < 0 {
		return errors.Join(err, errors.New("no answer"))
	}
	return err
}

// A redrive that breaks off leaves the rest where it was. The next one moves it, and what was
// sent twice has one effect.
func TestCommand_RedriveBrokenOff(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	require.Zero(t, s.processes[1].terminate(t))
	const patches = 5
	var accepted []contacts.Operation
	for i := range patches {
		patch := contacts.Patch(fmt.Sprintf(`{"nickname":"%d"}`, i))
		operation, err := s.client().Merge(t.Context(), made.Contact, patch, contacts.Write{})
		require.NoError(t, err)
		accepted = append(accepted, operation)
	}
	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	dead := openQueue(t, sqs.DeadLetterURL(s.variable("CONTACTS_QUEUE_URL")))
	for range patches {
		bury(t, q, dead)
	}

	moved, err := cmd.Redrive(t.Context(), dead, &breakingQueue{q, 2})
	require.ErrorContains(t, err, "after 2 messages: no answer")
	require.Equal(t, 2, moved)
	stats, err := dead.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 3, stats.Waiting)
	require.Zero(t, stats.InFlight, "what is left is there at once")
	got := run(t, s.folder, s.env, "worker", "redrive")
	require.Zero(t, got.status, got.stderr)
	require.Equal(t, "3 messages sent again\n", got.stdout)
	require.Equal(t, []map[string]any{{
		"subject": fmt.Sprintf("operator:%d", os.Getuid()), "action": "redrive", "outcome": "succeeded", "messages": 3.0,
	}}, audited(t, got.stderr))
	stats, err = q.Stats(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, patches+1, stats.Waiting, "the third one is there twice")

	start(t, s.folder, s.env, "worker")
	for i, operation := range accepted {
		require.EqualValues(t, i+2, awaitSuccess(t, s, operation.ID).Version, "in order")
	}
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		return err == nil && stats == queue.Stats{}
	}, 30*time.Second, 20*time.Millisecond)
	db := s.database(t)
	var versions int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM contact_changes").Scan(&versions))
	require.Equal(t, 1+patches, versions, "one effect each")
	document, err := s.client().Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.Contains(t, string(document.JSON), `"nickname":"4"`)
}
