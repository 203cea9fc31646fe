package httpapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAPI_RequestID(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	require.Equal(t, "abc-1", c.do(http.MethodGet, "/contacts", "", "X-Request-Id", "abc-1").Header.Get("X-Request-Id"))
	for _, odd := range []string{"a b", `a"b`, strings.Repeat("x", 129), ""} {
		id := c.do(http.MethodGet, "/contacts", "", "X-Request-Id", odd).Header.Get("X-Request-Id")
		require.NotEmpty(t, id)
		require.NotEqual(t, odd, id)
	}
}

func TestAPI_AccessLog(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.do(http.MethodGet, "/contacts?cursor=private", "", "X-Request-Id", "req-1")
	c.do(http.MethodGet, "/contacts", "") // goes well, and has no line
	c.do(http.MethodGet, "/private/path", "")
	c.do(http.MethodPost, "/contacts", `{"first_name":"private"}`)
	// A line is written after its answer.
	require.Eventually(t, func() bool { return strings.Count(c.log.String(), "\n") == 3 }, waitLimit, waitTick)
	require.NotContains(t, c.log.String(), "private")
	var line map[string]any
	for text := range strings.Lines(c.log.String()) {
		if strings.Contains(text, "req-1") {
			require.NoError(t, json.Unmarshal([]byte(text), &line))
		}
	}
	require.Equal(t, "GET", line["method"])
	require.Equal(t, "/v1/contacts", line["route"])
	require.EqualValues(t, 422, line["status"])
	require.Equal(t, "req-1", line["request_id"])
	require.Contains(t, line, "seconds")
	require.Contains(t, c.log.String(), `"operation":"`+c.world.Sent()[0].Operation.String()+`"`)
}

func TestAPI_Metrics(t *testing.T) {
	t.Parallel()
	c := newClient(t)
	c.do(http.MethodGet, "/contacts/none", "")
	c.do("BREW", "/coffee", "")
	seen := func() map[string]bool {
		families, err := c.metrics.Gather()
		require.NoError(t, err)
		series := map[string]bool{}
		for _, family := range families {
			require.Equal(t, "http_request_duration_seconds", family.GetName())
			for _, metric := range family.GetMetric() {
				var labels []string
				for _, label := range metric.GetLabel() {
					labels = append(labels, label.GetValue())
				}
				series[strings.Join(labels, " ")] = true
			}
		}
		return series
	}
	require.Eventually(t, func() bool { return len(seen()) == 2 }, waitLimit, waitTick)
	require.Equal(t, map[string]bool{"GET /v1/contacts/:id 404": true, "other none 404": true}, seen())
}
