package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"contacts/test/system"
)

// sample is what one round found.
type sample struct {
	value float64
	// µs of processor time for one operation, by kind of process; nil: not measured
	cpu map[string]float64
}

// series is the samples of one side, in the order in which their figures came up.
type series []*samples

// samples are those of one figure.
type samples struct {
	name, unit string
	rounds     []sample
}

func (s *series) add(name, unit string, one sample) {
	for _, each := range *s {
		if each.name == name {
			each.rounds = append(each.rounds, one)
			return
		}
	}
	*s = append(*s, &samples{name, unit, []sample{one}})
}

// result returns the medians.
func (s *samples) result() *result {
	r := &result{Value: median(s.rounds, func(one sample) float64 { return one.value })}
	for kind := range s.rounds[0].cpu {
		if r.CPU == nil {
			r.CPU = map[string]float64{}
		}
		r.CPU[kind] = median(s.rounds, func(one sample) float64 { return one.cpu[kind] })
	}
	return r
}

func median(rounds []sample, value func(sample) float64) float64 {
	var sorted []float64
	for _, one := range rounds {
		sorted = append(sorted, value(one))
	}
	slices.Sort(sorted)
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

// report is the figures of one mode.
type report struct {
	Mode     system.Mode `json:"mode"`
	Baseline string      `json:"baseline,omitempty"` // the commit
	Speed    []figure    `json:"speed"`
	Protocol []figure    `json:"protocol"` // round trips, statements and commands
}

// figure is one line.
type figure struct {
	Name     string  `json:"name"`
	Unit     string  `json:"unit,omitempty"`
	Baseline *result `json:"baseline,omitempty"`
	Now      *result `json:"now,omitempty"`
	Ratio    float64 `json:"ratio,omitempty"` // now divided by baseline
}

// result is what one side came to.
type result struct {
	Value float64            `json:"value"`
	CPU   map[string]float64 `json:"cpu_us,omitempty"`
}

func newReport(mode system.Mode, baseline string, sides []*side) report {
	r := report{Mode: mode, Baseline: baseline}
	now := sides[len(sides)-1]
	var before side
	if len(sides) == 2 {
		before = side{speed: sides[0].speed, protocol: sides[0].protocol}
	}
	r.Speed, r.Protocol = compare(before.speed, now.speed), compare(before.protocol, now.protocol)
	return r
}

// compare puts the figures of both sides beside each other. Without a baseline there are none
// of it.
func compare(baseline, now series) []figure {
	var figures []figure
	for _, each := range now {
		f := figure{Name: each.name, Unit: each.unit, Now: each.result()}
		if i := slices.IndexFunc(baseline, func(s *samples) bool { return s.name == each.name }); i >= 0 {
			f.Baseline = baseline[i].result()
			if f.Baseline.Value != 0 {
				f.Ratio = f.Now.Value / f.Baseline.Value
			}
		}
		figures = append(figures, f)
	}
	return figures
}

func (r report) print(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n| figure | baseline | now | ratio | µs of processor time each, baseline | now |\n|---|---:|---:|---:|---|---|\n", r.Mode)
	for _, f := range r.Speed {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s |\n", f.Name, f.Baseline.text(f.Unit), f.Now.text(f.Unit), f.ratio(), f.Baseline.cpu(), f.Now.cpu())
	}
	fmt.Fprint(w, "\n| counted | baseline | now | ratio |\n|---|---:|---:|---:|\n")
	for _, f := range r.Protocol {
		fmt.Fprintf(w, "| %s | %s | %s | %s |\n", f.Name, f.Baseline.text(f.Unit), f.Now.text(f.Unit), f.ratio())
	}
}

func (f figure) ratio() string {
	if f.Ratio == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", f.Ratio)
}

func (r *result) text(unit string) string {
	if r == nil {
		return ""
	}
	return strings.TrimSpace(number(r.Value) + " " + unit)
}

// cpu returns the processor time by process, the most first, without what is too little to be
// told from none.
func (r *result) cpu() string {
	if r == nil {
		return ""
	}
	var parts []string
	for _, kind := range slices.SortedFunc(maps.Keys(r.CPU), func(x, y string) int {
		return cmp.Or(cmp.Compare(r.CPU[y], r.CPU[x]), cmp.Compare(x, y))
	}) {
		if µs := math.Round(r.CPU[kind]); µs > 0 {
			parts = append(parts, fmt.Sprintf("%s %.0f", kind, µs))
		}
	}
	return strings.Join(parts, ", ")
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

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
