// Package redis is the cache, the bus and the limiter in a Redis (7 or later) or Valkey (8 or
// later) that processes share, alone or as a cluster. It is the only package that knows the
// client library.
package redis

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/redis/rueidis"
	"github.com/sony/gobreaker/v2"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"contacts/platform/cache"
	"contacts/platform/ratelimit"
	"contacts/platform/telemetry"
)

var (
	_ cache.Cache       = (*Client)(nil)
	_ cache.Bus         = (*Client)(nil)
	_ ratelimit.Limiter = (*Client)(nil)
)

const (
	// DefaultTimeout is how long a call may take unless told otherwise.
	DefaultTimeout = 150 * time.Millisecond
	// probeAfter is how long calls fail at once after one that got no answer, until one more
	// is tried.
	probeAfter = time.Second
)

// Options are the settings of a client. Only the URL is required.
type Options struct {
	// URL is redis://[user:password@]host[:port][/database], or rediss:// for TLS. Further
	// nodes of a cluster may follow as ?addr=host:port&addr=host:port. Special characters in
	// the password are percent-encoded.
	URL string
	// KeyPrefix stands before every key and address, so that several programs can share a
	// server.
	KeyPrefix string
	// Timeout is how long a call waits for Redis, connecting included. Zero means
	// [DefaultTimeout].
	Timeout time.Duration
}

// flushDelay is how long a busy connection gathers commands before it writes them: fewer
// system calls, on both sides.
const flushDelay = 100 * time.Microsecond

// Client implements [cache.Cache], [cache.Bus] and [ratelimit.Limiter].
//
// A call that Redis does not answer within the timeout fails with [cache.ErrUnavailable]. For
// a second after it, all calls fail at once; then one is let through, and if it is answered,
// so are the others again. A call that has begun is not broken off when its ctx ends: it is
// over within the timeout anyway, and a caller that gives up early must not count as a failure
// of Redis, nor break a connection that others share.
type Client struct {
	connection *connection
	prefix     string
	timeout    time.Duration
	breaker    *gobreaker.CircuitBreaker[struct{}]
}

// Open returns a client for the Redis at options.URL. It does not connect: the first call
// does, so that a program can start while Redis is down. The only error is a URL that cannot
// be read; it does not repeat the URL, which may hold a password. Close the client after use.
func Open(options Options) (*Client, error) {
	option, err := parse(options.URL)
	if err != nil {
		return nil, err
	}
	timeout := options.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	option.Dialer.Timeout = timeout
	option.ConnWriteTimeout = timeout
	option.DisableRetry = true
	option.MaxFlushDelay = flushDelay
	// a value cached on this side would be older than a write on another replica
	option.DisableCache = true
	return &Client{
		connection: &connection{option: option},
		prefix:     options.KeyPrefix,
		timeout:    timeout,
		breaker: gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
			Timeout:      probeAfter,
			ReadyToTrip:  func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures > 0 },
			IsSuccessful: answered,
		}),
	}, nil
}

// Check reports what is wrong with a URL for [Options], as Open would.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

// errURL leaves out what is wrong, because the parsers' messages quote parts of the URL and so
// of the password.
var errURL = errors.New("redis: the URL cannot be read: write redis://[user:password@]host[:port][/database] or " +
	"rediss://…, with special characters in the password percent-encoded")

func parse(rawURL string) (rueidis.ClientOption, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "" {
		return rueidis.ClientOption{}, errURL
	}
	if u.User == nil && strings.Contains(rawURL, "@") {
		// An unescaped / ? or # in the password has made its beginning the host, which errors
		// name later.
		return rueidis.ClientOption{}, errURL
	}
	option, err := rueidis.ParseURL(rawURL)
	if err != nil {
		return rueidis.ClientOption{}, errURL
	}
	return option, nil
}

// Close closes the connections. End all subscriptions before; later calls return
// [cache.ErrUnavailable].
func (c *Client) Close() { c.connection.close() }

// ask runs call within the timeout unless the breaker is open, in a span below the one that
// ctx belongs to. Every error it returns is a [cache.ErrUnavailable] that wraps its cause.
// operation is Redis' command, with the script's name where it runs one: neither span nor
// error is told keys or values.
func (c *Client) ask(ctx context.Context, operation string, call func(context.Context, rueidis.Client) error) error {
	ctx, span := telemetry.Child(ctx, operation, trace.SpanKindClient)
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(semconv.DBSystemNameRedis, semconv.DBOperationName(operation))
	}
	err := ctx.Err()
	if err == nil {
		_, err = c.breaker.Execute(func() (struct{}, error) {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
			defer cancel()
			conn, err := c.connection.get(ctx)
			if err != nil {
				return struct{}{}, err
			}
			return struct{}{}, call(ctx, conn)
		})
	}
	if err != nil {
		telemetry.Fail(span, semconv.ErrorType(err).Value.AsString())
		return fmt.Errorf("redis: %s: %w: %w", operation, cache.ErrUnavailable, err)
	}
	return nil
}

// answered says whether Redis is there: an error that it replied with, such as a full memory
// or a key of another type, must not stop the calls that still work.
func answered(err error) bool {
	_, replied := errors.AsType[*rueidis.RedisError](err)
	return err == nil || replied
}
