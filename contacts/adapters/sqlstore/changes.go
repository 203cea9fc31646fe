package sqlstore

import (
	"context"
	"math"
	"strconv"

	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

var _ contacts.ChangeLog = (*Store)(nil)

// How the order of commits is kept.
//
// A number drawn within a transaction says little about the order of commits: a later one can
// be committed first. SQLite has one writer, so there seq is the order. On PostgreSQL a change
// carries its transaction's id, and readers stay behind the oldest transaction that still
// runs: what has a lower id has ended, and nothing can be committed there any more. Within
// these bounds (xid, seq) is an order that never gets a change in its middle. Since
// [Store.Apply] holds the locks of its contacts before it is given an id, the changes of one
// contact follow its versions.
const (
	postgresChanges = `SELECT xid::text::bigint AS commit, seq, contact_id, version, operation_id, changed_at, document
		FROM contact_changes
		WHERE tenant_id = $1 AND (xid, seq) > ($2::text::xid8, $3) AND xid < pg_snapshot_xmin(pg_current_snapshot())
		ORDER BY xid, seq LIMIT $4`
	sqliteChanges = `SELECT 0, seq, contact_id, version, operation_id, changed_at, document
		FROM contact_changes WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?`

	// Whether there can be a change at a position: one beyond all transactions is that of
	// another database.
	postgresReached = `SELECT $1::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())`
	sqliteReached   = `SELECT ? <= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contact_changes'), 0)`

	postgresLatest = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1`
	sqliteLatest   = `SELECT coalesce(max(seq), 0) FROM contact_changes`
)

// Changes implements [contacts.ChangeLog].
func (s *Store) Changes(
	ctx context.Context, tenant contacts.Tenant, after contacts.ChangePosition, limit int,
) ([]contacts.Change, error) {
	var changes []contacts.Change
	page := page{limit: limit}
	for at := after; !page.full(); at = changes[len(changes)-1].At {
		part, before := page.part(), page.items
		err := s.readOnce(ctx, of(tenant), func(rows database.Rows) error {
			for rows.Next() && !page.full() {
				change, err := scanChange(rows)
				if err != nil {
					return err
				}
				page.add(len(change.Document))
				changes = append(changes, change)
			}
			return nil
		}, s.statements.changesAfter, s.changesAfter(tenant, at, part)...)
		if err == nil && page.items == 0 && after != (contacts.ChangePosition{}) {
			err = s.reached(ctx, tenant, after)
		}
		if err != nil {
			return nil, readError(ctx, "read changes", err)
		}
		if page.items < before+part {
			break
		}
	}
	return changes, nil
}

// changesAfter are the arguments of the statement that selects the changes after a position.
func (s *Store) changesAfter(tenant contacts.Tenant, at contacts.ChangePosition, limit int) []any {
	if s.db.Engine == database.Postgres {
		return []any{string(tenant), strconv.FormatUint(at.Commit, 10), at.Sequence, limit}
	}
	return []any{string(tenant), at.Sequence, limit}
}

// scanChange reads a change with its place in the order of commits.
func scanChange(rows database.Rows) (contacts.Change, error) {
	var change contacts.Change
	var document []byte
	err := rows.Scan(&change.At.Commit, &change.At.Sequence, &change.Contact, &change.Version, &change.Operation, &change.ChangedAt, &document)
	change.ChangedAt, change.Document = change.ChangedAt.UTC(), document
	return change, err
}

// reached returns an error unless the log has come to the position.
func (s *Store) reached(ctx context.Context, tenant contacts.Tenant, at contacts.ChangePosition) error {
	query, position := sqliteReached, any(at.Sequence)
	if s.db.Engine == database.Postgres {
		query, position = postgresReached, strconv.FormatUint(at.Commit, 10)
	}
	var reached bool
	err := s.readOnce(ctx, of(tenant), into(&reached), query, position)
	if err == nil && !reached {
		err = contacts.CursorExpired()
	}
	return err
}

// LatestChange implements [contacts.ChangeLog].
func (s *Store) LatestChange(ctx context.Context) (contacts.ChangePosition, error) {
	var at contacts.ChangePosition
	err := s.read(ctx, ofNobody(), func(db *gorm.DB) error {
		if s.db.Engine == database.Postgres {
			at.Sequence = math.MaxInt64
			return db.Raw(postgresLatest).Scan(&at.Commit).Error
		}
		return db.Raw(sqliteLatest).Scan(&at.Sequence).Error
	})
	if err != nil {
		return contacts.ChangePosition{}, readError(ctx, "read the latest change", err)
	}
	return at, nil
}
