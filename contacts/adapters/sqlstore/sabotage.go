//go:build sabotage

package sqlstore

import "strings"

// Sabotage makes the transactions of the store blind to the operations that were applied
// before (fence), or to what others make of their contacts meanwhile (guard), for which it
// also gives those others more time. It is for negative controls, on PostgreSQL.
func (s *Store) Sabotage(fence, guard bool) {
	if fence {
		s.statements.ended += " AND 1 = 0"
		s.statements.operations.tail += " ON CONFLICT (tenant_id, id) DO UPDATE SET ended_at = excluded.ended_at"
	}
	if guard {
		s.statements.lock = "SELECT key FROM unnest($1::bigint[]) AS key"
		// after the contacts were read
		s.statements.ended += " AND (SELECT pg_sleep(random() * 0.05)) IS NOT NULL"
		s.statements.contacts.tail, _, _ = strings.Cut(s.statements.contacts.tail, " WHERE ")
		s.statements.changes.tail += " ON CONFLICT (tenant_id, contact_id, version) DO UPDATE SET" +
			" operation_id = excluded.operation_id, changed_at = excluded.changed_at, document = excluded.document"
	}
}
