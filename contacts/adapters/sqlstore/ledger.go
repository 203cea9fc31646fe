package sqlstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"contacts/contacts"
	"contacts/platform/database"
)

// Apply implements [contacts.Ledger]. On PostgreSQL it takes three round trips: one that
// begins, locks and reads, one that writes, and the commit. Upserts take one more: which
// contacts they are of is read before the locks, and again behind them.
//
// The batch's contacts are locked in key order, so that two workers cannot deadlock; what the
// domain decides on them cannot change before the commit. Two workers that apply one operation
// at the same time meet at the primary key of operations, and the later one is undone.
func (s *Store) Apply(
	ctx context.Context, commands []contacts.Command, now time.Time, announce contacts.Announce,
) ([]contacts.Outcome, error) {
	var effects contacts.Effects
	undeclared := false
	tenants := make([]contacts.Tenant, len(commands))
	for i, c := range commands {
		tenants[i] = c.Tenant
	}
	err := s.write(ctx, of(tenants...).keyed(), func(tx *gorm.DB) error {
		resolved, err := s.resolve(tx, commands)
		if err != nil {
			return err
		}
		state, err := s.load(tx, resolved)
		if err != nil {
			return err
		}
		if effects, err = contacts.Plan(resolved, state, now); err != nil {
			return err
		}
		undeclared, err = s.commit(tx, effects, now, announce)
		return err
	})
	if undeclared {
		err = errors.Join(err, s.declareOutage(ctx))
	}
	if err != nil {
		return nil, applyError(err)
	}
	if len(effects.Erased) > 0 {
		// What it cannot do now, because of readers, [Store.Scrub] does later.
		_ = s.db.EmptyLog(context.WithoutCancel(ctx))
	}
	return effects.Outcomes, nil
}

// commit writes the effects and announces them, at the same time. An erasure is announced
// after it is written: only then it is known which requests are to be forgotten. undeclared is
// that of [addInvalidations].
func (s *Store) commit(tx *gorm.DB, effects contacts.Effects, now time.Time, announce contacts.Announce) (undeclared bool, err error) {
	tell := func(forgotten []contacts.OperationKey) error {
		if announce == nil || len(effects.Documents)+len(forgotten) == 0 {
			return nil
		}
		return announce(tx.Statement.Context, effects.Documents, forgotten)
	}
	if len(effects.Erased) > 0 {
		if err := s.save(tx, effects); err != nil {
			return false, err
		}
		forgotten, err := s.purge(tx, effects.Erased, now)
		if err == nil {
			err = tell(append(forgotten, effects.Forgotten...))
		}
		if errors.Is(err, contacts.ErrCacheDown) {
			err = fmt.Errorf("%w: an erasure waits for the cache: %w", contacts.ErrTransient, err)
		}
		return false, err
	}
	saving := make(chan error, 1)
	go func() { saving <- s.save(tx, effects) }()
	var saved error
	announced := func() error {
		// after a panic, too: nothing else may use the transaction meanwhile
		defer func() { saved = <-saving }()
		return tell(effects.Forgotten)
	}()
	switch {
	case saved != nil:
		return false, saved
	case !errors.Is(announced, contacts.ErrCacheDown):
		return false, announced
	case len(effects.Documents) > 0:
		return addInvalidations(tx, effects.Documents, now)
	default:
		return false, nil // claims end by themselves, too
	}
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

// resolve returns the commands with each Upsert of the contact that holds its external id.
func (s *Store) resolve(tx *gorm.DB, commands []contacts.Command) ([]contacts.Command, error) {
	if !slices.ContainsFunc(commands, func(c contacts.Command) bool { return c.Kind == contacts.Upsert }) {
		return commands, nil
	}
	holders := map[contacts.ExternalKey]uuid.UUID{}
	var batch database.Batch
	s.findHolders(&batch, commands, holders)
	if err := batch.Send(tx); err != nil {
		return nil, fmt.Errorf("find the holders of external ids: %w", err)
	}
	return contacts.Resolve(commands, holders), nil
}

// findHolders adds to a batch the look-up of the contacts that hold the commands' external
// ids.
func (s *Store) findHolders(batch *database.Batch, commands []contacts.Command, holders map[contacts.ExternalKey]uuid.UUID) {
	claims := map[contacts.Tenant][]string{}
	for _, c := range commands {
		if claim := c.ExternalID(); claim != "" {
			claims[c.Tenant] = append(claims[c.Tenant], claim)
		}
	}
	for tenant, ids := range claims {
		batch.Query(func(rows database.Rows) error {
			for rows.Next() {
				var external string
				var holder uuid.UUID
				if err := rows.Scan(&external, &holder); err != nil {
					return err
				}
				holders[contacts.ExternalKey{Tenant: tenant, ExternalID: external}] = holder
			}
			return nil
		}, s.statements.holders, string(tenant), keysJSON(ids))
	}
}

// findErasures adds to a batch the look-up of erasures of contacts that have had the external
// ids of Upserts.
func (s *Store) findErasures(batch *database.Batch, commands []contacts.Command, erased map[string]time.Time) {
	var groups []string
	for _, c := range commands {
		if c.Kind == contacts.Upsert {
			groups = append(groups, c.Group())
		}
	}
	if len(groups) == 0 {
		return
	}
	batch.Query(func(rows database.Rows) error {
		for rows.Next() {
			var group string
			var at time.Time
			if err := rows.Scan(&group, &at); err != nil {
				return err
			}
			erased[group] = at.UTC()
		}
		return nil
	}, s.statements.erasures, keysJSON(groups))
}

// load locks and reads what the commands meet.
func (s *Store) load(tx *gorm.DB, commands []contacts.Command) (contacts.Snapshot, error) {
	state := contacts.Snapshot{
		Contacts:   make(map[contacts.ContactKey]contacts.Stored, len(commands)),
		Operations: map[contacts.OperationKey]contacts.Operation{},
		Holders:    map[contacts.ExternalKey]uuid.UUID{},
		Erased:     map[string]time.Time{},
	}
	operations, of := make([]key, len(commands)), make([]key, len(commands))
	for i, c := range commands {
		operations[i], of[i] = key{c.Tenant, c.Operation}, key{c.Tenant, c.Contact}
	}
	var batch database.Batch
	s.lock(tx, &batch, groups(of))
	batch.Query(func(rows database.Rows) error {
		for rows.Next() {
			var tenant, keys string
			var found scannedDocument
			if err := rows.Scan(append([]any{&tenant, &keys}, found.into()...)...); err != nil {
				return err
			}
			stored := contacts.Stored{Document: found.document(contacts.Tenant(tenant))}
			if keys != "" {
				stored.Keys = strings.Split(keys, "\n")
			}
			state.Contacts[contacts.ContactKey{Tenant: stored.Tenant, ID: found.id}] = stored
		}
		return nil
	}, s.statements.stored, keysJSON(of))
	// Only after the locks: an operation that another worker was applying to these contacts
	// has ended by now.
	batch.Query(func(rows database.Rows) error {
		return eachOperation(rows, func(o contacts.Operation) {
			state.Operations[contacts.OperationKey{Tenant: o.Tenant, ID: o.ID}] = o
		})
	}, s.statements.ended, keysJSON(operations))
	s.findHolders(&batch, commands, state.Holders)
	s.findErasures(&batch, commands, state.Erased)
	if err := batch.Send(tx); err != nil {
		return contacts.Snapshot{}, fmt.Errorf("lock and read what a batch meets: %w", err)
	}
	return state, nil
}

// eachOperation reads operations with the documents that they made.
func eachOperation(rows database.Rows, do func(contacts.Operation)) error {
	for rows.Next() {
		var document []byte
		o, err := scanOperation(rows, &document)
		if err != nil {
			return err
		}
		o.Document = document
		do(o)
	}
	return nil
}

// lock adds to a batch the locks of contacts, in order. They are advisory, and not those of
// the rows, because on PostgreSQL a transaction gets its id when it locks a row, and the
// later of two transactions of a contact is to have the higher one; see [Store.Changes]. A
// contact is named by its message group; others of the same hash share a lock.
func (s *Store) lock(tx *gorm.DB, batch *database.Batch, groups []string) {
	if tx.Name() != postgres {
		return // one transaction at a time writes
	}
	keys := make([]int64, len(groups))
	for i, group := range groups {
		number, _ := strconv.ParseUint(group[:min(len(group), 16)], 16, 64)
		keys[i] = int64(number)
	}
	slices.Sort(keys)
	batch.Exec(nil, s.statements.lock, keys)
}

// groups returns the message groups of contacts.
func groups(of []key) []string {
	all := make([]string, len(of))
	for i, contact := range of {
		all[i] = contacts.MessageGroup(contact.Tenant, contact.ID)
	}
	return all
}

// save writes the rows of a batch. A contact whose version is not the one that its command met
// undoes the transaction.
func (s *Store) save(tx *gorm.DB, effects contacts.Effects) error {
	var batch database.Batch
	makers := make(map[contacts.OperationKey]bool, len(effects.Versions))
	for _, version := range effects.Versions {
		makers[contacts.OperationKey{Tenant: version.Tenant, ID: version.Operation}] = true
	}
	operations := make([][]any, len(effects.Operations))
	for i, operation := range effects.Operations {
		var err error
		made := makers[contacts.OperationKey{Tenant: operation.Tenant, ID: operation.ID}]
		if operations[i], err = operationValues(operation, made); err != nil {
			return err
		}
	}
	s.statements.operations.add(&batch, nil, operations...)
	made, changes := make([][]any, len(effects.Versions)), make([][]any, len(effects.Versions))
	for i, version := range effects.Versions {
		made[i], changes[i] = contactValues(version), changeValues(version)
	}
	var written int64
	s.statements.contacts.add(&batch, &written, made...)
	s.statements.changes.add(&batch, nil, changes...)
	s.rekey(&batch, effects.Versions...)
	if err := batch.Send(tx); err != nil {
		return fmt.Errorf("write a batch: %w", err)
	}
	if missed := int64(len(made)) - written; missed > 0 {
		return fmt.Errorf("%w: %d of %d contacts were changed meanwhile", contacts.ErrTransient, missed, len(made))
	}
	return nil
}

// rekey adds to a batch the keys that versions have, and have no more.
func (s *Store) rekey(batch *database.Batch, versions ...contacts.Version) {
	var oldKeys []contactKey
	var newKeys [][]any
	for _, version := range versions {
		for _, old := range version.OldKeys {
			oldKeys = append(oldKeys, contactKey{version.Tenant, old, version.ID})
		}
		newKeys = append(newKeys, keyValues(version, version.NewKeys)...)
	}
	if len(oldKeys) > 0 {
		batch.Exec(nil, s.statements.removeKeys, keysJSON(oldKeys))
	}
	s.statements.keys.add(batch, nil, newKeys...)
}

// key names a row of one of the tables within all tenants.
type key struct {
	Tenant contacts.Tenant `json:"tenant"`
	ID     uuid.UUID       `json:"id"`
}

// contactKey names a row of contact_keys.
type contactKey struct {
	Tenant contacts.Tenant `json:"tenant"`
	Key    string          `json:"key"`
	ID     uuid.UUID       `json:"id"`
}

// keysJSON is keys as a statement takes them.
func keysJSON[K key | contactKey | string](keys []K) string {
	// of strings: it cannot fail; no keys are [] and not null
	text, _ := json.Marshal(append([]K{}, keys...))
	return string(text)
}
