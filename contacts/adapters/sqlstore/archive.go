package sqlstore

import (
	"context"
	"fmt"
	"time"

	"contacts/contacts"
)

var _ contacts.Archive = (*Store)(nil)

// Purge implements [contacts.Archive].
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
