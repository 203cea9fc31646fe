package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"
)

// memory reads and writes at full load for a while, and looks at what the processes hold.
func (b *bench) memory(ctx context.Context) error {
	made, err := load(ctx, b.api(), 16, 201, times(64, b.create("")))
	if err != nil {
		return err
	}
	call := func(caller, i int) request {
		if (caller+i)%4 == 0 {
			return b.create("")(caller, i)
		}
		return request{method: "GET", path: made.headers[rand.IntN(len(made.headers))]}
	}
	held := map[string][]float64{} // MiB, by kind of process
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan error, 1)
	go func() {
		for pause(sampling, b.soak/60) == nil {
			for _, t := range b.Targets {
				if t.Admin == "" {
					continue
				}
				resident, err := memoryOf(t.Pid(), "VmRSS")
				if err != nil {
					sampled <- err
					return
				}
				held[t.Kind] = append(held[t.Kind], resident)
			}
		}
		sampled <- nil
	}()
	_, err = load(ctx, b.api(), connections, 0, forSome(b.soak, call))
	stop()
	if err := errors.Join(err, <-sampled); err != nil {
		return err
	}
	for _, t := range b.Targets {
		samples := held[t.Kind]
		if t.Admin == "" || len(samples) < 10 {
			continue
		}
		most, err := memoryOf(t.Pid(), "VmHWM")
		if err != nil {
			return err
		}
		b.table.add(figure{Name: "most memory, " + t.Kind, Value: most, Unit: "MiB", Goal: "under 150"})
		third := len(samples) / 3
		b.table.add(figure{Name: fmt.Sprintf("memory in the last third of %s of full load, %s", b.soak, t.Kind), Value: mean(samples[2*third:]), Unit: "MiB"})
		b.table.compare(mean(samples[third:2*third]), "the third before", "1, flat")
	}
	return b.quiet(ctx)
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
func (b *bench) start(ctx context.Context) error {
	serve := b.Replicas[0]
	if _, err := serve.Terminate(); err != nil {
		return err
	}
	began := time.Now()
	if err := serve.Restart(ctx); err != nil {
		return err
	}
	b.table.duration("start of serve", time.Since(began), "")
	return nil
}
