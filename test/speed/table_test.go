package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/test/system"
)

func TestReport_PutsMediansBesideEachOther(t *testing.T) {
	var before, now side
	for _, value := range []float64{100, 900, 200} { // one round was disturbed
		before.speed.add("read", "/s", sample{value: value, cpu: map[string]float64{"serve": value / 10, "redis": 0.2}})
	}
	before.speed.add("gone", "/s", sample{value: 1})
	for _, value := range []float64{500, 700} {
		now.speed.add("read", "/s", sample{value: value, cpu: map[string]float64{"serve": 5, "postgres": 40}})
	}
	now.speed.add("new", "ms", sample{value: 1.234})
	before.protocol.add("round trips", "", sample{value: 3})
	now.protocol.add("round trips", "", sample{value: 1})

	r := newReport(system.Production, "abc", []*side{&before, &now})
	var text strings.Builder
	r.print(&text)
	require.Equal(t, `
## production

| figure | baseline | now | ratio | µs of processor time each, baseline | now |
|---|---:|---:|---:|---|---|
| read | 200 /s | 600 /s | 3.00 | serve 20 | postgres 40, serve 5 |
| new |  | 1.23 ms |  |  |  |

| counted | baseline | now | ratio |
|---|---:|---:|---:|
| round trips | 3.00 | 1.00 | 0.33 |
`, text.String())
	content, err := json.Marshal(r)
	require.NoError(t, err)
	require.JSONEq(t, `{"mode": "production", "baseline": "abc", "speed": [
		{"name": "read", "unit": "/s", "baseline": {"value": 200, "cpu_us": {"serve": 20, "redis": 0.2}},
			"now": {"value": 600, "cpu_us": {"serve": 5, "postgres": 40}}, "ratio": 3},
		{"name": "new", "unit": "ms", "now": {"value": 1.234}}
	], "protocol": [{"name": "round trips", "baseline": {"value": 3}, "now": {"value": 1}, "ratio": 0.3333333333333333}]}`, string(content))

	require.Nil(t, newReport(system.Production, "", []*side{&now}).Speed[0].Baseline)
}

func TestAlternate(t *testing.T) {
	var order []string
	sides := []*side{{name: "a"}, {name: "b"}}
	require.NoError(t, alternate(sides, 3, func(s *side) error {
		order = append(order, s.name)
		return nil
	}))
	require.Equal(t, "abbaab", strings.Join(order, ""))
	require.ErrorContains(t, alternate(sides, 1, func(*side) error { return errors.New("broken") }), "a: broken")
}
