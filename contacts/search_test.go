package contacts_test

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

func TestContact_Index(t *testing.T) {
	fields := contactstest.Normalize(t, contacts.Fields{
		FirstName: "JOSÉ  María", LastName: "Łukasz-Großmann", DisplayName: "Ｊｏｓé ﬁ", Organization: "Ægir & Ørsted",
		Emails:    []contacts.EmailAddress{{Address: "Jose@EXAMPLE.com"}, {Address: "jose@example.com", Label: "again"}},
		Phones:    []contacts.PhoneNumber{{Number: "(01) 555-2671"}, {Number: "+1 415 555 2671"}, {Number: "٠١٢"}},
		Addresses: []contacts.PostalAddress{{Street: "Çırağan 5", City: "İstanbul"}},
		Labels:    []string{"FAMÍLIA", "família"}, Notes: "A Note", ExternalID: "CRM-7",
	})
	ix := contacts.Contact{Fields: fields}.Index()
	require.Equal(t, strings.Join([]string{
		"jose fi", "jose maria lukasz-grossmann", "aegir & orsted", "oersted", "ciragan 5", "istanbul", "jose@example.com",
		"015552671", "14155552671", "012", "a note", "crm-7",
	}, "\n"), ix.Text)
	require.Len(t, ix.Orders, len(contacts.NameSorts()))
	require.Equal(t, []string{"email:jose@example.com", "external_id:crm-7", "label:família", "phone:012", "phone:015552671", "phone:14155552671"}, ix.Keys)
	require.Zero(t, contacts.Contact{Deleted: true}.Index(), "a tombstone is not found")
}

// What is searched of a contact is bounded, also where folding multiplies its text, and begins
// with what people look for most.
func TestContact_Index_Bounded(t *testing.T) {
	fields := contacts.Fields{FirstName: "Zoe", Email: "zoe@example.com", Phone: "+49 30 901820", CustomFields: map[string]contacts.CustomValue{}}
	for i := range 90 {
		fields.CustomFields[strings.Repeat("n", i+1)] = contacts.CustomText(strings.Repeat("ﷺ", 600))
	}
	normal, err := fields.Normalize("")
	require.NoError(t, err)
	text := contacts.Contact{Fields: normal}.Index().Text
	require.Less(t, len(text), 256<<10)
	for _, part := range []string{"zoe", "zoe@example.com", "4930901820"} {
		require.Contains(t, text, part)
	}
}

// Values that are too long for an index are still told apart by their ends.
func TestContact_Index_LongKeys(t *testing.T) {
	keys := func(fields contacts.Fields) []string { return contacts.Contact{Fields: fields}.Index().Keys }
	long := strings.Repeat("x", 254)
	for _, two := range [][2]contacts.Fields{
		{{ExternalID: long + "a"}, {ExternalID: long + "b"}},
		{
			{Emails: []contacts.EmailAddress{{Address: strings.Repeat("ﬃ", 60) + "a@x.example"}}},
			{Emails: []contacts.EmailAddress{{Address: strings.Repeat("ﬃ", 60) + "b@x.example"}}},
		},
		{{Labels: []string{strings.Repeat("ﬃ", 90) + "a"}}, {Labels: []string{strings.Repeat("ﬃ", 90) + "b"}}},
	} {
		require.NotEqual(t, keys(two[0]), keys(two[1]))
		for _, key := range append(keys(two[0]), keys(two[1])...) {
			require.LessOrEqual(t, len([]rune(key)), 260)
		}
	}
}

// queries is a repository that keeps the queries it is asked.
type queries struct {
	contacts.Repository
	asked []contacts.Query
}

func (q *queries) List(_ context.Context, _ contacts.Tenant, query contacts.Query) (contacts.Listing, error) {
	q.asked = append(q.asked, query)
	return contacts.Listing{}, nil
}

func value(parameter, value string) contacts.Filter {
	return contacts.Filter{Values: map[string]string{parameter: value}}
}

func keys(keys ...string) contacts.Query {
	return contacts.Query{Values: []contacts.Values{{Keys: keys, Common: strings.HasPrefix(keys[0], "label:")}}}
}

func TestService_List_Filters(t *testing.T) {
	asked := &queries{}
	service := contacts.NewService(contacts.ServiceOptions{Repository: asked, Region: "PE"})
	since := time.Now().Truncate(time.Microsecond)
	for _, c := range []struct {
		filter contacts.Filter
		want   contacts.Query
	}{
		{contacts.Filter{}, contacts.Query{}},
		{contacts.Filter{Text: "  José\tPÉREZ "}, contacts.Query{Terms: [][]string{{"jose"}, {"perez"}}}},
		{contacts.Filter{Text: "(01) 555-26.71"}, contacts.Query{Terms: [][]string{{"(01) 555-26.71", "015552671", "5115552671"}}}},
		{contacts.Filter{Text: "+51 98"}, contacts.Query{Terms: [][]string{{"+51 98", "5198"}}}},
		{contacts.Filter{Text: "2024-0017"}, contacts.Query{Terms: [][]string{{"2024-0017", "20240017"}}}},
		{contacts.Filter{Text: "- +"}, contacts.Query{Terms: [][]string{{"+"}}}},
		{contacts.Filter{Text: "jose 98-7 76"}, contacts.Query{Terms: [][]string{{"jose"}, {"98-7", "987"}, {"76"}}}},
		{value("email", " JANE@example.com"), keys("email:jane@example.com")},
		{value("phone", "01 555 2671"), keys("phone:015552671", "phone:5115552671")},
		{value("phone", "+51 (1) 555-2671"), keys("phone:5115552671")},
		{value("phone", "1-800-FLOWERS"), keys("phone:1-800-flowers")},
		{value("phone", "+51 (1) 555-2671 ext. 5"), keys("phone:+51 (1) 555-2671 ext. 5", "phone:5115552671")},
		{value("email", "x@bücher.example"), keys("email:x@xn--bcher-kva.example")},
		{value("external_id", "CRM-7"), keys("external_id:crm-7")},
		{value("label", "Família"), keys("label:família")},
		{contacts.Filter{UpdatedSince: since, Sort: "-name"}, contacts.Query{UpdatedSince: since, Sort: "-name"}},
		{contacts.Filter{UpdatedSince: since.Add(1)}, contacts.Query{UpdatedSince: since.Add(time.Microsecond)}},
	} {
		_, err := service.List(t.Context(), jane, c.filter, 10, "")
		require.NoError(t, err)
		got := asked.asked[len(asked.asked)-1]
		if c.want.Limit = 10; c.want.Sort == "" {
			c.want.Sort = contacts.SortCreated
		}
		require.Equal(t, c.want, got, "%+v", c.filter)
	}
	label := strings.Repeat("d", 63)
	longest := strings.Repeat("x", 64) + "@" + label + "." + label + "." + label[2:]
	_, err := service.List(t.Context(), jane, value("email", longest), 10, "")
	require.NoError(t, err, "as long as an address may be")
	long := longest + "x"
	_, err = service.List(t.Context(), jane, contacts.Filter{
		Text: long, Values: map[string]string{"email": long, "phone": "none", "label": long}, Sort: "age",
	}, 10, "")
	require.Equal(t, []string{"q", "email", "label", "phone", "sort"}, violations(t, err))
	// a filter that lets all through would be none
	for _, nothing := range []string{" ", "\u0301", "\t\n", "x\x00y", "x\xff"} {
		_, err = service.List(t.Context(), jane, contacts.Filter{
			Text: nothing, Values: map[string]string{"email": nothing, "label": nothing},
		}, 10, "")
		require.Equal(t, []string{"q", "email", "label"}, violations(t, err), "%q", nothing)
	}
	for _, cursor := range []string{"x", base64.RawURLEncoding.EncodeToString([]byte(`{"s":"name","n":"bm8gaWQ"}`))} {
		_, err = service.List(t.Context(), jane, contacts.Filter{Sort: contacts.SortName}, 10, cursor)
		require.Equal(t, []string{"cursor"}, violations(t, err))
	}
}

func TestService_List_CursorOfAnotherOrder(t *testing.T) {
	_, service := newDesk()
	for range 3 {
		_, err := service.Create(t.Context(), jane, contacts.Fields{FirstName: "Jane"}, wait)
		require.NoError(t, err)
	}
	page, err := service.List(t.Context(), jane, contacts.Filter{Sort: contacts.SortName}, 2, "")
	require.NoError(t, err)
	_, err = service.List(t.Context(), jane, contacts.Filter{Sort: "-" + contacts.SortName}, 2, page.Next)
	require.Equal(t, []string{"cursor"}, violations(t, err))
	rest, err := service.List(t.Context(), jane, contacts.Filter{Sort: contacts.SortName}, 2, page.Next)
	require.NoError(t, err)
	require.Len(t, rest.Items, 1)
}
