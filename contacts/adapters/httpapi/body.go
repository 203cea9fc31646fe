package httpapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"reflect"
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

// byteOrderMark may be ignored at the beginning of JSON (RFC 8259, 8.1).
var byteOrderMark = []byte("\ufeff")

// bodyTimeout is how long a body may take to come.
const bodyTimeout = 5 * time.Second

// readBody reads a request's body, of which huma then finds the bytes in its place. What huma
// makes of a body that breaks off would be the server's failure.
func (a *api) readBody(c echo.Context) (length int, err error) {
	controller := http.NewResponseController(c.Response())
	// where it cannot be set, the server's counts
	_ = controller.SetReadDeadline(time.Now().Add(bodyTimeout))
	var body bytes.Buffer
	// which is not more than maxBody: see takeRoom
	body.Grow(bytes.MinRead + int(max(c.Request().ContentLength, 0)))
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
	if bytes.HasPrefix(body.Bytes(), byteOrderMark) {
		body.Next(len(byteOrderMark))
	}
	if body.Len() == 0 {
		return 0, newProblem(kindMalformed, "expected a JSON object in the request's body")
	}
	length = body.Len()
	c.Request().Body = io.NopCloser(&body)
	return length, nil
}

// fieldsBody is what a write's body is decoded into.
type fieldsBody struct {
	contacts.Fields

	ID string `json:"id"` // of a PUT only, which may repeat the id in its path
}

// decode holds a request's body to its media type, to JSON, and to the names and types in the
// schema, and decodes it in the same pass. It returns a problem with the faults. Texts'
// lengths and contents are the domain's to judge. huma's own validation does not tell "Email"
// from "email", and loses its way at names that have a dot.
//
// A missing Content-Type is refused as a wrong one is: a browser sends such a body from any
// site without asking first.
func (a *api) decode(r *request, body []byte, schema *huma.Schema, types ...string) (fieldsBody, error) {
	var decoded fieldsBody
	if err := checkMediaType(r.header(), types); err != nil {
		return decoded, err
	}
	if !utf8.Valid(body) {
		return decoded, newProblem(kindMalformed, "expected UTF-8")
	}
	d := bodyDecoder{
		schemas: a.schemas, tokens: jsontext.NewDecoder(bytes.NewBuffer(body), decoderOptions...),
		patch: r.echo.Request().Method == http.MethodPatch,
	}
	err := d.value(schema, reflect.ValueOf(&decoded).Elem())
	if err == nil {
		err = d.end()
	}
	switch {
	case errors.Is(err, errEnoughFaults), err == nil && len(d.faults) > 0:
		return decoded, invalid(d.faults...)
	case err != nil:
		return decoded, notJSON(body, err)
	}
	return decoded, nil
}

// checkMediaType returns a problem unless the body is of one of the types, and not encoded.
func checkMediaType(header http.Header, types []string) error {
	sent, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, sent) {
		expected := strings.Join(types, ", ")
		p := newProblem(kindUnsupportedMedia, "expected a Content-Type of "+expected)
		p.header.Set("Accept", expected) // RFC 9110, 15.5.16
		if slices.Contains(types, mergePatchType) {
			p.header.Set("Accept-Patch", expected) // RFC 5789, 2.2
		}
		return p
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		p := newProblem(kindUnsupportedMedia, "expected a body without Content-Encoding")
		p.header.Set("Accept-Encoding", "identity")
		return p
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

// decoderOptions allow what the [bodyDecoder] itself looks for.
var decoderOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// errEnoughFaults ends a decoding at [maxFaults].
var errEnoughFaults = errors.New("enough faults")

// bodyDecoder walks along a JSON text, its schema and the value that it is decoded into, once.
// It goes no deeper than the schema, skips the inside of refused values, and ends at
// [maxFaults]: its time and memory grow with the text's length only.
//
// Where the schema has members that the value has not, these are checked and not kept.
type bodyDecoder struct {
	schemas schemas
	tokens  *jsontext.Decoder
	// keeps the names of a map's members that are null, with "": elsewhere null is the same as
	// nothing
	patch  bool
	faults []fault
}

// blame notes a fault of what was read last.
func (d *bodyDecoder) blame(detail string) error {
	var pointer strings.Builder
	for token := range d.tokens.StackPointer().Tokens() {
		pointer.WriteString("/" + contacts.EscapePointer(token))
	}
	d.faults = append(d.faults, fault{Pointer: new(pointer.String()), Detail: detail})
	if len(d.faults) == maxFaults {
		return errEnoughFaults
	}
	return nil
}

// end expects that nothing follows the text.
func (d *bodyDecoder) end() error {
	_, err := d.tokens.ReadToken()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return cmp.Or(err, error(&jsontext.SyntacticError{ByteOffset: d.tokens.InputOffset()}))
}

// value reads one value. It returns an error where the text is not JSON, or [errEnoughFaults].
// into is the zero value where nothing is to be kept.
func (d *bodyDecoder) value(s *huma.Schema, into reflect.Value) error {
	for s.Ref != "" {
		s = d.schemas.registry.SchemaFromRef(s.Ref)
	}
	switch kind := d.tokens.PeekKind(); {
	case kind == '{' && s.Type == huma.TypeObject:
		return d.object(s, into)
	case kind == '[' && s.Type == huma.TypeArray:
		return d.array(s, into)
	case kind == '{', kind == '[':
		if err := d.tokens.SkipValue(); err != nil {
			return err
		}
		return d.blame("expected " + typeName(s))
	}
	value, err := d.tokens.ReadValue()
	switch {
	case err != nil:
		return err
	case !fits(s, value):
		return d.blame("expected " + typeName(s))
	case hasLoneSurrogate(value):
		return d.blame(noSurrogates)
	case into.Kind() == reflect.String && value.Kind() == '"':
		into.SetString(textOf(value))
	case into.Kind() == reflect.Struct: // of one value
		return json.Unmarshal(value, into.Addr().Interface())
	}
	return nil
}

func (d *bodyDecoder) object(s *huma.Schema, into reflect.Value) error {
	if _, err := d.tokens.ReadToken(); err != nil {
		return err
	}
	if into.Kind() == reflect.Map {
		into.Set(reflect.MakeMap(into.Type()))
	}
	var seen []string // not more than the schema has, or lets through
	for n := 1; d.tokens.PeekKind() != '}'; n++ {
		raw, err := d.tokens.ReadValue()
		if err != nil {
			return err
		}
		broken := hasLoneSurrogate(raw)
		name := textOf(raw)
		member, unknown := d.member(s, name)
		switch {
		case s.MaxProperties != nil && n > *s.MaxProperties:
			return d.tooMany('}', *s.MaxProperties)
		case broken:
			err = d.skip(noSurrogates)
		case slices.Contains(seen, name): // RFC 7493, 2.3
			err = d.skip("expected once")
		case unknown != "":
			err = d.skip(unknown)
		default:
			seen = append(seen, name)
			err = d.memberValue(member, into, name)
		}
		if err != nil {
			return err
		}
	}
	_, err := d.tokens.ReadToken()
	return err
}

// memberValue reads the value of an object's member into the struct's field or the map's entry
// of that name.
func (d *bodyDecoder) memberValue(s *huma.Schema, into reflect.Value, name string) error {
	switch into.Kind() {
	case reflect.Struct:
		if index, ok := d.schemas.fields[into.Type()][name]; ok {
			return d.value(s, into.FieldByIndex(index))
		}
	case reflect.Map:
		kept := d.patch || d.tokens.PeekKind() != 'n'
		entry := reflect.New(into.Type().Elem()).Elem()
		if err := d.value(s, entry); err != nil || !kept {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(name), entry)
		return nil
	}
	return d.value(s, reflect.Value{})
}

// skip refuses a member of which the name was read.
func (d *bodyDecoder) skip(detail string) error {
	if err := d.blame(detail); err != nil {
		return err
	}
	return d.tokens.SkipValue()
}

// tooMany refuses an object or an array in the midst of it, and goes to its end.
func (d *bodyDecoder) tooMany(end jsontext.Kind, limit int) error {
	for d.tokens.PeekKind() != end {
		if err := d.tokens.SkipValue(); err != nil {
			return err
		}
	}
	if _, err := d.tokens.ReadToken(); err != nil {
		return err
	}
	return d.blame(fmt.Sprintf("expected at most %d entries", limit))
}

// member returns the schema of an object's member, or what is wrong with its name.
func (d *bodyDecoder) member(s *huma.Schema, name string) (member *huma.Schema, wrong string) {
	if member, ok := s.Properties[name]; ok {
		return member, ""
	}
	if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
		return values, ""
	}
	if d.tokens.StackDepth() == 1 && slices.Contains([]string{"id", "version", "created_at", "updated_at"}, name) {
		return nil, "expected nothing that only the server sets; If-Match says which version to change"
	}
	return nil, "unknown member"
}

func (d *bodyDecoder) array(s *huma.Schema, into reflect.Value) error {
	if _, err := d.tokens.ReadToken(); err != nil {
		return err
	}
	keep := into.Kind() == reflect.Slice
	if keep {
		into.Grow(1) // an empty list is not the same as none
	}
	for n := 1; d.tokens.PeekKind() != ']'; n++ {
		if s.MaxItems != nil && n > *s.MaxItems {
			return d.tooMany(']', *s.MaxItems)
		}
		var item reflect.Value
		if keep {
			into.Grow(1)
			into.SetLen(n)
			item = into.Index(n - 1)
		}
		if err := d.value(s.Items, item); err != nil {
			return err
		}
	}
	_, err := d.tokens.ReadToken()
	return err
}

// typeNames are the types in the words of faults.
var typeNames = map[string]string{
	huma.TypeString:  "a string",
	huma.TypeInteger: "an integer",
	huma.TypeNumber:  "a number",
	huma.TypeBoolean: "a boolean",
	huma.TypeArray:   "an array",
	huma.TypeObject:  "an object",
}

// typeName is the type of a schema, or the types that it lets through, in the words of faults.
func typeName(s *huma.Schema) string {
	if len(s.OneOf) == 0 {
		return typeNames[s.Type]
	}
	var names []string
	for _, one := range s.OneOf {
		if one.Type != typeNull {
			names = append(names, typeNames[one.Type])
		}
	}
	return strings.Join(names, " or ")
}

// fits reports whether a value, which is no object and no array, is of the schema's type.
func fits(s *huma.Schema, value jsontext.Value) bool {
	if len(s.OneOf) > 0 {
		return slices.ContainsFunc(s.OneOf, func(one *huma.Schema) bool { return fits(one, value) })
	}
	switch value.Kind() {
	case 'n':
		return s.Nullable || s.Type == typeNull
	case 't', 'f':
		return s.Type == huma.TypeBoolean
	case '"':
		return s.Type == huma.TypeString
	case '0':
		_, err := strconv.ParseInt(string(value), 10, 64)
		return s.Type == huma.TypeNumber || s.Type == huma.TypeInteger && err == nil
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

// textOf returns the text of a JSON string that was read, which at worst has lone surrogates.
func textOf(raw jsontext.Value) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	text, _ := jsontext.AppendUnquote(nil, raw)
	return string(text)
}

// jsonFields returns where a struct, and each struct within it, keeps its members, by their
// JSON names.
func jsonFields(t reflect.Type, into map[reflect.Type]map[string][]int) map[reflect.Type]map[string][]int {
	switch t.Kind() {
	case reflect.Slice, reflect.Map:
		return jsonFields(t.Elem(), into)
	case reflect.Struct:
		into[t] = map[string][]int{}
		for _, field := range reflect.VisibleFields(t) {
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
				into[t][name] = field.Index
				jsonFields(field.Type, into)
			}
		}
	}
	return into
}
