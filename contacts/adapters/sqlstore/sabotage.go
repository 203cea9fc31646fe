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
// their contacts meanwhile (guard), for which it also gives those others more time. It is for negative controls.
func Sabotage(db *database.DB, fence, guard bool) {
	within := func(tx *gorm.DB, table string) bool {
		_, transaction := tx.Statement.ConnPool.(gorm.TxCommitter)
		return transaction && tx.Statement.Table == table
	}
	_ = db.Write.Callback().Query().Before("gorm:query").Register("sabotage:query", func(tx *gorm.DB) {
		if fence && within(tx, "operations") {
			tx.Statement.AddClause(clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 0"}}})
		}
	})
	_ = db.Write.Callback().Raw().Before("gorm:raw").Register("sabotage:raw", func(tx *gorm.DB) {
		if guard {
			sql := tx.Statement.SQL.String()
			tx.Statement.SQL.Reset()
			tx.Statement.SQL.WriteString(strings.Replace(sql, "pg_advisory_xact_lock(key)", "key", 1))
		}
	})
	_ = db.Write.Callback().Create().Before("gorm:create").Register("sabotage:create", func(tx *gorm.DB) {
		switch {
		case fence && within(tx, "operations"):
			tx.Statement.AddClause(clause.OnConflict{UpdateAll: true})
		case guard && within(tx, "contacts"):
			time.Sleep(rand.N(50 * time.Millisecond)) // others read the contacts meanwhile
			tx.Statement.AddClause(clause.OnConflict{
				Columns: []clause.Column{{Name: "tenant_id"}, {Name: "id"}}, UpdateAll: true,
			})
		case guard && within(tx, "contact_changes"):
			tx.Statement.AddClause(clause.OnConflict{
				Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "contact_id"}, {Name: "version"}},
				DoUpdates: clause.AssignmentColumns([]string{"operation_id", "changed_at", "document"}),
			})
		}
	})
}
