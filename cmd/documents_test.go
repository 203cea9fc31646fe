package cmd_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The commands of the README and of the API's document do what these say, as they are written
// and in their order.
func TestDocuments_Commands(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.start(t)
		for document, want := range map[string][]string{
			"../README.md":   {"POST 201", "GET 200"},
			"../docs/api.md": {"POST 201", "PUT 200", "GET 200", "GET 200", "GET 200", "PATCH 200", "POST 422", "GET 200", "DELETE 204"},
		} {
			source, err := os.ReadFile(document)
			require.NoError(t, err)
			var script []string
			for _, block := range regexp.MustCompile(`(?m)(^    .*\n)+`).FindAllString(string(source), -1) {
				if strings.Contains(block, "curl ") {
					script = append(script, block)
				}
			}
			require.NotEmpty(t, script)
			// Each answer's status goes to the standard error, beside what the command prints.
			bash := exec.CommandContext(t.Context(), "bash", "-euc", `curl() { command curl -w '%{stderr}%{method} %{http_code}\n' "$@"; echo; }`+"\n"+
				strings.ReplaceAll(strings.Join(script, ""), "localhost:8000", strings.TrimPrefix(s.url, "http://")))
			bash.Dir = t.TempDir()
			var statuses strings.Builder
			bash.Stderr = &statuses
			output, err := bash.Output()
			require.NoError(t, err, "%s: %s", document, statuses.String())
			require.Equal(t, want, strings.Split(strings.TrimSpace(statuses.String()), "\n"), "%s: %s", document, output)
		}
	})
}
