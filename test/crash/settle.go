package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"contacts/contacts"
	"contacts/platform/cache"
	"contacts/platform/cache/redis"
	"contacts/platform/database"
	"contacts/test/crash/history"
	"contacts/test/system"
)

// final reads what the service holds: behind its back from the database and Redis, and then
// through its API.
func final(ctx context.Context, s *system.System) (history.Final, error) {
	held := history.Final{
		Contacts: map[string]history.Contact{}, Operations: map[string]history.Operation{}, Cached: map[string]history.Cached{},
	}
	if err := readDatabase(ctx, s, &held); err != nil {
		return held, err
	}
	known := slices.Sorted(maps.Keys(held.Contacts))
	// before the API's reads, which would fill it
	if err := readCache(ctx, s, known, &held); err != nil {
		return held, err
	}
	return held, readAPI(ctx, s, known, &held)
}

func readDatabase(ctx context.Context, s *system.System, final *history.Final) (err error) {
	db, err := database.Open(ctx, s.Database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	scan := func(query string, row func(scan func(...any) error) error) error {
		rows, err := db.Read.WithContext(ctx).Raw(query).Rows()
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		defer rows.Close()
		for rows.Next() {
			if err := row(rows.Scan); err != nil {
				return fmt.Errorf("%s: %w", query, err)
			}
		}
		return rows.Err()
	}
	return errors.Join(
		scan("SELECT id, version, deleted_at IS NOT NULL, document FROM contacts", func(scan func(...any) error) error {
			var id string
			var row history.Contact
			var document []byte
			err := scan(&id, &row.Version, &row.Deleted, &document)
			if err == nil && document != nil {
				row.Document, err = customFields(document)
			}
			final.Contacts[id] = row
			return err
		}),
		scan("SELECT contact_id, version, operation_id, document FROM contact_changes ORDER BY seq", func(scan func(...any) error) error {
			var change history.Change
			var document []byte
			err := scan(&change.Contact, &change.Version, &change.Operation, &document)
			if err == nil && document != nil {
				change.Document, err = customFields(document)
			}
			final.Changes = append(final.Changes, change)
			return err
		}),
		scan("SELECT id, kind, contact_id, status, version, problem FROM operations", func(scan func(...any) error) error {
			var id, status string
			var operation history.Operation
			var problem []byte
			err := scan(&id, &operation.Kind, &operation.Contact, &status, &operation.Version, &problem)
			if err == nil && problem != nil {
				var stored contacts.Error
				err = json.Unmarshal(problem, &stored)
				operation.Problem = string(stored.Kind)
			}
			operation.Succeeded = status == string(contacts.Succeeded)
			final.Operations[id] = operation
			return err
		}),
		scan("SELECT count(*) FROM parked_commands", func(scan func(...any) error) error { return scan(&final.Parked) }),
	)
}

// customFields returns the part of a contact's JSON form by which its writes are known; never
// nil.
func customFields(raw []byte) (history.Document, error) {
	var c contacts.Representation
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("read a contact's document: %w", err)
	}
	if c.CustomFields == nil {
		return history.Document{}, nil
	}
	return tags(c.CustomFields), nil
}

func readCache(ctx context.Context, s *system.System, known []string, final *history.Final) (err error) {
	if s.Cache == "" {
		return nil
	}
	client, err := redis.Open(redis.Options{URL: s.Cache, KeyPrefix: "contacts:", Timeout: patience})
	if err != nil {
		return err
	}
	defer client.Close()
	for _, contact := range known {
		entry, found, _, err := client.Get(ctx, "contact:"+string(contacts.DefaultTenant)+":"+contact)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		cached := history.Cached{Version: entry.Version}
		switch entry.State {
		case cache.Live:
			cached.State = "live"
			if cached.Document, err = customFields(entry.Body); err != nil {
				return err
			}
		case cache.Gone:
			cached.State = "gone"
		case cache.Absent:
			cached.State = "absent"
		case cache.Pending:
			continue // silent: readers ask the database
		}
		final.Cached[contact] = cached
	}
	return nil
}

func readAPI(ctx context.Context, s *system.System, known []string, final *history.Final) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	final.Served = make([]history.Served, len(known)*len(s.Replicas))
	for i, contact := range known {
		for j, replica := range s.Replicas {
			group.Go(func() error {
				read := history.Event{Kind: history.Read, Contact: contact}
				event, err := ask(ctx, s.HTTP, replica, read)
				if err != nil {
					return err
				}
				if event.Type != history.OK {
					return fmt.Errorf("%s does not answer for %s: %d %s", replica.Name, contact, event.Status, event.Problem)
				}
				final.Served[i*len(s.Replicas)+j] = history.Served{
					Replica: replica.Name, Contact: contact, Version: event.Version, Document: event.Document,
				}
				return nil
			})
		}
	}
	return group.Wait()
}
