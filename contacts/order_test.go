package contacts_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

func TestContact_Orders(t *testing.T) {
	named := func(names ...string) (all []contacts.Fields) {
		for _, name := range names {
			all = append(all, contacts.Fields{DisplayName: name})
		}
		return all
	}
	for name, test := range map[string]struct {
		sort   contacts.Sort
		fields []contacts.Fields // in their order
	}{
		"Latin":     {contacts.SortName, named("Ångel", "éclair", "Eve", "Łukasz", "Máa", "Mab", "Mb", "Ola", "Øystein", "Zed")},
		"Ukrainian": {contacts.SortName, named("Анна", "Євген", "Жанна", "Іван", "Яна")},
		"Greek":     {contacts.SortName, named("Άννα", "Βασίλης", "Ζωή", "Ωμέγα")},
		"scripts":   {contacts.SortName, named("Zoe", "Ωμέγα", "Яна", "שרה", "محمد", "たろう", "欧阳")},
		"case":      {contacts.SortName, named("anna", "Anna", "Anna B", "anne")},
		"prefixes": {contacts.SortName, []contacts.Fields{
			{NamePrefix: "Dr.", FirstName: "Abel", LastName: "Aab"}, {FirstName: "Bo", LastName: "Zee"}, {NamePrefix: "Dr.", DisplayName: "Dr. Cy"},
		}},
		"last names": {contacts.SortLastName, []contacts.Fields{
			{FirstName: "Zoe", LastName: "Li"},
			{FirstName: "Ann", LastName: "Lian"},
			{FirstName: "Bo", LastName: "Lian"},
			{DisplayName: "Lime Ltd"},
			{FirstName: "Mia"},
			{NamePrefix: "Dr.", FirstName: "A", LastName: "Öz"},
		}},
		"first names": {contacts.SortFirstName, []contacts.Fields{
			{FirstName: "Ann", LastName: "Z"},
			{FirstName: "Bo", LastName: "A"},
			{FirstName: "Bo", LastName: "B"},
			{FirstName: "Bo", MiddleName: "C", LastName: "A"},
			{DisplayName: "Carl"},
			{LastName: "Doe"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			keys := make([][]byte, len(test.fields))
			for i, fields := range test.fields {
				normal, err := fields.Normalize("")
				require.NoError(t, err)
				keys[i] = contacts.Contact{Fields: normal}.Index().Orders[test.sort]
				require.NotEmpty(t, keys[i])
			}
			for i := range keys[1:] {
				require.Negative(t, bytes.Compare(keys[i], keys[i+1]), "%v comes before %v", test.fields[i], test.fields[i+1])
			}
			require.True(t, slices.IsSortedFunc(keys, bytes.Compare))
		})
	}
	long, err := contacts.Fields{DisplayName: strings.Repeat("ﷺ", 500)}.Normalize("")
	require.NoError(t, err)
	require.Len(t, contacts.Contact{Fields: long}.Index().Orders[contacts.SortName], 800, "as much as databases index")
}
