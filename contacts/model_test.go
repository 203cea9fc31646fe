package contacts_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"contacts/contacts"
	"contacts/contacts/contactstest"
)

// page is what a plain map knows of a contact.
type page struct {
	version  int64
	nickname string
	deleted  bool
	erased   bool
}

// machine drives the use cases and a plain map side by side: writes are sent, and delivered
// late, in batches, twice, in order within a contact and in no order across contacts.
type machine struct {
	service   *contacts.Service
	processor *contacts.Processor
	desk      *contactstest.Desk

	book    map[uuid.UUID]*page
	ids     []uuid.UUID                      // of contacts that a command was sent for
	queues  map[uuid.UUID][]contacts.Command // by contact
	applied []contacts.Command
	ended   map[uuid.UUID]bool // operations
	keys    map[string]contacts.Operation
	writes  int
}

func newMachine() *machine {
	m := &machine{
		desk: contactstest.NewDesk(), book: map[uuid.UUID]*page{}, queues: map[uuid.UUID][]contacts.Command{},
		ended: map[uuid.UUID]bool{}, keys: map[string]contacts.Operation{},
	}
	m.desk.OnSend = func(c contacts.Command) error {
		if _, known := m.queues[c.Contact]; !known {
			m.ids = append(m.ids, c.Contact)
		}
		m.queues[c.Contact] = append(m.queues[c.Contact], c)
		return nil
	}
	m.service = contacts.NewService(m.desk.Options())
	w := &world{}
	m.processor = contacts.NewProcessor(m.desk, w, w, w, w, nil, slog.New(slog.DiscardHandler), nil)
	return m
}

// nickname is a new one for each write, so that each effect can be told from the others.
func (m *machine) nickname() string {
	m.writes++
	return fmt.Sprint("n", m.writes)
}

func (m *machine) create(t *rapid.T) {
	fields := contacts.Fields{FirstName: "Jane", Nickname: m.nickname()}
	write := contacts.Write{}
	if rapid.Bool().Draw(t, "keyed") {
		write.IdempotencyKey = fields.Nickname
	}
	operation, err := m.service.Create(t.Context(), jane, fields, write)
	require.NoError(t, err)
	if write.IdempotencyKey == "" {
		return
	}
	m.keys[write.IdempotencyKey] = operation
	for range rapid.IntRange(0, 2).Draw(t, "retries") { // each mints another contact's id
		again, err := m.service.Create(t.Context(), jane, fields, write)
		require.NoError(t, err)
		require.Equal(t, operation.ID, again.ID)
	}
}

func (m *machine) change(t *rapid.T) {
	if len(m.ids) == 0 {
		return
	}
	id := rapid.SampledFrom(m.ids).Draw(t, "contact")
	var write contacts.Write
	if rapid.Bool().Draw(t, "conditional") {
		write.IfMatch = []int64{rapid.Int64Range(1, 5).Draw(t, "version")}
	}
	var err error
	switch rapid.IntRange(-1, 4).Draw(t, "kind") {
	case -1:
		_, err = m.service.Erase(t.Context(), jane, id, write)
	case 0:
		_, err = m.service.Delete(t.Context(), jane, id, write)
	case 1, 2:
		_, err = m.service.Replace(t.Context(), jane, id, contacts.Fields{FirstName: "J", Nickname: m.nickname()}, write)
	default:
		_, err = m.service.Merge(t.Context(), jane, id, contacts.Patch(fmt.Sprintf(`{"nickname":%q}`, m.nickname())), write)
	}
	require.NoError(t, err)
}

// deliver processes a batch: the first commands of some contacts, and some that were applied
// before.
func (m *machine) deliver(t *rapid.T) {
	var batch []contacts.Command
	for _, id := range m.ids {
		count := rapid.IntRange(0, len(m.queues[id])).Draw(t, "count")
		batch = append(batch, m.queues[id][:count]...)
		m.queues[id] = m.queues[id][count:]
	}
	if len(m.applied) > 0 && rapid.Bool().Draw(t, "again") {
		batch = append(batch, rapid.SampledFrom(m.applied).Draw(t, "redelivered"))
	}
	for i, err := range m.processor.Process(t.Context(), batch) {
		require.NoError(t, err)
		m.note(batch[i])
	}
	m.applied = append(m.applied, batch...)
	m.checkPast(t)
}

// note does to the map what the command should have done.
func (m *machine) note(c contacts.Command) {
	if m.ended[c.Operation] {
		return
	}
	m.ended[c.Operation] = true
	p := m.book[c.Contact]
	if c.Kind == contacts.Create {
		m.book[c.Contact] = &page{version: 1, nickname: c.Fields.Nickname}
		return
	}
	if p == nil || p.deleted && c.Kind != contacts.Erase || len(c.IfMatch) > 0 && c.IfMatch[0] != p.version {
		return
	}
	p.erased = c.Kind == contacts.Erase
	if p.deleted {
		return
	}
	p.version++
	switch c.Kind {
	case contacts.Delete, contacts.Erase:
		p.deleted = true
	case contacts.Replace:
		p.nickname = c.Fields.Nickname
	default:
		var patch struct{ Nickname string }
		_ = json.Unmarshal(c.Patch, &patch)
		p.nickname = patch.Nickname
	}
}

// check compares every contact with the map.
func (m *machine) check(t *rapid.T) {
	live := 0
	for _, id := range m.ids {
		document, err := m.service.Get(t.Context(), jane, id)
		p := m.book[id]
		if p == nil || p.deleted {
			require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
			continue
		}
		live++
		require.NoError(t, err)
		require.Equal(t, p.version, document.Version)
		var got contacts.Representation
		require.NoError(t, json.Unmarshal(document.JSON, &got))
		require.Equal(t, p.nickname, got.Nickname)
	}
	list, err := m.service.List(t.Context(), jane, contacts.Filter{}, contacts.MaxPage, "")
	require.NoError(t, err)
	require.Len(t, list.Items, live, "one contact for each key, whatever the retries")
	for _, operation := range m.keys {
		now, err := m.service.Operation(t.Context(), jane, operation.ID)
		require.NoError(t, err)
		require.Equal(t, m.ended[operation.ID], now.Status != contacts.Pending)
	}
}

// checkPast compares what is kept of each contact with the map: all of its versions, or of an
// erased one only the last.
func (m *machine) checkPast(t *rapid.T) {
	changes, err := m.desk.Changes(t.Context(), jane.Tenant, contacts.ChangePosition{}, 1<<20)
	require.NoError(t, err)
	versions := map[uuid.UUID]int64{}
	for _, change := range changes {
		if m.book[change.Contact].erased {
			require.Nil(t, change.Document)
			require.Equal(t, m.book[change.Contact].version, change.Version)
		} else {
			require.Equal(t, versions[change.Contact]+1, change.Version)
		}
		versions[change.Contact] = change.Version
	}
	for id, p := range m.book {
		require.Equal(t, p.version, versions[id])
	}
	for _, c := range m.applied {
		operation, _, err := m.desk.Operation(t.Context(), jane.Tenant, c.Operation)
		require.NoError(t, err)
		if p := m.book[operation.Contact]; p != nil && p.erased {
			require.Equal(t, operation.Erased(), operation)
		}
	}
}

func TestService_AgainstAPlainMap(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		require.NoError(t, checks.Value.Set("2000"))
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine()
		t.Repeat(map[string]func(*rapid.T){"create": m.create, "change": m.change, "deliver": m.deliver, "": m.check})
	})
}
