package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// helperVariable makes the test binary play the process that starts a server: see TestMain.
const helperVariable = "SERVERTEST_HELPER"

func TestMain(m *testing.M) {
	if os.Getenv(helperVariable) != "" {
		startRedisAndWait()
		return
	}
	os.Exit(m.Run())
}

func TestStart_RunsServersAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", openTempDir(t))
	servers, err := Start(t.Context())
	require.NoError(t, err)
	all := []*Server{servers.Postgres, servers.Redis, servers.SQS}
	for _, server := range all {
		require.True(t, listens(t, server), server.URL)
		require.True(t, alive(server.Pid()), server.URL)
	}

	require.NoError(t, servers.Stop())

	for _, server := range all {
		require.False(t, listens(t, server), server.URL)
		require.False(t, alive(server.Pid()), server.URL)
	}
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStart_AfterTheContextEnded(t *testing.T) {
	t.Setenv("TMPDIR", openTempDir(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Start(ctx)
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStartPostgres_SettingOverrides(t *testing.T) {
	server, err := StartPostgres(t.Context(), "fsync=on", "application_name=probe")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	require.Equal(t, "on|300|UTF8", psql(t, server,
		"SELECT current_setting('fsync'), current_setting('max_connections'), current_setting('server_encoding')"))
}

func TestStartPostgres_RefusedSetting(t *testing.T) {
	t.Setenv("TMPDIR", openTempDir(t))
	_, err := StartPostgres(t.Context(), "max_connections=plenty")
	require.ErrorContains(t, err, "PostgreSQL ended by itself: exit status 1")
	require.ErrorContains(t, err, `invalid value for parameter "max_connections"`)
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestServer_Stop_AfterCrash(t *testing.T) {
	server, err := StartRedis(t.Context())
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(server.Pid(), syscall.SIGKILL))
	<-server.exited
	require.ErrorContains(t, server.Stop(), "Redis ended by itself: signal: killed")
	require.NoDirExists(t, server.dir)
}

func TestServer_Kill_KeepsTheData(t *testing.T) {
	server, err := StartPostgres(t.Context(), "fsync=on")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	psql(t, server, "CREATE TABLE kept AS SELECT 1 AS one")
	children, err := childrenOf(server.Pid())
	require.NoError(t, err)
	require.NotEmpty(t, children, "PostgreSQL has background processes")
	first := server.Pid()

	require.NoError(t, server.Kill())
	require.False(t, listens(t, server))
	require.NoError(t, server.Restart(t.Context()))

	require.NotEqual(t, first, server.Pid())
	require.Equal(t, "1", psql(t, server, "SELECT one FROM kept"))
}

func TestServer_Terminate(t *testing.T) {
	server, err := StartRedis(t.Context())
	require.NoError(t, err)
	_, err = server.Terminate()
	require.NoError(t, err)
	require.False(t, listens(t, server))
	require.NoError(t, server.Restart(t.Context()))
	require.True(t, listens(t, server))
	require.NoError(t, server.Stop())
}

func TestServer_Freeze_StopsEveryProcess(t *testing.T) {
	server, err := StartPostgres(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	require.NoError(t, server.Freeze())
	children, err := childrenOf(server.Pid())
	require.NoError(t, err)
	for _, pid := range append(children, server.Pid()) {
		require.Eventually(t, func() bool { s := state(t, pid); return s == "T" || s == "Z" }, stopLimit, askEvery)
	}

	require.NoError(t, server.Thaw())

	require.Equal(t, "1", psql(t, server, "SELECT 1"))
}

func TestServer_EndsWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a process of its parent's death")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), helperVariable+"=1", "TMPDIR="+t.TempDir())
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.True(t, alive(pid))

	require.NoError(t, parent.Process.Kill())

	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool { return !alive(pid) }, stopLimit, askEvery)
}

func TestServers_Run(t *testing.T) {
	servers := &Servers{Postgres: &Server{URL: "p"}, Redis: &Server{URL: "r"}, SQS: &Server{URL: "s"}}
	for script, want := range map[string]int{
		`exit 7`: 7,
		`test "$CONTACTS_TEST_POSTGRES_URL $CONTACTS_TEST_REDIS_URL $CONTACTS_TEST_SQS_URL" = "p r s"`: 0,
		`kill -9 $$`: 128 + 9,
	} {
		status, err := servers.Run(t.Context(), "sh", "-c", script)
		require.NoError(t, err)
		require.Equal(t, want, status, script)
	}
	_, err := servers.Run(t.Context(), "no-such-command")
	require.ErrorIs(t, err, exec.ErrNotFound)
}

func TestServers_Run_EndsTheWholeGroup(t *testing.T) {
	servers := &Servers{Postgres: &Server{}, Redis: &Server{}, SQS: &Server{}}
	pids := filepath.Join(t.TempDir(), "pids")
	require.NoError(t, syscall.Mkfifo(pids, 0o600))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		status, err := servers.Run(ctx, "sh", "-c", `sleep 600 & echo $! >"$0"; wait`, pids)
		if err != nil {
			status = -1
		}
		ended <- status
	}()
	line, err := os.ReadFile(pids)
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(line)))
	require.NoError(t, err)

	cancel()

	require.Equal(t, 128+int(syscall.SIGTERM), <-ended)
	require.Eventually(t, func() bool { return !alive(child) }, stopLimit, askEvery)
}

func TestInstall_SaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	err := Install(t.Context(), t.Output())
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "apt-get install redis-server")
	if runtime.GOOS == "linux" {
		require.ErrorContains(t, err, "apt-get install strace")
	}
}

func TestDebianVersion_Newest(t *testing.T) {
	require.Equal(t, 17, debianVersion("/usr/lib/postgresql/17/bin/initdb"))
	require.Equal(t, 0, debianVersion("/usr/lib/postgresql/9.6/bin/initdb"))
}

// startRedisAndWait tells the server's process id and leaves its end to the kernel.
func startRedisAndWait() {
	server, err := StartRedis(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, server.Pid())
	select {}
}

// openTempDir is a [testing.T.TempDir] that another user, which a server may run as, can
// reach.
func openTempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "servers-") //nolint:usetesting // t.TempDir is closed to others
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}

// psql returns the rows of a query, as psql prints them.
func psql(t *testing.T, server *Server, query string) string {
	t.Helper()
	bin, err := findPostgres()
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "psql"), server.URL, "-Atc", query).CombinedOutput()
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

// state returns the first letter of a process's state: T for one that is stopped, Z for one
// that had ended before.
func state(t *testing.T, pid int) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ps", "-o", "state=", "-p", strconv.Itoa(pid)).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))[:1]
}

func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func listens(t *testing.T, server *Server) bool {
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", address.Host)
	if err != nil {
		return false
	}
	require.NoError(t, conn.Close())
	return true
}
