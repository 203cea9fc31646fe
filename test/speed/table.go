package main

import (
	"fmt"
	"io"
	"time"

	"contacts/test/system"
)

// table is the figures of one mode.
type table struct {
	Mode    system.Mode `json:"mode"`
	Figures []figure    `json:"figures"`
}

// figure is one line: a value, and how it compares with another one of the same run, or with the goal.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Ratio is the value divided by what Of says; 0 where there is nothing to compare with.
	Ratio float64 `json:"ratio,omitempty"`
	Of    string  `json:"of,omitempty"`
	Goal  string  `json:"goal,omitempty"`
	Note  string  `json:"note,omitempty"`
}

func (t *table) add(f figure) {
	t.Figures = append(t.Figures, f)
}

func (t *table) rate(name string, o outcome) float64 {
	t.add(figure{Name: name, Value: o.rate(), Unit: "/s"})
	return o.rate()
}

// duration adds a time in milliseconds.
func (t *table) duration(name string, d time.Duration, goal string) {
	t.add(figure{Name: name, Value: float64(d.Microseconds()) / 1000, Unit: "ms", Goal: goal})
}

// compare adds to the last figure how it compares.
func (t *table) compare(with float64, of, goal string) {
	last := &t.Figures[len(t.Figures)-1]
	last.Ratio, last.Of, last.Goal = last.Value/with, of, goal
}

func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n| figure | value | ratio | goal |\n|---|---:|---|---|\n", t.Mode)
	for _, f := range t.Figures {
		ratio := f.Note
		if f.Of != "" {
			ratio = fmt.Sprintf("%.2f of %s", f.Ratio, f.Of)
		}
		fmt.Fprintf(w, "| %s | %s %s | %s | %s |\n", f.Name, number(f.Value), f.Unit, ratio, f.Goal)
	}
}

// number prints three digits or more.
func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
