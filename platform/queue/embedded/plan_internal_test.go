package embedded

import (
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"contacts/migrations"
)

// TestStatements_DeepQueue looks at how SQLite runs each statement on a queue of 50,000
// groups: no table may be read from end to end. The waiting groups are read along their index,
// from the front, as far as the LIMIT.
func TestStatements_DeepQueue(t *testing.T) {
	t.Parallel()
	db := deepQueue(t, 50_000)
	list := map[string]any{"receipts": `[]`, "now": 1, "until": 2, "token": "t", "limit": 10}
	statements := map[string]struct {
		sql       string
		arguments []any
	}{
		"look":     {lookSQL, []any{1}},
		"sweep":    {sweepSQL, []any{1, 1}},
		"remember": {rememberSQL, []any{"g", "d", 1, 1}},
		"insert":   {insertSQL, []any{"g", "b", 1}},
		"queue up": {queueUpSQL, []any{"g", 1}},
		"claim":    {claimSQL, []any{list}},
		"fetch":    {fetchSQL, []any{"[]"}},
		"remove":   {removeSQL, []any{list}},
		"drop":     {dropEmptySQL, []any{"[]"}},
		"advance":  {advanceSQL, []any{1, "[]"}},
		"extend":   {extendSQL, []any{list}},
		"release":  {releaseSQL, []any{list}},
	}
	scan := regexp.MustCompile(`^SCAN (queue_\w+|m|g)\b`)
	front := regexp.MustCompile(`^SCAN queue_groups USING (COVERING )?INDEX queue_groups_waiting$`)
	check := func() {
		for name, statement := range statements {
			for _, step := range plan(t, db, statement.sql, statement.arguments) {
				require.False(t, scan.MatchString(step) && !front.MatchString(step), "%s: %s", name, step)
			}
		}
	}
	check()
	require.NoError(t, db.Exec("ANALYZE").Error)
	check() // With statistics SQLite may choose differently.
	require.Condition(t, func() bool {
		for _, step := range plan(t, db, "SELECT * FROM queue_messages WHERE body = ?", []any{"b"}) {
			if scan.MatchString(step) {
				return true
			}
		}
		return false
	}, "the check must be able to fail")
}

// plan returns the steps in which SQLite runs a statement.
func plan(t *testing.T, db *gorm.DB, sql string, arguments []any) []string {
	t.Helper()
	var steps []struct{ Detail string }
	require.NoError(t, db.Raw("EXPLAIN QUERY PLAN "+sql, arguments...).Scan(&steps).Error)
	details := make([]string, len(steps))
	for i, step := range steps {
		details[i] = step.Detail
	}
	return details
}

// deepQueue makes a database with many groups of one message each, half of them claimed.
func deepQueue(t *testing.T, groups int) *gorm.DB {
	t.Helper()
	dsn := "file:" + filepath.Join(t.TempDir(), "queue.db") + "?_pragma=synchronous(OFF)"
	db, err := gorm.Open(sqlite.New(sqlite.Config{DriverName: "sqlite", DSN: dsn}), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pool.Close()) })
	schema, err := migrations.Files.ReadFile("sqlite/000010_queue.up.sql")
	require.NoError(t, err)
	numbers := fmt.Sprintf("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) ", groups)
	for _, sql := range []string{
		string(schema),
		numbers + "INSERT INTO queue_messages (group_id, body, sent_at) SELECT 'group-' || i, 'body', i FROM n",
		numbers + `INSERT INTO queue_groups (group_id, head, token, visible_at)
			SELECT 'group-' || i, i, CASE WHEN i % 2 THEN 'token' END, i FROM n`,
	} {
		require.NoError(t, db.Exec(sql).Error)
	}
	return db
}

func TestQueue_Gather(t *testing.T) {
	t.Parallel()
	q := &Queue{operations: make(chan *operation, maxGathered)}
	for range maxGathered {
		q.operations <- &operation{}
	}
	batch := q.gather(&operation{})
	require.Len(t, batch, maxGathered, "callers share a commit, up to a bound")
	require.Len(t, q.operations, 1)

	withdrawn := &operation{}
	withdrawn.claimed.Store(true)
	require.Len(t, q.gather(withdrawn), 1, "what was withdrawn is left out")
	require.Empty(t, q.gather(withdrawn))
}
