package servers

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startLimit = 60 * time.Second      // from the launch to the first answer, on a slow machine
	stopLimit  = 10 * time.Second      // from the request to end to a kill
	askEvery   = 20 * time.Millisecond // between two questions whether a server is ready
	logTail    = 2 << 10               // bytes of a server's log that an error quotes
)

// Server is one running server with its own port and throw-away data. Its methods are not for
// concurrent use.
type Server struct {
	// URL is where clients reach the server. It stays the same for the Server's lifetime.
	URL string

	program Program
	dir     string // holds the data and the log, owned by the user that the server runs as
	cmd     *exec.Cmd
	exited  chan struct{} // closed once the process has been waited for
	logged  int64         // bytes in the log when the process was started
	down    bool          // its process was ended on purpose
}

// Program is what it takes to run one kind of server in the foreground.
type Program struct {
	Name string   // as people know it, for errors
	Args []string // the executable's path and its arguments
	// its environment, each KEY=VALUE; nil means that of this process
	Env []string
	// its working directory; "" means a temporary one
	Dir   string
	Owner *syscall.Credential                        // the user it runs as; nil: as this process
	Stop  syscall.Signal                             // ends it quickly; its data need not survive
	Ready func(ctx context.Context, s *Server) error // asks it something; nil once it has answered
}

// StartProgram starts any program as a server that clients reach at url, in a temporary folder
// of its own, and waits until it answers. On an error nothing is left behind.
func StartProgram(ctx context.Context, url string, p Program) (*Server, error) {
	dir, err := newDir(p.Name, p.Owner)
	if err != nil {
		return nil, err
	}
	return startServer(ctx, url, dir, p)
}

// startServer launches the program in dir and waits until it answers. On an error nothing is
// left behind, dir included.
func startServer(ctx context.Context, url, dir string, p Program) (*Server, error) {
	s := &Server{URL: url, program: p, dir: dir}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// Pid returns the id of the server's process, which leads a process group of its own.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Processes returns the ids of the server's process and of its children.
func (s *Server) Processes() ([]int, error) {
	children, err := childrenOf(s.Pid())
	return append(children, s.Pid()), err
}

// ExitCode returns the status of the server's process once it has ended, and -1 before.
func (s *Server) ExitCode() int { return s.cmd.ProcessState.ExitCode() }

// Stop ends the server's process, waits for its end and removes its data. The error tells,
// with the end of the server's log, when the server had ended before it was asked to.
func (s *Server) Stop() error {
	var crashed error
	if s.cmd != nil && !s.down {
		select {
		case <-s.exited:
			crashed = s.explain(fmt.Errorf("%s ended by itself: %s", s.program.Name, s.cmd.ProcessState))
		default:
			s.end()
		}
	}
	return errors.Join(crashed, os.RemoveAll(s.dir))
}

func (s *Server) end() {
	// A signal can only fail because the process is already gone, which the wait below sees.
	_ = s.Thaw()
	_ = s.cmd.Process.Signal(s.program.Stop)
	select {
	case <-s.exited:
	case <-time.After(stopLimit):
		_ = s.Kill()
	}
}

// start launches the process on the server's port and data, and waits until it answers.
func (s *Server) start(ctx context.Context) (err error) {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("%s: %w", s.program.Name, err)
	}
	// the process has its own hold on the file
	defer func() { err = errors.Join(err, log.Close()) }()

	if s.logged, err = log.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("%s: %w", s.program.Name, err)
	}
	// The server outlives the context under which it was started.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), s.program.Args[0], s.program.Args[1:]...)
	cmd.Dir, cmd.Env = cmp.Or(s.program.Dir, s.dir), s.program.Env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childOf(s.program.Owner, s.program.Stop)
	exited, err := launch(cmd)
	if err != nil {
		return fmt.Errorf("%s: %w", s.program.Name, err)
	}
	s.cmd, s.exited, s.down = cmd, exited, false
	return s.awaitReady(ctx)
}

func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		unready := s.program.Ready(ctx, s)
		select {
		case <-s.exited: // first: another process on the same port may have given the answer
			return fmt.Errorf("%s did not start on %s", s.program.Name, s.URL)
		default:
		}
		if unready == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
		case <-ctx.Done():
			return s.explain(fmt.Errorf("%s does not answer on %s: %w", s.program.Name, s.URL, errors.Join(unready, ctx.Err())))
		}
	}
}

// Log returns what the server's processes have written since the latest start.
func (s *Server) Log() ([]byte, error) {
	log, err := os.ReadFile(s.LogFile())
	if err != nil {
		return nil, err
	}
	return log[s.logged:], nil
}

// explain adds the end of the server's log to an error.
func (s *Server) explain(err error) error {
	log, readErr := os.ReadFile(s.LogFile())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	log = bytes.TrimSpace(log[max(0, len(log)-logTail):])
	return fmt.Errorf("%w; its log ends:\n%s", err, log)
}

// LogFile returns the path of the file that holds what the server's processes wrote. Stop
// removes it.
func (s *Server) LogFile() string { return filepath.Join(s.dir, "log") }

// launch starts cmd and returns a channel that is closed once it has ended and been waited
// for.
//
// The kernel sends the parent-death signal when the thread that started the child ends, not
// when the process does, so that thread is kept for as long as the child runs.
func launch(cmd *exec.Cmd) (exited chan struct{}, err error) {
	started := make(chan error)
	exited = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the outcome is in cmd.ProcessState
			close(exited)
		}
	}()
	return exited, <-started
}

// newDir makes a directory for one server's data, owned by the user that the server runs as.
func newDir(name string, owner *syscall.Credential) (string, error) {
	dir, err := os.MkdirTemp("", "contacts-"+strings.ToLower(name)+"-")
	if err != nil {
		return "", err
	}
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// FreePort returns a TCP port of 127.0.0.1 on which nothing listens at the moment. It lies
// below those that Linux and macOS give to outgoing connections, so that none of them has
// taken it while a server that was killed is down.
func FreePort(ctx context.Context) (string, error) {
	const lowest, end, tries = 15000, 32768, 100
	var config net.ListenConfig
	var err error
	for range tries {
		var listener net.Listener
		port := strconv.Itoa(lowest + rand.N(end-lowest))
		if listener, err = config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", port)); err == nil {
			return port, listener.Close()
		}
	}
	return "", fmt.Errorf("find a free port: %w", err)
}
