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
)

var _ contacts.Debts = (*Store)(nil)

// outageRow is the row of the table cache_outage.
type outageRow struct {
	ID    int `gorm:"primaryKey;autoIncrement:false"`
	Since time.Time
}

// TableName implements gorm's Tabler.
func (outageRow) TableName() string { return "cache_outage" }

// debtRow is a row of the table cache_debts.
type debtRow struct {
	TenantID  string    `gorm:"primaryKey"`
	ContactID uuid.UUID `gorm:"primaryKey"`
	Version   int64
}

// TableName implements gorm's Tabler.
func (debtRow) TableName() string { return "cache_debts" }

// owe notes in the transaction that the cache misses the documents. It refuses as long as somebody may still trust the
// cache; undeclared tells that nobody has even been warned. The outage's row is locked, so that it cannot be ended before
// the transaction is.
func owe(tx *gorm.DB, documents []contacts.Document, now time.Time) (undeclared bool, err error) {
	var outage outageRow
	err = tx.Clauses(clause.Locking{Strength: clause.LockingStrengthShare}).Take(&outage).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return true, fmt.Errorf("%w: the cache has just been found down", contacts.ErrTransient)
	case err != nil:
		return false, fmt.Errorf("look for an outage of the cache: %w", err)
	case now.Sub(outage.Since) < contacts.TrustLimit:
		return false, fmt.Errorf("%w: the cache is down, and may be trusted for some time yet", contacts.ErrTransient)
	}
	debts := make([]debtRow, len(documents))
	for i, document := range documents {
		debts[i] = debtRow{TenantID: string(document.Tenant), ContactID: document.ID, Version: document.Version}
	}
	if err := tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&debts).Error; err != nil {
		return false, fmt.Errorf("note what the cache misses: %w", err)
	}
	return false, nil
}

// declareOutage warns every keeper that the cache misses writes from now on.
func declareOutage(db *gorm.DB, now time.Time) error {
	err := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&outageRow{ID: 1, Since: now.UTC()}).Error
	if err != nil {
		return fmt.Errorf("declare an outage of the cache: %w", err)
	}
	return nil
}

// Owed implements [contacts.Debts].
func (s *Store) Owed(ctx context.Context, limit int) (bool, []contacts.Document, error) {
	db, done := s.reading(ctx)
	defer done()
	var outages []outageRow
	if err := db.Find(&outages).Error; err != nil {
		return false, nil, readError(ctx, "look for an outage of the cache", err)
	}
	if len(outages) == 0 {
		return false, nil, nil
	}
	var debts []debtRow
	if err := db.Limit(limit).Find(&debts).Error; err != nil {
		return false, nil, readError(ctx, "read what the cache misses", err)
	}
	owed := make([]contacts.Document, len(debts))
	for i, debt := range debts {
		owed[i] = contacts.Document{Tenant: contacts.Tenant(debt.TenantID), ID: debt.ContactID, Version: debt.Version}
	}
	return true, owed, nil
}

// Settle implements [contacts.Debts].
func (s *Store) Settle(ctx context.Context, owed []contacts.Document) error {
	err := s.db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		// Waits for the transactions that are noting debts, and keeps others from beginning to.
		var outage []outageRow
		if err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Find(&outage).Error; err != nil {
			return err
		}
		for _, debt := range owed {
			paid := debtRow{TenantID: string(debt.Tenant), ContactID: debt.ID}
			if err := tx.Where("version = ?", debt.Version).Delete(&paid).Error; err != nil {
				return err
			}
		}
		return tx.Where("NOT EXISTS (SELECT 1 FROM cache_debts)").Delete(&outageRow{}).Error
	})
	if err != nil {
		return fmt.Errorf("settle the cache's debts: %w", err)
	}
	return nil
}
