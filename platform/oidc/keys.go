package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// keySet is what the issuer published at one time. It does not change.
type keySet struct {
	keys    []key
	fetched time.Time
}

// key is a public key of the issuer.
type key struct {
	id         string   // "" if the issuer gave it none
	algorithms []string // those that it may verify signatures of
	public     any      // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// newKeySet returns the keys of a JWK set (RFC 7517) that verify signatures. What cannot be
// used is left out: issuers also publish keys for encryption, and of kinds that are not known
// here.
func newKeySet(documents []json.RawMessage, fetched time.Time) *keySet {
	set := &keySet{fetched: fetched}
	for _, document := range documents {
		parsed, err := jwk.ParseKey(document)
		if err != nil {
			continue
		}
		if key, ok := newKey(parsed); ok {
			set.keys = append(set.keys, key)
		}
	}
	return set
}

func newKey(parsed jwk.Key) (key, bool) {
	var public any
	if jwk.Export(parsed, &public) != nil {
		return key{}, false
	}
	if use, ok := parsed.KeyUsage(); ok && use != string(jwk.ForSignature) {
		return key{}, false
	}
	if operations, ok := parsed.KeyOps(); ok && !slices.Contains(operations, jwk.KeyOpVerify) {
		return key{}, false
	}
	k := key{algorithms: algorithmsOf(public), public: public}
	if algorithm, ok := parsed.Algorithm(); ok { // RFC 8725 section 3.1: a key is for one algorithm
		k.algorithms = slices.DeleteFunc(k.algorithms, func(a string) bool { return a != algorithm.String() })
	}
	k.id, _ = parsed.KeyID()
	return k, len(k.algorithms) > 0
}

// algorithmsOf returns the algorithms that a key's material is for (RFC 7518 section 3, RFC
// 8037, RFC 9864): none for what is not a public key.
func algorithmsOf(public any) []string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		switch public.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA", "Ed25519"}
	}
	return nil
}

// has says whether a key of that id is there.
func (s *keySet) has(id string) bool {
	return slices.ContainsFunc(s.keys, func(k key) bool { return k.id == id })
}

// verify returns nil if the token's signature is one of a key that the token names. A token
// that names none can only be verified if a single key comes into question.
func (s *keySet) verify(t token) error {
	var fitting []key
	for _, k := range s.keys {
		if (t.keyID == "" || t.keyID == k.id) && slices.Contains(k.algorithms, t.algorithm) {
			fitting = append(fitting, k)
		}
	}
	switch {
	case t.keyID == "" && len(fitting) > 1:
		return invalid("it names no key, and the issuer has several")
	case len(fitting) == 0 && t.keyID != "" && !s.has(t.keyID):
		return invalid("it names a key that the issuer does not have")
	case len(fitting) == 0:
		return invalid("the issuer's key is not for its algorithm")
	}
	for _, k := range fitting {
		if k.verify(t) {
			return nil
		}
	}
	return invalid("its signature is wrong")
}

func (k key) verify(t token) bool {
	algorithm, ok := jwa.LookupSignatureAlgorithm(t.algorithm)
	if !ok {
		return false
	}
	verifier, err := jws.VerifierFor(algorithm)
	return err == nil && verifier.Verify(k.public, t.signed, t.signature) == nil
}
