package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// singleHeaders are the headers that a request may send once, of those that are read. With two of
// them it is not known which one is meant.
var singleHeaders = []string{"Authorization", "Content-Type", "Content-Encoding", "Last-Event-Id"}

// unambiguous returns a problem with the parts of a request that readers would drop or choose from
// in silence: query parameters that are malformed, empty or repeated, and repeated headers.
func unambiguous(r *http.Request) error {
	if faults := queryFaults(r.URL.RawQuery); len(faults) > 0 {
		return invalid(faults...)
	}
	return once(r.Header, singleHeaders...)
}

// once returns a problem if one of the headers, in their canonical form, was sent more than once.
func once(header http.Header, names ...string) error {
	for _, name := range names {
		if len(header[name]) > 1 {
			return newProblem(kindMalformed, "a header was repeated that a request has once", fault{Header: name, Detail: "expected once"})
		}
	}
	return nil
}

// queryFaults holds a query to "name=value" with one & between two of them, percent-encoded, each
// name once.
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

// withoutQuery is the middleware of routes that are no operations, and have no parameters. See
// [api.guard] for those.
func withoutQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if err := unambiguous(c.Request()); err != nil {
			return err
		}
		var unknown []fault
		for _, name := range slices.Sorted(maps.Keys(c.QueryParams())) {
			unknown = append(unknown, fault{Parameter: contacts.Excerpt(name), Detail: "unknown query parameter"})
		}
		if len(unknown) > 0 {
			return invalid(unknown...)
		}
		return next(c)
	}
}
