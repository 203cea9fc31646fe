package httpapi

import (
	"strconv"
	"strings"
	"time"

	"contacts/contacts"
)

// write reads the headers that say how a write of an existing contact is to be made, and
// returns a problem with all their faults.
func (a *api) write(r *request) (contacts.Write, error) {
	versions, err := ifMatch(r.header().Values("If-Match"))
	write, faults := a.preferred(r)
	if err != "" {
		faults = append(faults, fault{Header: "If-Match", Detail: err})
	}
	if len(faults) > 0 {
		return contacts.Write{}, invalid(faults...)
	}
	write.IfMatch = versions
	return write, nil
}

// unconditionalWrite is write for a contact that may not be there yet: its version is not
// known.
func (a *api) unconditionalWrite(r *request) (contacts.Write, error) {
	write, faults := a.preferred(r)
	if len(r.header().Values("If-Match")) > 0 {
		faults = append(faults, fault{Header: "If-Match", Detail: "expected on PUT, PATCH and DELETE of a contact by its id only"})
	}
	if len(faults) > 0 {
		return contacts.Write{}, invalid(faults...)
	}
	return write, nil
}

// preferred reads what all writes have, and tells the caller which of its preferences count.
func (a *api) preferred(r *request) (contacts.Write, []fault) {
	var faults []fault
	key, err := idempotencyKey(r.header().Values("Idempotency-Key"))
	if err != "" {
		faults = append(faults, fault{Header: "Idempotency-Key", Detail: err})
	}
	if len(r.header().Values("If-None-Match")) > 0 {
		// Doing the write regardless would break what the caller relies on.
		faults = append(faults, fault{Header: "If-None-Match", Detail: "expected on GET and HEAD only"})
	}
	preference := parsePrefer(r.header().Values("Prefer"))
	if applied := preference.applied(); applied != "" {
		r.echo.Response().Header().Set("Preference-Applied", applied)
	}
	return contacts.Write{
		IdempotencyKey: key,
		Wait:           preference.patience(a.writeWait),
	}, faults
}

const maxIdempotencyKey = 255

// idempotencyKey reads the lines of the header Idempotency-Key
// (draft-ietf-httpapi-idempotency-key-header): a quoted string of RFC 9651. Because so many
// clients send the bare key, one of visible ASCII stands for the same in quotes. It returns
// what was expected if the key is neither.
func idempotencyKey(lines []string) (key, expected string) {
	const form = `expected one quoted string of 1 to 255 characters of ASCII, such as "5ad0c1b2"`
	switch {
	case len(lines) == 0:
		return "", ""
	case len(lines) > 1:
		return "", form
	}
	key = strings.Trim(lines[0], " \t")
	if quoted, ok := strings.CutPrefix(key, `"`); ok {
		unquoted, rest, ok := unquote(quoted)
		if !ok || rest != "" {
			return "", form
		}
		key = unquoted
	} else if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || strings.ContainsRune(`"\,;`, r) }) {
		return "", form
	}
	if key == "" || len(key) > maxIdempotencyKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
		return "", form
	}
	return key, ""
}

// unquote reads a string whose opening quote was read, with RFC 9651's escapes: \" and \\.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// preference is what a caller prefers of a write (RFC 7240).
type preference struct {
	respondAsync bool
	wait         time.Duration // -1: nothing said
}

// parsePrefer reads the lines of the header Prefer. Preferences that are unknown or make no
// sense are ignored, and the first of equal ones counts, as section 2 says.
func parsePrefer(lines []string) preference {
	p := preference{wait: -1}
	for _, line := range lines {
		for _, item := range splitQuoted(line, ',') {
			item = splitQuoted(item, ';')[0]
			name, value, _ := strings.Cut(item, "=")
			value = strings.Trim(value, " \t\"")
			switch strings.ToLower(strings.Trim(name, " \t")) {
			case "respond-async":
				p.respondAsync = true
			case "wait":
				if seconds, err := strconv.ParseUint(value, 10, 31); err == nil && p.wait < 0 {
					p.wait = min(time.Duration(seconds)*time.Second, MaxWait)
				}
			}
		}
	}
	return p
}

// patience is how long to wait for the end of a write. respond-async together with wait means
// what wait alone does: wait so long, and then answer 202 (RFC 7240, 4.3).
func (p preference) patience(otherwise time.Duration) time.Duration {
	switch {
	case p.wait >= 0:
		return p.wait
	case p.respondAsync:
		return 0
	default:
		return otherwise
	}
}

// applied is the answer's Preference-Applied: what counts, with the wait as it was cut; "" for
// nothing.
func (p preference) applied() string {
	var applied []string
	if p.respondAsync {
		applied = append(applied, "respond-async")
	}
	if p.wait >= 0 {
		applied = append(applied, "wait="+strconv.Itoa(int(p.wait/time.Second)))
	}
	return strings.Join(applied, ", ")
}

// splitQuoted splits at each separator outside of quoted strings; there is always at least one
// part.
func splitQuoted(s string, separator byte) []string {
	var parts []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			parts = append(parts, s[start:i])
			start = i + 1
		}
	}
	return append(parts, s[start:])
}
