package sqlstore

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
	ExternalID   bool // it is the group of an external id
}

// covers reports whether a command of the group, accepted at that time, is of an erased
// contact. Of a command that cannot be read the time is nil.
func (r erasureRow) covers(accepted *time.Time) bool {
	return !r.ExternalID || accepted != nil && !accepted.After(r.ErasedAt)
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
// and the parked commands that were theirs, and returns the operations whose requests are to
// be forgotten.
func (s *Store) purge(tx *gorm.DB, erased []contacts.Erasure, now time.Time) (forgotten []contacts.OperationKey, err error) {
	keys := make([]key, len(erased))
	for i, erasure := range erased {
		keys[i] = key(erasure.ContactKey)
	}
	of := among(tx, "tenant_id, contact_id", keys)
	marks, err := s.markErased(tx, erased, of, now)
	if err != nil {
		return nil, err
	}
	parked, err := s.unpark(tx, marks)
	if err != nil {
		return nil, err
	}
	if forgotten, err = forget(tx, of, parked); err != nil {
		return nil, err
	}
	if err := tx.Exec("DELETE FROM contact_changes WHERE ? AND document IS NOT NULL", of).Error; err != nil {
		return nil, fmt.Errorf("remove the documents of erased contacts: %w", err)
	}
	return forgotten, nil
}

// markErased notes the erasures by the message groups of the contacts, and of the external ids
// that they have had, which it locks. A later mark of a group stays.
func (s *Store) markErased(
	tx *gorm.DB, erased []contacts.Erasure, of clause.Expr, now time.Time,
) (marks map[string]erasureRow, err error) {
	var held []struct {
		TenantID   string
		ContactID  uuid.UUID
		ExternalID string
	}
	err = tx.Raw("SELECT DISTINCT tenant_id, contact_id, document->>'external_id' AS external_id FROM contact_changes"+
		" WHERE ? AND document->>'external_id' IS NOT NULL", of).Scan(&held).Error
	if err != nil {
		return nil, fmt.Errorf("find the external ids of erased contacts: %w", err)
	}
	marks = map[string]erasureRow{}
	var external []string
	for _, erasure := range erased {
		group := contacts.MessageGroup(erasure.Tenant, erasure.ID)
		marks[group] = erasureRow{group, now.UTC(), false}
		ids := []string{erasure.ExternalID}
		for _, h := range held {
			if h.TenantID == string(erasure.Tenant) && h.ContactID == erasure.ID {
				ids = append(ids, h.ExternalID)
			}
		}
		for _, id := range ids {
			if id != "" {
				group := contacts.ExternalIDGroup(erasure.Tenant, id)
				marks[group] = erasureRow{group, erasure.AcceptedAt.UTC(), true}
				external = append(external, group)
			}
		}
	}
	var batch database.Batch
	s.lock(tx, &batch, external) // those of parking
	if err := batch.Send(tx); err != nil {
		return nil, fmt.Errorf("lock the external ids of erased contacts: %w", err)
	}
	later := "CASE WHEN excluded.erased_at > erasures.erased_at THEN excluded.erased_at ELSE erasures.erased_at END"
	err = tx.Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "message_group"}}, DoUpdates: clause.Assignments(map[string]any{"erased_at": gorm.Expr(later)}),
	}).Create(slices.Collect(maps.Values(marks))).Error
	if err != nil {
		return nil, fmt.Errorf("mark contacts as erased: %w", err)
	}
	return marks, nil
}

// unpark removes the commands that are parked under the marked groups, and returns their
// operations. Of an external id's they are those that were accepted before the erasure.
func (s *Store) unpark(tx *gorm.DB, marks map[string]erasureRow) (operations []key, err error) {
	err = beyond(tx, func() error { // what could not be read is parked without a tenant
		var found []struct {
			ID           uuid.UUID
			TenantID     string
			MessageGroup string
			AcceptedAt   *time.Time
		}
		err := tx.Table("parked_commands AS parked").Select("parked.id, parked.tenant_id, message_group, accepted_at").
			Joins("LEFT JOIN operations ON operations.tenant_id = parked.tenant_id AND operations.id = parked.id").
			Where("message_group IN ?", slices.Collect(maps.Keys(marks))).Scan(&found).Error
		var ids []uuid.UUID
		for _, parked := range found {
			if marks[parked.MessageGroup].covers(parked.AcceptedAt) {
				ids = append(ids, parked.ID)
				operations = append(operations, key{contacts.Tenant(parked.TenantID), parked.ID})
			}
		}
		if err != nil || len(ids) == 0 {
			return err
		}
		return tx.Where("id IN ?", ids).Delete(&parkedRow{}).Error
	})
	if err != nil {
		return nil, fmt.Errorf("remove the parked commands of erased contacts: %w", err)
	}
	return operations, nil
}

// forget leaves the operations on contacts, and of commands that were parked, as
// [contacts.Operation.Erased], of which the documents are not here, and returns those that had
// a fingerprint of a person's data.
func forget(tx *gorm.DB, of clause.Expr, parked []key) (forgotten []contacts.OperationKey, err error) {
	type row struct {
		TenantID          string
		ID                uuid.UUID
		Kind, Fingerprint string
	}
	var found, rows []row
	if err := tx.Raw(operationsOn, of, of).Scan(&found).Error; err != nil {
		return nil, fmt.Errorf("find the operations on erased contacts: %w", err)
	}
	operations := parked
	for _, row := range found {
		operations = append(operations, key{contacts.Tenant(row.TenantID), row.ID})
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

// wasErased locks a message group, and reports whether a command of it, which was accepted at
// that time, is of an erased contact.
func (s *Store) wasErased(tx *gorm.DB, group string, accepted *time.Time) (bool, error) {
	var batch database.Batch
	s.lock(tx, &batch, []string{group})
	if err := batch.Send(tx); err != nil {
		return false, fmt.Errorf("lock a contact: %w", err)
	}
	var marks []erasureRow
	err := tx.Where("message_group = ?", group).Find(&marks).Error
	return len(marks) > 0 && marks[0].covers(accepted), err
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
