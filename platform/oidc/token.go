package oidc

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// token is a JWT taken apart: a JWS in compact form (RFC 7515), of which nothing is verified
// yet.
//
// Of the header, nothing else is read: a key that comes with the token (jwk, x5c), or from
// where the token says (jku, x5u), is the sender's, not the issuer's.
type token struct {
	algorithm string
	keyID     string // "" if the token names none
	signed    []byte // what the signature is of: the first two parts as they came
	payload   []byte
	signature []byte
}

// parse takes a token apart. It is lenient nowhere, so that no other reader of the token can
// find something else in it.
func parse(raw string) (token, error) {
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 {
		return token{}, invalid("it is not a signed JWT: those have three parts")
	}
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		decoded[i], err = base64.RawURLEncoding.Strict().DecodeString(part)
		if err != nil || strings.ContainsAny(part, "\r\n") { // which the decoder skips
			return token{}, invalid("part %d of 3 is not base64url", i+1)
		}
	}
	header, err := decodeObject(decoded[0])
	if err != nil {
		return token{}, invalid("its header %s", err)
	}
	t := token{
		signed:  []byte(raw[:len(parts[0])+1+len(parts[1])]),
		payload: decoded[1], signature: decoded[2],
	}
	if err := t.readHeader(header); err != nil {
		return token{}, err
	}
	return t, nil
}

func (t *token) readHeader(header map[string]any) error {
	for _, extension := range []string{"crit", "b64"} { // RFC 7515 section 4.1.11, RFC 7797
		if _, found := header[extension]; found {
			return invalid("its header has %q, and no extension is understood here", extension)
		}
	}
	var ok bool
	if t.algorithm, ok = header["alg"].(string); !ok {
		return invalid("its header has no algorithm")
	}
	if keyID, found := header["kid"]; found {
		if t.keyID, ok = keyID.(string); !ok || t.keyID == "" {
			return invalid("its header's key id is empty or not a string")
		}
	}
	if kind, found := header["typ"]; found && !isAccessToken(kind) {
		return invalid("its header says that it is another kind of token")
	}
	return nil
}

// isAccessToken says whether a "typ" in the header is one of an access token: the media type
// at+jwt of RFC 9068, or the plain JWT that most issuers write. Others, such as logout+jwt,
// are signed with the same keys for something else.
func isAccessToken(kind any) bool {
	name, _ := kind.(string)
	name = strings.ToLower(name)
	return name == "jwt" || strings.TrimPrefix(name, "application/") == "at+jwt"
}

// decodeObject reads a JSON object strictly: a name that comes twice is an error, because
// readers differ in which of the two they believe, and names count as they are written, which
// is why no struct is filled. Numbers stay as they are written.
func decodeObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) || !json.Valid(data) {
		return nil, errors.New("is not JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := decodeValue(decoder)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("is not a JSON object")
	}
	return object, nil
}

func decodeValue(decoder *json.Decoder) (any, error) {
	next, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch next {
	case json.Delim('{'):
		object := map[string]any{}
		for decoder.More() {
			name, err := decoder.Token()
			if err != nil {
				return nil, err
			}
			if _, twice := object[name.(string)]; twice {
				return nil, errors.New("has a name twice")
			}
			if object[name.(string)], err = decodeValue(decoder); err != nil {
				return nil, err
			}
		}
		_, err = decoder.Token()
		return object, err
	case json.Delim('['):
		array := []any{}
		for decoder.More() {
			value, err := decodeValue(decoder)
			if err != nil {
				return nil, err
			}
			array = append(array, value)
		}
		_, err = decoder.Token()
		return array, err
	default:
		return next, nil
	}
}
