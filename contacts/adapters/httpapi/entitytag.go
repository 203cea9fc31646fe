package httpapi

import (
	"slices"
	"strconv"
	"strings"
)

// entityTag is the tag of a contact's version: a strong one, for the same version has the same
// bytes.
func entityTag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// maxTags bounds how many tags one If-Match may have: they travel with the command.
const maxTags = 32

// noVersion is a version that no contact ever has.
const noVersion = 0

// ifMatch reads the lines of the header If-Match (RFC 9110, 13.1.1) as the versions that may
// be changed; none means any, which is also what "*" says. A tag that can match no version, be
// it of another form or weak, which never matches here, is left out; where none remains, it is
// noVersion, so that the condition fails with the contact's current version. For a malformed
// header it returns what was expected.
func ifMatch(lines []string) (versions []int64, expected string) {
	const form = `expected * or a list of up to 32 entity tags, such as "3"`
	if len(lines) == 0 {
		return nil, ""
	}
	list := strings.Join(lines, ",")
	if strings.Trim(list, " \t") == "*" {
		return nil, ""
	}
	tags, ok := parseTags(list)
	if !ok || len(tags) == 0 || len(tags) > maxTags {
		return nil, form
	}
	for _, tag := range tags {
		version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
		if err == nil && version > 0 && tag == entityTag(version) && !slices.Contains(versions, version) {
			versions = append(versions, version)
		}
	}
	if versions == nil {
		versions = []int64{noVersion}
	}
	return versions, ""
}

// weak reports whether the header If-Match names a weak tag.
func weak(lines []string) bool {
	tags, _ := parseTags(strings.Join(lines, ","))
	return slices.ContainsFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "W/") })
}

// noneMatch reports whether the header If-None-Match (RFC 9110, 13.1.2) names the tag, by the
// weak comparison: the caller has the contact as it is. A malformed header names nothing.
func noneMatch(lines []string, tag string) bool {
	switch {
	case len(lines) == 0:
		return false
	case len(lines) == 1 && lines[0] == tag: // what almost all callers send
		return true
	}
	list := strings.Join(lines, ",")
	if strings.Trim(list, " \t") == "*" {
		return true
	}
	tags, ok := parseTags(list)
	return ok && slices.ContainsFunc(tags, func(t string) bool { return strings.TrimPrefix(t, "W/") == tag })
}

// parseTags reads a list of entity tags (RFC 9110, 8.8.3) as they are written. As in every
// list of HTTP, there may be empty members.
func parseTags(list string) (tags []string, ok bool) {
	for {
		list = strings.TrimLeft(list, " \t,")
		if list == "" {
			return tags, true
		}
		opaque, weak := strings.CutPrefix(list, "W/")
		if !strings.HasPrefix(opaque, `"`) {
			return nil, false
		}
		end := strings.IndexByte(opaque[1:], '"')
		if end < 0 || strings.ContainsFunc(opaque[1:end+1], func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return nil, false
		}
		length := end + 2
		if weak {
			length += len("W/")
		}
		tags = append(tags, list[:length])
		list = strings.TrimLeft(list[length:], " \t")
		if list != "" && list[0] != ',' {
			return nil, false
		}
	}
}
