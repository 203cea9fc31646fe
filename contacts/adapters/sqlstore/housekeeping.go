package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

var _ contacts.Housekeeping = (*Store)(nil)

// past is where the rows of a kind are, and by what they are aged. It is never changed.
var past = map[contacts.Past]struct{ table, key, column string }{ // key: on SQLite
	contacts.PastOperations: {"operations", "tenant_id, id", "ended_at"},
	contacts.PastChanges:    {"contact_changes", "seq", "changed_at"},
	contacts.PastTombstones: {"contacts", "row_id", "deleted_at"},
	contacts.PastErasures:   {"erasures", "message_group", "erased_at"},
}

// maxCounted is how many rows are counted on PostgreSQL, which takes a second or so. Of more
// it tells what it has seen when it looked at the table last.
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
	statement := "DELETE FROM %[1]s WHERE (%[2]s) IN (SELECT %[2]s FROM %[1]s WHERE %[3]s < ? ORDER BY %[3]s LIMIT ?)"
	if s.db.Engine == database.Postgres {
		// Rows lie about in the order of their times, and are found by ranges of pages (BRIN),
		// which have no order in them.
		of.key = "ctid"
		statement = "DELETE FROM %[1]s WHERE %[2]s = ANY (ARRAY(SELECT %[2]s FROM %[1]s WHERE %[3]s < ? LIMIT ?))"
	}
	err = s.write(ctx, acrossTenants(), func(tx *gorm.DB) error {
		deleted := tx.Exec(fmt.Sprintf(statement, of.table, of.key, of.column), before.UTC(), limit)
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
	var found []key
	err := s.read(ctx, acrossTenants().keyed(), func(db *gorm.DB) error {
		var rows []struct {
			TenantID string
			ID       uuid.UUID
		}
		err := db.Table("contacts").Select("tenant_id", "id").Where(outdated).Limit(limit).Find(&rows).Error
		for _, row := range rows {
			found = append(found, key{contacts.Tenant(row.TenantID), row.ID})
		}
		return err
	})
	if err == nil && len(found) > 0 {
		err = s.reindex(ctx, found)
	}
	if err != nil {
		return 0, applyError(fmt.Errorf("index contacts anew: %w", err))
	}
	return int64(len(found)), nil
}

// outdated is the condition of the partial index of what is to be reindexed.
const outdated = "needs_reindexing"

// reindex indexes contacts anew, but those that were written meanwhile.
func (s *Store) reindex(ctx context.Context, found []key) error {
	tenants := make([]contacts.Tenant, len(found))
	for i, contact := range found {
		tenants[i] = contact.Tenant
	}
	return s.write(ctx, of(tenants...), func(tx *gorm.DB) error {
		commands := make([]contacts.Command, len(found))
		for i, contact := range found {
			commands[i] = contacts.Command{Tenant: contact.Tenant, Contact: contact.ID}
		}
		stored, err := s.load(tx, commands)
		if err != nil {
			return err
		}
		return s.saveIndexes(tx, stored.Contacts)
	})
}

// saveIndexes writes what contacts are found by, but for those that were written meanwhile.
func (s *Store) saveIndexes(tx *gorm.DB, stored map[contacts.ContactKey]contacts.Stored) error {
	var batch database.Batch
	versions := make([]contacts.Version, 0, len(stored))
	for at, contact := range stored {
		c, err := contact.Contact()
		if err != nil {
			return err
		}
		ix := c.Index()
		values := []any{ix.Text, strings.Join(ix.Keys, "\n")}
		for _, sort := range contacts.NameSorts() {
			values = append(values, nameKey(ix, sort))
		}
		batch.Exec(nil, s.statements.reindex, append(values, string(at.Tenant), at.ID)...)
		versions = append(versions, contacts.Version{Contact: c, OldKeys: contact.Keys, NewKeys: ix.Keys})
	}
	s.rekey(&batch, versions...)
	return batch.Send(tx)
}
