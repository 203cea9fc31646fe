package cmd

import (
	"context"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"contacts/contacts"
	"contacts/contacts/adapters/commandqueue"
	"contacts/platform/queue"
)

// metrics are the process's Prometheus metrics, but those of HTTP requests, which the API registers itself.
type metrics struct {
	registry *prometheus.Registry
	lookups  *prometheus.CounterVec
	keys     *prometheus.CounterVec
	tries    *prometheus.CounterVec
	requests *prometheus.CounterVec
	sizes    prometheus.Histogram
	seconds  prometheus.Histogram
	age      prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		lookups: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_cache_lookups_total", Help: "Look-ups of one contact in the cache, by result: hit, miss, pending (about to be written), doubted (nobody vouches for the cache) or error.",
		}, []string{"result"}),
		keys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_key_lookups_total", Help: "Look-ups of API keys, by result: hit (remembered), miss (the database was asked), stale (it did not answer in time, and the key was good minutes ago) or error.",
		}, []string{"result"}),
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "contacts_commands_total", Help: "Tries of commands by the worker, by result: done or again; and, counted beside that, those of commands that were redelivered.",
		}, []string{"result"}),
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
	m.registry.MustRegister(m.lookups, m.keys, m.tries, m.requests, m.sizes, m.seconds, m.age,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) cacheLookup(result string) { m.lookups.WithLabelValues(result).Inc() }

func (m *metrics) keyLookup(result string) { m.keys.WithLabelValues(result).Inc() }

func (m *metrics) sqsRequest(action string) { m.requests.WithLabelValues(action).Inc() }

func (m *metrics) batch(b commandqueue.Batch) {
	m.tries.WithLabelValues("done").Add(float64(b.Done))
	m.tries.WithLabelValues("again").Add(float64(b.Commands - b.Done))
	m.tries.WithLabelValues("redelivered").Add(float64(b.Again))
	m.sizes.Observe(float64(b.Commands))
	m.seconds.Observe(b.Duration.Seconds())
	m.age.Observe(b.Oldest.Seconds())
}

// watchQueue has the queue's depth measured whenever the metrics are read.
func (m *metrics) watchQueue(q queue.Queue) { m.registry.MustRegister(queueDepth{q}) }

// watchParked has the parked commands counted whenever the metrics are read.
func (m *metrics) watchParked(parking contacts.Parking) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "contacts_parked_commands", Help: "Commands that were set aside for somebody to look at (1000: or more).",
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
