package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"github.com/stretchr/testify/require"
)

// Key is a pair of keys that a provider signs with.
type Key struct {
	ID        string // "kid"
	Algorithm string // "alg"
	Private   crypto.Signer
	// Members are added to what is published of the key, or replace it; one whose value is nil
	// is left out.
	Members map[string]any
}

// NewKey makes a key for a signature algorithm (RFC 7518), such as RS256, ES256 or EdDSA.
func NewKey(t testing.TB, algorithm string) Key {
	t.Helper()
	key := Key{ID: rand.Text(), Algorithm: algorithm}
	var err error
	switch algorithm {
	case "ES256":
		key.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key.Private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key.Private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA", "Ed25519":
		_, key.Private, err = ed25519.GenerateKey(rand.Reader)
	default:
		key.Private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	require.NoError(t, err)
	return key
}

// JWK returns what a provider publishes of the key (RFC 7517).
func (k Key) JWK() map[string]any {
	members := map[string]any{}
	public, err := jwk.Import(k.Private.Public())
	if err == nil {
		var encoded []byte
		if encoded, err = json.Marshal(public); err == nil {
			err = json.Unmarshal(encoded, &members)
		}
	}
	if err != nil {
		panic(fmt.Errorf("encode a public key that NewKey made: %w", err))
	}
	return merge(members, map[string]any{"kid": k.ID, "alg": k.Algorithm, "use": "sig"}, k.Members)
}

// Sign returns a JWT that the key has signed. The header gets "alg" and "kid" from the key
// unless it has them; one whose value is nil is left out.
func (k Key) Sign(t testing.TB, header, claims map[string]any) string {
	t.Helper()
	headerJSON, err := json.Marshal(merge(map[string]any{"alg": k.Algorithm, "kid": k.ID}, header))
	require.NoError(t, err)
	claimsJSON, err := json.Marshal(claims)
	require.NoError(t, err)
	return Sign(t, k.Algorithm, k.Private, headerJSON, claimsJSON)
}

// Sign returns a JWS in compact form (RFC 7515) of a header and a payload as they are,
// as they are: with it a test can forge tokens. The key is a private one, or the bytes
// of a secret for HS256 and the like.
func Sign(t testing.TB, algorithm string, key any, header, payload []byte) string {
	t.Helper()
	known, ok := jwa.LookupSignatureAlgorithm(algorithm)
	require.True(t, ok, algorithm)
	signer, err := jws.SignerFor(known)
	require.NoError(t, err)
	signed := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := signer.Sign(key, []byte(signed))
	require.NoError(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// merge returns the members of all objects, the later ones' where a name comes twice, without
// those whose value is nil.
func merge(objects ...map[string]any) map[string]any {
	merged := map[string]any{}
	for _, object := range objects {
		maps.Copy(merged, object)
	}
	maps.DeleteFunc(merged, func(_ string, value any) bool { return value == nil })
	return merged
}
