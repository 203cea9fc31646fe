package redis_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"contacts/test/servers"
)

// patience is how long a test waits for what must come, however slow the machine; tick is how
// often it looks.
const (
	patience = 30 * time.Second
	tick     = 20 * time.Millisecond
)

// server is a redis-server that one test may kill, freeze and start again. It always listens
// on the same port.
type server struct {
	port    string
	args    []string
	process *os.Process   // nil while none runs
	exited  chan struct{} // closed when process has ended
}

// startServer runs a redis-server with further arguments until the test ends.
func startServer(t *testing.T, args ...string) *server {
	t.Helper()
	port, err := servers.FreePort(t.Context())
	require.NoError(t, err)
	s := &server{port: port}
	s.args = append([]string{
		"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir(),
	}, args...)
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

// start returns once the server answers. Where another program was faster to take the port, it
// tries until that is over.
func (s *server) start(t *testing.T) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	require.NoError(t, err, "redis-server must be on the PATH: run `make test`, which sees to it")
	require.Eventually(t, func() bool {
		if s.process == nil && !s.launch(program) {
			return false
		}
		select {
		case <-s.exited:
			s.process = nil
			return false
		default:
			return s.answers()
		}
	}, patience, tick, "redis-server did not start")
}

func (s *server) launch(program string) bool {
	command := exec.Command(program, s.args...)
	if command.Start() != nil {
		return false
	}
	exited := make(chan struct{})
	go func() {
		_ = command.Wait() // it ends by a signal
		close(exited)
	}()
	s.process, s.exited = command.Process, exited
	return true
}

func (s *server) answers() bool {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.address()}, DisableCache: true, ForceSingleClient: true,
	})
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return false
	}
	info, err := client.Do(context.Background(), client.B().Info().Section("server").Build()).ToString()
	return err == nil && strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", s.process.Pid))
}

// kill ends the server at once, as a crash would, frozen or not.
func (s *server) kill() {
	if s.process == nil {
		return
	}
	_ = s.process.Kill()
	<-s.exited
	s.process = nil
}

func (s *server) freeze(t *testing.T) { require.NoError(t, s.process.Signal(syscall.SIGSTOP)) }

func (s *server) thaw(t *testing.T) { require.NoError(t, s.process.Signal(syscall.SIGCONT)) }

func (s *server) address() string { return net.JoinHostPort("127.0.0.1", s.port) }

func (s *server) url() string { return "redis://" + s.address() }

// sharedURL is the server that `make test` starts for all tests. No test may disturb it.
func sharedURL(t *testing.T) string {
	t.Helper()
	url := os.Getenv("CONTACTS_TEST_REDIS_URL")
	require.NotEmpty(t, url, "CONTACTS_TEST_REDIS_URL is not set: run `make test`, which starts a Redis")
	return url
}
