package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
	"contacts/platform/database"
)

// How much work one page may be, however many contacts a tenant has.
const (
	// maxLed is how many contacts are gathered by the index of a filter, and then put into order.
	maxLed = 2000
	// maxLooked is how many contacts are looked at in the order of the list, for want of such an index.
	maxLooked = 20_000
	// maxSampled is how many contacts are looked at, on PostgreSQL, to tell whether a part of a text is one that many have.
	maxSampled = 200
	// commonOf is which part of the sample makes it common: one in so many. A page of those is sooner found in the order of the list.
	commonOf = 40
)

// List implements [contacts.Repository].
//
// A filter that lets few contacts through leads to them by its index; the others are then tested on each. Where all let many
// through, or have no index, contacts are tested in the order of the list, but no more than maxLooked for one page: the
// next one goes on from there.
func (s *Store) List(ctx context.Context, tenant contacts.Tenant, query contacts.Query) (contacts.Listing, error) {
	var listing contacts.Listing
	err := s.read(ctx, of(tenant), func(db *gorm.DB) error {
		listing = contacts.Listing{}
		page := page{limit: query.Limit}
		for query.Limit = page.part(); ; query.Limit = page.part() {
			more, err := s.listPart(db, tenant, query, &page, &listing)
			if err != nil || !more || page.full() {
				return err
			}
			query.After = listing.Rest
		}
	})
	if err != nil {
		return contacts.Listing{}, readError(ctx, "list contacts", err)
	}
	return listing, nil
}

// listPart adds up to query.Limit contacts to a listing, until the page is full, and notes from
// after where the list goes on. It reports whether it left out contacts that it has found.
func (s *Store) listPart(
	db *gorm.DB, tenant contacts.Tenant, query contacts.Query, page *page, listing *contacts.Listing,
) (more bool, err error) {
	selection, beyond, err := s.selection(db, db, tenant, query)
	if err != nil {
		return false, err
	}
	read := 0
	err = eachRow(selection, func(row contactRow) (bool, error) {
		if more = read == query.Limit || page.full(); more {
			return false, nil
		}
		document, err := documentOf(row.contact())
		read++
		page.add(len(document.JSON))
		listing.Items = append(listing.Items, contacts.Listed{Document: document, At: *position(query.Sort, row)})
		return true, err
	})
	switch {
	case err != nil:
		return false, err
	case more:
		listing.Rest = &listing.Items[len(listing.Items)-1].At
	case beyond != nil:
		listing.Rest, err = beyond()
	default:
		listing.Rest = nil
	}
	return more, err
}

// position is a contact's place in lists of that order.
func position(sort contacts.Sort, row contactRow) *contacts.Position {
	at := &contacts.Position{ID: row.ID}
	switch key, _ := sort.Key(); key {
	case contacts.SortName:
		at.Name = row.SearchName
	case contacts.SortUpdated:
		at.Updated = row.UpdatedAt.UTC()
	}
	return at
}

// selection returns the statement for a query's page and one contact more, made of db; what it has to know for that it asks
// of read. beyond tells from after where the list goes on if that does not fill the page, nil if nowhere; it is nil itself where the
// statement looks at the whole list.
func (s *Store) selection(
	db, read *gorm.DB, tenant contacts.Tenant, query contacts.Query,
) (selection *gorm.DB, beyond func() (*contacts.Position, error), err error) {
	owner, free := "tenant_id = ?", ""
	owned := func(db *gorm.DB) *gorm.DB {
		db = db.Where(owner+" AND deleted_at IS NULL", string(tenant))
		if byUpdate(query) && !query.UpdatedSince.IsZero() { // a part of the order
			db = db.Where("updated_at >= ?", query.UpdatedSince.UTC())
		}
		return db
	}
	list := func(db *gorm.DB) *gorm.DB { return ordered(owned(db.Model(&contactRow{})), query, "") }
	filters := s.filters(tenant, query)
	if err := s.sample(read, list(read), tenant, filters); err != nil {
		return nil, nil, err
	}
	lead, walk, err := s.lead(read, filters)
	if err != nil {
		return nil, nil, err
	}
	selection = db.Model(&contactRow{}).Limit(query.Limit + 1)
	if walk {
		beyond = func() (*contacts.Position, error) {
			var last []contactRow
			err := list(read).Select("id", "search_name", "updated_at").Offset(s.looks - 1).Limit(1).Find(&last).Error
			if err != nil || len(last) == 0 {
				return nil, err
			}
			return position(query.Sort, last[0]), nil
		}
	}
	if walk && s.db.Engine == database.Postgres { // which goes through them only until the page is full
		selection = selection.Table("(?) AS contacts", list(db).Limit(s.looks))
	} else if walk {
		bound, err := beyond()
		if err != nil {
			return nil, nil, err
		}
		beyond = func() (*contacts.Position, error) { return bound, nil }
		if bound != nil {
			selection = within(selection, query.Sort, "<=", ">=", *bound, "")
		}
	}
	for i, f := range filters {
		switch {
		case i == lead && s.db.Engine == database.Postgres:
			selection = selection.Table("(?) AS contacts", f.fence)
		case i == lead: // with a + before it, a column's index does not lead instead
			selection, free = selection.Where(f.set), "+"
			if f.rows {
				owner = "+tenant_id = ?"
			}
		case s.db.Engine == database.Postgres && f.set.SQL != "":
			selection = selection.Where(f.set) // the planner knows which filter leads, and how
		default:
			selection = selection.Where(f.test)
		}
	}
	return ordered(owned(selection), query, free), beyond, nil
}

// filter is one condition of a query, in several forms.
type filter struct {
	set  clause.Expr // gives the contacts by an index; empty if there is none
	test clause.Expr // of a single contact
	// probe goes through what set gives, to be counted; on PostgreSQL it is there only where the planner, which goes by what it
	// has seen of the tables, has been seen to err: new contacts are of times that it has not seen.
	probe clause.Expr
	fence clause.Expr // on PostgreSQL: the same as a table, on whose inside the order outside has no influence
	rows  bool        // on SQLite: whether set gives rows by their numbers
	parts bool        // on PostgreSQL: whether test is of parts of a text that are long enough for their index; see [Store.sample]
}

// byUpdate reports whether the query's order is that of updates.
func byUpdate(query contacts.Query) bool {
	key, _ := query.Sort.Key()
	return key == contacts.SortUpdated
}

// trigram is how many characters a text needs to be found by its trigrams.
const trigram = 3

// filters returns the conditions of a query, those first that as a rule let the fewest contacts through.
func (s *Store) filters(tenant contacts.Tenant, query contacts.Query) []filter {
	var filters []filter
	keyed := func(kind string, values ...string) {
		const keys = "SELECT contact_id FROM contact_keys WHERE tenant_id = ? AND kind = ? AND value IN ?"
		of := []any{string(tenant), kind, values}
		filters = append(filters, filter{
			set:   gorm.Expr("id IN ("+keys+")", of...),
			test:  gorm.Expr("EXISTS ("+keys+" AND contact_id = contacts.id)", of...),
			probe: gorm.Expr(keys, of...),
		})
	}
	if query.Email != "" {
		keyed(emailKey, query.Email)
	}
	if len(query.Phones) > 0 {
		keyed(phoneKey, query.Phones...)
	}
	for _, term := range query.Terms {
		filters = append(filters, s.containing(term))
	}
	if query.Label != "" {
		keyed(labelKey, query.Label)
	}
	if !query.UpdatedSince.IsZero() && !byUpdate(query) {
		const later = "contacts WHERE tenant_id = ? AND deleted_at IS NULL AND updated_at >= ?"
		since := query.UpdatedSince.UTC()
		f := filter{
			set: gorm.Expr("updated_at >= ?", since), test: gorm.Expr("updated_at >= ?", since),
			probe: gorm.Expr("SELECT 1 FROM "+later, string(tenant), since),
			fence: gorm.Expr("SELECT * FROM "+later+" OFFSET 0", string(tenant), since),
		}
		if s.db.Engine == database.SQLite {
			f.test = gorm.Expr("+updated_at >= ?", since) // or its index would lead, to however many
		}
		filters = append(filters, f)
	}
	if s.db.Engine == database.Postgres {
		for i := range filters {
			if filters[i].fence.SQL == "" {
				filters[i].probe = clause.Expr{}
			}
		}
	}
	return filters
}

// containing is the condition that search_text has one of the parts in it.
func (s *Store) containing(parts []string) filter {
	short := false
	tests := make([]string, len(parts))
	phrases := make([]string, len(parts))
	patterns := make([]any, len(parts))
	for i, part := range parts {
		short = short || utf8.RuneCountInString(part) < trigram
		tests[i] = `search_text LIKE ? ESCAPE '\'`
		patterns[i] = "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(part) + "%"
		phrases[i] = `"` + strings.ReplaceAll(part, `"`, `""`) + `"`
	}
	f := filter{test: gorm.Expr("("+strings.Join(tests, " OR ")+")", patterns...)}
	switch {
	case short:
	case s.db.Engine == database.Postgres:
		f.parts = true
	default:
		f.rows = true
		f.probe = gorm.Expr("SELECT rowid FROM contacts_search WHERE contacts_search MATCH ?", strings.Join(phrases, " OR "))
		f.set = gorm.Expr("row_id IN (?)", f.probe)
	}
	return f
}

// sample tells which parts of texts, on PostgreSQL, few of the contacts have, and makes these lead. It goes by the first contacts of
// the list, from which the others may differ: then a page takes longer, or the list is given in shorter ones.
//
// The planner, which tells the rest by itself, does not know: it does not consult its statistics by what is not leakproof where there
// are policies. And it does not use the index, but for the view; see the migration "tenants".
func (s *Store) sample(read, list *gorm.DB, tenant contacts.Tenant, filters []filter) error {
	columns := "count(*)"
	var parts []*filter
	var tests []any
	for i := range filters {
		if f := &filters[i]; f.parts {
			columns += ", count(*) FILTER (WHERE ?)"
			parts, tests = append(parts, f), append(tests, f.test)
		} else if f.set.SQL != "" && len(parts) == 0 {
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
	err := read.Table("(?) AS contacts", list.Select("search_text").Limit(s.samples)).Select(columns, tests...).Row().Scan(scanned...)
	if err != nil {
		return fmt.Errorf("look at a sample of the contacts: %w", err)
	}
	var rare *filter
	for i, f := range parts {
		switch {
		case counts[0] < s.samples || counts[1+i]*commonOf > s.samples:
			f.test = gorm.Expr("coalesce(?, false)", f.test) // or the planner would guess, by its length, that few contacts have it
		case rare == nil:
			rare, f.set = f, f.test
			f.fence = gorm.Expr("SELECT * FROM searchable_contacts WHERE tenant_id = ? AND deleted_at IS NULL AND ?", string(tenant), f.test)
		default:
			rare.fence = gorm.Expr("? AND ?", rare.fence, f.test)
		}
	}
	if rare != nil {
		rare.fence = gorm.Expr("? OFFSET 0", rare.fence)
	}
	return nil
}

// lead returns the filter that leads to few contacts, -1 if none is known to. walk tells that contacts are to be tested in the
// order of the list, so that somebody has to say when it is enough.
func (s *Store) lead(db *gorm.DB, filters []filter) (lead int, walk bool, err error) {
	for i, f := range filters {
		switch {
		case f.set.SQL == "":
			continue
		case f.probe.SQL == "" && f.fence.SQL != "": // few contacts have it
			return i, false, nil
		case f.probe.SQL == "": // PostgreSQL's planner finds its way with this one
			return -1, false, nil
		}
		var count int
		if err := db.Raw("SELECT count(*) FROM (? LIMIT ?) AS found", f.probe, s.leads+1).Scan(&count).Error; err != nil {
			return -1, false, fmt.Errorf("estimate what a filter lets through: %w", err)
		}
		if count <= s.leads {
			return i, false, nil
		}
	}
	return -1, len(filters) > 0, nil
}

// ordered puts the list into its order, from after the query's position on. With the prefix "+", SQLite uses no index for it.
func ordered(db *gorm.DB, query contacts.Query, prefix string) *gorm.DB {
	column, descending := orderColumn(query.Sort)
	direction := " ASC"
	if descending {
		direction = " DESC"
	}
	if query.After != nil {
		db = within(db, query.Sort, ">", "<", *query.After, prefix)
	}
	if column != "" {
		db = db.Order(prefix + column + direction)
	}
	return db.Order(prefix + "id" + direction)
}

// within keeps the part of a list that is on one side of a position: up or down, as the list goes.
func within(db *gorm.DB, sort contacts.Sort, up, down string, at contacts.Position, prefix string) *gorm.DB {
	column, descending := orderColumn(sort)
	side := " " + up + " "
	if descending {
		side = " " + down + " "
	}
	switch column {
	case "search_name":
		return db.Where("("+prefix+column+", "+prefix+"id)"+side+"(?, ?)", at.Name, at.ID)
	case "updated_at":
		return db.Where("("+prefix+column+", "+prefix+"id)"+side+"(?, ?)", at.Updated.UTC(), at.ID)
	default:
		return db.Where(prefix+"id"+side+"?", at.ID)
	}
}

// orderColumn returns what an order goes by before the id, "" for nothing.
func orderColumn(sort contacts.Sort) (column string, descending bool) {
	key, descending := sort.Key()
	return map[contacts.Sort]string{contacts.SortName: "search_name", contacts.SortUpdated: "updated_at"}[key], descending
}
