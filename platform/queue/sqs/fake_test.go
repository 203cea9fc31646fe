package sqs_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/queue/sqs"
)

// call is a request to the fake: SQS's JSON protocol, as far as the adapter uses it.
type call struct {
	Action  string
	Entries []struct {
		ID                string `json:"Id"`
		MessageBody       string
		ReceiptHandle     string
		VisibilityTimeout *int
	}
	WaitTimeSeconds         int
	VisibilityTimeout       int
	MaxNumberOfMessages     int
	ReceiveRequestAttemptID string `json:"ReceiveRequestAttemptId"`
}

// ids are the ids of the call's entries.
func (c call) ids() []string {
	ids := make([]string, len(c.Entries))
	for i, entry := range c.Entries {
		ids[i] = entry.ID
	}
	return ids
}

// fake answers the way a test tells it to, for what no emulator can be brought to do.
type fake struct {
	url     string
	respond func(w http.ResponseWriter, c call, number int)

	mu    sync.Mutex
	calls []call
}

// newFake starts a fake that answers its calls with respond, and makes the AWS configuration
// name no endpoint.
func newFake(t *testing.T, respond func(w http.ResponseWriter, c call, number int)) *fake {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	f := &fake{respond: respond}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL + "/000000000000/commands.fifo"
	return f
}

// openHeld opens a queue on a fake that answers nothing until it is released. There is no
// network between the two, so that a bubble sees when all that comes has come.
func openHeld(t *testing.T, options sqs.Options) (f *fake, q *sqs.Queue, release func()) {
	t.Helper()
	released := make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	f = &fake{respond: func(w http.ResponseWriter, c call, _ int) {
		<-released
		succeed(w, c)
	}}
	options.URL = "http://127.0.0.1/000000000000/commands.fifo"
	q = open(t, options)
	q.SetTransport(f)
	t.Cleanup(release) // before the queue is closed, also where the test has failed
	return f, q, release
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c call
	if err := json.NewDecoder(r.Body).Decode(&c); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.Action = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	f.mu.Lock()
	f.calls = append(f.calls, c)
	number := len(f.calls)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	f.respond(w, c, number)
}

// Do answers a request that did not come over the network.
func (f *fake) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result(), nil
}

func (f *fake) open(t *testing.T) *sqs.Queue {
	t.Helper()
	return open(t, sqs.Options{URL: f.url})
}

// received returns the calls so far.
func (f *fake) received() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]call(nil), f.calls...)
}

// succeed answers a batch call: every entry was done.
func succeed(w http.ResponseWriter, c call) {
	var entries []string
	for _, id := range c.ids() {
		entries = append(entries, fmt.Sprintf(`{"Id":%q}`, id))
	}
	reply(w, `{"Successful":[%s]}`, strings.Join(entries, ","))
}

// fail answers a batch call: every entry failed the same way.
func fail(w http.ResponseWriter, c call, code, message string, senderFault bool) {
	var entries []string
	for _, id := range c.ids() {
		entries = append(entries, fmt.Sprintf(`{"Id":%q,"Code":%q,"Message":%q,"SenderFault":%t}`, id, code, message, senderFault))
	}
	reply(w, `{"Failed":[%s]}`, strings.Join(entries, ","))
}

// refuse answers a whole call with an error.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amzn-Query-Error", code+";Sender")
	w.WriteHeader(status)
	reply(w, `{"__type":"com.amazonaws.sqs#%s","message":"refused"}`, code)
}

// reply writes an answer's body. A client that has gone does not matter to a fake.
func reply(w http.ResponseWriter, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

// hangUp breaks the connection after the request was read.
func hangUp(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = connection.Close()
	}
}

func TestFake_SpeaksTheProtocol(t *testing.T) {
	f := newFake(t, func(w http.ResponseWriter, c call, _ int) { succeed(w, c) })
	require.NoError(t, f.open(t).Send(t.Context(), message("body")))
	calls := f.received()
	require.Len(t, calls, 1)
	require.Equal(t, "SendMessageBatch", calls[0].Action)
	require.Len(t, calls[0].Entries, 1)
	require.Equal(t, "body", calls[0].Entries[0].MessageBody)
}
