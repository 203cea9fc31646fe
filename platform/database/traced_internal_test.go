package database

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`SELECT * FROM "contacts" WHERE id = $1 FOR UPDATE`:                              "SELECT contacts",
		"select (SELECT document FROM contact_changes AS made) FROM `operations`, x":     "SELECT contact_changes operations",
		"INSERT INTO contacts (id) SELECT * FROM json_populate_recordset($1)":            "INSERT contacts",
		"INSERT INTO `invalidations` (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = 1": "INSERT invalidations",
		"UPDATE cache_outage SET known_since = $1":                                       "UPDATE cache_outage",
		"DELETE FROM queue_messages WHERE sequence IN (SELECT value FROM (SELECT 1))":    "DELETE queue_messages",
		"SELECT pg_advisory_xact_lock(key) FROM unnest(string_to_array($1, ',')) AS k":   "SELECT pg_advisory_xact_lock",
		"SELECT 1": "SELECT",
		"COMMIT":   "COMMIT",
		"":         "statement",
		"FROM":     "FROM",
	} {
		require.Equal(t, want, summary(query), query)
	}
}
