package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const (
	// flushLimit is how long the last spans may take to be sent when the process ends.
	flushLimit = 2 * time.Second
	// complainEvery is how often a collector that takes no spans is logged at the most.
	complainEvery = time.Minute
)

// Process is what traces tell of the process that they come from. The standard variables
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES overrule it and add to it.
type Process struct {
	Service string // the program
	Version string
	Role    string // which of the program's processes it is
}

// Tracing makes spans and sends them, in the background, over OTLP.
type Tracing struct {
	provider *sdktrace.TracerProvider // nil: off
}

// OpenTracing sets tracing up as OpenTelemetry's standard variables say. It is off, and then
// costs nothing, unless OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT
// names a collector. All other variables of the SDK and of its OTLP exporter apply, but of the
// protocols only those over HTTP: naming another one is the only error. A collector that
// cannot be reached costs the spans, and now and then a line in the log. The caller closes it.
func OpenTracing(ctx context.Context, process Process, log *slog.Logger) (*Tracing, error) {
	if !wanted() {
		return &Tracing{}, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		protocol := os.Getenv(name)
		if protocol != "" && !strings.HasPrefix(protocol, "http/") {
			return nil, fmt.Errorf("%s: expected http/protobuf, which collectors take on port 4318, or nothing", name)
		}
		if protocol != "" {
			break // the first one wins
		}
	}
	// Both are the SDK's own, for the whole process.
	otel.SetErrorHandler(&complaints{log: log})
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))

	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("export traces: %w", err)
	}
	// What cannot be found out is left out.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithAttributes(
		semconv.ServiceName(process.Service), semconv.ServiceVersion(process.Version), semconv.ServiceInstanceID(uuid.NewString()),
		attribute.String(process.Service+".role", process.Role),
	), resource.WithFromEnv())
	if err != nil {
		log.WarnContext(ctx, "traces tell less of the process than they could", "error", err)
	}
	return &Tracing{sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))}, nil
}

// wanted reports whether the standard variables ask for traces.
func wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// Tracer returns what begins traces, or goes on with those of other processes; nil where
// tracing is off.
func (t *Tracing) Tracer() trace.Tracer {
	if t.provider == nil {
		return nil
	}
	return t.provider.Tracer(scope)
}

// Close sends the spans that are left, if that does not take long.
func (t *Tracing) Close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushLimit)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(fmt.Errorf("send the last spans: %w", err))
	}
}

// complaints logs what the SDK complains of, once and then not more than once in a while.
type complaints struct {
	log *slog.Logger

	mu      sync.Mutex
	last    time.Time
	omitted int
}

// Handle implements [otel.ErrorHandler].
func (c *complaints) Handle(err error) {
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.last) < complainEvery {
		c.omitted++
		return
	}
	c.log.Warn("spans not sent to the collector", "error", err, "omitted", c.omitted)
	c.last, c.omitted = now, 0
}
