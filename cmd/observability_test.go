package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// The files for monitoring the service.
const (
	dashboardFile = "../deploy/observability/dashboard.json"
	alertsFile    = "../deploy/observability/alerts.yaml"
	alertsTest    = "../deploy/observability/alerts_test.yaml"
	runbook       = "../docs/runbook.md"
)

// What the dashboard and the alerts ask for is what a process measures, under these names and
// with these labels.
func TestObservability_NamesExist(t *testing.T) {
	t.Parallel()
	measured := names{"up": {}} // which Prometheus itself adds
	for _, s := range []*system{embedded(t), production(t)} {
		s.start(t)
		response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`)
		require.Equal(t, http.StatusCreated, response.StatusCode, body)
		for _, admin := range s.admins {
			measured.scrape(t, admin)
		}
	}
	queries := map[string]string{} // by where they are
	for _, rule := range readAlerts(t) {
		queries["alert "+rule.Alert] = rule.Expr
	}
	for _, panel := range readPanels(t) {
		for _, target := range panel.Targets {
			queries["panel "+panel.Title+" "+target.RefID] = target.Expr
		}
	}
	require.Greater(t, len(queries), 30)
	for where, query := range queries {
		require.Empty(t, measured.unknown(query), "%s: %s", where, query)
	}
}

// What has happened can be seen: what became of writes, what is saturated, what waits.
func TestObservability_Measures(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		response, body := request(t, http.MethodPost, s.url+"/v1/contacts", `{"first_name":"Jane"}`)
		require.Equal(t, http.StatusCreated, response.StatusCode, body)
		response, body = request(t, http.MethodPatch, s.url+response.Header.Get("Location"), `{"first_name":"John"}`, "If-Match", `"7"`)
		require.Equal(t, http.StatusPreconditionFailed, response.StatusCode, body)
		want := []string{
			`http_request_duration_seconds_count{method="POST",route="/v1/contacts",status="201"} 1`,
			`http_requests_in_flight{route="/v1/contacts"} 0`,
			`http_problems_total{kind="stale-version"} 1`,
			`http_problems_total{kind="internal"} 0`,
			`contacts_operations_total{command="create",outcome="succeeded"} 1`,
			`contacts_operations_total{command="merge",outcome="stale-version"} 1`,
			`contacts_operations_total{command="delete",outcome="succeeded"} 0`,
			`contacts_command_failures_total{reason="command"} 0`,
			`contacts_key_lookups_total{result="stale"} 0`,
			`contacts_parked_commands 0`,
			`contacts_waiting_writes 0`,
		}
		if s.worker {
			want = append(want, `contacts_cache_trusted 1`, `go_sql_max_open_connections{db_name="main"} 20`, `go_sql_max_open_connections{db_name="keeper"} 1`)
		} else {
			want = append(want, `contacts_queue_oldest_message_age_seconds 0`, `go_sql_max_open_connections{db_name="write"} 1`, `go_sql_max_open_connections{db_name="read"} 8`)
		}
		var all string
		require.Eventually(t, func() bool {
			all = ""
			for _, admin := range s.admins {
				_, text := request(t, http.MethodGet, admin+"/metrics", "")
				all += text
			}
			return !slices.ContainsFunc(want, func(line string) bool { return !strings.Contains(all, "\n"+line+"\n") })
		}, 30*time.Second, 50*time.Millisecond, "what is to be there is %s", strings.Join(want, "\n"))
	})
}

// names are the metrics that there are, each with its labels.
type names map[string]map[string]bool

// scrape adds what a process measures.
func (n names) scrape(t *testing.T, admin string) {
	t.Helper()
	response, body := request(t, http.MethodGet, admin+"/metrics", "")
	require.Equal(t, http.StatusOK, response.StatusCode)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	for name, family := range families {
		suffixes := []string{""}
		if family.GetMetric()[0].GetHistogram() != nil {
			suffixes = []string{"_bucket", "_sum", "_count"}
		}
		for _, suffix := range suffixes {
			labels := n[name+suffix]
			if labels == nil {
				labels = map[string]bool{}
				n[name+suffix] = labels
			}
			for _, metric := range family.GetMetric() {
				for _, label := range metric.GetLabel() {
					labels[label.GetName()] = true
				}
			}
			if suffix == "_bucket" {
				labels["le"] = true
			}
		}
	}
}

var (
	literals  = regexp.MustCompile(`"[^"]*"|\[[^\]]*\]|\b[0-9.]+[smhd]?\b`)
	groupings = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)`)
	words     = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\(|\{[^}]*\})?`)
	labels    = regexp.MustCompile(`[a-zA-Z_][a-zA-Z0-9_]*`)
	operators = []string{"and", "or", "unless", "bool", "offset"}
)

// unknown returns the metrics and the labels of a query in PromQL that there are not.
func (n names) unknown(query string) (unknown []string) {
	query = literals.ReplaceAllString(query, "")
	check := func(list string, metrics ...string) {
		for _, label := range labels.FindAllString(list, -1) {
			of := slices.ContainsFunc(metrics, func(metric string) bool { return n[metric][label] })
			if !of && label != "job" && label != "instance" { // which Prometheus adds
				unknown = append(unknown, fmt.Sprintf("label %s of %v", label, metrics))
			}
		}
	}
	var metrics []string
	for _, word := range words.FindAllStringSubmatch(groupings.ReplaceAllString(query, ""), -1) {
		name, selector := word[1], word[2]
		if selector == "(" || slices.Contains(operators, name) {
			continue // a function
		}
		metrics = append(metrics, name)
		if _, known := n[name]; !known {
			unknown = append(unknown, "metric "+name)
		}
		check(selector, name)
	}
	for _, grouping := range groupings.FindAllStringSubmatch(query, -1) {
		check(grouping[2], metrics...)
	}
	return unknown
}

func TestNames_Unknown(t *testing.T) {
	t.Parallel()
	n := names{"up": {}, "requests_total": {"status": true}, "seconds_bucket": {"le": true}}
	for query, want := range map[string][]string{
		`sum(rate(requests_total{status=~"5.."}[5m])) / sum(rate(requests_total[$__rate_interval])) > 0.01`: nil,
		`up{job=~"contacts.*", instance="a"} == 0`:                                                          nil,
		`max(up) > 0 unless on () sum(rate(requests_total[5m])) > 0`:                                        nil,
		`histogram_quantile(0.99, sum by (le) (rate(seconds_bucket[5m])))`:                                  nil,
		`histogram_quantile(0.99, sum by (le, status) (rate(seconds_bucket[5m])))`:                          {"label status of [seconds_bucket]"},
		`rate(request_total[5m])`:                      {"metric request_total"},
		`requests_total{state="x"}`:                    {"label state of [requests_total]"},
		`sum by (job, kind) (requests_total)`:          {"label kind of [requests_total]"},
		`absent(gone) or sum without (le) (other_sum)`: {"metric gone", "metric other_sum", "label le of [gone other_sum]"},
	} {
		require.Equal(t, want, n.unknown(query), query)
	}
}

type alert struct {
	Alert, Expr         string
	Labels, Annotations map[string]string
}

func readAlerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	readYAML(t, alertsFile, &file)
	require.Len(t, file.Groups, 1)
	require.NotEmpty(t, file.Groups[0].Rules)
	return file.Groups[0].Rules
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into))
}

type panel struct {
	Type, Title string
	Targets     []struct{ RefID, Expr string }
}

func readPanels(t *testing.T) []panel {
	t.Helper()
	content, err := os.ReadFile(dashboardFile)
	require.NoError(t, err)
	var dashboard struct{ Panels []panel }
	require.NoError(t, json.Unmarshal(content, &dashboard))
	for _, p := range dashboard.Panels {
		require.Equal(t, p.Type == "row", len(p.Targets) == 0, p.Title)
	}
	return dashboard.Panels
}

// The person on call is told how bad it is, what it is, and where it says what to do; and has
// been seen to be woken.
func TestObservability_Alerts(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(runbook)
	require.NoError(t, err)
	sections := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			sections[strings.ReplaceAll(strings.ToLower(strings.TrimSpace(title)), " ", "-")] = true
		}
	}
	var tests struct {
		Tests []struct {
			Cases []struct {
				Alert string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, alertsTest, &tests)
	seen := map[string]bool{}
	for _, test := range tests.Tests {
		for _, c := range test.Cases {
			seen[c.Alert] = seen[c.Alert] || len(c.Fires) > 0
		}
	}
	for _, rule := range readAlerts(t) {
		require.Contains(t, []string{"critical", "warning"}, rule.Labels["severity"], rule.Alert)
		require.NotEmpty(t, rule.Annotations["summary"], rule.Alert)
		section, ok := strings.CutPrefix(rule.Annotations["runbook_url"], "docs/runbook.md#")
		require.True(t, ok && sections[section], "%s: the runbook has no section %q", rule.Alert, section)
		require.True(t, seen[rule.Alert], "%s: alerts_test.yaml does not see it fire", rule.Alert)
	}
}
