package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
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

// tenantConditions and tenantKeys are all conditions on the tenant that the store's statements
// have: a column compared with a parameter or with another table's column, and one of a pair
// of columns.
var (
	tenantConditions = regexp.MustCompile(`(?:"?\w+"?\.)?"?tenant_id"? = (?:\$\d+|operations\.tenant_id)`)
	tenantKeys       = regexp.MustCompile(`\(tenant_id, (\w+)\) IN \(SELECT tenant, id`)
)

// forgetfulStore returns a store on the database that a URL names which has forgotten its
// conditions on the tenant, and the tenants of all rows that it reads from then on.
func forgetfulStore(t *testing.T, address string) (*Store, map[contacts.Tenant]bool) {
	t.Helper()
	seen := map[contacts.Tenant]bool{}
	return hookedStore(t, address, func(pool gorm.ConnPool, query string, args []any) string {
		query = tenantConditions.ReplaceAllString(query, "($0 OR TRUE)")
		query = tenantKeys.ReplaceAllString(query, "($1) IN (SELECT id")
		query = strings.Replace(query, "(tenant_id, key, contact_id) IN (SELECT tenant, key, id", "(key, contact_id) IN (SELECT key, id", 1)
		if strings.HasPrefix(query, "SELECT tenant_id, ") {
			rows, err := pool.QueryContext(t.Context(), "SELECT DISTINCT tenant_id FROM ("+query+") AS seen", args...)
			require.NoError(t, err)
			defer func() { require.NoError(t, rows.Close()) }()
			for rows.Next() {
				var tenant string
				require.NoError(t, rows.Scan(&tenant))
				seen[contacts.Tenant(tenant)] = true
			}
			require.NoError(t, rows.Err())
		}
		return query
	}), seen
}

// neighbours are two tenants, and what the one has that the other one must not come to.
type neighbours struct {
	theirs, mine contacts.Tenant
	contact      uuid.UUID // theirs
	operation    uuid.UUID // that made it
	shared       uuid.UUID // a contact of each
	parked       uuid.UUID // an operation of each that was parked; the command is mine
	fields       contacts.Fields
}

func newNeighbours(t *testing.T, s *Store) neighbours {
	t.Helper()
	n := neighbours{theirs: contactstest.NewTenant(), mine: contactstest.NewTenant(), fields: contactstest.Full(t)}
	create := contactstest.CreateCommand(t, n.theirs, n.fields)
	n.contact, n.operation = create.Contact, create.Operation
	both := []contacts.Command{create, contactstest.CreateCommand(t, n.theirs, contactstest.Jane(t))}
	n.shared = both[1].Contact
	both = append(both, both[1])
	both[2].Tenant = n.mine
	outcomes, err := s.Apply(t.Context(), both, time.Now(), nil)
	require.NoError(t, err)
	n.parked = contactstest.NewID(t)
	// the first one's command makes way
	for _, tenant := range []contacts.Tenant{n.theirs, n.mine} {
		parked, ended := n.park(tenant, n.parked)
		_, err := s.Park(t.Context(), parked, &ended)
		require.NoError(t, err)
		if tenant == n.theirs {
			require.NoError(t, s.Discard(t.Context(), n.parked))
		}
	}
	require.NoError(t, s.AddInvalidations(t.Context(), []contacts.Document{outcomes[0].Current}))
	return n
}

// park returns what parking a command takes.
func (n neighbours) park(tenant contacts.Tenant, operation uuid.UUID) (contacts.ParkedCommand, contacts.Operation) {
	now := time.Now().UTC()
	command := contacts.Command{Operation: operation, Tenant: tenant, Contact: n.shared, Kind: contacts.Delete, AcceptedAt: now}
	return contacts.ParkedCommand{ID: operation, Tenant: tenant, Group: "g", Body: []byte("{}"), Reason: "bad", Attempts: 5, ParkedAt: now},
		command.End(contacts.Contact{}, &contacts.Error{Kind: contacts.KindParked, Detail: "set aside"}, now)
}

// dump returns all rows of a tenant as text, as a superuser sees them.
func dump(t *testing.T, super *Store, tenant contacts.Tenant) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, table := range TenantTables() {
		var rows []string
		require.NoError(t, super.db.Read.Raw("SELECT t::text FROM "+table+" AS t WHERE tenant_id = ? ORDER BY 1", string(tenant)).Scan(&rows).Error)
		all[table] = rows
	}
	return all
}

// leaks are ways to come to a neighbour's rows through a store that forgets its conditions on
// the tenant: each does something for one tenant, and reports whether that has told anything
// of the other one's.
func leaks() map[string]func(t *testing.T, s *Store, n neighbours) bool {
	apply := func(t *testing.T, s *Store, command contacts.Command) contacts.Outcome {
		t.Helper()
		outcomes, err := s.Apply(t.Context(), []contacts.Command{command}, time.Now(), nil)
		require.NoError(t, err)
		return outcomes[0]
	}
	list := func(query contacts.Query, samples int) func(*testing.T, *Store, neighbours) bool {
		return func(t *testing.T, s *Store, n neighbours) bool {
			t.Helper()
			s.samples = samples
			query.Limit = 100
			listing, err := s.List(t.Context(), n.mine, query)
			require.NoError(t, err)
			return slices.ContainsFunc(listing.Items, func(item contacts.Listed) bool { return item.ID == n.contact })
		}
	}
	return map[string]func(*testing.T, *Store, neighbours) bool{
		"Document": func(t *testing.T, s *Store, n neighbours) bool {
			document, err := s.Document(t.Context(), n.mine, n.contact)
			require.NoError(t, err)
			return document.State != contacts.Absent
		},
		"Operation": func(t *testing.T, s *Store, n neighbours) bool {
			_, found, err := s.Operation(t.Context(), n.mine, n.operation)
			require.NoError(t, err)
			return found
		},
		"List by creation":         list(contacts.Query{Sort: contacts.SortCreated}, maxSampled),
		"List by name":             list(contacts.Query{Sort: "-name"}, maxSampled),
		"List by update":           list(contacts.Query{Sort: contacts.SortUpdated, UpdatedSince: time.Now().Add(-time.Hour)}, maxSampled),
		"List of an email":         list(contacts.Query{Sort: contacts.SortName, Values: value("email:zoe@example.com")}, maxSampled),
		"List of a number":         list(contacts.Query{Sort: contacts.SortName, Values: value("phone:51987654321")}, maxSampled),
		"List of a label":          list(contacts.Query{Sort: contacts.SortName, Values: value("label:vip")}, maxSampled),
		"List of a part":           list(contacts.Query{Sort: contacts.SortName, Terms: [][]string{{"nunez"}}}, maxSampled),
		"List of an indexed part":  list(contacts.Query{Sort: contacts.SortName, Terms: [][]string{{"nunez"}, {"zoe"}}}, 0),
		"List of a short part":     list(contacts.Query{Sort: contacts.SortName, Terms: [][]string{{"nu"}}}, maxSampled),
		"List of what was updated": list(contacts.Query{Sort: contacts.SortName, UpdatedSince: time.Now().Add(-time.Hour)}, maxSampled),
		"Changes": func(t *testing.T, s *Store, n neighbours) bool {
			changes, err := s.Changes(t.Context(), n.mine, contacts.ChangePosition{}, 1000)
			require.NoError(t, err)
			return slices.ContainsFunc(changes, func(c contacts.Change) bool { return c.Contact == n.contact })
		},
		"Apply to a contact": func(t *testing.T, s *Store, n neighbours) bool {
			apply(t, s, contactstest.MergeCommand(t, n.mine, n.contact, `{"nickname":"mine"}`))
			return false // seen on the way, if at all
		},
		"Apply an operation": func(t *testing.T, s *Store, n neighbours) bool {
			again := contactstest.CreateCommand(t, n.mine, contactstest.Jane(t))
			again.Operation = n.operation
			return apply(t, s, again).Operation.Contact != again.Contact
		},
		"Apply an external id": func(t *testing.T, s *Store, n neighbours) bool {
			return apply(t, s, contactstest.CreateCommand(t, n.mine, n.fields)).Operation.Status != contacts.Succeeded
		},
		"Apply other keys": func(t *testing.T, s *Store, n neighbours) bool {
			outcome := apply(t, s, contactstest.MergeCommand(t, n.mine, n.shared, `{"email":"mine@example.com"}`))
			require.Equal(t, contacts.Succeeded, outcome.Operation.Status)
			return false // the other one's keys are gone, if at all
		},
		"Park": func(t *testing.T, s *Store, n neighbours) bool {
			parked, ended := n.park(n.mine, n.operation)
			stands, err := s.Park(t.Context(), parked, &ended)
			require.NoError(t, err)
			return stands.Tenant != n.mine
		},
		"Reopen": func(t *testing.T, s *Store, n neighbours) bool {
			ended, err := s.Reopen(t.Context(), n.parked)
			require.NoError(t, err)
			return ended.Tenant != n.mine // and the other one's is gone, if at all
		},
		"Reindex": func(t *testing.T, s *Store, n neighbours) bool {
			require.NoError(t, s.write(t.Context(), of(n.mine), func(tx *gorm.DB) error {
				return tx.Exec("UPDATE contacts SET needs_reindexing = true, document = replace(document::text, 'Jane', 'Mine')::json"+
					" WHERE ? = tenant_id AND id = ?", string(n.mine), n.shared).Error
			}))
			_, err := s.Reindex(t.Context(), 10)
			require.NoError(t, err)
			return false // the other one is found by this one's name, if at all
		},
	}
}

// Without its own conditions on the tenant the store comes to nothing of another one, since
// the policies are behind it; and without them it does, each way, so that none of this can go
// well by chance.
func TestRowSecurity_BehindAStoreThatForgets(t *testing.T) {
	for guarded, prepare := range map[bool][]string{true: nil, false: withoutPolicies()} {
		t.Run(map[bool]string{true: "with policies", false: "without"}[guarded], func(t *testing.T) {
			address := databasetest.Migrated(t, database.Postgres)
			execute(t, databasetest.Owner(address), prepare...)
			right, super := openStoreAt(t, address), openStoreAt(t, databasetest.Superuser(t, address))
			for name, leak := range leaks() {
				t.Run(name, func(t *testing.T) {
					n := newNeighbours(t, right)
					before := dump(t, super, n.theirs)
					for table, rows := range before {
						require.Equal(t, table == "parked_commands", len(rows) == 0, table)
					}
					s, seen := forgetfulStore(t, address)
					told := leak(t, s, n)
					told = told || seen[n.theirs] || !reflect.DeepEqual(before, dump(t, super, n.theirs))
					require.Equal(t, !guarded, told)
				})
			}
		})
	}
}

// withoutPolicies are the statements that allow every role everything.
func withoutPolicies() []string {
	statements := []string{"CREATE OR REPLACE VIEW searchable_contacts AS SELECT * FROM contacts"}
	for _, table := range TenantTables() {
		statements = append(statements, "DROP POLICY tenants ON "+table, "CREATE POLICY everything ON "+table+" USING (true)")
	}
	return statements
}

// asTenants runs a statement in a transaction with the tenants' names set as they are, or
// without the setting where they are "-", and returns how many rows it returned or changed.
func asTenants(t *testing.T, db *gorm.DB, names, statement string, values ...any) (rows int64, err error) {
	t.Helper()
	ctx := t.Context()
	if names != "-" {
		ctx = database.WithSetting(ctx, "contacts.tenants", names)
	}
	return inTransaction(db.WithContext(ctx), statement, values...)
}

func acrossAll(t *testing.T, db *gorm.DB, statement string, values ...any) (rows int64, err error) {
	t.Helper()
	return inTransaction(db.WithContext(database.WithSetting(t.Context(), "contacts.across_tenants", "on")), statement, values...)
}

func inTransaction(db *gorm.DB, statement string, values ...any) (rows int64, err error) {
	err = db.Transaction(func(tx *gorm.DB) error {
		done := tx.Exec(statement, values...)
		rows = done.RowsAffected
		return done.Error
	})
	return rows, err
}

// What the policies let through, statement by statement.
func TestRowSecurity_Policies(t *testing.T) {
	address := databasetest.Migrated(t, database.Postgres)
	app, super := openStoreAt(t, address), openStoreAt(t, databasetest.Superuser(t, address))
	n := newNeighbours(t, app)
	// One row of each tenant in each table, and names that have others within them.
	prefix := n.theirs + "x"
	command := contactstest.CreateCommand(t, prefix, n.fields)
	_, err := app.Apply(t.Context(), []contacts.Command{command}, time.Now(), nil)
	require.NoError(t, err)
	for _, tenant := range []contacts.Tenant{n.theirs, n.mine, prefix} {
		parked, _ := n.park(tenant, contactstest.NewID(t))
		_, err := app.Park(t.Context(), parked, nil)
		require.NoError(t, err)
		require.NoError(t, app.AddInvalidations(t.Context(), []contacts.Document{{Tenant: tenant, ID: contactstest.NewID(t), Version: 1}}))
	}
	count := func(tenant contacts.Tenant, table string) (n int64) {
		require.NoError(t, super.db.Read.Raw("SELECT count(*) FROM "+table+" WHERE tenant_id LIKE ?", string(tenant)).Scan(&n).Error)
		return n
	}
	owner := openStoreAt(t, databasetest.Owner(address))
	for _, table := range append(TenantTables(), "searchable_contacts") {
		base := strings.TrimPrefix(table, "searchable_")
		theirs, mine, all := count(n.theirs, base), count(n.mine, base), count("%", base)
		require.Positive(t, theirs)
		require.Positive(t, mine)
		require.Greater(t, all, theirs+mine)
		// FORCE: the owner is bound as well
		for role, db := range map[string]*gorm.DB{"app": app.db.Write, "owner": owner.db.Write} {
			for names, want := range map[string]int64{
				"-": 0, "": 0, " ": 0, "%": 0, "*": 0, "on": 0, "{}": 0, "NULL": 0,
				string(n.theirs): theirs, string(n.mine): mine, string(n.theirs + " " + n.mine): theirs + mine,
				" " + string(n.mine) + "  nobody ": mine, string(n.theirs[:len(n.theirs)-1]): 0, string(n.theirs + "," + n.mine): 0,
			} {
				seen, err := asTenants(t, db, names, "SELECT * FROM "+table)
				require.NoError(t, err)
				require.Equal(t, want, seen, "%s as %s: %q", table, role, names)
			}
			seen, err := acrossAll(t, db, "SELECT * FROM "+table)
			require.NoError(t, err)
			require.Equal(t, map[bool]int64{true: all, false: 0}[table == base], seen, "%s as %s", table, role)
			var outside int64
			require.NoError(t, db.Raw("SELECT count(*) FROM "+table).Scan(&outside).Error)
			require.Zero(t, outside, "outside of a transaction")
		}
	}

	for _, table := range TenantTables() {
		id := map[bool]string{true: "id", false: "contact_id"}[slices.Contains([]string{"contacts", "operations", "parked_commands"}, table)]
		var columns []string // but those that number themselves
		require.NoError(t, super.db.Read.Raw("SELECT column_name FROM information_schema.columns WHERE table_name = ? AND is_identity = 'NO'"+
			" AND column_name NOT IN (?, 'tenant_id')", table, id).Scan(&columns).Error)
		copied := strings.Join(columns, ", ")
		insert := fmt.Sprintf("INSERT INTO %[1]s (tenant_id, %[2]s, %[3]s) SELECT ?, gen_random_uuid(), %[3]s FROM %[1]s LIMIT 1", table, id, copied)
		for what, refused := range map[string]func() (int64, error){
			"insert": func() (int64, error) { return asTenants(t, app.db.Write, string(n.mine), insert, string(n.theirs)) },
			"move": func() (int64, error) {
				return asTenants(t, app.db.Write, string(n.mine), "UPDATE "+table+" SET tenant_id = ?, "+id+" = gen_random_uuid()", string(n.theirs))
			},
			"insert across": func() (int64, error) { return acrossAll(t, app.db.Write, insert, string(n.mine)) },
			"update across": func() (int64, error) { return acrossAll(t, app.db.Write, "UPDATE "+table+" SET tenant_id = tenant_id") },
			"insert without a tenant": func() (int64, error) {
				return asTenants(t, app.db.Write, string(n.mine), insert, "")
			},
		} {
			_, err := refused()
			require.ErrorContains(t, err, "new row violates row-level security policy", "%s: %s", table, what)
			require.ErrorContains(t, err, "42501")
			require.Equal(t, database.Down, database.FaultOf(err), "no command is to blame")
		}
		for what, missed := range map[string]string{
			"update": "UPDATE " + table + " SET tenant_id = tenant_id WHERE tenant_id = ?", "delete": "DELETE FROM " + table + " WHERE tenant_id = ?",
		} {
			for _, names := range []string{"-", string(n.mine)} {
				changed, err := asTenants(t, app.db.Write, names, missed, string(n.theirs))
				require.NoError(t, err)
				require.Zero(t, changed, "%s: %s as %q", table, what, names)
			}
		}
		inserted, err := asTenants(t, app.db.Write, string(n.mine), insert, string(n.mine))
		require.NoError(t, err)
		require.EqualValues(t, 1, inserted, table)
		left := count(prefix, table)
		require.Positive(t, left)
		deleted, err := acrossAll(t, app.db.Write, "DELETE FROM "+table+" WHERE tenant_id = ?", string(prefix))
		require.NoError(t, err)
		require.Equal(t, left, deleted)
	}
	unread := "INSERT INTO parked_commands VALUES (gen_random_uuid(), ?, 'g', '', '', 1, now())"
	_, err = acrossAll(t, app.db.Write, unread, "")
	require.NoError(t, err, "what cannot be read has no tenant")
	_, err = acrossAll(t, app.db.Write, unread, string(n.mine))
	require.ErrorContains(t, err, "42501")
}

// The view for users of SQL shows the fields of its reader's tenants, on both engines
// alike.
func TestContactFields(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		n := newNeighbours(t, s)
		names := func(tenant contacts.Tenant) (names []string) {
			require.NoError(t, s.read(t.Context(), of(tenant), func(db *gorm.DB) error {
				where := "TRUE"
				if s.db.Engine == database.SQLite {
					where = "tenant_id = '" + string(tenant) + "'"
				}
				return db.Raw("SELECT first_name || ' ' || email FROM contact_fields WHERE " + where + " ORDER BY first_name").Scan(&names).Error
			}))
			return names
		}
		require.Equal(t, []string{"Jane jane@example.com", n.fields.FirstName + " " + n.fields.Email}, names(n.theirs))
		require.Equal(t, []string{"Jane jane@example.com"}, names(n.mine))
		_, err := s.Apply(t.Context(), []contacts.Command{contactstest.NewCommand(t, contacts.Delete, n.theirs, n.contact)}, time.Now(), nil)
		require.NoError(t, err)
		require.Equal(t, []string{"Jane jane@example.com"}, names(n.theirs))
	})
}

// Every table with a tenant has its policies, the role that the program uses can do nothing
// about them, and the view shows what the table has.
func TestRowSecurity_Roles(t *testing.T) {
	address := databasetest.Migrated(t, database.Postgres)
	app := openStoreAt(t, address)
	require.NoError(t, app.db.CheckRowSecurity(t.Context(), TenantTables()...))
	require.Error(t, openStoreAt(t, databasetest.Owner(address)).db.CheckRowSecurity(t.Context(), TenantTables()...))
	require.Error(t, openStoreAt(t, databasetest.Superuser(t, address)).db.CheckRowSecurity(t.Context(), TenantTables()...))

	catalog := openStoreAt(t, databasetest.Superuser(t, address)).db.Read
	var tables []string
	require.NoError(t, catalog.Raw(`SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id'`).Scan(&tables).Error)
	// The hash of a key is what tells whose tenant a caller is of: it has to be found before
	// that is known.
	require.ElementsMatch(t, append(TenantTables(), "api_keys"), tables, "a table with a tenant needs a policy: see the migration \"tenants\"")
	var role struct{ Rolname, Rights string }
	require.NoError(t, app.db.Read.Raw(`SELECT rolname, concat_ws(' ', CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolbypassrls THEN 'bypass' END,
		CASE WHEN rolcreaterole THEN 'roles' END, CASE WHEN rolcreatedb THEN 'databases' END, CASE WHEN rolreplication THEN 'replication' END) AS rights
		FROM pg_roles WHERE rolname = current_user`).Scan(&role).Error)
	require.Contains(t, address, role.Rolname+"@")
	require.Empty(t, role.Rights)
	var n int
	require.NoError(t, catalog.Raw("SELECT count(*) FROM pg_auth_members WHERE member = ?::regrole", role.Rolname).Scan(&n).Error)
	require.Zero(t, n, "it is a member of nothing")
	require.NoError(t, catalog.Raw("SELECT count(*) FROM pg_class WHERE relowner = ?::regrole", role.Rolname).Scan(&n).Error)
	require.Zero(t, n, "it owns nothing")

	var owner string
	require.NoError(t, catalog.Raw("SELECT relowner::regrole::text FROM pg_class WHERE oid = 'contacts'::regclass").Scan(&owner).Error)
	for _, statement := range []string{
		"ALTER TABLE contacts DISABLE ROW LEVEL SECURITY", "ALTER TABLE contacts NO FORCE ROW LEVEL SECURITY", "DROP POLICY tenants ON contacts",
		"CREATE POLICY mine ON contacts USING (true)", "TRUNCATE contacts", "SET ROLE " + owner, "SET SESSION AUTHORIZATION " + owner,
		"ALTER ROLE " + role.Rolname + " BYPASSRLS", "CREATE TABLE mine (n int)", "UPDATE schema_migrations SET version = 1",
		"UPDATE searchable_contacts SET keys = ''", "CREATE OR REPLACE FUNCTION through_view() RETURNS boolean LANGUAGE sql AS 'SELECT true'",
		"SET row_security = off; SELECT * FROM contacts",
	} {
		err := app.db.Write.Transaction(func(tx *gorm.DB) error {
			for part := range strings.SplitSeq(statement, "; ") {
				if err := tx.Exec(part).Error; err != nil {
					return err
				}
			}
			return nil
		})
		require.ErrorContains(t, err, "42501", statement)
	}

	columns := func(table string) (names []string) {
		require.NoError(t, catalog.Raw("SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_name = ?", table).Scan(&names).Error)
		return names
	}
	require.NotEmpty(t, columns("contacts"))
	require.ElementsMatch(t, columns("contacts"), columns("searchable_contacts"),
		"a migration that adds a column has to CREATE OR REPLACE the view with it")
}

// The tenant of one transaction is none of the next one's on the same connection, however the
// first one has ended.
func TestRowSecurity_PooledConnections(t *testing.T) {
	db, err := database.Open(t.Context(), databasetest.Migrated(t, database.Postgres), database.MaxConnections(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	s := New(db)
	create := contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))
	merge := func() []contacts.Command {
		return []contacts.Command{contactstest.MergeCommand(t, create.Tenant, create.Contact, `{"nickname":"J"}`)}
	}
	failure := errors.New("failure")
	ways := map[string]func() error{
		"applied": func() error {
			_, err := s.Apply(t.Context(), []contacts.Command{create}, time.Now(), nil)
			return err
		},
		"read": func() error {
			_, err := s.Document(t.Context(), create.Tenant, create.Contact)
			return err
		},
		"rolled back": func() error {
			_, err := s.Apply(t.Context(), merge(), time.Now(), func(context.Context, []contacts.Document, []contacts.OperationKey) error { return failure })
			require.ErrorIs(t, err, failure)
			return nil
		},
		"panicked": func() error {
			require.PanicsWithValue(t, failure, func() {
				_, _ = s.Apply(t.Context(), merge(), time.Now(), func(context.Context, []contacts.Document, []contacts.OperationKey) error { panic(failure) })
			})
			return nil
		},
		"cancelled": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := s.Apply(ctx, merge(), time.Now(), func(context.Context, []contacts.Document, []contacts.OperationKey) error { cancel(); return nil })
			require.Error(t, err)
			return nil
		},
		"failed": func() error {
			require.ErrorContains(t, s.read(t.Context(), of(create.Tenant), func(db *gorm.DB) error { return db.Exec("SELECT nonsense").Error }), "42703")
			return nil
		},
		"across all": func() error {
			_, err := s.Parked(t.Context(), 10)
			return err
		},
	}
	require.NoError(t, ways["applied"]())
	for _, name := range slices.Sorted(maps.Keys(ways)) {
		require.NoError(t, ways[name](), name)
		var seen int
		require.NoError(t, db.Read.Raw("SELECT count(*) FROM contacts").Scan(&seen).Error)
		require.Zero(t, seen, name)
		stranger, err := s.Document(t.Context(), "stranger", create.Contact)
		require.NoError(t, err)
		require.Equal(t, contacts.Absent, stranger.State, name)
	}
}

// A grant that is missing holds the worker up, until an operator mends that: it is no
// command's fault, so that none is set aside.
func TestStore_Apply_MissingGrant(t *testing.T) {
	address := databasetest.Migrated(t, database.Postgres)
	s := openStoreAt(t, address)
	commands := []contacts.Command{contactstest.CreateCommand(t, contacts.DefaultTenant, contactstest.Jane(t))}
	var role string
	require.NoError(t, s.db.Read.Raw("SELECT current_user").Scan(&role).Error)
	execute(t, databasetest.Owner(address), "REVOKE INSERT ON operations FROM "+role)
	_, err := s.Apply(t.Context(), commands, time.Now(), nil)
	require.ErrorIs(t, err, contacts.ErrDown)
	execute(t, databasetest.Owner(address), "GRANT INSERT ON operations TO "+role, "REVOKE SELECT ON contacts FROM "+role)
	_, err = s.Document(t.Context(), commands[0].Tenant, commands[0].Contact)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "%v", err)
	execute(t, databasetest.Owner(address), "GRANT SELECT ON contacts TO "+role)
	_, err = s.Apply(t.Context(), commands, time.Now(), nil)
	require.NoError(t, err)
}
