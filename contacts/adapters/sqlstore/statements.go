package sqlstore

import (
	"fmt"

	"contacts/contacts"
	"contacts/platform/database"
)

// statements are those that are executed most often, for one engine.
type statements struct {
	lock, document, operation, stored, ended, holders, removeKeys, reindex, erasures, reopen, changesAfter string

	contacts, keys, operations, operationsOnce, changes writer
}

func newStatements(engine database.Engine) statements {
	one, two, three, names := "?", "?", "?", "SELECT value FROM json_each(?)"
	groups := names
	if engine == database.Postgres {
		one, two, three, names = "$1", "$2", "$3", "SELECT json_array_elements_text($2::json)"
		groups = "SELECT json_array_elements_text($1::json)"
	}
	keys := keysFrom(engine, one)
	const operation = "SELECT " + operationColumns + ", COALESCE(document, (SELECT document FROM contact_changes AS made" +
		" WHERE made.tenant_id = operations.tenant_id AND made.contact_id = operations.contact_id" +
		" AND made.version = operations.version)) FROM operations WHERE "
	once := operationsTable()
	once.tail = " ON CONFLICT DO NOTHING"
	return statements{
		// PostgreSQL's
		lock:      "SELECT pg_advisory_xact_lock(key) FROM unnest($1::bigint[]) AS key",
		document:  "SELECT " + documentColumns + " FROM contacts WHERE tenant_id = " + one + " AND id = " + two,
		operation: operation + "tenant_id = " + one + " AND id = " + two,
		stored:    "SELECT tenant_id, keys, " + documentColumns + " FROM contacts WHERE (tenant_id, id) IN (" + keys + ")",
		ended:     operation + "(tenant_id, id) IN (" + keys + ")",
		holders: "SELECT external_id, id FROM contacts WHERE tenant_id = " + one + " AND external_id IN (" + names + ")" +
			" AND external_id IS NOT NULL",
		changesAfter: map[database.Engine]string{database.Postgres: postgresChanges, database.SQLite: sqliteChanges}[engine],
		removeKeys:   removeKeys(engine),
		reindex:      reindex(engine),
		erasures:     "SELECT message_group, erased_at FROM erasures WHERE message_group IN (" + groups + ")",
		reopen: "DELETE FROM operations WHERE tenant_id = " + one + " AND id = " + two + " AND problem->>'kind' = " + three +
			" RETURNING " + operationColumns,
		contacts: newWriter(engine, contactsTable()), keys: newWriter(engine, keysTable()),
		operations: newWriter(engine, operationsTable()), operationsOnce: newWriter(engine, once),
		changes: newWriter(engine, changesTable()),
	}
}

// keysFrom selects keys from a parameter, which has them as JSON, and so is one however many
// there are. On PostgreSQL they are columns and not expressions, such as value->>'id', which
// are not leakproof: rows would be compared with them only after the policies have been
// checked on each, and so not by an index.
func keysFrom(engine database.Engine, parameter string) string {
	if engine == database.Postgres {
		return "SELECT tenant, id FROM json_to_recordset(" + parameter + "::json) AS keys (tenant text, id uuid)"
	}
	return "SELECT value->>'tenant', value->>'id' FROM json_each(" + parameter + ")"
}

// removeKeys takes rows of contact_keys as JSON.
func removeKeys(engine database.Engine) string {
	const remove = "DELETE FROM contact_keys WHERE (tenant_id, key, contact_id) IN "
	if engine == database.Postgres {
		return remove + "(SELECT tenant, key, id FROM json_to_recordset($1::json) AS keys (tenant text, key text, id uuid))"
	}
	return remove + "(SELECT value->>'tenant', value->>'key', value->>'id' FROM json_each(?))"
}

// reindex takes a contact's texts and keys, its keys of the orders by names, its tenant and
// its id.
func reindex(engine database.Engine) string {
	columns := []string{"search_text", "keys"}
	for _, sort := range contacts.NameSorts() {
		columns = append(columns, orderColumn(sort))
	}
	parameter := func(n int) string {
		if engine == database.Postgres {
			return fmt.Sprint("$", n)
		}
		return "?"
	}
	statement := "UPDATE contacts SET needs_reindexing = false"
	for i, column := range columns {
		statement += ", " + column + " = " + parameter(i+1)
	}
	return statement + " WHERE tenant_id = " + parameter(len(columns)+1) + " AND id = " + parameter(len(columns)+2) + " AND needs_reindexing"
}
