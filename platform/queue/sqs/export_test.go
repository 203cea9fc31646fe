package sqs

import awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

// SetTransport has requests sent by transport. It comes before the first call.
func (q *Queue) SetTransport(transport awssqs.HTTPClient) {
	options := q.client.Options()
	client := options.HTTPClient.(httpClient)
	client.HTTPClient = transport
	options.HTTPClient = client
	q.client = awssqs.New(options)
}
