package sqs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

const (
	// maxReceives is how often a message is delivered before SQS moves it to the dead-letter
	// queue: SQS's largest number, because a message may wait for as long as the queue keeps
	// it.
	maxReceives = 1000
	// createTimeout bounds CreateQueue as a whole.
	createTimeout = 20 * time.Second
	// settleTimeout is how long a new queue is waited for: SQS may take a second or so until
	// it answers.
	settleTimeout = 5 * time.Second
	// settlePoll is the time between two looks at a queue that does not answer yet.
	settlePoll = 250 * time.Millisecond
)

// CreateQueue makes the queue that options.URL names, in the account and region of the AWS
// configuration, and beside it the dead-letter queue <name>-dlq.fifo. A queue that exists is
// left as it is, but that it gets the dead-letter queue if it has none: calling again, also
// after an interruption, is safe. It fails when the queue it made does not answer at
// options.URL.
//
// It is meant for emulators and try-outs; production queues belong to the infrastructure's
// code.
func CreateQueue(ctx context.Context, options Options) error {
	address, err := parseAddress(options.URL)
	if err != nil {
		return err
	}
	client, err := newClient(ctx, address, options.Observe)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()

	made, err := ensureQueue(ctx, client, address.name, queueAttributes())
	if err != nil {
		return err
	}
	attributes, err := awaitAttributes(ctx, client, options.URL)
	if err != nil {
		return fmt.Errorf("queue %s is at %s and does not answer at %s: set the queue's URL to the former: %w",
			address.name, made, options.URL, err)
	}
	if attributes[types.QueueAttributeNameRedrivePolicy] != "" {
		return nil
	}
	return addDeadLetterQueue(ctx, client, options.URL, address.name, attributes[types.QueueAttributeNameQueueArn])
}

// DeadLetterURL is the URL, or the name, of the dead-letter queue that [CreateQueue] gives the
// queue of that URL or name.
func DeadLetterURL(queue string) string {
	return strings.TrimSuffix(queue, fifoSuffix) + "-dlq" + fifoSuffix
}

// queueAttributes are what the queue and its dead-letter queue have in common.
func queueAttributes() map[string]string {
	return map[string]string{
		string(types.QueueAttributeNameFifoQueue):                     "true",
		string(types.QueueAttributeNameDeduplicationScope):            "messageGroup",
		string(types.QueueAttributeNameFifoThroughputLimit):           "perMessageGroupId",
		string(types.QueueAttributeNameVisibilityTimeout):             "60",
		string(types.QueueAttributeNameReceiveMessageWaitTimeSeconds): "20",
		string(types.QueueAttributeNameMessageRetentionPeriod):        "1209600",
		string(types.QueueAttributeNameSqsManagedSseEnabled):          "true",
	}
}

// addDeadLetterQueue makes the dead-letter queue of the queue with the given URL, name and
// ARN, and joins the two. The joining comes last, so that an interrupted run is taken up by
// the next one.
func addDeadLetterQueue(ctx context.Context, client *awssqs.Client, url, name, arn string) error {
	allow, err := json.Marshal(map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": []string{arn}})
	if err != nil {
		return fmt.Errorf("redrive allow policy: %w", err)
	}
	deadAttributes := queueAttributes()
	deadAttributes[string(types.QueueAttributeNameRedriveAllowPolicy)] = string(allow)
	dead, err := ensureQueue(ctx, client, DeadLetterURL(name), deadAttributes)
	if err != nil {
		return err
	}
	attributes, err := awaitAttributes(ctx, client, dead)
	if err != nil {
		return fmt.Errorf("dead-letter queue %s: %w", dead, err)
	}
	redrive, err := json.Marshal(map[string]any{
		"deadLetterTargetArn": attributes[types.QueueAttributeNameQueueArn],
		"maxReceiveCount":     maxReceives,
	})
	if err != nil {
		return fmt.Errorf("redrive policy: %w", err)
	}
	if _, err := client.SetQueueAttributes(ctx, &awssqs.SetQueueAttributesInput{
		QueueUrl:   &url,
		Attributes: map[string]string{string(types.QueueAttributeNameRedrivePolicy): string(redrive)},
	}); err != nil {
		return fmt.Errorf("join queue %s to its dead-letter queue: %w", name, err)
	}
	return nil
}

// ensureQueue makes a queue unless there is one of that name, and returns its URL.
func ensureQueue(ctx context.Context, client *awssqs.Client, name string, attributes map[string]string) (string, error) {
	created, err := client.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err == nil {
		return *created.QueueUrl, nil
	}
	if !answered(err, "QueueNameExists", "QueueAlreadyExists") {
		return "", fmt.Errorf("create queue %s: %w", name, err)
	}
	found, err := client.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("look up queue %s: %w", name, err)
	}
	return *found.QueueUrl, nil
}

// awaitAttributes reads what CreateQueue needs to know of a queue, waiting until a new one
// answers.
func awaitAttributes(ctx context.Context, client *awssqs.Client, url string) (map[types.QueueAttributeName]string, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	names := []types.QueueAttributeName{types.QueueAttributeNameQueueArn, types.QueueAttributeNameRedrivePolicy}
	for {
		output, err := client.GetQueueAttributes(ctx, &awssqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
		if err == nil {
			attributes := make(map[types.QueueAttributeName]string, len(names))
			for _, name := range names {
				attributes[name] = output.Attributes[string(name)]
			}
			return attributes, nil
		}
		if !answered(err, "QueueDoesNotExist", "NonExistentQueue") {
			return nil, fmt.Errorf("read queue attributes: %w", err)
		}
		select {
		case <-time.After(settlePoll):
		case <-ctx.Done():
			return nil, fmt.Errorf("read queue attributes: %w", err)
		}
	}
}

// answered says whether err is SQS's answer with one of the given codes.
func answered(err error, codes ...string) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, candidate := range codes {
		if code(api.ErrorCode()) == candidate {
			return true
		}
	}
	return false
}
