package contacts

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Query selects a page of live contacts. The zero values of Terms to UpdatedSince select all.
type Query struct {
	Terms        [][]string // of each, one has to be a part of [Index.Text]
	Values       []Values   // of each, one has to be one of [Index.Keys]
	UpdatedSince time.Time  // has to be no later than the contact's UpdatedAt
	Sort         Sort
	Limit        int       // 1 or more
	After        *Position // the last contact of the page before; nil for the first page
}

// Position is a place in a list: that of a contact which is, or was, there.
type Position struct {
	ID      uuid.UUID
	Name    []byte    // of [Index.Orders]; with an order by names
	Updated time.Time // with SortUpdated
}

// MaxCount is up to where contacts are counted.
const MaxCount = 10_000

// Count is how many contacts there are.
type Count struct {
	Contacts int
	More     bool // there may be more, which were not counted
}

// Listing is a part of a list.
type Listing struct {
	Items []Listed
	Rest  *Position // from after which the list goes on; nil where it has ended
}

// Listed is a contact in a list, with its place.
type Listed struct {
	Document

	At Position
}

// Values are the keys of which a [Query] asks for one: the forms of one value of a [Lookup].
type Values struct {
	Keys   []string
	Common bool // many contacts may have them
}

// Lookup is a filter by a whole value. A contact may have several, and has a key for each: see
// [Index.Keys].
type Lookup struct {
	Parameter string // its name in the API, and the kind of its keys
	maxLength int    // of a caller's value, in characters
	common    bool   // many contacts may share a value; it is no part of [Index.Text]
	expected  string

	values func(f Fields) []string // a contact's, as they are kept
	// as a caller's value may be kept; none if it cannot be
	forms func(value, region string) []string
}

// Lookups returns all lookups. Stores, clients and the API go by this table alone.
func Lookups() []Lookup { return slices.Clone(lookups) }

// lookups is never changed.
var lookups = []Lookup{
	{
		Parameter: "email", maxLength: 254, expected: "expected an email address such as jane@example.com",
		forms: func(value, _ string) []string {
			if value = cleanText(value); !isAddress(value) {
				return nil
			}
			return []string{addressIdentity(value)}
		},
		values: func(f Fields) (values []string) {
			for _, e := range f.Emails {
				values = append(values, addressIdentity(e.Address))
			}
			return values
		},
	},
	{
		Parameter: "external_id", maxLength: 255, expected: expectedText, forms: identityForm,
		values: func(f Fields) []string { return []string{identity(f.ExternalID)} },
	},
	{
		Parameter: "label", maxLength: maxQuery, common: true, expected: expectedText, forms: identityForm,
		values: func(f Fields) (values []string) {
			for _, label := range f.Labels {
				values = append(values, identity(label))
			}
			return values
		},
	},
	{
		Parameter: "phone", maxLength: maxQuery, expected: "expected a phone number such as +1 415 555 2671",
		forms: func(value, region string) []string {
			if digits(value) == "" {
				return nil
			}
			return phoneKeys(value, region)
		},
		values: func(f Fields) (values []string) {
			for _, p := range f.Phones {
				values = append(values, numberKey(p.Number), digits(p.E164))
			}
			return values
		},
	},
}

const expectedText = "expected text without control characters, or none of this parameter"

// identityForm is the form of a value that is kept by its identity. What is not visible has
// none.
func identityForm(value, _ string) []string {
	if value = cleanText(value); !visible(value) {
		return nil
	}
	return []string{identity(value)}
}

// keyOf is the key of a value. It is a line.
func (l Lookup) keyOf(value string) string {
	if utf8.RuneCountInString(value) > maxKey { // databases index no longer ones
		sum := sha256.Sum256([]byte(value))
		value = truncate(value, maxKey) + hex.EncodeToString(sum[:])
	}
	return l.Parameter + ":" + strings.ReplaceAll(value, "\n", " ")
}

// Index is what contacts are found and ordered by.
type Index struct {
	Text   string          // all that is searched, in search form, a line each
	Orders map[Sort][]byte // for each of [NameSorts], what sorts as the contact does
	Keys   []string        // one for each value of a [Lookup], sorted
}

// maxKey is how much of a value is kept as it is, in characters; of a longer one a hash stands
// for the rest.
const maxKey = 180

// Index returns what the contact is found and ordered by.
//
// A release that gives something else for the same contact marks all contacts as to be
// reindexed, in a migration of the release after it: the workers of an older one would index
// as before.
func (c Contact) Index() Index {
	if c.Deleted {
		return Index{}
	}
	f := c.Fields
	ix := Index{Orders: f.orders()}
	var text []string
	addLines := func(lines ...string) {
		for _, line := range lines {
			// "" is in all
			if !slices.ContainsFunc(text, func(other string) bool { return strings.Contains(other, line) }) {
				text = append(text, line)
			}
		}
	}
	length := 0
	add := func(texts ...string) {
		for _, text := range texts {
			if length > maxText { // what folding makes of a text can be 18 times as long
				return
			}
			form, out := searchForm(text), writtenOutWords(text)
			length += len(form) + len(out)
			addLines(form, out)
		}
	}
	add(
		f.DisplayName, strings.Join([]string{f.FirstName, f.MiddleName, f.LastName}, " "), f.familyFirst(), f.Nickname, f.NamePrefix,
		f.NameSuffix, f.Organization, f.Department, f.JobTitle,
	)
	for _, a := range f.Addresses {
		add(a.Street, a.City, a.Region, a.PostalCode, a.Country)
	}
	for _, e := range f.Emails {
		add(e.Address)
	}
	for _, p := range f.Phones {
		addLines(dialled(p)...)
		if !numeric(searchForm(p.Number)) { // or it is found by its digits
			add(p.Number)
		}
	}
	add(f.Notes)
	add(f.URLs...)
	for _, name := range slices.Sorted(maps.Keys(f.CustomFields)) {
		add(name, f.CustomFields[name].String())
	}
	for _, lookup := range lookups {
		for _, value := range distinct(lookup.values(f)) {
			if value == "" {
				continue
			}
			ix.Keys = append(ix.Keys, lookup.keyOf(value))
			if !lookup.common {
				add(value)
			}
		}
	}
	slices.Sort(ix.Keys)
	ix.Text = strings.Join(text, "\n")
	return ix
}

// maxText is about how much of a contact is searched, in bytes: names, addresses and numbers
// come first. Only a contact of ligatures that stand for many letters has more.
const maxText = 128 << 10

func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}

func truncate(text string, limit int) string {
	n := 0
	for i := range text {
		if n == limit {
			return text[:i]
		}
		n++
	}
	return text
}

// terms splits what people search for into parts that all have to be found, each with the
// forms in which it may be written. What looks like a phone number, in any notation, is
// one part, and is also looked for as digits.
func terms(q, region string) [][]string {
	whole := searchForm(q)
	if numeric(whole) {
		return [][]string{distinct(append(numberForms(whole, region), whole))}
	}
	out := words(writtenOut(q))
	var all [][]string
	for i, word := range words(whole) {
		forms := []string{word}
		if i < len(out) {
			forms = append(forms, out[i])
		}
		if numeric(word) {
			forms = append(forms, digits(word))
		}
		all = append(all, distinct(forms))
	}
	return all
}

// Filter says which contacts to list, in the caller's words. The zero value lists all, in the
// order of their creation.
type Filter struct {
	Text         string            // any parts of a contact's texts and numbers, as they look
	Values       map[string]string // by the parameters of [Lookups]; "" is no filter
	UpdatedSince time.Time
	Sort         Sort
	Count        bool // count the contacts, too
}

// How long a filter's texts may be, in characters, and how many words its text may have.
const (
	maxQuery = 200
	maxWords = 16
)

// The efforts of [Filter.Effort].
const (
	maxEffort    = 4
	searchEffort = 2
)

// Effort is how much work a page of the filter is at the most, from 1 to 4, where 1 is a page
// of the whole list. Parts of one or two characters have no index: many contacts are looked
// at, one by one.
func (f Filter) Effort() int64 {
	short := func(word string) bool { return utf8.RuneCountInString(word) <= 2 }
	common := func(l Lookup) bool { return l.common && f.Values[l.Parameter] != "" }
	switch {
	case slices.ContainsFunc(words(searchForm(f.Text)), short):
		return maxEffort
	case f.Text != "", f.Count, !f.UpdatedSince.IsZero(), slices.ContainsFunc(lookups, common):
		return searchEffort
	default:
		return 1
	}
}

// query turns the filter into a query without a position, or returns an [Error] of
// [KindInvalid].
func (f Filter) query(region string) (Query, error) {
	q := Query{Terms: terms(f.Text, region), UpdatedSince: f.UpdatedSince, Sort: f.Sort}
	if part := q.UpdatedSince.Nanosecond() % 1000; part > 0 { // contacts have whole microseconds
		q.UpdatedSince = q.UpdatedSince.Add(time.Microsecond - time.Duration(part))
	}
	// by its offset; as a text, which it is in SQLite, it would come before all others
	if q.UpdatedSince.UTC().Year() > 9999 {
		q.UpdatedSince = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	}
	var violations []Violation
	// check holds a parameter's value to its limit. Nothing is no filter: it would let all
	// through.
	check := func(parameter, value string, limit int, found bool, expected string) {
		switch {
		case value == "":
		case utf8.RuneCountInString(value) > limit:
			violations = append(violations, Violation{parameter, fmt.Sprintf("expected at most %d characters", limit)})
		case !found || !searchable(value):
			violations = append(violations, Violation{parameter, expected})
		}
	}
	check("q", f.Text, maxQuery, len(q.Terms) > 0, expectedText)
	if len(q.Terms) > maxWords {
		violations = append(violations, Violation{"q", fmt.Sprintf("expected at most %d words", maxWords)})
	}
	for _, lookup := range lookups {
		value := f.Values[lookup.Parameter]
		if value == "" {
			continue
		}
		keys := lookup.forms(value, region)
		check(lookup.Parameter, value, lookup.maxLength, len(keys) > 0, lookup.expected)
		for i := range keys {
			keys[i] = lookup.keyOf(keys[i])
		}
		q.Values = append(q.Values, Values{keys, lookup.common})
	}
	if q.Sort == "" {
		q.Sort = SortCreated
	}
	if !slices.Contains(Sorts(), q.Sort) {
		violations = append(violations, Violation{"sort", fmt.Sprintf("expected one of %q", Sorts())})
	}
	if len(violations) > 0 {
		return Query{}, invalid(violations...)
	}
	return q, nil
}

// searchable reports whether a text can stand in a database.
func searchable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// cursor is the JSON form of a keyset cursor, which clients take as it is: the place of the
// last contact of its page.
type cursor struct {
	Sort    Sort      `json:"s"`
	ID      uuid.UUID `json:"i"`
	Name    []byte    `json:"n,omitempty"`
	Updated time.Time `json:"u,omitzero"`
}

func encodeCursor(sort Sort, at Position) (string, error) {
	raw, err := Encode(cursor{sort, at.ID, at.Name, at.Updated})
	if err != nil {
		return "", fmt.Errorf("encode a cursor: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// decodeCursor returns the position in a list of that order, nil for "".
func decodeCursor(sort Sort, text string) (*Position, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the beginning has no position
	}
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil || c.Sort != sort || c.ID == uuid.Nil {
		return nil, invalid(Violation{Pointer: "cursor", Message: "expected a next_cursor of this list, in the same order, or none to begin"})
	}
	return &Position{ID: c.ID, Name: c.Name, Updated: c.Updated}, nil
}
