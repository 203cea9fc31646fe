package contacts_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// violations returns the pointers of a validation error.
func violations(t *testing.T, err error) []string {
	t.Helper()
	var e *contacts.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, contacts.KindInvalid, e.Kind)
	var pointers []string
	for _, v := range e.Violations {
		require.NotEmpty(t, v.Message)
		pointers = append(pointers, v.Pointer)
	}
	return pointers
}

func TestFields_Normalize(t *testing.T) {
	long := strings.Repeat("x", 201)
	for name, test := range map[string]struct {
		fields  contacts.Fields
		invalid []string
	}{
		"nothing":                {contacts.Fields{}, []string{""}},
		"only a note":            {contacts.Fields{Notes: "n"}, []string{""}},
		"only a prefix":          {contacts.Fields{NamePrefix: "Dr."}, []string{""}},
		"an organization":        {contacts.Fields{Organization: "Example"}, nil},
		"a nickname":             {contacts.Fields{Nickname: "J"}, nil},
		"a phone":                {contacts.Fields{Phone: "987654321"}, nil},
		"two long names":         {contacts.Fields{FirstName: long, LastName: long}, []string{"/first_name", "/last_name"}},
		"as long as may be":      {contacts.Fields{FirstName: strings.Repeat("ü", 200)}, nil},
		"a control character":    {contacts.Fields{FirstName: "a\x00b"}, []string{"/first_name"}},
		"lines in a name":        {contacts.Fields{FirstName: "a\nb"}, []string{"/first_name"}},
		"lines in a note":        {contacts.Fields{FirstName: "a", Notes: "a\nb\tc"}, nil},
		"no email":               {contacts.Fields{Email: "jane"}, []string{"/email"}},
		"an email with its name": {contacts.Fields{Email: "Jane <jane@example.com>"}, []string{"/email"}},
		"the second email": {
			contacts.Fields{Emails: []contacts.EmailAddress{{Address: "a@example.com"}, {Address: ""}}},
			[]string{"/emails/1/address"},
		},
		"shorthands that disagree": {contacts.Fields{
			Email: "a@example.com", Emails: []contacts.EmailAddress{{Address: "b@example.com"}},
			Phone: "1", Phones: []contacts.PhoneNumber{{Number: "2"}},
		}, []string{"/email", "/phone"}},
		"a shorthand beside an emptied list": {contacts.Fields{Phone: "1", Phones: []contacts.PhoneNumber{}}, []string{"/phone"}},
		"a phone without digits":             {contacts.Fields{Phone: "none"}, []string{"/phone"}},
		"an empty address":                   {contacts.Fields{FirstName: "a", Addresses: []contacts.PostalAddress{{Label: "home"}}}, []string{"/addresses/0"}},
		"a date":                             {contacts.Fields{FirstName: "a", Birthday: "1985-04-12"}, nil},
		"a date without a year":              {contacts.Fields{FirstName: "a", Birthday: "--02-29"}, nil},
		"no date":                            {contacts.Fields{FirstName: "a", Birthday: "1985-02-29"}, []string{"/birthday"}},
		"a link to run":                      {contacts.Fields{FirstName: "a", URLs: []string{"javascript://x/%0aalert(1)"}}, []string{"/urls/0"}},
		"no link":                            {contacts.Fields{FirstName: "a", URLs: []string{"example.com"}}, []string{"/urls/0"}},
		"too many labels":                    {contacts.Fields{FirstName: "a", Labels: make([]string, 101)}, []string{"/labels"}},
		"an empty label":                     {contacts.Fields{FirstName: "a", Labels: []string{"x", " "}}, []string{"/labels/1"}},
		"an invisible custom name":           {contacts.Fields{FirstName: "a", CustomFields: map[string]contacts.CustomValue{"\u200b": {}}}, []string{"/custom_fields/\u200b"}},
		"a custom field's name":              {contacts.Fields{FirstName: "a", CustomFields: map[string]contacts.CustomValue{"a/b\x01": contacts.CustomText("x")}}, []string{"/custom_fields/a~1b\x01"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.fields.Normalize("")
			if test.invalid == nil {
				require.NoError(t, err)
				return
			}
			require.Equal(t, test.invalid, violations(t, err))
		})
	}
}

func TestFields_Normalize_TooMuchInAll(t *testing.T) {
	fields := contacts.Fields{FirstName: "a", CustomFields: map[string]contacts.CustomValue{}}
	for i := range 100 {
		fields.CustomFields[strings.Repeat("n", i+1)] = contacts.CustomText(strings.Repeat("本", 1000))
	}
	_, err := fields.Normalize("")
	require.Equal(t, []string{""}, violations(t, err))
}

func TestFields_Normalize_Result(t *testing.T) {
	got, err := contacts.Fields{
		FirstName: " Jose\u0301 ", LastName: "Núñez", Email: " j@example.com ", Phone: "987 654 321",
		Labels: []string{"a", " a", "b"},
	}.Normalize("PE")
	require.NoError(t, err)
	require.Equal(t, contacts.Fields{
		FirstName: "José", LastName: "Núñez", DisplayName: "José Núñez", Email: "j@example.com", Phone: "987 654 321",
		Emails: []contacts.EmailAddress{{Address: "j@example.com"}},
		Phones: []contacts.PhoneNumber{{Number: "987 654 321", E164: "+51987654321"}},
		Labels: []string{"a", "b"},
	}, got)
}

func TestFields_Normalize_TwiceChangesNothing(t *testing.T) {
	text := rapid.StringN(0, 30, -1)
	rapid.Check(t, func(t *rapid.T) {
		fields := contacts.Fields{
			FirstName: text.Draw(t, "first"), NamePrefix: text.Draw(t, "prefix"), Nickname: text.Draw(t, "nickname"),
			DisplayName: text.Draw(t, "display"), Organization: text.Draw(t, "organization"), Notes: text.Draw(t, "notes"),
			Labels:       rapid.SliceOfN(text, 0, 4).Draw(t, "labels"),
			CustomFields: rapid.MapOfN(text, rapid.Map(text, contacts.CustomText), 0, 4).Draw(t, "custom"),
			Phones: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) contacts.PhoneNumber {
				return contacts.PhoneNumber{Number: "1" + text.Draw(t, "number"), E164: text.Draw(t, "e164")}
			}), 0, 3).Draw(t, "phones"),
		}
		once, err := fields.Normalize("PE")
		if err != nil {
			return
		}
		twice, err := once.Normalize("PE")
		if err != nil {
			t.Fatalf("normalized fields are refused: %v", err)
		}
		before, _ := json.Marshal(once)
		after, _ := json.Marshal(twice)
		if string(before) != string(after) {
			t.Fatalf("%s became %s", before, after)
		}
	})
}

// decide applies a command to a contact with the fields.
func decide(t *testing.T, fields contacts.Fields, command contacts.Command) (contacts.Contact, *contacts.Error) {
	t.Helper()
	current := contacts.Contact{Tenant: command.Tenant, ID: command.Contact, Version: 4, Fields: fields}
	return command.Decide(&current, command.AcceptedAt)
}

// What was read can be sent back with only the shorthand of a list changed. A list and a
// shorthand that say different things are refused.
func TestCommand_Replace_Shorthands(t *testing.T) {
	full := contactstest.Full(t)
	nameless := contactstest.Normalize(t, contacts.Fields{Email: "a@example.com"})
	for name, test := range map[string]struct {
		before contacts.Fields
		change func(*contacts.Fields)
		want   func(*contacts.Fields) // nil: refused
	}{
		"another email": {full, func(f *contacts.Fields) { f.Email = "n@example.com" }, func(f *contacts.Fields) { f.Emails[0].Address = "n@example.com" }},
		"the second email": {full, func(f *contacts.Fields) { f.Email = "Z@example.org" }, func(f *contacts.Fields) {
			f.Email, f.Emails[0], f.Emails[1] = "Z@example.org", contacts.EmailAddress{Address: "Z@example.org"}, f.Emails[0]
		}},
		"another phone": {full, func(f *contacts.Fields) { f.Phone = "+1 415 555 2671" }, func(f *contacts.Fields) {
			f.Phones[0].Number, f.Phones[0].E164 = "+1 415 555 2671", "+14155552671"
		}},
		"both": {full, func(f *contacts.Fields) { f.Email, f.Phone = "n@example.com", "1" }, func(f *contacts.Fields) {
			f.Emails[0].Address, f.Phones[0].Number, f.Phones[0].E164 = "n@example.com", "1", ""
		}},
		"the lists alone":        {full, func(f *contacts.Fields) { f.Email, f.Emails = "", f.Emails[1:] }, func(f *contacts.Fields) { f.Email = "z@example.org" }},
		"a name of an address":   {nameless, func(f *contacts.Fields) { f.Email = "b@example.com" }, func(f *contacts.Fields) { f.Emails[0].Address, f.DisplayName = "b@example.com", "b@example.com" }},
		"another list as well":   {full, func(f *contacts.Fields) { f.Email, f.Emails = "n@example.com", f.Emails[1:] }, nil},
		"another phone list":     {full, func(f *contacts.Fields) { f.Phone, f.Phones = "1", f.Phones[1:] }, nil},
		"no address":             {full, func(f *contacts.Fields) { f.Email = "n@" }, nil},
		"no number":              {full, func(f *contacts.Fields) { f.Phone = "none" }, nil},
		"a list that was not so": {nameless, func(f *contacts.Fields) { f.Phone, f.Phones = "1", []contacts.PhoneNumber{{Number: "2"}} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			desk := contactstest.NewDesk()
			service := contacts.NewService(desk.Options())
			created, err := service.Create(t.Context(), jane, test.before, wait)
			require.NoError(t, err)
			sent := clone(t, test.before)
			test.change(&sent)
			replaced, err := service.Replace(t.Context(), jane, created.Contact, sent, wait)
			if test.want == nil {
				for _, pointer := range violations(t, err) {
					require.Contains(t, []string{"/email", "/phone"}, pointer)
				}
				return
			}
			require.NoError(t, err)
			want := clone(t, sent)
			test.want(&want)
			var got contacts.Representation
			require.NoError(t, json.Unmarshal(replaced.Document, &got))
			require.Equal(t, want, got.Fields)
		})
	}
}

func TestCommand_Merge(t *testing.T) {
	jane := contactstest.Jane(t)
	full := contactstest.Full(t)
	id := contactstest.NewID(t)
	for name, test := range map[string]struct {
		before contacts.Fields
		patch  string
		change func(*contacts.Fields)
	}{
		"nothing":             {full, `{}`, func(*contacts.Fields) {}},
		"a text":              {jane, `{"notes":"x"}`, func(f *contacts.Fields) { f.Notes = "x" }},
		"a name is composed":  {jane, `{"first_name":"Ann"}`, func(f *contacts.Fields) { f.FirstName, f.DisplayName = "Ann", "Ann Doe" }},
		"a given name stays":  {full, `{"first_name":"Ann"}`, func(f *contacts.Fields) { f.FirstName = "Ann" }},
		"the given name goes": {full, `{"display_name":null}`, func(f *contacts.Fields) { f.DisplayName = "Dr. Zoë Ana Núñez <& Söhne> PhD" }},
		"null removes":        {full, `{"notes":null,"labels":null,"addresses":null}`, func(f *contacts.Fields) { f.Notes, f.Labels, f.Addresses = "", nil, nil }},
		"the primary email":   {full, `{"email":"n@example.com"}`, func(f *contacts.Fields) { f.Email, f.Emails[0].Address = "n@example.com", "n@example.com" }},
		"another one becomes the primary email": {full, `{"email":"Z@example.org"}`, func(f *contacts.Fields) {
			f.Email, f.Emails[0], f.Emails[1] = "Z@example.org", f.Emails[1], f.Emails[0]
			f.Emails[0].Address = "Z@example.org"
		}},
		"the primary email of what was read": {full, `{"email":"n@example.com","emails":[{"address":"zoe@example.com","label":"work"},{"address":"z@example.org"}]}`, func(f *contacts.Fields) {
			f.Email, f.Emails[0].Address = "n@example.com", "n@example.com"
		}},
		"the primary phone of what was read": {full, `{"phone":"ext 12","phones":[{"number":"+51 987 654 321","e164":"+51987654321","label":"mobile"},{"number":"ext 12"}]}`, func(f *contacts.Fields) {
			f.Phone, f.Phones[0], f.Phones[1] = "ext 12", f.Phones[1], f.Phones[0]
		}},
		"the primary phone beside its list": {full, `{"phone":"+1 415 555 2671","phones":[{"number":"+51 987 654 321","label":"mobile"},{"number":"ext 12"}]}`, func(f *contacts.Fields) {
			f.Phone, f.Phones[0].Number, f.Phones[0].E164 = "+1 415 555 2671", "+1 415 555 2671", "+14155552671"
		}},
		"no primary email": {full, `{"email":null}`, func(f *contacts.Fields) { f.Email, f.Emails = "z@example.org", f.Emails[1:] }},
		"a first phone":    {contactstest.Normalize(t, contacts.Fields{FirstName: "a"}), `{"phone":"1"}`, func(f *contacts.Fields) { f.Phone, f.Phones = "1", []contacts.PhoneNumber{{Number: "1"}} }},
		"a list as a whole": {full, `{"emails":[{"address":"n@example.com"}]}`, func(f *contacts.Fields) {
			f.Email, f.Emails = "n@example.com", []contacts.EmailAddress{{Address: "n@example.com"}}
		}},
		"custom fields merge": {full, `{"custom_fields":{"a":null,"n":"1"}}`, func(f *contacts.Fields) { delete(f.CustomFields, "a"); f.CustomFields["n"] = contacts.CustomText("1") }},
		"custom names are cleaned": {full, `{"custom_fields":{" b/c~d ":null,"u\u0308":"1"}}`, func(f *contacts.Fields) {
			delete(f.CustomFields, "b/c~d")
			f.CustomFields["ü"] = contacts.CustomText("1")
		}},
		"custom fields of all types": {full, `{"custom_fields":{"a":41.50,"b/c~d":true}}`, func(f *contacts.Fields) {
			f.CustomFields["a"], f.CustomFields["b/c~d"] = literal(t, "41.5"), literal(t, "true")
		}},
		"no custom fields":     {full, `{"custom_fields":null}`, func(f *contacts.Fields) { f.CustomFields = nil }},
		"escapes of JSON stay": {jane, `{"notes":"<\u2028&>"}`, func(f *contacts.Fields) { f.Notes = "<\u2028&>" }},
	} {
		t.Run(name, func(t *testing.T) {
			command := contactstest.MergeCommand(t, contacts.DefaultTenant, id, test.patch)
			made, problem := decide(t, test.before, command)
			require.Nil(t, problem)
			want := clone(t, test.before)
			test.change(&want)
			require.Equal(t, want, made.Fields)
			if name == "nothing" {
				require.EqualValues(t, 4, made.Version)
			} else {
				require.EqualValues(t, 5, made.Version)
			}
		})
	}
}

// A list has nothing twice, however it is written. The first one stays, with the first label.
func TestFields_Normalize_EqualEntries(t *testing.T) {
	fields, err := contacts.Fields{
		FirstName: "Jane",
		Emails: []contacts.EmailAddress{
			{Address: "jane@bücher.example"},
			{Address: "o@mail.example"},
			{Address: "JANE@xn--bcher-kva.example", Label: "work"},
			{Address: "jane@BÜCHER.example", Label: "home"},
		},
		Phones: []contacts.PhoneNumber{{Number: "+1 415 555 2671", Label: "a"}, {Number: "+1 (415) 555-2671", Label: "b"}, {Number: "555 2671"}},
		Labels: []string{"Work", "wörk", "WORK", "WÖRK"}, URLs: []string{"https://a.example/x", "https://a.example/X", "https://a.example/x"},
	}.Normalize("")
	require.NoError(t, err)
	require.Equal(t, []contacts.EmailAddress{{Address: "jane@bücher.example", Label: "work"}, {Address: "o@mail.example"}}, fields.Emails)
	require.Equal(t, []contacts.PhoneNumber{{Number: "+1 415 555 2671", E164: "+14155552671", Label: "a"}, {Number: "555 2671"}}, fields.Phones)
	require.Equal(t, []string{"Work", "wörk"}, fields.Labels)
	require.Equal(t, []string{"https://a.example/x", "https://a.example/X"}, fields.URLs)
}

func TestFields_Normalize_Names(t *testing.T) {
	for want, fields := range map[string]contacts.Fields{
		"欧阳小明":         {FirstName: "小明", LastName: "欧阳"},
		"山田たろう":        {FirstName: "たろう", LastName: "山田"},
		"김철수":          {FirstName: "철수", LastName: "김"},
		"スズキイチロー":      {FirstName: "イチロー", LastName: "スズキ"},
		"Li 明":         {FirstName: "Li", LastName: "明"},
		"Dr. 山田太郎 PhD": {NamePrefix: "Dr.", FirstName: "太郎", LastName: "山田", NameSuffix: "PhD"},
		"Jane Q. Doe":  {FirstName: "Jane", MiddleName: "Q.", LastName: "Doe"},
	} {
		normal, err := fields.Normalize("")
		require.NoError(t, err)
		require.Equal(t, want, normal.DisplayName)
	}
	for pointer, fields := range map[string]contacts.Fields{
		"/first_name": {FirstName: "\u200b", LastName: "Doe"}, "/last_name": {LastName: "\u3164"}, "/display_name": {DisplayName: "\u2800"},
		"/labels/0": {FirstName: "a", Labels: []string{"\u00ad"}}, "/emails/0/label": {Emails: []contacts.EmailAddress{{Address: "a@b.example", Label: "\u2060"}}},
		"/addresses/0/city": {FirstName: "a", Addresses: []contacts.PostalAddress{{City: "\u200e"}}},
	} {
		_, err := fields.Normalize("")
		require.Equal(t, []string{pointer}, violations(t, err))
	}
}

func TestFields_Normalize_Birthday(t *testing.T) {
	for _, date := range []string{"1990-12-31", "1990-12", "1990", "--12-31", "--02-29", "2000-02-29"} {
		fields, err := contacts.Fields{FirstName: "a", Birthday: date}.Normalize("")
		require.NoError(t, err, date)
		require.Equal(t, date, fields.Birthday)
	}
	for _, date := range []string{"1990-13", "1990-2-3", "90", "--12", "--13-01", "---31", "1990-02-30", "19901231", "1990-", "1990-12-31T00:00"} {
		_, err := contacts.Fields{FirstName: "a", Birthday: date}.Normalize("")
		require.Equal(t, []string{"/birthday"}, violations(t, err), date)
	}
}

// A caller that reads a contact, changes its name and puts it back sends the composed display
// name along.
func TestCommand_Replace_DisplayName(t *testing.T) {
	jane := contactstest.Jane(t)
	edited := jane
	edited.FirstName = "Ann"
	command := contactstest.NewCommand(t, contacts.Replace, contacts.DefaultTenant, contactstest.NewID(t))
	command.Fields = contactstest.Normalize(t, edited)
	made, problem := decide(t, jane, command)
	require.Nil(t, problem)
	require.Equal(t, "Ann Doe", made.Fields.DisplayName)

	command.Fields.DisplayName = "Ms. Ann"
	made, problem = decide(t, jane, command)
	require.Nil(t, problem)
	require.Equal(t, "Ms. Ann", made.Fields.DisplayName, "a given one stays")

	command.Fields = contactstest.Normalize(t, contacts.Fields{DisplayName: "Jane Doe", Email: "jane@example.com"})
	made, problem = decide(t, jane, command)
	require.Nil(t, problem)
	require.Equal(t, "Jane Doe", made.Fields.DisplayName, "so does one that is all the name there is")
}

func clone(t *testing.T, fields contacts.Fields) contacts.Fields {
	t.Helper()
	raw, err := json.Marshal(fields)
	require.NoError(t, err)
	var copied contacts.Fields
	require.NoError(t, json.Unmarshal(raw, &copied))
	return copied
}

func parsePatch(raw []byte) (contacts.Patch, error) {
	fields, err := contacts.DecodeFields(raw)
	if err != nil {
		return nil, err
	}
	return contacts.NewPatch(raw, fields)
}

func TestNewPatch_Refuses(t *testing.T) {
	for patch, pointers := range map[string][]string{
		`[]`:                              {""},
		`null`:                            {""},
		`{`:                               {""},
		`{} {}`:                           {""},
		`{"fist_name":"x"}`:               {"/fist_name"},
		`{"first_name":1}`:                {"/first_name"},
		`{"email":"x"}`:                   {"/email"},
		`{"id":"x"}`:                      {"/id"},
		`{"emails":[{"adr":"x"}]}`:        {"/adr"},
		`{"custom_fields":{"a":{"b":1}}}`: {"/custom_fields"},
	} {
		_, err := parsePatch([]byte(patch))
		require.Equal(t, pointers, violations(t, err), patch)
	}
}

func FuzzNewPatch(f *testing.F) {
	f.Add([]byte(`{"first_name":"x","email":null,"custom_fields":{"a":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		patch, err := parsePatch(raw)
		if err != nil {
			var e *contacts.Error
			require.ErrorAs(t, err, &e, "every refusal can be told to the caller")
			return
		}
		command := contacts.Command{Kind: contacts.Merge, Patch: patch, Contact: contactstest.NewID(t)}
		made, problem := decide(t, contactstest.Jane(t), command)
		if problem == nil {
			_, err := made.Fields.Normalize("")
			require.NoError(t, err, "a contact is never made invalid")
		}
	})
}
