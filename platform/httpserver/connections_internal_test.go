package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pipes is a listener whose connections are in memory, so that a test can make time pass.
type pipes struct {
	opened chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.opened:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// visitor is a client with one connection.
type visitor struct {
	t *testing.T
	net.Conn

	answers *bufio.Reader
}

// inside runs a test beside a server of up to so many connections. Each connection that visit
// makes is let in before the next.
func inside(t *testing.T, connections int, test func(t *testing.T, h hall, visit func(sends string) visitor)) {
	synctest.Test(t, func(t *testing.T) {
		listener := pipes{make(chan net.Conn), make(chan struct{})}
		h := hall{make(chan struct{})}
		server := newServer(listener, Options{Connections: connections, Handler: h})
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- server.Serve(ctx) }()
		var visitors []visitor
		test(t, h, func(sends string) visitor {
			near, far := net.Pipe()
			listener.opened <- far
			v := visitor{t, near, bufio.NewReader(near)}
			visitors = append(visitors, v)
			v.send(sends)
			synctest.Wait()
			time.Sleep(time.Microsecond) // so that no two have waited equally long
			return v
		})
		for _, v := range visitors {
			_ = v.Close()
		}
		cancel()
		require.NoError(t, <-served)
	})
}

func (v visitor) send(text string) {
	v.t.Helper()
	if text != "" {
		_, err := io.WriteString(v, text)
		require.NoError(v.t, err)
	}
}

// answer reads the answer to what was sent.
func (v visitor) answer() (int, string) {
	v.t.Helper()
	response, err := http.ReadResponse(v.answers, nil)
	require.NoError(v.t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	synctest.Wait()
	return response.StatusCode, string(body)
}

// isOpen looks whether the server has closed the connection.
func (v visitor) isOpen() bool {
	v.t.Helper()
	err := v.SetDeadline(time.Time{}) // which does nothing else
	if err != nil {
		require.ErrorIs(v.t, err, io.ErrClosedPipe)
	}
	return err == nil
}

func (v visitor) requireAnswer(status int, body string) {
	v.t.Helper()
	gotStatus, gotBody := v.answer()
	require.Equal(v.t, []any{status, body}, []any{gotStatus, gotBody})
}

const (
	get      = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	halfOf   = "GET / HTTP/1.1\r\nHost:"
	restOf   = " h\r\n\r\n"
	postHead = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
)

// hall is a handler that reads the body and answers: at the path /wait when the test lets it,
// at /unread likewise without having read, at /ignore without having looked at it, at /begin
// likewise after the beginning, at /long with more than is received, and at /refuse at once.
type hall struct{ leave chan struct{} }

func (h hall) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if Overloaded(r.Context()) {
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path == "/refuse" {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.URL.Path == "/ignore" {
		<-h.leave
		_, _ = io.WriteString(w, "waited")
		return
	}
	var body []byte
	var err error
	if r.URL.Path == "/unread" {
		_ = r.Body.Close()
	} else {
		body, err = io.ReadAll(r.Body)
	}
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusRequestTimeout)
	case r.URL.Path == "/begin":
		_, _ = io.WriteString(w, "begun and ")
		_ = http.NewResponseController(w).Flush()
		fallthrough
	case r.URL.Path == "/wait", r.URL.Path == "/unread":
		<-h.leave
		_, _ = io.WriteString(w, "waited")
	case r.URL.Path == "/long":
		_, _ = w.Write(bytes.Repeat([]byte("long"), 1<<20)) // at once
	default:
		_ = r.Body.Close() // once more is as good as once
		_, _ = io.WriteString(w, "ok"+string(body))
	}
}

func at(path string) string { return strings.Replace(get, "/", path, 1) }

// However many connections say nothing, or the beginning of something, the next one is
// answered.
func TestConnections_SilentOnes(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		var silent []visitor
		for i := range 20 {
			silent = append(silent, visit([]string{"", halfOf}[i%2]))
		}
		for range 3 {
			visit(get).requireAnswer(200, "ok")
		}
		for i, v := range silent {
			require.Equal(t, i == 19, v.isOpen(), i)
		}
		silent[19].send(restOf)
		silent[19].requireAnswer(200, "ok")
	})
}

// The one that has waited the longest goes, and a request begins the waiting anew.
func TestConnections_TheLongestWaitingGoes(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		first, second, third, fourth := visit(get), visit(""), visit(halfOf), visit("")
		first.requireAnswer(200, "ok")
		time.Sleep(time.Second)
		first.send(get)
		first.requireAnswer(200, "ok")
		third.send(" h\r\nX: slow") // is not a request yet
		for _, gone := range []visitor{second, third, fourth} {
			require.True(t, gone.isOpen())
			visit(get).requireAnswer(200, "ok")
			require.False(t, gone.isOpen())
		}
		require.True(t, first.isOpen())
		visit("")
		require.False(t, first.isOpen())
	})
}

// Connections that are gone make room.
func TestConnections_Leave(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		for range 10 {
			_ = visit("").Close()
		}
		var stay []visitor
		for range 4 {
			stay = append(stay, visit(""))
		}
		for _, v := range stay {
			require.True(t, v.isOpen())
		}
	})
}

// A connection that the server works for is not closed; where it works for all, the next one
// has to go.
func TestConnections_BusyOnesStay(t *testing.T) {
	t.Parallel()
	inside(t, 8, func(t *testing.T, h hall, visit func(string) visitor) {
		post := func(path string) string { return strings.Replace(postHead, "/", path, 1) + "body" }
		busy := []visitor{visit(at("/wait")), visit(post("/wait")), visit(post("/unread")), visit(at("/begin"))}
		begun, err := busy[3].answers.Peek(len("HTTP/1.1 200 OK"))
		require.NoError(t, err)
		require.Equal(t, "HTTP/1.1 200 OK", string(begun))
		time.Sleep(30 * time.Second)
		for range 10 {
			visit("")
		}
		for i, v := range busy {
			h.leave <- struct{}{}
			v.requireAnswer(200, []string{"waited", "waited", "waited", "begun and waited"}[i])
		}
	})
}

func TestConnections_Overloaded(t *testing.T) {
	t.Parallel()
	inside(t, 6, func(t *testing.T, h hall, visit func(string) visitor) {
		busy := []visitor{visit(at("/wait")), visit(at("/wait")), visit(at("/wait"))}
		kept := visit("")
		for range 5 {
			visit(get).requireAnswer(503, "overloaded\n")
		}
		require.False(t, kept.isOpen())
		h.leave <- struct{}{}
		synctest.Wait()
		visit(get).requireAnswer(200, "ok")
		for range 2 {
			h.leave <- struct{}{}
		}
		for _, v := range busy {
			v.requireAnswer(200, "waited")
			require.True(t, v.isOpen())
			v.send(get)
			v.requireAnswer(200, "ok")
		}
	})
}

// A body that means nothing, and that no handler looks at, hides no request.
func TestConnections_OverloadedWithBodies(t *testing.T) {
	t.Parallel()
	inside(t, 6, func(t *testing.T, h hall, visit func(string) visitor) {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			visit(method + " /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
		}
		visit(get).requireAnswer(503, "overloaded\n")
		for range 3 {
			h.leave <- struct{}{}
		}
		synctest.Wait()
		visit(get).requireAnswer(200, "ok")
	})
}

// A body that means nothing, and does not come, keeps no request waiting, and no place taken.
func TestConnections_BodiesThatDoNotCome(t *testing.T) {
	t.Parallel()
	inside(t, 6, func(t *testing.T, _ hall, visit func(string) visitor) {
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			for range 6 {
				v := visit(method + " /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
				line, err := v.answers.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, "HTTP/1.1 403 Forbidden\r\n", line)
				require.NoError(t, v.Close())
			}
		}
		visit(get).requireAnswer(200, "ok")
	})
}

// Requests whose bodies do not come are not being answered, and their connections are no
// better than silent ones.
func TestConnections_SlowBodies(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		var slow []visitor
		for range 4 {
			slow = append(slow, visit(postHead+"bo"))
		}
		slow[0].send("d") // is not yet all of it
		for i := range 3 {
			visit(get).requireAnswer(200, "ok")
			require.False(t, slow[i].isOpen())
		}
		slow[3].send("dy")
		slow[3].requireAnswer(200, "okbody")
	})
}

// Requests whose answers are not received make room for others, but not before they had some
// time.
func TestConnections_SlowReaders(t *testing.T) {
	t.Parallel()
	inside(t, 8, func(t *testing.T, _ hall, visit func(string) visitor) {
		slow := []visitor{visit(at("/long")), visit(at("/long")), visit(at("/long")), visit(at("/long"))}
		visit(get).requireAnswer(503, "overloaded\n")
		time.Sleep(stallLimit)
		visit(get).requireAnswer(200, "ok")
		visit(postHead+"body").requireAnswer(200, "okbody")
		visit(get).requireAnswer(200, "ok")
		_, err := io.Copy(io.Discard, slow[0])
		require.NoError(t, err) // cut off
		for _, v := range slow[1:] {
			_, body := v.answer()
			require.Len(t, body, 4<<20)
		}
	})
	inside(t, 2, func(t *testing.T, _ hall, visit func(string) visitor) {
		slow := visit(at("/long"))
		time.Sleep(stallLimit)
		visit("")
		require.True(t, slow.isOpen())
		visit("")
		n, err := io.Copy(io.Discard, slow)
		require.NoError(t, err)
		require.Less(t, n, int64(4<<20), "also where it is for a connection")
	})
}

// What is written, and not received, may be so much.
func TestConnections_Unread(t *testing.T) {
	t.Parallel()
	inside(t, 100, func(t *testing.T, _ hall, visit func(string) visitor) {
		var slow []visitor
		ask := func() {
			v := visit("GET /long HTTP/1.0\r\n\r\n")
			_, err := v.answers.Peek(1) // its buffer takes the beginning
			require.NoError(t, err)
			synctest.Wait()
			slow = append(slow, v)
		}
		for range mostUnread/(4<<20) + 1 {
			ask()
		}
		time.Sleep(stallLimit)
		ask() // its beginning finds that there is one too many already
		received := func(i int) bool {
			n, err := io.Copy(io.Discard, slow[i])
			require.NoError(t, err)
			return n > 2<<20
		}
		for i := range slow {
			require.Equal(t, i >= 2, received(i), i)
		}

		// Those that are gone do not count any more.
		slow = nil
		for range mostUnread/(4<<20) - 1 {
			ask()
		}
		time.Sleep(stallLimit)
		ask()
		for i := range slow {
			require.True(t, received(i), i)
		}
	})
}

// A handler that refuses a request without reading its body leaves a connection that others
// may have the place of.
func TestConnections_BodyThatNobodyReads(t *testing.T) {
	t.Parallel()
	inside(t, 2, func(t *testing.T, _ hall, visit func(string) visitor) {
		slow, silent := visit(strings.Replace(postHead, "/", "/refuse", 1)), visit("")
		visit(get).requireAnswer(200, "ok")
		require.True(t, silent.isOpen())
		_, err := io.Copy(io.Discard, slow)
		require.NoError(t, err)
	})
}

// No slow client is waited for longer than this, also where there is room.
func TestServer_TimeLimits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sends string
		limit time.Duration
	}{
		"nothing sent":   {"", readHeaderTimeout},
		"half a request": {halfOf, readHeaderTimeout},
		"half a body":    {postHead + "bo", readTimeout},
		"answer unread":  {at("/long"), defaultAnswerTimeout},
		"kept alive":     {get, idleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
				begun := time.Now()
				v := visit(c.sends)
				switch name {
				case "kept alive":
					v.requireAnswer(200, "ok")
				case "half a body":
					status, said := v.answer()
					require.Equal(t, http.StatusRequestTimeout, status)
					require.Contains(t, said, "timeout")
				case "answer unread":
					time.Sleep(c.limit)
				default:
					for ; !v.isOpen(); time.Sleep(time.Second) { // trickling does not help
						v.send(" ")
					}
				}
				_, err := io.Copy(io.Discard, v)
				require.NoError(t, err, "closed")
				require.InDelta(t, c.limit, time.Since(begun), float64(time.Second))
			})
		})
	}
}

// A client that goes on receiving, however slowly, gets the whole of its answer.
func TestServer_SlowReader(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		v := visit(at("/long"))
		response, err := http.ReadResponse(v.answers, nil)
		require.NoError(t, err)
		begun, got := time.Now(), 0
		for part := make([]byte, 64<<10); ; time.Sleep(4 * time.Second) {
			n, err := io.ReadFull(response.Body, part)
			if got += n; err != nil {
				break
			}
		}
		require.Equal(t, 4<<20, got)
		require.Greater(t, time.Since(begun), 4*defaultAnswerTimeout)
	})
}

func TestServer_HeadersTooLong(t *testing.T) {
	t.Parallel()
	inside(t, 4, func(t *testing.T, _ hall, visit func(string) visitor) {
		v := visit("")
		go func() { _, _ = io.WriteString(v, halfOf+"h\r\nX: "+strings.Repeat("x", 2*maxHeaderBytes)) }()
		status, _ := v.answer()
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
	})
}
