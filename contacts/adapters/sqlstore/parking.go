package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
	"contacts/platform/database"
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
		var accepted *time.Time
		if ended != nil {
			accepted = &ended.AcceptedAt
		}
		erased, err := s.wasErased(tx, parked.Group, accepted)
		if err != nil {
			return err
		}
		if ended != nil {
			end := *ended
			if erased {
				end = ended.Overtaken()
			}
			if stands, err = s.end(tx, end); err != nil || stands.Status == contacts.Succeeded {
				return err
			}
		}
		if erased {
			return nil
		}
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
	})
	if err != nil {
		return nil, applyError(fmt.Errorf("park a command: %w", err))
	}
	return stands, nil
}

// end writes the end of an operation unless it has ended, and returns the one that stands. It
// comes before anything else, so that another transaction that applies the operation has ended
// by then, or waits for this one.
func (s *Store) end(tx *gorm.DB, operation contacts.Operation) (stands *contacts.Operation, err error) {
	values, err := operationValues(operation, false)
	if err != nil {
		return nil, err
	}
	var batch database.Batch
	s.statements.operationsOnce.add(&batch, nil, values)
	batch.Query(func(rows database.Rows) error {
		return eachOperation(rows, func(o contacts.Operation) { stands = &o })
	}, s.statements.ended, keysJSON([]key{{operation.Tenant, operation.ID}}))
	if err := batch.Send(tx); err != nil {
		return nil, err
	}
	if stands == nil {
		return nil, fmt.Errorf("%w: the operation's end has been taken back", contacts.ErrTransient)
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
	var batch database.Batch
	batch.Query(func(rows database.Rows) error { // none where it has another end
		for rows.Next() {
			removed, err := scanOperation(rows)
			if err != nil {
				return err
			}
			ended = &removed
		}
		return nil
	}, s.statements.reopen, string(parked.Tenant), id, string(contacts.KindParked))
	err = s.write(ctx, of(parked.Tenant), batch.Commit)
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
