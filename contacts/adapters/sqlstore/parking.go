package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
)

var _ contacts.Parking = (*Store)(nil)

// parkedRow is a row of the table parked_commands.
type parkedRow struct {
	ID           uuid.UUID `gorm:"primaryKey"`
	TenantID     string
	MessageGroup string
	Body         string
	Reason       string
	Attempts     int
	ParkedAt     time.Time
}

// TableName implements gorm's Tabler.
func (parkedRow) TableName() string { return "parked_commands" }

func (r parkedRow) parked() contacts.ParkedCommand {
	return contacts.ParkedCommand{
		ID: r.ID, Tenant: contacts.Tenant(r.TenantID), Group: r.MessageGroup, Body: []byte(r.Body), Reason: r.Reason,
		Attempts: r.Attempts, ParkedAt: r.ParkedAt.UTC(),
	}
}

// Park implements [contacts.Parking].
func (s *Store) Park(
	ctx context.Context, parked contacts.ParkedCommand, ended *contacts.Operation,
) (stands *contacts.Operation, err error) {
	row := parkedRow{
		ID: parked.ID, TenantID: string(parked.Tenant), MessageGroup: parked.Group, Body: string(parked.Body),
		Reason: parked.Reason, Attempts: parked.Attempts, ParkedAt: parked.ParkedAt,
	}
	whose := of(parked.Tenant)
	if parked.Tenant == "" { // it could not be read
		whose = acrossTenants()
	}
	err = s.write(ctx, whose, func(tx *gorm.DB) error {
		erased, err := wasErased(tx, parked.Group)
		if err != nil {
			return err
		}
		once := clause.OnConflict{DoNothing: true}
		if ended != nil {
			// First the operation, so that whoever is applying it at the same time has ended it by now, or waits for this.
			operation := newOperationRow(*ended)
			if erased {
				operation = newOperationRow(ended.Overtaken())
			}
			if err := tx.Clauses(once).Create(&operation).Error; err != nil {
				return err
			}
			rows, err := findOperations(tx, key{ended.Tenant, ended.ID})
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				return fmt.Errorf("%w: the operation's end has been taken back", contacts.ErrTransient)
			}
			stands = new(rows[0].operation())
			if stands.Status == contacts.Succeeded {
				return nil
			}
		}
		if erased {
			return nil
		}
		return tx.Clauses(once).Create(&row).Error
	})
	if err != nil {
		return nil, applyError(fmt.Errorf("park a command: %w", err))
	}
	return stands, nil
}

// Parked implements [contacts.Parking].
func (s *Store) Parked(ctx context.Context, limit int) ([]contacts.ParkedCommand, error) {
	var rows []parkedRow
	err := s.read(ctx, acrossTenants(), func(db *gorm.DB) error {
		return db.Order("parked_at DESC, id").Limit(limit).Find(&rows).Error
	})
	if err != nil {
		return nil, readError(ctx, "list parked commands", err)
	}
	parked := make([]contacts.ParkedCommand, len(rows))
	for i, row := range rows {
		parked[i] = row.parked()
	}
	return parked, nil
}

// ParkedCommand implements [contacts.Parking].
func (s *Store) ParkedCommand(ctx context.Context, id uuid.UUID) (contacts.ParkedCommand, error) {
	var rows []parkedRow
	err := s.read(ctx, acrossTenants(), func(db *gorm.DB) error { return db.Where("id = ?", id).Find(&rows).Error })
	if err != nil {
		return contacts.ParkedCommand{}, readError(ctx, "read a parked command", err)
	}
	if len(rows) == 0 {
		return contacts.ParkedCommand{}, contacts.NoParkedCommand()
	}
	return rows[0].parked(), nil
}

// Reopen implements [contacts.Parking].
func (s *Store) Reopen(ctx context.Context, id uuid.UUID) (ended *contacts.Operation, err error) {
	parked, err := s.ParkedCommand(ctx, id)
	if err != nil || parked.Tenant == "" { // it has no operation
		return nil, err
	}
	err = s.write(ctx, of(parked.Tenant), func(tx *gorm.DB) error {
		var rows []operationRow
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Where("tenant_id = ? AND id = ?", string(parked.Tenant), id).Find(&rows).Error
		if err != nil || len(rows) == 0 || rows[0].Problem == nil || rows[0].Problem.Kind != contacts.KindParked {
			return err // it has another end, or none
		}
		ended = new(rows[0].operation())
		return tx.Delete(&operationRow{TenantID: string(parked.Tenant), ID: id}).Error
	})
	if err != nil {
		return nil, fmt.Errorf("reopen operation %s: %w", id, err)
	}
	return ended, nil
}

// Discard implements [contacts.Parking].
func (s *Store) Discard(ctx context.Context, id uuid.UUID) error {
	err := s.write(ctx, acrossTenants(), func(tx *gorm.DB) error {
		deleted := tx.Delete(&parkedRow{ID: id})
		if deleted.Error == nil && deleted.RowsAffected == 0 {
			return contacts.NoParkedCommand()
		}
		return deleted.Error
	})
	if err != nil {
		return fmt.Errorf("discard parked command %s: %w", id, err)
	}
	return nil
}
