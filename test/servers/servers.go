// Package servers runs the real servers that integration tests need: PostgreSQL, Redis and an
// emulator of Amazon SQS.
//
// Each listens on a free port of 127.0.0.1, keeps throw-away data in a temporary folder and
// ends with the process that started it, however that process dies (on Linux). The command
// in package run starts all three around a test run:
//
//	go run ./test/servers/run -- go test ./...
package servers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// The environment variables by which tests find the servers.
const (
	// PostgresVariable names the URL of a PostgreSQL superuser; a test creates its own
	// database.
	PostgresVariable = "CONTACTS_TEST_POSTGRES_URL"
	// RedisVariable names the URL of a Redis server; a test uses keys of its own.
	RedisVariable = "CONTACTS_TEST_REDIS_URL"
	// SQSVariable names the endpoint of the SQS emulator; a test creates its own queues.
	SQSVariable = "CONTACTS_TEST_SQS_URL"
)

// Servers is one running server of each kind.
type Servers struct {
	Postgres, Redis, SQS *Server
}

// Start starts one server of each kind, side by side, and waits until all answer. On an error
// none is left running.
func Start(ctx context.Context) (*Servers, error) {
	var (
		s      Servers
		errs   [3]error
		starts sync.WaitGroup
	)
	starts.Go(func() { s.Postgres, errs[0] = StartPostgres(ctx) })
	starts.Go(func() { s.Redis, errs[1] = StartRedis(ctx) })
	starts.Go(func() { s.SQS, errs[2] = StartSQS(ctx) })
	starts.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return &s, nil
}

// Stop ends the servers and removes their data. The error tells which of them had ended by
// itself, and why.
func (s *Servers) Stop() error {
	var errs []error
	for _, server := range []*Server{s.Postgres, s.Redis, s.SQS} {
		if server != nil {
			errs = append(errs, server.Stop())
		}
	}
	return errors.Join(errs...)
}

// Run runs a command with the servers' URLs in its environment, and returns its exit status
// (128 + n when signal n ended it). The command shares standard output and error, and has an
// empty standard input. When the context ends, the command's process group is sent a SIGTERM.
// The error is for a command that could not be run.
func (s *Servers) Run(ctx context.Context, name string, args ...string) (status int, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(),
		PostgresVariable+"="+s.Postgres.URL, RedisVariable+"="+s.Redis.URL, SQSVariable+"="+s.SQS.URL)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = childOf(nil, syscall.SIGTERM)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	exited, err := launch(cmd)
	if err != nil {
		return 0, err
	}
	<-exited
	if end, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && end.Signaled() {
		return 128 + int(end.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}
