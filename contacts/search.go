package contacts

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Sort is the order of a list: by one of the keys, ascending, or descending with a "-" before it.
// The order is total: what is equal by the key is ordered by id, in the same direction.
type Sort string

// The keys of a [Sort]. The order of creation is that of the ids, which are UUIDv7.
const (
	SortCreated Sort = "created_at"
	SortUpdated Sort = "updated_at"
	SortName    Sort = "name" // of display_name, without case and accents
)

// Sorts returns all orders there are.
func Sorts() []Sort {
	var all []Sort
	for _, key := range []Sort{SortCreated, SortUpdated, SortName} {
		all = append(all, key, "-"+key)
	}
	return all
}

// Key returns what the order is by, and whether it is descending.
func (s Sort) Key() (key Sort, descending bool) {
	name, descending := strings.CutPrefix(string(s), "-")
	return Sort(name), descending
}

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
	Name    string    // [Index.Name]; with SortName
	Updated time.Time // with SortUpdated
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

	values func(f Fields) []string             // a contact's, as they are kept
	forms  func(value, region string) []string // as a caller's value may be kept; none if it cannot be
}

// Lookups returns all lookups. Stores, clients and the API go by this table alone.
func Lookups() []Lookup { return slices.Clone(lookups) }

// lookups is never changed.
var lookups = []Lookup{
	{
		Parameter: "email", maxLength: maxKey, expected: expectedText, forms: foldedForm,
		values: func(f Fields) (values []string) {
			for _, e := range f.Emails {
				values = append(values, key(e.Address))
			}
			return values
		},
	},
	{
		Parameter: "label", maxLength: maxQuery, common: true, expected: expectedText, forms: foldedForm,
		values: func(f Fields) (values []string) {
			for _, label := range f.Labels {
				values = append(values, key(label))
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
				values = append(values, digits(p.Number), digits(p.E164))
			}
			return values
		},
	},
}

const expectedText = "expected text without control characters, or none of this parameter"

// foldedForm is the form of a value that is kept folded.
func foldedForm(value, _ string) []string {
	if value = key(value); value == "" {
		return nil
	}
	return []string{value}
}

// keyOf is the key of a value. It is a line.
func (l Lookup) keyOf(value string) string {
	return l.Parameter + ":" + strings.ReplaceAll(value, "\n", " ")
}

// Index is what contacts are found and ordered by: folded, so that case, accents and the notation
// of numbers do not count.
type Index struct {
	Text string   // of names, organization, emails, numbers' digits and addresses, a line each
	Name string   // of display_name
	Keys []string // one for each value of a [Lookup], sorted
}

// How much of a name counts for its order, and of a value by which contacts are found as a whole,
// in characters. Databases index no longer ones.
const (
	maxSortName = 100
	maxKey      = 254
)

// Index returns what the contact is found and ordered by.
//
// A release that gives something else for the same contact marks all contacts as to be reindexed,
// in a migration of the release after it: the workers of an older one would index as before.
func (c Contact) Index() Index {
	f := c.Fields
	ix := Index{Name: truncate(fold(f.DisplayName), maxSortName)}
	lines := []string{
		f.DisplayName, strings.Join([]string{f.FirstName, f.MiddleName, f.LastName}, " "), f.Nickname, f.NamePrefix, f.NameSuffix,
		f.Organization, f.Department, f.JobTitle, f.ExternalID,
	}
	for _, a := range f.Addresses {
		lines = append(lines, a.Street, a.City, a.Region, a.PostalCode, a.Country)
	}
	var text []string
	for _, line := range lines {
		if line = strings.Join(strings.Fields(fold(line)), " "); line != "" && !slices.Contains(text, line) {
			text = append(text, line)
		}
	}
	for _, lookup := range lookups {
		for _, value := range distinct(lookup.values(f)) {
			if value == "" {
				continue
			}
			ix.Keys = append(ix.Keys, lookup.keyOf(value))
			if !lookup.common {
				text = append(text, value)
			}
		}
	}
	slices.Sort(ix.Keys)
	ix.Text = strings.Join(text, "\n")
	return ix
}

func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}

// key folds a value by which contacts are found as a whole.
func key(value string) string { return truncate(fold(cleanText(value)), maxKey) }

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

// fold takes case and accents away (Unicode's full case folding, and compatibility decomposition
// without its marks).
func fold(text string) string {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] < utf8.RuneSelf
	}
	if plain {
		return strings.ToLower(text)
	}
	folded := norm.NFKD.String(cases.Fold().String(norm.NFKD.String(text)))
	folded = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, folded)
	return unaccented.Replace(folded)
}

// unaccented are the letters whose stroke or ligature Unicode does not take for an accent.
var unaccented = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ħ", "h", "ı", "i", "æ", "ae", "œ", "oe", "þ", "th", "ð", "d")

// digits are the decimal digits in a text, as ASCII.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, norm.NFKD.String(text))
}

// terms splits what people search for into parts that all have to be found, each with the forms in
// which it may be written. What looks like a phone number, in whatever notation, is one part, and
// is also looked for as digits.
func terms(q, region string) [][]string {
	words := strings.Fields(fold(q))
	whole := strings.Join(words, " ")
	if numeric(whole) {
		return [][]string{distinct(append(phoneKeys(whole, region), whole))}
	}
	var all [][]string
	for _, word := range words {
		forms := []string{word}
		if numeric(word) {
			forms = distinct(append(forms, digits(word)))
		}
		all = append(all, forms)
	}
	return all
}

// numeric reports whether a folded text has digits and otherwise only what numbers are written
// with.
func numeric(text string) bool {
	return strings.Trim(text, "0123456789 +-./()") == "" && strings.ContainsAny(text, "0123456789")
}

// phoneKeys are the digits that the number may be kept under: as it is written, and as it is
// dialled from abroad.
func phoneKeys(number, region string) []string {
	keys := []string{digits(number)}
	if parsed, err := phonenumbers.Parse(number, region); err == nil && phonenumbers.IsValidNumber(parsed) {
		if dialled := digits(phonenumbers.Format(parsed, phonenumbers.E164)); dialled != keys[0] {
			keys = append(keys, dialled)
		}
	}
	return keys
}

// Filter says which contacts to list, in the caller's words. The zero value lists all, in the order
// of their creation.
type Filter struct {
	Text         string            // any parts of a contact's names, organization, emails, numbers and addresses, in any case
	Values       map[string]string // by the parameters of [Lookups]; "" is no filter
	UpdatedSince time.Time
	Sort         Sort
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

// Effort is how much work a page of the filter is at the most, from 1 to 4, where 1 is a page of
// the whole list. Parts of one or two characters have no index: many contacts are looked at, one by
// one.
func (f Filter) Effort() int64 {
	short := func(word string) bool { return utf8.RuneCountInString(word) <= 2 }
	common := func(l Lookup) bool { return l.common && f.Values[l.Parameter] != "" }
	switch {
	case slices.ContainsFunc(strings.Fields(fold(f.Text)), short):
		return maxEffort
	case f.Text != "", !f.UpdatedSince.IsZero(), slices.ContainsFunc(lookups, common):
		return searchEffort
	default:
		return 1
	}
}

// query turns the filter into a query without a position, or returns an [Error] of [KindInvalid].
func (f Filter) query(region string) (Query, error) {
	q := Query{Terms: terms(f.Text, region), UpdatedSince: f.UpdatedSince, Sort: f.Sort}
	var violations []Violation
	// check holds a parameter's value to its limit. Nothing is no filter: it would let all through.
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

// cursor is the JSON form of a keyset cursor, which clients take as it is: the place of the last
// contact of its page.
type cursor struct {
	Sort    Sort      `json:"s"`
	ID      uuid.UUID `json:"i"`
	Name    string    `json:"n,omitempty"`
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
	if err != nil || c.Sort != sort || c.ID == uuid.Nil || !searchable(c.Name) {
		return nil, invalid(Violation{Pointer: "cursor", Message: "expected a next_cursor of this list, in the same order, or none to begin"})
	}
	return &Position{ID: c.ID, Name: c.Name, Updated: c.Updated}, nil
}
