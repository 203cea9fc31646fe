// Package sqs is the [queue.Queue] on an Amazon SQS FIFO queue, or on an emulator of it.
package sqs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"contacts/platform/queue"
)

// callTimeout bounds every call but Send's, its retries included. A long poll's wait comes on
// top.
const callTimeout = 5 * time.Second

// maxVisibility is for how long SQS hides a message at most.
const maxVisibility = 12 * time.Hour

// Options says which queue to open and how. Everything else (credentials, proxies, a different
// endpoint) comes from the standard AWS configuration: environment, profiles, the pod's or the
// instance's role.
type Options struct {
	// URL is the queue's URL, such as
	// https://sqs.eu-west-1.amazonaws.com/123456789012/contacts-commands.fifo. Unless the AWS
	// configuration names an endpoint (AWS_ENDPOINT_URL_SQS), its scheme and host are where
	// calls go.
	URL string
	// Visibility is for how long a received message stays hidden, in whole seconds (rounded
	// up, at most 12 hours). Zero means [queue.DefaultVisibility].
	Visibility time.Duration
	// Observe, unless nil, is called with the action of each request to SQS, such as
	// SendMessageBatch.
	Observe func(action string)
	// Log is told of messages that stay hidden although no consumer works on them;
	// slog.Default() where nil.
	Log *slog.Logger
}

// Queue is an open SQS queue. Make it with [Open].
type Queue struct {
	client     *awssqs.Client
	url        string
	visibility int32
	log        *slog.Logger

	outbox  chan *outgoing
	closing chan struct{}
	close   sync.Once
	abort   context.CancelFunc
	senders sync.WaitGroup
	polls   sync.WaitGroup
}

var _ queue.Queue = (*Queue)(nil)

// Check reports what is wrong with options.URL and the AWS configuration, as Open would,
// without asking the network.
func Check(ctx context.Context, options Options) error {
	address, err := parseAddress(options.URL)
	if err == nil {
		_, err = newClient(ctx, address, nil)
	}
	return err
}

// Open prepares calls to the queue at options.URL. It asks nothing of the network, so that a
// process can start while SQS is away; [Queue.Stats] tells whether the queue can be reached.
// It fails on a URL that names no FIFO queue and on an AWS configuration that cannot be read.
// The caller closes the queue with [Queue.Close].
func Open(ctx context.Context, options Options) (*Queue, error) {
	address, err := parseAddress(options.URL)
	if err != nil {
		return nil, err
	}
	client, err := newClient(ctx, address, options.Observe)
	if err != nil {
		return nil, err
	}
	if options.Visibility <= 0 {
		options.Visibility = queue.DefaultVisibility
	}
	sending, abort := context.WithCancel(context.WithoutCancel(ctx))
	q := &Queue{
		client:     client,
		url:        options.URL,
		visibility: wholeSeconds(options.Visibility, maxVisibility),
		log:        cmp.Or(options.Log, slog.Default()),
		outbox:     make(chan *outgoing),
		closing:    make(chan struct{}),
		abort:      abort,
	}
	q.senders.Go(func() { q.sendAll(sending) })
	return q, nil
}

// Close refuses further sends, waits for those that are on their way, and for polls whose
// callers have gone; when ctx ends first it gives the sends up, their callers get
// [queue.ErrUncertain], and Close returns ctx's error. The other methods go on working. Close
// may be called more than once, but not while Receive is.
func (q *Queue) Close(ctx context.Context) error {
	q.close.Do(func() { close(q.closing) })
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		q.senders.Wait()
		q.polls.Wait()
	}()
	defer q.abort()
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("close queue %s with messages on their way: %w", q.url, ctx.Err())
	}
}

// Stats reports SQS's approximate numbers, which lag behind by up to a minute.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	const waiting, inFlight = types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	output, err := q.client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{
		QueueUrl:       &q.url,
		AttributeNames: []types.QueueAttributeName{waiting, inFlight},
	})
	if err != nil {
		return queue.Stats{}, unavailable(err)
	}
	var stats queue.Stats
	if stats.Waiting, err = strconv.ParseInt(output.Attributes[string(waiting)], 10, 64); err != nil {
		return queue.Stats{}, unavailable(fmt.Errorf("queue %s: attribute %s: %w", q.url, waiting, err))
	}
	if stats.InFlight, err = strconv.ParseInt(output.Attributes[string(inFlight)], 10, 64); err != nil {
		return queue.Stats{}, unavailable(fmt.Errorf("queue %s: attribute %s: %w", q.url, inFlight, err))
	}
	return stats, nil
}

// wholeSeconds converts to the unit and the range that SQS takes. A started second counts as a
// whole one, so that a message is never visible earlier than asked.
func wholeSeconds(d, most time.Duration) int32 {
	return int32(math.Ceil(min(max(d, 0), most).Seconds()))
}
