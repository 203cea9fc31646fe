package contacts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/google/uuid"
)

// APIKey is what is kept of an API key: all but the key itself.
type APIKey struct {
	ID        uuid.UUID // UUIDv7; no secret
	Tenant    Tenant
	Scopes    []Scope
	CreatedAt time.Time // UTC, whole microseconds, as the others
	ExpiresAt time.Time // zero: never
	RevokedAt time.Time // zero: it is not
}

// KeyHash is the SHA-256 of an API key. The key has so many random bits that it is infeasible
// to find it by trying: there is nothing that a slow hash would make safer.
type KeyHash [sha256.Size]byte

// KeyStore keeps API keys by their hashes. Errors are as those of a [Repository].
type KeyStore interface {
	// AddAPIKey adds a key.
	AddAPIKey(ctx context.Context, hash KeyHash, key APIKey) error

	// APIKey returns the key that has the hash, also one that is revoked or expired. Finding
	// it may take a time that tells of the hash: that is no help in making up a key.
	APIKey(ctx context.Context, hash KeyHash) (key APIKey, found bool, err error)

	// APIKeys returns the keys of a tenant, or of all where it is "", the latest first.
	APIKeys(ctx context.Context, tenant Tenant) ([]APIKey, error)

	// RevokeAPIKey notes that a key was revoked, unless it was before. It returns an [Error]
	// of [KindNotFound].
	RevokeAPIKey(ctx context.Context, id uuid.UUID, at time.Time) error
}

// Keys is the use cases of API keys.
type Keys struct{ store KeyStore }

// NewKeys returns the use cases over a store.
func NewKeys(store KeyStore) *Keys { return &Keys{store} }

// Issue makes a key that permits the scopes to a tenant, until it expires or, where that is
// zero, until it is revoked. It returns the key itself, which is not kept: it cannot be told
// again. It returns an [Error] of [KindInvalid] that names tenant, scope or expires, or of
// [KindUnavailable].
func (k *Keys) Issue(ctx context.Context, tenant Tenant, scopes []Scope, expires time.Time) (secret string, key APIKey, err error) {
	now := time.Now()
	if problem := checkKey(tenant, scopes, expires, now); problem != nil {
		return "", APIKey{}, problem
	}
	id, err := uuid.NewV7()
	if err != nil {
		return "", APIKey{}, fmt.Errorf("mint a key's id: %w", err)
	}
	key = APIKey{ID: id, Tenant: tenant, Scopes: scopes, CreatedAt: now.UTC().Truncate(time.Microsecond)}
	if !expires.IsZero() {
		key.ExpiresAt = expires.UTC().Truncate(time.Microsecond)
	}
	secret = newSecret()
	if err := k.store.AddAPIKey(ctx, sha256.Sum256([]byte(secret)), key); err != nil {
		return "", APIKey{}, err
	}
	return secret, key, nil
}

func checkKey(tenant Tenant, scopes []Scope, expires, now time.Time) error {
	var violations []Violation
	if err := tenant.Validate(); err != nil {
		violations = append(violations, Violation{"tenant", err.Error()})
	}
	if len(scopes) == 0 {
		violations = append(violations, Violation{"scope", "expected one or more of " + scopeNames()})
	}
	for _, scope := range scopes {
		if !scope.known() {
			violations = append(violations, Violation{"scope", "expected only " + scopeNames()})
			break
		}
	}
	// RFC 3339 can write no later one
	if !expires.IsZero() && (!expires.After(now) || expires.Year() > 9999) {
		violations = append(violations, Violation{"expires", "expected a time in the future, before the year 10000"})
	}
	if len(violations) > 0 {
		return invalid(violations...)
	}
	return nil
}

// List returns the keys of a tenant, or of all where it is "", the latest first, revoked and
// expired ones included.
func (k *Keys) List(ctx context.Context, tenant Tenant) ([]APIKey, error) {
	return k.store.APIKeys(ctx, tenant)
}

// Revoke has a key refused from now on: at once by callers of the store itself. Revoking it
// again changes nothing. It returns an [Error] of [KindNotFound].
func (k *Keys) Revoke(ctx context.Context, id uuid.UUID) error {
	return k.store.RevokeAPIKey(ctx, id, time.Now().UTC().Truncate(time.Microsecond))
}

// NoAPIKey is the error of a key's id that is not known.
func NoAPIKey() *Error { return notFound("API key") }

// Authenticate returns the key's caller. It returns an [Error] of [KindUnauthenticated] for
// one that is malformed, unknown, expired or revoked, and of [KindUnavailable] where that
// cannot be told. The key is in no error.
func (k *Keys) Authenticate(ctx context.Context, secret string) (Caller, error) {
	if !wellFormed(secret) {
		return Caller{}, Unauthenticated(errors.New("no API key, or a mistyped one"))
	}
	key, found, err := k.store.APIKey(ctx, sha256.Sum256([]byte(secret)))
	switch {
	case err != nil:
		return Caller{}, err
	case !found:
		return Caller{}, Unauthenticated(errors.New("unknown API key"))
	case !key.RevokedAt.IsZero():
		return Caller{}, Unauthenticated(fmt.Errorf("API key %s was revoked", key.ID))
	case !key.ExpiresAt.IsZero() && !time.Now().Before(key.ExpiresAt):
		return Caller{}, Unauthenticated(fmt.Errorf("API key %s has expired", key.ID))
	}
	return Caller{Tenant: key.Tenant, Subject: "key:" + key.ID.String(), Scopes: key.Scopes}, nil
}

// An API key is keyMark, 52 characters that hold at least 256 random bits, and 7 that hold the
// CRC-32 of all before them, in base 32 (RFC 4648). It is recognized by secret scanners, and
// by the service, which refuses what was mistyped or cut without asking the store.
const (
	keyMark      = "contacts_key_"
	markedLength = len(keyMark) + 52
	keyLength    = markedLength + 7
)

// IsAPIKey reports whether a credential is meant to be an API key.
func IsAPIKey(credential string) bool { return strings.HasPrefix(credential, keyMark) }

func newSecret() string {
	marked := (keyMark + rand.Text() + rand.Text())[:markedLength]
	return marked + checksum(marked)
}

func wellFormed(secret string) bool {
	return len(secret) == keyLength && IsAPIKey(secret) && checksum(secret[:markedLength]) == secret[markedLength:]
}

// checksum finds every mistyped character, and every two neighbours that were swapped.
func checksum(text string) string {
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(text)))
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum)
}
