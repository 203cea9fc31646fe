package telemetry_test

import (
	"bytes"
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
