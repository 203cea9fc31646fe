package sqlstore

import (
	"fmt"
	"strconv"
	"time"

	"contacts/contacts"
)

// postgresSelection is [list.selection] on PostgreSQL.
func (l *list) postgresSelection() (selection expr, beyond func() (*contacts.Position, error), err error) {
	filters := l.filters(l.postgresKeyed, postgresContaining, l.postgresSince)
	if err := l.sample(filters); err != nil {
		return expr{}, nil, err
	}
	lead, walk, err := l.postgresLead(filters)
	if err != nil {
		return expr{}, nil, err
	}
	from := expr{sql: "contacts"}
	switch {
	case walk: // it goes through them only until the part is full
		beyond = l.looked
		from = l.whole("*").also(" LIMIT ?", l.looks).with("(", ") AS contacts")
	case lead >= 0:
		from = filters[lead].fence.with("(", ") AS contacts")
	}
	selection = from.with("SELECT "+l.listColumns()+" FROM ", "")
	owned, after := l.owned(""), l.after("")
	selection = selection.also(owned.sql, owned.args...).also(after.sql, after.args...)
	for i, f := range filters {
		switch {
		case i == lead:
		case f.set.sql != "":
			// the planner knows which filter leads, and how
			selection = selection.also(" AND "+f.set.sql, f.set.args...)
		default:
			selection = selection.also(" AND "+f.test.sql, f.test.args...)
		}
	}
	// Written out: of a parameter a plan for any values would expect that it lets a good part
	// of the table through.
	return selection.also(l.order("") + " LIMIT " + strconv.Itoa(l.query.Limit+1)), beyond, nil
}

// postgresKeyed is the condition that a contact has one of the keys.
func (l *list) postgresKeyed(keys []string) filter {
	return filter{set: expr{
		"id IN (SELECT contact_id FROM contact_keys WHERE tenant_id = ? AND key = ANY (?))", []any{string(l.tenant), keys},
	}}
}

func postgresContaining(parts []string) filter {
	test, short := contains(parts)
	return filter{test: test, parts: !short}
}

func (l *list) postgresSince(at time.Time) filter {
	later := expr{"contacts WHERE tenant_id = ? AND deleted_at IS NULL AND updated_at >= ?", []any{string(l.tenant), at}}
	return filter{
		set: expr{"updated_at >= ?", []any{at}}, test: expr{"updated_at >= ?", []any{at}},
		probe: later.with("SELECT 1 FROM ", ""), fence: later.with("SELECT * FROM ", " OFFSET 0"),
	}
}

// postgresLead returns the filter that leads to few contacts, -1 if none is known to. walk
// tells that contacts are to be tested in the order of the list, so that the caller has to say
// when it is enough.
func (l *list) postgresLead(filters []filter) (lead int, walk bool, err error) {
	for i, f := range filters {
		switch {
		case f.set.sql == "":
			continue
		case f.probe.sql == "" && f.fence.sql != "": // few contacts have it
			return i, false, nil
		case f.probe.sql == "": // the planner finds its way with this one
			return -1, false, nil
		}
		if few, err := l.few(f.probe); err != nil || few {
			return i, false, err
		}
	}
	return -1, len(filters) > 0, nil
}

// sample tells which parts of texts few of the contacts have, and makes these lead. It goes by
// the first contacts of the list, from which the others may differ: then a page takes longer,
// or the list is given in shorter ones.
//
// The planner, which tells the rest by itself, does not know: it does not consult its
// statistics by what is not leakproof where there are policies. And it does not use the index,
// but for the view; see the migration "tenants".
func (l *list) sample(filters []filter) error {
	sampled := expr{sql: "SELECT count(*)"}
	var parts []*filter
	for i := range filters {
		if f := &filters[i]; f.parts {
			parts = append(parts, f)
			sampled = sampled.also(", count(*) FILTER (WHERE "+f.test.sql+")", f.test.args...)
		} else if f.set.sql != "" && len(parts) == 0 {
			return nil // an email address or a number leads
		}
	}
	if len(parts) == 0 {
		return nil
	}
	counts := make([]int, 1+len(parts))
	scanned := make([]any, len(counts))
	for i := range counts {
		scanned[i] = &counts[i]
	}
	whole := l.whole("search_text")
	err := l.ask(into(scanned...), sampled.also(" FROM ("+whole.sql, whole.args...).also(" LIMIT ?) AS contacts", l.samples))
	if err != nil {
		return fmt.Errorf("look at a sample of the contacts: %w", err)
	}
	var rare *filter
	for i, f := range parts {
		switch {
		case counts[0] < l.samples || counts[1+i]*commonOf > l.samples:
			// or the planner would guess, by its length, that few contacts have it
			f.test = f.test.with("coalesce(", ", false)")
		case rare == nil:
			rare, f.set = f, f.test
			f.fence = expr{"SELECT * FROM searchable_contacts WHERE tenant_id = ? AND deleted_at IS NULL", []any{string(l.tenant)}}
			f.fence = f.fence.also(" AND "+f.test.sql, f.test.args...)
		default:
			rare.fence = rare.fence.also(" AND "+f.test.sql, f.test.args...)
		}
	}
	if rare != nil {
		rare.fence = rare.fence.also(" OFFSET 0")
	}
	return nil
}
