package commandqueue

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/queue"
)

func commandsOfEachKind(t testing.TB) []contacts.Command {
	t.Helper()
	create := contactstest.CreateCommand(t, "acme", contactstest.Full(t))
	create.ReplyTo, create.Region, create.Fingerprint = "notices:1", "PE", "f00"
	create.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	replace := contactstest.NewCommand(t, contacts.Replace, "acme", create.Contact)
	replace.Fields, replace.IfMatch = contactstest.Jane(t), []int64{1, 9007199254740993}
	upsert := contactstest.NewCommand(t, contacts.Upsert, "acme", contactstest.NewID(t))
	upsert.Fields = contactstest.Full(t)
	return []contacts.Command{
		create, replace, upsert,
		contactstest.MergeCommand(t, "acme", create.Contact, `{"email":null,"notes":"<\u2028&>","custom_fields":{"a":null}}`),
		contactstest.NewCommand(t, contacts.Delete, "acme", create.Contact),
		contactstest.NewCommand(t, contacts.Erase, "acme", create.Contact),
	}
}

func TestEvent_RoundTrip(t *testing.T) {
	for _, command := range commandsOfEachKind(t) {
		body, err := encode(command)
		require.NoError(t, err)
		got, err := decode(body)
		require.NoError(t, err)
		require.Equal(t, command, *got)
	}
}

func TestEvent_IsACloudEvent(t *testing.T) {
	command := commandsOfEachKind(t)[0]
	body, err := encode(command)
	require.NoError(t, err)
	var attributes map[string]any
	require.NoError(t, json.Unmarshal(body, &attributes))
	for name, want := range map[string]string{
		"specversion": "1.0", "id": command.Operation.String(), "source": "/contacts", "type": "contacts.command.create.v1",
		"subject": command.Contact.String(), "datacontenttype": "application/json", "tenant": "acme", "replyto": "notices:1",
		"traceparent": command.TraceParent, "fingerprint": "f00",
	} {
		require.Equal(t, want, attributes[name])
	}
	for name := range attributes {
		require.Equal(t, strings.ToLower(name), name, "CloudEvents 1.0, 3.1: lower-case letters and digits")
	}
}

func TestEvent_CharactersBeyondTheTransport(t *testing.T) {
	command := contactstest.CreateCommand(t, "acme", contactstest.Normalize(t, contacts.Fields{FirstName: "😀\uFFFE\uFFFF本\\u"}))
	body, err := encode(command)
	require.NoError(t, err)
	for _, r := range string(body) {
		require.Less(t, r, rune(0xFFFE))
	}
	got, err := decode(body)
	require.NoError(t, err)
	require.Equal(t, command, *got)
}

// The largest contact that the domain lets pass has to fit into a message.
func TestEvent_LargestContactFits(t *testing.T) {
	fields := contacts.Fields{FirstName: "a", CustomFields: map[string]contacts.CustomValue{}}
	for i := range 95 {
		fields.CustomFields[strings.Repeat("n", i+1)] = contacts.CustomText(strings.Repeat("本", 640))
	}
	fields = contactstest.Normalize(t, fields)
	size, err := contacts.Encode(fields)
	require.NoError(t, err)
	require.Greater(t, len(size), contacts.MaxDocument*9/10)
	body, err := encode(contactstest.CreateCommand(t, "acme", fields))
	require.NoError(t, err)
	require.Less(t, len(body), queue.MaxBody)
}

func TestDecode_Refuses(t *testing.T) {
	want := commandsOfEachKind(t)[0]
	valid, err := encode(want)
	require.NoError(t, err)
	for name, change := range map[string]func(map[string]any){
		"another specversion": func(e map[string]any) { e["specversion"] = "2.0" },
		"another type":        func(e map[string]any) { e["type"] = "contacts.command.archive.v1" },
		"a newer type":        func(e map[string]any) { e["type"] = "contacts.command.create.v2" },
		"no type":             func(e map[string]any) { delete(e, "type") },
		"no id":               func(e map[string]any) { delete(e, "id") },
		"no subject":          func(e map[string]any) { delete(e, "subject") },
		"no tenant":           func(e map[string]any) { delete(e, "tenant") },
		"two tenants":         func(e map[string]any) { e["tenant"] = "acme globex" },
		"no data":             func(e map[string]any) { delete(e, "data") },
		"another kind's data": func(e map[string]any) { e["data"] = map[string]any{"patch": map[string]any{}} },
		"data of a newer version": func(e map[string]any) {
			e["data"].(map[string]any)["fields"].(map[string]any)["pronouns"] = "they"
		},
	} {
		t.Run(name, func(t *testing.T) {
			var e map[string]any
			require.NoError(t, json.Unmarshal(valid, &e))
			change(e)
			body, err := json.Marshal(e)
			require.NoError(t, err)
			got, err := decode(body)
			require.Error(t, err)
			if slices.Contains([]string{"no id", "no subject", "no tenant", "two tenants"}, name) {
				require.Nil(t, got)
			} else {
				require.Equal(t, []any{want.Operation, want.Tenant, want.Contact, want.ReplyTo, want.Fingerprint},
					[]any{got.Operation, got.Tenant, got.Contact, got.ReplyTo, got.Fingerprint}, "its operation can be ended")
			}
			require.NotContains(t, err.Error(), "Zo", "no contact's data in errors")
		})
	}
	for _, body := range []string{"", "{", "[]", "null", `"x"`} {
		_, err := decode([]byte(body))
		require.Error(t, err, body)
	}
}

func FuzzDecode(f *testing.F) {
	for _, command := range commandsOfEachKind(f) {
		body, err := encode(command)
		require.NoError(f, err)
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		command, err := decode(body)
		if err != nil {
			return
		}
		again, err := encode(*command)
		require.NoError(t, err)
		_, err = decode(again)
		require.NoError(t, err)
	})
}

// BenchmarkEvent measures a command's way into a message, and out of it.
func BenchmarkEvent(b *testing.B) {
	command := contactstest.CreateCommand(b, "acme", contactstest.Jane(b))
	b.ReportAllocs()
	for b.Loop() {
		body, err := encode(command)
		require.NoError(b, err)
		_, err = decode(body)
		require.NoError(b, err)
	}
}
