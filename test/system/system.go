// Package system runs the service as it is run in earnest, as processes of the built binary
// with real servers of their own, for programs that measure it or break it.
package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"contacts/test/servers"
)

// Mode is how the service is run.
type Mode string

// The modes.
const (
	// serve and worker processes on PostgreSQL, Redis and the SQS emulator
	Production Mode = "production"
	Embedded   Mode = "embedded" // one serve process and its file
)

// Target is one process of the service, or one server.
type Target struct {
	Name  string
	Kind  string // serve, worker, postgres, redis or sqs
	API   string // URL of a serve's API
	Admin string // URL of a service process's second listener
	*servers.Server
}

// Options say what to run.
type Options struct {
	Mode   Mode
	Binary string // the path of a built one; "": it is built
	Folder string // for the binary, the embedded database and, in the end, the processes' logs
	// what a binary built for that is to fail in, see cmd/sabotage.go; "": nothing
	Sabotage string
	Replicas int      // serve processes in the production mode
	Workers  int      // worker processes in the production mode
	Env      []string // settings in addition, each KEY=VALUE
	Postgres []string // PostgreSQL's settings in addition, each name=value
}

// System is the service with all that it needs.
type System struct {
	Targets  []*Target
	Replicas []*Target // the serve processes
	Database string    // URL; on PostgreSQL a superuser's, which sees all tenants' rows
	Cache    string    // URL; "" where the cache is in the process
	HTTP     *http.Client
	Binary   string
	Env      []string // the settings of the service's processes

	folder string
}

// Start starts everything and waits until it answers. Stop it after use, also after an error.
func Start(ctx context.Context, o Options) (*System, error) {
	s := &System{folder: o.Folder, Binary: o.Binary, Env: []string{"CONTACTS_LOG_FORMAT=json", "CONTACTS_LOG_LEVEL=info"}, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}}}
	if s.Binary == "" {
		var err error
		if s.Binary, err = Build(ctx, o.Folder, o.Sabotage != ""); err != nil {
			return s, err
		}
	}
	if o.Sabotage != "" {
		s.Env = append(s.Env, "CONTACTS_TEST_SABOTAGE="+o.Sabotage)
	}
	if o.Mode == Embedded {
		s.Database = "sqlite://" + filepath.Join(o.Folder, "contacts.db")
		s.Env = append(s.Env, "CONTACTS_DATABASE_URL="+s.Database)
		s.Env = append(s.Env, o.Env...)
		return s, s.StartService(ctx, "serve-0")
	}
	if err := s.startServers(ctx, o.Postgres); err != nil {
		return s, err
	}
	s.Env = append(s.Env, o.Env...)
	migrate := Command(ctx, s.Binary, append(slices.Clip(s.Env), "CONTACTS_DATABASE_OWNER_URL="+s.Database), "migrate")
	if output, err := migrate.CombinedOutput(); err != nil {
		return s, fmt.Errorf("migrate: %w\n%s", err, output)
	}
	for i := range o.Replicas {
		if err := s.StartService(ctx, fmt.Sprint("serve-", i)); err != nil {
			return s, err
		}
	}
	for i := range o.Workers {
		if err := s.StartService(ctx, fmt.Sprint("worker-", i)); err != nil {
			return s, err
		}
	}
	return s, nil
}

// startServers starts what the production mode needs beside the service.
func (s *System) startServers(ctx context.Context, settings []string) error {
	// A commit has to survive what happens here as it does in production.
	postgres, err := servers.StartPostgres(ctx, append([]string{"fsync=on", "full_page_writes=on"}, settings...)...)
	if err != nil {
		return err
	}
	s.Targets = append(s.Targets, &Target{Name: "postgres", Kind: "postgres", Server: postgres})
	redis, err := servers.StartRedis(ctx)
	if err != nil {
		return err
	}
	s.Targets = append(s.Targets, &Target{Name: "redis", Kind: "redis", Server: redis})
	sqs, err := servers.StartSQS(ctx)
	if err != nil {
		return err
	}
	s.Targets = append(s.Targets, &Target{Name: "sqs", Kind: "sqs", Server: sqs})
	endpoint, err := url.Parse(sqs.URL)
	if err != nil {
		return err
	}
	s.Database, s.Cache = postgres.URL, redis.URL
	s.Env = append(s.Env,
		"CONTACTS_DATABASE_URL="+strings.Replace(postgres.URL, "postgres@", "contacts@", 1),
		"CONTACTS_CACHE_URL="+redis.URL,
		"CONTACTS_QUEUE_URL="+QueueURL(endpoint, "crash.fifo"))
	s.Env = append(s.Env, AWS(sqs.URL)...)
	return nil
}

// StartService starts a serve or a worker, as its name says, on ports that it keeps.
func (s *System) StartService(ctx context.Context, name string) error {
	apiPort, apiErr := servers.FreePort(ctx)
	adminPort, adminErr := servers.FreePort(ctx)
	if err := errors.Join(apiErr, adminErr); err != nil {
		return err
	}
	kind, _, _ := strings.Cut(name, "-")
	t := &Target{Name: name, Kind: kind, API: "http://127.0.0.1:" + apiPort, Admin: "http://127.0.0.1:" + adminPort}
	args := []string{kind}
	if len(s.Replicas) == 0 && s.Cache != "" {
		args = append(args, "--create-queue")
	}
	env := append(slices.Clip(s.Env), "CONTACTS_HTTP_ADDR=127.0.0.1:"+apiPort, "CONTACTS_ADMIN_ADDR=127.0.0.1:"+adminPort)
	server, _, err := Launch(ctx, t.API, Command(ctx, s.Binary, env, args...))
	if err != nil {
		return err
	}
	t.Server = server
	s.Targets = append(s.Targets, t)
	if kind == "serve" {
		s.Replicas = append(s.Replicas, t)
	}
	return nil
}

// Stop ends everything, the service first. The logs of the service are kept in the system's
// folder.
func (s *System) Stop() error {
	s.HTTP.CloseIdleConnections()
	var errs []error
	for i := len(s.Targets) - 1; i >= 0; i-- {
		t := s.Targets[i]
		if t.Admin != "" {
			log, err := os.ReadFile(t.LogFile())
			errs = append(errs, err, os.WriteFile(filepath.Join(s.folder, t.Name+".log"), log, 0o600))
		}
		errs = append(errs, t.Stop())
	}
	return errors.Join(errs...)
}

// Fetch returns the body of what url answers with 200.
func Fetch(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", url, response.Status)
	}
	return body, err
}

// patience is how long a process may take to answer.
const patience = 5 * time.Second
