package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"

	"contacts/config"
	"contacts/contacts"
	"contacts/platform/oidc"
)

// authenticator identifies callers by their credentials.
type authenticator struct {
	keys   *contacts.Keys // nil where API keys are not accepted
	issuer string
	tokens *oidc.Verifier // nil where the issuer's tokens are not
}

// newAuthenticator returns the one that auth.mode asks for. Without authentication it
// knows none.
func (a *app) newAuthenticator() (authenticator, error) {
	var d authenticator
	if a.settings.TakesKeys() {
		d.keys = a.keys
	}
	if a.settings.TakesTokens() {
		auth := a.settings.Auth
		tokens, err := oidc.New(oidc.Options{
			Issuer: auth.OIDCIssuer, Audiences: auth.OIDCAudience, AudienceClaim: auth.OIDCAudienceClaim, Algorithms: auth.OIDCAlgorithms,
			TenantClaim: auth.OIDCTenantClaim, ScopeClaim: auth.OIDCScopeClaim, ScopePrefix: auth.OIDCScopePrefix, Skew: auth.OIDCSkew, Log: a.log,
		})
		if err != nil {
			return d, fmt.Errorf("auth.oidc: %w", err)
		}
		d.issuer, d.tokens = auth.OIDCIssuer, tokens
	}
	return d, nil
}

// run keeps what is needed to tell up to date, until ctx ends.
func (d authenticator) run(ctx context.Context) {
	if d.tokens != nil {
		d.tokens.Run(ctx)
	}
}

// authenticate returns the caller that a credential identifies: an API key is known by its
// form, all else is taken for a token.
func (d authenticator) authenticate(ctx context.Context, credential string) (contacts.Caller, error) {
	switch {
	case d.keys != nil && contacts.IsAPIKey(credential):
		return d.keys.Authenticate(ctx, credential)
	case d.tokens != nil:
		return d.bearer(ctx, credential)
	}
	return contacts.Caller{}, contacts.Unauthenticated(errors.New("a kind of credential that auth.mode does not have"))
}

// bearer returns the caller that a token identifies. The subject is the issuer's, which is its
// own only together with the issuer.
func (d authenticator) bearer(ctx context.Context, token string) (contacts.Caller, error) {
	identity, err := d.tokens.Verify(ctx, token)
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return contacts.Caller{}, contacts.Unavailable("credentials cannot be checked now: try again", err)
	case err != nil:
		return contacts.Caller{}, contacts.Unauthenticated(err)
	}
	caller := contacts.Caller{Tenant: contacts.Tenant(identity.Tenant), Subject: d.issuer + "#" + identity.Subject}
	if err := caller.Tenant.Validate(); err != nil {
		return contacts.Caller{}, contacts.Unauthenticated(fmt.Errorf("the token's tenant: %w", err))
	}
	for _, scope := range identity.Scopes {
		caller.Scopes = append(caller.Scopes, contacts.Scope(scope))
	}
	return caller, nil
}

// checkListenAddr refuses settings that admit every client that can reach the machine, unless
// something else guards the port.
func checkListenAddr(ctx context.Context, settings *config.Config) error {
	if !settings.Open() || settings.Auth.Insecure {
		return nil
	}
	host, _, err := net.SplitHostPort(settings.HTTP.Addr)
	if err != nil {
		return fmt.Errorf("http.addr: %w", err)
	}
	const expected = "http.addr: expected an address on loopback, such as 127.0.0.1:8000, because auth.mode is none and callers need no credential: set auth.mode " +
		"to keys or oidc or, if something outside guards the port, auth.insecure to true"
	if host == "" {
		return errors.New(expected + "; without a host it is every address")
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("%s; this one cannot be looked up: %w", expected, err)
	}
	for _, address := range addresses {
		if address = address.Unmap(); !address.IsLoopback() {
			return fmt.Errorf("%s; this one is %s", expected, address)
		}
	}
	return nil
}
