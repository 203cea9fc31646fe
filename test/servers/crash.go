package servers

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Kill ends the server and all its children at once, as kill -9 does, and waits for its end.
// Its data stay, for [Server.Restart]; [Server.Stop] is still due.
func (s *Server) Kill() error {
	s.down = true
	// Frozen first, the server cannot start a child that would be missed.
	err := s.signal(syscall.SIGSTOP, syscall.SIGKILL)
	<-s.exited
	return err
}

// Terminate asks the server to end, by SIGTERM, waits for its end and returns how long that
// took. After a minute it is killed, and that is an error. Its data stay, for
// [Server.Restart]; [Server.Stop] is still due.
func (s *Server) Terminate() (time.Duration, error) {
	const limit = time.Minute
	s.down = true
	asked := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return 0, fmt.Errorf("%s: %w", s.program.Name, err)
	}
	select {
	case <-s.exited:
		return time.Since(asked), nil
	case <-time.After(limit):
		err := fmt.Errorf("%s does not end within %s of a SIGTERM", s.program.Name, limit)
		return limit, errors.Join(err, s.Kill())
	}
}

// Freeze stops the server and all its children where they are, until [Server.Thaw].
func (s *Server) Freeze() error { return s.signal(syscall.SIGSTOP, syscall.SIGSTOP) }

// Thaw lets a frozen server go on. One that is not frozen does not notice.
func (s *Server) Thaw() error { return s.signal(syscall.SIGCONT, syscall.SIGCONT) }

// Restart starts the server again on the same port and data, after [Server.Kill] or
// [Server.Terminate], and waits until it answers. Where the server ends instead, because what
// it needs is not there yet, it is started again and again, as a supervisor does.
func (s *Server) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	tick := time.NewTicker(10 * askEvery)
	defer tick.Stop()
	for {
		err := s.start(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
		if err := s.Kill(); err != nil {
			return err
		}
	}
}

// signal sends the first signal to the server's process and then the other one to its children
// and to itself. Children are found by their parent and not by their group, because
// PostgreSQL's lead groups of their own.
func (s *Server) signal(first, then syscall.Signal) error {
	err := syscall.Kill(s.Pid(), first)
	if errors.Is(err, syscall.ESRCH) {
		return nil // it is gone, and its children with it
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.program.Name, err)
	}
	processes, err := s.Processes()
	errs := []error{err}
	for _, pid := range processes {
		if err := syscall.Kill(pid, then); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", s.program.Name, err)
	}
	return nil
}

// childrenOf returns the processes whose parent has the id pid.
func childrenOf(pid int) ([]int, error) {
	ctx := context.Background() //nolint:forbidigo // servers are ended even if ctx has ended before
	listed, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var children []int
	for line := range strings.Lines(string(listed)) {
		columns := strings.Fields(line)
		if len(columns) != 2 || columns[1] != strconv.Itoa(pid) {
			continue
		}
		child, err := strconv.Atoi(columns[0])
		if err != nil {
			return nil, fmt.Errorf("list processes: %w", err)
		}
		children = append(children, child)
	}
	return children, nil
}
