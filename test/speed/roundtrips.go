package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// roundTrips starts the service's processes again, behind proxies, and counts what they ask of
// PostgreSQL and Redis for one read, one page, one batch and one write with a key.
func (s *side) roundTrips(ctx context.Context) error {
	if s.Cache == "" {
		return nil
	}
	serve, err := s.behindProxies(ctx, "serve")
	if err != nil {
		return err
	}
	s.Replicas = s.Replicas[1:]
	worker, err := s.behindProxies(ctx, "worker")
	if err != nil {
		return err
	}
	// So that all connections are open, and their statements prepared.
	if _, err := s.write(ctx, 16, 1600); err != nil {
		return err
	}
	if _, err := load(ctx, s.api(), 16, 200, times(100, s.get)); err != nil {
		return err
	}
	if err := s.forget(ctx); err != nil {
		return err
	}
	const calls = 300
	one := func(want int, r func(caller, i int) request) func() (float64, error) {
		return func() (float64, error) {
			o, err := load(ctx, s.api(), 1, want, times(calls, r))
			return float64(o.calls), err
		}
	}
	page := func(int, int) request { return request{method: "GET", path: "/v1/contacts"} }
	keyed := func(headers string) func(caller, i int) request {
		return func(caller, i int) request {
			return s.create(headers+"Idempotency-Key: "+uuid.NewString()+"\r\n")(caller, i)
		}
	}
	return errors.Join(
		s.count(ctx, serve.postgres, "PostgreSQL", "statements", "uncached read", one(200, s.get)),
		s.count(ctx, serve.postgres, "PostgreSQL", "statements", "page of 50", one(200, page)),
		s.count(ctx, worker.postgres, "PostgreSQL", "statements", "batch of the worker, 16 connections", func() (float64, error) {
			const count = "contacts_batch_commands_count"
			before, beforeErr := s.Metrics(ctx, s.consumer())
			_, err := s.write(ctx, 16, 16*calls)
			after, afterErr := s.Metrics(ctx, s.consumer())
			return after[count] - before[count], errors.Join(beforeErr, err, afterErr)
		}),
		s.count(ctx, serve.redis, "Redis", "commands", "keyed POST answered 202, by serve", one(202, keyed(respondAsync))),
		s.count(ctx, serve.redis, "Redis", "commands", "keyed POST answered 201, by serve", one(201, keyed(""))),
		s.count(ctx, worker.redis, "Redis", "commands", "keyed POST answered 201, by the worker", one(201, keyed(""))),
	)
}

// proxies stand before the servers of one process.
type proxies struct{ postgres, redis *proxy }

// behindProxies ends the only process of a kind and starts one that reaches its servers
// through proxies.
func (s *side) behindProxies(ctx context.Context, kind string) (p proxies, err error) {
	for _, t := range s.Targets {
		if t.Kind == kind {
			if _, err := t.Terminate(); err != nil {
				return p, err
			}
		}
	}
	database, err := url.Parse(s.Database)
	if err != nil {
		return p, err
	}
	if p.postgres, err = startProxy(ctx, database.Host, followPostgres); err != nil {
		return p, err
	}
	if p.redis, err = startProxy(ctx, strings.TrimPrefix(s.Cache, "redis://"), followRedis); err != nil {
		return p, err
	}
	database.Host, database.User = p.postgres.address, url.User("contacts")
	s.Env = append(s.Env, "CONTACTS_DATABASE_URL="+database.String(), "CONTACTS_CACHE_URL=redis://"+p.redis.address)
	return p, s.StartService(ctx, kind+"-proxied")
}

// count records the round trips and requests for each of the operations that run returns the
// number of, without what the process asks by itself all the time.
func (s *side) count(ctx context.Context, p *proxy, server, requests, name string, run func() (float64, error)) error {
	const rest = 2 * time.Second
	idle := p.now()
	if err := pause(ctx, rest); err != nil {
		return err
	}
	before, started := p.now(), time.Now()
	operations, err := run()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	share := time.Since(started).Seconds() / rest.Seconds()
	after := p.now()
	each := func(idle, before, after int) sample {
		return sample{value: (float64(after-before) - float64(before-idle)*share) / operations}
	}
	s.protocol.add(fmt.Sprintf("%s round trips, %s", server, name), "", each(idle.roundTrips, before.roundTrips, after.roundTrips))
	s.protocol.add(fmt.Sprintf("%s %s, %s", server, requests, name), "", each(idle.requests, before.requests, after.requests))
	return nil
}
