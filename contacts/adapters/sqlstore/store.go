// Package sqlstore keeps contacts in PostgreSQL or SQLite, through gorm.
package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

// Store is the contacts of all tenants in one database.
type Store struct {
	db           *database.DB
	leads, looks int // see [maxLed] and [maxLooked]
}

var (
	_ contacts.Repository = (*Store)(nil)
	_ contacts.Ledger     = (*Store)(nil)
)

// New returns the store in db, whose schema must be migrated.
func New(db *database.DB) *Store { return &Store{db: db, leads: maxLed, looks: maxLooked} }

// readLimit bounds a read on this side too: a server that is frozen or cut off keeps no limits of its own.
const readLimit = 10 * time.Second

// writeLimit does the same for what is written in the background.
const writeLimit = 15 * time.Second

// reading returns the handle to read with, and what releases it.
func (s *Store) reading(ctx context.Context) (*gorm.DB, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	return s.db.Read.WithContext(ctx), cancel
}

// Document implements [contacts.Repository].
func (s *Store) Document(ctx context.Context, tenant contacts.Tenant, id uuid.UUID) (contacts.Document, error) {
	db, done := s.reading(ctx)
	defer done()
	var row contactRow
	err := db.Where("tenant_id = ? AND id = ?", string(tenant), id).Take(&row).Error
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
	db, done := s.reading(ctx)
	defer done()
	rows, err := findOperations(db, []string{string(tenant)}, []uuid.UUID{id})
	if err != nil {
		return contacts.Operation{}, false, readError(ctx, "read an operation", err)
	}
	if len(rows) == 0 {
		return contacts.Operation{}, false, nil
	}
	return rows[0].operation(), true, nil
}

// findOperations reads operations with the documents that they made.
func findOperations(db *gorm.DB, tenants []string, ids []uuid.UUID) ([]operationRow, error) {
	var rows []operationRow
	err := db.Select("operations.*, contact_changes.document").
		Joins("LEFT JOIN contact_changes ON contact_changes.tenant_id = operations.tenant_id"+
			" AND contact_changes.contact_id = operations.contact_id AND contact_changes.version = operations.version").
		Where("operations.tenant_id IN ? AND operations.id IN ?", tenants, ids).Find(&rows).Error
	return rows, err
}

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
