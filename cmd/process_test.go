package cmd_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts/contactstest"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
	"contacts/test/servers"
	harness "contacts/test/system"
)

// binary builds the program once and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "contacts-e2e-")
	if err != nil {
		return "", err
	}
	return harness.Build(context.Background(), folder, false)
})

func TestMain(m *testing.M) {
	// For the queues that the tests open themselves; the program is given its own environment.
	for _, variable := range harness.AWS(os.Getenv("CONTACTS_TEST_SQS_URL")) {
		name, value, _ := strings.Cut(variable, "=")
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	status := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(status)
}

// command returns the program with arguments, in a folder of its own. Of the variables that it
// knows it has only those in env, as KEY=VALUE.
func command(t *testing.T, folder string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	c := harness.Command(context.Background(), path, env, args...)
	c.Dir = folder
	return c
}

// result is what a finished program left.
type result struct {
	status         int
	stdout, stderr string
}

// run runs the program to its end.
func run(t *testing.T, folder string, env []string, args ...string) result {
	t.Helper()
	c := command(t, folder, env, args...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
	}
	return result{c.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// process is a running serve or worker.
type process struct{ *servers.Server }

// start starts the program and waits until it is ready.
func start(t *testing.T, folder string, env []string, args ...string) (*process, map[string]any) {
	t.Helper()
	return launch(t, command(t, folder, append(env, "CONTACTS_LOG_FORMAT=json"), args...))
}

// launch starts a command of the program and waits until it says, in a line of its JSON log,
// that it is ready. It returns that line's members.
func launch(t *testing.T, c *exec.Cmd) (*process, map[string]any) {
	t.Helper()
	server, ready, err := harness.Launch(t.Context(), "", c)
	require.NoError(t, err)
	return keep(t, server), ready
}

// keep has a process killed at the end of the test, if it is still there.
func keep(t *testing.T, server *servers.Server) *process {
	t.Helper()
	p := &process{server}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log:\n%s", p.log())
		}
		_ = p.Stop() // some of them have ended by themselves
	})
	return p
}

// log returns what the process has logged so far.
func (p *process) log() string {
	log, err := p.Log()
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// kill ends the process at once, as kill -9 does.
func (p *process) kill() { _ = p.Kill() }

// terminate asks the process to end and returns its exit status.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	_, err := p.Terminate()
	require.NoError(t, err)
	return p.ExitCode()
}

// system is the service in one of its modes, as real processes.
type system struct {
	folder string
	env    []string
	worker bool // is a process of its own

	processes []*process
	url       string   // of the API
	admin     string   // of serve's second listener
	admins    []string // of all processes
}

// embedded returns the service with nothing but a folder, not yet started.
func embedded(t *testing.T) *system {
	t.Helper()
	return &system{folder: t.TempDir(), env: []string{
		"CONTACTS_HTTP_ADDR=127.0.0.1:0", "CONTACTS_ADMIN_ADDR=127.0.0.1:0",
		"CONTACTS_WRITE_WAIT=30s", // so that a slow machine is not answered 202
	}}
}

// cacheDatabases counts the databases of Redis that are in use. Systems that shared one would
// renew the trust in each other's cache.
var cacheDatabases atomic.Int64

// production returns the service on databases of PostgreSQL and Redis and an SQS queue of its
// own, migrated and not yet started.
func production(t *testing.T) *system {
	t.Helper()
	s := embedded(t)
	s.worker = true
	endpoint, err := url.Parse(server(t, "CONTACTS_TEST_SQS_URL"))
	require.NoError(t, err)
	owner := databasetest.New(t, database.Postgres)
	s.env = append(s.env,
		"CONTACTS_DATABASE_URL="+databasetest.App(owner), "CONTACTS_DATABASE_OWNER_URL="+owner,
		fmt.Sprintf("CONTACTS_CACHE_URL=%s/%d", server(t, "CONTACTS_TEST_REDIS_URL"), cacheDatabases.Add(1)),
		"CONTACTS_QUEUE_URL="+harness.QueueURL(endpoint, "e2e-"+uuid.NewString()+".fifo"),
		"CONTACTS_QUEUE_VISIBILITY=4s", "CONTACTS_QUEUE_POLL_WAIT=1s",
	)
	s.env = append(s.env, harness.AWS(endpoint.String())...)
	migrated := run(t, s.folder, s.env, "migrate")
	require.Zero(t, migrated.status, migrated.stderr)
	return s
}

// server returns the address of one of the servers that `make test` starts.
func server(t *testing.T, variable string) string {
	t.Helper()
	address := os.Getenv(variable)
	require.NotEmpty(t, address, "%s is not set: run the tests with `make test`, which starts the servers", variable)
	return address
}

// database opens the system's PostgreSQL database behind its back, as a role that sees
// everything.
func (s *system) database(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", databasetest.Superuser(t, s.variable("CONTACTS_DATABASE_URL")))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// variable returns the value of one of the variables that the system's processes have.
func (s *system) variable(name string) string {
	for _, variable := range s.env {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// start starts the system's processes.
func (s *system) start(t *testing.T) {
	t.Helper()
	args := []string{"serve"}
	if s.worker {
		args = append(args, "--create-queue")
	}
	serve, ready := start(t, s.folder, s.env, args...)
	s.url, s.admin = ready["api"].(string), ready["admin"].(string)
	s.processes, s.admins = []*process{serve}, []string{s.admin}
	if s.worker {
		worker, ready := start(t, s.folder, s.env, "worker")
		s.processes, s.admins = append(s.processes, worker), append(s.admins, ready["admin"].(string))
	}
}

func (s *system) client() contactstest.HTTP { return contactstest.HTTP{URL: s.url} }
