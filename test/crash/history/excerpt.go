package history

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// How many events of a contact an excerpt shows before and after the one that shows the
// violation.
const (
	excerptBefore = 40
	excerptAfter  = 20
)

// Excerpt writes the part of the history that concerns a violation: the calls of its contact
// and, between them, the faults.
func Excerpt(w io.Writer, events []Event, violation Violation) error {
	concerns := map[int]bool{violation.Call: violation.Call > 0}
	// only the final state shows it: what is near its call may explain it
	if violation.At == len(events) {
		if i := slices.IndexFunc(events, func(e Event) bool { return e.Call > 0 && e.Call == violation.Call }); i >= 0 {
			violation.At = i
		}
	}
	for _, event := range events {
		if event.Contact != "" && event.Contact == violation.Contact {
			concerns[event.Call] = true
		}
	}
	var shown []int
	after := 0
	for i, event := range events {
		if !concerns[event.Call] {
			continue
		}
		shown = append(shown, i)
		if i > violation.At {
			if after++; after == excerptAfter {
				break
			}
		}
	}
	if cut := len(shown) - excerptBefore - after; cut > 0 {
		shown = shown[cut:]
	}
	if len(shown) == 0 {
		return nil
	}
	for i := shown[0]; i <= shown[len(shown)-1]; i++ {
		if !concerns[events[i].Call] && events[i].Type != Fault {
			continue
		}
		line, err := json.Marshal(events[i])
		if err != nil {
			return fmt.Errorf("encode event %d: %w", i, err)
		}
		mark := " "
		if i == violation.At {
			mark = ">"
		}
		if _, err := fmt.Fprintf(w, "%s %7d %s\n", mark, i, line); err != nil {
			return err
		}
	}
	return nil
}
