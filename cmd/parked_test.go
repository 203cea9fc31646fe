package cmd_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// A command that the database refuses for no known reason is parked, and those behind it go
// on. Once the reason is gone it is replayed, onto the contact as it then is.
func TestCommand_ParkedAndReplayed(t *testing.T) {
	t.Parallel()
	s := production(t)
	s.start(t)
	db := s.database(t)
	made, err := s.client().Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "ALTER TABLE contacts ADD CONSTRAINT mistake CHECK (document->>'nickname' <> 'Janie')")
	require.NoError(t, err)

	refused, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"nickname":"Janie"}`), contacts.Write{})
	require.NoError(t, err)
	behind, err := s.client().Merge(t.Context(), made.Contact, contacts.Patch(`{"job_title":"Engineer"}`), contacts.Write{})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		now, err := s.client().Operation(t.Context(), refused.ID)
		return err == nil && now.Status == contacts.Failed && now.Problem.Kind == contacts.KindParked
	}, 2*time.Minute, 200*time.Millisecond)
	require.EqualValues(t, 2, awaitSuccess(t, s, behind.ID).Version)
	listed := run(t, s.folder, s.env, "worker", "parked", "list").stdout
	require.Equal(t, 2, strings.Count(listed, "\n"), listed)
	require.Contains(t, listed, refused.ID.String())
	require.Contains(t, listed, "mistake")

	_, err = db.ExecContext(t.Context(), "ALTER TABLE contacts DROP CONSTRAINT mistake")
	require.NoError(t, err)
	replayed := run(t, s.folder, s.env, "worker", "parked", "replay", refused.ID.String())
	require.Zero(t, replayed.status, replayed.stderr)
	operator := fmt.Sprintf("operator:%d", os.Getuid())
	require.Equal(t, []map[string]any{{
		"subject": operator, "tenant": "default", "action": "replay-parked", "operation": refused.ID.String(), "outcome": "succeeded",
	}}, audited(t, replayed.stderr))
	require.EqualValues(t, 3, awaitSuccess(t, s, refused.ID).Version)
	document, err := s.client().Get(t.Context(), made.Contact)
	require.NoError(t, err)
	require.EqualValues(t, 3, document.Version)
	require.Contains(t, string(document.JSON), `"nickname":"Janie"`)
	require.Contains(t, string(document.JSON), `"job_title":"Engineer"`)
	listed = run(t, s.folder, s.env, "worker", "parked", "list").stdout
	require.Equal(t, 1, strings.Count(listed, "\n"), listed)
	again := run(t, s.folder, s.env, "worker", "parked", "replay", refused.ID.String())
	require.Equal(t, 1, again.status)
	require.Equal(t, []map[string]any{{
		"subject": operator, "action": "replay-parked", "operation": refused.ID.String(), "outcome": "failed", "problem": "not-found",
	}}, audited(t, again.stderr))
	var ends []any
	for _, line := range audited(t, s.processes[1].log()) {
		if line["operation"] == refused.ID.String() {
			ends = append(ends, []any{line["outcome"], line["problem"], line["version"]})
		}
	}
	require.Equal(t, []any{[]any{"failed", "parked", nil}, []any{"succeeded", nil, 3.0}}, ends)
}
