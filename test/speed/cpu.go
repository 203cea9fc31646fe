package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"contacts/test/system"
)

// accounted makes a load and adds to the table what one call of it took of the processors, process by process: with all of
// them at work, that is what bounds the rate. With a folder for profiles, the service's are put there.
func (b *bench) accounted(ctx context.Context, name string, run func() (outcome, error)) (outcome, error) {
	before, err := b.cpu()
	if err != nil {
		return outcome{}, err
	}
	profiled := make(chan error, 1)
	go func() { profiled <- b.profile(ctx, name) }()
	o, err := run()
	after, cpuErr := b.cpu()
	if err := errors.Join(err, cpuErr, <-profiled); err != nil {
		return o, err
	}
	b.spent = append(b.spent, spending{name, map[string]time.Duration{}})
	for kind, now := range after {
		b.spent[len(b.spent)-1].each[kind] = (now - before[kind]) / time.Duration(max(1, o.calls))
	}
	return o, nil
}

// spending is what one call took of the processors, by kind of process.
type spending struct {
	name string
	each map[string]time.Duration
}

// accounts adds to the table what has been accounted.
func (b *bench) accounts(context.Context) error {
	for _, spent := range b.spent {
		var sum time.Duration
		var parts []string
		for _, kind := range slices.SortedFunc(maps.Keys(spent.each), func(x, y string) int {
			return cmp.Or(cmp.Compare(spent.each[y], spent.each[x]), cmp.Compare(x, y))
		}) {
			sum += spent.each[kind]
			parts = append(parts, fmt.Sprintf("%s %d", kind, spent.each[kind].Microseconds()))
		}
		b.table.add(figure{
			Name: "processor time for one " + spent.name, Value: float64(sum.Nanoseconds()) / 1000, Unit: "µs", Note: strings.Join(parts, ", "),
		})
	}
	return nil
}

// cpu returns how long each kind of process has been at work; "load" is this one.
func (b *bench) cpu() (map[string]time.Duration, error) {
	spent := map[string]time.Duration{}
	own, err := cpuOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	spent["load"] = own
	for _, t := range b.Targets {
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

// cpuOf returns how long a process and its children that have ended have been at work (proc(5), /proc/PID/stat).
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
	return time.Duration(ticks) * 10 * time.Millisecond, nil // of USER_HZ, which is 100 on every Linux
}

// profile takes profiles of the service's processes while a load runs.
func (b *bench) profile(ctx context.Context, name string) error {
	if b.profiles == "" {
		return nil
	}
	var errs []error
	done := make(chan error)
	taken := 0
	for _, t := range b.Targets {
		if t.Admin == "" {
			continue
		}
		taken++
		go func() {
			const seconds = 3
			ctx, cancel := context.WithTimeout(ctx, (seconds+5)*time.Second)
			defer cancel()
			body, err := system.Fetch(ctx, b.HTTP, fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", t.Admin, seconds))
			if err == nil {
				file := fmt.Sprintf("%s-%s-%s.pprof", b.table.Mode, strings.ReplaceAll(name, " ", "-"), t.Name)
				err = os.WriteFile(filepath.Join(b.profiles, file), body, 0o600)
			}
			done <- err
		}()
	}
	for range taken {
		errs = append(errs, <-done)
	}
	return errors.Join(errs...)
}
