// Package sqlstore keeps contacts in PostgreSQL or SQLite, through gorm.
package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
	"contacts/platform/database"
)

// Store is the contacts of all tenants in one database.
type Store struct {
	db                    *database.DB
	leads, looks, samples int // see [maxLed], [maxLooked] and [maxSampled]
}

var (
	_ contacts.Repository = (*Store)(nil)
	_ contacts.Ledger     = (*Store)(nil)
)

// New returns the store in db, whose schema must be migrated.
func New(db *database.DB) *Store {
	return &Store{db: db, leads: maxLed, looks: maxLooked, samples: maxSampled}
}

// readLimit bounds a read on this side too: a server that is frozen or cut off keeps no limits of its own.
const readLimit = 10 * time.Second

// writeLimit does the same for what is written in the background.
const writeLimit = 15 * time.Second

// Document implements [contacts.Repository].
func (s *Store) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	var row contactRow
	err := s.read(ctx, of(tenant), func(db *gorm.DB) error {
		return db.Where("tenant_id = ? AND id = ?", string(tenant), id).Take(&row).Error
	})
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return contacts.Document{Tenant: tenant, ID: id}, nil
	case err != nil:
		return contacts.Document{}, readError(ctx, "read a contact", err)
	}
	return documentOf(row.contact())
}

// Operation implements [contacts.Repository].
func (s *Store) Operation(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Operation, bool, error) {
	var rows []operationRow
	err := s.read(ctx, of(tenant), func(db *gorm.DB) (err error) {
		rows, err = findOperations(db, key{tenant, id})
		return err
	})
	if err != nil {
		return contacts.Operation{}, false, readError(ctx, "read an operation", err)
	}
	if len(rows) == 0 {
		return contacts.Operation{}, false, nil
	}
	return rows[0].operation(), true, nil
}

// findOperations reads operations with the documents that they made.
func findOperations(db *gorm.DB, keys ...key) ([]operationRow, error) {
	var rows []operationRow
	err := db.Select("*, (SELECT document FROM contact_changes AS made WHERE made.tenant_id = operations.tenant_id" +
		" AND made.contact_id = operations.contact_id AND made.version = operations.version) AS document").
		Where(among(db, "tenant_id, id", keys)).Find(&rows).Error
	return rows, err
}

// key names a row of one of the tables within all tenants.
type key struct {
	tenant contacts.Tenant
	id     uuid.UUID
}

// among is the condition that two columns, a tenant and an id, hold one of the keys. However many there are, they are one
// parameter. On PostgreSQL a list of them would be taken for a good part of a table that has grown since it was last looked at,
// and all of it read. There the keys are columns and not expressions, such as value->>'id', which are not leakproof: rows would be
// compared with them only after the policies have been checked on each, and so not by an index.
func among(db *gorm.DB, columns string, keys []key) clause.Expr {
	rows := make([]struct {
		Tenant contacts.Tenant `json:"tenant"`
		ID     uuid.UUID       `json:"id"`
	}, len(keys))
	for i, k := range keys {
		rows[i].Tenant, rows[i].ID = k.tenant, k.id
	}
	text, _ := json.Marshal(rows) // of strings: it cannot fail
	if db.Name() == postgres {
		return gorm.Expr("("+columns+") IN (SELECT tenant, id FROM json_to_recordset(?::json) AS keys (tenant text, id uuid))", string(text))
	}
	return gorm.Expr("("+columns+") IN (SELECT value->>'tenant', value->>'id' FROM json_each(?))", string(text))
}

// postgres is the name of gorm's dialect.
const postgres = "postgres"

// readError says what a failed read means to its caller.
func readError(ctx context.Context, doing string, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	if database.FaultOf(err) == database.Statement {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return contacts.Unavailable("the database does not answer: try again", fmt.Errorf("%s: %w", doing, err))
}
