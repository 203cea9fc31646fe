package sqlstore

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// fill writes rows as [Store.Apply] would, of the tenant and of another one, updated within
// the hour before until.
func fill(t *testing.T, s *Store, tenant contacts.Tenant, count int, until time.Time) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	began := until.Add(-time.Hour)
	for done := 0; done < count; {
		var rows, keys [][]any
		for range 1000 {
			id, err := uuid.NewV7()
			require.NoError(t, err)
			at := began.Add(time.Duration(random.IntN(3600)) * time.Second)
			number := fmt.Sprintf("%09d", random.IntN(1e9))
			fields := contacts.Fields{
				DisplayName: fmt.Sprintf("Name%06d", random.IntN(1e6)), Labels: []string{fmt.Sprint("label", done%100)},
				Emails: []contacts.EmailAddress{{Address: number + "@example.com"}}, Phones: []contacts.PhoneNumber{{Number: number}},
			}
			owner := tenant
			if done%10 == 0 {
				owner = "other"
			}
			c := contacts.Contact{Tenant: owner, ID: id, Version: 1, CreatedAt: at, UpdatedAt: at, Fields: fields}
			document, err := c.Document()
			require.NoError(t, err)
			version := contacts.Version{Contact: c, Document: document, Index: c.Index()}
			rows = append(rows, contactValues(version))
			keys = append(keys, keyValues(version, version.Index.Keys)...)
			done++
		}
		var batch database.Batch
		s.statements.contacts.add(&batch, nil, rows...)
		s.statements.keys.add(&batch, nil, keys...)
		require.NoError(t, s.write(t.Context(), of(tenant, "other"), batch.Send))
	}
}

// patient returns a database's URL with a time limit of an hour for each statement, for what
// writes much on a busy machine.
func patient(t *testing.T, address string) string {
	t.Helper()
	parsed, err := url.Parse(address)
	require.NoError(t, err)
	if parsed.Scheme != "sqlite" {
		query := parsed.Query()
		query.Set("statement_timeout", "3600000")
		parsed.RawQuery = query.Encode()
	}
	return parsed.String()
}

// nameAt is where a name is in the order of names.
func nameAt(name string) []byte {
	return contacts.Contact{Fields: contacts.Fields{DisplayName: name}}.Index().Orders[contacts.SortName]
}

// value asks for one of the keys.
func value(keys ...string) []contacts.Values {
	return []contacts.Values{{Keys: keys, Common: strings.HasPrefix(keys[0], "label:")}}
}

// explain returns the plan of a query.
func explain(t *testing.T, s *Store, tenant contacts.Tenant, query contacts.Query) string {
	t.Helper()
	var plan string
	require.NoError(t, s.read(t.Context(), of(tenant), func(db *gorm.DB) error {
		l := list{s, t.Context(), tenant, query}
		selection, _, err := l.selection()
		require.NoError(t, err)
		plan = planOf(t, db.Statement.ConnPool, s.db.Engine, selection.text(s.db.Engine), selection.args)
		return nil
	}))
	return plan
}

// genericPlan returns the plan of a query that PostgreSQL makes for any values.
func genericPlan(t *testing.T, s *Store, tenant contacts.Tenant, query contacts.Query) string {
	t.Helper()
	var plan string
	require.NoError(t, s.read(t.Context(), of(tenant).keyed(), func(db *gorm.DB) error {
		l := list{s, t.Context(), tenant, query}
		selection, _, err := l.selection()
		require.NoError(t, err)
		values := make([]string, len(selection.args))
		for i, value := range selection.args {
			switch v := value.(type) {
			case time.Time:
				value = v.Format(time.RFC3339Nano)
			case []byte:
				value = fmt.Sprintf(`\x%x`, v)
			}
			values[i] = fmt.Sprintf("'%v'", value)
		}
		require.NoError(t, db.Exec("PREPARE listed AS "+selection.text(database.Postgres)).Error)
		plan = planOf(t, db.Statement.ConnPool, database.Postgres, "EXECUTE listed ("+strings.Join(values, ", ")+")", nil)
		return db.Exec("DEALLOCATE listed").Error
	}))
	return plan
}

// planOf returns the plan of a statement, a line for each step.
func planOf(t *testing.T, pool gorm.ConnPool, engine database.Engine, statement string, values []any) string {
	t.Helper()
	command := map[database.Engine]string{database.Postgres: "EXPLAIN ", database.SQLite: "EXPLAIN QUERY PLAN "}[engine]
	lines, err := pool.QueryContext(t.Context(), command+statement, values...)
	require.NoError(t, err, statement)
	defer func() { require.NoError(t, lines.Close()) }()
	columns, err := lines.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for lines.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(t, lines.Scan(values...))
		fmt.Fprintln(&plan, *values[len(values)-1].(*any)) // the text comes last in both engines
	}
	require.NoError(t, lines.Err())
	return plan.String()
}

// Every query finds its rows through an index that suits it, and none reads or sorts a whole
// table.
func TestStore_List_Plans(t *testing.T) {
	const tenant = contacts.Tenant("tenant")
	after := func(p contacts.Position) *contacts.Position {
		p.ID = uuid.Must(uuid.NewV7())
		return &p
	}
	type steps map[database.Engine]string // what a plan has to have
	created := steps{database.SQLite: "sqlite_autoindex_contacts_1 (tenant_id=?", database.Postgres: "contacts_pkey"}
	deeper := steps{database.SQLite: "sqlite_autoindex_contacts_1 (tenant_id=? AND id>?)", database.Postgres: "contacts_pkey"}
	byName := steps{database.SQLite: "contacts_by_name (tenant_id=?", database.Postgres: "contacts_by_name"}
	byUpdate := steps{database.SQLite: "contacts_by_update (tenant_id=?", database.Postgres: "contacts_by_update"}
	lately := steps{database.SQLite: "contacts_by_update (tenant_id=? AND updated_at>?)", database.Postgres: "contacts_by_update"}
	parts := steps{database.SQLite: "contacts USING INTEGER PRIMARY KEY (rowid=?)", database.Postgres: "contacts_search_text"}
	keys := steps{database.SQLite: "sqlite_autoindex_contacts_1 (tenant_id=? AND id=?)", database.Postgres: "contact_keys_pkey"}
	now := time.Now()
	updated := after(contacts.Position{Updated: now.Add(-30 * time.Minute)})
	tenSeconds, allTime := now.Add(-10*time.Second), now.Add(-24*time.Hour)
	one := func(terms ...string) (all [][]string) {
		for _, term := range terms {
			all = append(all, []string{term})
		}
		return all
	}
	cases := []struct {
		name  string
		query contacts.Query
		want  steps
	}{
		{"first page", contacts.Query{Sort: contacts.SortCreated}, created},
		{"last page", contacts.Query{Sort: "-created_at"}, created},
		{"deep page", contacts.Query{Sort: contacts.SortCreated, After: after(contacts.Position{})}, deeper},
		{"by name", contacts.Query{Sort: contacts.SortName}, byName},
		{"by last name", contacts.Query{Sort: contacts.SortLastName}, steps{database.SQLite: "contacts_by_last_name (tenant_id=?", database.Postgres: "contacts_by_last_name"}},
		{"by first name, deep", contacts.Query{Sort: "-first_name", After: after(contacts.Position{Name: nameAt("Name500000")})}, steps{database.SQLite: "contacts_by_first_name (tenant_id=?", database.Postgres: "contacts_by_first_name"}},
		{"by name, deep", contacts.Query{Sort: "-name", After: after(contacts.Position{Name: nameAt("Name500000")})}, byName},
		{"by update", contacts.Query{Sort: contacts.SortUpdated}, byUpdate},
		{"by update, deep", contacts.Query{Sort: "-updated_at", After: updated}, byUpdate},
		{"updated lately", contacts.Query{Sort: contacts.SortUpdated, UpdatedSince: tenSeconds}, lately},
		{"updated lately, as created", contacts.Query{Sort: contacts.SortCreated, UpdatedSince: tenSeconds}, lately},
		{"updated lately, by name", contacts.Query{Sort: contacts.SortName, UpdatedSince: tenSeconds}, lately},
		{"updated at all, as created", contacts.Query{Sort: contacts.SortCreated, UpdatedSince: allTime}, created},
		{"a rare part", contacts.Query{Sort: contacts.SortCreated, Terms: one("name123456")}, parts},
		{"a rare part by name", contacts.Query{Sort: contacts.SortName, Terms: one("3456789", "name")}, parts},
		{"a rare part by name, deep", contacts.Query{Sort: contacts.SortName, Terms: one("3456789"), After: after(contacts.Position{Name: nameAt("Name5")})}, parts},
		{"a part in two forms", contacts.Query{Sort: contacts.SortCreated, Terms: [][]string{{"123-456-789", "123456789"}}}, parts},
		{"a part that all have", contacts.Query{Sort: contacts.SortCreated, Terms: one("example")}, created},
		{"a part that all have, by name", contacts.Query{Sort: contacts.SortName, Terms: one("example")}, byName},
		{"a short part", contacts.Query{Sort: contacts.SortName, Terms: one("na")}, byName},
		{"a short part that none has", contacts.Query{Sort: contacts.SortCreated, Terms: one("zq")}, created},
		{"a short part and a label", contacts.Query{Sort: contacts.SortName, Terms: one("zq"), Values: value("label:label7")}, keys},
		{"email", contacts.Query{Sort: contacts.SortCreated, Values: value("email:123456789@example.com")}, keys},
		{"email, by update", contacts.Query{Sort: "-updated_at", Values: value("email:123456789@example.com"), After: updated}, keys},
		{"phone", contacts.Query{Sort: contacts.SortName, Values: value("phone:123456789", "phone:51123456789")}, keys},
		{"label", contacts.Query{Sort: contacts.SortName, Values: value("label:label7")}, keys},
		{"label, deep", contacts.Query{Sort: contacts.SortCreated, Values: value("label:label7"), After: after(contacts.Position{})}, keys},
		{"label and a rare part", contacts.Query{Sort: contacts.SortCreated, Values: value("label:label7"), Terms: one("name123456")}, parts},
	}
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			address := databasetest.Migrated(t, engine)
			store := openStoreAt(t, patient(t, address))
			fill(t, store, tenant, map[database.Engine]int{
				database.Postgres: 100_000,
				database.SQLite:   10_000, // it plans alike for any number
			}[engine], now)
			// which does that by itself after a while; SQLite does not
			if engine == database.Postgres {
				execute(t, databasetest.Superuser(t, address),
					"INSERT INTO operations (tenant_id, id, kind, contact_id, status, version, fingerprint, accepted_at, ended_at)"+
						" SELECT tenant_id, id, 'create', id, 'succeeded', 1, '', created_at, created_at FROM contacts",
					"INSERT INTO contact_changes (tenant_id, contact_id, version, operation_id, changed_at) SELECT tenant_id, id, 1, id, created_at FROM contacts",
					"ANALYZE")
				t.Run("batch", func(t *testing.T) { testBatchPlans(t, address, store, tenant) })
			}
			for _, c := range cases {
				c.query.Limit = 50
				plan := explain(t, store, tenant, c.query)
				if l := (list{query: c.query}); engine == database.Postgres && l.plain() {
					plan += genericPlan(t, store, tenant, c.query)
					require.Equal(t, 2, strings.Count(plan, c.want[engine]), "%s:\n%s", c.name, plan)
					require.NotContains(t, plan, "Sort", "%s:\n%s", c.name, plan)
				}
				require.Contains(t, plan, c.want[engine], "%s:\n%s", c.name, plan)
				require.NotContains(t, plan, "Seq Scan", "%s:\n%s", c.name, plan)
				for line := range strings.Lines(plan) {
					if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "VIRTUAL TABLE INDEX") {
						require.Fail(t, "a whole table is read", "%s:\n%s", c.name, plan)
					}
				}
				began := time.Now()
				_, err := store.List(t.Context(), tenant, c.query)
				require.NoError(t, err)
				t.Logf("%-30s %s", c.name, time.Since(began).Round(time.Microsecond))
			}
		})
	}
}

// What is to be reindexed is found without reading a whole table.
func TestStore_Reindex_Plan(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		fill(t, s, "tenant", map[database.Engine]int{database.Postgres: 20_000, database.SQLite: 1000}[s.db.Engine], time.Now())
		require.NoError(t, s.read(t.Context(), acrossTenants().keyed(), func(db *gorm.DB) error {
			plan := planOf(t, db.Statement.ConnPool, s.db.Engine, "SELECT tenant_id, id FROM contacts WHERE "+outdated+" LIMIT 10", nil)
			require.Contains(t, plan, "contacts_needs_reindexing", plan)
			return nil
		}))
	})
}

// Every statement of a batch that looks for rows finds them through an index of keys. The
// policies must not keep it from that, which they do where a condition is not leakproof.
func testBatchPlans(t *testing.T, address string, s *Store, tenant contacts.Tenant) {
	listing, err := s.List(t.Context(), tenant, contacts.Query{Sort: contacts.SortCreated, Limit: 100})
	require.NoError(t, err)
	var commands []contacts.Command
	for i, item := range listing.Items {
		merge := contactstest.MergeCommand(t, tenant, item.ID, fmt.Sprintf(`{"external_id":"plan-%d","email":"plan%d@example.com"}`, i, i))
		commands = append(commands, merge, contactstest.CreateCommand(t, "other", contactstest.Jane(t)))
	}
	looked := map[string]int{}
	hooked := hookedStore(t, address, func(pool gorm.ConnPool, query string, args []any) string {
		plan := planOf(t, pool, database.Postgres, query, args)
		for _, table := range TenantTables() {
			require.NotContains(t, plan, "Seq Scan on "+table, "%s\n%s", query, plan)
		}
		for line := range strings.Lines(plan) {
			if using, found := strings.CutPrefix(strings.TrimLeft(line, " ->"), "Index Scan using "); found {
				looked[strings.Fields(using)[0]]++
			}
		}
		require.Equal(t, strings.Count(plan, "Index Scan"), strings.Count(plan, "Index Cond"), "%s\n%s", query, plan)
		return query
	})
	for range 2 { // the second time all operations are found
		_, err = hooked.Apply(t.Context(), commands, time.Now(), nil)
		require.NoError(t, err)
	}
	require.Equal(t, map[string]int{
		"contacts_pkey": 2, "operations_pkey": 2, "contact_changes_tenant_id_contact_id_version_key": 2, "contacts_external_id": 2,
		"contact_keys_pkey": 1,
	}, looked)
}
