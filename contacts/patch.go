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

// Patch is a JSON merge patch (RFC 7396) of a contact's [Fields]: a member replaces, null
// removes, custom_fields merges name by name, and lists are replaced as a whole. The
// shorthands email and phone change the first entry of their lists.
type Patch json.RawMessage

// NewPatch accepts a merge patch whose members exist and have the right types, and the fields
// that it was decoded to, where null is nothing. Equal patches are the same bytes, in any
// order and notation. Whether what it makes of a contact is valid can only be told when it is
// applied. It returns an [Error] of [KindInvalid].
func NewPatch(raw []byte, fields Fields) (Patch, error) {
	// What cannot be valid in any contact is refused now; a name makes the rest stand alone.
	if fields.DisplayName == "" {
		fields.DisplayName = "-"
	}
	if _, err := fields.normalize("", true); err != nil {
		return nil, err
	}
	patch, err := decodeObject(raw)
	if err != nil {
		return nil, invalid(Violation{Message: "expected a JSON object"})
	}
	custom, _ := patch["custom_fields"].(map[string]any)
	for name, value := range custom {
		if number, ok := value.(json.Number); ok {
			custom[name] = json.Number(canonicalNumber(number.String()))
		}
	}
	canonical, err := Encode(patch)
	return Patch(canonical), err
}

// MarshalJSON implements [json.Marshaler].
func (p Patch) MarshalJSON() ([]byte, error) { return json.RawMessage(p).MarshalJSON() }

// UnmarshalJSON implements [json.Unmarshaler].
func (p *Patch) UnmarshalJSON(raw []byte) error { return (*json.RawMessage)(p).UnmarshalJSON(raw) }

// DecodeFields reads fields from a JSON object and refuses unknown members. It returns an
// [Error] of [KindInvalid]; the fields are not normalized.
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

// merge returns the fields as the patch makes them of a contact's, not yet normalized.
func (p Patch) merge(current Fields) (Fields, error) {
	before := current
	if current.DisplayName == current.composedName() {
		current.DisplayName = "" // composed before, so composed again
	}
	current.Email, current.Phone = "", ""
	target, err := toObject(current)
	if err != nil {
		return Fields{}, err
	}
	patch, err := decodeObject(p)
	if err != nil {
		return Fields{}, err
	}
	if custom, ok := patch["custom_fields"].(map[string]any); ok {
		named := make(map[string]any, len(custom))
		for name, value := range custom {
			named[cleanText(name)] = value
		}
		patch["custom_fields"] = named
	}
	merged, err := json.Marshal(mergePatch(target, patch))
	if err != nil {
		return Fields{}, err
	}
	f, err := DecodeFields(merged)
	if err != nil {
		return Fields{}, err
	}
	if _, given := patch["email"]; given && (patch["emails"] == nil || f.Email != "" && slices.Equal(f.Emails, before.Emails)) {
		f.Email, f.Emails = "", withFirst(f.Emails, f.Email, addressIn, addressIdentity)
	}
	if _, given := patch["phone"]; given && (patch["phones"] == nil || f.Phone != "" && slices.EqualFunc(f.Phones, before.Phones, sameEntry)) {
		f.Phone, f.Phones = "", withFirst(f.Phones, f.Phone, numberIn, numberIdentity)
	}
	return f, nil
}

func toObject(fields Fields) (map[string]any, error) {
	raw, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	return decodeObject(raw)
}

// decodeObject decodes an object, with its numbers as they are written.
func decodeObject(raw []byte) (object map[string]any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return object, decoder.Decode(&object)
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
