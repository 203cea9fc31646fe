package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"contacts/contacts"
	"contacts/platform/database"
)

// Apply implements [contacts.Ledger].
//
// The batch's contacts are locked in key order, so that two workers cannot deadlock; what the domain decides on them cannot
// change before the commit. Two workers that apply one operation at the same time meet at the primary key
// of operations, and the later one is undone.
func (s *Store) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	var outcomes []contacts.Outcome
	undeclared, erased := false, false
	tenants := make([]contacts.Tenant, len(commands))
	for i, c := range commands {
		tenants[i] = c.Tenant
	}
	err := s.write(ctx, of(tenants...), func(tx *gorm.DB) error {
		batch, err := load(tx, commands)
		if err != nil {
			return err
		}
		if outcomes, err = batch.decide(now); err != nil {
			return err
		}
		erased = len(batch.erased) > 0
		if err := batch.save(tx); err != nil {
			return err
		}
		if err := batch.purge(tx, now); err != nil || announce == nil || len(batch.documents)+len(batch.forgotten) == 0 {
			return err
		}
		switch err = announce(ctx, batch.documents, batch.forgotten); {
		case !errors.Is(err, contacts.ErrCacheDown):
			return err
		case len(batch.erased) > 0:
			return fmt.Errorf("%w: an erasure waits for the cache: %w", contacts.ErrTransient, err)
		case len(batch.documents) > 0:
			undeclared, err = owe(tx, batch.documents, now)
			return err
		default:
			return nil // claims end by themselves, too
		}
	})
	if undeclared {
		err = errors.Join(err, s.declareOutage(ctx))
	}
	if err != nil {
		return nil, applyError(err)
	}
	if erased {
		// What it cannot do now, because of readers, [Store.Scrub] does later.
		_ = s.db.EmptyLog(context.WithoutCancel(ctx))
	}
	return outcomes, nil
}

func applyError(err error) error {
	switch database.FaultOf(err) {
	case database.Down:
		return fmt.Errorf("%w: %w", contacts.ErrDown, err)
	case database.Transient:
		return fmt.Errorf("%w: %w", contacts.ErrTransient, err)
	default:
		return err
	}
}

// batch is the commands of one transaction, and the state they meet.
type batch struct {
	commands []contacts.Command
	contacts map[key]contacts.Contact   // as they are, locked
	outdated map[key]bool               // those of them that an older version has indexed
	ended    map[key]contacts.Operation // those of the commands' operations that were applied before
	owners   map[externalKey]uuid.UUID  // live contacts by external id

	operations []operationRow
	made       []contactRow
	keys       []keyRow // of what was made, where they are others than before
	rekeyed    []key    // the contacts that had others
	changes    []changeRow
	documents  []contacts.Document // what made holds, and the tombstones of erased
	erased     []key               // the contacts of which the past goes, too
	forgotten  []contacts.OperationKey
}

// externalKey is an external_id within its tenant.
type externalKey struct {
	tenant contacts.Tenant
	id     string
}

// load locks and reads what the commands will meet.
func load(tx *gorm.DB, commands []contacts.Command) (*batch, error) {
	b := &batch{
		commands: commands,
		contacts: make(map[key]contacts.Contact, len(commands)),
		outdated: map[key]bool{},
		ended:    map[key]contacts.Operation{},
		owners:   map[externalKey]uuid.UUID{},
	}
	operations, of := make([]key, len(commands)), make([]key, len(commands))
	for i, c := range commands {
		operations[i], of[i] = key{c.Tenant, c.Operation}, key{c.Tenant, c.Contact}
	}
	if err := lock(tx, groups(of)); err != nil {
		return nil, err
	}
	var rows []contactRow
	if err := tx.Where(among(tx, "tenant_id, id", of)).Find(&rows).Error; err != nil {
		return nil, fmt.Errorf("read the batch's contacts: %w", err)
	}
	for _, row := range rows {
		c := row.contact()
		b.contacts[key{c.Tenant, c.ID}] = c
		b.outdated[key{c.Tenant, c.ID}] = row.SearchVersion < contacts.IndexVersion
	}
	// Only after the locks: an operation that another worker was applying to these contacts has ended by now.
	ended, err := findOperations(tx, operations...)
	if err != nil {
		return nil, fmt.Errorf("read the batch's operations: %w", err)
	}
	for _, row := range ended {
		o := row.operation()
		b.ended[key{o.Tenant, o.ID}] = o
	}
	return b, b.loadOwners(tx)
}

// lock takes the locks of contacts, in order. They are advisory, and not those of the rows, because whoever
// locks a row on PostgreSQL is given its transaction's id, and the later of two transactions of a contact is to have the
// higher one; see [Store.Changes]. A contact is named by its message group; whatever else is, shares a lock.
func lock(tx *gorm.DB, groups []string) error {
	if tx.Name() != postgres {
		return nil // one transaction at a time writes
	}
	keys := make([]int64, len(groups))
	for i, group := range groups {
		number, _ := strconv.ParseUint(group[:min(len(group), 16)], 16, 64)
		keys[i] = int64(number)
	}
	slices.Sort(keys)
	text := make([]string, len(keys))
	for i, key := range keys {
		text[i] = strconv.FormatInt(key, 10)
	}
	err := tx.Exec("SELECT pg_advisory_xact_lock(key) FROM unnest(string_to_array(?, ',')::bigint[]) AS key",
		strings.Join(text, ",")).Error
	if err != nil {
		return fmt.Errorf("lock the batch's contacts: %w", err)
	}
	return nil
}

// groups returns the message groups of contacts.
func groups(of []key) []string {
	all := make([]string, len(of))
	for i, contact := range of {
		all[i] = contacts.MessageGroup(contact.tenant, contact.id)
	}
	return all
}

// loadOwners reads which live contacts hold the external ids that the batch's commands may claim.
func (b *batch) loadOwners(tx *gorm.DB) error {
	claims := map[contacts.Tenant][]string{}
	for _, c := range b.commands {
		if claim := c.ExternalID(); claim != "" {
			claims[c.Tenant] = append(claims[c.Tenant], claim)
		}
	}
	for tenant, ids := range claims {
		var rows []contactRow
		err := tx.Select("tenant_id", "id", "external_id").
			Where("tenant_id = ? AND external_id IN ? AND external_id <> '' AND deleted_at IS NULL", string(tenant), ids).Find(&rows).Error
		if err != nil {
			return fmt.Errorf("read the holders of the batch's external ids: %w", err)
		}
		for _, row := range rows {
			b.owners[externalKey{tenant, row.ExternalID}] = row.ID
		}
	}
	return nil
}

// decide has the domain decide on each command, and notes the rows to save.
func (b *batch) decide(now time.Time) ([]contacts.Outcome, error) {
	outcomes := make([]contacts.Outcome, len(b.commands))
	for i, command := range b.commands {
		at := key{command.Tenant, command.Contact}
		current := contacts.Document{Tenant: command.Tenant, ID: command.Contact}
		var before *contacts.Contact
		if stored, found := b.contacts[at]; found {
			before = &stored
		}
		operation, applied := b.ended[key{command.Tenant, command.Operation}]
		changed := false
		if !applied {
			made, problem := b.next(command, before, now)
			operation = command.End(made, problem, now)
			changed = problem == nil && (before == nil || made.Version > before.Version)
			if changed {
				ix := made.Index()
				b.rekey(before, made, ix)
				before = &made
				b.made = append(b.made, newContactRow(made, ix))
			}
		}
		if before != nil {
			var err error
			if current, err = documentOf(*before); err != nil {
				return nil, err
			}
		}
		if changed {
			operation.Document = current.JSON
			b.changes = append(b.changes, newChangeRow(operation))
		}
		if !applied {
			b.operations = append(b.operations, newOperationRow(operation))
			if operation.Status == contacts.Succeeded {
				b.documents = append(b.documents, current)
				if command.Kind == contacts.Erase {
					b.erased = append(b.erased, at)
				}
			}
		}
		if command.Fingerprint != "" && operation.Fingerprint == "" {
			b.forgotten = append(b.forgotten, contacts.OperationKey{Tenant: command.Tenant, ID: command.Operation})
		}
		outcomes[i] = contacts.Outcome{Operation: operation, Again: applied, Current: current}
	}
	return outcomes, nil
}

// rekey notes the keys by which a contact is found, where they change.
func (b *batch) rekey(before *contacts.Contact, made contacts.Contact, ix contacts.Index) {
	keys := newKeyRows(made, ix)
	if before != nil {
		old, outdated := newKeyRows(*before, before.Index()), b.outdated[key{made.Tenant, made.ID}]
		if slices.Equal(old, keys) && !outdated {
			return
		}
		if len(old) > 0 || outdated {
			b.rekeyed = append(b.rekeyed, key{made.Tenant, made.ID})
		}
	}
	b.keys = append(b.keys, keys...)
}

// next is what the command makes of its contact, if nothing else of the tenant is in the way.
func (b *batch) next(command contacts.Command, before *contacts.Contact, now time.Time) (contacts.Contact, *contacts.Error) {
	made, problem := command.Decide(before, now)
	if problem != nil || made.Deleted || made.Fields.ExternalID == "" {
		return made, problem
	}
	claim := externalKey{made.Tenant, made.Fields.ExternalID}
	if owner, taken := b.owners[claim]; taken && owner != made.ID {
		return contacts.Contact{}, contacts.DuplicateExternalID()
	}
	b.owners[claim] = made.ID
	return made, nil
}

// save writes the batch's rows. A contact whose version is not the one that its command met undoes the transaction.
func (b *batch) save(tx *gorm.DB) error {
	if len(b.operations) == 0 {
		return nil
	}
	if _, err := insert(tx, b.operations, nil); err != nil {
		return fmt.Errorf("write the batch's operations: %w", err)
	}
	if len(b.made) == 0 {
		return nil
	}
	written, err := insert(tx, b.made, &clause.Expr{SQL: "contacts.version = excluded.version - 1"})
	if err != nil {
		return fmt.Errorf("write the batch's contacts: %w", err)
	}
	if missed := int64(len(b.made)) - written; missed > 0 {
		return fmt.Errorf("%w: %d of %d contacts were changed meanwhile", contacts.ErrTransient, missed, len(b.made))
	}
	if _, err := insert(tx, b.changes, nil); err != nil {
		return fmt.Errorf("write the batch's changes: %w", err)
	}
	return b.saveKeys(tx)
}

// saveKeys writes by what the batch's contacts are found now.
func (b *batch) saveKeys(tx *gorm.DB) error {
	if len(b.rekeyed) > 0 {
		if err := tx.Where(among(tx, "tenant_id, contact_id", b.rekeyed)).Delete(&keyRow{}).Error; err != nil {
			return fmt.Errorf("remove the keys that the batch's contacts had: %w", err)
		}
	}
	if len(b.keys) == 0 {
		return nil
	}
	if _, err := insert(tx, b.keys, nil); err != nil {
		return fmt.Errorf("write the keys of the batch's contacts: %w", err)
	}
	return nil
}
