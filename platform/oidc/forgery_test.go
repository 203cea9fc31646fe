package oidc_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/platform/oidc"
	"contacts/platform/oidc/oidctest"
)

// canary stands in every token, in places that an error could repeat.
const canary = "canary"

// draft is a token in the making: a valid one unless a forgery changes it.
type draft struct {
	*scene
	key     oidctest.Key
	header  map[string]any
	claims  map[string]any
	payload string                                // instead of the claims
	sign    func(header, payload []byte) string   // instead of the key
	finish  func(token string, p []string) string // given the finished token and its three parts
}

// scene is what forgers find: an issuer with keys of every kind, and a server of their own.
type scene struct {
	t                            *testing.T
	issuer                       *oidctest.Issuer
	rsa, ec, ec384, ed, encrypts oidctest.Key
	attacker                     oidctest.Key // an RSA key of the forger's
	attackerURL                  string
	attackerRequests             atomic.Int64
}

func newScene(t *testing.T) *scene {
	s := &scene{
		t: t, rsa: rsaKey(t, 0), ec: oidctest.NewKey(t, "ES256"), ec384: oidctest.NewKey(t, "ES384"), ed: oidctest.NewKey(t, "EdDSA"),
		encrypts: rsaKey(t, 1), attacker: rsaKey(t, 2),
	}
	s.encrypts.Members = map[string]any{"use": "enc", "alg": nil}
	s.ec.Members, s.ec384.Members, s.ed.Members = map[string]any{"alg": nil}, map[string]any{"alg": nil}, map[string]any{"alg": nil}
	s.issuer = oidctest.NewIssuer(t, s.encrypts, s.ed, s.ec384, s.ec, s.rsa)
	attacker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.attackerRequests.Add(1)
		oidctest.WriteJSON(w, map[string]any{"keys": []any{s.attacker.JWK()}})
	}))
	t.Cleanup(attacker.Close)
	s.attackerURL = attacker.URL + "/keys"
	return s
}

// draft returns a valid token by the issuer's RSA key.
func (s *scene) draft() *draft {
	return &draft{
		scene: s, key: s.rsa, header: map[string]any{"typ": "JWT"},
		claims: s.issuer.Claims(map[string]any{"sub": canary + "-subject", "tenant": canary + "-tenant", "scope": canary}),
	}
}

func (d *draft) token() string {
	d.t.Helper()
	header := map[string]any{"alg": d.key.Algorithm, "kid": d.key.ID}
	for name, value := range d.header {
		header[name] = value
		if value == nil {
			delete(header, name)
		}
	}
	encoded, err := json.Marshal(header)
	require.NoError(d.t, err)
	payload := []byte(d.payload)
	if d.payload == "" {
		payload, err = json.Marshal(d.claims)
		require.NoError(d.t, err)
	}
	sign := d.sign
	if sign == nil {
		sign = func(header, payload []byte) string {
			return oidctest.Sign(d.t, d.key.Algorithm, d.key.Private, header, payload)
		}
	}
	token := sign(encoded, payload)
	if d.finish != nil {
		token = d.finish(token, strings.Split(token, "."))
	}
	return token
}

// insert makes the claims a text with something more before its last brace.
func (d *draft) insert(text string) {
	encoded, err := json.Marshal(d.claims)
	require.NoError(d.t, err)
	d.payload = strings.TrimSuffix(string(encoded), "}") + text + "}"
}

func (d *draft) without(claim string) { delete(d.claims, claim) }

// hmac signs with a secret that is public: something of the issuer's public key.
func (d *draft) hmac(algorithm string, secret []byte) {
	d.header["alg"] = algorithm
	d.sign = func(header, payload []byte) string { return oidctest.Sign(d.t, algorithm, secret, header, payload) }
}

func (d *draft) publicDER() []byte {
	der, err := x509.MarshalPKIXPublicKey(d.rsa.Private.Public())
	require.NoError(d.t, err)
	return der
}

// byAttacker makes the forger sign, in the name of the issuer's key.
func (d *draft) byAttacker() {
	kid := d.key.ID
	d.key = d.attacker
	d.header["kid"] = kid
}

// signature replaces a token's last part.
func signature(signature []byte) func(string, []string) string {
	return func(_ string, p []string) string { return p[0] + "." + p[1] + "." + encode(signature) }
}

func encode(part []byte) string { return base64.RawURLEncoding.EncodeToString(part) }

func decode(t testing.TB, part string) []byte {
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	require.NoError(t, err)
	return decoded
}

// dated sets a claim to a time from now.
func (d *draft) dated(claim string, fromNow time.Duration) {
	d.claims[claim] = time.Now().Add(fromNow).Unix()
}

// The reasons that several forgeries have in common.
const (
	notAllowed     = "its algorithm is not allowed"
	wrongSignature = "its signature is wrong"
	unknownKey     = "it names a key that the issuer does not have"
	wrongKey       = "the issuer's key is not for its algorithm"
	otherIssuer    = "it is of another issuer"
	otherAudience  = "it is for another audience"
	notJSON        = "its payload is not JSON"
	notObject      = "its payload is not a JSON object"
	nameTwice      = "its payload has a name twice"
	threeParts     = "those have three parts"
	notBase64      = "is not base64url"
)

// forgeries are tokens that must be refused, each with a part of the reason: the right one,
// because a token that is refused for another reason would prove nothing.
var forgeries = []struct {
	name  string
	forge func(d *draft)
	why   string
}{
	// The algorithm (RFC 8725 sections 2.1, 3.1 and 3.2).
	{"alg none", unsigned("none"), notAllowed},
	{"alg None", unsigned("None"), notAllowed},
	{"alg nOnE", unsigned("nOnE"), notAllowed},
	{"alg none with a signature", func(d *draft) { d.header["alg"] = "none" }, notAllowed},
	{"alg empty", func(d *draft) { d.header["alg"] = "" }, notAllowed},
	{"alg missing", func(d *draft) { d.header["alg"] = nil }, "its header has no algorithm"},
	{"alg a number", func(d *draft) { d.header["alg"] = 256 }, "its header has no algorithm"},
	{"alg in lower case", func(d *draft) { d.header["alg"] = "rs256" }, notAllowed},
	{"HS256 with the public key as PEM", func(d *draft) {
		d.hmac("HS256", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: d.publicDER()}))
	}, notAllowed},
	{"HS256 with the public key as DER", func(d *draft) { d.hmac("HS256", d.publicDER()) }, notAllowed},
	{"HS256 with the public key as JWK", func(d *draft) {
		encoded, err := json.Marshal(d.rsa.JWK())
		require.NoError(d.t, err)
		d.hmac("HS256", encoded)
	}, notAllowed},
	{"HS512 with the modulus", func(d *draft) { d.hmac("HS512", []byte(d.rsa.JWK()["n"].(string))) }, notAllowed},
	{"HS256 with an empty secret", func(d *draft) { d.hmac("HS256", []byte{0}) }, notAllowed},
	{"RS512 with a key for RS256", func(d *draft) { d.key.Algorithm = "RS512" }, wrongKey},
	{"PS256 with a key for RS256", func(d *draft) { d.key.Algorithm = "PS256" }, wrongKey},
	{"RS256 that is a PS256 signature", func(d *draft) { d.key.Algorithm = "PS256"; d.header["alg"] = "RS256" }, wrongSignature},
	{"ES256 with a P-384 key", func(d *draft) { d.key = d.ec384; d.key.Algorithm = "ES256" }, wrongKey},
	{"ES384 with a P-256 key", func(d *draft) { d.key = d.ec; d.key.Algorithm = "ES384" }, wrongKey},
	{"ES256 with the kid of an RSA key", func(d *draft) { d.key = d.ec; d.header["kid"] = d.rsa.ID }, wrongKey},
	{"RS256 with the kid of an EC key", func(d *draft) { d.header["kid"] = d.ec.ID }, wrongKey},
	{"RS256 with the kid of an Ed25519 key", func(d *draft) { d.header["kid"] = d.ed.ID }, wrongKey},
	{"RS256 with a key for encryption", func(d *draft) { d.key = d.encrypts }, unknownKey},

	// The key (RFC 8725 sections 2.4 and 3.10).
	{"unknown kid", func(d *draft) { d.key.ID = canary }, unknownKey},
	{"unknown kid by the forger", func(d *draft) { d.key = d.attacker }, unknownKey},
	{"no kid", func(d *draft) { d.header["kid"] = nil; d.key = d.attacker }, wrongSignature},
	{"empty kid", func(d *draft) { d.header["kid"] = "" }, "key id"},
	{"kid a number", func(d *draft) { d.header["kid"] = 1 }, "key id"},
	{"kid a path", func(d *draft) { d.header["kid"] = "../../../../dev/null" }, unknownKey},
	{"kid a query", func(d *draft) { d.header["kid"] = "' UNION SELECT 'canary" }, unknownKey},
	{"kid in another case", func(d *draft) { d.header["kid"] = strings.ToLower(d.key.ID) }, unknownKey},
	{"the forger's key", func(d *draft) { d.byAttacker() }, wrongSignature},
	{"key in the header's jwk", func(d *draft) { d.byAttacker(); d.header["jwk"] = d.attacker.JWK() }, wrongSignature},
	{"key in the header's jwk, by its kid", func(d *draft) {
		d.key = d.attacker
		d.header["jwk"] = d.attacker.JWK()
	}, unknownKey},
	{"key at the header's jku", func(d *draft) { d.byAttacker(); d.header["jku"] = d.attackerURL }, wrongSignature},
	{"key at the header's jku, by its kid", func(d *draft) { d.key = d.attacker; d.header["jku"] = d.attackerURL }, unknownKey},
	{"key at the header's x5u", func(d *draft) { d.byAttacker(); d.header["x5u"] = d.attackerURL }, wrongSignature},
	{"key in the header's x5c", func(d *draft) {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		certificate, err := x509.CreateCertificate(rand.Reader, template, template, d.attacker.Private.Public(), d.attacker.Private)
		require.NoError(d.t, err)
		d.byAttacker()
		d.header["x5c"] = []string{base64.StdEncoding.EncodeToString(certificate)}
	}, wrongSignature},

	// The signature (RFC 8725 section 3.3).
	{"signature stripped", func(d *draft) { d.finish = signature(nil) }, wrongSignature},
	{"signature and its dot stripped", func(d *draft) {
		d.finish = func(_ string, p []string) string { return p[0] + "." + p[1] }
	}, threeParts},
	{"signature truncated", func(d *draft) {
		d.finish = func(_ string, p []string) string { return signature(decode(d.t, p[2])[:255])("", p) }
	}, wrongSignature},
	{"signature lengthened", func(d *draft) {
		d.finish = func(_ string, p []string) string { return signature(append(decode(d.t, p[2]), 0))("", p) }
	}, wrongSignature},
	{"signature of zeros", func(d *draft) { d.finish = signature(make([]byte, 256)) }, wrongSignature},
	{"signature of another token", func(d *draft) {
		other := d.rsa.Sign(d.t, nil, d.issuer.Claims(nil))
		d.finish = func(_ string, p []string) string { return p[0] + "." + p[1] + "." + strings.Split(other, ".")[2] }
	}, wrongSignature},
	{"payload altered", func(d *draft) {
		d.finish = func(_ string, p []string) string {
			claims := strings.Replace(string(decode(d.t, p[1])), canary+"-tenant", canary+"-victim", 1)
			return p[0] + "." + encode([]byte(claims)) + "." + p[2]
		}
	}, wrongSignature},
	{"header altered", func(d *draft) {
		d.finish = func(_ string, p []string) string {
			header := strings.Replace(string(decode(d.t, p[0])), `"JWT"`, `"at+jwt"`, 1)
			return encode([]byte(header)) + "." + p[1] + "." + p[2]
		}
	}, wrongSignature},
	{"ECDSA signature of zeros", func(d *draft) { d.key = d.ec; d.finish = signature(make([]byte, 64)) }, wrongSignature},
	{"ECDSA signature of the order", func(d *draft) {
		order := d.ec.Private.Public().(*ecdsa.PublicKey).Params().N.Bytes()
		d.key = d.ec
		d.finish = signature(append(order, order...))
	}, wrongSignature},
	{"ECDSA signature in ASN.1", func(d *draft) {
		d.key = d.ec
		d.finish = func(_ string, p []string) string {
			digest := sha256.Sum256([]byte(p[0] + "." + p[1]))
			asn1, err := ecdsa.SignASN1(rand.Reader, d.ec.Private.(*ecdsa.PrivateKey), digest[:])
			require.NoError(d.t, err)
			return signature(asn1)("", p)
		}
	}, wrongSignature},
	{"Ed25519 signature of zeros", func(d *draft) { d.key = d.ed; d.finish = signature(make([]byte, 64)) }, wrongSignature},

	// The form (RFC 7515, RFC 8725 section 2.3: nested and encrypted ones).
	{"empty", func(d *draft) { d.finish = func(string, []string) string { return "" } }, threeParts},
	{"three empty parts", func(d *draft) { d.finish = func(string, []string) string { return ".." } }, "its header is not JSON"},
	{"four parts", func(d *draft) { d.finish = func(token string, _ []string) string { return token + "." } }, threeParts},
	{"encrypted", func(d *draft) {
		d.finish = func(string, []string) string {
			return encode([]byte(`{"alg":"RSA-OAEP","enc":"A128GCM"}`)) + ".a2V5.aXZpdml2aXZpdml2.dGV4dA.dGFn"
		}
	}, threeParts},
	{"as JSON", func(d *draft) {
		d.finish = func(_ string, p []string) string {
			return `{"protected":"` + p[0] + `","payload":"` + p[1] + `","signature":"` + p[2] + `"}`
		}
	}, threeParts},
	{"nested", func(d *draft) { d.payload = d.issuer.Token(nil); d.header["cty"] = "JWT" }, notJSON},
	{"nested as a JSON string", func(d *draft) { d.payload = `"` + d.issuer.Token(nil) + `"` }, notObject},
	{"with its scheme", func(d *draft) { d.finish = func(token string, _ []string) string { return "Bearer " + token } }, notBase64},
	{"longer than 8 KiB", func(d *draft) {
		d.claims["padding"] = strings.Repeat("x", 6000)
		d.finish = func(token string, _ []string) string {
			require.Greater(d.t, len(token), 8<<10)
			return token
		}
	}, "longer than 8192 bytes"},
	{"a million dots", func(d *draft) { d.finish = func(string, []string) string { return strings.Repeat(".", 1e6) } }, "longer than 8192 bytes"},
	{"base64 with padding", func(d *draft) { d.finish = func(token string, _ []string) string { return token + "==" } }, notBase64},
	{"base64 of another alphabet", func(d *draft) {
		d.finish = func(_ string, p []string) string {
			return p[0] + "." + p[1] + "." + base64.RawStdEncoding.EncodeToString(append(make([]byte, 256), 0xff, 0xff, 0xff))
		}
	}, notBase64},
	{"base64 with a line's end", func(d *draft) {
		d.finish = func(_ string, p []string) string { return p[0] + "." + p[1][:4] + "\n" + p[1][4:] + "." + p[2] }
	}, notBase64},
	{"base64 with bits that count for nothing", func(d *draft) {
		d.finish = func(token string, p []string) string {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			last := strings.IndexByte(alphabet, token[len(token)-1])
			altered := token[:len(token)-1] + alphabet[last+1:last+2]
			require.Equal(d.t, decode(d.t, p[2]), decode(d.t, strings.Split(altered, ".")[2]), "the same signature")
			return altered
		}
	}, notBase64},
	{"crit", func(d *draft) { d.header["crit"] = []string{"exp"}; d.header["exp"] = 1 }, `its header has "crit"`},
	{"crit of what is not there", func(d *draft) { d.header["crit"] = []string{"http://example.com/x"} }, `its header has "crit"`},
	{"empty crit", func(d *draft) { d.header["crit"] = []string{} }, `its header has "crit"`},
	{"b64 false", func(d *draft) { d.header["b64"] = false }, `its header has "b64"`},
	{"b64 false in crit", func(d *draft) { d.header["b64"], d.header["crit"] = false, []string{"b64"} }, "no extension is understood"},
	{"b64 false in crit, not encoded", func(d *draft) {
		d.header["b64"], d.header["crit"] = false, []string{"b64"}
		d.finish = func(_ string, p []string) string { return p[0] + ".{}." + p[2] }
	}, "part 2 of 3 is not base64url"},

	// The JSON: what two readers could read differently (RFC 8725 section 3.7 and RFC 8259
	// section 4).
	{"claim twice", func(d *draft) { d.insert(`,"tenant":"` + canary + `-victim"`) }, nameTwice},
	{"claim twice, once escaped", func(d *draft) { d.insert(`,"\u0074enant":"` + canary + `-victim"`) }, nameTwice},
	{"claim within a claim twice", func(d *draft) { d.insert(`,"x":[{"a":1,"a":2}]`) }, nameTwice},
	{"claim in capitals only", func(d *draft) { d.without("tenant"); d.claims["TENANT"] = canary }, `it has no "tenant"`},
	{"header's name twice", func(d *draft) {
		d.sign = func(header, payload []byte) string {
			return oidctest.Sign(d.t, "RS256", d.rsa.Private, []byte(strings.Replace(string(header), "{", `{"alg":"none",`, 1)), payload)
		}
	}, "its header has a name twice"},
	{"header in an array", func(d *draft) {
		d.sign = func(header, payload []byte) string {
			return oidctest.Sign(d.t, "RS256", d.rsa.Private, []byte("["+string(header)+"]"), payload)
		}
	}, "its header is not a JSON object"},
	{"claims in an array", func(d *draft) { d.insert(""); d.payload = "[" + d.payload + "]" }, notObject},
	{"claims with more behind them", func(d *draft) { d.insert(""); d.payload += "{}" }, notJSON},
	{"claims with a comma too many", func(d *draft) { d.insert(",") }, notJSON},
	{"claims cut off", func(d *draft) { d.insert(""); d.payload = strings.TrimSuffix(d.payload, "}") }, notJSON},
	{"claims in Latin-1", func(d *draft) { d.insert(",\"name\":\"Jos\xe9\"") }, notJSON},
	{"claims null", func(d *draft) { d.payload = "null" }, notObject},

	// Issuer, subject and audience (RFC 8725 sections 3.8 and 3.9).
	{"iss of another", func(d *draft) { d.claims["iss"] = d.attackerURL }, otherIssuer},
	{"iss with a slash at its end", func(d *draft) { d.claims["iss"] = d.issuer.URL + "/" }, otherIssuer},
	{"iss with a path", func(d *draft) { d.claims["iss"] = d.issuer.URL + "/realms/other" }, otherIssuer},
	{"iss in capitals", func(d *draft) { d.claims["iss"] = strings.ToUpper(d.issuer.URL) }, otherIssuer},
	{"iss in an array", func(d *draft) { d.claims["iss"] = []string{d.issuer.URL} }, otherIssuer},
	{"iss missing", func(d *draft) { d.without("iss") }, otherIssuer},
	{"aud of another", func(d *draft) { d.claims["aud"] = "another" }, otherAudience},
	{"aud that this one begins with", func(d *draft) { d.claims["aud"] = oidctest.Audience[:4] }, otherAudience},
	{"aud that begins with this one", func(d *draft) { d.claims["aud"] = oidctest.Audience + ".example.com" }, otherAudience},
	{"aud as words", func(d *draft) { d.claims["aud"] = "another " + oidctest.Audience }, otherAudience},
	{"aud in capitals", func(d *draft) { d.claims["aud"] = strings.ToUpper(oidctest.Audience) }, otherAudience},
	{"aud without element", func(d *draft) { d.claims["aud"] = []string{} }, otherAudience},
	{"aud with a number", func(d *draft) { d.claims["aud"] = []any{oidctest.Audience, 1} }, `its "aud" is neither`},
	{"aud an object", func(d *draft) { d.claims["aud"] = map[string]any{oidctest.Audience: true} }, `its "aud" is neither`},
	{"aud null", func(d *draft) { d.claims["aud"] = nil }, `its "aud" is neither`},
	{"aud missing", func(d *draft) { d.without("aud") }, `its "aud" is neither`},
	{"sub missing", func(d *draft) { d.without("sub") }, `it has no "sub"`},
	{"sub null", func(d *draft) { d.claims["sub"] = nil }, `its "sub" is not a string`},
	{"sub a number", func(d *draft) { d.claims["sub"] = 42 }, `its "sub" is not a string`},
	{"sub empty", func(d *draft) { d.claims["sub"] = "" }, `its "sub" is not a string of 1 to 255 bytes`},
	{"sub too long", func(d *draft) { d.claims["sub"] = strings.Repeat("x", 256) }, `its "sub" is not a string of 1 to 255 bytes`},
	{"sub with a line's end", func(d *draft) { d.claims["sub"] = "a\nb" }, `its "sub" is not a string`},
	{"tenant missing", func(d *draft) { d.without("tenant") }, `it has no "tenant"`},
	{"tenant null", func(d *draft) { d.claims["tenant"] = nil }, `its "tenant" is not a string`},
	{"tenant a number", func(d *draft) { d.claims["tenant"] = 42 }, `its "tenant" is not a string`},
	{"tenant in an array", func(d *draft) { d.claims["tenant"] = []string{canary} }, `its "tenant" is not a string`},
	{"tenant an object", func(d *draft) { d.claims["tenant"] = map[string]any{"id": canary} }, `its "tenant" is not a string`},
	{"tenant empty", func(d *draft) { d.claims["tenant"] = "" }, `its "tenant" is not a string of 1 to 255 bytes`},
	{"tenant with a zero", func(d *draft) { d.claims["tenant"] = "a\x00b" }, `its "tenant" is not a string`},
	{"scope a number", func(d *draft) { d.claims["scope"] = 42 }, `its "scope" is neither`},
	{"scope with a number", func(d *draft) { d.claims["scope"] = []any{canary, 42} }, `its "scope" is neither`},
	{"scope null", func(d *draft) { d.claims["scope"] = nil }, `its "scope" is neither`},

	// The dates.
	{"expired", func(d *draft) { d.dated("exp", -31*time.Second) }, "it has expired"},
	{"expired long ago", func(d *draft) { d.claims["exp"] = 1 }, "it has expired"},
	{"exp missing", func(d *draft) { d.without("exp") }, `its "exp" is not a date`},
	{"exp null", func(d *draft) { d.claims["exp"] = nil }, `its "exp" is not a date`},
	{"exp a string", func(d *draft) { d.claims["exp"] = "2000000000" }, `its "exp" is not a date`},
	{"exp in RFC 3339", func(d *draft) { d.claims["exp"] = "2099-01-01T00:00:00Z" }, `its "exp" is not a date`},
	{"exp negative", func(d *draft) { d.claims["exp"] = -1 }, `its "exp" is not a date`},
	{"exp in the year 10000", func(d *draft) { d.claims["exp"] = 253402300800 }, `its "exp" is not a date`},
	{"exp enormous", func(d *draft) { d.claims["exp"] = 1e300 }, `its "exp" is not a date`},
	{"exp beyond a float", func(d *draft) { d.without("exp"); d.insert(`,"exp":1e400`) }, `its "exp" is not a date`},
	{"exp of 60 digits", func(d *draft) { d.without("exp"); d.insert(`,"exp":` + strings.Repeat("9", 60)) }, `its "exp" is not a date`},
	{"not valid yet", func(d *draft) { d.dated("nbf", time.Minute) }, "it is not valid yet"},
	{"nbf a string", func(d *draft) { d.claims["nbf"] = "1" }, `its "nbf" is not a date`},
	{"issued in the future", func(d *draft) { d.dated("iat", time.Minute) }, "it was issued in the future"},
	{"iat a string", func(d *draft) { d.claims["iat"] = "1" }, `its "iat" is not a date`},

	// Other kinds of tokens (RFC 8725 sections 2.8, 3.11 and 3.12).
	{"logout token by its header", func(d *draft) { d.header["typ"] = "logout+jwt" }, "another kind of token"},
	{"proof of possession by its header", func(d *draft) { d.header["typ"] = "dpop+jwt" }, "another kind of token"},
	{"typ a number", func(d *draft) { d.header["typ"] = 1 }, "another kind of token"},
	{"typ empty", func(d *draft) { d.header["typ"] = "" }, "another kind of token"},
	{"Cognito's ID token", func(d *draft) { d.claims["token_use"] = "id" }, `its "token_use" says that it is not an access token`},
	{"Keycloak's ID token", func(d *draft) { d.claims["typ"] = "ID" }, `its "typ" says that it is not an access token`},
	{"Keycloak's refresh token", func(d *draft) { d.claims["typ"] = "Refresh" }, `its "typ" says that it is not an access token`},
	{"typ claim a number", func(d *draft) { d.claims["typ"] = 1 }, `its "typ" says that it is not an access token`},
	{"ID token", func(d *draft) { d.claims["at_hash"] = "x" }, "it is an ID token"},
	{"ID token of a code", func(d *draft) { d.claims["c_hash"] = "x" }, "it is an ID token"},
	{"logout token", func(d *draft) {
		d.claims["events"] = map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	}, "it is a security event"},
	{"bound to a key", func(d *draft) { d.claims["cnf"] = map[string]any{"jkt": "x"} }, "it is bound to a key"},
}

// unsigned makes a token that says it needs no signature.
func unsigned(algorithm string) func(*draft) {
	return func(d *draft) {
		d.header["alg"] = algorithm
		d.finish = signature(nil)
	}
}

func TestVerifier_Verify_Forgeries(t *testing.T) {
	t.Parallel()
	scene := newScene(t)
	verifier := open(t, scene.issuer, nil)
	for _, forgery := range forgeries {
		t.Run(forgery.name, func(t *testing.T) {
			draft := scene.draft()
			genuine := draft.token()
			_, err := verifier.Verify(t.Context(), genuine)
			require.NoError(t, err, "what the forgery begins with")

			forgery.forge(draft)
			forged := draft.token()
			require.NotEqual(t, genuine, forged)
			for range 2 {
				identity, err := verifier.Verify(t.Context(), forged)
				require.ErrorIs(t, err, oidc.ErrInvalid)
				require.NotErrorIs(t, err, oidc.ErrUnavailable)
				require.ErrorContains(t, err, forgery.why)
				require.NotContains(t, err.Error(), canary, "an error repeats nothing of the token")
				require.Zero(t, identity)
			}

			_, err = verifier.Verify(t.Context(), genuine)
			require.NoError(t, err, "the genuine one goes on being valid")
		})
	}
	require.Zero(t, scene.attackerRequests.Load(), "nobody asks where a token says")
}

// A token that names no key is verified if only one comes into question.
func TestVerifier_Verify_NoKeyID(t *testing.T) {
	t.Parallel()
	one, two := oidctest.NewKey(t, "ES256"), oidctest.NewKey(t, "ES256")
	issuer := oidctest.NewIssuer(t, oidctest.NewKey(t, "ES384"), one)
	token := one.Sign(t, map[string]any{"kid": nil}, issuer.Claims(nil))
	_, err := open(t, issuer, nil).Verify(t.Context(), token)
	require.NoError(t, err)

	issuer.Publish(one, two)
	_, err = open(t, issuer, nil).Verify(t.Context(), token)
	require.ErrorIs(t, err, oidc.ErrInvalid)
	require.ErrorContains(t, err, "it names no key, and the issuer has several")

	one.Members = map[string]any{"kid": nil}
	issuer.Publish(one)
	_, err = open(t, issuer, nil).Verify(t.Context(), token)
	require.NoError(t, err, "the key has no id either")
	_, err = open(t, issuer, nil).Verify(t.Context(), one.Sign(t, nil, issuer.Claims(nil)))
	require.ErrorIs(t, err, oidc.ErrInvalid, "an id that the issuer does not know")
}

// Two keys may have one id: while an issuer replaces a key, or where they are of different
// kinds (RFC 7517 section 4.5).
func TestVerifier_Verify_SharedKeyID(t *testing.T) {
	t.Parallel()
	one, two, other := oidctest.NewKey(t, "ES256"), oidctest.NewKey(t, "ES256"), oidctest.NewKey(t, "ES384")
	two.ID, other.ID = one.ID, one.ID
	issuer := oidctest.NewIssuer(t, one, two, other)
	verifier := open(t, issuer, nil)
	for _, key := range []oidctest.Key{one, two, other} {
		_, err := verifier.Verify(t.Context(), key.Sign(t, nil, issuer.Claims(nil)))
		require.NoError(t, err)
	}
}

// openFixed returns an issuer and its verifier that are the same in all of the processes that
// fuzz: what one of them has made of a seed, the others can go on with.
func openFixed(f *testing.F) (*oidctest.Issuer, oidctest.Key, *oidc.Verifier) {
	key := oidctest.Key{ID: "key", Algorithm: "EdDSA", Private: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	issuer := oidctest.NewIssuer(f, key)
	issuer.URL = "http://127.0.0.1"
	return issuer, key, open(f, issuer, func(o *oidc.Options) { o.Client = &http.Client{Transport: issuer} })
}

// longValid are dates of a token that is valid whenever a test runs.
var longValid = map[string]any{"iat": 1, "exp": latestDate}

const latestDate = 253402300799 // the end of the year 9999

// FuzzVerifier_Verify: no text but the genuine token is accepted. (It is signed by EdDSA,
// because a second one can be made of every ECDSA signature.)
func FuzzVerifier_Verify(f *testing.F) {
	issuer, _, verifier := openFixed(f)
	genuine := issuer.Token(longValid)
	_, err := verifier.Verify(f.Context(), genuine)
	require.NoError(f, err)
	parts := strings.Split(genuine, ".")
	for _, seed := range []string{
		genuine, "", ".", "..", "...", genuine + "=", genuine + ".", parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2],
		encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", parts[0] + "." + encode([]byte(`{}`)) + "." + parts[2],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		identity, err := verifier.Verify(t.Context(), token)
		if token == genuine {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, oidc.ErrInvalid)
		require.Zero(t, identity)
	})
}

// FuzzVerifier_Verify_Signed: a token that the issuer signs is accepted only if another reader
// of JSON finds in it what must be there.
func FuzzVerifier_Verify_Signed(f *testing.F) {
	issuer, key, verifier := openFixed(f)
	header := []byte(`{"alg":"EdDSA","kid":"key","typ":"JWT"}`)
	for name, value := range map[string]any{
		"x": map[string]any{"y": []any{1, "z", nil, true}}, "exp": 1e300, "aud": []any{oidctest.Audience, 1}, "sub": 1, "tenant": nil,
		"scope": []string{"a"}, "nbf": 1.5, "token_use": "access", "typ": "Bearer",
	} {
		claims := issuer.Claims(longValid)
		claims[name] = value
		encoded, err := json.Marshal(claims)
		require.NoError(f, err)
		f.Add(header, encoded)
		f.Add([]byte(`{"alg":"EdDSA"}`), encoded)
	}
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		identity, err := verifier.Verify(t.Context(), oidctest.Sign(t, "EdDSA", key.Private, header, payload))
		if err != nil {
			require.ErrorIs(t, err, oidc.ErrInvalid)
			require.Zero(t, identity)
			return
		}
		var claims map[string]any
		require.NoError(t, json.Unmarshal(payload, &claims))
		require.Equal(t, issuer.URL, claims["iss"])
		require.Equal(t, identity.Subject, claims["sub"])
		require.Equal(t, identity.Tenant, claims["tenant"])
		require.NotEmpty(t, identity.Subject)
		require.NotEmpty(t, identity.Tenant)
		require.Contains(t, claims["aud"], oidctest.Audience)
		require.Greater(t, claims["exp"], float64(time.Now().Add(-time.Minute).Unix()))
		require.WithinDuration(t, time.Unix(int64(claims["exp"].(float64)), 0), identity.Expires, time.Second)
	})
}
