package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// Log appends events to a file. All methods may be called concurrently.
type Log struct {
	file    *os.File
	started time.Time

	mu      sync.Mutex
	pending []byte
	waiting chan struct{} // closed once what is pending is on the disk
	err     error         // of the first write that failed; nothing is written after it

	wake chan struct{}
	done chan struct{}
}

// NewLog makes an empty log at path.
func NewLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create the history: %w", err)
	}
	l := &Log{
		file: file, started: time.Now(), waiting: make(chan struct{}), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go l.write()
	return l, nil
}

// Append stamps the event and returns once it is on the disk, after all events that were
// appended before it. Events that wait at the same time share one sync.
func (l *Log) Append(event Event) error {
	l.mu.Lock()
	event.At = time.Since(l.started).Round(time.Microsecond)
	line, err := json.Marshal(event)
	if err != nil {
		l.mu.Unlock()
		return fmt.Errorf("encode an event: %w", err)
	}
	l.pending = append(append(l.pending, line...), '\n')
	synced := l.waiting
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default: // it has been woken
	}
	<-synced
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *Log) write() {
	defer close(l.done)
	for range l.wake {
		l.mu.Lock()
		lines, synced, failed := l.pending, l.waiting, l.err
		l.pending, l.waiting = nil, make(chan struct{})
		l.mu.Unlock()
		if failed == nil && len(lines) > 0 {
			_, failed = l.file.Write(lines)
			if failed == nil {
				failed = l.file.Sync()
			}
			l.mu.Lock()
			l.err = failed
			l.mu.Unlock()
		}
		close(synced)
	}
}

// Close ends the log. No Append may run or follow.
func (l *Log) Close() error {
	close(l.wake)
	<-l.done
	return l.file.Close()
}

// Load reads a log back.
func Load(path string) (events []Event, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for decoder := json.NewDecoder(bufio.NewReader(file)); ; {
		var event Event
		switch err := decoder.Decode(&event); {
		case errors.Is(err, io.EOF):
			return events, nil
		case err != nil:
			return nil, fmt.Errorf("read event %d of the history: %w", len(events)+1, err)
		}
		events = append(events, event)
	}
}
