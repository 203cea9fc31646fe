package sqlstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
)

var _ contacts.Debts = (*Store)(nil)

// outageRow is the row of the table cache_outage.
type outageRow struct {
	ID         int `gorm:"primaryKey;autoIncrement:false"`
	Token      string
	KnownSince *time.Time
	LastDebt   *time.Time
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
// cache; undeclared tells that it is not even known since when everybody can know of the outage. The outage's row is locked,
// so that it cannot be ended before the transaction is.
func owe(tx *gorm.DB, documents []contacts.Document, now time.Time) (undeclared bool, err error) {
	var outage outageRow
	err = tx.Clauses(clause.Locking{Strength: clause.LockingStrengthShare}).Take(&outage).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return true, fmt.Errorf("%w: the cache has just been found down", contacts.ErrDown)
	case err != nil:
		return false, fmt.Errorf("look for an outage of the cache: %w", err)
	case outage.KnownSince == nil:
		return true, fmt.Errorf("%w: the cache has been found down by another worker", contacts.ErrDown)
	case now.Sub(*outage.KnownSince) < contacts.TrustLimit:
		return false, fmt.Errorf("%w: the cache is down, and may be trusted for some time yet", contacts.ErrDown)
	}
	return false, noteDebts(tx, documents)
}

// noteDebts notes what the cache misses, unless a newer version is noted already: debts may come late, and whoever pays the
// newer one must not be made to strike off an older one instead.
func noteDebts(tx *gorm.DB, documents []contacts.Document) error {
	debts := make([]debtRow, len(documents))
	for i, document := range documents {
		debts[i] = debtRow{TenantID: string(document.Tenant), ContactID: document.ID, Version: document.Version}
	}
	// In key order, so that two who note the same ones cannot deadlock.
	slices.SortFunc(debts, func(a, b debtRow) int {
		return cmp.Or(cmp.Compare(a.TenantID, b.TenantID), bytes.Compare(a.ContactID[:], b.ContactID[:]))
	})
	err := tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "contact_id"}},
		UpdateAll: true,
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "cache_debts.version < excluded.version"}}},
	}).Create(&debts).Error
	if err != nil {
		return fmt.Errorf("note what the cache misses: %w", err)
	}
	return nil
}

// declareOutage warns every keeper that the cache misses writes from now on, and notes since when they can know.
//
// That is not when the declaration was asked for, but when it was seen committed: a worker may stand still between any two
// steps, and nobody may count from a time before the warning. The token ties the time to the declaration that was seen.
func (s *Store) declareOutage(ctx context.Context) error {
	err := s.write(ctx, ofNobody(), func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&outageRow{ID: 1, Token: uuid.NewString()}).Error
	})
	if err != nil {
		return fmt.Errorf("declare an outage of the cache: %w", err)
	}
	err = s.write(ctx, ofNobody(), func(tx *gorm.DB) error {
		var seen []outageRow
		if err := tx.Find(&seen).Error; err != nil {
			return err
		}
		now := time.Now().UTC()
		for _, outage := range seen {
			err := tx.Model(&outageRow{}).Where("token = ? AND known_since IS NULL", outage.Token).Update("known_since", now).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note since when the outage of the cache is known: %w", err)
	}
	return nil
}

// Owe implements [contacts.Debts].
func (s *Store) Owe(ctx context.Context, documents []contacts.Document) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	now := time.Now().UTC()
	tenants := make([]contacts.Tenant, len(documents))
	for i, document := range documents {
		tenants[i] = document.Tenant
	}
	err := s.write(ctx, of(tenants...), func(tx *gorm.DB) error {
		// Declared, or locked so that it cannot be ended before the debts are there.
		declared := tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_debt"}),
		}).Create(&outageRow{ID: 1, Token: uuid.NewString(), LastDebt: &now})
		if declared.Error != nil {
			return fmt.Errorf("declare an outage of the cache: %w", declared.Error)
		}
		return noteDebts(tx, documents)
	})
	if err == nil {
		err = s.declareOutage(ctx) // it is, but since when that is known is not noted yet
	}
	if err != nil {
		return applyError(err)
	}
	return nil
}

// Owed implements [contacts.Debts].
func (s *Store) Owed(ctx context.Context, limit int) (bool, []contacts.Document, error) {
	var outages []outageRow
	var debts []debtRow
	err := s.read(ctx, acrossTenants(), func(db *gorm.DB) error {
		if err := db.Find(&outages).Error; err != nil || len(outages) == 0 {
			return err
		}
		return db.Limit(limit).Find(&debts).Error
	})
	if err != nil {
		return len(outages) > 0, nil, readError(ctx, "read what the cache misses", err)
	}
	owed := make([]contacts.Document, len(debts))
	for i, debt := range debts {
		owed[i] = contacts.Document{Tenant: contacts.Tenant(debt.TenantID), ID: debt.ContactID, Version: debt.Version}
	}
	return len(outages) > 0, owed, nil
}

// Settle implements [contacts.Debts].
func (s *Store) Settle(ctx context.Context, owed []contacts.Document, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	err := s.write(ctx, acrossTenants(), func(tx *gorm.DB) error {
		// Waits for the transactions that are noting debts, and keeps others from beginning to.
		var outage []outageRow
		if err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Find(&outage).Error; err != nil {
			return err
		}
		if len(outage) > 0 && outage[0].KnownSince == nil { // whoever declared it has died since
			return tx.Model(&outageRow{}).Where("id = 1").Update("known_since", time.Now().UTC()).Error
		}
		for _, debt := range owed {
			paid := debtRow{TenantID: string(debt.Tenant), ContactID: debt.ID}
			if err := tx.Where("version = ?", debt.Version).Delete(&paid).Error; err != nil {
				return err
			}
		}
		if len(owed) > 0 {
			return tx.Model(&outageRow{}).Where("id = 1").Update("last_debt", now.UTC()).Error
		}
		return tx.Where("NOT EXISTS (SELECT 1 FROM cache_debts)").
			Where("known_since < ?", now.Add(-contacts.TrustLimit-contacts.OutageLinger).UTC()).
			Where("last_debt IS NULL OR last_debt < ?", now.Add(-contacts.OutageLinger).UTC()).Delete(&outageRow{}).Error
	})
	if err != nil {
		return fmt.Errorf("settle the cache's debts: %w", err)
	}
	return nil
}
