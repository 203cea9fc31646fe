package contactstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// listAll returns the ids of all that a query selects, page by page.
func (l *ledger) listAll(query contacts.Query) []uuid.UUID {
	l.t.Helper()
	var got []uuid.UUID
	for {
		page, err := l.List(l.t.Context(), l.tenant, query)
		require.NoError(l.t, err)
		require.LessOrEqual(l.t, len(page.Items), query.Limit)
		for _, item := range page.Items {
			require.Equal(l.t, l.document(item.ID), item.Document)
			require.Equal(l.t, item.ID, item.At.ID)
			got = append(got, item.ID)
		}
		if page.Rest == nil {
			return got
		}
		query.After = page.Rest
	}
}

// RunLists is the part of [RunStore] that is about lists, for stores that are set up to give
// them in another way.
func RunLists(t *testing.T, store Store) {
	testLists(t, &ledger{t: t, Store: store})
}

func testLists(t *testing.T, l *ledger) {
	for name, test := range map[string]func(*testing.T, *ledger){
		"Pages": testPages, "Orders": testListOrders, "Filters": testListFilters, "Largest": testListLargest,
		"Bytes": testListBytes,
	} {
		t.Run(name, func(t *testing.T) { test(t, &ledger{t: t, Store: l.Store, tenant: NewTenant()}) })
	}
}

func testPages(t *testing.T, l *ledger) {
	var want []uuid.UUID
	for i := range 7 {
		create := l.create(Jane(t))
		if i == 3 {
			l.apply(NewCommand(t, contacts.Delete, l.tenant, create.Contact))
			continue
		}
		want = append(want, create.Contact)
	}
	require.Equal(t, want, l.listAll(contacts.Query{Sort: contacts.SortCreated, Limit: 4}))
}

// Each order, in both directions and with ties, is that of the model, for all the pages'
// length.
func testListOrders(t *testing.T, l *ledger) {
	model := NewModel()
	began := time.Now()
	for i, name := range []string{"Émile", "emil", "Zoe", "adam", "Ångström", "", "Adam", "ÉMILE", "adam"} {
		create := CreateCommand(t, l.tenant, Normalize(t, contacts.Fields{DisplayName: name, Email: "x@example.com"}))
		merge := MergeCommand(t, l.tenant, create.Contact, `{"nickname":"N"}`)
		for k, command := range []contacts.Command{create, merge} {
			// in another order than they were created; two at a time
			at := began.Add(time.Duration(k*10-i/2) * time.Second)
			for _, ledger := range []contacts.Ledger{l, model} {
				_, err := ledger.Apply(t.Context(), []contacts.Command{command}, at, nil)
				require.NoError(t, err)
			}
		}
	}
	for _, sort := range contacts.Sorts() {
		for _, limit := range []int{1, 2, 4, 20} {
			query := contacts.Query{Sort: sort, Limit: limit}
			same := &ledger{t: t, Store: model, tenant: l.tenant}
			require.Equal(t, same.listAll(query), l.listAll(query), "%s, %d at a time", sort, limit)
		}
		require.Len(t, l.listAll(contacts.Query{Sort: sort, Limit: 3}), 9, sort)
	}
}

// parts are terms of one form each.
func parts(terms ...string) [][]string {
	var all [][]string
	for _, term := range terms {
		all = append(all, []string{term})
	}
	return all
}

// values asks for one of the keys.
func values(keys ...string) []contacts.Values {
	return []contacts.Values{{Keys: keys, Common: strings.HasPrefix(keys[0], "label:")}}
}

func testListFilters(t *testing.T, l *ledger) {
	began := time.Now().Truncate(time.Microsecond)
	make := func(fields contacts.Fields, at time.Time) uuid.UUID {
		create := CreateCommand(t, l.tenant, Normalize(t, fields))
		_, err := l.Apply(t.Context(), []contacts.Command{create}, at, nil)
		require.NoError(t, err)
		return create.Contact
	}
	jose := make(contacts.Fields{
		FirstName: "José", LastName: "Pérez", Emails: []contacts.EmailAddress{{Address: "Jose@Example.com"}, {Address: "jp@work.example"}},
		Phones: []contacts.PhoneNumber{{Number: "+51 (1) 987-6543"}}, Labels: []string{"Amigos"},
		Addresses: []contacts.PostalAddress{{Street: "Straße 5_b", City: "São Paulo"}},
	}, began)
	ann := make(contacts.Fields{DisplayName: "Ann 100%", Organization: "ACME", Labels: []string{"amigos", "Work"}}, began.Add(time.Second))
	gone := make(contacts.Fields{FirstName: "José", Email: "jose@example.com", Labels: []string{"amigos"}, Phone: "+5119876543"}, began)
	l.apply(NewCommand(t, contacts.Delete, l.tenant, gone))

	for _, c := range []struct {
		name  string
		query contacts.Query
		want  []uuid.UUID
	}{
		{"all", contacts.Query{}, []uuid.UUID{jose, ann}},
		{"a part of a name", contacts.Query{Terms: parts("ere")}, []uuid.UUID{jose}},
		{"two parts", contacts.Query{Terms: parts("jos", "perez")}, []uuid.UUID{jose}},
		{"one of two parts", contacts.Query{Terms: parts("jose", "acme")}, nil},
		{"two letters", contacts.Query{Terms: parts("nn")}, []uuid.UUID{ann}},
		{"one letter and a part", contacts.Query{Terms: parts("p", "jose")}, []uuid.UUID{jose}},
		{"an address", contacts.Query{Terms: parts("strasse", "sao")}, []uuid.UUID{jose}},
		{"digits of a number", contacts.Query{Terms: parts("19876")}, []uuid.UUID{jose}},
		{"a wildcard of LIKE", contacts.Query{Terms: parts("100%")}, []uuid.UUID{ann}},
		{"a wildcard of LIKE that is none", contacts.Query{Terms: parts("a%n")}, nil},
		{"another wildcard of LIKE", contacts.Query{Terms: parts("5_b")}, []uuid.UUID{jose}},
		{"another wildcard that is none", contacts.Query{Terms: parts("5__")}, nil},
		{"a backslash", contacts.Query{Terms: parts(`\`)}, nil},
		{"quotes", contacts.Query{Terms: parts(`"ann"`)}, nil},
		{"a word of a query language", contacts.Query{Terms: parts("or", "not")}, nil},
		{"an email", contacts.Query{Values: values("email:jose@example.com")}, []uuid.UUID{jose}},
		{"another email", contacts.Query{Values: values("email:jp@work.example")}, []uuid.UUID{jose}},
		{"a part of an email", contacts.Query{Values: values("email:jose@example")}, nil},
		{"one of two forms", contacts.Query{Terms: [][]string{{"987-65", "98765"}}}, []uuid.UUID{jose}},
		{"two forms, and neither", contacts.Query{Terms: [][]string{{"987-65", "987-6"}}}, nil},
		{"a short form and a long one", contacts.Query{Terms: [][]string{{"zz", "perez"}}}, []uuid.UUID{jose}},
		{"a number", contacts.Query{Values: values("phone:1", "phone:5119876543")}, []uuid.UUID{jose}},
		{"a part of a number", contacts.Query{Values: values("phone:9876543")}, nil},
		{"a label", contacts.Query{Values: values("label:amigos")}, []uuid.UUID{jose, ann}},
		{"a label and a part", contacts.Query{Values: values("label:amigos"), Terms: parts("acme")}, []uuid.UUID{ann}},
		{"updated since", contacts.Query{UpdatedSince: began.Add(time.Second)}, []uuid.UUID{ann}},
		{"updated since long", contacts.Query{UpdatedSince: began}, []uuid.UUID{jose, ann}},
	} {
		// here the same
		for _, sort := range []contacts.Sort{contacts.SortCreated, "-" + contacts.SortName} {
			c.query.Sort, c.query.Limit = sort, 1
			require.Equal(t, c.want, l.listAll(c.query), "%s by %s", c.name, sort)
		}
	}
	stranger, err := l.List(t.Context(), NewTenant(), contacts.Query{Terms: parts("jose"), Sort: contacts.SortName, Limit: 9})
	require.NoError(t, err)
	require.Empty(t, stranger.Items)
	require.Nil(t, stranger.Rest)

	// What a contact is found by follows its changes.
	l.apply(MergeCommand(t, l.tenant, ann, `{"display_name":"Bob","labels":["work","new"],"email":"bob@example.com"}`))
	for _, c := range []struct {
		query contacts.Query
		want  []uuid.UUID
	}{
		{contacts.Query{Terms: parts("ann")}, nil},
		{contacts.Query{Terms: parts("bob")}, []uuid.UUID{ann}},
		{contacts.Query{Values: values("label:amigos")}, []uuid.UUID{jose}},
		{contacts.Query{Values: values("label:work")}, []uuid.UUID{ann}},
		{contacts.Query{Values: values("label:new")}, []uuid.UUID{ann}},
		{contacts.Query{Values: values("email:bob@example.com")}, []uuid.UUID{ann}},
	} {
		c.query.Sort, c.query.Limit = contacts.SortCreated, 9
		require.Equal(t, c.want, l.listAll(c.query), "%+v", c.query)
	}
}

// large are fields of almost as many bytes as a contact may have.
func large(t *testing.T) contacts.Fields {
	fields := contacts.Fields{FirstName: "Large", CustomFields: map[string]contacts.CustomValue{}}
	for i := range 92 {
		fields.CustomFields[fmt.Sprint(i)] = contacts.CustomText(strings.Repeat("ж", 1000))
	}
	return Normalize(t, fields)
}

// A page ends where its documents have so many bytes, and the next one goes on there.
func testListBytes(t *testing.T, l *ledger) {
	var want []uuid.UUID
	// small ones before, from which a reader cannot tell how long the others are
	for range contacts.DefaultPage + 2 {
		want = append(want, l.create(Jane(t)).Contact)
	}
	for range 5 {
		want = append(want, l.create(large(t)).Contact)
	}
	for _, limit := range []int{contacts.DefaultPage, len(want) - 1, contacts.MaxPage} {
		query := contacts.Query{Sort: contacts.SortCreated, Limit: limit}
		var got []uuid.UUID
		for more := true; more; more = query.After != nil {
			page, err := l.List(t.Context(), l.tenant, query)
			require.NoError(t, err)
			bytes := 0
			for _, item := range page.Items {
				require.Less(t, bytes, contacts.MaxPageBytes, "it would have been enough before")
				bytes += len(item.JSON)
				got = append(got, item.ID)
			}
			if page.Rest != nil && bytes < contacts.MaxPageBytes {
				require.Len(t, page.Items, limit, "there was room for more")
			}
			query.After = page.Rest
		}
		require.Equal(t, want, got, "%d at a time", limit)
	}
}

// A contact as large as it may be can be stored, found and ordered.
func testListLargest(t *testing.T, l *ledger) {
	fields := contacts.Fields{DisplayName: strings.Repeat("ǅ", 1000), Notes: strings.Repeat("n", 20000)}
	for i := range 50 {
		fields.Emails = append(fields.Emails, contacts.EmailAddress{Address: fmt.Sprintf("%s%02d@%[1]s.%[1]s.example.com", strings.Repeat("e", 62), i)})
		fields.Phones = append(fields.Phones, contacts.PhoneNumber{Number: fmt.Sprintf("+51 1 98765%02d", i)})
	}
	// which takes 18 characters each without the ligature
	fields.Labels = []string{strings.Repeat("ﷺ", 100)}
	create := l.create(Normalize(t, fields))
	for _, sort := range contacts.Sorts() {
		require.Equal(t, []uuid.UUID{create.Contact}, l.listAll(contacts.Query{Terms: parts("9876549"), Sort: sort, Limit: 1}), sort)
	}
}
