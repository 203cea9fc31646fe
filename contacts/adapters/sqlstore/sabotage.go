//go:build sabotage

package sqlstore

import (
	"math/rand/v2"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/platform/database"
)

// Sabotage makes the transactions of db blind to the operations that were applied before (fence), or to what others make of
// their contacts meanwhile (guard), for which it also gives those others more time. It is for negative controls, on PostgreSQL.
func Sabotage(db *database.DB, fence, guard bool) {
	_ = db.Write.Callback().Query().Before("gorm:query").Register("sabotage:query", func(tx *gorm.DB) {
		if fence && tx.Statement.Table == "operations" && writes(tx.Statement) {
			tx.Statement.AddClause(clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 0"}}})
		}
	})
	_ = db.Write.Callback().Raw().Before("gorm:raw").Register("sabotage:raw", func(tx *gorm.DB) {
		sql := tx.Statement.SQL.String()
		switch {
		case fence && strings.HasPrefix(sql, "INSERT INTO operations "):
			sql += " ON CONFLICT (tenant_id, id) DO UPDATE SET ended_at = excluded.ended_at"
		case guard && strings.HasPrefix(sql, "INSERT INTO contacts "):
			time.Sleep(rand.N(50 * time.Millisecond)) // others read the contacts meanwhile
			sql, _, _ = strings.Cut(sql, " WHERE ")
		case guard && strings.HasPrefix(sql, "INSERT INTO contact_changes "):
			sql += " ON CONFLICT (tenant_id, contact_id, version) DO UPDATE SET operation_id = excluded.operation_id," +
				" changed_at = excluded.changed_at, document = excluded.document"
		case guard:
			sql = strings.Replace(sql, "pg_advisory_xact_lock(key)", "key", 1)
		}
		tx.Statement.SQL.Reset()
		tx.Statement.SQL.WriteString(sql)
	})
}

// writes reports whether a statement is part of a transaction that may write.
func writes(statement *gorm.Statement) bool {
	if _, transaction := statement.ConnPool.(gorm.TxCommitter); !transaction {
		return false
	}
	var readOnly string
	err := statement.ConnPool.QueryRowContext(statement.Context, "SHOW transaction_read_only").Scan(&readOnly)
	return err == nil && readOnly == "off"
}
