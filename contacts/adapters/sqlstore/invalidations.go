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

var _ contacts.Invalidations = (*Store)(nil)

// outageRow is the row of the table cache_outage.
type outageRow struct {
	ID               int `gorm:"primaryKey;autoIncrement:false"`
	Token            string
	KnownSince       *time.Time
	LastInvalidation *time.Time
}

// TableName implements gorm's Tabler.
func (outageRow) TableName() string { return "cache_outage" }

// invalidationRow is a row of the table pending_invalidations.
type invalidationRow struct {
	TenantID  string    `gorm:"primaryKey"`
	ContactID uuid.UUID `gorm:"primaryKey"`
	Version   int64
}

// TableName implements gorm's Tabler.
func (invalidationRow) TableName() string { return "pending_invalidations" }

// addInvalidations notes in the transaction that the cache misses the documents. It refuses as
// long as a reader may still trust the cache; undeclared tells that it is not yet known since
// when all readers can know of the outage. The outage's row is locked, so that it cannot be
// ended before the transaction is.
func addInvalidations(tx *gorm.DB, documents []contacts.Document, now time.Time) (undeclared bool, err error) {
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
	return false, insertInvalidations(tx, documents)
}

// insertInvalidations notes what the cache misses, unless a newer version is noted already:
// invalidations may come late, and the worker that pays the newer one must not be made to
// strike off an older one instead.
func insertInvalidations(tx *gorm.DB, documents []contacts.Document) error {
	invalidations := make([]invalidationRow, len(documents))
	for i, document := range documents {
		invalidations[i] = invalidationRow{TenantID: string(document.Tenant), ContactID: document.ID, Version: document.Version}
	}
	// In key order, so that two workers that note the same ones cannot deadlock.
	slices.SortFunc(invalidations, func(a, b invalidationRow) int {
		return cmp.Or(cmp.Compare(a.TenantID, b.TenantID), bytes.Compare(a.ContactID[:], b.ContactID[:]))
	})
	err := tx.Clauses(clause.OnConflict{
		Columns:   []clause.Column{{Name: "tenant_id"}, {Name: "contact_id"}},
		UpdateAll: true,
		Where:     clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "pending_invalidations.version < excluded.version"}}},
	}).Create(&invalidations).Error
	if err != nil {
		return fmt.Errorf("note what the cache misses: %w", err)
	}
	return nil
}

// declareOutage warns every reconciler that the cache misses writes from now on, and notes
// since when they can know.
//
// That is not when the declaration was asked for, but when it was seen committed: a worker may
// stand still between any two steps, and no time before the warning counts. The token ties the
// time to the declaration that was seen.
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

// AddInvalidations implements [contacts.Invalidations].
func (s *Store) AddInvalidations(ctx context.Context, documents []contacts.Document) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	now := time.Now().UTC()
	tenants := make([]contacts.Tenant, len(documents))
	for i, document := range documents {
		tenants[i] = document.Tenant
	}
	err := s.write(ctx, of(tenants...), func(tx *gorm.DB) error {
		// Declared, or locked so that it cannot be ended before the invalidations are there.
		declared := tx.Clauses(clause.OnConflict{
			Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"last_invalidation"}),
		}).Create(&outageRow{ID: 1, Token: uuid.NewString(), LastInvalidation: &now})
		if declared.Error != nil {
			return fmt.Errorf("declare an outage of the cache: %w", declared.Error)
		}
		return insertInvalidations(tx, documents)
	})
	if err == nil {
		err = s.declareOutage(ctx) // it is, but since when that is known is not noted yet
	}
	if err != nil {
		return applyError(err)
	}
	return nil
}

// PendingInvalidations implements [contacts.Invalidations].
func (s *Store) PendingInvalidations(ctx context.Context, limit int) (bool, []contacts.Document, error) {
	var outages []outageRow
	var invalidations []invalidationRow
	err := s.read(ctx, acrossTenants(), func(db *gorm.DB) error {
		if err := db.Find(&outages).Error; err != nil || len(outages) == 0 {
			return err
		}
		return db.Limit(limit).Find(&invalidations).Error
	})
	if err != nil {
		return len(outages) > 0, nil, readError(ctx, "read what the cache misses", err)
	}
	pending := make([]contacts.Document, len(invalidations))
	for i, invalidation := range invalidations {
		pending[i] = contacts.Document{Tenant: contacts.Tenant(invalidation.TenantID), ID: invalidation.ContactID, Version: invalidation.Version}
	}
	return len(outages) > 0, pending, nil
}

// RemoveInvalidations implements [contacts.Invalidations].
func (s *Store) RemoveInvalidations(ctx context.Context, pending []contacts.Document, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	err := s.write(ctx, acrossTenants(), func(tx *gorm.DB) error {
		// Waits for the transactions that are adding invalidations, and keeps others from
		// beginning to.
		var outage []outageRow
		if err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).Find(&outage).Error; err != nil {
			return err
		}
		// the worker that declared it has died since
		if len(outage) > 0 && outage[0].KnownSince == nil {
			return tx.Model(&outageRow{}).Where("id = 1").Update("known_since", time.Now().UTC()).Error
		}
		for _, invalidation := range pending {
			paid := invalidationRow{TenantID: string(invalidation.Tenant), ContactID: invalidation.ID}
			if err := tx.Where("version = ?", invalidation.Version).Delete(&paid).Error; err != nil {
				return err
			}
		}
		if len(pending) > 0 {
			return tx.Model(&outageRow{}).Where("id = 1").Update("last_invalidation", now.UTC()).Error
		}
		return tx.Where("NOT EXISTS (SELECT 1 FROM pending_invalidations)").
			Where("known_since < ?", now.Add(-contacts.TrustLimit-contacts.OutageLinger).UTC()).
			Where("last_invalidation IS NULL OR last_invalidation < ?", now.Add(-contacts.OutageLinger).UTC()).Delete(&outageRow{}).Error
	})
	if err != nil {
		return fmt.Errorf("settle the cache's pending invalidations: %w", err)
	}
	return nil
}
