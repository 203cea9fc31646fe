package system

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// AwaitQuiet returns once the queue has been empty for a while.
func (s *System) AwaitQuiet(ctx context.Context) error {
	const quiet = 3 * time.Second
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for since := time.Now(); time.Since(since) < quiet; {
		waiting, err := s.Queued(ctx)
		if err != nil || waiting > 0 {
			since = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%d messages are in the queue and do not get less: %w", int(waiting), errors.Join(err, ctx.Err()))
		}
	}
	return nil
}

// CheckDeadLetters returns an error if there is anything in the dead-letter queue, which is
// not what it is for.
func (s *System) CheckDeadLetters(ctx context.Context) error {
	if s.Cache == "" {
		return nil // the embedded mode has none
	}
	redrive := Command(ctx, s.Binary, s.Env, "worker", "redrive")
	var log bytes.Buffer
	redrive.Stderr = &log
	output, err := redrive.Output()
	if err != nil {
		return fmt.Errorf("worker redrive: %w\n%s", err, log.Bytes())
	}
	if said := strings.TrimSpace(string(output)); said != "0 messages sent again" {
		return fmt.Errorf("expected no message in the dead-letter queue: %s", said)
	}
	return nil
}

// Queued returns how many messages are in the queue, waiting or in flight.
func (s *System) Queued(ctx context.Context) (float64, error) {
	values, err := s.Metrics(ctx, s.Replicas[0])
	if err != nil {
		return 0, err
	}
	waiting, found := values[`contacts_queue_messages{state="waiting"}`]
	if !found {
		return 0, errors.New("the queue has no depth at the moment")
	}
	return waiting + values[`contacts_queue_messages{state="in_flight"}`], nil
}

// Metrics returns a process's metrics by name and labels.
func (s *System) Metrics(ctx context.Context, t *Target) (map[string]float64, error) {
	body, err := Fetch(ctx, s.HTTP, t.Admin+"/metrics")
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	for lines := bufio.NewScanner(bytes.NewReader(body)); lines.Scan(); {
		name, text, _ := strings.Cut(lines.Text(), " ")
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			values[name] = value
		}
	}
	return values, nil
}
