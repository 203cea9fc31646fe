package sqlstore

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

var _ contacts.ChangeLog = (*Store)(nil)

// How the order of commits is kept.
//
// A number drawn within a transaction says little about the order of commits: a later one can be committed first. SQLite has
// one writer, so there seq is the order. On PostgreSQL a change carries its transaction's id, and readers stay behind the
// oldest transaction that still runs: what has a lower id has ended, and nothing can be committed there any more. Within
// these bounds (xid, seq) is an order that never gets a change in its middle. Since [Store.Apply] holds the locks of its
// contacts before it is given an id, the changes of one contact follow its versions.
const (
	postgresChanges = `SELECT xid::text::bigint AS commit, seq, contact_id, version, operation_id, changed_at, document
		FROM contact_changes
		WHERE tenant_id = ? AND (xid, seq) > (?::text::xid8, ?) AND xid < pg_snapshot_xmin(pg_current_snapshot())
		ORDER BY xid, seq LIMIT ?`
	sqliteChanges = `SELECT seq, contact_id, version, operation_id, changed_at, document
		FROM contact_changes WHERE tenant_id = ? AND seq > ? ORDER BY seq LIMIT ?`

	// Whether there can be a change at a position: one beyond all transactions is that of another database.
	postgresReached = `SELECT ?::text::xid8 < pg_snapshot_xmax(pg_current_snapshot())`
	sqliteReached   = `SELECT ? <= coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'contact_changes'), 0)`

	postgresLatest = `SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1`
	sqliteLatest   = `SELECT coalesce(max(seq), 0) FROM contact_changes`
)

// Changes implements [contacts.ChangeLog].
func (s *Store) Changes(
	ctx context.Context, tenant contacts.Tenant, after contacts.ChangePosition, limit int,
) ([]contacts.Change, error) {
	var changes []contacts.Change
	err := s.read(ctx, of(tenant), func(db *gorm.DB) error {
		changes = nil
		page := page{limit: limit}
		for at := after; !page.full(); at = changes[len(changes)-1].At {
			part, before := page.part(), page.items
			err := eachRow(s.changesAfter(db, tenant, at, part), func(row followedRow) (bool, error) {
				if page.full() {
					return false, nil
				}
				change := row.change()
				page.add(len(change.Document))
				changes = append(changes, change)
				return true, nil
			})
			switch {
			case err != nil:
				return err
			case page.items == 0 && after != (contacts.ChangePosition{}):
				return s.reached(db, after)
			case page.items < before+part:
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, readError(ctx, "read changes", err)
	}
	return changes, nil
}

// changesAfter selects the changes after a position.
func (s *Store) changesAfter(db *gorm.DB, tenant contacts.Tenant, at contacts.ChangePosition, limit int) *gorm.DB {
	if s.db.Engine == database.Postgres {
		return db.Raw(postgresChanges, string(tenant), strconv.FormatUint(at.Commit, 10), at.Sequence, limit)
	}
	return db.Raw(sqliteChanges, string(tenant), at.Sequence, limit)
}

// followedRow is a change with its place in the order of commits.
type followedRow struct {
	Commit      uint64
	Seq         int64
	ContactID   uuid.UUID
	Version     int64
	OperationID uuid.UUID
	ChangedAt   time.Time
	Document    *string
}

func (r followedRow) change() contacts.Change {
	change := contacts.Change{
		At:      contacts.ChangePosition{Commit: r.Commit, Sequence: r.Seq},
		Contact: r.ContactID, Version: r.Version, Operation: r.OperationID, ChangedAt: r.ChangedAt.UTC(),
	}
	if r.Document != nil {
		change.Document = json.RawMessage(*r.Document)
	}
	return change
}

// reached returns an error unless the log has come to the position.
func (s *Store) reached(db *gorm.DB, at contacts.ChangePosition) error {
	query := db.Raw(sqliteReached, at.Sequence)
	if s.db.Engine == database.Postgres {
		query = db.Raw(postgresReached, strconv.FormatUint(at.Commit, 10))
	}
	var reached bool
	if err := query.Scan(&reached).Error; err != nil {
		return err
	}
	if !reached {
		return contacts.CursorExpired()
	}
	return nil
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
