package cmd

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"contacts/contacts"
	"contacts/contacts/adapters/commandqueue"
	"contacts/platform/queue"
	"contacts/platform/telemetry"
)

// metrics are the process's Prometheus metrics, but those of HTTP requests, which the API
// registers itself.
type metrics struct {
	registry   *prometheus.Registry
	lookups    *prometheus.CounterVec
	keys       *prometheus.CounterVec
	tries      *prometheus.CounterVec
	failures   *prometheus.CounterVec
	operations *prometheus.CounterVec
	requests   *prometheus.CounterVec
	sizes      prometheus.Histogram
	seconds    prometheus.Histogram
	age        prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_cache_lookups_total", Help: "Look-ups of one contact in the cache, by result: hit, miss, pending (about to be written), doubted (the cache is not trusted) or error.",
		}, []string{"result"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_key_lookups_total", Help: "Look-ups of API keys, by result: hit (remembered), miss (the database was asked), stale (it did not answer in time, and the key was good minutes ago) or error.",
		}, []string{"result"}),
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_commands_total", Help: "Tries of commands by the worker, by result: done or again; and, counted beside that, those of commands that were redelivered.",
		}, []string{"result"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_command_failures_total", Help: "Tries of commands that have to be repeated, by reason: down or transient (circumstances), blocked (by an earlier command of the contact) or command (the command itself).",
		}, []string{"reason"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_operations_total", Help: "Operations that have ended, by the kind of command, and by outcome: succeeded, or the kind of problem that they failed with.",
		}, []string{"command", "outcome"}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_sqs_requests_total", Help: "Requests to SQS, retries included, by action. Each is paid for.",
		}, []string{"action"}),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "contacts_batch_commands", Help: "Commands in a batch.", Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "contacts_batch_duration_seconds", Help: "Time to apply a batch.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "contacts_command_age_seconds", Help: "Time that the oldest command of a batch had waited in the queue.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 12),
		}),
	}
	// What has not happened yet has happened 0 times: or the first time would be no increase.
	for vector, values := range map[*prometheus.CounterVec][]string{
		m.lookups:  {"hit", "miss", "pending", "doubted", "error"},
		m.keys:     {"hit", "miss", "stale", "error"},
		m.tries:    {"done", "again", "redelivered"},
		m.failures: {"down", "transient", "blocked", "command"},
	} {
		for _, value := range values {
			vector.WithLabelValues(value)
		}
	}
	// those of ended operations
	for _, kind := range []contacts.CommandKind{contacts.Create, contacts.Replace, contacts.Merge, contacts.Delete, contacts.Erase} {
		m.operations.WithLabelValues(string(kind), string(contacts.Succeeded))
	}
	m.registry.MustRegister(m.lookups, m.keys, m.tries, m.failures, m.operations, m.requests, m.sizes, m.seconds, m.age,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) cacheLookup(result string) { m.lookups.WithLabelValues(result).Inc() }

func (m *metrics) keyLookup(result string) { m.keys.WithLabelValues(result).Inc() }

func (m *metrics) sqsRequest(action string) { m.requests.WithLabelValues(action).Inc() }

func (m *metrics) batch(ctx context.Context, b commandqueue.Batch) {
	m.tries.WithLabelValues("done").Add(float64(b.Done))
	m.tries.WithLabelValues("again").Add(float64(b.Commands - b.Done))
	m.tries.WithLabelValues("redelivered").Add(float64(b.Again))
	for reason, n := range b.Failed {
		m.failures.WithLabelValues(reason).Add(float64(n))
	}
	telemetry.Observe(ctx, m.sizes, float64(b.Commands))
	telemetry.Observe(ctx, m.seconds, b.Duration.Seconds())
	telemetry.Observe(ctx, m.age, b.Oldest.Seconds())
}

func (m *metrics) operation(ended contacts.Operation) {
	outcome := string(ended.Status)
	if ended.Problem != nil {
		outcome = string(ended.Problem.Kind)
	}
	m.operations.WithLabelValues(string(ended.Kind), outcome).Inc()
}

// watchPool has the use of a pool of connections measured whenever the metrics are read.
func (m *metrics) watchPool(name string, pool *sql.DB) {
	m.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
}

// watchTrust has the metrics tell whether the cache is trusted.
func (m *metrics) watchTrust(trusted func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "contacts_cache_trusted", Help: "1 if what the shared cache holds is used; 0 in an outage of it, when all reads go to the database.",
	}, func() float64 {
		if trusted() {
			return 1
		}
		return 0
	}))
}

// watchWaiting has the writes counted that wait for their ends whenever the metrics are read.
func (m *metrics) watchWaiting(waiting func() int64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "contacts_waiting_writes", Help: "Writes that wait for their ends; beyond limit.waiting_writes, writes are answered 202 at once.",
	}, func() float64 { return float64(waiting()) }))
}

// watchAge has the age of a queue's oldest message measured whenever the metrics are read.
func (m *metrics) watchAge(age func(context.Context) (time.Duration, error)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "contacts_queue_oldest_message_age_seconds",
		Help: "Age of the oldest message in the embedded queue, 0 if there is none. (For SQS, Amazon measures ApproximateAgeOfOldestMessage.)",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
		defer cancel()
		oldest, err := age(ctx)
		if err != nil {
			return math.NaN() // not known
		}
		return oldest.Seconds()
	}))
}

// watchQueue has the queue's depth measured whenever the metrics are read.
func (m *metrics) watchQueue(q queue.Queue) { m.registry.MustRegister(queueDepth{q}) }

// watchParked has the parked commands counted whenever the metrics are read.
func (m *metrics) watchParked(parking contacts.Parking) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "contacts_parked_commands", Help: "Commands that were set aside for an operator to look at (1000: or more).",
	}, func() float64 {
		ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
		defer cancel()
		parked, err := parking.Parked(ctx, maxListed)
		if err != nil {
			return math.NaN() // not known
		}
		return float64(len(parked))
	}))
}

// collectLimit bounds what is asked while the metrics are read.
const collectLimit = 2 * time.Second

// queueDepth is a collector that asks the queue.
type queueDepth struct{ queue queue.Queue }

func depthDescription() *prometheus.Desc {
	return prometheus.NewDesc("contacts_queue_messages", "Messages in the queue, by state: waiting or in_flight.", []string{"state"}, nil)
}

// Describe implements prometheus.Collector.
func (queueDepth) Describe(descriptions chan<- *prometheus.Desc) { descriptions <- depthDescription() }

// Collect implements prometheus.Collector. A queue that does not answer has no depth.
func (d queueDepth) Collect(collected chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectLimit)
	defer cancel()
	stats, err := d.queue.Stats(ctx)
	if err != nil {
		return
	}
	for state, n := range map[string]int64{"waiting": stats.Waiting, "in_flight": stats.InFlight} {
		collected <- prometheus.MustNewConstMetric(depthDescription(), prometheus.GaugeValue, float64(n), state)
	}
}
