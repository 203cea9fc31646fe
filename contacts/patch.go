package contacts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Patch is a JSON merge patch (RFC 7396) of a contact's [Fields]: a member replaces, null removes, custom_fields merges
// name by name, and lists are replaced as a whole. The shorthands email and phone change the first entry of their lists.
type Patch json.RawMessage

// NewPatch accepts a merge patch whose members exist and have the right types, and the fields that it was decoded to, where
// null is nothing. Whether what it makes of a contact is valid can only be told when it is applied. It returns an [Error] of
// [KindInvalid].
func NewPatch(raw []byte, fields Fields) (Patch, error) {
	// What cannot be valid in any contact is refused now; a name makes the rest stand alone.
	if fields.DisplayName == "" {
		fields.DisplayName = "-"
	}
	if _, err := fields.Normalize(""); err != nil {
		return nil, err
	}
	return bytes.Clone(raw), nil // raw may be a buffer that is used again
}

// MarshalJSON implements [json.Marshaler].
func (p Patch) MarshalJSON() ([]byte, error) { return json.RawMessage(p).MarshalJSON() }

// UnmarshalJSON implements [json.Unmarshaler].
func (p *Patch) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(p).UnmarshalJSON(raw) }

// DecodeFields reads fields from a JSON object and refuses unknown members. It returns an [Error] of [KindInvalid]; the
// fields are not normalized.
func DecodeFields(raw []byte) (Fields, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.DisallowUnknownFields()
	var fields Fields
	err := decoder.Decode(&fields)
	if err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			err = nil
		} else {
			err = errors.New("text after the object")
		}
	}
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil && bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")):
		return fields, nil
	case errors.As(err, &wrongType) && wrongType.Field != "":
		pointer := "/" + strings.ReplaceAll(wrongType.Field, ".", "/")
		return Fields{}, invalid(Violation{Pointer: pointer, Message: fmt.Sprintf("expected %s, not a %s", wrongType.Type.Kind(), wrongType.Value)})
	case err != nil && strings.HasPrefix(err.Error(), `json: unknown field "`):
		pointer := "/" + EscapePointer(strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`))
		return Fields{}, invalid(Violation{Pointer: pointer, Message: "unknown member"})
	}
	return Fields{}, invalid(Violation{Message: "expected a JSON object"})
}

// merge returns the fields as the patch makes them, not yet normalized.
func (p Patch) merge(current Fields) (Fields, error) {
	if current.DisplayName == current.composedName() {
		current.DisplayName = "" // composed before, so composed again
	}
	target, err := toObject(current)
	if err != nil {
		return Fields{}, err
	}
	delete(target, "email")
	delete(target, "phone")
	var patch map[string]any
	if err := json.Unmarshal(p, &patch); err != nil {
		return Fields{}, err
	}
	if custom, ok := patch["custom_fields"].(map[string]any); ok {
		named := make(map[string]any, len(custom))
		for name, value := range custom {
			named[cleanText(name)] = value
		}
		patch["custom_fields"] = named
	}
	for shorthand, list := range map[string]struct {
		name, member string
		identity     func(string) string
	}{
		"email": {"emails", "address", addressIdentity},
		"phone": {"phones", "number", numberIdentity},
	} {
		value, given := patch[shorthand]
		if _, both := patch[list.name]; given && !both {
			target[list.name] = replaceFirst(target[list.name], list.member, value, list.identity)
			delete(patch, shorthand)
		}
	}
	merged, err := json.Marshal(mergePatch(target, patch))
	if err != nil {
		return Fields{}, err
	}
	return DecodeFields(merged)
}

func toObject(fields Fields) (map[string]any, error) {
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	var object map[string]any
	return object, json.Unmarshal(raw, &object)
}

// replaceFirst puts value into the first entry's member, or brings the entry that has it to the
// front; null and "" remove the first entry.
func replaceFirst(list any, member string, value any, identity func(string) string) any {
	entries, _ := list.([]any)
	if value == nil || value == "" {
		if len(entries) > 0 {
			entries = entries[1:]
		}
		return entries
	}
	text, _ := value.(string)
	for i, entry := range entries {
		entry, _ := entry.(map[string]any)
		if has, _ := entry[member].(string); identity(cleanText(has)) == identity(cleanText(text)) {
			entry[member] = value
			return slices.Insert(slices.Delete(entries, i, i+1), 0, any(entry))
		}
	}
	if len(entries) == 0 {
		return []any{map[string]any{member: value}}
	}
	if first, ok := entries[0].(map[string]any); ok {
		first[member] = value
	}
	return entries
}

// mergePatch is the algorithm of RFC 7396, section 2.
func mergePatch(target, patch any) any {
	members, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range members {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = mergePatch(object[name], value)
		}
	}
	return object
}
