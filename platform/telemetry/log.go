// Package telemetry sets up what is seen of a process from outside.
package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"
	"golang.org/x/term"
)

// NewLogger returns a logger to w at level (debug, info, warn or error) in format: text, json,
// or auto, which is text if w is a terminal and JSON otherwise. Lines whose context belongs to
// a trace carry its trace_id and the span_id.
func NewLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var options slog.HandlerOptions
	var at slog.Level
	if err := at.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	options.Level = at
	if format == "text" || (format == "auto" && IsTerminal(w)) {
		return slog.New(tracedHandler{slog.NewTextHandler(w, &options)}), nil
	}
	return slog.New(tracedHandler{slog.NewJSONHandler(w, &options)}), nil
}

// tracedHandler adds to a line the trace and the span that its context belongs to.
type tracedHandler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h tracedHandler) Handle(ctx context.Context, line slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		line.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, line)
}

// WithAttrs implements [slog.Handler].
func (h tracedHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return tracedHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h tracedHandler) WithGroup(name string) slog.Handler {
	return tracedHandler{h.Handler.WithGroup(name)}
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
