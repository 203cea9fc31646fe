package cachetest

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"contacts/platform/cache"
)

// RunBus checks that a [cache.Bus] keeps every guarantee of the port. open is called once for
// each case and must return a bus with addresses of its own; it registers the closing
// with t.Cleanup. Cases run in parallel.
func RunBus(t *testing.T, open func(t *testing.T) cache.Bus) {
	t.Helper()
	for name, check := range map[string]func(*testing.T, cache.Bus){
		"Publish_NobodyListens":            publishToNobody,
		"Publish_ReachesItsAddressOnly":    publishReachesItsAddressOnly,
		"Publish_KeepsOrder":               publishKeepsOrder,
		"Publish_BodiesAreOpaque":          noticesAreOpaque,
		"Subscribe_EndsWithContext":        subscribeEndsWithContext,
		"Subscribe_ContextEndedBefore":     subscribeContextEndedBefore,
		"Subscribe_WithoutCallback":        subscribeWithoutCallback,
		"Subscribe_OneNoticeAtATime":       oneNoticeAtATime,
		"Subscribe_NothingAfterTheEnd":     nothingAfterTheEnd,
		"Subscribe_AgainAfterUnsubscribed": subscribeAgain,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func publishToNobody(t *testing.T, b cache.Bus) {
	require.NoError(t, b.Publish(t.Context()))
	require.NoError(t, b.Publish(t.Context(), notice("nobody", "lost")))
}

func publishReachesItsAddressOnly(t *testing.T, b cache.Bus) {
	first, second := listen(t, b, "address"), listen(t, b, "address")
	other, longer := listen(t, b, "other"), listen(t, b, "address.longer")

	require.NoError(t, b.Publish(t.Context(), notice("address", "one"), notice("other", "two")))
	require.NoError(t, b.Publish(t.Context(), notice("address.longer", "three")))
	// The last notice to each shows that nothing else came before it.
	for _, address := range []string{"address", "other", "address.longer"} {
		require.NoError(t, b.Publish(t.Context(), notice(address, "last")))
	}

	for subscriber, want := range map[*listener]string{first: "one", second: "one", other: "two", longer: "three"} {
		require.Equal(t, want, subscriber.next(t))
		require.Equal(t, "last", subscriber.next(t))
	}
}

func publishKeepsOrder(t *testing.T, b cache.Bus) {
	const calls, each = 50, 20
	subscriber := listen(t, b, "address")
	for call := range calls {
		notices := make([]cache.Notice, each)
		for i := range notices {
			notices[i] = notice("address", strconv.Itoa(call*each+i))
		}
		require.NoError(t, b.Publish(t.Context(), notices...))
	}
	for i := range calls * each {
		require.Equal(t, strconv.Itoa(i), subscriber.next(t))
	}
}

func noticesAreOpaque(t *testing.T, b cache.Bus) {
	subscriber := listen(t, b, "address")
	for _, body := range []string{"", "a\r\nb\x00c\xff", "{\"operation\":\"1\"}"} {
		require.NoError(t, b.Publish(t.Context(), notice("address", body)))
		require.Equal(t, body, subscriber.next(t))
	}
}

func subscribeEndsWithContext(t *testing.T, b cache.Bus) {
	stays, leaves := listen(t, b, "address"), listen(t, b, "address")
	leaves.cancel()
	require.ErrorIs(t, leaves.wait(t), context.Canceled)

	require.NoError(t, b.Publish(t.Context(), notice("address", "late")))
	require.Equal(t, "late", stays.next(t))
	require.Empty(t, leaves.received)
}

func subscribeContextEndedBefore(t *testing.T, b cache.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := b.Subscribe(ctx, "address", func([]byte) {}, nil)
	require.ErrorIs(t, err, context.Canceled)
}

func subscribeWithoutCallback(t *testing.T, b cache.Bus) {
	ctx, cancel := context.WithCancel(t.Context())
	received := make(chan struct{}, 1)
	var group errgroup.Group
	group.Go(func() error {
		return b.Subscribe(ctx, "address", func([]byte) {
			select {
			case received <- struct{}{}:
			default:
			}
		}, nil)
	})
	require.EventuallyWithT(t, func(collect *assert.CollectT) {
		require.NoError(collect, b.Publish(t.Context(), notice("address", "there?")))
		require.NotEmpty(collect, received)
	}, patience, tick)
	cancel()
	require.ErrorIs(t, group.Wait(), context.Canceled)
}

func oneNoticeAtATime(t *testing.T, b cache.Bus) {
	const publishers, each = 8, 50
	var inside, count atomic.Int64
	subscriber := listenWith(t, b, "address", func(string) {
		assert.EqualValues(t, 1, inside.Add(1), "receive was called while it ran")
		runtime.Gosched()
		inside.Add(-1)
		count.Add(1)
	})
	var group errgroup.Group
	for range publishers {
		group.Go(func() error {
			for range each {
				if err := b.Publish(t.Context(), notice("address", "x")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Eventually(t, func() bool { return count.Load() == publishers*each }, patience, tick)
	subscriber.cancel()
	require.ErrorIs(t, subscriber.wait(t), context.Canceled)
}

// nothingAfterTheEnd unsubscribes while notices come in all the time.
func nothingAfterTheEnd(t *testing.T, b cache.Bus) {
	publishing, stop := context.WithCancel(t.Context())
	defer stop()
	var publishers errgroup.Group
	for range 4 {
		publishers.Go(func() error {
			for publishing.Err() == nil {
				if err := b.Publish(t.Context(), notice("address", "x")); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 50 {
		var ended atomic.Bool
		received := make(chan string, 1)
		subscriber := listenWith(t, b, "address", func(body string) {
			runtime.Gosched()
			assert.False(t, ended.Load(), "receive ran after Subscribe had returned")
			select {
			case received <- body:
			default:
			}
		})
		subscriber.received = received
		subscriber.next(t)
		subscriber.cancel()
		require.ErrorIs(t, subscriber.wait(t), context.Canceled)
		ended.Store(true)
	}
	stop()
	require.NoError(t, publishers.Wait())
}

func subscribeAgain(t *testing.T, b cache.Bus) {
	for i := range 3 {
		subscriber := listen(t, b, "address")
		require.NoError(t, b.Publish(t.Context(), notice("address", strconv.Itoa(i))))
		require.Equal(t, strconv.Itoa(i), subscriber.next(t))
		subscriber.cancel()
		require.ErrorIs(t, subscriber.wait(t), context.Canceled)
	}
}

// listener is a running subscription. It ends with the test at the latest.
type listener struct {
	received <-chan string
	ended    chan error
	cancel   context.CancelFunc
}

// listen collects the notices to address. It returns once the subscription stands.
func listen(t *testing.T, b cache.Bus, address string) *listener {
	t.Helper()
	received := make(chan string, 10_000)
	l := listenWith(t, b, address, func(body string) { received <- body })
	l.received = received
	return l
}

func listenWith(t *testing.T, b cache.Bus, address string, receive func(body string)) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &listener{ended: make(chan error, 1), cancel: cancel}
	stands := make(chan bool, 1)
	go func() {
		l.ended <- b.Subscribe(ctx, address,
			func(body []byte) { receive(string(body)) },
			func(is bool) {
				select {
				case stands <- is:
				default: // only the first report counts
				}
			})
	}()
	t.Cleanup(cancel)
	select {
	case is := <-stands:
		require.True(t, is, "the first report of a subscription is that it stands")
	case <-time.After(patience):
		require.FailNow(t, "the subscription never stood")
	}
	return l
}

func (l *listener) next(t *testing.T) string {
	t.Helper()
	select {
	case body := <-l.received:
		return body
	case <-time.After(patience):
		require.FailNow(t, "a notice never came")
		return ""
	}
}

// wait returns what Subscribe returned.
func (l *listener) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-l.ended:
		return err
	case <-time.After(patience):
		require.FailNow(t, "Subscribe never returned")
		return nil
	}
}

func notice(address, body string) cache.Notice {
	return cache.Notice{Address: address, Body: []byte(body)}
}
