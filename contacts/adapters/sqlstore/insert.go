package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// insert writes rows of one table, in one statement. With replace, a row that is there is replaced if replace holds.
//
// On PostgreSQL the rows travel as one JSON text: to read a statement of thousands of parameters takes the server, and to make
// it takes this side, longer than to carry it out, and its text would be another for each number of rows.
func insert[R schema.Tabler](tx *gorm.DB, rows []R, replace *clause.Expr) (written int64, err error) {
	if tx.Name() != postgres {
		if replace != nil {
			tx = tx.Clauses(clause.OnConflict{
				Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "id"}},
				UpdateAll: true,
				Where:     clause.Where{Exprs: []clause.Expression{*replace}},
			})
		}
		created := tx.Create(&rows)
		return created.RowsAffected, created.Error
	}
	statement := gorm.Statement{DB: tx}
	if err := statement.Parse(&rows); err != nil {
		return 0, fmt.Errorf("read the columns of a table: %w", err)
	}
	var columns, updates []string
	for _, name := range statement.Schema.DBNames {
		if field := statement.Schema.FieldsByDBName[name]; field.Creatable {
			columns = append(columns, name)
			updates = append(updates, name+" = excluded."+name)
		}
	}
	all := strings.Join(columns, ", ")
	query := fmt.Sprintf("INSERT INTO %[1]s (%[2]s) SELECT %[2]s FROM json_populate_recordset(NULL::%[1]s, ?)", statement.Schema.Table, all)
	if replace != nil {
		query += " ON CONFLICT (tenant_id, id) DO UPDATE SET " + strings.Join(updates, ", ") + " WHERE " + replace.SQL
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return 0, fmt.Errorf("encode rows: %w", err)
	}
	created := tx.Exec(query, string(text))
	return created.RowsAffected, created.Error
}
