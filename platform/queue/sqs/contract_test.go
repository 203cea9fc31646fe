package sqs_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/platform/queue"
	"contacts/platform/queue/queuetest"
	"contacts/platform/queue/sqs"
)

func TestMain(m *testing.M) {
	// The AWS configuration is this process's own: the emulator's, independent of the
	// machine's profiles say.
	for name, value := range map[string]string{
		"AWS_REGION":            "us-east-1",
		"AWS_ACCESS_KEY_ID":     "test",
		"AWS_SECRET_ACCESS_KEY": "test",
		"AWS_CONFIG_FILE":       os.DevNull,
		"AWS_ENDPOINT_URL_SQS":  os.Getenv("CONTACTS_TEST_SQS_URL"),
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func TestQueue_Contract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, visibility time.Duration) queue.Queue {
		t.Helper()
		url := emulatorURL(t)
		require.NoError(t, sqs.CreateQueue(t.Context(), sqs.Options{URL: url}))
		return open(t, sqs.Options{URL: url, Visibility: visibility})
	},
		queuetest.Lack{
			Guarantee: queuetest.DeduplicationPerGroup,
			Reason:    "fauxqs compares deduplication ids across the whole queue, whatever its DeduplicationScope",
		},
		queuetest.Lack{
			Guarantee: queuetest.EveryCharacter,
			Reason:    "fauxqs takes the two halves of a character above U+FFFF for invalid ones",
		},
		queuetest.Lack{
			Guarantee: queuetest.LateDeleteReported,
			Reason:    "fauxqs answers every delete with success",
		},
		queuetest.Lack{
			Guarantee: queuetest.ReceiptEndsOnTime,
			Reason:    "fauxqs looks at deadlines only while somebody receives",
		},
	)
}

// emulatorURL is the URL of a queue of the test's own, which does not exist yet. Only the
// emulator knows under which host it keeps its queues, so it is asked by means of another
// queue.
func emulatorURL(t *testing.T) string {
	t.Helper()
	client := emulator(t)
	probe, err := client.CreateQueue(t.Context(), &awssqs.CreateQueueInput{
		QueueName:  aws.String("probe-" + uuid.NewString() + ".fifo"),
		Attributes: map[string]string{"FifoQueue": "true"},
	})
	require.NoError(t, err)
	_, err = client.DeleteQueue(t.Context(), &awssqs.DeleteQueueInput{QueueUrl: probe.QueueUrl})
	require.NoError(t, err)
	base := (*probe.QueueUrl)[:strings.LastIndexByte(*probe.QueueUrl, '/')]
	return base + "/test-" + uuid.NewString() + ".fifo"
}

// emulator is a client to look at the emulator with.
func emulator(t *testing.T) *awssqs.Client {
	t.Helper()
	require.NotEmpty(t, os.Getenv("CONTACTS_TEST_SQS_URL"),
		"CONTACTS_TEST_SQS_URL is not set: run make test, which starts the SQS emulator")
	cfg, err := config.LoadDefaultConfig(t.Context())
	require.NoError(t, err)
	return awssqs.NewFromConfig(cfg)
}

// open opens a queue and closes it when the test ends.
func open(t *testing.T, options sqs.Options) *sqs.Queue {
	t.Helper()
	q, err := sqs.Open(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close(context.WithoutCancel(t.Context()))) })
	return q
}

// A poll that its caller has left may still be given messages by SQS. They must not stay
// hidden.
func TestQueue_Receive_LeftPollHandsBack(t *testing.T) {
	t.Parallel()
	url := emulatorURL(t)
	require.NoError(t, sqs.CreateQueue(t.Context(), sqs.Options{URL: url}))
	leaving, err := sqs.Open(t.Context(), sqs.Options{URL: url, Visibility: time.Hour})
	require.NoError(t, err)
	staying := open(t, sqs.Options{URL: url, Visibility: time.Hour})

	ctx, leave := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer leave()
	_, err = leaving.Receive(ctx, 10, 3*time.Second)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoError(t, staying.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: []byte("body")}))
	require.NoError(t, leaving.Close(t.Context()), "which waits for the poll")

	deliveries, err := staying.Receive(t.Context(), 10, time.Second)
	require.NoError(t, err)
	require.Len(t, deliveries, 1, "an hour would be too long to wait")
}
