package commandqueue

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

func TestFateOf(t *testing.T) {
	ack := fate{action: acknowledge}
	again := func(pause time.Duration) fate { return fate{retry, pause} }
	aside := func(pause time.Duration) fate { return fate{park, pause} }
	transient := fmt.Errorf("row locked: %w", contacts.ErrTransient)
	down := fmt.Errorf("connection refused: %w", contacts.ErrDown)
	itself := errors.New("no event")
	for _, test := range []struct {
		name       string
		err        error
		deliveries int
		want       fate
	}{
		{"done", nil, 1, ack},
		{"done at last", nil, 999, ack},
		{"transient", transient, 1, again(time.Second)},
		{"transient again", transient, 2, again(2 * time.Second)},
		{"transient five times", transient, 5, again(16 * time.Second)},
		{"transient for long", transient, 11, again(1024 * time.Second)},
		{"transient for longer", transient, 12, again(maxBackoff)},
		{"transient for ever", transient, 1000, again(maxBackoff)},
		{"database down", down, 1, again(time.Second)},
		{"database down for ever", down, 1000, again(maxBackoff)},
		{"behind another", contacts.ErrBlocked, 1, again(time.Second)},
		{"behind another for ever", contacts.ErrBlocked, 1000, again(maxBackoff)},
		{"itself", itself, 1, again(time.Second)},
		{"itself four times", itself, 4, again(8 * time.Second)},
		{"itself five times", itself, 5, aside(16 * time.Second)},
		{"itself, and not parked before", itself, 6, aside(32 * time.Second)},
		{"a count that the queue left out", transient, 0, again(time.Second)},
	} {
		require.Equal(t, test.want, fateOf(test.err, test.deliveries), test.name)
	}
}

// A message that waits for circumstances reaches the end of the queue's retention before the
// dead-letter queue.
func TestFateOf_OutlastsTheQueue(t *testing.T) {
	const retention, maxReceiveCount, spare = 14 * 24 * time.Hour, 1000, 100
	var waited time.Duration
	deliveries := 0
	for waited < retention {
		deliveries++
		waited += fateOf(contacts.ErrTransient, deliveries).pause
	}
	require.LessOrEqual(t, deliveries, maxReceiveCount-spare, "each restart of a worker costs a delivery too")
}
