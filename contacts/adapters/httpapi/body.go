package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"contacts/contacts"
)

// The media types of bodies.
const (
	jsonType       = "application/json"
	mergePatchType = "application/merge-patch+json" // RFC 7396
)

// maxFaults is how many faults of one body are told.
const maxFaults = 100

// inspect holds a body to its media type, to JSON, and to the names and types in the schema, and returns a problem with
// all faults. Lengths and contents are the domain's to judge. huma's own validation does not tell "Email" from "email",
// and loses its way at names that have a dot.
//
// A missing Content-Type is refused as a wrong one is: a browser sends such a body from any site without asking first.
func (a *api) inspect(header http.Header, body []byte, schema *huma.Schema, types ...string) error {
	sent, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, sent) {
		expected := strings.Join(types, ", ")
		p := newProblem(kindUnsupportedMedia, "expected a Content-Type of "+expected)
		p.header.Set("Accept", expected) // RFC 9110, 15.5.16
		return p
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		p := newProblem(kindUnsupportedMedia, "expected a body without Content-Encoding")
		p.header.Set("Accept-Encoding", "identity")
		return p
	}
	if err := wellFormed(body); err != nil {
		return err
	}
	i := inspector{schemas: a.schemas.registry, decoder: json.NewDecoder(bytes.NewReader(body))}
	i.decoder.UseNumber()
	i.value(schema, "")
	if len(i.faults) > 0 {
		return invalid(i.faults[:min(len(i.faults), maxFaults)]...)
	}
	return nil
}

// wellFormed refuses what is not one JSON text in UTF-8.
func wellFormed(body []byte) error {
	if !utf8.Valid(body) {
		return newProblem(kindMalformed, "expected UTF-8")
	}
	var syntax *json.SyntaxError
	if err := json.Unmarshal(body, new(json.RawMessage)); errors.As(err, &syntax) {
		before := body[:min(int(syntax.Offset), len(body))]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := len(before) - 1 - bytes.LastIndexByte(before, '\n')
		return newProblem(kindMalformed, fmt.Sprintf("not JSON at line %d, byte %d of the line", line, column))
	} else if err != nil {
		return newProblem(kindMalformed, "not JSON")
	}
	return nil
}

// inspector walks along a well-formed JSON text and its schema.
type inspector struct {
	schemas huma.Registry
	decoder *json.Decoder
	faults  []fault
}

func (i *inspector) blame(pointer, detail string) {
	i.faults = append(i.faults, fault{Pointer: &pointer, Detail: detail})
}

// value reads one value. A nil schema allows anything, for what is inside of what was refused already.
func (i *inspector) value(s *huma.Schema, pointer string) {
	token, _ := i.decoder.Token() // cannot fail: the text is well-formed
	for s != nil && s.Ref != "" {
		s = i.schemas.SchemaFromRef(s.Ref)
	}
	if s != nil && !fits(s, token) {
		i.blame(pointer, "expected "+typeNames[s.Type])
		s = nil
	}
	switch token {
	case json.Delim('{'):
		i.object(s, pointer)
	case json.Delim('['):
		i.array(s, pointer)
	}
}

func (i *inspector) object(s *huma.Schema, pointer string) {
	seen := map[string]bool{}
	for i.decoder.More() {
		token, _ := i.decoder.Token()
		name, _ := token.(string)
		at := pointer + "/" + contacts.EscapePointer(name)
		if seen[name] {
			i.blame(at, "expected once") // RFC 7493, 2.3
		}
		seen[name] = true
		i.value(i.member(s, name, at), at)
	}
	_, _ = i.decoder.Token()
}

func (i *inspector) member(s *huma.Schema, name, at string) *huma.Schema {
	if s == nil {
		return nil
	}
	if member, ok := s.Properties[name]; ok {
		return member
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return values
	}
	if slices.Contains([]string{"/id", "/version", "/created_at", "/updated_at"}, at) {
		i.blame(at, "expected nothing that only the server sets; If-Match says which version to change")
		return nil
	}
	i.blame(at, "unknown member")
	return nil
}

func (i *inspector) array(s *huma.Schema, pointer string) {
	var items *huma.Schema
	if s != nil {
		items = s.Items
	}
	for n := 0; i.decoder.More(); n++ {
		i.value(items, pointer+"/"+strconv.Itoa(n))
	}
	_, _ = i.decoder.Token()
}

// typeNames are the types in the words of faults.
var typeNames = map[string]string{
	huma.TypeString:  "a string",
	huma.TypeInteger: "an integer",
	huma.TypeArray:   "an array",
	huma.TypeObject:  "an object",
}

// fits reports whether a value that begins with the token is of the schema's type.
func fits(s *huma.Schema, token json.Token) bool {
	switch token := token.(type) {
	case nil:
		return s.Nullable
	case string:
		return s.Type == huma.TypeString
	case json.Number:
		_, err := strconv.ParseInt(token.String(), 10, 64)
		return s.Type == huma.TypeInteger && err == nil
	case json.Delim:
		return s.Type == huma.TypeObject && token == '{' || s.Type == huma.TypeArray && token == '['
	default:
		return false
	}
}

// decodeFields reads an inspected body, and the id if it has one. null is the same as nothing.
func decodeFields(body []byte) (fields contacts.Fields, id string, err error) {
	var decoded struct {
		contacts.Fields

		ID           string             `json:"id"`
		CustomFields map[string]*string `json:"custom_fields"`
	}
	if err := json.Unmarshal(body, &decoded); err != nil {
		return contacts.Fields{}, "", fmt.Errorf("decode an inspected body: %w", err)
	}
	fields = decoded.Fields
	fields.CustomFields = make(map[string]string, len(decoded.CustomFields))
	maps.DeleteFunc(decoded.CustomFields, func(_ string, value *string) bool { return value == nil })
	for name, value := range decoded.CustomFields {
		fields.CustomFields[name] = *value
	}
	return fields, decoded.ID, nil
}
