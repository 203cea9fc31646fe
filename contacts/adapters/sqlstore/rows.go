package sqlstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/platform/database"
)

// table is a table whose rows are written in a batch.
type table struct {
	name    string
	columns []column
	tail    string // of the statement, behind the rows
}

// column is a column, its type in PostgreSQL, and how its values are gathered from rows.
type column struct {
	name, kind string
	gather     func(rows [][]any, i int) any
}

// gather returns the values of one column as an array.
func gather[T any](rows [][]any, i int) any {
	values := make([]T, len(rows))
	for k, row := range rows {
		values[k], _ = row[i].(T)
	}
	return values
}

// gatherIDs returns ids in a type of which pgx knows that it is 16 bytes: a UUID would go
// through its text.
func gatherIDs(rows [][]any, i int) any {
	values := make([][16]byte, len(rows))
	for k, row := range rows {
		values[k] = row[i].(uuid.UUID)
	}
	return values
}

func text(name string) column     { return column{name, "text", gather[string]} }
func optional(name string) column { return column{name, "text", gather[*string]} }
func document(name string) column { return column{name, "json", gather[*string]} }
func id(name string) column       { return column{name, "uuid", gatherIDs} }
func binary(name string) column   { return column{name, "bytea", gather[[]byte]} }
func number(name string) column   { return column{name, "bigint", gather[int64]} }
func moment(name string) column   { return column{name, "timestamptz", gather[*time.Time]} }

// writer writes rows of a table in one statement: on SQLite, each statement after the first
// would make the search index write out what it has gathered. On PostgreSQL it takes an array
// for each column, and so is one text for any number of rows.
type writer struct {
	table

	insert string // up to the rows
	arrays string // PostgreSQL's
}

func newWriter(engine database.Engine, t table) writer {
	names, arrays := make([]string, len(t.columns)), make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i], arrays[i] = c.name, fmt.Sprintf("$%d::%s[]", i+1, c.kind)
	}
	w := writer{table: t, insert: "INSERT INTO " + t.name + " (" + strings.Join(names, ", ") + ") "}
	if engine == database.Postgres {
		w.arrays = "SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ")"
	}
	return w
}

// add adds the rows to a batch, each with a value for each column. How many are written is
// added to written, unless that is nil.
func (w writer) add(batch *database.Batch, written *int64, rows ...[]any) {
	switch {
	case len(rows) == 0:
	case w.arrays != "":
		arrays := make([]any, len(w.columns))
		for i, c := range w.columns {
			arrays[i] = c.gather(rows, i)
		}
		batch.Exec(written, w.insert+w.arrays+w.tail, arrays...)
	default:
		row := ", (?" + strings.Repeat(", ?", len(w.columns)-1) + ")"
		batch.Exec(written, w.insert+"VALUES "+strings.Repeat(row, len(rows))[2:]+w.tail, slices.Concat(rows...)...)
	}
}

func contactsTable() table {
	t := table{name: "contacts", columns: []column{
		text("tenant_id"), id("id"), number("version"), moment("created_at"), moment("updated_at"), moment("deleted_at"),
		optional("external_id"), text("search_text"), text("keys"), document("document"),
	}}
	for _, sort := range contacts.NameSorts() {
		t.columns = append(t.columns, binary(orderColumn(sort)))
	}
	t.tail = " ON CONFLICT (tenant_id, id) DO UPDATE SET needs_reindexing = false"
	for _, c := range t.columns[2:] {
		t.tail += ", " + c.name + " = excluded." + c.name
	}
	t.tail += " WHERE contacts.version = excluded.version - 1"
	return t
}

func contactValues(v contacts.Version) []any {
	var deleted *time.Time
	var external *string
	if v.Deleted {
		deleted = &v.UpdatedAt
	}
	if v.Fields.ExternalID != "" {
		external = &v.Fields.ExternalID
	}
	values := []any{
		string(v.Tenant), v.ID, v.Version, &v.CreatedAt, &v.UpdatedAt, deleted,
		external, v.Index.Text, strings.Join(v.Index.Keys, "\n"), textOf(v.Document.JSON),
	}
	for _, sort := range contacts.NameSorts() {
		values = append(values, nameKey(v.Index, sort))
	}
	return values
}

// nameKey is the key of an order by names, empty of a tombstone, which is in no list.
func nameKey(ix contacts.Index, sort contacts.Sort) []byte {
	return append([]byte{}, ix.Orders[sort]...)
}

func keysTable() table {
	return table{name: "contact_keys", columns: []column{text("tenant_id"), text("key"), id("contact_id")}}
}

func keyValues(v contacts.Version, keys []string) [][]any {
	rows := make([][]any, len(keys))
	for i, key := range keys {
		rows[i] = []any{string(v.Tenant), key, v.ID}
	}
	return rows
}

func operationsTable() table {
	return table{name: "operations", columns: []column{
		text("tenant_id"), id("id"), text("kind"), id("contact_id"), text("status"), number("version"),
		{"problem", "jsonb", gather[*string]},
		text("fingerprint"), moment("accepted_at"), moment("ended_at"), document("document"),
	}}
}

// operationValues are an operation's row. made says that its document is that of a change.
func operationValues(o contacts.Operation, made bool) ([]any, error) {
	var problem json.RawMessage
	if o.Problem != nil {
		var err error
		if problem, err = json.Marshal(o.Problem); err != nil {
			return nil, fmt.Errorf("encode a problem: %w", err)
		}
	}
	if made {
		o.Document = nil
	}
	return []any{
		string(o.Tenant), o.ID, string(o.Kind), o.Contact, string(o.Status), o.Version,
		textOf(problem), o.Fingerprint, &o.AcceptedAt, &o.EndedAt, textOf(o.Document),
	}, nil
}

func changesTable() table {
	return table{name: "contact_changes", columns: []column{
		text("tenant_id"), id("contact_id"), number("version"), id("operation_id"), moment("changed_at"), document("document"),
	}}
}

func changeValues(v contacts.Version) []any {
	return []any{string(v.Tenant), v.ID, v.Version, v.Operation, &v.ChangedAt, textOf(v.Document.JSON)}
}

// textOf is JSON as a database takes it, null where there is none.
func textOf(raw json.RawMessage) *string {
	if raw == nil {
		return nil
	}
	text := string(raw)
	return &text
}

// operationColumns are what scanOperation reads.
const operationColumns = "tenant_id, id, kind, contact_id, status, version, problem, fingerprint, accepted_at, ended_at"

// scanOperation reads an operation without its document, and what else the row has into more.
func scanOperation(rows database.Rows, more ...any) (contacts.Operation, error) {
	var o contacts.Operation
	var tenant, kind, status string
	var problem []byte
	err := rows.Scan(append([]any{
		&tenant, &o.ID, &kind, &o.Contact, &status, &o.Version, &problem, &o.Fingerprint, &o.AcceptedAt, &o.EndedAt,
	}, more...)...)
	if err == nil && problem != nil {
		err = json.Unmarshal(problem, &o.Problem)
	}
	o.Tenant, o.Kind, o.Status = contacts.Tenant(tenant), contacts.CommandKind(kind), contacts.Status(status)
	o.AcceptedAt, o.EndedAt = o.AcceptedAt.UTC(), o.EndedAt.UTC()
	return o, err
}

// documentColumns are what a scannedDocument reads.
const documentColumns = "id, version, deleted_at IS NOT NULL, document"

// scannedDocument is where a row's documentColumns are read into.
type scannedDocument struct {
	id      uuid.UUID
	version int64
	deleted bool
	json    []byte
}

func (d *scannedDocument) into() []any { return []any{&d.id, &d.version, &d.deleted, &d.json} }

func (d *scannedDocument) document(tenant contacts.Tenant) contacts.Document {
	document := contacts.Document{Tenant: tenant, ID: d.id, Version: d.version, State: contacts.Live, JSON: d.json}
	if d.deleted {
		document.State, document.JSON = contacts.Gone, nil
	}
	return document
}
