package contacts

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// Normalize returns the fields as they are stored, or an [Error] of [KindInvalid] with every
// broken rule.
//
// Text is trimmed and brought to Unicode's form C; the shorthands email and phone and the
// first entries of their lists agree; phone numbers get their E.164 form, read as numbers of
// region (ISO 3166-1 alpha-2, or "" to read only those that begin with +); labels and links
// lose their repetitions; display_name is composed where it was not given. Normalizing twice
// changes nothing.
func (f Fields) Normalize(region string) (Fields, error) { return f.normalize(region, false) }

// normalize is Normalize. With apart, email and phone may differ from their lists, and then
// stay as they are: what they stand for depends on the contact that the fields are for. See
// [Fields.reconciled].
func (f Fields) normalize(region string, apart bool) (Fields, error) {
	n := normalizer{aliases: map[string]string{}, apart: apart}
	f = n.texts(f)
	f = n.shorthands(f)
	f.Emails = n.emails(f.Emails)
	f.Phones = n.phones(f.Phones, region)
	f.Addresses = n.addresses(f.Addresses)
	f.URLs = n.list("/urls", f.URLs, checkURL, func(url string) string { return url })
	f.Labels = n.list("/labels", f.Labels, nil, identity)
	f.CustomFields = n.customFields(f.CustomFields)
	f.Birthday = n.birthday(f.Birthday)

	f.Email, f.Phone = cmp.Or(n.email, f.primaryEmail()), cmp.Or(n.phone, f.primaryPhone())
	if f.DisplayName == "" {
		f.DisplayName = f.composedName()
	}
	if f.DisplayName == "" && len(n.violations) == 0 {
		n.violate("", "expected at least one of a name, an email, a phone or an organization")
	}
	if len(n.violations) > 0 {
		return Fields{}, invalid(n.violations...)
	}
	if body, err := Encode(f); err != nil || len(body) > MaxDocument {
		return Fields{}, invalid(Violation{Message: fmt.Sprintf("expected at most %d bytes of JSON in all", MaxDocument)})
	}
	return f, nil
}

// composedName is the display name of a contact that was given none.
func (f Fields) composedName() string {
	names := []string{f.FirstName, f.MiddleName, f.LastName}
	if family := f.familyFirst(); family != "" {
		names = []string{family}
	}
	parts := slices.DeleteFunc(slices.Concat([]string{f.NamePrefix}, names, []string{f.NameSuffix}), func(part string) bool { return part == "" })
	// A prefix or a suffix alone is no name.
	if f.FirstName+f.MiddleName+f.LastName != "" {
		return strings.Join(parts, " ")
	}
	for _, name := range []string{f.Nickname, f.Organization, f.primaryEmail(), f.primaryPhone()} {
		if name != "" {
			return name
		}
	}
	return ""
}

// familyFirst returns the name as it is written in Han characters, kana and Hangul: the family
// name first, and no space. It is "" for a name in other letters.
func (f Fields) familyFirst() string {
	name := f.LastName + f.FirstName + f.MiddleName
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.In(r, eastAsian...) && !strings.ContainsRune("ーｰﾞﾟ", r) }) {
		return ""
	}
	return name
}

var eastAsian = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul}

// following returns the fields with a display name that follows what it is composed of, where
// the one composed of the fields before was sent back along with it.
func (f Fields) following(before Fields) Fields {
	named := func(f Fields) bool { return f.FirstName+f.MiddleName+f.LastName != "" }
	if f.DisplayName == before.DisplayName && before.DisplayName == before.composedName() && (named(f) || !named(before)) {
		f.DisplayName = cmp.Or(f.composedName(), f.DisplayName)
	}
	return f
}

// reconciled returns normalized fields in which email and phone agree with their lists. Where
// they do not, and the list is the one of the fields before, the caller has changed the
// shorthand of what it had read. Otherwise it is not known which of the two is meant: that is
// an [Error] of [KindInvalid].
func (f Fields) reconciled(before Fields, region string) (Fields, error) {
	if f.Email == f.primaryEmail() && f.Phone == f.primaryPhone() {
		return f, nil
	}
	if slices.Equal(f.Emails, before.Emails) {
		f.Emails = withFirst(f.Emails, f.Email, addressIn, addressIdentity)
	}
	if slices.EqualFunc(f.Phones, before.Phones, sameEntry) {
		f.Phones = withFirst(f.Phones, f.Phone, numberIn, numberIdentity)
	}
	return f.Normalize(region)
}

// sameEntry compares what callers give of numbers.
func sameEntry(a, b PhoneNumber) bool { return a.Number == b.Number && a.Label == b.Label }

func addressIn(e *EmailAddress) *string { return &e.Address }
func numberIn(p *PhoneNumber) *string   { return &p.Number }

// withFirst returns a list with value as its first entry: the entry that has it comes to the
// front, or else the first one takes it. With "" the first entry is left out.
func withFirst[E any](list []E, value string, in func(*E) *string, identity func(string) string) []E {
	if cleanText(value) == "" {
		return list[min(1, len(list)):]
	}
	list = slices.Clone(list)
	same := slices.IndexFunc(list, func(e E) bool { return identity(*in(&e)) == identity(cleanText(value)) })
	switch {
	case same > 0:
		entry := list[same]
		list = slices.Insert(slices.Delete(list, same, same+1), 0, entry)
	case len(list) == 0:
		list = make([]E, 1)
	}
	*in(&list[0]) = value
	return list
}

func (f Fields) primaryEmail() string {
	if len(f.Emails) == 0 {
		return ""
	}
	return f.Emails[0].Address
}

func (f Fields) primaryPhone() string {
	if len(f.Phones) == 0 {
		return ""
	}
	return f.Phones[0].Number
}

// limits is what [Limits] returns. It is never changed.
var limits = Limits()

// normalizer collects every violation instead of stopping at the first.
type normalizer struct {
	violations []Violation
	// from the pointer of what a shorthand stands for to that of the shorthand
	aliases map[string]string

	apart        bool // the shorthands may differ from their lists
	email, phone string
}

func (n *normalizer) violate(pointer, format string, args ...any) {
	if alias, ok := n.aliases[pointer]; ok {
		pointer = alias
	}
	n.violations = append(n.violations, Violation{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
}

// text cleans one value, the member name of what the pointer at points to, and holds it to the
// limit under key.
func (n *normalizer) text(at, name, key, value string) string {
	value = cleanText(value)
	if limit := limits[key]; utf8.RuneCountInString(value) > limit {
		n.violate(at+"/"+name, "expected at most %d characters", limit)
	}
	multiline := key == "notes" || key == "addresses/*/street" || key == "custom_fields/*"
	if strings.ContainsFunc(value, func(r rune) bool {
		return unicode.IsControl(r) && (!multiline || (r != '\n' && r != '\r' && r != '\t'))
	}) {
		n.violate(at+"/"+name, "expected no control characters")
	}
	if value != "" && !visible(value) {
		n.violate(at+"/"+name, "expected a character that can be seen")
	}
	return value
}

// CheckRegion reports what is wrong with a region for [Fields.Normalize].
func CheckRegion(region string) error {
	if region != "" && !phonenumbers.GetSupportedRegions()[region] {
		return errors.New("expected a country's two letters of ISO 3166-1, as in PE, or nothing")
	}
	return nil
}

// cleanText is text without spaces around it, in Unicode's form C.
func cleanText(text string) string { return strings.TrimSpace(norm.NFC.String(text)) }

// entries reports whether there are entries to look at: some, and no more than the limit under
// key.
func (n *normalizer) entries(key string, count int) bool {
	if limit := limits[key]; count > limit {
		n.violate("/"+key, "expected at most %d entries", limit)
		return false
	}
	return count > 0
}

func (n *normalizer) texts(f Fields) Fields {
	for _, text := range []struct {
		name  string
		value *string
	}{
		{"department", &f.Department},
		{"display_name", &f.DisplayName},
		{"external_id", &f.ExternalID},
		{"first_name", &f.FirstName},
		{"job_title", &f.JobTitle},
		{"last_name", &f.LastName},
		{"middle_name", &f.MiddleName},
		{"name_prefix", &f.NamePrefix},
		{"name_suffix", &f.NameSuffix},
		{"nickname", &f.Nickname},
		{"notes", &f.Notes},
		{"organization", &f.Organization},
	} {
		*text.value = n.text("", text.name, text.name, *text.value)
	}
	return f
}

// shorthands brings email and phone into their lists.
func (n *normalizer) shorthands(f Fields) Fields {
	const disagree = "expected the same as the first entry of the list: change both, or leave one of the two out"
	if email := cleanText(f.Email); email != "" {
		switch {
		case f.Emails == nil:
			f.Emails = []EmailAddress{{Address: email}}
			n.aliases["/emails/0/address"] = "/email"
		case email == cleanText(f.primaryEmail()):
		case n.apart && len(f.Emails) > 0:
			n.email = n.address("", "email", email)
		default:
			n.violate("/email", disagree)
		}
	}
	if phone := cleanText(f.Phone); phone != "" {
		switch {
		case f.Phones == nil:
			f.Phones = []PhoneNumber{{Number: phone}}
			n.aliases["/phones/0/number"] = "/phone"
		case phone == cleanText(f.primaryPhone()):
		case n.apart && len(f.Phones) > 0:
			n.phone = n.number("", "phone", phone)
		default:
			n.violate("/phone", disagree)
		}
	}
	return f
}

func (n *normalizer) address(at, name, value string) string {
	value = n.text(at, name, "emails/*/address", value)
	if !isAddress(value) {
		n.violate(at+"/"+name, "expected an email address such as jane@example.com")
	}
	return value
}

func (n *normalizer) number(at, name, value string) string {
	value = n.text(at, name, "phones/*/number", value)
	if digits(value) == "" {
		n.violate(at+"/"+name, "expected a phone number such as +1 415 555 2671")
	}
	return value
}

func (n *normalizer) emails(emails []EmailAddress) []EmailAddress {
	if !n.entries("emails", len(emails)) {
		return nil
	}
	normal, seen := make([]EmailAddress, 0, len(emails)), make([]string, 0, len(emails))
	for i, e := range emails {
		at := "/emails/" + strconv.Itoa(i)
		e.Address = n.address(at, "address", e.Address)
		e.Label = n.text(at, "label", "emails/*/label", e.Label)
		identity := addressIdentity(e.Address)
		if same := slices.Index(seen, identity); same >= 0 {
			normal[same].Label = cmp.Or(normal[same].Label, e.Label)
			continue
		}
		normal, seen = append(normal, e), append(seen, identity)
	}
	return normal
}

func (n *normalizer) phones(phones []PhoneNumber, region string) []PhoneNumber {
	if !n.entries("phones", len(phones)) {
		return nil
	}
	normal, seen := make([]PhoneNumber, 0, len(phones)), make([]string, 0, len(phones))
	for i, p := range phones {
		at := "/phones/" + strconv.Itoa(i)
		p.Number = n.number(at, "number", p.Number)
		p.Label = n.text(at, "label", "phones/*/label", p.Label)
		p.E164 = e164Of(p.Number, region)
		identity := numberIdentity(p.Number)
		if same := slices.Index(seen, identity); same >= 0 {
			normal[same].Label = cmp.Or(normal[same].Label, p.Label)
			continue
		}
		normal, seen = append(normal, p), append(seen, identity)
	}
	return normal
}

func (n *normalizer) addresses(addresses []PostalAddress) []PostalAddress {
	if !n.entries("addresses", len(addresses)) {
		return nil
	}
	normal := make([]PostalAddress, 0, len(addresses))
	for i, a := range addresses {
		at := "/addresses/" + strconv.Itoa(i)
		for _, part := range []struct {
			name  string
			value *string
		}{
			{"street", &a.Street},
			{"city", &a.City},
			{"region", &a.Region},
			{"postal_code", &a.PostalCode},
			{"country", &a.Country},
			{"label", &a.Label},
		} {
			*part.value = n.text(at, part.name, "addresses/*/"+part.name, *part.value)
		}
		if (a == PostalAddress{Label: a.Label}) {
			n.violate(at, "expected at least one of street, city, region, postal_code or country")
		}
		normal = append(normal, a)
	}
	return normal
}

// list normalizes a list of plain texts, keeps the first of those of equal identity, and holds
// each to check.
func (n *normalizer) list(pointer string, values []string, check, identity func(string) string) []string {
	key := pointer[1:]
	if !n.entries(key, len(values)) {
		return nil
	}
	normal, seen := make([]string, 0, len(values)), make([]string, 0, len(values))
	for i, value := range values {
		at := pointer + "/" + strconv.Itoa(i)
		value = n.text(pointer, strconv.Itoa(i), key+"/*", value)
		switch {
		case value == "":
			n.violate(at, "expected text")
		case slices.Contains(seen, identity(value)):
			continue
		case check != nil:
			if broken := check(value); broken != "" {
				n.violate(at, "%s", broken)
			}
		}
		normal, seen = append(normal, value), append(seen, identity(value))
	}
	return normal
}

// checkURL refuses what is not a link, and what a browser would run.
func checkURL(value string) string {
	u, err := url.Parse(value)
	if err != nil || u.Host == "" || slices.Contains([]string{"", "javascript", "data", "vbscript"}, u.Scheme) {
		return "expected an absolute URL such as https://example.com"
	}
	return ""
}

func (n *normalizer) customFields(custom map[string]CustomValue) map[string]CustomValue {
	if !n.entries("custom_fields", len(custom)) {
		return nil
	}
	normal := make(map[string]CustomValue, len(custom))
	for _, name := range slices.Sorted(maps.Keys(custom)) {
		at := "/custom_fields/" + EscapePointer(name)
		clean := cleanText(name)
		if !visible(clean) || utf8.RuneCountInString(clean) > maxCustomFieldName || strings.ContainsFunc(clean, unicode.IsControl) {
			n.violate(at, "expected a name of 1 to %d visible characters", maxCustomFieldName)
		}
		if _, twice := normal[clean]; twice {
			n.violate(at, "expected each name once; spaces around it and the way accents are encoded do not count")
		}
		value := custom[name]
		switch {
		case !value.literal:
			value.text = n.text("/custom_fields", EscapePointer(name), "custom_fields/*", value.text)
		case !value.exact():
			n.violate(at, "expected a number of at most %d digits that a double can hold, or a string", maxDigits)
		}
		normal[clean] = value
	}
	return normal
}

// birthday accepts a date, and one without its year, its day, or its day and month (RFC 6350,
// 4.3.1).
func (n *normalizer) birthday(value string) string {
	value = strings.TrimSpace(value)
	if value == "" {
		return ""
	}
	date := value
	if short, ok := strings.CutPrefix(value, "--"); ok {
		date = "2000-" + short // a leap year, so that --02-29 stands
	}
	for _, layout := range []string{time.DateOnly, "2006-01", "2006"} {
		if _, err := time.Parse(layout, date); err == nil && (date == value || layout == time.DateOnly) {
			return value
		}
	}
	n.violate("/birthday", "expected a date as YYYY-MM-DD, YYYY-MM, YYYY, or --MM-DD without a year")
	return value
}

// EscapePointer writes a name as a token of a JSON pointer (RFC 6901, section 3). Of a name
// that is longer than any may be it writes the beginning, so that errors stay short.
func EscapePointer(name string) string { return escapes.Replace(Excerpt(name)) }

// Excerpt returns a name from outside as errors show it: the first [maxCustomFieldName]
// characters.
func Excerpt(name string) string {
	if short := truncate(name, maxCustomFieldName); short != name {
		return short + "…"
	}
	return name
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")
