package sqs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
)

const (
	// attempts bounds the SDK's retries of one call. Repeating is safe: sends carry
	// deduplication ids, receives carry an attempt id, the other calls are idempotent.
	attempts = 3
	// maxBackoff keeps three attempts of a refused connection well under a second.
	maxBackoff = 250 * time.Millisecond
)

const fifoSuffix = ".fifo"

// awsHost matches the hosts of SQS's regional endpoints, whose addresses the SDK knows by
// itself.
var awsHost = regexp.MustCompile(`^sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$`)

// address is what a queue's URL says.
type address struct {
	// endpoint is the URL's scheme and host; empty for a regional endpoint of AWS, which the
	// SDK resolves.
	endpoint string
	// region is the one that the host names, empty if it names none.
	region string
	// name is the queue's name, with its suffix.
	name string
}

// parseAddress reads a queue's URL, whose last path segment is the queue's name.
func parseAddress(raw string) (address, error) {
	parsed, err := url.Parse(raw)
	if err != nil {
		return address{}, fmt.Errorf("queue URL: %w", err)
	}
	if (parsed.Scheme != "https" && parsed.Scheme != "http") || parsed.Host == "" || parsed.User != nil {
		return address{}, errors.New("queue URL must look like https://sqs.<region>.amazonaws.com/<account>/<name>.fifo, without credentials")
	}
	name := parsed.Path[strings.LastIndexByte(parsed.Path, '/')+1:]
	if len(name) <= len(fifoSuffix) || !strings.HasSuffix(name, fifoSuffix) {
		return address{}, fmt.Errorf("queue URL %s must end in the name of a FIFO queue, such as contacts-commands.fifo", raw)
	}
	if match := awsHost.FindStringSubmatch(parsed.Host); match != nil && parsed.Scheme == "https" {
		return address{region: match[1], name: name}, nil
	}
	return address{endpoint: parsed.Scheme + "://" + parsed.Host, name: name}, nil
}

// httpClient sends the SDK's requests.
type httpClient struct {
	awssqs.HTTPClient

	// unless nil, told of each request, those of retries included, because each is paid for
	observe func(action string)
}

// Do sends a request so that its answer is not lost. The SDK closes a request's body as soon
// as it has the head of the answer, when net/http may still be about to make sure that the
// body ends where it should. It would ask by WriteTo, to which the SDK's body, once closed,
// answers io.EOF: net/http takes that for a failed write, and closes the connection under the
// answer that is being read. Read, which is all that it is left with, tells the end in the
// right way. The SDK would ask again for a lost answer; but a receive would find its messages
// hidden where a server, as the emulator, knows nothing of attempt ids.
func (c httpClient) Do(request *http.Request) (*http.Response, error) {
	if c.observe != nil {
		// AmazonSQS.SendMessageBatch
		_, action, _ := strings.Cut(request.Header.Get("X-Amz-Target"), ".")
		c.observe(action)
	}
	if request.Body != nil {
		request.Body = struct{ io.ReadCloser }{request.Body} // which has no WriteTo
	}
	return c.HTTPClient.Do(request)
}

// newClient makes a client from the standard AWS configuration. A region that the queue's host
// names wins over the configured one, under which no call could succeed.
func newClient(ctx context.Context, address address, observe func(action string)) (*awssqs.Client, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("AWS configuration: %w", err)
	}
	if address.region != "" {
		cfg.Region = address.region
	}
	if cfg.Region == "" {
		return nil, errors.New("AWS configuration: the queue's URL names no region: set AWS_REGION")
	}
	return awssqs.NewFromConfig(cfg, func(o *awssqs.Options) {
		if o.BaseEndpoint == nil && address.endpoint != "" {
			o.BaseEndpoint = &address.endpoint
		}
		o.HTTPClient = httpClient{o.HTTPClient, observe}
		// AWS_MAX_ATTEMPTS must not stretch the time in which a caller gets its answer.
		o.RetryMaxAttempts = 0
		o.Retryer = retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = attempts
			s.MaxBackoff = maxBackoff
		})
	}), nil
}
