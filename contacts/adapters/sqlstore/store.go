// Package sqlstore keeps contacts in PostgreSQL or SQLite, through gorm.
package sqlstore

import (
	"context"
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
	db         *database.DB
	statements statements

	leads, looks, samples int // see [maxLed], [maxLooked] and [maxSampled]
}

var (
	_ contacts.Repository = (*Store)(nil)
	_ contacts.Ledger     = (*Store)(nil)
)

// New returns the store in db, whose schema must be migrated.
func New(db *database.DB) *Store {
	return &Store{
		db: db, statements: newStatements(db.Engine), leads: maxIndexMatches, looks: maxScanned, samples: maxSampled,
	}
}

// readLimit bounds a read on this side too: a server that is frozen or cut off keeps no limits
// of its own.
const readLimit = 10 * time.Second

// writeLimit does the same for what is written in the background.
const writeLimit = 15 * time.Second

// Document implements [contacts.Repository]. On PostgreSQL it takes one round trip.
func (s *Store) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	document := contacts.Document{Tenant: tenant, ID: id}
	err := s.readOnce(ctx, of(tenant).keyed(), func(rows database.Rows) error {
		var found scannedDocument
		for rows.Next() {
			if err := rows.Scan(found.into()...); err != nil {
				return err
			}
			document = found.document(tenant)
		}
		return nil
	}, s.statements.document, string(tenant), id)
	if err != nil {
		return contacts.Document{}, readError(ctx, "read a contact", err)
	}
	return document, nil
}

// Operation implements [contacts.Repository]. On PostgreSQL it takes one round trip.
func (s *Store) Operation(
	ctx context.Context, tenant contacts.Tenant, id uuid.UUID,
) (operation contacts.Operation, found bool, err error) {
	err = s.readOnce(ctx, of(tenant).keyed(), func(rows database.Rows) error {
		return eachOperation(rows, func(o contacts.Operation) { operation, found = o, true })
	}, s.statements.operation, string(tenant), id)
	if err != nil {
		return contacts.Operation{}, false, readError(ctx, "read an operation", err)
	}
	return operation, found, nil
}

// among is the condition that two columns, a tenant and an id, hold one of the keys. However
// many there are, they are one parameter: see [keysFrom]. On PostgreSQL a list of them would
// be taken for a good part of a table that has grown since it was last looked at, and all of
// it read.
func among(db *gorm.DB, columns string, keys []key) clause.Expr {
	return gorm.Expr("("+columns+") IN ("+keysFrom(database.Engine(db.Name()), "?")+")", keysJSON(keys))
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
