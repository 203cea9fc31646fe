package httpserver

import (
	"container/list"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stallLimit is how long a client may at least take to receive what is written of its
	// answer.
	stallLimit = time.Second
	// A client that receives its answer slowly, but goes on receiving, is given longer than
	// the time of an answer: a second more for each slowestRate bytes, looked at after each
	// piece of the answer.
	slowestRate = 8 << 10
	piece       = 64 << 10
	// mostUnread is how many bytes of answers may wait to be received before slow clients have
	// to go.
	mostUnread = 32 << 20
)

// connections bounds how many connections are open, and how many requests are being answered,
// at the same time.
//
// One connection more closes the one whose client has kept the server waiting the longest: for
// a request, for the rest of one, its body included, or to receive the answer. So neither many
// idle connections nor slow ones keep others out, and one that the server works for is never
// closed. One request more closes one whose client does not receive its answer; where there is
// none, its handler is told so by [Overloaded]. Too much that is not received closes one, too.
type connections struct {
	most, mostRequests int

	mu       sync.Mutex
	open     int
	requests int // that have come to their ends, and are being answered
	unread   int // bytes that are being written
	// Those that wait for their clients, the longest waiting first: for the end of a request,
	// and for the answer to be received.
	asking, receiving list.List
}

// connection is an open connection.
type connection struct {
	net.Conn

	all *connections
	// Guarded by all.mu.
	closed   bool
	answered bool       // it is one of the requests
	among    *list.List // asking, receiving, or nil while the server works for it
	place    *list.Element
	since    time.Time // among those
	unread   int

	deadline atomic.Int64 // for what is written, in nanoseconds since 1970; 0: none
	received atomic.Int64 // bytes that were written since the deadline was set
}

// limitedListener lets connections in.
type limitedListener struct {
	net.Listener

	all *connections
}

// Accept implements [net.Listener].
func (l limitedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &connection{Conn: conn, all: l.all}
	c.all.add(c)
	return c, nil
}

// add lets a connection in, in the place of another if there is none left.
func (s *connections) add(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	s.move(c, &s.asking)
	if s.open > s.most {
		s.evict(&s.asking, &s.receiving)
	}
}

// evict closes the connection, of those in the lists, that has waited the longest and may be
// closed, and reports whether there is one.
func (s *connections) evict(lists ...*list.List) bool {
	var slow *connection
	for _, among := range lists {
		if among.Len() == 0 {
			continue
		}
		c := among.Front().Value.(*connection)
		if (!c.answered || time.Since(c.since) >= stallLimit) && (slow == nil || c.since.Before(slow.since)) {
			slow = c
		}
	}
	if slow == nil {
		return false
	}
	s.forget(slow)
	// it waits for the reader or writer, which may wait for mu
	go func() { _ = slow.Conn.Close() }()
	return true
}

// move puts a connection among those that wait, or nowhere where among is nil.
func (s *connections) move(c *connection, among *list.List) {
	if c.among != nil {
		c.among.Remove(c.place)
	}
	if c.among = among; among != nil {
		c.since = time.Now()
		c.place = among.PushBack(c)
	}
}

// forget counts a connection no more. If a handler answers its request, that ends soon.
func (s *connections) forget(c *connection) {
	if c.closed {
		return
	}
	c.closed = true
	s.open--
	if c.answered {
		s.requests--
	}
	s.unread -= c.unread
	s.move(c, nil)
}

// Close implements [net.Conn].
func (c *connection) Close() error {
	c.all.mu.Lock()
	c.all.forget(c)
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite says that nothing more will be written, so that the client can read the answer to
// what it is still sending.
func (c *connection) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// answer is a response of which a connection's requests are counted. While it is written the
// server waits for the client. It is counted here, since below TLS it comes in small records.
type answer struct {
	http.ResponseWriter

	connection *connection
}

// Write implements [io.Writer].
func (a *answer) Write(p []byte) (int, error) {
	a.connection.all.writes(a.connection, len(p))
	defer a.connection.all.writes(a.connection, 0)
	return a.ResponseWriter.Write(p)
}

// Unwrap lets an [http.ResponseController] find what the answer is written to.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write implements [net.Conn].
func (c *connection) Write(p []byte) (written int, err error) {
	for err == nil && written < len(p) {
		if err = c.extend(); err == nil {
			var n int
			n, err = c.Conn.Write(p[written:min(len(p), written+piece)])
			written += n
			c.received.Add(int64(n))
		}
	}
	return written, err
}

// SetWriteDeadline implements [net.Conn]. Of a client that receives what is written, the
// deadline moves on.
func (c *connection) SetWriteDeadline(t time.Time) error {
	nanoseconds := int64(0)
	if !t.IsZero() {
		nanoseconds = t.UnixNano()
	}
	c.deadline.Store(nanoseconds)
	c.received.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// extend moves the deadline on by the time that a slow client takes for what it has received.
func (c *connection) extend() error {
	seconds, deadline := c.received.Load()/slowestRate, c.deadline.Load()
	if seconds == 0 || deadline == 0 {
		return nil
	}
	return c.Conn.SetWriteDeadline(time.Unix(0, deadline).Add(time.Duration(seconds) * time.Second))
}

// writes notes that the handler of the connection's request waits until so many bytes are
// received, or, for 0, works again.
func (s *connections) writes(c *connection, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed || !c.answered {
		return
	}
	s.unread += bytes - c.unread
	if c.unread = bytes; bytes == 0 {
		s.move(c, nil)
		return
	}
	s.move(c, &s.receiving)
	for s.unread > mostUnread && s.evict(&s.receiving) { // until it is enough, or none may go
	}
}

// hasRoom reports whether there is room for one request more, and makes some if it can.
func (s *connections) hasRoom() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests < s.mostRequests || s.evict(&s.receiving)
}

// begin notes that all of a request has come.
func (s *connections) begin(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed || c.answered {
		return
	}
	c.answered = true
	s.requests++
	s.move(c, nil)
}

// end notes that a request was answered.
func (s *connections) end(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.closed {
		return
	}
	if c.answered {
		c.answered = false
		s.requests--
	}
	s.move(c, &s.asking)
}

// connectionKey is the key of the request's *connection in its context.
type connectionKey struct{}

func withConnection(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, c)
}

// overloadedKey is in the context of requests that there is no room for.
type overloadedKey struct{}

// Overloaded reports whether a request, of which it is given the context, came when as many
// others were being answered as may be: its handler is to refuse it at once.
func Overloaded(ctx context.Context) bool { return ctx.Value(overloadedKey{}) != nil }

// count has the requests counted that the handler answers.
func (s *connections) count(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := r.Context().Value(connectionKey{}).(*connection)
		if !s.hasRoom() {
			r = r.WithContext(context.WithValue(r.Context(), overloadedKey{}, true))
		}
		defer s.end(c)
		switch {
		case r.Body == http.NoBody:
			s.begin(c)
		case !hasMeaning(r.Method):
			// Or net/http would wait for the body before it answers, for as long as a request
			// may take.
			w.Header().Set("Connection", "close")
			s.begin(c)
		default:
			r = r.WithContext(r.Context()) // a copy: the server looks at its own
			r.Body = body{r.Body, c}
		}
		handler.ServeHTTP(&answer{w, c}, r)
	})
}

// hasMeaning tells whether the body of a request of the method has one (RFC 9110, 9.3). One
// that has none is read by no handler: the request counts as soon as its headers have come.
func hasMeaning(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodDelete
}

// body is a request's body, which has come when it is read.
type body struct {
	io.ReadCloser

	connection *connection
}

// Read implements [io.Reader].
func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.connection.all.begin(b.connection)
	}
	return n, err
}

// Close implements [io.Closer]. It may read what is left.
func (b body) Close() error {
	defer b.connection.all.begin(b.connection)
	return b.ReadCloser.Close()
}
