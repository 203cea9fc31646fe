package oidc

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// algorithms are all that can be allowed: signatures with a public key. "none" signs nothing,
// and the HMACs' secret would have to be shared with the issuer.
var algorithms = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// Algorithms returns the signature algorithms that can be allowed, by their names in RFC 7518,
// RFC 8037 and RFC 9864.
func Algorithms() []string { return slices.Clone(algorithms) }

// CheckAlgorithms reports what is wrong with the names of algorithms for [Options], as New
// would.
func CheckAlgorithms(names []string) error {
	for _, name := range names {
		if !slices.Contains(algorithms, name) {
			return fmt.Errorf("expected only signatures with a public key, which are %s: not %q", strings.Join(algorithms, ", "), name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("expected one or more of %s", strings.Join(algorithms, ", "))
	}
	return nil
}

// CheckIssuer reports what is wrong with the URL of an issuer for [Options], as New would.
// An attacker that could change what is read from there could make tokens.
func CheckIssuer(rawURL string) error {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil || !secure(u) && !onLoopback(u):
		return errors.New("expected the issuer's https URL, as in https://login.example.com/; http is for loopback only")
	case u.User != nil || strings.ContainsAny(rawURL, "?#"):
		return errors.New("expected a URL without user, query and fragment")
	}
	return nil
}

// check returns the options with the defaults filled in, or all that is wrong with them.
func (o Options) check() (Options, error) {
	if o.Algorithms == nil {
		o.Algorithms = algorithms
	}
	o.AudienceClaim = cmp.Or(o.AudienceClaim, "aud")
	o.ScopeClaim = cmp.Or(o.ScopeClaim, "scope")
	o.Skew = cmp.Or(o.Skew, DefaultSkew)
	o.Client = cmp.Or(o.Client, http.DefaultClient)
	o.Log = cmp.Or(o.Log, slog.Default())

	var errs []error
	wrong := func(option, expected string, args ...any) {
		errs = append(errs, fmt.Errorf("oidc: "+option+" must be "+expected, args...))
	}
	if err := CheckIssuer(o.Issuer); err != nil {
		errs = append(errs, fmt.Errorf("oidc: Issuer: %w", err))
	}
	if len(o.Audiences) == 0 || slices.Contains(o.Audiences, "") {
		wrong("Audiences", "one name or more, none of them empty")
	}
	if o.TenantClaim == "" {
		wrong("TenantClaim", "the name of a claim, or a JSON pointer to one")
	}
	if err := CheckAlgorithms(o.Algorithms); err != nil {
		errs = append(errs, fmt.Errorf("oidc: Algorithms: %w", err))
	}
	if o.Skew < 0 || o.Skew > maxSkew {
		wrong("Skew", "between 0 and %s", maxSkew)
	}
	return o, errors.Join(errs...)
}

// secure says whether what is read from u is what its owner wrote.
func secure(u *url.URL) bool { return u.Scheme == "https" && u.Host != "" }

// onLoopback says whether u is plain HTTP that does not leave this machine.
func onLoopback(u *url.URL) bool {
	address, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && address.IsLoopback())
}
