package sqlstore

import "contacts/contacts"

// firstPart is how many rows a page reads first. By their length it is told how many more it
// can have: on PostgreSQL all rows that a statement selects travel, also those behind the end
// of the page.
const firstPart = contacts.DefaultPage

// page is a page that is being filled: with up to limit documents of [contacts.MaxPageBytes].
type page struct {
	limit, items, bytes int
}

func (p *page) add(bytes int) {
	p.items++
	p.bytes += bytes
}

func (p *page) full() bool { return p.items >= p.limit || p.bytes >= contacts.MaxPageBytes }

// part is how many rows to read next.
func (p *page) part() int {
	if p.items == 0 {
		return min(p.limit, firstPart)
	}
	average := 1 + p.bytes/p.items
	return min(p.limit-p.items, 1+(contacts.MaxPageBytes-p.bytes)/average)
}
