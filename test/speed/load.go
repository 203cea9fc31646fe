package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// caller is one connection that sends requests and reads their answers, with as little work as
// that takes: the machine is shared with what is measured, and net/http's client would take
// more of it than the server does.
type caller struct {
	conn   net.Conn
	reader *bufio.Reader
	host   string
	buffer []byte
}

func dial(ctx context.Context, url string) (*caller, error) {
	host := strings.TrimPrefix(url, "http://")
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	return &caller{conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), host: host}, nil
}

// request is what a caller sends.
type request struct {
	method, path string
	headers      string // each line with its end
	body         string
}

// call sends a request and returns the answer's status and its headers' lines; the body is
// read and dropped.
func (c *caller) call(r request) (status int, headers []string, err error) {
	c.buffer = fmt.Appendf(c.buffer[:0], "%s %s HTTP/1.1\r\nHost: %s\r\n%s", r.method, r.path, c.host, r.headers)
	if r.body != "" {
		c.buffer = fmt.Appendf(c.buffer, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(r.body))
	}
	c.buffer = append(append(c.buffer, "\r\n"...), r.body...)
	if err := c.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return 0, nil, err
	}
	if _, err := c.conn.Write(c.buffer); err != nil {
		return 0, nil, err
	}
	length := 0
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return 0, nil, err
		}
		switch {
		case status == 0:
			if len(line) < 12 {
				return 0, nil, fmt.Errorf("answer begins with %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, nil, err
			}
		case len(line) == 2:
			_, err := c.reader.Discard(length)
			return status, headers, err
		case hasPrefixFold(line, "content-length: "):
			if length, err = strconv.Atoi(string(line[16 : len(line)-2])); err != nil {
				return 0, nil, err
			}
		case hasPrefixFold(line, "transfer-encoding: "):
			return 0, nil, errors.New("expected answers with a Content-Length")
		case hasPrefixFold(line, "location: "):
			headers = append(headers, string(line[10:len(line)-2]))
		}
	}
}

func hasPrefixFold(line []byte, prefix string) bool {
	return len(line) >= len(prefix) && strings.EqualFold(string(line[:len(prefix)]), prefix)
}

// outcome is what a load came to.
type outcome struct {
	calls   int
	took    time.Duration
	latency []time.Duration // sorted
	headers []string        // Locations
}

func (o outcome) rate() float64 { return float64(o.calls) / o.took.Seconds() }

func (o outcome) percentile(p float64) time.Duration {
	if len(o.latency) == 0 {
		return 0
	}
	return o.latency[min(len(o.latency)-1, int(p*float64(len(o.latency))))]
}

// load has so many callers send the requests that next makes, until it says that there are no
// more. Each answer has to have the status wanted; 0: any that says that it was done.
func load(ctx context.Context, url string, callers, want int, next func(caller, i int) (request, bool)) (outcome, error) {
	var all outcome
	var mu sync.Mutex
	var errs []error
	var running sync.WaitGroup
	ready := make([]*caller, callers)
	for i := range ready {
		var err error
		if ready[i], err = dial(ctx, url); err != nil {
			return all, err
		}
		defer ready[i].conn.Close()
	}
	started := time.Now()
	for n, c := range ready {
		running.Go(func() {
			var mine outcome
			var failed error
			for i := 0; ctx.Err() == nil; i++ {
				r, more := next(n, i)
				if !more {
					break
				}
				began := time.Now()
				status, headers, err := c.call(r)
				if err == nil && status != want && (want != 0 || status >= 300) {
					err = fmt.Errorf("%s %s: expected %d, got %d", r.method, r.path, want, status)
				}
				if err != nil {
					failed = err
					break
				}
				mine.calls++
				mine.latency = append(mine.latency, time.Since(began))
				mine.headers = append(mine.headers, headers...)
			}
			mu.Lock()
			defer mu.Unlock()
			all.calls += mine.calls
			all.latency = append(all.latency, mine.latency...)
			all.headers = append(all.headers, mine.headers...)
			errs = append(errs, failed)
		})
	}
	running.Wait()
	all.took = time.Since(started)
	slices.Sort(all.latency)
	return all, errors.Join(append(errs, ctx.Err())...)
}

// forSome makes requests for that time from now.
func forSome(d time.Duration, r func(caller, i int) request) func(caller, i int) (request, bool) {
	end := time.Now().Add(d)
	return func(caller, i int) (request, bool) {
		if time.Now().After(end) {
			return request{}, false
		}
		return r(caller, i), true
	}
}

// times makes so many requests of each caller.
func times(n int, r func(caller, i int) request) func(caller, i int) (request, bool) {
	return func(caller, i int) (request, bool) {
		if i >= n {
			return request{}, false
		}
		return r(caller, i), true
	}
}
