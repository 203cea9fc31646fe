package telemetry

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

// clearEnvironment takes away what the variables of the environment say.
func clearEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME",
	} {
		t.Setenv(name, "")
	}
}

func TestOpenTracing_Off(t *testing.T) {
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"
	for _, env := range []string{"", endpoint + " OTEL_SDK_DISABLED=true", endpoint + " OTEL_TRACES_EXPORTER=none"} {
		t.Run(env, func(t *testing.T) {
			clearEnvironment(t)
			for _, variable := range strings.Fields(env) {
				name, value, _ := strings.Cut(variable, "=")
				t.Setenv(name, value)
			}
			tracing, err := OpenTracing(t.Context(), Process{Service: "test"}, slog.New(slog.DiscardHandler))
			require.NoError(t, err)
			defer tracing.Close(t.Context())
			require.Nil(t, tracing.Tracer())
		})
	}
}

func TestOpenTracing_Protocol(t *testing.T) {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"} {
		clearEnvironment(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
		t.Setenv(name, "grpc")
		_, err := OpenTracing(t.Context(), Process{Service: "test"}, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, name+": expected http/protobuf")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc") // which is for other signals then
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
	tracing, err := OpenTracing(t.Context(), Process{Service: "test"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	tracing.Close(t.Context())
}

// What the standard variables say is done, and the last spans are sent when it is closed.
func TestOpenTracing(t *testing.T) {
	clearEnvironment(t)
	sent := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		sent <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + string(body)
		if err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+"/here")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
	t.Setenv("OTEL_SERVICE_NAME", "renamed")
	tracing, err := OpenTracing(t.Context(), Process{Service: "test", Version: "1.2.3", Role: "worker"}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, span := tracing.Tracer().Start(t.Context(), "root")
	require.True(t, span.IsRecording())
	_, child := Child(ctx, "child", trace.SpanKindClient)
	child.End()
	tracing.Close(t.Context())
	got := <-sent
	require.Regexp(t, "^/here secret ", got)
	for _, part := range []string{"child", "renamed", "1.2.3", "test.role", "worker"} {
		require.Contains(t, got, part)
	}
	require.NotContains(t, got, "root", "it has not ended")
}

func TestComplaints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		c := complaints{log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 100 {
			c.Handle(errors.New("collector is away"))
		}
		require.Equal(t, 1, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), "collector is away")
		time.Sleep(complainEvery)
		c.Handle(errors.New("still away"))
		require.Equal(t, 2, strings.Count(log.String(), "\n"))
		require.Contains(t, log.String(), `error="still away" omitted=99`)
	})
}
