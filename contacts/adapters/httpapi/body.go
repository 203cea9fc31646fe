package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"contacts/contacts"
)

// The media types of bodies.
const (
	jsonType       = "application/json"
	mergePatchType = "application/merge-patch+json" // RFC 7396
)

// bodyTimeout is how long a body may take to come.
const bodyTimeout = 5 * time.Second

// readBody reads a request's body, of which huma then finds the bytes in its place. What huma makes
// of a body that breaks off would be the server's failure.
func (a *api) readBody(c echo.Context) (length int, err error) {
	controller := http.NewResponseController(c.Response())
	_ = controller.SetReadDeadline(time.Now().Add(bodyTimeout)) // where it cannot be set, the server's counts
	var body bytes.Buffer
	body.Grow(bytes.MinRead + int(max(c.Request().ContentLength, 0))) // which is not more than maxBody: see takeRoom
	_, err = body.ReadFrom(io.LimitReader(c.Request().Body, a.maxBody+1))
	timeout, isNet := errors.AsType[net.Error](err)
	switch {
	case int64(body.Len()) > a.maxBody:
		return 0, newProblem(kindTooLarge, tooLarge(a.maxBody))
	case isNet && timeout.Timeout():
		return 0, newProblem(kindTimeout, "the body did not arrive in time")
	case err != nil:
		return 0, newProblem(kindMalformed, "the body broke off, or is not as its Content-Length or its chunks say")
	}
	if body.Len() == 0 {
		return 0, newProblem(kindMalformed, "expected a JSON object in the request's body")
	}
	length = body.Len()
	c.Request().Body = io.NopCloser(&body)
	return length, nil
}

// inspect holds a body to its media type, to JSON, and to the names and types in the schema, and
// returns a problem with the faults. Texts' lengths and contents are the domain's to judge. huma's
// own validation does not tell "Email" from "email", and loses its way at names that have a dot.
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
	if !utf8.Valid(body) {
		return newProblem(kindMalformed, "expected UTF-8")
	}
	i := inspector{schemas: a.schemas.registry, decoder: jsontext.NewDecoder(bytes.NewBuffer(body), inspected...)}
	err = i.value(schema)
	if err == nil {
		err = i.end()
	}
	switch {
	case errors.Is(err, errEnoughFaults), err == nil && len(i.faults) > 0:
		return invalid(i.faults...)
	case err != nil:
		return notJSON(body, err)
	}
	return nil
}

// notJSON is the problem of a body that could not be read to its end.
func notJSON(body []byte, err error) *problem {
	syntax, ok := errors.AsType[*jsontext.SyntacticError](err)
	if !ok {
		return newProblem(kindMalformed, "not JSON")
	}
	before := body[:min(int(syntax.ByteOffset), len(body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return newProblem(kindMalformed, fmt.Sprintf("not JSON at line %d, byte %d of the line", line, column))
}

// inspected are the options of an inspector's decoder: the inspector itself looks for what they
// allow.
var inspected = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// errEnoughFaults ends an inspection at [maxFaults].
var errEnoughFaults = errors.New("enough faults")

// inspector walks along a JSON text and its schema, once. It goes no deeper than the schema, skips
// the inside of refused values, and ends at [maxFaults]: its time and memory grow with the text's
// length only.
type inspector struct {
	schemas huma.Registry
	decoder *jsontext.Decoder
	faults  []fault
}

// blame notes a fault of what was read last.
func (i *inspector) blame(detail string) error {
	var pointer strings.Builder
	for token := range i.decoder.StackPointer().Tokens() {
		pointer.WriteString("/" + contacts.EscapePointer(token))
	}
	i.faults = append(i.faults, fault{Pointer: new(pointer.String()), Detail: detail})
	if len(i.faults) == maxFaults {
		return errEnoughFaults
	}
	return nil
}

// end expects that nothing follows the text.
func (i *inspector) end() error {
	_, err := i.decoder.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return cmp.Or(err, error(&jsontext.SyntacticError{ByteOffset: i.decoder.InputOffset()}))
}

// value reads one value. It returns an error where the text is not JSON, or [errEnoughFaults].
func (i *inspector) value(s *huma.Schema) error {
	for s.Ref != "" {
		s = i.schemas.SchemaFromRef(s.Ref)
	}
	switch kind := i.decoder.PeekKind(); {
	case kind == '{' && s.Type == huma.TypeObject:
		return i.object(s)
	case kind == '[' && s.Type == huma.TypeArray:
		return i.array(s)
	case kind == '{', kind == '[':
		if err := i.decoder.SkipValue(); err != nil {
			return err
		}
		return i.blame("expected " + typeNames[s.Type])
	}
	value, err := i.decoder.ReadValue()
	switch {
	case err != nil:
		return err
	case !fits(s, value):
		return i.blame("expected " + typeNames[s.Type])
	case hasLoneSurrogate(value):
		return i.blame(noSurrogates)
	}
	return nil
}

func (i *inspector) object(s *huma.Schema) error {
	if _, err := i.decoder.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for n := 1; i.decoder.PeekKind() != '}'; n++ {
		raw, err := i.decoder.ReadValue()
		if err != nil {
			return err
		}
		broken := hasLoneSurrogate(raw)
		unquoted, _ := jsontext.AppendUnquote(nil, raw) // of a string that was read: no other error than that it is broken
		name := string(unquoted)
		member, unknown := i.member(s, name)
		switch {
		case s.MaxProperties != nil && n > *s.MaxProperties:
			return i.tooMany('}', *s.MaxProperties)
		case broken:
			err = i.skip(noSurrogates)
		case seen[name]: // RFC 7493, 2.3
			err = i.skip("expected once")
		case unknown != "":
			err = i.skip(unknown)
		default:
			seen[name] = true
			err = i.value(member)
		}
		if err != nil {
			return err
		}
	}
	_, err := i.decoder.ReadToken()
	return err
}

// skip refuses a member of which the name was read.
func (i *inspector) skip(detail string) error {
	if err := i.blame(detail); err != nil {
		return err
	}
	return i.decoder.SkipValue()
}

// tooMany refuses an object or an array in the midst of it, and goes to its end.
func (i *inspector) tooMany(end jsontext.Kind, limit int) error {
	for i.decoder.PeekKind() != end {
		if err := i.decoder.SkipValue(); err != nil {
			return err
		}
	}
	if _, err := i.decoder.ReadToken(); err != nil {
		return err
	}
	return i.blame(fmt.Sprintf("expected at most %d entries", limit))
}

// member returns the schema of an object's member, or what is wrong with its name.
func (i *inspector) member(s *huma.Schema, name string) (member *huma.Schema, wrong string) {
	if member, ok := s.Properties[name]; ok {
		return member, ""
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return values, ""
	}
	if i.decoder.StackDepth() == 1 && slices.Contains([]string{"id", "version", "created_at", "updated_at"}, name) {
		return nil, "expected nothing that only the server sets; If-Match says which version to change"
	}
	return nil, "unknown member"
}

func (i *inspector) array(s *huma.Schema) error {
	if _, err := i.decoder.ReadToken(); err != nil {
		return err
	}
	for n := 1; i.decoder.PeekKind() != ']'; n++ {
		if s.MaxItems != nil && n > *s.MaxItems {
			return i.tooMany(']', *s.MaxItems)
		}
		if err := i.value(s.Items); err != nil {
			return err
		}
	}
	_, err := i.decoder.ReadToken()
	return err
}

// typeNames are the types in the words of faults.
var typeNames = map[string]string{
	huma.TypeString:  "a string",
	huma.TypeInteger: "an integer",
	huma.TypeArray:   "an array",
	huma.TypeObject:  "an object",
}

// fits reports whether a value, which is no object and no array, is of the schema's type.
func fits(s *huma.Schema, value jsontext.Value) bool {
	switch value.Kind() {
	case 'n':
		return s.Nullable
	case '"':
		return s.Type == huma.TypeString
	case '0':
		_, err := strconv.ParseInt(string(value), 10, 64)
		return s.Type == huma.TypeInteger && err == nil
	default:
		return false
	}
}

const noSurrogates = `expected text without lone surrogates: \uD800 to \uDFFF stand for characters in pairs only`

// hasLoneSurrogate reports whether a value, which may be a string, holds half of a pair of
// surrogates (RFC 8259, 8.2). Decoders would put U+FFFD in its place.
func hasLoneSurrogate(value jsontext.Value) bool {
	return bytes.Contains(value, []byte(`\u`)) && !value.IsValid()
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
