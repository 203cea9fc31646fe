package redis

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/redis/rueidis"

	"contacts/platform/cache"
)

// A subscription is renewed after a pause that doubles from the shortest to the longest while
// attempts fail. Its random part keeps many processes from coming back all at once.
const (
	shortestPause = 50 * time.Millisecond
	longestPause  = 2 * time.Second
)

// waitingNotices is how many notices wait on this side for a subscriber that is still busy
// with an earlier one.
const waitingNotices = 256

// Publish implements [cache.Bus]. All notices travel in one pipeline.
func (c *Client) Publish(ctx context.Context, notices ...cache.Notice) error {
	if len(notices) == 0 {
		return nil
	}
	return c.ask(ctx, "PUBLISH", func(ctx context.Context, conn rueidis.Client) error {
		commands := make(rueidis.Commands, len(notices))
		for i, n := range notices {
			commands[i] = conn.B().Publish().Channel(c.prefix + n.Address).Message(string(n.Body)).Build()
		}
		return firstError(conn.DoMulti(ctx, commands...))
	})
}

// Subscribe implements [cache.Bus]. It holds a connection of its own. Both functions are
// called on the caller's goroutine, so that neither runs once Subscribe has returned.
func (c *Client) Subscribe(
	ctx context.Context, address string, receive func(body []byte), subscribed func(bool),
) error {
	if subscribed == nil {
		subscribed = func(bool) {}
	}
	for pause := shortestPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		if c.listen(ctx, c.prefix+address, receive, subscribed) {
			pause = shortestPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
	}
	return ctx.Err()
}

// listen subscribes once. It returns when that fails, when the connection is lost or when ctx
// ends, and reports whether the subscription stood meanwhile.
func (c *Client) listen(
	ctx context.Context, channel string, receive func(body []byte), subscribed func(bool),
) (stood bool) {
	client, err := c.connection.get(ctx)
	if err != nil {
		return false
	}
	conn, _ := client.Dedicate()
	defer conn.Close() // which also gives it back

	ctx, cancel := context.WithCancel(ctx)
	// before the closing, which waits for the reading goroutine that may wait in the hook
	defer cancel()
	bodies := make(chan string, waitingNotices)
	lost := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: func(m rueidis.PubSubMessage) {
		select {
		case bodies <- m.Message:
		case <-ctx.Done():
		}
	}})
	if err := c.confirm(ctx, conn, channel); err != nil {
		return false
	}
	subscribed(true)
	for {
		select {
		case body := <-bodies:
			receive([]byte(body))
		case <-lost: //nolint:errcheck // for any reason, the answer is to subscribe again
			subscribed(false)
			return true
		case <-ctx.Done():
			return true
		}
	}
}

// confirm asks for the subscription and waits until it stands.
func (c *Client) confirm(ctx context.Context, conn rueidis.DedicatedClient, channel string) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return conn.Do(ctx, conn.B().Subscribe().Channel(channel).Build()).Error()
}
