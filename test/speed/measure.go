package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"contacts/contacts"
	"contacts/platform/database"
	"contacts/test/system"
)

const (
	connections = 64
	loadTime    = 8 * time.Second
)

// What the usual answer, Django with Celery, did on a machine like those that this is run on, for the goals.
const (
	djangoReads     = 2300.0
	djangoAccepted  = 604.0
	djangoDurable   = 255.0
	celeryDrain     = 389.0
	respondAsync    = "Prefer: respond-async\r\n"
	settleAfterLoad = 2 * time.Minute
)

// sizes say how much is measured.
type sizes struct {
	rows   int           // of the largest table that pages are read from
	writes int           // that are made end to end
	soak   time.Duration // of the full load under which memory is watched
	// profiles is a folder for profiles of the service's processes; "": none are taken.
	profiles string
}

// bench is one mode under measurement.
type bench struct {
	*system.System
	sizes
	table   table
	spent   []spending
	created atomic.Int64 // numbers made-up people
	db      *database.DB
}

// measure measures one mode.
func measure(ctx context.Context, mode system.Mode, o sizes) (t table, err error) {
	folder, err := os.MkdirTemp("", "contacts-speed-")
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	s, err := system.Start(ctx, system.Options{
		Mode: mode, Folder: folder, Replicas: 1, Workers: 1,
		Env:      []string{"CONTACTS_ADMIN_PPROF=true"},
		Postgres: []string{"shared_preload_libraries=pg_stat_statements", "shared_buffers=512MB", "max_wal_size=4GB"},
	})
	defer func() { err = errors.Join(err, s.Stop()) }()
	if err != nil {
		return t, err
	}
	b := &bench{System: s, table: table{Mode: mode}, sizes: o}
	if b.db, err = database.Open(ctx, s.Database); err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, b.db.Close()) }()
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"latency", b.latency},
		{"reads", b.reads},
		{"writes", b.throughput},
		{"durable", b.durable},
		{"drain", b.drain},
		{"memory", b.memory},
		{"accounts", b.accounts},
		{"pages", func(ctx context.Context) error { return b.pages(ctx, o.rows) }},
		{"start", b.start},
	} {
		fmt.Fprintf(os.Stderr, "speed: %s: %s\n", mode, step.name)
		if err := step.run(ctx); err != nil {
			return b.table, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return b.table, nil
}

func (b *bench) api() string { return b.Replicas[0].API }

// person is the body of a new contact.
func (b *bench) person() string {
	n := b.created.Add(1)
	return fmt.Sprintf(`{"first_name":"First%d","last_name":"Last%d","email":"person%d@example.com","phone":"+5119%07d"}`, n, n%1000, n, n)
}

func (b *bench) create(headers string) func(caller, i int) request {
	return func(int, int) request {
		return request{method: "POST", path: "/v1/contacts", headers: headers, body: b.person()}
	}
}

func (b *bench) quiet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleAfterLoad)
	defer cancel()
	return b.AwaitQuiet(ctx)
}

// latency has one caller write, and wait for each answer.
func (b *bench) latency(ctx context.Context) error {
	if _, err := load(ctx, b.api(), 1, 201, times(100, b.create(""))); err != nil { // warms up
		return err
	}
	o, err := load(ctx, b.api(), 1, 201, times(500, b.create("")))
	if err != nil {
		return err
	}
	b.table.duration("POST answered 201, one caller, p50", o.percentile(0.5), "under 8 ms")
	b.table.duration("POST answered 201, one caller, p99", o.percentile(0.99), "under 21 ms")
	return b.visible(ctx)
}

// visible has one caller write without waiting for the end, and ask until the contact is there.
func (b *bench) visible(ctx context.Context) error {
	var o outcome
	for range 300 {
		began := time.Now()
		sent, err := load(ctx, b.api(), 1, 202, times(1, b.create(respondAsync)))
		if err != nil {
			return err
		}
		var operation struct {
			Status    contacts.Status `json:"status"`
			ContactID string          `json:"contact_id"`
		}
		for operation.Status != contacts.Succeeded {
			body, err := system.Fetch(ctx, b.HTTP, b.api()+sent.headers[0])
			if err == nil {
				err = json.Unmarshal(body, &operation)
			}
			if err != nil {
				return err
			}
		}
		if _, err := system.Fetch(ctx, b.HTTP, b.api()+"/v1/contacts/"+operation.ContactID); err != nil {
			return err
		}
		o.latency = append(o.latency, time.Since(began))
	}
	slices.Sort(o.latency)
	b.table.duration("from POST to visible, one caller, p50", o.percentile(0.5), "")
	b.table.duration("from POST to visible, one caller, p99", o.percentile(0.99), "")
	return nil
}

// reads measures reads of one contact beside a bare server that answers with the same bytes.
func (b *bench) reads(ctx context.Context) error {
	made, err := load(ctx, b.api(), 16, 201, times(64, b.create("")))
	if err != nil {
		return err
	}
	get := func(int, int) request {
		return request{method: "GET", path: made.headers[rand.IntN(len(made.headers))]}
	}
	body, err := system.Fetch(ctx, b.HTTP, b.api()+made.headers[0])
	if err != nil {
		return err
	}
	bare, err := startBare(ctx, string(body))
	if err != nil {
		return err
	}
	defer func() { _ = bare.Stop() }()
	limit, err := load(ctx, bare.URL, connections, 200, forAWhile(get))
	if err != nil {
		return err
	}
	bareRate := b.table.rate("bare echo handler, the same bytes", limit)
	cached, err := b.accounted(ctx, "cached read", func() (outcome, error) {
		return load(ctx, b.api(), connections, 200, forAWhile(get))
	})
	if err != nil {
		return err
	}
	b.table.rate("cached read, 64 connections", cached)
	b.table.compare(bareRate, "the bare handler", map[system.Mode]string{system.Production: "0.50", system.Embedded: "0.70"}[b.table.Mode])
	b.table.rate("cached read, 64 connections", cached)
	b.table.compare(djangoReads, "Django", "15 (measured where bare echo did 71,000/s)")

	return b.uncached(ctx, bareRate)
}

// uncached measures reads of contacts that the cache has forgotten, each once.
func (b *bench) uncached(ctx context.Context, bareRate float64) error {
	if _, err := load(ctx, b.api(), connections, 202, times(b.writes/connections/2, b.create(respondAsync))); err != nil {
		return err
	}
	if err := b.quiet(ctx); err != nil {
		return err
	}
	paths, err := b.paths(ctx, b.writes/2)
	if err != nil {
		return err
	}
	if err := b.forget(ctx); err != nil {
		return err
	}
	var next atomic.Int64
	o, err := b.accounted(ctx, "uncached read", func() (outcome, error) {
		return load(ctx, b.api(), connections, 200, func(int, int) (request, bool) {
			i := int(next.Add(1)) - 1
			if i >= len(paths) {
				return request{}, false
			}
			return request{method: "GET", path: paths[i]}, true
		})
	})
	if err != nil {
		return err
	}
	b.table.rate("uncached read, 64 connections", o)
	b.table.compare(bareRate, "the bare handler", "")
	return nil
}

// paths returns those of up to limit contacts.
func (b *bench) paths(ctx context.Context, limit int) ([]string, error) {
	var ids []string
	err := b.db.Read.WithContext(ctx).Raw("SELECT id FROM contacts WHERE deleted_at IS NULL LIMIT ?", limit).Scan(&ids).Error
	for i := range ids {
		ids[i] = "/v1/contacts/" + ids[i]
	}
	return ids, err
}

// throughput measures writes by many callers, and what one of them costs.
func (b *bench) throughput(ctx context.Context) error {
	before, err := b.costs(ctx)
	if err != nil {
		return err
	}
	accepted, err := b.accounted(ctx, "accepted write", func() (outcome, error) {
		return load(ctx, b.api(), connections, 202, forAWhile(b.create(respondAsync)))
	})
	if err != nil {
		return err
	}
	b.table.rate("accepted writes, 64 connections", accepted)
	b.table.compare(djangoAccepted, "Django", "20")
	if err := b.quiet(ctx); err != nil {
		return err
	}
	after, err := b.costs(ctx)
	if err != nil {
		return err
	}
	for _, cost := range []struct{ name, goal string }{{"SQS requests", "0.35"}, {"SQL statements", "1"}, {"Redis commands", "2"}} {
		if b.Cache != "" {
			b.table.add(figure{
				Name: cost.name + " for one write", Unit: "", Goal: "at most " + cost.goal,
				Value: (after[cost.name] - before[cost.name]) / float64(accepted.calls),
			})
		}
	}
	answered, err := load(ctx, b.api(), connections, 201, forAWhile(b.create("")))
	if err != nil {
		return err
	}
	b.table.rate("writes answered 201, 64 connections", answered)
	return b.quiet(ctx)
}

// applied waits until so many contacts more have been committed than before. What it asks for again and again costs little at
// any size; only then are the rows counted.
func (b *bench) applied(ctx context.Context, before progress, more int) error {
	for {
		now, err := b.progress(ctx, before.last+int64(more))
		if err != nil {
			return err
		}
		if now.contacts >= before.contacts+int64(more) {
			return nil
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// progress is how far the worker has come.
type progress struct {
	contacts int64
	last     int64 // the number of the latest change, which is drawn before it is committed
}

// progress reads the number of the latest change and, unless it is below from, counts the contacts.
func (b *bench) progress(ctx context.Context, from int64) (p progress, err error) {
	db := b.db.Read.WithContext(ctx)
	if err := db.Raw("SELECT coalesce(max(seq), 0) FROM contact_changes").Scan(&p.last).Error; err != nil || p.last < from {
		return p, err
	}
	return p, db.Raw("SELECT count(*) FROM contacts").Scan(&p.contacts).Error
}

// durable measures writes from the first request until the last row is committed, beside the same rows written by hand.
func (b *bench) durable(ctx context.Context) error {
	before, err := b.progress(ctx, 0)
	if err != nil {
		return err
	}
	o, err := b.accounted(ctx, "durable contact", func() (outcome, error) {
		started := time.Now()
		sent, err := load(ctx, b.api(), connections, 202, times(b.writes/connections, b.create(respondAsync)))
		if err != nil {
			return outcome{}, err
		}
		err = b.applied(ctx, before, sent.calls)
		return outcome{calls: sent.calls, took: time.Since(started)}, err
	})
	if err != nil {
		return err
	}
	b.table.rate("durable contacts, end to end", o)
	b.table.compare(djangoDurable, "Django", "20")
	if err := b.quiet(ctx); err != nil {
		return err
	}
	hand, err := b.byHand(ctx, o.calls)
	if err != nil {
		return err
	}
	b.table.rate("the same rows by hand, 100 contacts a transaction", hand)
	b.table.rate("durable contacts, end to end", o)
	b.table.compare(hand.rate(), "by hand", "0.3")
	return nil
}

// drain measures how fast the worker empties a queue that was filled before.
func (b *bench) drain(ctx context.Context) error {
	if b.Cache == "" {
		return nil // the worker is in the process that fills the queue
	}
	worker := b.Targets[len(b.Targets)-1]
	if _, err := worker.Terminate(); err != nil {
		return err
	}
	sent, err := load(ctx, b.api(), connections, 202, times(b.writes/connections, b.create(respondAsync)))
	if err != nil {
		return err
	}
	before, err := b.progress(ctx, 0)
	if err != nil {
		return err
	}
	if err := worker.Restart(ctx); err != nil {
		return err
	}
	begun, err := b.progress(ctx, 0) // it has drained a part by now
	if err != nil {
		return err
	}
	drained, err := b.accounted(ctx, "drained command", func() (outcome, error) {
		started := time.Now()
		err := b.applied(ctx, before, sent.calls)
		return outcome{calls: int(before.contacts + int64(sent.calls) - begun.contacts), took: time.Since(started)}, err
	})
	if err != nil {
		return err
	}
	b.table.rate("worker drains a filled queue", drained)
	b.table.compare(celeryDrain, "Celery", "20")
	return b.quiet(ctx)
}

// costs counts what has been asked of each part so far.
func (b *bench) costs(ctx context.Context) (map[string]float64, error) {
	costs := map[string]float64{}
	if b.Cache == "" {
		return costs, nil
	}
	for _, t := range b.Targets {
		if t.Admin == "" {
			continue
		}
		values, err := b.Metrics(ctx, t)
		if err != nil {
			return nil, err
		}
		for name, value := range values {
			if strings.HasPrefix(name, "contacts_sqs_requests_total{") && !strings.Contains(name, "GetQueueAttributes") {
				costs["SQS requests"] += value
			}
		}
	}
	db := b.db.Write.WithContext(ctx)
	var statements float64
	err := errors.Join(db.Exec("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").Error,
		// Without the keepers', which do not depend on the writes, and this program's own.
		db.Raw(`SELECT coalesce(sum(calls), 0) FROM pg_stat_statements
			WHERE query ~* '^(select|insert|update|delete)' AND query !~ 'cache_outage|cache_debts|count|pg_stat'`).Scan(&statements).Error)
	if err != nil {
		return nil, err
	}
	costs["SQL statements"] = statements
	commands, err := b.redisCommands(ctx)
	costs["Redis commands"] = commands
	return costs, err
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
