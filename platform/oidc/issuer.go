package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// refreshEvery is how often the keys are fetched without a cause: how long a key can go on
	// that the issuer has withdrawn.
	refreshEvery = 5 * time.Minute
	// askInterval is how long the issuer is left alone after it was asked, however many tokens
	// name unknown keys.
	askInterval = 5 * time.Second
	// keepFor is how long keys are used without the issuer confirming them. It is about as
	// long as an access token lives: of the tokens that were issued before an outage, none is
	// left by then, and during it no caller gets a new one. A key that is withdrawn while the
	// issuer cannot be reached works for that long.
	keepFor = time.Hour
	// fetchTimeout is how long the issuer has for both of its documents.
	fetchTimeout = 5 * time.Second
	// maxDocumentBytes bounds each of them. Large issuers' are some ten thousand bytes.
	maxDocumentBytes = 512 << 10
	// maxKeys bounds the keys among which one is looked for. Issuers have two or three.
	maxKeys = 100
	// maxRedirects bounds how often a document may have moved.
	maxRedirects = 3
)

// issuer knows the keys of an OpenID Connect provider.
type issuer struct {
	url      string
	loopback bool // plain HTTP is allowed, on loopback
	client   *http.Client
	log      *slog.Logger

	latest atomic.Pointer[keySet] // nil until fetched

	asking singleflight.Group
	// What follows is used only by the asking goroutine.
	asked   time.Time // when the issuer was last asked
	failure error     // what came of it
}

func newIssuer(o Options) *issuer {
	u, err := url.Parse(o.Issuer)
	i := &issuer{url: o.Issuer, loopback: err == nil && onLoopback(u), log: o.Log}
	client := *o.Client
	client.CheckRedirect = i.checkRedirect
	i.client = &client
	return i
}

func (i *issuer) run(ctx context.Context) {
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		_, _ = i.refresh(ctx) // a failure is logged, and the next round tries again
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// held returns the keys that can be used without asking; nil if there are none.
func (i *issuer) held() *keySet {
	set := i.latest.Load()
	if set == nil || time.Since(set.fetched) >= keepFor {
		return nil
	}
	return set
}

// keysFor returns the issuer's keys, which it is asked for if there are none or none has that
// id; an empty id is that of any key. The key may still not be there. The error is an
// [ErrUnavailable].
func (i *issuer) keysFor(ctx context.Context, id string) (*keySet, error) {
	if set := i.held(); set != nil && (id == "" || set.has(id)) {
		return set, nil
	}
	return i.refresh(ctx)
}

// refresh asks the issuer for its keys, unless it was asked a moment ago: then that is the
// answer. All callers together ask once, and each waits no longer than its ctx. The error is
// an [ErrUnavailable].
func (i *issuer) refresh(ctx context.Context) (*keySet, error) {
	answer := i.asking.DoChan("", func() (any, error) { return i.ask(context.WithoutCancel(ctx)) })
	select {
	case result := <-answer:
		if result.Err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, result.Err)
		}
		return result.Val.(*keySet), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, ctx.Err())
	}
}

func (i *issuer) ask(ctx context.Context) (*keySet, error) {
	if !i.asked.IsZero() && time.Since(i.asked) < askInterval {
		return i.latest.Load(), i.failure
	}
	set, err := i.fetch(ctx)
	i.asked, i.failure = time.Now(), err
	if err != nil {
		i.log.WarnContext(ctx, "the issuer's keys could not be fetched", "issuer", i.url, "kept", i.held() != nil, "error", err)
		return nil, err
	}
	if len(set.keys) == 0 {
		i.log.WarnContext(ctx, "the issuer has no key that can be used: all tokens are refused", "issuer", i.url)
	}
	i.latest.Store(set)
	return set, nil
}

// fetch reads the issuer's discovery document and, from where that says, its keys.
func (i *issuer) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	began := time.Now()
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := i.get(ctx, strings.TrimSuffix(i.url, "/")+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != i.url {
		return nil, fmt.Errorf("the issuer at %s calls itself %q: it must be set exactly as it calls itself", i.url, discovery.Issuer)
	}
	if u, err := url.Parse(discovery.Keys); err != nil || !i.trusts(u) {
		return nil, fmt.Errorf("the jwks_uri of the issuer at %s must be an https URL", i.url)
	}
	var published struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.get(ctx, discovery.Keys, &published); err != nil {
		return nil, err
	}
	if published.Keys == nil || len(published.Keys) > maxKeys {
		return nil, fmt.Errorf("%s must be a JWK set of at most %d keys", discovery.Keys, maxKeys)
	}
	return newKeySet(published.Keys, began), nil
}

func (i *issuer) get(ctx context.Context, address string, document any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/json")
	response, err := i.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: the answer must be 200, and is %d", address, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentBytes+1))
	if err != nil {
		return fmt.Errorf("GET %s: %w", address, err)
	}
	if len(body) > maxDocumentBytes {
		return fmt.Errorf("GET %s: the answer is longer than %d bytes", address, maxDocumentBytes)
	}
	if err := json.Unmarshal(body, document); err != nil {
		return fmt.Errorf("GET %s: the answer must be JSON: %w", address, err)
	}
	return nil
}

// trusts says whether keys can come from u: they must not be replaceable on the way.
func (i *issuer) trusts(u *url.URL) bool { return secure(u) || i.loopback && onLoopback(u) }

func (i *issuer) checkRedirect(next *http.Request, before []*http.Request) error {
	if len(before) > maxRedirects {
		return fmt.Errorf("more than %d redirects", maxRedirects)
	}
	if !i.trusts(next.URL) {
		return errors.New("a redirect to what is not https")
	}
	return nil
}
