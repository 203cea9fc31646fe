package httpapi

import (
	"maps"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"contacts/contacts"
)

const schemaPrefix = "#/components/schemas/"

// schemas are the JSON schemas of the API, made from the types that are encoded and decoded.
// What goes in differs from what comes out: null stands for nothing there, which also makes it
// a merge patch.
type schemas struct {
	registry    huma.Registry
	contact     *huma.Schema // what comes out
	list        *huma.Schema
	operation   *huma.Schema
	changes     *huma.Schema
	problem     *huma.Schema
	input       *huma.Schema // of POST and PATCH
	replacement *huma.Schema // of PUT, which also takes what GET gave

	fields map[reflect.Type]map[string][]int // where what comes in is kept: see [jsonFields]
}

func newSchemas() schemas {
	out := huma.NewMapRegistry(schemaPrefix, outName)
	// huma describes its own errors as well: they have become problems.
	out.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[problem]())
	in := huma.NewMapRegistry(schemaPrefix, inName)
	s := schemas{
		registry:    out,
		contact:     out.Schema(reflect.TypeFor[contacts.Representation](), true, ""),
		operation:   out.Schema(reflect.TypeFor[operation](), true, ""),
		changes:     out.Schema(reflect.TypeFor[changeList](), true, ""),
		problem:     out.Schema(reflect.TypeFor[problem](), true, ""),
		input:       in.Schema(reflect.TypeFor[contacts.Fields](), true, ""),
		replacement: in.Schema(reflect.TypeFor[contacts.Representation](), true, ""),
		fields:      jsonFields(reflect.TypeFor[fieldsBody](), map[reflect.Type]map[string][]int{}),
	}
	maps.Copy(out.Map(), in.Map())

	d := describer{registry: out, limits: contacts.Limits()}
	d.describe(s.contact, "", false)
	d.describe(s.input, "", true)
	d.describe(s.replacement, "", true)
	out.Map()["Contact"].Examples = []any{exampleContact()}
	for _, name := range []string{"ContactInput", "ContactReplacement"} {
		out.Map()[name].Examples = []any{exampleInput()}
	}
	types := out.Map()["Problem"].Properties["type"]
	for _, kind := range slices.Sorted(maps.Keys(problemTypes)) {
		types.Enum = append(types.Enum, problemsPath+"/"+string(kind))
	}
	s.list = d.list(s.contact)
	was := out.Map()["Change"].Properties["contact"]
	out.Map()["Change"].Properties["contact"] = &huma.Schema{AllOf: []*huma.Schema{s.contact}, Description: was.Description}
	return s
}

// outName and inName name the schemas of Go types.
func outName(t reflect.Type, hint string) string {
	if t == reflect.TypeFor[contacts.Representation]() {
		return "Contact"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

func inName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[contacts.Fields]():
		return "ContactInput"
	case reflect.TypeFor[contacts.Representation]():
		return "ContactReplacement"
	default:
		return huma.DefaultSchemaNamer(t, hint) + "Input"
	}
}

// describer adds to schemas what the domain's types do not tell: words, examples and limits.
type describer struct {
	registry huma.Registry
	limits   map[string]int
}

// describe goes through a schema and all within. The pointer is as in [contacts.Limits].
func (d describer) describe(s *huma.Schema, pointer string, input bool) {
	for s.Ref != "" {
		s = d.registry.SchemaFromRef(s.Ref)
	}
	text := fieldTexts[pointer]
	s.Description, s.Format, s.ReadOnly = text.description, text.format, text.readOnly
	if text.example != nil {
		s.Examples = []any{text.example}
	}
	if limit, ok := d.limits[pointer]; ok {
		switch s.Type {
		case huma.TypeString, "": // of several types, it is the string's
			s.MaxLength = &limit
		case huma.TypeArray:
			s.MaxItems = &limit
		case huma.TypeObject:
			s.MaxProperties = &limit
		}
	}
	at := func(name string) string {
		if pointer == "" {
			return name
		}
		return pointer + "/" + name
	}
	for name, member := range s.Properties {
		d.describe(member, at(name), input)
		if member.ReadOnly && input {
			s.Required = slices.DeleteFunc(s.Required, func(required string) bool { return required == name })
		}
		member.Nullable = input && !slices.Contains(s.Required, name)
	}
	if s.Items != nil {
		d.describe(s.Items, at("*"), input)
	}
	if _, ok := s.AdditionalProperties.(*huma.Schema); ok { // that of custom_fields
		values := customValue(input)
		d.describe(values, at("*"), input)
		s.AdditionalProperties = values
	}
}

// customValue is the schema of a [contacts.CustomValue].
func customValue(input bool) *huma.Schema {
	types := []string{huma.TypeString, huma.TypeNumber, huma.TypeBoolean}
	if input {
		types = append(types, typeNull)
	}
	s := &huma.Schema{}
	for _, name := range types {
		s.OneOf = append(s.OneOf, &huma.Schema{Type: name})
	}
	return s
}

// typeNull is the type of null in a JSON schema.
const typeNull = "null"

// list is the schema of a page of contacts, which is put together by hand: see encodePage.
func (d describer) list(contact *huma.Schema) *huma.Schema {
	d.registry.Map()["ContactList"] = &huma.Schema{
		Type: huma.TypeObject,
		Properties: map[string]*huma.Schema{
			"items":          {Type: huma.TypeArray, Items: contact, Description: "The contacts, in the order that was asked for. They may be fewer than the limit, or none, although there is a next page."},
			"next_cursor":    {Type: huma.TypeString, Description: "The cursor of the next page; not there on the last one."},
			"count":          {Type: huma.TypeInteger, Description: "With count=true: how many contacts the whole list has."},
			"count_has_more": {Type: huma.TypeBoolean, Description: "True where there may be more contacts than were counted."},
		},
		Required:             []string{"items"},
		AdditionalProperties: false,
	}
	return &huma.Schema{Ref: schemaPrefix + "ContactList"}
}
