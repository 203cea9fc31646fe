package cmd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood asks for all that a caller shares with others, at once, until ctx ends: it sends slow
// bodies, searches for what has no index, and follows the changes.
func flood(ctx context.Context, api, credential string) *sync.WaitGroup {
	var running sync.WaitGroup
	repeat := func(n int, do func()) {
		for range n {
			running.Go(func() {
				for ctx.Err() == nil {
					do()
				}
			})
		}
	}
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 400}}
	ask := func(path, accept string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, api+path, nil)
		if err != nil {
			return
		}
		r.Header.Set("Authorization", "Bearer "+credential)
		r.Header.Set("Accept", accept)
		response, err := client.Do(r)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		// it comes again as often as it is told to at the most
		if response.StatusCode >= http.StatusBadRequest {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	}
	repeat(25, func() {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(api, "http://"))
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "POST /v1/contacts HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"+
			"Authorization: Bearer "+credential+"\r\n\r\n1\r\n{\r\n")
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		_, _ = bufio.NewReader(conn).ReadByte() // until it is refused
		time.Sleep(100 * time.Millisecond)
	})
	repeat(150, func() { ask("/v1/contacts?q=a%20e%20i&sort=name&limit=500", "") })
	repeat(210, func() { ask("/v1/changes?cursor=now", "text/event-stream") })
	return &running
}

// times are how long each kind of request of one caller took.
type times map[string][]time.Duration

func (t times) median(kind string) time.Duration {
	return slices.Sorted(slices.Values(t[kind]))[len(t[kind])/2]
}

func (t times) String() string {
	var lines []string
	for _, kind := range []string{"POST", "GET", "list", "stream"} {
		all := slices.Sorted(slices.Values(t[kind]))
		lines = append(lines, fmt.Sprintf("%s p50 %.1f ms, p99 %.1f ms", kind,
			float64(all[len(all)/2].Microseconds())/1000, float64(all[len(all)*99/100].Microseconds())/1000))
	}
	return strings.Join(lines, "; ")
}

// behave does each thing that the flood does so many times, as a caller that is no flood, and
// returns how long it took.
func behave(t *testing.T, api, credential string, n int) times {
	t.Helper()
	took := times{}
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	ask := func(kind, method, path, body, accept string, status int) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), method, api+path, strings.NewReader(body))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+credential)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		begun := time.Now()
		response, err := client.Do(r)
		require.NoError(t, err)
		if accept == "" {
			_, err = io.Copy(io.Discard, response.Body)
		} else {
			_, err = bufio.NewReader(response.Body).ReadString('\n')
		}
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		took[kind] = append(took[kind], time.Since(begun))
		require.Equal(t, status, response.StatusCode, "%s %s", method, path)
		return response
	}
	long := `{"first_name":"Jane","notes":"` + strings.Repeat("x", 19_000) + `"}`
	for range n {
		made := ask("POST", http.MethodPost, "/v1/contacts", long, "", http.StatusCreated)
		ask("GET", http.MethodGet, made.Header.Get("Location"), "", "", http.StatusOK)
		ask("list", http.MethodGet, "/v1/contacts", "", "", http.StatusOK)
		ask("stream", http.MethodGet, "/v1/changes?cursor=now", "", "text/event-stream", http.StatusOK)
	}
	return took
}

// A tenant that floods the service in every way that callers share leaves another tenant its
// share of all of them.
func TestEndToEnd_Fairness(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *system) {
		withKeys(s)
		s.start(t)
		flooder, other := createKey(t, s, "flooder", allScopes), createKey(t, s, "other", allScopes)
		seeded := run(t, s.folder, s.env, "seed", "--tenant", "flooder", "--count", fairnessRows)
		require.Zero(t, seeded.status, seeded.stderr)
		n := 20
		behave(t, s.url, other, 3)
		before := behave(t, s.url, other, n)
		t.Logf("before: %v", before)
		ctx, cancel := context.WithCancel(t.Context())
		flooding := flood(ctx, s.url, flooder)
		time.Sleep(2 * time.Second)
		during := behave(t, s.url, other, n)
		t.Logf("during: %v", during)
		now, most := memory(t, s.processes[0])
		cancel()
		flooding.Wait()
		time.Sleep(time.Second)
		for kind := range before {
			// Here they share two cores with the flood, its clients and other tests: a request
			// of a millisecond waits for a core as long as any other.
			require.Less(t, during.median(kind), 5*before.median(kind)+slowCore, kind)
		}
		t.Logf("after: %v; memory of serve %d MiB, at the most %d MiB", behave(t, s.url, other, n), now>>20, most>>20)
	})
}

// slowCore is how long a request may wait for a core on a busy machine.
const slowCore = 100 * time.Millisecond

// fairnessRows is how many contacts the tenant has that floods.
const fairnessRows = "3000"
