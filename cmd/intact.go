//go:build !sabotage

package cmd

// sabotage does nothing: only a binary that is built with -tags sabotage, for the negative controls of test/crash, can be
// made to break its promises.
func (*app) sabotage() error { return nil }
