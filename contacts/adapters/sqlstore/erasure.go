package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
	"contacts/platform/database"
)

// erasureRow is a row of the table erasures.
type erasureRow struct {
	MessageGroup string `gorm:"primaryKey"`
	ErasedAt     time.Time
}

// TableName implements gorm's Tabler.
func (erasureRow) TableName() string { return "erasures" }

// The statements about the operations on contacts. They are found by the changes that they
// made, which are kept longer than they are; those that made none have an index of their own.
const (
	operationsOn = `SELECT tenant_id, operation_id AS id FROM contact_changes WHERE ?
		UNION ALL SELECT tenant_id, id FROM operations WHERE (status = 'failed' OR document IS NOT NULL) AND ?`
	sqliteForgetData   = `UPDATE operations SET document = NULL, problem = json_remove(problem, '$.violations')` + withoutChange
	postgresForgetData = `UPDATE operations SET document = NULL, problem = problem - 'violations'` + withoutChange
	withoutChange      = ` WHERE (status = 'failed' OR document IS NOT NULL) AND ?`
)

// purge removes what is kept of the past of contacts that are erased, whose locks are held,
// and of the commands that are parked under the message groups, and returns the operations
// whose requests are to be forgotten.
func purge(tx *gorm.DB, erased []contacts.ContactKey, parked []string, now time.Time) (forgotten []contacts.OperationKey, err error) {
	keys := make([]key, len(erased))
	for i, contact := range erased {
		keys[i] = key(contact)
	}
	of := among(tx, "tenant_id, contact_id", keys)
	if forgotten, err = forget(tx, of); err != nil {
		return nil, err
	}
	if err := tx.Exec("DELETE FROM contact_changes WHERE ? AND document IS NOT NULL", of).Error; err != nil {
		return nil, fmt.Errorf("remove the documents of erased contacts: %w", err)
	}
	err = beyond(tx, func() error { // what could not be read is parked without a tenant
		return tx.Where("message_group IN ?", parked).Delete(&parkedRow{}).Error
	})
	if err != nil {
		return nil, fmt.Errorf("remove the parked commands of erased contacts: %w", err)
	}
	marks := make([]erasureRow, len(keys))
	for i, group := range groups(keys) {
		marks[i] = erasureRow{group, now.UTC()}
	}
	if err := tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&marks).Error; err != nil {
		return nil, fmt.Errorf("mark contacts as erased: %w", err)
	}
	return forgotten, nil
}

// forget leaves the operations on contacts as [contacts.Operation.Erased], of which the
// documents are not here, and returns those that had a fingerprint of a person's data.
func forget(tx *gorm.DB, of clause.Expr) (forgotten []contacts.OperationKey, err error) {
	type row struct {
		TenantID          string
		ID                uuid.UUID
		Kind, Fingerprint string
	}
	var found, rows []row
	if err := tx.Raw(operationsOn, of, of).Scan(&found).Error; err != nil {
		return nil, fmt.Errorf("find the operations on erased contacts: %w", err)
	}
	operations := make([]key, len(found))
	for i, row := range found {
		operations[i] = key{contacts.Tenant(row.TenantID), row.ID}
	}
	err = tx.Table("operations").Select("tenant_id", "id", "kind", "fingerprint").Where(among(tx, "tenant_id, id", operations)).Find(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("read the operations on erased contacts: %w", err)
	}
	var drawn []key
	for _, row := range rows {
		operation := contacts.Operation{
			Tenant: contacts.Tenant(row.TenantID), ID: row.ID, Kind: contacts.CommandKind(row.Kind), Fingerprint: row.Fingerprint,
		}
		if operation.Erased().Fingerprint != operation.Fingerprint {
			drawn = append(drawn, key{operation.Tenant, operation.ID})
			forgotten = append(forgotten, contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID})
		}
	}
	err = tx.Table("operations").Where(among(tx, "tenant_id, id", drawn)).Update("fingerprint", "").Error
	if err != nil {
		return nil, fmt.Errorf("forget the requests for erased contacts: %w", err)
	}
	forgetData := sqliteForgetData
	if tx.Name() == postgres {
		forgetData = postgresForgetData
	}
	if err := tx.Exec(forgetData, of).Error; err != nil {
		return nil, fmt.Errorf("forget the data in requests for erased contacts: %w", err)
	}
	return forgotten, nil
}

// wasErased locks the contact of a message group, and reports whether it was erased.
func (s *Store) wasErased(tx *gorm.DB, group string) (erased bool, err error) {
	var batch database.Batch
	s.lock(tx, &batch, []string{group})
	if err := batch.Send(tx); err != nil {
		return false, fmt.Errorf("lock a contact: %w", err)
	}
	err = tx.Raw("SELECT EXISTS (SELECT 1 FROM erasures WHERE message_group = ?)", group).Scan(&erased).Error
	return erased, err
}

const (
	scrubAtOnce = 500 // erasures
	mergeAtOnce = 200 // pages of the search index, in a transaction
)

// Scrub implements [contacts.Housekeeping]. On PostgreSQL there is nothing to do: a vacuum
// removes what is left, and its log is the server's.
//
// SQLite's full-text index notes what is removed from it beside what was there, until the
// parts that hold the two are merged. Its own secure-delete would do that at once, but make
// every change of a text an order of magnitude slower.
func (s *Store) Scrub(ctx context.Context) (int64, error) {
	if s.db.Engine == database.Postgres {
		return 0, nil
	}
	var groups []string
	db := s.db.Write.WithContext(ctx)
	if err := db.Model(&erasureRow{}).Where("NOT scrubbed").Limit(scrubAtOnce).Pluck("message_group", &groups).Error; err != nil {
		return 0, applyError(fmt.Errorf("look for erasures: %w", err))
	}
	if len(groups) > 0 {
		if err := mergeSearchIndex(db); err != nil {
			return 0, applyError(fmt.Errorf("merge the search index: %w", err))
		}
		if err := db.Model(&erasureRow{}).Where("message_group IN ?", groups).Update("scrubbed", true).Error; err != nil {
			return 0, applyError(fmt.Errorf("note what was scrubbed: %w", err))
		}
	}
	if err := s.db.EmptyLog(ctx); err != nil {
		return 0, err
	}
	return int64(len(groups)), nil
}

// mergeSearchIndex merges all parts that the index has now, a transaction at a time, so that
// others can write in between.
func mergeSearchIndex(db *gorm.DB) error {
	pages := -mergeAtOnce // negative: all parts that there are, and not only those of a size
	for {
		var before, after int64
		err := db.Transaction(func(tx *gorm.DB) error {
			if err := tx.Raw("SELECT total_changes()").Scan(&before).Error; err != nil {
				return err
			}
			if err := tx.Exec("INSERT INTO contacts_search (contacts_search, rank) VALUES ('merge', ?)", pages).Error; err != nil {
				return err
			}
			return tx.Raw("SELECT total_changes()").Scan(&after).Error
		})
		if err != nil || after-before < 2 { // the command itself counts as one
			return err
		}
		pages = mergeAtOnce
	}
}
