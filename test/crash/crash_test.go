package main

import (
	"bytes"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"contacts/test/crash/history"
	"contacts/test/system"
)

// crash runs half a minute of load and faults, and expects that every promise is kept.
func crash(t *testing.T, options Options) {
	t.Helper()
	options.Kills, options.Duration = 6, 25*time.Second
	// draws a kill and a freeze of every target that bears it
	options.Seed = 317

	folder, err := os.MkdirTemp("", "contacts-crash-") //nolint:usetesting // it is kept when the test fails
	require.NoError(t, err)
	report, err := Run(t.Context(), options, folder)
	require.NoError(t, err, "the history and the logs are in %s", folder)
	var printed bytes.Buffer
	err = report.Print(&printed)
	t.Log(printed.String())
	require.NoError(t, err, "the history and the logs are in %s", folder)
	require.Greater(t, report.Changes, 200)
	require.NoError(t, os.RemoveAll(folder))
}

func TestCrash_Production(t *testing.T) { crash(t, Options{Mode: system.Production}) }

func TestCrash_Embedded(t *testing.T) { crash(t, Options{Mode: system.Embedded}) }

// TestCrash_NegativeControls lets the service break its promises, and expects that this is
// found.
func TestCrash_NegativeControls(t *testing.T) {
	for _, c := range []struct {
		sabotage string
		want     history.Class // "": none
	}{
		{"redeliver,late", ""}, // what only makes it harder is put up with
		{"redeliver,fence", history.Doubled},
		{"late,lease", history.Stale},
		{"fifo", history.Reordered},
		{"fifo,guard", history.Lost},
	} {
		t.Run(c.sabotage, func(t *testing.T) {
			// where a machine is so slow that the cache is hardly ever trusted, what is in it
			// shows late
			for range 3 {
				report, err := Run(t.Context(), Options{
					Mode: system.Production, Kills: 6, Duration: 15 * time.Second, Seed: 317, Sabotage: c.sabotage,
				}, t.TempDir())
				require.NoError(t, err)
				found := map[history.Class]int{}
				for _, violation := range report.Violations {
					found[violation.Class]++
				}
				t.Log(found)
				switch {
				case c.want == "":
					require.Empty(t, found)
					return
				case found[c.want] > 0:
					return
				}
			}
			require.Fail(t, "the sabotage was not found", "expected something %s", c.want)
		})
	}
}

// What a binary needs to be sabotaged is not in the shipped one.
func TestBuild_Sabotage(t *testing.T) {
	for _, toSabotage := range []bool{false, true} {
		path, err := system.Build(t.Context(), t.TempDir(), toSabotage)
		require.NoError(t, err)
		binary, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, toSabotage, bytes.Contains(binary, []byte("CONTACTS_TEST_SABOTAGE")))
	}
}

func TestSchedule_SameSeedSameFaults(t *testing.T) {
	targets := []*system.Target{{Kind: "serve"}, {Kind: "worker"}, {Kind: "postgres"}, {Kind: "redis"}, {Kind: "sqs"}}
	faults := schedule(7, 50, targets)
	require.Equal(t, faults, schedule(7, 50, targets))
	require.NotEqual(t, faults, schedule(8, 50, targets))
	kills := 0
	for i, f := range faults {
		require.Contains(t, []string{"kill", "terminate", "freeze"}, f.kind)
		require.Positive(t, f.lasts)
		require.LessOrEqual(t, f.lasts, 8*time.Second)
		if i > 0 {
			require.GreaterOrEqual(t, f.at, faults[i-1].at)
		}
		if f.kind == "kill" {
			kills++
			require.NotEqual(t, "sqs", targets[f.target].Kind, "the emulator would forget everything")
		}
	}
	require.Equal(t, 50, kills)
}

func TestReadScript(t *testing.T) {
	targets := []*system.Target{{Name: "postgres", Kind: "postgres"}, {Name: "serve-0", Kind: "serve"}, {Name: "serve-1", Kind: "serve"}}
	faults, err := readScript("kill postgres 30s, freeze serve-1 1m,terminate serve 1s", targets)
	require.NoError(t, err)
	require.Equal(t, []fault{
		{at: 1. / 3, kind: "kill", target: 0, lasts: 30 * time.Second},
		{at: 1. / 3, kind: "freeze", target: 2, lasts: time.Minute},
		{at: 1. / 3, kind: "terminate", target: 1, lasts: time.Second},
	}, faults)
	for _, script := range []string{"", "kill postgres", "tickle postgres 1s", "kill nobody 1s", "kill postgres soon"} {
		_, err := readScript(script, targets)
		require.Error(t, err, script)
	}
}

func TestReport_Judge(t *testing.T) {
	sound := Report{
		SlowestStop: 20 * time.Second,
		Polls:       map[int]int{http.StatusNotFound: 3, http.StatusServiceUnavailable: 4},
		Events:      []history.Event{{Type: history.Fault, Note: "terminate worker-0"}},
	}
	sound.judge(history.Final{})
	require.Empty(t, sound.Violations)
	for name, spoil := range map[string]func(*Report){
		"a stop that takes too long":         func(r *Report) { r.SlowestStop += time.Millisecond },
		"an operation that makes it fail":    func(r *Report) { r.Polls = map[int]int{http.StatusInternalServerError: 1} },
		"an operation that it will not show": func(r *Report) { r.Polls = map[int]int{http.StatusForbidden: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			report := sound
			spoil(&report)
			report.judge(history.Final{})
			require.Len(t, report.Violations, 1)
			require.Equal(t, history.Failed, report.Violations[0].Class)
			var printed bytes.Buffer
			require.Error(t, report.Print(&printed))
			require.Contains(t, printed.String(), "the first: failed: ")
		})
	}
}

// An outage that callers noticed counts only where the faults were told.
func TestReport_Judge_Outages(t *testing.T) {
	report := Report{Events: []history.Event{
		{Type: history.Fault, Note: "freeze redis"},
		{Type: history.Fault, Note: "broken redis"},
		{Type: history.Invoke, Call: 1, Kind: history.Patch, Contact: "c1"},
		{Type: history.Fail, Call: 1, Status: http.StatusServiceUnavailable, Problem: "unavailable"},
		{Type: history.Fault, Note: "thaw redis"},
		{Type: history.Fault, Note: "repaired redis"},
	}}
	report.judge(history.Final{})
	require.Empty(t, report.Violations)
	report.Options.Script = "freeze redis 10s"
	report.judge(history.Final{})
	require.Len(t, report.Violations, 1)
	require.Equal(t, history.Unavailable, report.Violations[0].Class)
}

func TestRun_NothingThatEndsIt(t *testing.T) {
	_, err := Run(t.Context(), Options{Mode: system.Embedded}, t.TempDir())
	require.ErrorContains(t, err, "expected a number of writes or a duration")
	_, err = Run(t.Context(), Options{Mode: "else", Writes: 1}, t.TempDir())
	require.ErrorContains(t, err, `mode "else": expected production or embedded`)
}
