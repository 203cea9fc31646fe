package redis

import (
	"context"
	"sync"

	"github.com/redis/rueidis"
	"golang.org/x/sync/singleflight"
)

// connection holds the library's client, which can only be made while Redis answers: it asks
// at once whether it talks to a cluster. Once made, it reconnects by itself.
type connection struct {
	option  rueidis.ClientOption
	connect singleflight.Group

	mu     sync.RWMutex
	client rueidis.Client // nil until connected
	closed bool
}

// get returns the client. Without one, all callers together make one attempt to connect, and
// each waits for it no longer than its ctx. An attempt that outlasts its callers serves the
// next ones.
func (c *connection) get(ctx context.Context) (rueidis.Client, error) {
	if client, err := c.current(); client != nil || err != nil {
		return client, err
	}
	attempt := c.connect.DoChan("", func() (any, error) { return nil, c.dial() })
	select {
	case result := <-attempt:
		if result.Err != nil {
			return nil, result.Err
		}
		return c.current()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *connection) current() (rueidis.Client, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.closed {
		return nil, rueidis.ErrClosing
	}
	return c.client, nil
}

func (c *connection) dial() error {
	if client, err := c.current(); client != nil || err != nil {
		return err // an attempt ended between the caller's look and this one
	}
	client, err := rueidis.NewClient(c.option)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		client.Close()
		return rueidis.ErrClosing
	}
	c.client = client
	return nil
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.client != nil {
		c.client.Close()
		c.client = nil
	}
}
