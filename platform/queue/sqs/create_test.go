package sqs_test

import (
	"encoding/json"
	"strings"
	"testing"

	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"contacts/platform/queue/sqs"
)

// attributes asks by name: the emulator's "All" leaves out what it only stores.
func attributes(t *testing.T, url string) map[string]string {
	t.Helper()
	output, err := emulator(t).GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &url,
		AttributeNames: []types.QueueAttributeName{
			"QueueArn", "FifoQueue", "DeduplicationScope", "FifoThroughputLimit", "VisibilityTimeout",
			"ReceiveMessageWaitTimeSeconds", "MessageRetentionPeriod", "SqsManagedSseEnabled", "RedrivePolicy", "RedriveAllowPolicy",
		},
	})
	require.NoError(t, err)
	return output.Attributes
}

func TestCreateQueue(t *testing.T) {
	t.Parallel()
	url := emulatorURL(t)
	deadURL := strings.TrimSuffix(url, ".fifo") + "-dlq.fifo"
	for range 2 {
		require.NoError(t, sqs.CreateQueue(t.Context(), sqs.Options{URL: url}), "creating again changes nothing")
		main, dead := attributes(t, url), attributes(t, deadURL)
		for _, made := range []map[string]string{main, dead} {
			require.Subset(t, made, map[string]string{
				"FifoQueue":                     "true",
				"DeduplicationScope":            "messageGroup",
				"FifoThroughputLimit":           "perMessageGroupId",
				"VisibilityTimeout":             "60",
				"ReceiveMessageWaitTimeSeconds": "20",
				"MessageRetentionPeriod":        "1209600",
				"SqsManagedSseEnabled":          "true",
			})
		}
		requireJSON(t, map[string]any{"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 1000.0}, main["RedrivePolicy"])
		requireJSON(t, map[string]any{"redrivePermission": "byQueue", "sourceQueueArns": []any{main["QueueArn"]}}, dead["RedriveAllowPolicy"])
	}
}

func TestCreateQueue_KeepsExisting(t *testing.T) {
	t.Parallel()
	url := emulatorURL(t)
	name := url[strings.LastIndexByte(url, '/')+1:]
	_, err := emulator(t).CreateQueue(t.Context(), &awssqs.CreateQueueInput{
		QueueName:  &name,
		Attributes: map[string]string{"FifoQueue": "true", "VisibilityTimeout": "7"},
	})
	require.NoError(t, err)
	require.NoError(t, sqs.CreateQueue(t.Context(), sqs.Options{URL: url}))
	made := attributes(t, url)
	require.Equal(t, "7", made["VisibilityTimeout"])
	require.NotEmpty(t, made["RedrivePolicy"], "it gets its dead-letter queue")
}

func TestCreateQueue_UnreachableURL(t *testing.T) {
	t.Parallel()
	url := emulatorURL(t)
	moved := strings.Replace(url, "/000000000000/", "/111111111111/", 1)
	require.NotEqual(t, url, moved)
	err := sqs.CreateQueue(t.Context(), sqs.Options{URL: moved})
	require.ErrorContains(t, err, url, "the error names the URL that works")
}

func requireJSON(t *testing.T, want map[string]any, raw string) {
	t.Helper()
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(raw), &got))
	require.Equal(t, want, got)
}
