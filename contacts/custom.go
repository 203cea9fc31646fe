package contacts

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// CustomValue is the value of a custom field: a text, a number or a boolean. The zero value is
// the empty text. Equal values are ==.
type CustomValue struct {
	text    string
	literal bool // text is a number, true or false, as JSON writes it
}

// CustomText returns the value that is a text.
func CustomText(text string) CustomValue { return CustomValue{text: text} }

// String returns a text as it is, and anything else as JSON writes it.
func (v CustomValue) String() string { return v.text }

// MarshalJSON implements [json.Marshaler].
func (v CustomValue) MarshalJSON() ([]byte, error) {
	if v.literal {
		return []byte(v.text), nil
	}
	return Encode(v.text)
}

// UnmarshalJSON implements [json.Unmarshaler]. As everywhere, null leaves the value as it is.
func (v *CustomValue) UnmarshalJSON(raw []byte) error {
	switch raw[0] {
	case 'n':
		return nil
	case '{', '[':
		return &json.UnmarshalTypeError{Value: "object or array", Type: reflect.TypeFor[string]()}
	case '"':
		*v = CustomValue{}
		return json.Unmarshal(raw, &v.text)
	case 't', 'f':
		*v = CustomValue{string(raw), true}
	default:
		*v = CustomValue{canonicalNumber(string(raw)), true}
	}
	return nil
}

// maxDigits is how long a number may be, in characters.
const maxDigits = 100

// exact reports whether the value is not a number, or one that a reader of JSON can be
// expected to take: one within the range of doubles (RFC 8259, 6).
func (v CustomValue) exact() bool {
	if !v.literal || v.text == "true" || v.text == "false" {
		return true
	}
	_, err := strconv.ParseFloat(v.text, 64)
	return err == nil && len(v.text) <= maxDigits
}

// canonicalNumber writes a number of JSON in the form of RFC 8785, so that equal ones are one
// text. A number that would lose digits there, because a double does not hold it, stays as it
// is.
func canonicalNumber(number string) string {
	double, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return number
	}
	raw, err := json.Marshal(double) // as ECMAScript does, which RFC 8785 follows
	if err != nil {
		return number
	}
	digits, exponent := significant(number)
	if same, at := significant(string(raw)); same != digits || at != exponent {
		return number
	}
	if digits == "" {
		return "0" // and not -0
	}
	return string(raw)
}

// significant returns a number's sign and digits without zeros at either end, and the power of
// ten of the last of them. They are "" and 0 for zero.
func significant(number string) (digits string, exponent int) {
	mantissa, power, _ := strings.Cut(strings.ToLower(number), "e")
	exponent, _ = strconv.Atoi(strings.TrimPrefix(power, "+"))
	sign := ""
	if rest, negative := strings.CutPrefix(mantissa, "-"); negative {
		sign, mantissa = "-", rest
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := strings.TrimLeft(whole+fraction, "0")
	digits = strings.TrimRight(all, "0")
	if digits == "" {
		return "", 0
	}
	return sign + digits, exponent - len(fraction) + len(all) - len(digits)
}
