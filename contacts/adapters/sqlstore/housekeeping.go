package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"contacts/contacts"
)

var _ contacts.Housekeeping = (*Store)(nil)

// Purge implements [contacts.Housekeeping].
func (s *Store) Purge(ctx context.Context, now time.Time, limit int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var removed int64
	for _, old := range []struct {
		table, key, column string
		kept               time.Duration
	}{
		{"operations", "tenant_id, id", "ended_at", contacts.OperationsKept},
		{"contact_changes", "seq", "changed_at", contacts.ChangesKept},
		{"contacts", "tenant_id, id", "deleted_at", contacts.TombstonesKept},
		{"erasures", "message_group", "erased_at", contacts.TombstonesKept},
	} {
		deleted := s.db.Write.WithContext(ctx).Exec(fmt.Sprintf(
			"DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ? ORDER BY %[3]s LIMIT ?)",
			old.table, old.key, old.column), now.UTC().Add(-old.kept), limit)
		if deleted.Error != nil {
			return removed, applyError(fmt.Errorf("purge %s: %w", old.table, deleted.Error))
		}
		removed += deleted.RowsAffected
	}
	return removed, nil
}

// Reindex implements [contacts.Housekeeping].
func (s *Store) Reindex(ctx context.Context, limit int) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	// Written out, because a partial index has this condition.
	outdated := fmt.Sprintf("search_version < %d AND deleted_at IS NULL", contacts.IndexVersion)
	var found []contactRow
	err := s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Select("tenant_id", "id").Where(outdated).Limit(limit).Find(&found).Error; err != nil || len(found) == 0 {
			return err
		}
		keys := make([]key, len(found))
		for i, row := range found {
			keys[i] = key{contacts.Tenant(row.TenantID), row.ID}
		}
		if err := lock(tx, groups(keys)); err != nil {
			return err
		}
		var rows []contactRow // those that nobody has written meanwhile
		if err := tx.Where(among(tx, "tenant_id, id", keys)).Where(outdated).Find(&rows).Error; err != nil {
			return err
		}
		for _, row := range rows {
			if err := reindex(tx, row.contact()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, applyError(fmt.Errorf("index contacts anew: %w", err))
	}
	return int64(len(found)), nil
}

func reindex(tx *gorm.DB, c contacts.Contact) error {
	ix := c.Index()
	indexed := map[string]any{"search_text": ix.Text, "search_name": ix.Name, "search_version": contacts.IndexVersion}
	if err := tx.Model(&contactRow{}).Where("tenant_id = ? AND id = ?", string(c.Tenant), c.ID).Updates(indexed).Error; err != nil {
		return err
	}
	if err := tx.Where("tenant_id = ? AND contact_id = ?", string(c.Tenant), c.ID).Delete(&keyRow{}).Error; err != nil {
		return err
	}
	if keys := newKeyRows(c, ix); len(keys) > 0 {
		return tx.Create(&keys).Error
	}
	return nil
}
