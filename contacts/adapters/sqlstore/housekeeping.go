package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

var _ contacts.Housekeeping = (*Store)(nil)

// past is where the rows of a kind are, and by what they are aged. It is never changed.
var past = map[contacts.Past]struct{ table, key, column string }{
	contacts.PastOperations: {"operations", "tenant_id, id", "ended_at"},
	contacts.PastChanges:    {"contact_changes", "seq", "changed_at"},
	contacts.PastTombstones: {"contacts", "tenant_id, id", "deleted_at"},
	contacts.PastErasures:   {"erasures", "message_group", "erased_at"},
}

// maxCounted is how many rows are counted on PostgreSQL, which takes a second or so. Of more it
// tells what it has seen when it looked at the table last.
const maxCounted = 1_000_000

// Overdue implements [contacts.Housekeeping]. All rows are counted only where some are due.
func (s *Store) Overdue(ctx context.Context, kind contacts.Past, before time.Time) (due, all int64, err error) {
	of := past[kind]
	count := func(db *gorm.DB, condition string, values ...any) (n int64, err error) {
		rows := db.Table(of.table).Select("1").Where(condition, values...)
		if s.db.Engine == database.Postgres {
			rows = rows.Limit(maxCounted)
		}
		err = db.Table("(?) AS found", rows).Count(&n).Error
		return n, err
	}
	err = s.read(ctx, acrossTenants(), func(db *gorm.DB) error {
		if due, err = count(db, of.column+" < ?", before.UTC()); err != nil || due == 0 {
			return err
		}
		if all, err = count(db, of.column+" IS NOT NULL"); err != nil || all < maxCounted || s.db.Engine != database.Postgres {
			return err
		}
		return db.Raw("SELECT greatest(?, reltuples::bigint) FROM pg_class WHERE oid = ?::regclass", all, of.table).Scan(&all).Error
	})
	if err != nil {
		return 0, 0, applyError(fmt.Errorf("count old %s: %w", kind, err))
	}
	return due, all, nil
}

// Purge implements [contacts.Housekeeping].
func (s *Store) Purge(ctx context.Context, kind contacts.Past, before time.Time, limit int) (removed int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	of := past[kind]
	err = s.write(ctx, acrossTenants(), func(tx *gorm.DB) error {
		deleted := tx.Exec(fmt.Sprintf(
			"DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ? ORDER BY %[3]s LIMIT ?)",
			of.table, of.key, of.column), before.UTC(), limit)
		removed = deleted.RowsAffected
		return deleted.Error
	})
	if err != nil {
		return 0, applyError(fmt.Errorf("purge %s: %w", kind, err))
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
	err := s.read(ctx, acrossTenants(), func(db *gorm.DB) error {
		return db.Select("tenant_id", "id").Where(outdated).Limit(limit).Find(&found).Error
	})
	if err == nil && len(found) > 0 {
		err = s.reindex(ctx, found, outdated)
	}
	if err != nil {
		return 0, applyError(fmt.Errorf("index contacts anew: %w", err))
	}
	return int64(len(found)), nil
}

// reindex indexes contacts anew, of which the keys are given, but those that somebody has written meanwhile.
func (s *Store) reindex(ctx context.Context, found []contactRow, outdated string) error {
	keys, tenants := make([]key, len(found)), make([]contacts.Tenant, len(found))
	for i, row := range found {
		tenants[i] = contacts.Tenant(row.TenantID)
		keys[i] = key{tenants[i], row.ID}
	}
	return s.write(ctx, of(tenants...), func(tx *gorm.DB) error {
		if err := lock(tx, groups(keys)); err != nil {
			return err
		}
		var rows []contactRow
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
