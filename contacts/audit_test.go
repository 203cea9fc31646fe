package contacts_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// BenchmarkDeed_Log is what a write's line in a file costs the API, and about what it costs
// the worker.
func BenchmarkDeed_Log(b *testing.B) {
	file, err := os.Create(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer func() { require.NoError(b, file.Close()) }()
	log := slog.New(slog.NewJSONHandler(file, nil))
	event := contacts.AuditEvent{
		Subject: "key:0197c5a4-3f51-7d02-8c11-2f6f0e9b7a35", Tenant: contacts.DefaultTenant, Action: "create-contact",
		Contact: uuid.New(), Operation: uuid.New(), Outcome: contacts.OutcomeDone, Version: 1, Request: uuid.NewString(),
	}
	for b.Loop() {
		event.Log(b.Context(), log)
	}
}
