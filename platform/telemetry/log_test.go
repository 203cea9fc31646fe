package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/telemetry"
)

func TestNewLogger(t *testing.T) {
	for format, begins := range map[string]string{"auto": `{"time":`, "json": `{"time":`, "text": "time="} {
		var out bytes.Buffer
		log, err := telemetry.NewLogger(&out, "warn", format)
		require.NoError(t, err)
		log.Info("not shown")
		log.Warn("shown")
		require.Regexp(t, "^"+begins, out.String())
		require.NotContains(t, out.String(), "not shown")
	}
	_, err := telemetry.NewLogger(new(bytes.Buffer), "loud", "text")
	require.Error(t, err)
}

const (
	traceID = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID  = "00f067aa0ba902b7"
	parent  = "00-" + traceID + "-" + spanID + "-01"
)

func TestNewLogger_Trace(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info", "json")
	require.NoError(t, err)
	said := func(say func(context.Context)) map[string]any {
		out.Reset()
		say(telemetry.WithTraceParent(t.Context(), parent))
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		return line
	}
	line := said(func(ctx context.Context) { log.InfoContext(ctx, "hello", "a", 1) })
	require.Equal(t, []any{traceID, spanID, 1.0}, []any{line["trace_id"], line["span_id"], line["a"]})
	line = said(func(ctx context.Context) { log.With("b", 2).InfoContext(ctx, "hello") })
	require.Equal(t, []any{traceID, 2.0}, []any{line["trace_id"], line["b"]})
	line = said(func(ctx context.Context) { log.InfoContext(telemetry.Untraced(ctx), "hello") })
	require.NotContains(t, line, "trace_id")
}
