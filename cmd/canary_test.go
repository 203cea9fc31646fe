package cmd_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/platform/queue"
	embeddedqueue "contacts/platform/queue/embedded"
)

// What people write into everything that they can write into, in the forms that the fields
// take.
const (
	canary       = "zq7canary"
	canaryEmail  = "zq7canary@example.com"
	canaryNumber = "27182818284"
	canaryDate   = "1903-04-05"
)

// canaries are what must not be seen from outside.
func canaries() []string { return []string{canary, canaryNumber, canaryDate} }

// canaryContact is a contact of canaries; what tells one from another comes behind them.
func canaryContact(suffix string) string {
	c := canary + suffix
	return `{"first_name":"` + c + `","middle_name":"` + c + `","last_name":"` + c + `","name_prefix":"` + canary + `","name_suffix":"` + canary + `",
		"nickname":"` + c + `","display_name":"` + c + `","organization":"` + c + `","department":"` + c + `","job_title":"` + c + `",
		"emails":[{"address":"` + canaryEmail + `","label":"` + canary + `"}],"phones":[{"number":"+` + canaryNumber + `","label":"` + canary + `"}],
		"addresses":[{"street":"` + c + `","city":"` + c + `","region":"` + c + `","postal_code":"` + canary + `","country":"` + canary + `","label":"` + canary + `"}],
		"urls":["https://` + canary + `.example/"],"notes":"` + c + `","labels":["` + canary + `"],"custom_fields":{"` + canary + `":"` + canary + `"},
		"birthday":"` + canaryDate + `","external_id":"` + c + `"}`
}

// Nothing that a caller sends appears in what operators see: logs, metrics and traces, with
// everything switched on and all that can go wrong gone wrong.
func TestEndToEnd_Canary(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		collected := newCollector(t)
		s.env = append(s.env, collected.variables()...)
		s.env = append(s.env, "CONTACTS_LOG_LEVEL=debug", "CONTACTS_HTTP_MAX_BODY_BYTES=4096", "CONTACTS_QUEUE_VISIBILITY=2s")
		s.start(t)
		b := &birdcage{t: t, s: s}
		b.writeAndRead()
		b.provoke()
		b.speakNoHTTP()
		others := b.partsAway()
		b.parkAndBreak()

		var metrics strings.Builder
		for _, admin := range s.admins {
			for _, accept := range []string{"text/plain", "application/openmetrics-text"} {
				_, text := request(t, http.MethodGet, admin+"/metrics", "", "Accept", accept)
				metrics.WriteString(text)
			}
		}
		var logs strings.Builder
		for _, p := range append(s.processes, others...) {
			require.Zero(t, p.terminate(t)) // which sends the last spans
			logs.WriteString(p.log())
		}
		logs.WriteString(b.said)

		// All has happened that the test is about.
		for _, kind := range []contacts.Kind{
			"invalid", "not-found", "stale-version", "duplicate-external-id", "idempotency-key-reused", "malformed", "too-large",
			"unsupported-media-type", "method-not-allowed", "expired", "unavailable", "internal",
		} {
			require.Regexp(t, fmt.Sprintf(`http_problems_total\{kind="%s"\} [1-9]`, kind), metrics.String())
		}
		require.Contains(t, logs.String(), `"level":"DEBUG"`)
		require.Contains(t, logs.String(), "message parked")
		require.Contains(t, logs.String(), "request failed")
		require.Greater(t, len(collected.spans()), 100)
		require.Contains(t, collected.words(), "db.query.text")
		require.Contains(t, b.answers.String(), canary, "or it could not be seen anywhere else either")
		require.Contains(t, b.answers.String(), canaryNumber)
		require.Contains(t, b.answers.String(), canaryDate)

		for source, text := range map[string]string{"logs": logs.String(), "metrics": metrics.String(), "traces": collected.words()} {
			t.Logf("%s: %d bytes", source, len(text))
			for line := range strings.Lines(text) {
				for _, secret := range canaries() {
					if at := strings.Index(strings.ToLower(line), secret); at >= 0 {
						t.Errorf("%s: %s in: %.600s", source, secret, line[max(0, at-300):])
					}
				}
			}
		}
	})
}

// birdcage sends canaries to a service, and keeps what it answers.
type birdcage struct {
	t       *testing.T
	s       *system
	made    string // the path of a contact
	answers strings.Builder
	said    string // what the program's own commands have said
}

// do sends a request with canaries in all headers that no part of it depends on.
func (b *birdcage) do(status int, method, path, body string, headers ...string) *http.Response {
	b.t.Helper()
	usual := []string{
		"User-Agent", canary, "Referer", "https://" + canary + ".example/", "Cookie", "a=" + canary, "Authorization", "Bearer " + canary,
		"X-Forwarded-For", canary, "Baggage", "a=" + canary, "Tracestate", "a=" + canary, "X-Request-Id", "not an id: " + canary, "X-" + canary, canary,
	}
	response, text := request(b.t, method, b.s.url+path, body, append(usual, headers...)...)
	require.Equal(b.t, status, response.StatusCode, "%s %s: %s", method, path, text)
	b.answers.WriteString(text)
	return response
}

// writeAndRead does what goes well.
func (b *birdcage) writeAndRead() {
	b.made = b.do(201, "POST", "/v1/contacts", canaryContact("1"), "Idempotency-Key", `"`+canary+`"`).Header.Get("Location")
	b.do(201, "POST", "/v1/contacts", canaryContact("1"), "Idempotency-Key", `"`+canary+`"`)
	b.do(422, "POST", "/v1/contacts", canaryContact("2"), "Idempotency-Key", `"`+canary+`"`)
	b.do(201, "POST", "/contacts/", canaryContact("3"))
	b.do(200, "GET", b.made, "")
	b.do(200, "PUT", b.made, canaryContact("4"), "Prefer", "wait=9, "+canary)
	b.do(200, "PATCH", b.made, `{"custom_fields":{"`+canary+`-too":"`+canary+`"}}`, "If-Match", `"2"`)
	b.do(200, "PUT", "/v1/contacts/by-external-id/"+canary+"4", canaryContact("4"))
	b.do(201, "PUT", "/v1/contacts/by-external-id/"+canary+"7", canaryContact("7"))
	for _, filter := range []string{"external_id=" + canary + "7", "q=" + canary, "email=" + canaryEmail, "phone=%2B" + canaryNumber, "label=" + canary, "sort=name&limit=1"} {
		response := b.do(200, "GET", "/v1/contacts?"+filter, "")
		if next := response.Header.Get("Link"); next != "" { // its cursor holds a name
			b.do(200, "GET", strings.TrimPrefix(strings.Split(next, ">")[0], "<"), "")
		}
	}
	b.do(200, "GET", "/v1/changes", "")
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.s.url+"/v1/changes", nil)
	require.NoError(b.t, err)
	r.Header.Set("Accept", "text/event-stream")
	response, err := http.DefaultClient.Do(r)
	require.NoError(b.t, err)
	for events := bufio.NewScanner(response.Body); events.Scan(); {
		if strings.Contains(events.Text(), canary) {
			cancel()
		}
	}
	_ = response.Body.Close()
}

// provoke does what callers do wrong.
func (b *birdcage) provoke() {
	const all = "/v1/contacts"
	b.do(412, "PATCH", b.made, `{"notes":"`+canary+`"}`, "If-Match", `"77"`)
	b.do(409, "POST", all, canaryContact("4")) // the external id is taken
	b.do(404, "DELETE", all+"/"+uuid.NewString(), "")
	b.do(404, "GET", all+"/"+canary, "")
	b.do(404, "PUT", all+"/"+canary, canaryContact("1"))
	b.do(422, "PUT", all+"/by-external-id/"+canary+"%01", canaryContact("1"))
	b.do(405, "GET", all+"/by-external-id/"+canary, "")
	b.do(404, "GET", "/v1/operations/"+canary, "")
	b.do(404, "GET", "/"+canary+"/"+canaryNumber, "")
	b.do(405, "PATCH", all, canaryContact("1"))
	b.do(404, strings.ToUpper(canary), "/"+canary, "")
	b.do(413, "POST", all, `{"notes":"`+strings.Repeat(canary, 1000)+`"}`)
	b.do(400, "POST", all, `{"first_name": `+canary+`}`)
	b.do(415, "POST", all, canary, "Content-Type", "text/"+canary)
	for _, body := range []string{
		`{"` + canary + `":"` + canary + `"}`, `{"email":"` + canary + `"}`, `{"first_name":["` + canary + `"]}`, `{"birthday":"` + canary + `"}`,
		`{"first_name":"` + strings.Repeat(canary, 50) + `"}`, `{"emails":[{"address":"` + canary + ` ` + canaryEmail + `"}]}`, `["` + canary + `"]`, `{"id":"` + canary + `"}`,
	} {
		b.do(422, "POST", all, body)
		b.do(422, "PATCH", b.made, body)
	}
	for _, query := range []string{
		canary + "=" + canary, "cursor=" + canary, "limit=" + canary, "sort=" + canary, "updated_since=" + canary, "q=" + strings.Repeat(canary, 50),
		"email=" + strings.Repeat(canary, 50),
	} {
		b.do(422, "GET", all+"?"+query, "")
	}
	b.do(422, "GET", "/v1/changes?cursor="+canary, "")
	b.do(422, "GET", "/v1/changes?wait="+canary, "", "Last-Event-ID", canary)
	b.do(410, "GET", "/v1/changes?cursor="+base64.RawURLEncoding.EncodeToString([]byte(`{"c":1,"s":1,"t":1}`)), "")
	for _, headers := range [][]string{
		{"If-Match", canary}, {"If-None-Match", canary}, {"Idempotency-Key", `"` + canary}, {"Idempotency-Key", canary + " " + canary},
	} {
		b.do(422, "PATCH", b.made, `{"notes":"`+canary+`"}`, headers...)
	}
	b.do(200, "PATCH", b.made, `{"notes":"`+canary+`"}`, "Traceparent", canary, "Prefer", canary+"="+canary)
}

// speakNoHTTP sends what the server itself refuses.
func (b *birdcage) speakNoHTTP() {
	address, err := url.Parse(b.s.url)
	require.NoError(b.t, err)
	for _, text := range []string{
		"GET /" + canary + "\r\n\r\n",
		"GET /v1/contacts HTTP/1.1\r\nHost: a\r\n" + canary + "\r\n\r\n",
		"GET /v1/contacts?q=%zz" + canary + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"POST /v1/contacts HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{\"notes\":\"" + canary,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + strings.Repeat(canary, 10_000) + "\r\n\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(b.t.Context(), "tcp", address.Host)
		require.NoError(b.t, err)
		_, _ = io.WriteString(conn, text) // which it may not hear to its end
		require.NoError(b.t, conn.(*net.TCPConn).CloseWrite())
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}
}

// partsAway writes to processes that cannot reach the queue, or the cache.
func (b *birdcage) partsAway() (others []*process) {
	if !b.s.worker {
		return nil
	}
	whole := b.s.url
	defer func() { b.s.url = whole }()
	for variable, status := range map[string]int{"AWS_ENDPOINT_URL_SQS=http://": 503, "CONTACTS_CACHE_URL=redis://": 201} {
		p, ready := start(b.t, b.s.folder, append(b.s.env[:len(b.s.env):len(b.s.env)], variable+closedPort(b.t)), "serve")
		others, b.s.url = append(others, p), ready["api"].(string)
		b.s.admins = append(b.s.admins, ready["admin"].(string))
		b.do(status, "POST", "/v1/contacts", canaryContact("5"), "Idempotency-Key", fmt.Sprintf("%s-%d", canary, status))
		b.do(200, "GET", b.made, "")
	}
	return others
}

// parkAndBreak has commands that cannot be applied, and some that cannot be read, set aside,
// and breaks the database.
func (b *birdcage) parkAndBreak() {
	t, s := b.t, b.s
	address := databasetest.Superuser(t, s.variable("CONTACTS_DATABASE_URL"))
	mistake := "ALTER TABLE contacts ADD CONSTRAINT mistake CHECK (document->>'nickname' <> '" + canary + "-bad')"
	if !s.worker {
		address = "sqlite://" + s.folder + "/data/contacts.db"
		mistake = "CREATE TRIGGER mistake BEFORE UPDATE ON contacts WHEN NEW.document->>'nickname' = '" + canary + "-bad' BEGIN SELECT RAISE(ABORT, 'mistake'); END"
	}
	db, err := database.Open(t.Context(), address)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	require.NoError(t, db.Write.Exec(mistake).Error)
	b.do(202, "PATCH", b.made, `{"nickname":"`+canary+`-bad"}`, "Prefer", "respond-async")

	var q queue.Queue
	if s.worker {
		q = openQueue(t, s.variable("CONTACTS_QUEUE_URL"))
	} else {
		local := embeddedqueue.Open(db.Write, db.Read, embeddedqueue.Options{Visibility: time.Minute})
		defer local.Close()
		q = local
	}
	for i, body := range []string{
		canary,
		fmt.Sprintf(`{"specversion":"1.0","id":"%s","subject":"%s","tenant":"default","type":"contacts.command.create.v1","time":"2026-01-01T00:00:00Z","data":{"%s":"%s"}}`,
			uuid.NewString(), uuid.NewString(), canary, canary),
		fmt.Sprintf(`{"specversion":"1.0","id":"%s","subject":"%s","tenant":"default","type":"contacts.command.create.v1","time":"2026-01-01T00:00:00Z","traceparent":"%s","data":{"fields":{"first_name":["%s"]}}}`,
			uuid.NewString(), uuid.NewString(), canary, canary),
	} {
		require.NoError(t, q.Send(t.Context(), queue.Message{Group: fmt.Sprint("g", i), DeduplicationID: uuid.NewString(), Body: []byte(body)}))
	}
	require.Eventually(t, func() bool {
		listed := run(t, s.folder, s.env, "worker", "parked", "list")
		b.said = listed.stderr + listed.stdout
		return strings.Count(listed.stdout, "\n") == 1+4
	}, 2*time.Minute, time.Second)

	// A row that cannot be read, and then a table that is not there.
	var operation uuid.UUID
	require.NoError(t, db.Write.Raw("SELECT id FROM operations WHERE status = 'succeeded' LIMIT 1").Row().Scan(&operation))
	require.NoError(t, db.Write.Exec(`UPDATE operations SET problem = '"`+canary+`"' WHERE id = ?`, operation).Error)
	b.do(500, "GET", "/v1/operations/"+operation.String(), "")
	require.NoError(t, db.Write.Exec("ALTER TABLE contacts RENAME TO "+canary).Error)
	status := http.StatusServiceUnavailable
	if !s.worker {
		// only this process has that file, so it is a fault of the program
		status = http.StatusInternalServerError
	}
	b.do(status, "GET", "/v1/contacts?q="+canary, "")
	require.NoError(t, db.Write.Exec("ALTER TABLE "+canary+" RENAME TO contacts").Error)
	if !s.worker { // which has said so when the queue was away
		held := db.Write.Begin()
		require.NoError(t, held.Error)
		b.do(503, "POST", "/v1/contacts", canaryContact("6"))
		require.NoError(t, held.Rollback().Error)
	}
}
