package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

// tenancy names the tenants of the rows that a transaction sees and may write. On PostgreSQL
// row-level security holds all its statements to that (migrations/postgres, "tenants"). On
// SQLite nothing does, beside the conditions of the statements themselves.
type tenancy struct {
	setting, value string // that PostgreSQL's policies go by; "": none
	byKeys         bool   // see [tenancy.keyed]
	err            error  // why there is no such tenancy
}

// keyed is for transactions whose statements all find their rows by an index, in its order,
// for any values: PostgreSQL plans them once for a connection. By default it plans for each
// query's values, which takes longer than to execute such a statement. A plan that was made
// while a table was small has to do when it has grown, and so reads and sorts no whole table.
func (t tenancy) keyed() tenancy {
	t.byKeys = true
	return t
}

// TenantTables returns the tables whose rows are each of one tenant. On PostgreSQL row-level
// security guards them.
func TenantTables() []string {
	return []string{"contacts", "contact_keys", "contact_changes", "operations", "parked_commands", "pending_invalidations"}
}

// of is the tenancy of those tenants alone. There has to be one, and each needs a valid name.
func of(tenants ...contacts.Tenant) tenancy {
	if len(tenants) == 0 {
		return tenancy{err: errors.New("expected a tenant")}
	}
	names := make([]string, len(tenants))
	for i, tenant := range tenants {
		if err := tenant.Validate(); err != nil {
			return tenancy{err: err}
		}
		names[i] = string(tenant)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	// no name has a space
	return tenancy{setting: "contacts.tenants", value: strings.Join(names, " ")}
}

// acrossTenants shows the rows of all tenants and lets them be deleted, but none be written.
// It is for what looks after the store as a whole: purging, indexing anew, the pending
// invalidations of the cache, and parked commands. No caller's question may be answered in it.
func acrossTenants() tenancy { return tenancy{setting: "contacts.across_tenants", value: "on"} }

// beyond has do see and delete the rows of all tenants in the midst of a transaction of some,
// as [acrossTenants] would. With an error the transaction has to be undone.
func beyond(tx *gorm.DB, do func() error) error {
	if tx.Name() != postgres {
		return do()
	}
	across := acrossTenants()
	set := func(value string) error { return tx.Exec("SELECT set_config(?, ?, true)", across.setting, value).Error }
	if err := set(across.value); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	return set("")
}

// ofNobody shows no tenant's rows. It is for what none has: the outage of the cache, how far
// the changes have come, and API keys, which tell whose tenant a caller is of.
func ofNobody() tenancy { return tenancy{} }

// read has ask read what was committed before, on PostgreSQL all of it at one moment. Together
// with [Store.write] it is the only way to the database.
func (s *Store) read(ctx context.Context, whose tenancy, ask func(db *gorm.DB) error) error {
	if whose.err != nil {
		return whose.err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	if s.db.Engine == database.SQLite { // there only writers have transactions
		return ask(s.db.Read.WithContext(ctx))
	}
	return whose.transaction(ctx, s.db.Read, ask, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
}

// readOnce executes one statement that reads, in one round trip, and has read read its rows.
func (s *Store) readOnce(ctx context.Context, whose tenancy, read func(database.Rows) error, query string, args ...any) error {
	var batch database.Batch
	batch.Query(read, query, args...)
	return s.read(ctx, whose, batch.Commit)
}

// into returns a reader of a single row.
func into(dest ...any) func(database.Rows) error {
	return func(rows database.Rows) error {
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
		}
		return nil
	}
}

// write has do read and write in a transaction.
func (s *Store) write(ctx context.Context, whose tenancy, do func(tx *gorm.DB) error) error {
	if whose.err != nil {
		return whose.err
	}
	return whose.transaction(ctx, s.db.Write, do)
}

func (t tenancy) transaction(ctx context.Context, db *gorm.DB, do func(tx *gorm.DB) error, options ...*sql.TxOptions) error {
	if t.setting != "" {
		ctx = database.WithSetting(ctx, t.setting, t.value)
	}
	if t.byKeys {
		for _, setting := range [][2]string{{"plan_cache_mode", "force_generic_plan"}, {"enable_seqscan", "off"}, {"enable_sort", "off"}} {
			ctx = database.WithSetting(ctx, setting[0], setting[1])
		}
	}
	return db.WithContext(ctx).Transaction(do, options...)
}
