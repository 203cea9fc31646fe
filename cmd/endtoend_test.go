package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/cache"
	"contacts/platform/cache/redis"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/platform/queue"
	"contacts/platform/queue/sqs"
	"contacts/test/servers"
)

// modes are the two ways to run the service. Every test that is not about one of them runs in
// both.
func inBothModes(t *testing.T, test func(t *testing.T, s *system)) {
	for name, mode := range map[string]func(*testing.T) *system{"embedded": embedded, "production": production} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, mode(t))
		})
	}
}

func waiting() contacts.Write { return contacts.Write{Wait: 30 * time.Second} }

func TestEndToEnd_Contract(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		contactstest.RunService(t, s.client())
	})
}

func TestEndToEnd_ChallengePaths(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		response, body := request(t, http.MethodPost, s.url+"/contacts/",
			`{"first_name":"Jane","last_name":"Doe","email":"jane@example.com","phone":"987654321"}`)
		require.Equal(t, http.StatusCreated, response.StatusCode, body)
		require.Equal(t, `"1"`, response.Header.Get("ETag"))
		location := response.Header.Get("Location")
		require.NotEmpty(t, location)
		response, read := request(t, http.MethodGet, s.url+location, "")
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.Equal(t, body, read)
		for _, path := range []string{"/docs", "/openapi.json", "/openapi.yaml"} {
			response, _ := request(t, http.MethodGet, s.url+path, "")
			require.Equal(t, http.StatusOK, response.StatusCode, path)
		}
		for _, path := range []string{"/livez", "/readyz", "/metrics"} {
			response, body := request(t, http.MethodGet, s.admin+path, "")
			require.Equal(t, http.StatusOK, response.StatusCode, "%s: %s", path, body)
		}
	})
}

// A follower of the changes sees every write, also while it waits.
func TestEndToEnd_Changes(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		var page struct {
			Items []struct {
				Type    string    `json:"type"`
				Contact uuid.UUID `json:"contact_id"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		follow := func(cursor string) {
			response, body := request(t, http.MethodGet, s.url+"/v1/changes?wait=20&cursor="+cursor, "")
			require.Equal(t, http.StatusOK, response.StatusCode, body)
			page.Items = nil
			require.NoError(t, json.Unmarshal([]byte(body), &page))
		}
		follow("now")
		require.Empty(t, page.Items)
		made, err := s.client().Create(t.Context(), contactstest.Jane(t), contacts.Write{})
		require.NoError(t, err)
		require.Equal(t, contacts.Pending, made.Status)
		follow(page.Next)
		require.Len(t, page.Items, 1)
		require.Equal(t, "created", page.Items[0].Type)
		_, err = s.client().Delete(t.Context(), page.Items[0].Contact, contacts.Write{})
		require.NoError(t, err)
		created := page.Items[0].Contact
		follow(page.Next)
		require.Len(t, page.Items, 1)
		require.Equal(t, "deleted", page.Items[0].Type)
		require.Equal(t, created, page.Items[0].Contact)
	})
}

// request sends a request, with JSON in its body where there is one; headers are pairs.
func request(t *testing.T, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(content)
}

func TestEndToEnd_SurvivesKill(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		made, err := s.client().Create(t.Context(), contactstest.Full(t), waiting())
		require.NoError(t, err)
		var accepted []contacts.Operation
		for range 20 {
			operation, err := s.client().Create(t.Context(), contactstest.Jane(t), contacts.Write{})
			require.NoError(t, err)
			accepted = append(accepted, operation)
		}
		for _, p := range s.processes {
			p.kill()
		}
		s.start(t)
		document, err := s.client().Get(t.Context(), made.Contact)
		require.NoError(t, err)
		require.Equal(t, string(made.Document), string(document.JSON))
		for _, operation := range accepted {
			require.Eventually(t, func() bool {
				now, err := s.client().Operation(t.Context(), operation.ID)
				return err == nil && now.Status == contacts.Succeeded
			}, time.Minute, 20*time.Millisecond, "an accepted write is applied, whatever was killed")
		}
	})
}

func TestEndToEnd_StopsGracefully(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		_, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
		require.NoError(t, err)
		for _, p := range s.processes {
			require.Zero(t, p.terminate(t))
		}
	})
}

// A caller that waits for a write when the process is asked to end is told that it was
// accepted.
func TestEndToEnd_StopsWaiting(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	require.Zero(t, s.processes[1].terminate(t))
	type answer struct {
		operation contacts.Operation
		err       error
	}
	answered := make(chan answer, 1)
	go func() {
		operation, err := s.client().Create(t.Context(), contactstest.Full(t), waiting())
		answered <- answer{operation, err}
	}()
	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		return err == nil && stats.Waiting == 1
	}, 30*time.Second, 10*time.Millisecond)
	require.Zero(t, s.processes[0].terminate(t))
	got := <-answered
	require.NoError(t, got.err)
	require.Equal(t, contacts.Pending, got.operation.Status)
}

// A worker that is asked to end while callers go on writing ends soon, and leaves no message
// in flight.
func TestEndToEnd_WorkerStopsUnderLoad(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.env = append(s.env, "CONTACTS_QUEUE_VISIBILITY=60s") // what is left in flight stays so
	s.start(t)
	serve, worker := s.processes[0], s.processes[1]
	stop := sendOn(t, s)
	defer stop()
	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	for range 50 {
		// Each time at another moment of its work.
		time.Sleep(rand.N(300 * time.Millisecond))
		asked := time.Now()
		require.Zero(t, worker.terminate(t))
		require.Less(t, time.Since(asked), 20*time.Second)
		stats, err := q.Stats(t.Context())
		require.NoError(t, err)
		require.Zero(t, stats.InFlight)
		worker, _ = start(t, s.folder, s.env, "worker")
	}
	accepted := stop()
	t.Logf("%d writes accepted", len(accepted))
	require.Greater(t, len(accepted), 1000)
	for _, id := range accepted {
		awaitSuccess(t, s, id)
	}
	require.Zero(t, serve.terminate(t))
}

// sendOn has several callers create contacts until stop is called, which returns the
// operations of all that were accepted.
func sendOn(t *testing.T, s *system) (stop func() []uuid.UUID) {
	t.Helper()
	jane, client := contactstest.Jane(t), s.client()
	var mu sync.Mutex
	var accepted []uuid.UUID
	var sending sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range 8 {
		sending.Go(func() {
			for ctx.Err() == nil {
				operation, err := client.Create(t.Context(), jane, contacts.Write{})
				if contacts.IsKind(err, contacts.KindUnavailable) || contacts.IsKind(err, contacts.KindUncertain) {
					continue // it was not accepted, or not for certain: a queue may be slow
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				accepted = append(accepted, operation.ID)
				mu.Unlock()
				// a worker that is ended all the time is to keep up
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
	stop = func() []uuid.UUID {
		cancel()
		sending.Wait()
		return accepted
	}
	return stop
}

// A worker that stands still, until another one has done its work and more, changes nothing
// when it goes on.
func TestEndToEnd_StalledWorker(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	stalled := s.processes[1]
	db := s.database(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)

	// It stops in mid-transaction: while it waits for the contact's row.
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	_, err = tx.ExecContext(t.Context(), "SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", made.Contact)
	require.NoError(t, err)
	first, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"first"}`), contacts.Write{})
	require.NoError(t, err)
	sessions := func(state string) bool {
		var n int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "+state).Scan(&n)
		return err == nil && n == 1
	}
	require.Eventually(t, func() bool { return sessions("wait_event_type = 'Lock'") }, 30*time.Second, time.Millisecond)
	require.NoError(t, stalled.Freeze())
	// before it has waited too long: it gets the row, and holds it
	require.NoError(t, tx.Rollback())
	require.Eventually(t, func() bool { return sessions("state = 'idle in transaction'") }, 30*time.Second, time.Millisecond)
	start(t, s.folder, s.env, "worker")

	end := func(id uuid.UUID) (now contacts.Operation) {
		t.Helper()
		require.Eventually(t, func() bool {
			now, err = s.client().Operation(t.Context(), id)
			return err == nil && now.Status == contacts.Succeeded
		}, time.Minute, 20*time.Millisecond)
		return now
	}
	was := end(first.ID)
	require.EqualValues(t, 2, was.Version)
	second, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"second"}`), waiting())
	require.NoError(t, err)
	require.EqualValues(t, 3, second.Version)

	require.NoError(t, stalled.Thaw())
	require.Zero(t, stalled.terminate(t), "it finishes what it has begun")
	require.Equal(t, was, end(first.ID))
	var changes int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM contact_changes WHERE contact_id = $1", made.Contact).Scan(&changes))
	require.Equal(t, 3, changes)
	document, err := s.client().Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 3, document.Version)
	third, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"third"}`), waiting())
	require.NoError(t, err)
	require.EqualValues(t, 4, third.Version)
}

// awaitSuccess returns an operation once it has succeeded.
func awaitSuccess(t *testing.T, s *system, id uuid.UUID) contacts.Operation {
	t.Helper()
	var now contacts.Operation
	require.Eventually(t, func() bool {
		var err error
		now, err = s.client().Operation(t.Context(), id)
		return err == nil && now.Status == contacts.Succeeded
	}, time.Minute, 20*time.Millisecond)
	return now
}

// openQueue opens one of the system's queues for the test itself.
func openQueue(t *testing.T, url string) *sqs.Queue {
	t.Helper()
	q, err := sqs.Open(t.Context(), sqs.Options{URL: url, Visibility: time.Minute})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close(context.Background())) })
	return q
}

// bury moves the first message that a queue has to another one, as SQS moves one to the
// dead-letter queue.
func bury(t *testing.T, from, dead *sqs.Queue) {
	t.Helper()
	deliveries, err := from.Receive(t.Context(), 1, 5*time.Second)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	message := queue.Message{Group: deliveries[0].Group, DeduplicationID: uuid.NewString(), Body: deliveries[0].Body}
	require.NoError(t, dead.Send(t.Context(), message))
	require.NoError(t, from.Delete(t.Context(), deliveries[0].Receipt))
}

func TestEndToEnd_WhereItIs(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)

	db := s.database(t)
	var first, email string
	require.NoError(t, db.QueryRowContext(t.Context(),
		"SELECT first_name, email FROM contact_fields WHERE tenant_id = 'default' AND id = $1", made.Contact).Scan(&first, &email))
	require.Equal(t, []string{"Jane", "jane@example.com"}, []string{first, email})

	cached, err := redis.Open(redis.Options{URL: s.variable("CONTACTS_CACHE_URL"), KeyPrefix: "contacts:", Timeout: 30 * time.Second})
	require.NoError(t, err)
	defer cached.Close()
	var entry cache.Entry
	// the API may have asked the database, and been sooner than the worker
	require.Eventually(t, func() bool {
		entry, _, _, err = cached.Get(t.Context(), "contact:default:"+made.Contact.String())
		require.NoError(t, err)
		return entry.State == cache.Live
	}, time.Minute, 20*time.Millisecond, "the worker puts it into Redis")
	require.Equal(t, string(made.Document), string(entry.Body))

	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	require.Eventually(t, func() bool {
		stats, err := q.Stats(t.Context())
		require.NoError(t, err)
		return stats == queue.Stats{}
	}, 30*time.Second, 20*time.Millisecond, "the queue is empty afterwards")
}

// While Redis is away writes go on, and none of them is unseen once it is back, any
// process is asked.
func TestEndToEnd_RedisOutage(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin, end func(*testing.T, *servers.Server) error
	}{
		"frozen": {
			func(_ *testing.T, s *servers.Server) error { return s.Freeze() },
			func(_ *testing.T, s *servers.Server) error { return s.Thaw() },
		},
		"killed": {
			func(_ *testing.T, s *servers.Server) error { return s.Kill() },
			func(t *testing.T, s *servers.Server) error { return s.Restart(t.Context()) },
		},
		"flushed": {flush, flush},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testRedisOutage(t, outage.begin, outage.end)
		})
	}
}

// flush empties a Redis.
func flush(t *testing.T, redis *servers.Server) error { return ask(t, redis, "FLUSHALL") }

// ask has a Redis do something that it answers with OK.
func ask(t *testing.T, redis *servers.Server, command string) error {
	answer, err := answerOf(t, redis, command)
	require.Equal(t, "+OK", answer)
	return err
}

// answerOf returns the first line of a Redis' answer (RESP2).
func answerOf(t *testing.T, redis *servers.Server, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(redis.URL, "redis://"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte(command + "\r\n")); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSuffix(answer, "\r\n"), err
}

func testRedisOutage(t *testing.T, begin, end func(*testing.T, *servers.Server) error) {
	s := production(t)
	server, err := servers.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	s.env = append(s.env, "CONTACTS_CACHE_URL="+server.URL)
	s.start(t)
	_, ready := start(t, s.folder, s.env, "serve")
	clients := []contactstest.HTTP{s.client(), {URL: ready["api"].(string)}}
	watched, err := redis.Open(redis.Options{URL: server.URL, KeyPrefix: "contacts:"})
	require.NoError(t, err)
	defer watched.Close()
	trusted := func() bool {
		trusted, err := watched.Trusted(t.Context())
		return err == nil && trusted
	}
	require.Eventually(t, trusted, 30*time.Second, 10*time.Millisecond)

	ids := make([]uuid.UUID, 4)
	for i := range ids {
		made, err := clients[0].Create(t.Context(), contactstest.Jane(t), waiting())
		require.NoError(t, err)
		ids[i] = made.Contact
	}
	for version := int64(2); version < 5; version++ {
		read := func() {
			for _, id := range ids {
				for _, client := range clients {
					document, err := client.Get(t.Context(), id)
					require.NoError(t, err)
					require.Equal(t, version, document.Version)
				}
			}
		}
		require.NoError(t, begin(t, server))
		// of the first, Redis may hear when it has thawed; the others are not even sent to it
		for _, id := range ids {
			_, err := clients[0].Merge(t.Context(), id, contacts.Patch(fmt.Sprintf(`{"nickname":"N%d"}`, version)), waiting())
			require.NoError(t, err)
		}
		require.NoError(t, end(t, server))
		for deadline := time.Now().Add(30 * time.Second); !trusted(); read() {
			require.True(t, time.Now().Before(deadline), "the cache is not trusted again")
		}
		for until := time.Now().Add(time.Second); time.Now().Before(until); {
			read()
		}
	}
}

func TestEndToEnd_QueueUnreachable(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.env = append(s.env, "AWS_ENDPOINT_URL_SQS=http://"+closedPort(t))
	_, ready := start(t, s.folder, s.env, "serve")
	response, body := request(t, http.MethodPost, ready["api"].(string)+"/v1/contacts", `{"first_name":"Jane"}`)
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
	require.Equal(t, "application/problem+json", response.Header.Get("Content-Type"))
	_, body = request(t, http.MethodGet, ready["api"].(string)+"/v1/contacts", "")
	require.JSONEq(t, `{"items":[]}`, body, "nothing half done")
	response, body = request(t, http.MethodGet, ready["admin"].(string)+"/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, response.StatusCode, body)
}

// closedPort returns an address without a listener.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func TestCommand_SettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"serve", "worker", "seed", "migrate"} {
		got := run(t, t.TempDir(), []string{"CONTACTS_DATABASE_URL=mysql://u:hunter2@h/d", "CONTACTS_WRITE_WAIT=soon"}, name)
		require.Equal(t, 2, got.status, name)
		require.Contains(t, got.stderr, "database.url: ")
		require.Contains(t, got.stderr, "write.wait: ")
		require.NotContains(t, got.stderr, "hunter2")
	}
	folder := t.TempDir()
	got := run(t, folder, []string{
		"CONTACTS_DATABASE_URL=postgres://u:hunter2@h:99999/d", "CONTACTS_CACHE_URL=redis://h/abc",
		"CONTACTS_QUEUE_URL=https://key:hunter2@sqs.eu-west-1.amazonaws.com/1/a.fifo", "CONTACTS_CONTACT_DEFAULT_REGION=ZZ",
		"CONTACTS_AUTH_MODE=oidc", "CONTACTS_AUTH_OIDC_ISSUER=http://login.example.com", "CONTACTS_AUTH_OIDC_AUDIENCE=contacts",
		"CONTACTS_AUTH_OIDC_ALGORITHMS=RS256,none",
	}, "serve")
	require.Equal(t, 2, got.status, "what only an adapter can tell is told the same way")
	for _, key := range []string{
		"database.url: ", "cache.url: ", "queue.url: ", "contact.default_region: ", "auth.oidc_issuer: ", "auth.oidc_algorithms: ",
	} {
		require.Contains(t, got.stderr, key)
	}
	require.NotContains(t, got.stderr, "hunter2")
	for _, args := range [][]string{{"serve", "--no-such-flag"}, {"serve", "x"}, {"migrate", "down", "0"}, {"seed", "--count", "0"}, {"seed", "--tenant", ""}, {"nothing"}, {"serve", "--create-queue"}, {"worker", "--create-queue"}} {
		require.Equal(t, 2, run(t, t.TempDir(), nil, args...).status, args)
	}
}

// A migration job needs no more than the database.
func TestCommand_MigrateNeedsOnlyTheDatabase(t *testing.T) {
	t.Parallel()
	got := run(t, t.TempDir(), []string{"CONTACTS_DATABASE_URL=" + databasetest.New(t, database.Postgres)}, "migrate")
	require.Zero(t, got.status, got.stderr)
	got = run(t, t.TempDir(), []string{"CONTACTS_DATABASE_OWNER_URL=postgres://owner@localhost/contacts"}, "migrate")
	require.Equal(t, 2, got.status)
	require.Contains(t, got.stderr, "database.owner_url: ")
}

func TestCommand_OldSchemaIsRefused(t *testing.T) {
	t.Parallel()
	s := production(t)
	require.Zero(t, run(t, s.folder, s.env, "migrate", "down", "1").status)
	require.Equal(t, "schema version 9 of 10\n", run(t, s.folder, s.env, "migrate", "status").stdout)
	for _, name := range []string{"serve", "worker", "seed"} {
		got := run(t, s.folder, s.env, name)
		require.Equal(t, 1, got.status, name)
		require.Contains(t, got.stderr, "contacts migrate")
	}
	require.Equal(t, "schema version 10 of 10\n", run(t, s.folder, s.env, "migrate", "up").stdout)
}

// The program refuses a role that could bypass row-level security or turn it off.
func TestCommand_RoleThatSeesEverythingIsRefused(t *testing.T) {
	t.Parallel()
	s := production(t)
	owner := s.variable("CONTACTS_DATABASE_OWNER_URL")
	for role, address := range map[string]string{"owns the table": owner, "is a superuser": databasetest.Superuser(t, owner)} {
		for _, name := range []string{"serve", "worker", "seed", "keys list"} {
			got := run(t, s.folder, append(s.env, "CONTACTS_DATABASE_URL="+address), strings.Fields(name)...)
			require.Equal(t, 1, got.status, name)
			require.Contains(t, got.stderr, "database.url: ", name)
			require.Contains(t, got.stderr, role, name)
			require.Contains(t, got.stderr, "database.owner_url", name)
		}
		got := run(t, s.folder, append(s.env, "CONTACTS_DATABASE_URL="+address), "migrate")
		require.Equal(t, 1, got.status)
		require.Contains(t, got.stderr, "expected another role")
	}
}

func TestCommand_WorkerHasNothingToDoWhenEmbedded(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	got := run(t, s.folder, s.env, "worker")
	require.Zero(t, got.status)
	require.Contains(t, got.stdout, "runs within `contacts serve`")
	entries, err := filepath.Glob(filepath.Join(s.folder, "*"))
	require.NoError(t, err)
	require.Empty(t, entries, "and touches nothing")
}

// Only one process at a time may work on an embedded database and cache what is in it. A seed
// beside it only sends.
func TestCommand_BesideServe(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.start(t)
	second := run(t, s.folder, s.env, "serve")
	require.Equal(t, 1, second.status)
	require.Contains(t, second.stderr, "another process works on")

	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	seed := command(t, s.folder, s.env, "seed", "--count", "500")
	var said bytes.Buffer
	seed.Stdout = &said
	require.NoError(t, seed.Start())
	seeded := make(chan error, 1)
	go func() { seeded <- seed.Wait() }()
	version := made.Version
	for done := false; !done; {
		select {
		case err := <-seeded:
			require.NoError(t, err)
			require.Contains(t, said.String(), "500 contacts created")
			done = true
		default:
		}
		version++
		write, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(fmt.Sprintf(`{"nickname":"N%d"}`, version)), waiting())
		require.NoError(t, err)
		require.Equal(t, version, write.Version)
		document, err := s.client().Get(t.Context(), made.Contact)
		require.NoError(t, err)
		require.Equal(t, version, document.Version, "the caller reads its own write")
	}
	require.Zero(t, s.processes[0].terminate(t))
	s.start(t)
}

// Any mix of the parts works but for the embedded queue on another database.
func TestEndToEnd_SQLiteWithRedis(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	s.env = append(s.env, fmt.Sprintf("CONTACTS_CACHE_URL=%s/%d", server(t, "CONTACTS_TEST_REDIS_URL"), cacheDatabases.Add(1)))
	s.start(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	read, err := s.client().Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.Equal(t, made.Document, read.JSON)
}

// With a cache of its own each process has to ask the database: it does not hear of what
// others write.
func TestEndToEnd_MemoryCacheInProduction(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.env = append(s.env, "CONTACTS_CACHE_URL=memory://")
	s.start(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	for version := int64(2); version < 5; version++ {
		_, err := s.client().Get(t.Context(), made.Contact)
		require.NoError(t, err)
		_, err = s.client().Merge(t.Context(), made.Contact, contacts.Patch(fmt.Sprintf(`{"nickname":"N%d"}`, version)), waiting())
		require.NoError(t, err)
		document, err := s.client().Get(t.Context(), made.Contact)
		require.NoError(t, err)
		require.Equal(t, version, document.Version)
	}
}

// A row that another transaction keeps locked holds up its own contact, and no other.
func TestEndToEnd_LockedRow(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	db := s.database(t)
	var locked []contacts.Operation
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	for range 6 {
		made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", made.Contact)
		require.NoError(t, err)
		write, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"N"}`), contacts.Write{})
		require.NoError(t, err)
		locked = append(locked, write)
	}
	_, err = s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	for _, operation := range locked {
		now, err := s.client().Operation(t.Context(), operation.ID)
		require.NoError(t, err)
		require.Equal(t, contacts.Pending, now.Status)
	}
	require.NoError(t, tx.Rollback())
	for _, operation := range locked {
		require.Eventually(t, func() bool {
			now, err := s.client().Operation(t.Context(), operation.ID)
			return err == nil && now.Status == contacts.Succeeded
		}, time.Minute, 20*time.Millisecond)
	}
}

// An unreadable message is parked after five deliveries, and its group goes on.
func TestCommand_Parked(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	require.NoError(t, q.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: []byte("no event")}))
	var listed string
	require.Eventually(t, func() bool {
		listed = run(t, s.folder, s.env, "worker", "parked", "list").stdout
		return strings.Count(listed, "\n") == 2
	}, 2*time.Minute, 200*time.Millisecond)
	require.Contains(t, listed, "not a CloudEvent")
	id := strings.Fields(strings.Split(listed, "\n")[1])[0]
	shown := run(t, s.folder, s.env, "worker", "parked", "show", id)
	require.Zero(t, shown.status)
	require.Contains(t, shown.stdout, "no event")
	_, metrics := request(t, http.MethodGet, s.admin+"/metrics", "")
	require.Contains(t, metrics, "contacts_parked_commands 1\n")
	require.Zero(t, run(t, s.folder, s.env, "worker", "parked", "discard", id).status)
	require.Equal(t, 1, run(t, s.folder, s.env, "worker", "parked", "discard", id).status)
	require.Equal(t, 1, run(t, s.folder, s.env, "worker", "parked", "replay", id).status)
	require.Equal(t, 2, run(t, s.folder, s.env, "worker", "parked", "show", "x").status)

	stats, err := q.Stats(t.Context())
	require.NoError(t, err)
	require.Equal(t, queue.Stats{}, stats)
}

func TestCommand_Redrive(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	require.Zero(t, s.processes[1].terminate(t))
	q := openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	dead := openQueue(t, sqs.DeadLetterURL(s.variable("CONTACTS_QUEUE_URL")))
	for i := range 3 {
		body := []byte{'m', byte('0' + i)}
		require.NoError(t, dead.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: string(body), Body: body}))
	}
	got := run(t, s.folder, s.env, "worker", "redrive")
	require.Zero(t, got.status, got.stderr)
	require.Equal(t, "3 messages sent again\n", got.stdout)
	for i := range 3 {
		deliveries, err := q.Receive(t.Context(), 1, time.Second)
		require.NoError(t, err)
		require.Len(t, deliveries, 1)
		require.Equal(t, "g", deliveries[0].Group)
		require.Equal(t, []byte{'m', byte('0' + i)}, deliveries[0].Body, "in order")
		require.NoError(t, q.Delete(t.Context(), deliveries[0].Receipt))
	}
	require.Equal(t, "0 messages sent again\n", run(t, s.folder, s.env, "worker", "redrive").stdout)
	require.Equal(t, 2, run(t, t.TempDir(), nil, "worker", "redrive").status)
}

func TestCommand_Seed(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		if s.worker {
			s.start(t)
		}
		got := run(t, s.folder, s.env, "seed", "--count", "150")
		require.Zero(t, got.status, got.stderr)
		data := "sqlite://data/contacts.db"
		if s.worker {
			data = "in the database that database.url names"
		}
		require.Equal(t, "150 contacts created for the tenant default, 0 more accepted and not yet applied. Data: "+data+"\n", got.stdout)
		if !s.worker {
			s.start(t)
		}
		page, err := s.client().List(t.Context(), contacts.Filter{}, 500, "")
		require.NoError(t, err)
		require.Len(t, page.Items, 150)
		for _, document := range page.Items {
			decoder := json.NewDecoder(bytes.NewReader(document.JSON))
			decoder.DisallowUnknownFields()
			require.NoError(t, decoder.Decode(new(contacts.Representation)))
		}
	})
}
