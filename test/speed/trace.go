package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// counts are what a server was asked over some connections.
type counts struct {
	roundTrips int // times that a client sent something while it waited for no answer
	requests   int // statements of PostgreSQL (Execute and simple Query), or commands of Redis
}

// protocol follows one connection. Both methods read one message, and return it whole once it
// is counted.
type protocol interface {
	fromClient(r *bufio.Reader) ([]byte, error)
	fromServer(r *bufio.Reader) ([]byte, error)
}

// proxy passes connections on to a server, and counts what is asked of it. TLS is off on
// loopback.
type proxy struct {
	address string

	mu    sync.Mutex
	total counts
}

// startProxy listens until ctx ends.
func startProxy(ctx context.Context, server string, follow func(*conversation) protocol) (*proxy, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { listener.Close() })
	p := &proxy{address: listener.Addr().String()}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := new(net.Dialer).DialContext(ctx, "tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			followed := follow(&conversation{proxy: p})
			context.AfterFunc(ctx, func() { client.Close(); upstream.Close() })
			go pass(upstream, client, followed.fromClient)
			go pass(client, upstream, followed.fromServer)
		}
	}()
	return p, nil
}

// pass passes messages on until one side closes. What has come together is sent together.
func pass(to, from net.Conn, next func(*bufio.Reader) ([]byte, error)) {
	defer to.Close()
	defer from.Close()
	reader, writer := bufio.NewReaderSize(from, 64<<10), bufio.NewWriterSize(to, 64<<10)
	for {
		message, err := next(reader)
		if err != nil {
			return
		}
		if _, err := writer.Write(message); err != nil {
			return
		}
		if reader.Buffered() == 0 {
			if err := writer.Flush(); err != nil {
				return
			}
		}
	}
}

// now returns what has been asked so far.
func (p *proxy) now() counts {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// conversation is the state of one connection.
type conversation struct {
	proxy   *proxy
	waiting bool // the client has sent something that is not answered in full
	due     int  // answers
	flushed bool // the client has asked for what there is of the answer, and sent nothing since
}

// asks counts a message of the client. It is a request if it is a statement or a command; it
// ends if an answer is due to it.
func (c *conversation) asks(request, ends bool) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if !c.waiting {
		c.proxy.total.roundTrips++
	}
	c.waiting, c.flushed = true, false
	if request {
		c.proxy.total.requests++
	}
	if ends {
		c.due++
	}
}

// answers counts a message of the server. The last one of an answer ends it.
func (c *conversation) answers(last bool) {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	if last && c.due > 0 {
		c.due--
	}
	if (last && c.due == 0) || c.flushed {
		c.waiting = false
	}
}

// flush says that the client may now wait for a part of the answer.
func (c *conversation) flush() {
	c.proxy.mu.Lock()
	defer c.proxy.mu.Unlock()
	c.flushed = true
}

// postgres follows PostgreSQL's frontend/backend protocol, version 3.
type postgres struct {
	*conversation
	begun bool // the client has sent its start-up message, which has no type
}

func followPostgres(c *conversation) protocol { return &postgres{conversation: c} }

func (p *postgres) fromClient(r *bufio.Reader) ([]byte, error) {
	if !p.begun {
		p.begun = true
		message, err := typed(r, 0)
		p.asks(false, true)
		return message, err
	}
	message, err := typed(r, 1)
	if err != nil {
		return nil, err
	}
	switch message[0] {
	case 'X': // Terminate
	case 'H': // Flush
		p.asks(false, false)
		p.flush()
	case 'Q': // Query
		p.asks(true, true)
	case 'E': // Execute
		p.asks(true, false)
	case 'S': // Sync
		p.asks(false, true)
	default: // Parse, Bind, Describe, Close, a password
		p.asks(false, false)
	}
	return message, nil
}

func (p *postgres) fromServer(r *bufio.Reader) ([]byte, error) {
	message, err := typed(r, 1)
	if err != nil {
		return nil, err
	}
	switch message[0] {
	case 'A', 'N', 'S': // of its own accord: notifications, notices and changed settings
	case 'G': // CopyInResponse, upon which the client goes on
		p.flush()
		p.answers(false)
	default:
		p.answers(message[0] == 'Z') // ReadyForQuery
	}
	return message, nil
}

// typed reads a message with a type of so many bytes, and the length that follows it and
// counts itself.
func typed(r *bufio.Reader, kind int) ([]byte, error) {
	head, err := r.Peek(kind + 4)
	if err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint32(head[kind:])
	if length < 4 || length > 1<<30 {
		return nil, fmt.Errorf("a message of %d bytes", length)
	}
	message := make([]byte, kind+int(length))
	_, err = io.ReadFull(r, message)
	return message, err
}

// redis follows RESP, versions 2 and 3.
type redis struct{ *conversation }

func followRedis(c *conversation) protocol { return redis{c} }

func (c redis) fromClient(r *bufio.Reader) ([]byte, error) {
	message, err := value(r, nil)
	if err == nil {
		c.asks(true, true)
	}
	return message, err
}

func (c redis) fromServer(r *bufio.Reader) ([]byte, error) {
	message, err := value(r, nil)
	// A push is of its own accord, except for the one that answers a subscription.
	if err == nil && (message[0] != '>' || bytes.Contains(message[:min(32, len(message))], []byte("subscribe\r\n"))) {
		c.answers(true)
	}
	return message, err
}

// value appends one value, with all that is in it.
func value(r *bufio.Reader, to []byte) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	to = append(to, line...)
	n := 0
	switch line[0] {
	case '$', '!', '=', '*', '~', '>', '%', '|':
		if n, err = strconv.Atoi(strings.TrimSpace(string(line[1:]))); err != nil {
			return nil, err
		}
	}
	switch line[0] {
	case '$', '!', '=': // text of so many bytes
		if n < 0 {
			return to, nil
		}
		text := make([]byte, n+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		return append(to, text...), nil
	case '%': // pairs
		n *= 2
	case '|': // attributes of the value that follows
		n = 2*n + 1
	}
	for range n {
		if to, err = value(r, to); err != nil {
			return nil, err
		}
	}
	return to, nil
}
