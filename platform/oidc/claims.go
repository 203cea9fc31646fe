package oidc

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	// maxNameBytes bounds subjects (as OpenID Connect Core 1.0 does in section 2) and tenants.
	maxNameBytes = 255
	// latestDate is the end of the year 9999 in seconds since 1970, the last that dates are
	// written for.
	latestDate = 253402300799
)

// rules are what a token has to claim.
type rules struct {
	issuer      string
	audiences   []string
	scopePrefix string
	skew        time.Duration

	audience, tenant, scope claim
}

// identify checks the claims of a token whose signature has been verified, and returns the
// bearer that they identify.
func (r rules) identify(payload []byte) (Identity, error) {
	claims, err := decodeObject(payload)
	if err != nil {
		return Identity{}, invalid("its payload %s", err)
	}
	if claims["iss"] != any(r.issuer) {
		return Identity{}, invalid("it is of another issuer")
	}
	if err := checkKind(claims); err != nil {
		return Identity{}, err
	}
	if err := r.checkAudience(claims); err != nil {
		return Identity{}, err
	}
	var identity Identity
	if identity.Expires, err = r.checkDates(claims); err != nil {
		return Identity{}, err
	}
	if identity.Subject, err = (claim{"sub"}).name(claims); err != nil {
		return Identity{}, err
	}
	if identity.Tenant, err = r.tenant.name(claims); err != nil {
		return Identity{}, err
	}
	identity.Scopes, err = r.scopes(claims)
	return identity, err
}

// checkKind refuses tokens that the issuer has signed with the same keys for something else
// than to be shown to services as a bearer's access token. Issuers that do not say so in the
// header's "typ" say it here.
func checkKind(claims map[string]any) error {
	for name, access := range map[string]string{
		"token_use": "access", // Amazon Cognito
		"typ":       "Bearer", // Keycloak
	} {
		if kind, found := claims[name]; found && kind != any(access) {
			return invalid("its %q says that it is not an access token", name)
		}
	}
	for name, kind := range map[string]string{
		// OpenID Connect Core 1.0, section 3.3.2.11
		"at_hash": "an ID token", "c_hash": "an ID token",
		"events": "a security event, such as a logout token", // RFC 8417
		// RFC 7800: accepted without a proof, it could be stolen after all
		"cnf": "bound to a key of its bearer's",
	} {
		if _, found := claims[name]; found {
			return invalid("it is %s: it has %q", kind, name)
		}
	}
	return nil
}

func (r rules) checkAudience(claims map[string]any) error {
	value, _ := r.audience.find(claims)
	audiences, ok := stringsOf(value)
	if !ok {
		return invalid("its %q is neither a string nor an array of strings", r.audience)
	}
	if !slices.ContainsFunc(audiences, func(audience string) bool { return slices.Contains(r.audiences, audience) }) {
		return invalid("it is for another audience")
	}
	return nil
}

// checkDates returns when the token expires, if now is within the time that it is valid for.
func (r rules) checkDates(claims map[string]any) (expires time.Time, err error) {
	expires, ok := dateOf(claims["exp"])
	if !ok {
		return time.Time{}, invalid(`its "exp" is not a date in seconds since 1970`)
	}
	if err := r.checkExpiry(expires); err != nil {
		return time.Time{}, err
	}
	for name, reason := range map[string]string{"nbf": "it is not valid yet", "iat": "it was issued in the future"} {
		value, found := claims[name]
		if !found {
			continue
		}
		begins, ok := dateOf(value)
		if !ok {
			return time.Time{}, invalid("its %q is not a date in seconds since 1970", name)
		}
		if time.Until(begins) > r.skew {
			return time.Time{}, invalid("%s", reason)
		}
	}
	return expires, nil
}

func (r rules) checkExpiry(expires time.Time) error {
	if time.Since(expires) >= r.skew {
		return invalid("it has expired")
	}
	return nil
}

func (r rules) scopes(claims map[string]any) ([]string, error) {
	value, found := r.scope.find(claims)
	if !found {
		return nil, nil
	}
	listed, ok := stringsOf(value)
	if !ok {
		return nil, invalid("its %q is neither a string nor an array of strings", r.scope)
	}
	if _, ok := value.(string); ok {
		listed = strings.Fields(listed[0])
	}
	var scopes []string
	for _, scope := range listed {
		if scope, ok := strings.CutPrefix(scope, r.scopePrefix); ok && scope != "" {
			scopes = append(scopes, scope)
		}
	}
	return scopes, nil
}

// claim is the way to a claim: the name of a member, then of one within it, and so on.
type claim []string

// parseClaim reads the name of a claim, or a JSON pointer to one.
func parseClaim(name string) claim {
	pointer, ok := strings.CutPrefix(name, "/")
	if !ok {
		return claim{name}
	}
	way := strings.Split(pointer, "/")
	for i, step := range way {
		way[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return way
}

// String returns the claim's name for errors.
func (c claim) String() string { return strings.Join(c, "/") }

func (c claim) find(claims map[string]any) (value any, found bool) {
	value = claims
	for _, step := range c {
		object, _ := value.(map[string]any)
		if value, found = object[step]; !found {
			return nil, false
		}
	}
	return value, true
}

// name returns the claim, which names a caller, so that programs can keep and log it.
func (c claim) name(claims map[string]any) (string, error) {
	value, found := c.find(claims)
	if !found {
		return "", invalid("it has no %q", c)
	}
	name, ok := value.(string)
	if !ok || name == "" || len(name) > maxNameBytes || strings.ContainsFunc(name, unicode.IsControl) {
		return "", invalid("its %q is not a string of 1 to %d bytes without control characters", c, maxNameBytes)
	}
	return name, nil
}

// stringsOf returns a string as the only element, and an array of strings as it is.
func stringsOf(value any) ([]string, bool) {
	if one, ok := value.(string); ok {
		return []string{one}, true
	}
	array, ok := value.([]any)
	many := make([]string, len(array))
	for i, element := range array {
		if many[i], ok = element.(string); !ok {
			return nil, false
		}
	}
	return many, ok
}

// dateOf reads a NumericDate (RFC 7519 section 2): seconds since 1970, perhaps with a
// fraction.
func dateOf(value any) (time.Time, bool) {
	number, _ := value.(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds < 0 || seconds > latestDate {
		return time.Time{}, false
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))), true
}
