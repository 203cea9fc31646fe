// Package oidc identifies the caller that presents a bearer token which an OpenID Connect
// provider, the issuer, has signed: JWT access tokens (RFC 7519, RFC 9068), checked as RFC
// 8725 asks for. It finds the issuer's keys by OpenID Connect Discovery 1.0 and follows their
// rotation. It is the only package that knows the JOSE library.
package oidc

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/maypok86/otter/v2"
)

var (
	// ErrInvalid says that a token is refused: the caller has to get another one. The
	// errors that wrap it add a reason that can be logged: it repeats nothing that the token
	// says.
	ErrInvalid = errors.New("the token is not valid")
	// ErrUnavailable says that the issuer's keys cannot be had at the moment, so that nothing
	// can be said about the token.
	ErrUnavailable = errors.New("the issuer's keys cannot be had")
)

// invalid returns an [ErrInvalid] with its reason.
func invalid(reason string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(reason, args...))
}

const (
	// DefaultSkew is how far the issuer's clock may be from this one unless told otherwise.
	DefaultSkew = 30 * time.Second
	// maxSkew bounds the setting: every token lives that much longer than its issuer meant it
	// to.
	maxSkew = 5 * time.Minute
	// maxTokenBytes bounds what is looked at. Issuers' tokens are one to four thousand bytes
	// long, and most servers take header lines of 8 KiB at the most.
	maxTokenBytes = 8 << 10
	// maxRemembered bounds how many tokens are remembered; each takes a few hundred bytes.
	maxRemembered = 10_000
)

// Options are the settings of a [Verifier]. Issuer, Audiences and TenantClaim are required.
//
// Where an option names a claim, it is the name of a member of the token's claims, or a JSON
// pointer (RFC 6901) to a member further down, such as /realm_access/roles.
type Options struct {
	// Issuer is the issuer's URL, exactly as its tokens write it in "iss", down to a slash at
	// its end. It is https, or http on loopback, for tests.
	Issuer string
	// Audiences are this service's names at the issuer. A token has to be for one of them.
	// They must not be shared with clients that people log in to: the ID tokens of those are
	// for the same name, and not all can be told apart.
	Audiences []string
	// AudienceClaim is the claim that names a token's audience; "aud" where empty. (Amazon
	// Cognito's access tokens have only "client_id", the client that they were issued to; the
	// audiences then are the ids of the clients that may call. Its ID tokens have no such
	// claim, and say what they are.)
	AudienceClaim string
	// Algorithms are the signature algorithms (RFC 7518) that are accepted; nil stands for all
	// that [Algorithms] returns, and no others can be allowed.
	Algorithms []string
	// TenantClaim is the claim that says whose data the caller works with.
	TenantClaim string
	// ScopeClaim is the claim that lists what the caller may do, as a string with spaces or as
	// an array of strings; "scope" where empty. A token without it has no scopes.
	ScopeClaim string
	// ScopePrefix is taken off each scope; scopes without it are left out. (Amazon Cognito
	// writes a resource server's identifier and a slash before each of its scopes.)
	ScopePrefix string
	// Skew is how far the issuer's clock may be from this one, up to five minutes; zero means
	// [DefaultSkew].
	Skew time.Duration
	// Client asks the issuer; http.DefaultClient where nil. Its CheckRedirect is not used.
	Client *http.Client
	// Log gets the failures to ask the issuer; slog.Default() where nil.
	Log *slog.Logger
}

// Identity is what a valid token says of its bearer.
type Identity struct {
	// Subject is the issuer's name for the bearer, a person or a program, and Tenant whose
	// data it works with. Both are 1 to 255 bytes of UTF-8 without control characters.
	Subject string
	Tenant  string
	// Scopes are what the bearer may do, in the token's order; nil if there are none.
	Scopes []string
	// Expires is when the token ends by its issuer's clock.
	Expires time.Time
}

// Verifier verifies the tokens of one issuer. Its methods may be called concurrently.
type Verifier struct {
	algorithms []string
	rules      rules
	issuer     *issuer
	// remembered holds tokens that were verified, by their hash: verifying costs more than
	// reading a contact from a cache. What was verified with other keys than those held now
	// does not count, so a key that is withdrawn takes its tokens along.
	remembered *otter.Cache[[sha256.Size]byte, verified]
}

// verified is the identity in a token, and the keys of which one has verified it.
type verified struct {
	identity Identity
	keys     *keySet
}

// New returns a verifier. It does not ask the issuer: Run does, or else the first call of
// Verify. Its error names every option that is wrong.
func New(o Options) (*Verifier, error) {
	o, err := o.check()
	if err != nil {
		return nil, err
	}
	return &Verifier{
		algorithms: o.Algorithms,
		rules: rules{
			issuer: o.Issuer, audiences: o.Audiences, scopePrefix: o.ScopePrefix, skew: o.Skew,
			audience: parseClaim(o.AudienceClaim), tenant: parseClaim(o.TenantClaim), scope: parseClaim(o.ScopeClaim),
		},
		issuer:     newIssuer(o),
		remembered: otter.Must(&otter.Options[[sha256.Size]byte, verified]{MaximumSize: maxRemembered}),
	}, nil
}

// Run fetches the issuer's keys now and every five minutes, until ctx ends. Without it the
// keys are fetched only when a token names an unknown one or those held are an hour old, and a
// withdrawn key works until then.
func (v *Verifier) Run(ctx context.Context) { v.issuer.run(ctx) }

// Verify returns the identity in a token: a JWT in compact form, without "Bearer" before it.
// It returns an [ErrInvalid], or, if the issuer's keys are needed and do not come before ctx
// ends, an [ErrUnavailable].
func (v *Verifier) Verify(ctx context.Context, token string) (Identity, error) {
	if len(token) > maxTokenBytes {
		return Identity{}, invalid("it is longer than %d bytes", maxTokenBytes)
	}
	digest := sha256.Sum256([]byte(token))
	known, ok := v.remembered.GetIfPresent(digest)
	if !ok || known.keys != v.issuer.held() {
		var err error
		if known, err = v.verify(ctx, token); err != nil {
			return Identity{}, err
		}
		v.remembered.Set(digest, known)
	} else if err := v.rules.checkExpiry(known.identity.Expires); err != nil {
		return Identity{}, err
	}
	identity := known.identity
	identity.Scopes = slices.Clone(identity.Scopes)
	return identity, nil
}

// verify does what Verify does, without a memory.
func (v *Verifier) verify(ctx context.Context, raw string) (verified, error) {
	token, err := parse(raw)
	if err != nil {
		return verified{}, err
	}
	if !slices.Contains(v.algorithms, token.algorithm) {
		return verified{}, invalid("its algorithm is not allowed")
	}
	keys, err := v.issuer.keysFor(ctx, token.keyID)
	if err != nil {
		return verified{}, err
	}
	if err := keys.verify(token); err != nil {
		return verified{}, err
	}
	identity, err := v.rules.identify(token.payload)
	return verified{identity: identity, keys: keys}, err
}
