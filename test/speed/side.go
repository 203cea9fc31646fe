package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"contacts/platform/database"
	"contacts/test/servers"
	"contacts/test/system"
)

// side is one of the two systems that are compared.
type side struct {
	*system.System
	name string // baseline or now
	mode system.Mode
	sizes

	bare    *servers.Server // answers with the same bytes as the service
	created atomic.Int64    // numbers made-up people
	// paths of the contacts that were there before measuring, in random order
	filled []string
	next   atomic.Int64 // counts the filled paths that were read
	deep   string       // path of a page in the middle

	speed, protocol series
}

// startSide starts a system and fills it. Stop it after use, also after an error.
func startSide(ctx context.Context, name string, mode system.Mode, folder, binary string, o sizes) (*side, error) {
	started, err := system.Start(ctx, system.Options{
		Mode: mode, Binary: binary, Folder: folder, Replicas: 1, Workers: 1,
		Env:      []string{"CONTACTS_ADMIN_PPROF=true"},
		Postgres: []string{"shared_buffers=512MB", "max_wal_size=4GB"},
	})
	s := &side{System: started, name: name, mode: mode, sizes: o}
	if err != nil {
		return s, err
	}
	return s, s.fill(ctx)
}

// stop ends the system. The logs of its processes stay in its folder.
func (s *side) stop() error {
	if s.bare == nil {
		return s.Stop()
	}
	return errors.Join(s.bare.Stop(), s.Stop())
}

func (s *side) api() string { return s.Replicas[0].API }

// consumer is the process that applies commands.
func (s *side) consumer() *system.Target { return s.Targets[len(s.Targets)-1] }

// fill writes contacts through the API, as the schema is the system's own affair, and starts
// the bare handler.
func (s *side) fill(ctx context.Context) error {
	const each = 20_000 // that wait in the queue at a time
	for have := 0; have < s.rows; have += each {
		if _, err := s.write(ctx, 64, min(each, s.rows-have)); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	if err := s.walk(ctx); err != nil {
		return fmt.Errorf("read what was filled in: %w", err)
	}
	body, err := system.Fetch(ctx, s.HTTP, s.api()+s.filled[0])
	if err != nil {
		return err
	}
	if s.bare, err = startBare(ctx, string(body)); err != nil || s.Cache == "" {
		return err
	}
	db, err := database.Open(ctx, s.Database)
	if err != nil {
		return err
	}
	// Now, and not by itself while something is measured.
	return errors.Join(db.Write.WithContext(ctx).Exec("VACUUM ANALYZE").Error, db.Close())
}

// walk reads all pages.
func (s *side) walk(ctx context.Context) error {
	const limit = 500
	path := fmt.Sprintf("/v1/contacts?limit=%d", limit)
	for next := path; ; {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		body, err := system.Fetch(ctx, s.HTTP, s.api()+next)
		if err == nil {
			err = json.Unmarshal(body, &page)
		}
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			s.filled = append(s.filled, "/v1/contacts/"+item.ID)
		}
		if page.NextCursor == "" {
			break
		}
		next = path + "&cursor=" + page.NextCursor
		if s.deep == "" && len(s.filled) >= s.rows/2 {
			s.deep = "/v1/contacts?cursor=" + page.NextCursor
		}
	}
	if len(s.filled) != s.rows || s.deep == "" {
		return fmt.Errorf("expected %d contacts and a page in their middle, got %d", s.rows, len(s.filled))
	}
	rand.Shuffle(len(s.filled), func(i, j int) { s.filled[i], s.filled[j] = s.filled[j], s.filled[i] })
	return nil
}

const respondAsync = "Prefer: respond-async\r\n"

// create makes a request for a new contact.
func (s *side) create(headers string) func(caller, i int) request {
	return func(int, int) request {
		n := s.created.Add(1)
		return request{method: "POST", path: "/v1/contacts", headers: headers, body: fmt.Sprintf(
			`{"first_name":"First%d","last_name":"Last%d","email":"person%d@example.com","phone":"+5119%07d"}`, n, n%1000, n, n)}
	}
}

// write has callers send so many writes in all, and waits until the last of them is applied.
func (s *side) write(ctx context.Context, callers, writes int) (sent outcome, err error) {
	before, err := s.applied(ctx)
	if err != nil {
		return sent, err
	}
	if sent, err = s.send(ctx, callers, writes); err != nil {
		return sent, err
	}
	return sent, s.awaitApplied(ctx, before+float64(sent.calls))
}

// send has callers send so many writes in all, and does not wait for them to be applied.
func (s *side) send(ctx context.Context, callers, writes int) (outcome, error) {
	create := s.create(respondAsync)
	var begun atomic.Int64
	return load(ctx, s.api(), callers, 202, func(caller, i int) (request, bool) {
		if begun.Add(1) > int64(writes) {
			return request{}, false
		}
		return create(caller, i), true
	})
}

// applied returns how many commands the consumer has applied since its start.
func (s *side) applied(ctx context.Context) (float64, error) {
	values, err := s.Metrics(ctx, s.consumer())
	return values[`contacts_commands_total{result="done"}`], err
}

// awaitApplied waits until the consumer has applied so many commands since its start.
func (s *side) awaitApplied(ctx context.Context, wanted float64) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for {
		done, err := s.applied(ctx)
		if err != nil || done >= wanted {
			return err
		}
		// Not more often: the answer takes a worker a millisecond.
		if err := pause(ctx, 25*time.Millisecond); err != nil {
			return fmt.Errorf("%.0f of %.0f commands are applied: %w", done, wanted, err)
		}
	}
}

// forget empties the cache, and waits until it is used again.
func (s *side) forget(ctx context.Context) error {
	if s.Cache == "" { // it is within the process
		_, err := s.Replicas[0].Terminate()
		return errors.Join(err, s.Replicas[0].Restart(ctx))
	}
	conn, err := dial(ctx, strings.TrimPrefix(s.Cache, "redis://"))
	if err != nil {
		return err
	}
	defer conn.conn.Close()
	if _, err := fmt.Fprint(conn.conn, "FLUSHALL\r\n"); err != nil {
		return err
	}
	if answer, err := conn.reader.ReadString('\n'); err != nil || answer != "+OK\r\n" {
		return errors.Join(fmt.Errorf("FLUSHALL: %q", answer), err)
	}
	return pause(ctx, time.Second)
}

// get makes requests for the filled contacts, each once.
func (s *side) get(int, int) request {
	return request{method: "GET", path: s.filled[int(s.next.Add(1))%len(s.filled)]}
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
