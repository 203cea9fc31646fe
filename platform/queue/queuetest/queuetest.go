// Package queuetest is the contract suite of [queue.Queue]: every adapter runs it against the
// server it is made for.
package queuetest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
)

// Guarantee names a part of the contract that a stand-in for a real server may not keep.
type Guarantee string

// The guarantees that an adapter's test may declare as lacking.
const (
	// LateDeleteReported: Delete says [queue.ErrReceiptExpired] for a message that was
	// delivered again since.
	LateDeleteReported Guarantee = "a late delete is reported"
	// ReceiptEndsOnTime: a receipt stops working at its deadline, also when no other consumer
	// has received its message since.
	ReceiptEndsOnTime Guarantee = "a receipt ends on time"
	// DeduplicationPerGroup: the same deduplication id in two groups is two messages.
	DeduplicationPerGroup Guarantee = "deduplication is per group"
	// EveryCharacter: bodies may hold characters above U+FFFF.
	EveryCharacter Guarantee = "every character is carried"
)

// Lack declares that the server under test does not keep a guarantee, and why. The cases that
// need it are skipped and print the reason. It is meant for emulators: an adapter whose real
// server lacks a guarantee breaks the contract.
type Lack struct {
	Guarantee Guarantee
	Reason    string
}

// Open returns a queue that is new, empty and not shared, and closes it in t.Cleanup.
// The suite asks for visibility timeouts of whole seconds.
type Open func(t *testing.T, visibility time.Duration) queue.Queue

const (
	// long is a visibility timeout, or a wait, that does not run out while a case lasts.
	long = 60 * time.Second
	// short is a visibility timeout that a case lets run out. On a busy machine that may be
	// before the next call.
	short = time.Second
)

// Run checks everything that [queue.Queue] promises. Cases run in parallel, each on its own
// queue from open.
func Run(t *testing.T, open Open, lacks ...Lack) {
	t.Helper()
	s := suite{open: open, lacks: make(map[Guarantee]string)}
	for _, lack := range lacks {
		require.NotEmpty(t, lack.Reason, "a lack is declared with its reason")
		s.lacks[lack.Guarantee] = lack.Reason
	}
	cases := []struct {
		name string
		test func(*testing.T)
	}{
		{"RoundTrip", s.roundTrip},
		{"RoundTrip_EveryCharacter", s.roundTripEveryCharacter},
		{"Send_Rejected", s.sendRejected},
		{"Send_CanceledContext", s.sendCanceledContext},
		{"Send_Concurrent", s.sendConcurrent},
		{"Send_SameDeduplicationID", s.sendSameDeduplicationID},
		{"Send_SameDeduplicationID_OtherGroup", s.sendSameDeduplicationIDOtherGroup},
		{"Receive_Nothing", s.receiveNothing},
		{"Receive_Limit", s.receiveLimit},
		{"Receive_WokenBySend", s.receiveWokenBySend},
		{"Receive_CanceledContext", s.receiveCanceledContext},
		{"Order_WithinGroup", s.orderWithinGroup},
		{"Order_InFlightBlocksOnlyItsGroup", s.inFlightBlocksOnlyItsGroup},
		{"Order_ConcurrentConsumers", s.concurrentConsumers},
		{"Visibility_Redelivers", s.visibilityRedelivers},
		{"Receipt_ExpiredThenRedelivered", s.receiptExpiredThenRedelivered},
		{"Receipt_LateDeleteReported", s.receiptLateDeleteReported},
		{"Receipt_EndsOnTime", s.receiptEndsOnTime},
		{"Extend_KeepsHidden", s.extendKeepsHidden},
		{"Extend_ZeroHandsBack", s.extendZeroHandsBack},
		{"Delete_Many", s.deleteMany},
		{"Stats", s.stats},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

// suite is what the cases share.
type suite struct {
	open  Open
	lacks map[Guarantee]string
}

// need skips a case whose guarantee is declared as lacking.
func (s suite) need(t *testing.T, guarantee Guarantee) {
	t.Helper()
	if reason, lacking := s.lacks[guarantee]; lacking {
		t.Skipf("declared as lacking: %s: %s", guarantee, reason)
	}
}
