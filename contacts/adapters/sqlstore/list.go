package sqlstore

import (
	"context"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

// List implements [contacts.Repository].
func (s *Store) List(ctx context.Context, tenant contacts.Tenant, query contacts.Query) ([]contacts.Listed, error) {
	db, done := s.reading(ctx)
	defer done()
	var rows []contactRow
	if err := s.selection(db, tenant, query).Find(&rows).Error; err != nil {
		return nil, readError(ctx, "list contacts", err)
	}
	sort, _ := query.Sort.Key()
	items := make([]contacts.Listed, len(rows))
	for i, row := range rows {
		contact := row.contact()
		document, err := documentOf(contact)
		if err != nil {
			return nil, err
		}
		items[i] = contacts.Listed{Document: document, At: contacts.Position{ID: row.ID}}
		switch sort {
		case contacts.SortName:
			items[i].At.Name = row.SearchName
		case contacts.SortUpdated:
			items[i].At.Updated = contact.UpdatedAt
		}
	}
	return items, nil
}

// selection is the statement of a query. Every filter and every order has an index; see TestStore_List_Plans.
func (s *Store) selection(db *gorm.DB, tenant contacts.Tenant, query contacts.Query) *gorm.DB {
	db = db.Model(&contactRow{}).Where("tenant_id = ? AND deleted_at IS NULL", string(tenant))
	for _, term := range query.Terms {
		db = s.containing(db, term)
	}
	keyed := func(kind string, values ...string) {
		db = db.Where("id IN (SELECT contact_id FROM contact_keys WHERE tenant_id = ? AND kind = ? AND value IN ?)",
			string(tenant), kind, values)
	}
	if query.Email != "" {
		keyed(emailKey, query.Email)
	}
	if len(query.Phones) > 0 {
		keyed(phoneKey, query.Phones...)
	}
	if query.Label != "" {
		keyed(labelKey, query.Label)
	}
	if !query.UpdatedSince.IsZero() {
		db = db.Where("updated_at >= ?", query.UpdatedSince.UTC())
	}
	return ordered(db, query).Limit(query.Limit)
}

// trigram is how many characters a text needs to be found by its trigrams.
const trigram = 3

// containing adds that search_text contains the term. A term that is too short for the index of parts is looked for in the
// order of the list.
func (s *Store) containing(db *gorm.DB, term string) *gorm.DB {
	if s.db.Engine == database.SQLite && utf8.RuneCountInString(term) >= trigram {
		phrase := `"` + strings.ReplaceAll(term, `"`, `""`) + `"`
		return db.Where("row_id IN (SELECT rowid FROM contacts_search WHERE contacts_search MATCH ?)", phrase)
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(term) + "%"
	return db.Where(`search_text LIKE ? ESCAPE '\'`, pattern)
}

// ordered puts the list into its order, from after the query's position on.
func ordered(db *gorm.DB, query contacts.Query) *gorm.DB {
	key, descending := query.Sort.Key()
	direction, beyond := " ASC", ">"
	if descending {
		direction, beyond = " DESC", "<"
	}
	column := map[contacts.Sort]string{contacts.SortName: "search_name", contacts.SortUpdated: "updated_at"}[key]
	if column == "" {
		if query.After != nil {
			db = db.Where("id "+beyond+" ?", query.After.ID)
		}
		return db.Order("id" + direction)
	}
	if query.After != nil {
		var value any = query.After.Name
		if key == contacts.SortUpdated {
			value = query.After.Updated.UTC()
		}
		db = db.Where("("+column+", id) "+beyond+" (?, ?)", value, query.After.ID)
	}
	return db.Order(column + direction + ", id" + direction)
}
