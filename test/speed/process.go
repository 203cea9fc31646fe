package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// memory reads and writes at full load for a while, and looks at what the processes hold.
func (s *side) memory(ctx context.Context) error {
	create := s.create("")
	call := func(caller, i int) request {
		if (caller+i)%4 == 0 {
			return create(caller, i)
		}
		return s.get(caller, i)
	}
	held := map[string][]float64{} // MiB, by kind of process
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan error, 1)
	go func() { sampled <- s.sample(sampling, held) }()
	_, err := load(ctx, s.api(), 64, 0, forSome(s.soak, call))
	stop()
	if err := errors.Join(err, <-sampled); err != nil {
		return err
	}
	for _, t := range s.Targets {
		if t.Admin == "" {
			continue
		}
		most, err := memoryOf(t.Pid(), "VmHWM")
		if err != nil {
			return err
		}
		s.speed.add("most memory, "+t.Kind, "MiB", sample{value: most})
		if third := len(held[t.Kind]) / 3; third > 3 {
			s.speed.add(fmt.Sprintf("memory in the last third of %s of full load, of the third before, %s", s.soak, t.Kind), "",
				sample{value: mean(held[t.Kind][2*third:]) / mean(held[t.Kind][third:2*third])})
		}
	}
	return nil
}

// sample notes what the service's processes hold, until ctx ends.
func (s *side) sample(ctx context.Context, held map[string][]float64) error {
	for pause(ctx, s.soak/60) == nil {
		for _, t := range s.Targets {
			if t.Admin == "" {
				continue
			}
			resident, err := memoryOf(t.Pid(), "VmRSS")
			if err != nil {
				return err
			}
			held[t.Kind] = append(held[t.Kind], resident)
		}
	}
	return nil
}

// memoryOf reads a line of /proc/PID/status, in MiB.
func memoryOf(pid int, name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, name+": %f kB", &kib); n == 1 {
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d tells no %s", pid, name)
}

func mean(values []float64) float64 {
	var sum float64
	for _, value := range values {
		sum += value
	}
	return sum / float64(len(values))
}

// start measures how long a serve takes from its start to its first answer.
func (s *side) start(ctx context.Context) error {
	serve := s.Replicas[0]
	if _, err := serve.Terminate(); err != nil {
		return err
	}
	began := time.Now()
	err := serve.Restart(ctx)
	s.speed.add("start of serve", "ms", sample{value: milliseconds(time.Since(began))})
	return err
}
