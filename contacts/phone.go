package contacts

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// e164Of returns the E.164 form (ITU-T E.164) of a text that is one number, with an extension
// at most, which E.164 has no place for. Of anything else it returns "": a wrong number is
// worse than none. A number that does not begin with + is read as one of region.
func e164Of(text, region string) string {
	parts := oneNumber.FindStringSubmatch(searchForm(text))
	if parts == nil {
		return ""
	}
	number := strings.TrimSpace(parts[1])
	if strings.HasSuffix(number, ")") { // a remark, as the number of a copy
		return ""
	}
	// What stands behind a slash is the number, behind an area code, or else the end of
	// another number.
	if area, rest, slashed := strings.Cut(number, "/"); slashed && (len(digits(area)) > maxAreaCode || len(digits(rest)) < minSubscriber) {
		return ""
	}
	parsed, err := phonenumbers.Parse(number, region)
	if err != nil || !phonenumbers.IsValidNumber(parsed) {
		return ""
	}
	return phonenumbers.Format(parsed, phonenumbers.E164)
}

// oneNumber matches the search form of one number, and takes it apart from the marks that say
// that it is one (RFC 3966) or has an extension (as people and libphonenumber write them).
var oneNumber = regexp.MustCompile(`^(?:tel:)?(\(?\+?[0-9 ().-]*[0-9][0-9 ().-]*(?:/[0-9 ().-]+)?)` +
	`(?:[ ,;]*(?:ext(?:ension|n)?|x|#|доб(?:авочныи)?|anexo|ramal|int|durchwahl|dw)[ .:=]*[0-9]{1,7} *)?$`)

// How many digits an area code has at the most, with the country's code before it, and a
// subscriber's number at the least.
const (
	maxAreaCode   = 8
	minSubscriber = 4
)

// digits are the decimal digits in a text, of any script, as ASCII.
func digits(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case '0' <= r && r <= '9':
			return r
		case r >= utf8.RuneSelf && unicode.Is(unicode.Nd, r):
			return rune(digit(r))
		default:
			return -1
		}
	}, norm.NFKD.String(text))
}

// dialled are the digits that a number is dialled by: as it is written, from abroad, and
// within its country.
func dialled(p PhoneNumber) []string {
	all := []string{digits(p.Number), digits(p.E164)}
	if parsed, err := phonenumbers.Parse(p.E164, ""); err == nil {
		all = append(all, digits(phonenumbers.Format(parsed, phonenumbers.NATIONAL)))
	}
	return all
}

// numberKey is what a number is kept under as it is written: its digits, and the letters of
// one that has some.
func numberKey(number string) string {
	if form := searchForm(number); !numeric(form) {
		return form
	}
	return digits(number)
}

// phoneKeys are what a whole number may be kept under: as it is written, and as it is dialled
// from abroad.
func phoneKeys(number, region string) []string {
	keys := []string{numberKey(number)}
	if e164 := digits(e164Of(number, region)); e164 != "" && e164 != keys[0] {
		keys = append(keys, e164)
	}
	return keys
}

// numberForms are the digits by which a number, or a part of one, may be found: beside those
// of the whole, without the prefix of a call abroad, and without a "(0)" that is not dialled
// from there.
func numberForms(number, region string) []string {
	forms := phoneKeys(number, region)
	if abroad, ok := strings.CutPrefix(forms[0], "00"); ok && abroad != "" {
		forms = append(forms, abroad)
	}
	if abroad := strings.Replace(number, "(0)", "", 1); abroad != number && digits(abroad) != "" {
		forms = append(forms, digits(abroad))
	}
	return forms
}

// numberIdentity folds a number that is compared as a whole: one and the same number is
// written in many ways.
func numberIdentity(number string) string {
	form := searchForm(number)
	if numeric(form) {
		return strings.Map(func(r rune) rune {
			if r == '+' || '0' <= r && r <= '9' {
				return r
			}
			return -1
		}, form)
	}
	return form
}

// numeric reports whether a search form has digits and otherwise only what numbers are written
// with.
func numeric(form string) bool {
	return strings.Trim(form, "0123456789 +-./()") == "" && strings.ContainsAny(form, "0123456789")
}
