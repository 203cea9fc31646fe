package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// singleHeaders are the headers that a request may send once, of those that are read. With two
// of them it is not known which one is meant.
var singleHeaders = []string{"Authorization", "Content-Type", "Content-Encoding", "Last-Event-Id"}

// unambiguous returns a problem with the parts of a request that readers would drop or choose
// from in silence: query parameters that are malformed, empty or repeated, and repeated
// headers.
func unambiguous(r *http.Request) error {
	if faults := queryFaults(r.URL.RawQuery); len(faults) > 0 {
		return invalid(faults...)
	}
	return once(r.Header, singleHeaders...)
}

// once returns a problem if one of the headers, in their canonical form, was sent more than
// once.
func once(header http.Header, names ...string) error {
	for _, name := range names {
		if len(header[name]) > 1 {
			return newProblem(kindMalformed, "a header was repeated that a request has once", fault{Header: name, Detail: "expected once"})
		}
	}
	return nil
}

// queryFaults holds a query to "name=value" with one & between two of them, percent-encoded,
// each name once.
func queryFaults(raw string) []fault {
	if raw == "" {
		return nil
	}
	var faults []fault
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(raw, "&") {
		if len(faults) == maxFaults {
			break
		}
		written, value, _ := strings.Cut(pair, "=")
		written, _, _ = strings.Cut(written, ";")
		name, nameErr := url.QueryUnescape(written)
		text, valueErr := url.QueryUnescape(value)
		detail := ""
		switch {
		case strings.Contains(pair, ";"):
			detail = "expected no semicolon: write %3B within a value, and & between parameters"
		case nameErr != nil, valueErr != nil, !utf8.ValidString(name), !utf8.ValidString(text):
			detail = "expected percent-encoded UTF-8: write %25 for a percent sign"
		case name == "":
			detail = "expected name=value, with one & between two parameters"
		case text == "":
			detail = "expected a value, or none of this parameter"
		case seen[name]:
			detail = "expected once"
		}
		if nameErr != nil || !utf8.ValidString(name) {
			name = strings.ToValidUTF8(written, "�")
		}
		if detail != "" {
			faults = append(faults, fault{Parameter: contacts.Excerpt(name), Detail: detail})
		}
		seen[name] = true
	}
	return faults
}

// parameterFaults holds a query to an operation's parameters, by their schemas. huma would do
// so in its own words, and know fewer times than RFC 3339.
func parameterFaults(parameters []*huma.Param, query url.Values) []fault {
	var faults []fault
	for _, name := range slices.Sorted(maps.Keys(query)) {
		detail := "unknown query parameter"
		if i := slices.IndexFunc(parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name }); i >= 0 {
			detail = misfit(parameters[i].Schema, query.Get(name))
		}
		if detail != "" {
			faults = append(faults, fault{Parameter: contacts.Excerpt(name), Detail: detail})
		}
	}
	return faults
}

// misfit returns what the schema of a parameter expects, or "" if the value fits.
func misfit(s *huma.Schema, value string) string {
	switch {
	case s.Type == huma.TypeInteger:
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil || float64(n) < *s.Minimum || float64(n) > *s.Maximum {
			return fmt.Sprintf("expected an integer from %v to %v", *s.Minimum, *s.Maximum)
		}
	case s.Type == huma.TypeBoolean:
		if value != "true" && value != "false" {
			return "expected true or false"
		}
	case len(s.Enum) > 0:
		if !slices.Contains(s.Enum, any(value)) {
			return fmt.Sprintf("expected one of %q", s.Enum)
		}
	case s.MaxLength != nil:
		if utf8.RuneCountInString(value) > *s.MaxLength {
			return fmt.Sprintf("expected at most %d characters", *s.MaxLength)
		}
	case s.Format == "date-time":
		if _, err := parseTime(value); err != nil {
			return "expected a time of RFC 3339 such as 2026-01-31T00:00:00Z or 2026-01-31T00:00:00%2B01:00"
		}
	}
	return ""
}

// rfc3339 is the form of a time in RFC 3339, section 5.6, with a space for its T as well.
// time.Parse takes more, and no leap second.
var rfc3339 = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:)(\d{2})(\.\d+)?([Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$`)

// parseTime reads a time of RFC 3339. A leap second is the end of its minute.
func parseTime(text string) (time.Time, error) {
	part := rfc3339.FindStringSubmatch(text)
	if part == nil {
		return time.Time{}, errors.New("not a time of RFC 3339")
	}
	second, leap := part[3], time.Duration(0)
	if second == "60" {
		second, leap = "59", time.Second
	}
	at, err := time.Parse(time.RFC3339, part[1]+"T"+part[2]+second+part[4]+strings.ToUpper(part[5]))
	if leap > 0 && at.UTC().Format("15:04") != "23:59" {
		return at, errors.New("no leap second")
	}
	return at.Add(leap), err
}

// withoutQuery is the middleware of routes that are no operations, and have no parameters. See
// [api.guard] for those.
func withoutQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := unambiguous(c.Request()); err != nil {
			return err
		}
		if faults := parameterFaults(nil, c.QueryParams()); len(faults) > 0 {
			return invalid(faults...)
		}
		return next(c)
	}
}
