package contacts_test

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"contacts/contacts"
)

// literal returns a custom field's number or boolean.
func literal(t *testing.T, text string) (value contacts.CustomValue) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &value))
	return value
}

func TestCustomValue_JSON(t *testing.T) {
	for given, want := range map[string]string{
		`"blue"`: `"blue"`, `""`: `""`, `"41"`: `"41"`, `"true"`: `"true"`, `"<&>"`: `"<&>"`, `"\u00e9"`: `"é"`,
		"true": "true", "false": "false",
		"0": "0", "-0": "0", "0.0": "0", "0e5": "0", "41": "41", "-41": "-41", "41.0": "41", "4.1e1": "41", "410E-1": "41", "41.50": "41.5",
		"1e3": "1000", "1E+2": "100", "0.001": "0.001", "1e21": "1e+21", "1000000000000000000000": "1e+21", "1e-7": "1e-7",
		// which no double holds
		"9007199254740993": "9007199254740993", "12345678901234567890": "12345678901234567890",
		"3.14159265358979323846": "3.14159265358979323846", "1e-400": "1e-400",
	} {
		value := literal(t, given)
		got, err := contacts.Encode(value)
		require.NoError(t, err)
		require.Equal(t, want, string(got), given)
		require.Equal(t, value, literal(t, string(got)), given)
	}
	require.NotEqual(t, literal(t, `"41"`), literal(t, "41"))
	for _, refused := range []string{"{}", "[1]"} {
		require.Error(t, new(contacts.CustomValue).UnmarshalJSON([]byte(refused)))
	}
}

// A number keeps its value, however it is written.
func TestCustomValue_NumbersAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		var value contacts.CustomValue
		if err := json.Unmarshal([]byte(number), &value); err != nil {
			t.Fatal(err)
		}
		was, ok := new(big.Rat).SetString(number)
		is, isToo := new(big.Rat).SetString(value.String())
		if !ok || !isToo || was.Cmp(is) != 0 {
			t.Fatalf("%s became %s", number, value)
		}
	})
}

func TestFields_Normalize_CustomNumbers(t *testing.T) {
	for _, refused := range []string{"1e400", "-1e999999999999999999999", strings.Repeat("1", 101)} {
		_, err := contacts.Fields{FirstName: "a", CustomFields: map[string]contacts.CustomValue{"n": literal(t, refused)}}.Normalize("")
		require.Equal(t, []string{"/custom_fields/n"}, violations(t, err), refused)
	}
}
