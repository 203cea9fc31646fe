package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each rule fails on a bad line, in every kind of file that it is for.
func TestCheck_Rules(t *testing.T) {
	bad := []string{
		"the caller who waits", "whoever comes", "to whom it may", "nobody waits", "Somebody waits", "anybody", "everybody", "whatever it is",
		"whichever it is", "a doorkeeper", "it vouches", "a deed", "all debts", "what is owed",
	}
	for _, line := range bad {
		for file, source := range map[string]string{
			"a.go":       "package a\n\n// " + line + "\n",
			"b.go":       "package a\n\nvar x int // " + line + "\n",
			"c.go":       "package a\n\n/*\n" + line + "\n*/\n",
			"d.go":       "package a\n\nvar message = \"a message: " + line + "\"\n",
			"README.md":  "# Title\n\n" + line + "\n",
			"a.sql":      "SELECT 1; -- " + line + "\n",
			"a.yaml":     "a: 1\n# " + line + "\n",
			"Makefile":   "# " + line + "\n",
			"main.tf":    "# " + line + "\n",
			"Dockerfile": "# " + line + "\n",
		} {
			found := check(file, []byte(source))
			require.Len(t, found, 1, "%s: %s", file, source)
			require.Contains(t, found[0].String(), file+":")
		}
	}
	wide := strings.Repeat("x ", 50) + "x"
	for file, source := range map[string]string{
		"a.go": "package a\n\n// " + wide + "\n", "b.go": "package a\n\nfunc f() {\n\tx := 1 // " + wide + "\n}\n", "a.md": wide + "\n", "a.sql": "-- " + wide + "\n",
		"a.yml": "# " + wide + "\n",
	} {
		found := check(file, []byte(source))
		require.Len(t, found, 1, file)
		require.Contains(t, found[0].advice, "columns")
	}
}

func TestCheck_GoodLines(t *testing.T) {
	wide := strings.Repeat("x ", 50) + "x"
	for file, source := range map[string]string{
		"a.go":      "package a\n\n// An operation whose caller waits.\nvar whoever = \"nobody\" // a name\n",
		"a_test.go": "package a\n\nimport _ \"testing\"\n\nvar x = \"somebody else\"\n",
		"a.md":      "| " + wide + " |\n\n    code: " + wide + " who\n\n```\nwho " + wide + "\n```\n[a](https://example.com/" + strings.Repeat("x", 100) + ")\n`whoami` is code\n",
		"a.json":    "{\"who\": \"" + wide + "\"}",
		"a.yaml":    "who: " + wide + "\n",
	} {
		require.Empty(t, check(file, []byte(source)), file)
	}
}
