package sqlstore

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"contacts/contacts"
	"contacts/platform/database"
)

// How much work one page may be, however many contacts a tenant has.
const (
	// maxIndexMatches is how many contacts are gathered by the index of a filter, and then put
	// into order.
	maxIndexMatches = 2000
	// maxScanned is how many contacts are looked at in the order of the list, for want of such
	// an index.
	maxScanned = 20_000
	// maxSampled is how many contacts are looked at, on PostgreSQL, to tell whether a part of
	// a text is one that many have.
	maxSampled = 200
	// commonOf is which part of the sample makes it common: one in so many. A page of those is
	// sooner found in the order of the list.
	commonOf = 40
)

// List implements [contacts.Repository]. On PostgreSQL a page takes one round trip, or two
// where a sample is taken, or where it has more than a part.
//
// A filter that lets few contacts through leads to them by its index; the others are then
// tested on each. Where all let many through, or have no index, contacts are tested in the
// order of the list, but no more than maxLooked for one page: the next one goes on from there.
func (s *Store) List(ctx context.Context, tenant contacts.Tenant, query contacts.Query) (contacts.Listing, error) {
	l := list{s, ctx, tenant, query}
	var listing contacts.Listing
	page := page{limit: query.Limit}
	for more := true; more; l.query.After = listing.Rest {
		l.query.Limit = page.part()
		var err error
		if more, err = l.part(&page, &listing); err != nil {
			return contacts.Listing{}, readError(ctx, "list contacts", err)
		}
		more = more && !page.full()
	}
	return listing, nil
}

// Count implements [contacts.Repository].
func (s *Store) Count(ctx context.Context, tenant contacts.Tenant, query contacts.Query) (contacts.Count, error) {
	query.Limit, query.After = contacts.MaxCount, nil
	l := list{s, ctx, tenant, query}
	selection, beyond, err := l.selection()
	if err != nil {
		return contacts.Count{}, readError(ctx, "count contacts", err)
	}
	var count contacts.Count
	if err := l.ask(into(&count.Contacts), selection.with("SELECT count(*) FROM (", ") AS found")); err != nil {
		return contacts.Count{}, readError(ctx, "count contacts", err)
	}
	if count.Contacts > contacts.MaxCount {
		return contacts.Count{Contacts: contacts.MaxCount, More: true}, nil
	}
	if beyond != nil { // not all were looked at
		rest, err := beyond()
		if err != nil {
			return contacts.Count{}, readError(ctx, "count contacts", err)
		}
		count.More = rest != nil
	}
	return count, nil
}

// list is a question for a part of a list.
type list struct {
	*Store

	ctx    context.Context
	tenant contacts.Tenant
	query  contacts.Query
}

// part adds up to query.Limit contacts to a listing, until the page is full, and notes from
// after where the list goes on. It reports whether it left out contacts that it has found.
func (l *list) part(page *page, listing *contacts.Listing) (more bool, err error) {
	selection, beyond, err := l.selection()
	if err != nil {
		return false, err
	}
	read := 0
	err = l.ask(func(rows database.Rows) error {
		for rows.Next() {
			if more = read == l.query.Limit || page.full(); more {
				return nil
			}
			var found scannedDocument
			var at contacts.Position
			if err := rows.Scan(append(found.into(), &at.Name, &at.Updated)...); err != nil {
				return err
			}
			read++
			page.add(len(found.json))
			listing.Items = append(listing.Items, contacts.Listed{Document: found.document(l.tenant), At: l.position(found, at)})
		}
		return nil
	}, selection)
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

// ask executes a statement.
func (l *list) ask(read func(database.Rows) error, e expr) error {
	whose := of(l.tenant)
	if l.plain() {
		whose = whose.keyed()
	}
	return l.readOnce(l.ctx, whose, read, e.text(l.db.Engine), e.args...)
}

// plain reports whether the list has no filters, so that the index of its order is all that it
// needs.
func (l *list) plain() bool {
	return len(l.query.Terms)+len(l.query.Values) == 0 && (l.query.UpdatedSince.IsZero() || l.byUpdate())
}

// position is a contact's place in the list.
func (l *list) position(found scannedDocument, at contacts.Position) contacts.Position {
	at.ID = found.id
	if !l.byUpdate() {
		at.Updated = time.Time{}
	}
	at.Updated = at.Updated.UTC()
	return at
}

// listColumns are what [list.part] reads.
func (l *list) listColumns() string { return documentColumns + ", " + l.placeColumns() }

// placeColumns are what [list.position] is told of beside the id: the key of the order, where
// it is by names.
func (l *list) placeColumns() string {
	if column := l.orderColumn(); column != "" && !l.byUpdate() {
		return column + ", updated_at"
	}
	return "NULL, updated_at"
}

// selection returns the statement for a part and one contact more. beyond tells from after
// where the list goes on if that does not fill the part, nil if nowhere; it is nil itself
// where the statement looks at the whole list.
func (l *list) selection() (selection expr, beyond func() (*contacts.Position, error), err error) {
	if l.db.Engine == database.Postgres {
		return l.postgresSelection()
	}
	return l.sqliteSelection()
}

// expr is a part of a statement, with a ? for each of its arguments.
type expr struct {
	sql  string
	args []any
}

// also adds a part behind another.
func (e expr) also(sql string, args ...any) expr {
	return expr{e.sql + sql, append(e.args[:len(e.args):len(e.args)], args...)}
}

// with puts a part between two texts.
func (e expr) with(before, after string, args ...any) expr {
	return expr{before + e.sql + after, append(e.args[:len(e.args):len(e.args)], args...)}
}

// text is the statement as the engine takes it.
func (e expr) text(engine database.Engine) string {
	if engine == database.SQLite {
		return e.sql
	}
	var b strings.Builder
	for i, part := range strings.Split(e.sql, "?") {
		if i > 0 {
			b.WriteString("$" + strconv.Itoa(i))
		}
		b.WriteString(part)
	}
	return b.String()
}

// filter is one condition of a query, in several forms.
type filter struct {
	set  expr // gives the contacts by an index; empty if there is none
	test expr // of a single contact
	// probe goes through what set gives, to be counted; on PostgreSQL it is there only where
	// the planner, which goes by what it has seen of the tables, has been seen to err: new
	// contacts are of times that it has not seen.
	probe expr
	// on PostgreSQL: the same as a table, on whose inside the order outside has no influence
	fence expr
	rows  bool // on SQLite: whether set gives rows by their numbers
	// on PostgreSQL: whether test is of parts of a text that are long enough for their index;
	// see [list.sample]
	parts bool
}

// byUpdate reports whether the list's order is that of updates.
func (l *list) byUpdate() bool {
	key, _ := l.query.Sort.Key()
	return key == contacts.SortUpdated
}

// trigram is how many characters a text needs to be found by its trigrams.
const trigram = 3

// filters returns the conditions of the query, those first that as a rule let the fewest
// contacts through: keyed makes those by a key, containing those by parts of a text, and since
// the one by the last update.
func (l *list) filters(
	keyed func(keys []string) filter, containing func(parts []string) filter, since func(at time.Time) filter,
) []filter {
	var filters []filter
	values := func(common bool) {
		for _, v := range l.query.Values {
			if v.Common == common {
				filters = append(filters, keyed(v.Keys))
			}
		}
	}
	values(false)
	for _, term := range l.query.Terms {
		filters = append(filters, containing(term))
	}
	values(true)
	if !l.query.UpdatedSince.IsZero() && !l.byUpdate() {
		filters = append(filters, since(l.query.UpdatedSince.UTC()))
	}
	return filters
}

// contains is the condition that search_text has one of the parts in it. short tells that one
// of them is too short for an index.
func contains(parts []string) (test expr, short bool) {
	tests := make([]string, len(parts))
	for i, part := range parts {
		short = short || utf8.RuneCountInString(part) < trigram
		tests[i] = `search_text LIKE ? ESCAPE '\'`
		test.args = append(test.args, "%"+strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(part)+"%")
	}
	test.sql = "(" + strings.Join(tests, " OR ") + ")"
	return test, short
}

// few reports whether a probe gives no more than maxLed rows.
func (l *list) few(probe expr) (bool, error) {
	var count int
	err := l.ask(into(&count), probe.with("SELECT count(*) FROM (", " LIMIT ?) AS found", l.leads+1))
	if err != nil {
		return false, fmt.Errorf("estimate what a filter lets through: %w", err)
	}
	return count <= l.leads, nil
}

// owned is the condition of the live contacts that the list is of. With the prefix "+" before
// a column, SQLite uses no index of it.
func (l *list) owned(prefix string) expr {
	e := expr{" WHERE " + prefix + "tenant_id = ? AND deleted_at IS NULL", []any{string(l.tenant)}}
	if l.byUpdate() && !l.query.UpdatedSince.IsZero() { // a part of the order
		e = e.also(" AND updated_at >= ?", l.query.UpdatedSince.UTC())
	}
	return e
}

// after is the condition that contacts come after the query's position.
func (l *list) after(prefix string) expr {
	if l.query.After == nil {
		return expr{}
	}
	return l.within(">", "<", *l.query.After, prefix)
}

// within is the condition that contacts are on one side of a position: up or down, as the list
// goes.
func (l *list) within(up, down string, at contacts.Position, prefix string) expr {
	column, descending := l.orderColumn(), l.descending()
	side := " " + up + " "
	if descending {
		side = " " + down + " "
	}
	switch {
	case column == "":
		return expr{" AND " + prefix + "id" + side + "?", []any{at.ID}}
	case l.byUpdate():
		return expr{" AND (" + prefix + column + ", " + prefix + "id)" + side + "(?, ?)", []any{at.Updated.UTC(), at.ID}}
	default:
		return expr{" AND (" + prefix + column + ", " + prefix + "id)" + side + "(?, ?)", []any{append([]byte{}, at.Name...), at.ID}}
	}
}

// order is the list's order.
func (l *list) order(prefix string) string {
	column, direction := l.orderColumn(), ""
	if l.descending() {
		direction = " DESC"
	}
	if column != "" {
		column = prefix + column + direction + ", "
	}
	return " ORDER BY " + column + prefix + "id" + direction
}

// orderColumn returns the column that an order by the key goes by before the id, "" for none.
func orderColumn(key contacts.Sort) string {
	switch key {
	case contacts.SortCreated:
		return ""
	case contacts.SortUpdated:
		return string(key)
	default:
		return string(key) + "_key"
	}
}

func (l *list) orderColumn() string {
	key, _ := l.query.Sort.Key()
	return orderColumn(key)
}

func (l *list) descending() bool {
	_, descending := l.query.Sort.Key()
	return descending
}

// whole is the list itself, before its filters: its statement goes on behind it.
func (l *list) whole(columns string) expr {
	owned, after := l.owned(""), l.after("")
	return owned.with("SELECT "+columns+" FROM contacts", "").also(after.sql, after.args...).also(l.order(""))
}

// looked returns the place of the last contact that is looked at, nil where the list ends
// before.
func (l *list) looked() (at *contacts.Position, err error) {
	err = l.ask(func(rows database.Rows) error {
		for rows.Next() {
			var found scannedDocument
			at = &contacts.Position{}
			if err := rows.Scan(&found.id, &at.Name, &at.Updated); err != nil {
				return err
			}
			*at = l.position(found, *at)
		}
		return nil
	}, l.whole("id, "+l.placeColumns()).also(" LIMIT 1 OFFSET ?", l.looks-1))
	return at, err
}
