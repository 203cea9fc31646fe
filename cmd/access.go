package cmd

import (
	"context"
	"errors"
	"fmt"
	"net"

	"contacts/config"
	"contacts/contacts"
)

// authenticator returns what tells whose credential it is; nil where nobody needs one.
func (a *app) authenticator() func(ctx context.Context, credential string) (contacts.Caller, error) {
	if a.settings.Open() {
		return nil
	}
	return func(ctx context.Context, credential string) (contacts.Caller, error) {
		if a.settings.TakesKeys() && contacts.IsAPIKey(credential) {
			return a.keys.Authenticate(ctx, credential)
		}
		return contacts.Caller{}, contacts.Unauthenticated(errors.New("a kind of credential that auth.mode does not have"))
	}
}

// checkDoor refuses settings that let in whoever can reach the machine, unless something else decides who can.
func checkDoor(ctx context.Context, settings *config.Config) error {
	if !settings.Open() || settings.Auth.Insecure {
		return nil
	}
	host, _, err := net.SplitHostPort(settings.HTTP.Addr)
	if err != nil {
		return fmt.Errorf("http.addr: %w", err)
	}
	const expected = "http.addr: expected an address on loopback, such as 127.0.0.1:8000, because auth.mode is none and anybody can call: set auth.mode " +
		"to keys or oidc or, if something outside guards the port, auth.insecure to true"
	if host == "" {
		return errors.New(expected + "; without a host it is every address")
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return fmt.Errorf("%s; this one cannot be looked up: %w", expected, err)
	}
	for _, address := range addresses {
		if !address.Unmap().IsLoopback() {
			return fmt.Errorf("%s; this one is %s", expected, address)
		}
	}
	return nil
}
