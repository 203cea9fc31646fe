package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"contacts/contacts"
	"contacts/platform/ratelimit"
)

// The headers that tell callers of their limit (draft-ietf-httpapi-ratelimit-headers-11).
const (
	rateLimitHeader       = "RateLimit"
	rateLimitPolicyHeader = "RateLimit-Policy"
)

// limited reports whether callers have a limit: only those that are told apart can.
func (a *api) limited() bool {
	return a.authenticate != nil && a.limiter != nil && a.limit != (ratelimit.Limit{})
}

// rateLimit counts a request of the caller, tells it what its limit leaves, and returns the
// problem of one request too many.
func (a *api) rateLimit(ctx huma.Context, caller contacts.Caller) error {
	if !a.limited() {
		return nil
	}
	decision, err := a.limiter.Take(ctx.Context(), limitKey(caller), a.limit)
	if err != nil {
		a.log.WarnContext(ctx.Context(), "request not counted", "error", err, "request_id", recordOf(ctx.Context()).id)
		return nil
	}
	window := decision.Recovery // in which the caller can use no more than what remains
	if !decision.Allowed {
		window = decision.Wait
	}
	ctx.SetHeader(rateLimitPolicyHeader, a.limitPolicy)
	ctx.SetHeader(rateLimitHeader, fmt.Sprintf(`"default";r=%d;t=%d`, decision.Remaining, seconds(window)))
	if decision.Allowed {
		return nil
	}
	p := newProblem(kindRateLimited, "more requests than the limit allows, which RateLimit-Policy tells")
	p.header.Set("Retry-After", strconv.Itoa(seconds(decision.Wait)))
	return p
}

// policyOf is how the limit is told, the same to all callers.
func policyOf(limit ratelimit.Limit) string {
	return fmt.Sprintf(`"default";q=%d;w=%d`, limit.Burst, seconds(limit.Window()))
}

// limitKey names the caller to the limiter by a hash.
func limitKey(caller contacts.Caller) string {
	sum := sha256.Sum256([]byte(strconv.Quote(string(caller.Tenant)) + caller.Subject))
	return "rate:" + hex.EncodeToString(sum[:16])
}

// seconds rounds up to the whole seconds that the headers have: no caller is to come back too
// early.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// describeLimit says in an operation's description what rateLimit does. A caller that is not
// known has no limit.
func (a *api) describeLimit(op *huma.Operation) {
	if !a.limited() {
		return
	}
	maps.Copy(op.Responses, a.problems(http.StatusTooManyRequests))
	for status, response := range op.Responses {
		if status != strconv.Itoa(http.StatusUnauthorized) {
			maps.Copy(response.Headers, headers(rateLimitHeader, rateLimitPolicyHeader))
		}
	}
}
