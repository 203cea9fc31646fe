package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"contacts/platform/queue"
)

// fate follows one call through its attempts, to know what may have become of it: when one
// attempt's connection breaks and the next one is refused, the call as a whole is uncertain,
// although its error is the refusal.
type fate struct {
	// accepted: an attempt was answered with success. If the call fails all the same, the
	// answer was unusable.
	accepted bool
	// uncertain: an attempt may have reached SQS, and what came back does not tell.
	uncertain bool
}

// watch is an option of the call to follow. The innermost step of an attempt is the place to
// look from: credentials are at hand and the request is signed, so that a connection seen from
// here is one to SQS.
func (f *fate) watch(o *awssqs.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Fate", f.attempt), middleware.After)
	})
}

func (f *fate) attempt(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (
	middleware.FinalizeOutput, middleware.Metadata, error,
) {
	var connected atomic.Bool
	out, metadata, err := next.HandleFinalize(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { connected.Store(true) },
	}), in)
	switch {
	case err == nil:
		f.accepted = true
	case connected.Load() && !refused(err):
		f.uncertain = true
	}
	return out, metadata, err
}

// failure is the error of a send that failed as a whole.
func (f *fate) failure(err error) error {
	if f.accepted || f.uncertain {
		return fmt.Errorf("%w: %w", queue.ErrUncertain, err)
	}
	return unavailable(err)
}

// results maps a batch's answer to its entries' errors by entry id, nil for the accepted ones.
func (f *fate) results(output *awssqs.SendMessageBatchOutput) map[string]error {
	results := make(map[string]error, len(output.Successful)+len(output.Failed))
	for _, entry := range output.Successful {
		results[aws.ToString(entry.Id)] = nil
	}
	for _, entry := range output.Failed {
		reason := queue.ErrUnavailable
		switch {
		case f.uncertain:
			reason = queue.ErrUncertain
		case entry.SenderFault && !passing(aws.ToString(entry.Code)):
			reason = queue.ErrRejected
		}
		results[aws.ToString(entry.Id)] = fmt.Errorf("%w: %w", reason, entryError(entry))
	}
	return results
}

// refused says whether SQS answered that it did not take the request: any 4xx, and throttling
// under every status. After another 5xx the outcome is unknown.
func refused(err error) bool {
	var response interface{ HTTPStatusCode() int }
	if errors.As(err, &response) && response.HTTPStatusCode()/100 == 4 {
		return true
	}
	var api smithy.APIError
	return errors.As(err, &api) && throttled(code(api.ErrorCode()))
}

// passing says whether an error code speaks of the queue's state or configuration and not of
// the message.
func passing(name string) bool {
	name = code(name)
	return throttled(name) || strings.HasPrefix(name, "Kms") || strings.HasPrefix(name, "AccessDenied")
}

func throttled(name string) bool {
	_, found := retry.DefaultThrottleErrorCodes[name]
	return found || name == "KmsThrottled" || name == "OverLimit"
}

// code strips what SQS's older protocol puts before an error code.
func code(name string) string {
	return strings.TrimPrefix(name, "AWS.SimpleQueueService.")
}

// entryError is a failed batch entry as an error. SQS's text can quote receipts, so only the
// code is kept.
func entryError(entry types.BatchResultErrorEntry) error {
	return fmt.Errorf("SQS answered %s", aws.ToString(entry.Code))
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", queue.ErrUnavailable, err)
}
