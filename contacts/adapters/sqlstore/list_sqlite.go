package sqlstore

import (
	"strings"
	"time"

	"contacts/contacts"
)

// sqliteSelection is [list.selection] on SQLite.
func (l *list) sqliteSelection() (selection expr, beyond func() (*contacts.Position, error), err error) {
	filters := l.filters(l.sqliteKeyed, sqliteContaining, l.sqliteSince)
	lead, err := l.sqliteLead(filters)
	if err != nil {
		return expr{}, nil, err
	}
	owner, free := "", ""
	if lead >= 0 { // with a + before it, a column's index does not lead instead
		free = "+"
		if filters[lead].rows {
			owner = "+"
		}
	}
	owned, after := l.owned(owner), l.after(free)
	selection = owned.with("SELECT "+l.listColumns()+" FROM contacts", "").also(after.sql, after.args...)
	if lead < 0 && len(filters) > 0 {
		bound, err := l.looked()
		if err != nil {
			return expr{}, nil, err
		}
		beyond = func() (*contacts.Position, error) { return bound, nil }
		if bound != nil {
			within := l.within("<=", ">=", *bound, "")
			selection = selection.also(within.sql, within.args...)
		}
	}
	for i, f := range filters {
		condition := f.test
		if i == lead {
			condition = f.set
		}
		selection = selection.also(" AND "+condition.sql, condition.args...)
	}
	return selection.also(l.order(free)+" LIMIT ?", l.query.Limit+1), beyond, nil
}

// sqliteKeyed is the condition that a contact has one of the keys.
func (l *list) sqliteKeyed(keys []string) filter {
	probe := expr{"SELECT contact_id FROM contact_keys WHERE tenant_id = ? AND key IN (?" + strings.Repeat(", ?", len(keys)-1) + ")", []any{string(l.tenant)}}
	for _, key := range keys {
		probe.args = append(probe.args, key)
	}
	return filter{set: probe.with("id IN (", ")"), test: probe.with("EXISTS (", " AND contact_id = contacts.id)"), probe: probe}
}

func sqliteContaining(parts []string) filter {
	test, short := contains(parts)
	if short {
		return filter{test: test}
	}
	phrases := make([]string, len(parts))
	for i, part := range parts {
		phrases[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
	}
	probe := expr{"SELECT rowid FROM contacts_search WHERE contacts_search MATCH ?", []any{strings.Join(phrases, " OR ")}}
	return filter{set: probe.with("row_id IN (", ")"), test: test, probe: probe, rows: true}
}

func (l *list) sqliteSince(at time.Time) filter {
	return filter{
		// or its index would lead, to however many
		set: expr{"updated_at >= ?", []any{at}}, test: expr{"+updated_at >= ?", []any{at}},
		probe: expr{"SELECT 1 FROM contacts WHERE tenant_id = ? AND deleted_at IS NULL AND updated_at >= ?", []any{string(l.tenant), at}},
	}
}

// sqliteLead returns the filter that leads to few contacts, -1 if there is none.
func (l *list) sqliteLead(filters []filter) (int, error) {
	for i, f := range filters {
		if f.probe.sql == "" {
			continue
		}
		if few, err := l.few(f.probe); err != nil || few {
			return i, err
		}
	}
	return -1, nil
}
