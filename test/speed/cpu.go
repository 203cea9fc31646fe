package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"contacts/test/system"
)

// account returns a function that tells what each of so many calls has taken of the processors
// since then, in µs by kind of process: with all of them at work, that is what bounds a rate.
// With a folder for profiles, the service's are put there.
func (s *side) account(ctx context.Context, name string) (spent func(calls int) (map[string]float64, error), err error) {
	before, err := s.cpu()
	profiled := make(chan error, 1)
	go func() { profiled <- s.profile(ctx, name) }()
	return func(calls int) (map[string]float64, error) {
		after, err := s.cpu()
		each := map[string]float64{}
		for kind, now := range after {
			each[kind] = (now - before[kind]).Seconds() * 1e6 / float64(max(1, calls))
		}
		return each, errors.Join(err, <-profiled)
	}, err
}

// cpu returns how long each kind of process has been at work; "load" is this one.
func (s *side) cpu() (map[string]time.Duration, error) {
	spent := map[string]time.Duration{}
	own, err := cpuOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	spent["load"] = own
	for _, t := range s.Targets {
		processes := []int{t.Pid()}
		if t.Kind == "postgres" { // whose children do the work
			if processes, err = t.Processes(); err != nil {
				return nil, err
			}
		}
		for _, pid := range processes {
			own, err := cpuOf(pid)
			if err != nil && !errors.Is(err, os.ErrNotExist) { // a backend that has ended meanwhile
				return nil, err
			}
			spent[t.Kind] += own
		}
	}
	return spent, nil
}

// cpuOf returns how long a process and its children that have ended have been at work
// (proc(5), /proc/PID/stat).
func cpuOf(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(content), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("process %d has a stat that cannot be read", pid)
	}
	var ticks int64
	for _, field := range fields[11:15] { // utime, stime, cutime and cstime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process %d has a stat that cannot be read: %w", pid, err)
		}
		ticks += n
	}
	// of USER_HZ, which is 100 on every Linux
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// profile takes profiles of the service's processes while a load runs; the latest round's
// stay.
func (s *side) profile(ctx context.Context, name string) error {
	if s.profiles == "" {
		return nil
	}
	var errs []error
	done := make(chan error)
	taken := 0
	for _, t := range s.Targets {
		if t.Admin == "" {
			continue
		}
		taken++
		go func() {
			const seconds = 2
			ctx, cancel := context.WithTimeout(ctx, (seconds+5)*time.Second)
			defer cancel()
			body, err := system.Fetch(ctx, s.HTTP, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", t.Admin, seconds))
			switch {
			case errors.Is(err, syscall.ECONNREFUSED): // it has been stopped
				err = nil
			case err == nil:
				file := fmt.Sprintf("%s-%s-%s-%s.pprof", s.mode, s.name, strings.NewReplacer(" ", "-", ",", "").Replace(name), t.Name)
				err = os.WriteFile(filepath.Join(s.profiles, file), body, 0o600)
			}
			done <- err
		}()
	}
	for range taken {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}
