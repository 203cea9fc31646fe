package sqs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
	"contacts/platform/queue/sqs"
)

const (
	// patience bounds how long a test waits for a condition, tick is how often it looks.
	patience = 30 * time.Second
	tick     = 5 * time.Millisecond
)

func TestQueue_Receive_Request(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, _ call, number int) {
		if number == 1 {
			hangUp(w)
			return
		}
		reply(w, `{"Messages":[{"Body":"body","ReceiptHandle":"receipt","Attributes":{
			"ApproximateReceiveCount":"3","MessageGroupId":"group","SentTimestamp":"1700000000123"}}]}`)
	})
	q := open(t, sqs.Options{URL: f.url, Visibility: 1500 * time.Millisecond})
	deliveries, err := q.Receive(t.Context(), 500, time.Hour)
	require.NoError(t, err)
	require.Equal(t, []queue.Delivery{{
		Receipt: "receipt", Group: "group", Body: []byte("body"), Attempt: 3, SentAt: time.UnixMilli(1700000000123),
	}}, deliveries)

	calls := f.received()
	require.Len(t, calls, 2)
	require.Equal(t, calls[0], calls[1])
	require.NotEmpty(t, calls[0].ReceiveRequestAttemptID, "a retry asks for the messages of the lost answer")
	require.Equal(t, 10, calls[0].MaxNumberOfMessages)
	require.Equal(t, 20, calls[0].WaitTimeSeconds)
	require.Equal(t, 2, calls[0].VisibilityTimeout)
}

func TestQueue_Receive_NoWait(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, _ call, _ int) { reply(w, `{}`) })
	deliveries, err := f.open(t).Receive(t.Context(), 1, 0)
	require.NoError(t, err)
	require.Empty(t, deliveries)
	require.Equal(t, 1, f.received()[0].WaitTimeSeconds, "without a wait of its own the queue's 20 seconds would apply")
	require.Equal(t, 60, f.received()[0].VisibilityTimeout)
}

// What a left poll was given is handed back; where that fails for good, an operator is told.
func TestQueue_Receive_LeftPollFails(t *testing.T) {
	cases := map[string]struct {
		refused  bool // the poll itself
		handBack func(w http.ResponseWriter, c call, number int)
		tries    int // of handing back
		told     string
	}{
		"passing failure": {
			handBack: func(w http.ResponseWriter, c call, number int) {
				if number == 2 {
					hangUp(w)
					return
				}
				succeed(w, c)
			},
			tries: 2,
		},
		"visible already": {
			handBack: func(w http.ResponseWriter, c call, _ int) { fail(w, c, "MessageNotInflight", "", true) },
			tries:    1,
		},
		"message not handed back": {
			handBack: func(w http.ResponseWriter, c call, _ int) { fail(w, c, "InternalError", "", false) },
			tries:    1, told: "messages=1",
		},
		"nothing handed back": {
			handBack: func(w http.ResponseWriter, _ call, _ int) { refuse(w, http.StatusForbidden, "AccessDenied") },
			tries:    1, told: "messages=1",
		},
		"failed poll": {
			refused: true, told: "messages=0",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ctx, leave := context.WithCancel(t.Context())
			left := make(chan struct{})
			f := newFake(t, func(w http.ResponseWriter, request call, number int) {
				if request.Action != "ReceiveMessage" {
					c.handBack(w, request, number)
					return
				}
				leave()
				<-left
				if c.refused {
					refuse(w, http.StatusForbidden, "AccessDenied")
					return
				}
				reply(w, `{"Messages":[{"Body":"body","ReceiptHandle":"receipt"}]}`)
			})
			var log bytes.Buffer
			q, err := sqs.Open(t.Context(), sqs.Options{URL: f.url, Log: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			_, err = q.Receive(ctx, 10, time.Second)
			require.ErrorIs(t, err, context.Canceled)
			close(left)
			require.NoError(t, q.Close(t.Context()))

			calls := f.received()[1:]
			require.Len(t, calls, c.tries)
			for _, handedBack := range calls {
				require.Equal(t, "ChangeMessageVisibilityBatch", handedBack.Action)
				require.Zero(t, *handedBack.Entries[0].VisibilityTimeout)
			}
			if c.told == "" {
				require.Empty(t, log.String())
			} else {
				require.Contains(t, log.String(), "level=WARN")
				require.Contains(t, log.String(), c.told)
				require.Equal(t, 1, strings.Count(log.String(), "\n"))
			}
		})
	}
}

func TestQueue_Delete_InTens(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) { succeed(w, c) })
	want := make(map[string]bool)
	var receipts []string
	for i := range 25 {
		receipt := fmt.Sprint("receipt-", i)
		want[receipt] = true
		receipts = append(receipts, receipt)
	}
	require.NoError(t, f.open(t).Delete(t.Context(), receipts...))
	calls := f.received()
	require.Len(t, calls, 3)
	for _, c := range calls {
		require.Equal(t, "DeleteMessageBatch", c.Action)
		require.LessOrEqual(t, len(c.Entries), 10)
		for _, entry := range c.Entries {
			require.True(t, want[entry.ReceiptHandle])
			delete(want, entry.ReceiptHandle)
		}
	}
	require.Empty(t, want)
}

func TestQueue_Extend_RoundsUp(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) { succeed(w, c) })
	q := f.open(t)
	for d, seconds := range map[time.Duration]int{
		0:                       0,
		-time.Second:            0,
		time.Nanosecond:         1,
		1001 * time.Millisecond: 2,
		13 * time.Hour:          12 * 60 * 60,
	} {
		require.NoError(t, q.Extend(t.Context(), d, "receipt"))
		calls := f.received()
		last := calls[len(calls)-1].Entries[0].VisibilityTimeout
		require.NotNil(t, last, "zero is said, not left out")
		require.Equal(t, seconds, *last, "%v", d)
	}
}

func TestQueue_Acknowledge_Failures(t *testing.T) {
	cases := map[string]struct {
		code, message string
		want          error
	}{
		"expired":            {"InvalidParameterValue", "Value R for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", queue.ErrReceiptExpired},
		"invalid":            {"ReceiptHandleIsInvalid", "The input receipt handle is invalid.", queue.ErrReceiptExpired},
		"not in flight":      {"MessageNotInflight", "", queue.ErrReceiptExpired},
		"older code":         {"AWS.SimpleQueueService.MessageNotInflight", "", queue.ErrReceiptExpired},
		"beyond 12 hours":    {"InvalidParameterValue", "Total VisibilityTimeout for the message is beyond the limit", queue.ErrUnavailable},
		"throttled":          {"RequestThrottled", "", queue.ErrUnavailable},
		"internal to SQS":    {"InternalError", "", queue.ErrUnavailable},
		"code never seen of": {"SomethingNew", "", queue.ErrUnavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(w http.ResponseWriter, request call, _ int) { fail(w, request, c.code, c.message, true) })
			q := f.open(t)
			requireOnly(t, c.want, q.Delete(t.Context(), "a secret", "b"))
			err := q.Extend(t.Context(), time.Second, "a secret", "b")
			requireOnly(t, c.want, err)
			require.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestQueue_Delete_SomeExpiredSomeUnavailable(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) {
		if c.Entries[0].ReceiptHandle == "0" {
			fail(w, c, "ReceiptHandleIsInvalid", "", true)
			return
		}
		refuse(w, http.StatusForbidden, "AccessDenied")
	})
	var receipts []string
	for i := range 11 {
		receipts = append(receipts, fmt.Sprint(i))
	}
	err := f.open(t).Delete(t.Context(), receipts...)
	require.ErrorIs(t, err, queue.ErrReceiptExpired)
	require.ErrorIs(t, err, queue.ErrUnavailable)
}
