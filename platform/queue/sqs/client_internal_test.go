package sqs

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"
)

// lateConn is a connection on which the end of a request's body has been sent, and net/http
// does not come to know of it, until the answer is being read.
type lateConn struct {
	net.Conn

	reads   atomic.Int32
	reading chan struct{}
}

func (c *lateConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if bytes.HasSuffix(b, []byte("}")) {
		<-c.reading
	}
	return n, err
}

// Read is called first by net/http, for the answer's head and what comes with it, and then by
// the SDK, for the rest.
func (c *lateConn) Read(b []byte) (int, error) {
	if c.reads.Add(1) == 2 {
		close(c.reading)
	}
	return c.Conn.Read(b)
}

// A request can be answered before net/http is done with it. The answer must not be lost then:
// a server that does not know attempt ids would not give its messages again, and they would
// stay hidden.
func TestQueue_Receive_AnsweredEarly(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL_SQS", "")
	var requests atomic.Int32
	written := make(chan error, attempts)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if requests.Add(1) > 1 {
			_, _ = io.WriteString(w, `{}`)
			return
		}
		_, _ = io.WriteString(w, `{"Messages":[{"Body":"body",`)
		w.(http.Flusher).Flush()
		if <-written != nil {
			<-r.Context().Done() // net/http closes the connection
			return
		}
		_, _ = io.WriteString(w, `"ReceiptHandle":"receipt"}]}`)
	}))
	t.Cleanup(server.Close)
	q, err := Open(t.Context(), Options{URL: server.URL + "/000000000000/commands.fifo"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close(context.WithoutCancel(t.Context()))) })
	options := q.client.Options()
	client := options.HTTPClient.(httpClient)
	client.HTTPClient = client.HTTPClient.(*awshttp.BuildableClient).WithTransportOptions(func(transport *http.Transport) {
		dial := transport.DialContext
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			return &lateConn{Conn: conn, reading: make(chan struct{})}, err
		}
	})
	options.HTTPClient = client
	q.client = awssqs.New(options)

	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { written <- info.Err },
	})
	deliveries, err := q.Receive(ctx, 10, time.Second)
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	require.Equal(t, "receipt", deliveries[0].Receipt)
	require.EqualValues(t, 1, requests.Load())
}
