//go:build !sabotage

package cmd

import "contacts/contacts/adapters/sqlstore"

// sabotage does nothing: only a binary that is built with -tags sabotage, for the negative
// controls of test/crash, can be made to break its promises.
func (*app) sabotage(*sqlstore.Store) error { return nil }
