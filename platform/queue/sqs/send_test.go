package sqs_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
	"contacts/platform/queue/sqs"
)

func message(body string) queue.Message {
	return queue.Message{Group: uuid.NewString(), DeduplicationID: uuid.NewString(), Body: []byte(body)}
}

func TestQueue_Send_Failures(t *testing.T) {
	throttle := func(w http.ResponseWriter) { refuse(w, http.StatusForbidden, "RequestThrottled") }
	deny := func(w http.ResponseWriter) { refuse(w, http.StatusForbidden, "AccessDenied") }
	cases := map[string]struct {
		respond  func(w http.ResponseWriter, c call, number int)
		want     error
		attempts int
	}{
		"denied": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { deny(w) },
			want:     queue.ErrUnavailable,
			attempts: 1,
		},
		"no such queue": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { refuse(w, http.StatusBadRequest, "QueueDoesNotExist") },
			want:     queue.ErrUnavailable,
			attempts: 1,
		},
		"throttled": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { throttle(w) },
			want:     queue.ErrUnavailable,
			attempts: 3,
		},
		"throttled with a 503": {
			respond: func(w http.ResponseWriter, _ call, _ int) {
				refuse(w, http.StatusServiceUnavailable, "ThrottlingException")
			},
			want:     queue.ErrUnavailable,
			attempts: 3,
		},
		"throttled, then accepted": {
			respond: func(w http.ResponseWriter, c call, number int) {
				if number == 1 {
					throttle(w)
					return
				}
				succeed(w, c)
			},
			attempts: 2,
		},
		"connection broken": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { hangUp(w) },
			want:     queue.ErrUncertain,
			attempts: 3,
		},
		"internal error": {
			respond: func(w http.ResponseWriter, _ call, _ int) {
				refuse(w, http.StatusInternalServerError, "InternalFailure")
			},
			want:     queue.ErrUncertain,
			attempts: 3,
		},
		"connection broken, then accepted": {
			respond: func(w http.ResponseWriter, c call, number int) {
				if number == 1 {
					hangUp(w)
					return
				}
				succeed(w, c)
			},
			attempts: 2,
		},
		"connection broken, then denied": {
			respond: func(w http.ResponseWriter, _ call, number int) {
				if number == 1 {
					hangUp(w)
					return
				}
				deny(w)
			},
			want:     queue.ErrUncertain,
			attempts: 2,
		},
		"connection broken, then the entry fails": {
			respond: func(w http.ResponseWriter, c call, number int) {
				if number == 1 {
					hangUp(w)
					return
				}
				fail(w, c, "InternalError", "", false)
			},
			want:     queue.ErrUncertain,
			attempts: 2,
		},
		"answer unreadable": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { reply(w, `{"Successful":`) },
			want:     queue.ErrUncertain,
			attempts: 1,
		},
		"answer about another message": {
			respond: func(w http.ResponseWriter, _ call, _ int) {
				reply(w, `{"Successful":[{"Id":"0","MD5OfMessageBody":"d41d8cd98f00b204e9800998ecf8427e"}]}`)
			},
			want:     queue.ErrUncertain,
			attempts: 1,
		},
		"answer without the entry": {
			respond:  func(w http.ResponseWriter, _ call, _ int) { reply(w, `{"Successful":[]}`) },
			want:     queue.ErrUncertain,
			attempts: 1,
		},
		"entry rejected": {
			respond:  func(w http.ResponseWriter, c call, _ int) { fail(w, c, "InvalidMessageContents", "", true) },
			want:     queue.ErrRejected,
			attempts: 1,
		},
		"entry throttled": {
			respond:  func(w http.ResponseWriter, c call, _ int) { fail(w, c, "RequestThrottled", "", true) },
			want:     queue.ErrUnavailable,
			attempts: 1,
		},
		"entry's key unusable": {
			respond:  func(w http.ResponseWriter, c call, _ int) { fail(w, c, "KmsDisabled", "", true) },
			want:     queue.ErrUnavailable,
			attempts: 1,
		},
		"entry failed in SQS": {
			respond:  func(w http.ResponseWriter, c call, _ int) { fail(w, c, "InternalError", "", false) },
			want:     queue.ErrUnavailable,
			attempts: 1,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.respond)
			err := f.open(t).Send(t.Context(), message("a secret"))
			if c.want == nil {
				require.NoError(t, err)
			} else {
				requireOnly(t, c.want, err)
				require.NotContains(t, err.Error(), "secret")
			}
			require.Len(t, f.received(), c.attempts)
		})
	}
}

// requireOnly checks that err is want and none of the port's other errors.
func requireOnly(t *testing.T, want, err error) {
	t.Helper()
	for _, candidate := range []error{queue.ErrUnavailable, queue.ErrUncertain, queue.ErrRejected, queue.ErrReceiptExpired} {
		require.Equal(t, errors.Is(candidate, want), errors.Is(err, candidate), "%v: %v", candidate, err)
	}
}

func TestQueue_Send_NobodyListens(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()

	q := open(t, sqs.Options{URL: server.URL + "/000000000000/commands.fifo"})
	requireOnly(t, queue.ErrUnavailable, q.Send(t.Context(), message("body")))
	requireOnly(t, queue.ErrUnavailable, q.Delete(t.Context(), "receipt"))
	_, err := q.Receive(t.Context(), 1, 0)
	requireOnly(t, queue.ErrUnavailable, err)
	_, err = q.Stats(t.Context())
	requireOnly(t, queue.ErrUnavailable, err)
}

func TestQueue_Send_NoCredentials(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) { succeed(w, c) })
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	requireOnly(t, queue.ErrUnavailable, f.open(t).Send(t.Context(), message("body")))
	require.Empty(t, f.received())
}

func TestQueue_Send_NeverAnswered(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	f := newFake(t, func(http.ResponseWriter, call, int) { <-ctx.Done() })
	q := f.open(t)
	requireOnly(t, queue.ErrUncertain, q.Send(t.Context(), message("body")))

	leaving, leave := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { failed <- q.Send(leaving, message("body")) }()
	require.Eventually(t, func() bool { return len(f.received()) >= 2 }, patience, tick)
	leave()
	err := <-failed
	requireOnly(t, queue.ErrUncertain, err)
	require.ErrorIs(t, err, context.Canceled)
}

func TestQueue_Send_BatchesKeepLimits(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) { succeed(w, c) })
	q := f.open(t)
	const count = 40
	var senders sync.WaitGroup
	errs := make([]error, count)
	for i := range count {
		senders.Go(func() {
			errs[i] = queue.ErrUncertain
			// A busy machine can exceed a batch's time.
			for errors.Is(errs[i], queue.ErrUncertain) {
				errs[i] = q.Send(t.Context(), message(strings.Repeat("x", 10_000+i*1000)))
			}
		})
	}
	senders.Wait()
	require.NoError(t, errors.Join(errs...))

	var sent int
	for _, c := range f.received() {
		require.LessOrEqual(t, len(c.Entries), 10)
		var size int
		for _, entry := range c.Entries {
			size += len(entry.MessageBody)
		}
		require.LessOrEqual(t, size, queue.MaxBody)
		sent += len(c.Entries)
	}
	require.GreaterOrEqual(t, sent, count)
}

// While a request is on its way, what comes is gathered into others, which do not wait for it
// for long; every request is observed.
func TestQueue_Send_GathersUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var observed atomic.Int64
		f, q, release := openHeld(t, sqs.Options{Observe: func(action string) {
			if action == "SendMessageBatch" {
				observed.Add(1)
			}
		}})
		const gathered = 60
		errs := make(chan error, gathered+1)
		go func() { errs <- q.Send(t.Context(), message("body")) }()
		synctest.Wait()
		require.Len(t, f.received(), 1, "a lone message leaves at once")
		for range gathered {
			go func() { errs <- q.Send(t.Context(), message("body")) }()
		}
		time.Sleep(time.Second)
		requests, messages := len(f.received()), 0
		for _, c := range f.received() {
			messages += len(c.Entries)
		}
		require.Equal(t, gathered+1, messages, "though nothing is answered")
		require.Less(t, requests, gathered/2)
		release()
		for range gathered + 1 {
			require.NoError(t, <-errs)
		}
		require.EqualValues(t, requests, observed.Load())
	})
}

// Bodies of which no two fit into a request have a bounded number of requests too.
func TestQueue_Send_LargeBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, q, release := openHeld(t, sqs.Options{})
		const count = 60
		errs := make(chan error, count)
		for range count {
			go func() { errs <- q.Send(t.Context(), message(strings.Repeat("x", queue.MaxBody/2+1))) }()
		}
		time.Sleep(time.Second)
		requests := len(f.received())
		require.Equal(t, 32, requests)
		release()
		for range count {
			require.NoError(t, <-errs)
		}
		require.Len(t, f.received(), count)
	})
}

func TestQueue_Close_Drains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, q, release := openHeld(t, sqs.Options{})
		sent, closed := make(chan error, 1), make(chan error, 1)
		go func() { sent <- q.Send(t.Context(), message("body")) }()
		synctest.Wait()
		go func() { closed <- q.Close(t.Context()) }()
		synctest.Wait()
		require.ErrorIs(t, q.Send(t.Context(), message("late")), queue.ErrUnavailable)
		require.Empty(t, closed, "it waits for what is on its way")
		release()
		require.NoError(t, <-sent)
		require.NoError(t, <-closed)
	})
}

func TestQueue_Close_GivesUp(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	f := newFake(t, func(http.ResponseWriter, call, int) { <-release })
	q := f.open(t)
	sent := make(chan error)
	go func() { sent <- q.Send(t.Context(), message("body")) }()
	require.Eventually(t, func() bool { return len(f.received()) == 1 }, patience, tick)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, q.Close(ctx), context.Canceled)
	requireOnly(t, queue.ErrUncertain, <-sent)
}
