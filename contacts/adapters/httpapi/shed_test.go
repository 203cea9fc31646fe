package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/adapters/httpapi"
	"contacts/platform/httpserver"
)

// serve serves a world's API within the limits of a server.
func serve(t *testing.T, w *world, connections int, o httpapi.Options) *client {
	t.Helper()
	log := &syncBuffer{}
	o.Log = slog.New(slog.NewJSONHandler(log, nil))
	server, err := httpserver.Listen(t.Context(), httpserver.Options{
		Addr: "127.0.0.1:0", Connections: connections, Handler: httpapi.New(contacts.NewService(w.options()), o), Grace: time.Nanosecond,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(ctx) // it cuts off what still runs
	}()
	t.Cleanup(func() {
		cancel()
		<-served
	})
	return &client{t: t, world: w, url: "http://" + server.Addr(), log: log}
}

// hold sends the beginning of a request, over a connection of its own, and returns what sends
// more and what reads the answer.
func (c *client) hold(beginning string) (net.Conn, *bufio.Reader) {
	c.t.Helper()
	address, err := url.Parse(c.url)
	require.NoError(c.t, err)
	conn, err := new(net.Dialer).DialContext(c.t.Context(), "tcp", address.Host)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { _ = conn.Close() })
	_, err = io.WriteString(conn, beginning)
	require.NoError(c.t, err)
	return conn, bufio.NewReader(conn)
}

func post(length int) string {
	return fmt.Sprintf("POST /v1/contacts HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", length)
}

func requireOverloaded(t *testing.T, refused reply) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, refused.StatusCode, refused.body)
	require.Equal(t, "/problems/overloaded", refused.json(t)["type"])
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	require.NotEmpty(t, refused.Header.Get("X-Request-Id"))
}

// With as many requests being answered as may be, all others are refused.
func TestAPI_Overloaded(t *testing.T) {
	t.Parallel()
	w, metrics := newWorld(), prometheus.NewRegistry()
	w.held.Store(true)
	c := serve(t, w, 4, httpapi.Options{WriteWait: time.Minute, Metrics: metrics})
	var waiting []*bufio.Reader
	for range 2 {
		_, answer := c.hold(post(len(jane)) + jane)
		waiting = append(waiting, answer)
	}
	require.Eventually(t, func() bool { return len(w.Sent()) == 2 }, waitLimit, waitTick)
	for _, path := range []string{"/v1/contacts", "/contacts/4711", "/openapi.json", "/nowhere"} {
		requireOverloaded(t, c.do(http.MethodGet, path, ""))
	}
	requireOverloaded(t, c.do(http.MethodPost, "/v1/contacts", jane))
	require.Len(t, w.Sent(), 2, "and nothing happens")
	require.NotContains(t, c.log.String(), `"status":503`, "a flood must not flood the log")
	families, err := metrics.Gather()
	require.NoError(t, err)
	require.Regexp(t, `name:"status" +value:"503"`, fmt.Sprint(families), "but is counted")

	for _, command := range w.Sent() {
		w.ApplyCommand(command, true)
	}
	for _, answer := range waiting {
		response, err := http.ReadResponse(answer, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusCreated, response.StatusCode, "who was waiting is answered")
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return c.do(http.MethodGet, "/v1/contacts", "").StatusCode == http.StatusOK }, waitLimit, waitTick)
}

// Long bodies, and those of unknown length, have so much room together. Short ones pass.
func TestAPI_Overloaded_Bodies(t *testing.T) {
	t.Parallel()
	const long = 8 << 20
	c := serve(t, newWorld(), 0, httpapi.Options{WriteWait: time.Minute, MaxBodyBytes: long})
	padded := jane + strings.Repeat(" ", long-len(jane))
	first, answer := c.hold(post(long))
	second, _ := c.hold(post(long))
	unknown := func() reply {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/v1/contacts", io.MultiReader(strings.NewReader(jane)))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return reply{response, string(body)}
	}
	require.Eventually(t, func() bool { return unknown().StatusCode == http.StatusServiceUnavailable }, waitLimit, waitTick)
	requireOverloaded(t, unknown())
	requireOverloaded(t, c.do(http.MethodPost, "/v1/contacts", padded[:1<<17]))
	c.create(jane)

	_, err := io.WriteString(first, padded)
	require.NoError(t, err)
	response, err := http.ReadResponse(answer, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusCreated, response.StatusCode)
	require.NoError(t, second.Close())
	require.Eventually(t, func() bool { return unknown().StatusCode == http.StatusCreated }, waitLimit, waitTick)
	require.Equal(t, http.StatusCreated, c.do(http.MethodPost, "/v1/contacts", padded).StatusCode)
}

// The reference's parts are sent to so many at a time, however slowly they read.
func TestAPI_Overloaded_Reference(t *testing.T) {
	t.Parallel()
	inTime(t, newWorld(), httpapi.Options{}, func(t *testing.T, ask func(string) (net.Conn, func() reply)) {
		const script = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: h\r\n\r\n"
		for range 32 {
			_, answer := ask(script)
			require.Equal(t, http.StatusOK, answer().StatusCode)
		}
		_, answer := ask(script)
		requireOverloaded(t, answer())
		_, answer = ask("GET /openapi.json HTTP/1.1\r\nHost: h\r\n\r\n")
		require.Equal(t, http.StatusOK, answer().StatusCode)
		time.Sleep(time.Minute) // the server's time for an answer
		_, answer = ask(script)
		require.Equal(t, http.StatusOK, answer().StatusCode)
	})
}

// pipes is a listener whose connections are in memory, so that a test can make time pass.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inTime runs a test beside the API, in a time of their own. Each call of ask begins a request
// on a connection of its own.
func inTime(t *testing.T, w *world, o httpapi.Options, test func(t *testing.T, ask func(begins string) (net.Conn, func() reply))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Log = slog.New(slog.DiscardHandler)
		listener := make(pipes)
		server := &http.Server{Handler: httpapi.New(contacts.NewService(w.options()), o), WriteTimeout: time.Minute}
		served := make(chan error, 1)
		go func() { served <- server.Serve(listener) }()
		test(t, func(begins string) (net.Conn, func() reply) {
			near, far := net.Pipe()
			listener <- far
			_, err := io.WriteString(near, begins)
			require.NoError(t, err)
			return near, func() reply {
				response, err := http.ReadResponse(bufio.NewReader(near), nil)
				require.NoError(t, err)
				body := make([]byte, max(0, response.ContentLength)) // a stream has no end
				_, err = io.ReadFull(response.Body, body)
				require.NoError(t, err)
				return reply{response, string(body)}
			}
		})
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
}

// So many callers wait for changes, or follow them. One more is told at once what there is, or
// refused.
func TestAPI_Changes_Followers(t *testing.T) {
	t.Parallel()
	const (
		later  = "GET /v1/changes?wait=20&cursor=%s HTTP/1.1\r\nHost: h\r\n\r\n"
		stream = "GET /v1/changes HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
	)
	inTime(t, newWorld(), httpapi.Options{Followers: 1}, func(t *testing.T, ask func(string) (net.Conn, func() reply)) {
		_, now := ask(fmt.Sprintf(later, "now"))
		next := now().json(t)["next_cursor"].(string)
		wait := func() time.Duration {
			begun := time.Now()
			_, answer := ask(fmt.Sprintf(later, next))
			require.Equal(t, http.StatusOK, answer().StatusCode)
			return time.Since(begun)
		}
		follower, answer := ask(stream)
		require.Equal(t, http.StatusOK, answer().StatusCode)
		_, answer = ask(stream)
		requireOverloaded(t, answer())
		require.Zero(t, wait())

		require.NoError(t, follower.Close())
		time.Sleep(time.Second)
		require.Equal(t, 20*time.Second, wait(), "there is room again")
		_, waiting := ask(fmt.Sprintf(later, next))
		synctest.Wait()
		_, answer = ask(stream)
		requireOverloaded(t, answer())
		require.Equal(t, http.StatusOK, waiting().StatusCode)
		_, answer = ask(stream)
		require.Equal(t, http.StatusOK, answer().StatusCode)
	})
}

// A stream lasts longer than any other answer may take, but not while it is not read.
func TestAPI_Changes_StreamLasts(t *testing.T) {
	t.Parallel()
	inTime(t, newWorld(), httpapi.Options{Followers: 1}, func(t *testing.T, ask func(string) (net.Conn, func() reply)) {
		const stream = "GET /v1/changes?cursor=now HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n"
		_, answer := ask(stream)
		next := events(t, answer().Body)
		for begun := time.Now(); time.Since(begun) < time.Hour; {
			require.NotNil(t, next())
		}
		create, created := ask(post(len(jane)) + jane)
		require.Equal(t, http.StatusAccepted, created().StatusCode)
		require.NoError(t, create.Close())
		for event := next(); event["data"] == ""; event = next() {
			require.NotNil(t, event)
		}
		_, answer = ask(stream)
		requireOverloaded(t, answer())
		time.Sleep(time.Minute)
		_, answer = ask(stream)
		require.Equal(t, http.StatusOK, answer().StatusCode, "the place of the one that does not read")
	})
}

// A body that trickles is not waited for longer than its time.
func TestAPI_SlowBody(t *testing.T) {
	t.Parallel()
	w := newWorld()
	inTime(t, w, httpapi.Options{}, func(t *testing.T, ask func(string) (net.Conn, func() reply)) {
		begun := time.Now()
		conn, answer := ask(post(len(jane)))
		var sending sync.WaitGroup
		sending.Go(func() {
			for _, b := range []byte(jane) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		slow := answer()
		require.Equal(t, http.StatusRequestTimeout, slow.StatusCode)
		require.Equal(t, "/problems/request-timeout", slow.json(t)["type"])
		require.Equal(t, 5*time.Second, time.Since(begun))
		require.Empty(t, w.Sent())
		require.NoError(t, conn.Close())
		sending.Wait()
	})
}

// A body that no handler reads takes no room from those that are read, and keeps no answer
// waiting.
func TestAPI_Overloaded_BodiesThatAreNotRead(t *testing.T) {
	t.Parallel()
	c := serve(t, newWorld(), 0, httpapi.Options{WriteWait: time.Minute})
	for range 20 {
		_, answer := c.hold("GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
		response, err := http.ReadResponse(answer, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
	}
	written := c.do(http.MethodPost, "/v1/contacts", jane+strings.Repeat(" ", 1<<17))
	require.Equal(t, http.StatusCreated, written.StatusCode, written.body)
}
