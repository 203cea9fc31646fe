package httpapi

import (
	"context"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"contacts/contacts"
	"contacts/platform/telemetry"
)

// metrics are what is measured of requests. Their labels have few values each: known methods,
// routes, statuses, kinds.
type metrics struct {
	durations *prometheus.HistogramVec
	inFlight  *prometheus.GaugeVec
	problems  *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) *metrics {
	with := promauto.With(registerer)
	m := &metrics{
		durations: with.NewHistogramVec(prometheus.HistogramOpts{
			Name: "http_request_duration_seconds",
			Help: "How long requests took until their answer was written.",
		}, []string{"method", "route", "status"}),
		inFlight: with.NewGaugeVec(prometheus.GaugeOpts{
			Name: "http_requests_in_flight",
			Help: "Requests that are being answered now; those that follow the changes for as long as they do.",
		}, []string{"route"}),
		problems: with.NewCounterVec(prometheus.CounterOpts{
			Name: "http_problems_total",
			Help: "Answers that were problems, by their type.",
		}, []string{"kind"}),
	}
	for kind := range problemTypes { // or the first one would be no increase
		m.problems.WithLabelValues(string(kind))
	}
	return m
}

// begin counts a request as in flight until the returned function is called.
func (m *metrics) begin(route string) (end func()) {
	gauge := m.inFlight.WithLabelValues(route)
	gauge.Inc()
	return gauge.Dec
}

// observe counts a request that was answered.
func (m *metrics) observe(ctx context.Context, method, route string, status int, seconds float64, problem contacts.Kind) {
	telemetry.Observe(ctx, m.durations.WithLabelValues(method, route, strconv.Itoa(status)), seconds)
	if problem != "" {
		m.problems.WithLabelValues(string(problem)).Inc()
	}
}
