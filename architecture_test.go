package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rule says which imports are forbidden to which packages of the module. A pattern is an
// import path; with "/..." at its end it also stands for everything below; "..." alone stands
// for every package outside the standard library.
type rule struct {
	because string
	from    []string // the packages that it binds …
	except  []string // … without these
	never   []string // what they must not import …
	// … apart from these, and apart from what lies below the importing package itself
	but        []string
	tests      bool // binds the imports of the packages' tests, too
	transitive bool // binds what they import indirectly, too
}

var rules = []rule{
	{
		because: "the inside of the hexagon imports only pure value libraries",
		from:    []string{"contacts/contacts"},
		never:   []string{"..."},
		but:     []string{"github.com/google/uuid", "github.com/nyaruka/phonenumbers", "golang.org/x/net/idna", "golang.org/x/text/..."},
	},
	{
		because:    "the inside of the hexagon knows neither a transport nor a database",
		from:       []string{"contacts/contacts"},
		never:      []string{"net/http", "database/sql"},
		transitive: true,
	},
	{
		because: "a port's contract must not know who implements it",
		from:    []string{"contacts/contacts", "contacts/contacts/contactstest"},
		never:   []string{"contacts/contacts/adapters/...", "contacts/platform/...", "contacts/config", "contacts/cmd"},
		tests:   true,
	},
	{
		because: "adapters meet only in cmd, which also tells them their settings",
		from:    []string{"contacts/contacts/adapters/..."},
		never:   []string{"contacts/contacts/adapters/...", "contacts/config", "contacts/cmd"},
		tests:   true,
	},
	{
		because: "platform would stand unchanged in an invoicing program",
		from:    []string{"contacts/platform/..."},
		never:   []string{"contacts/contacts/...", "contacts/config", "contacts/cmd"},
		tests:   true,
	},
	{
		because: "settings are plain values that know no package of the project",
		from:    []string{"contacts/config"},
		never:   []string{"contacts/..."},
		tests:   true,
	},
	{
		because: "only they know the ORM",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/contacts/adapters/sqlstore", "contacts/platform/database/...", "contacts/platform/queue/embedded"},
		never:   []string{"gorm.io/gorm/...", "gorm.io/driver/postgres", "gorm.io/driver/sqlite"},
		tests:   true,
	},
	{
		because: "echo 4 has an end of support, and huma sits on it",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/contacts/adapters/httpapi", "contacts/platform/httpserver", "contacts/test/speed"},
		never:   []string{"github.com/labstack/echo/v4/...", "github.com/danielgtaylor/huma/v2/..."},
		tests:   true,
	},
	{
		because: "one package knows the Redis client",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/cache/redis"},
		never:   []string{"github.com/redis/rueidis/..."},
		tests:   true,
	},
	{
		because: "one package knows the AWS SDK",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/queue/sqs"},
		never:   []string{"github.com/aws/aws-sdk-go-v2/...", "github.com/aws/smithy-go/..."},
		tests:   true,
	},
	{
		because: "one package knows JOSE",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/oidc/..."},
		never:   []string{"github.com/lestrrat-go/jwx/v3/..."},
		tests:   true,
	},
	{
		because: "one package knows where settings come from",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/config"},
		never:   []string{"github.com/spf13/viper"},
		tests:   true,
	},
	{
		because: "one package knows the command line",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/cmd"},
		never:   []string{"github.com/spf13/cobra"},
		tests:   true,
	},
	{
		because: "one package migrates schemas",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/database/..."},
		never:   []string{"github.com/golang-migrate/migrate/v4/..."},
		tests:   true,
	},
	{
		because: "they translate PostgreSQL's errors",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/database/...", "contacts/contacts/adapters/sqlstore"},
		never:   []string{"github.com/jackc/pgx/v5/..."},
	},
	{
		because: "one package knows SQLite's driver",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/database/..."},
		never:   []string{"modernc.org/sqlite/..."},
	},
	{
		because: "one package sets tracing up, and sends spans",
		from:    []string{"contacts/..."},
		except:  []string{"contacts/platform/telemetry"},
		never:   []string{"go.opentelemetry.io/otel/sdk/...", "go.opentelemetry.io/otel/exporters/...", "github.com/go-logr/logr/..."},
	},
	{
		because: "only those who speak with the world outside begin spans",
		from:    []string{"contacts/..."},
		except: []string{
			"contacts/platform/telemetry", "contacts/platform/database", "contacts/platform/cache/redis", "contacts/platform/queue/sqs",
			"contacts/contacts/adapters/httpapi", "contacts/contacts/adapters/commandqueue",
		},
		never: []string{"go.opentelemetry.io/otel/..."},
	},
	{
		because: "the binary carries nothing that only tests need",
		from:    []string{"contacts"},
		never: []string{
			"github.com/stretchr/testify/...", "pgregory.net/rapid",
			"contacts/contacts/contactstest", "contacts/test/...", "contacts/platform/database/databasetest",
			"contacts/platform/cache/cachetest", "contacts/platform/queue/queuetest", "contacts/platform/oidc/oidctest",
		},
		transitive: true,
	},
}

func TestArchitecture(t *testing.T) {
	watchTree(t)
	imports := importGraph(t)
	for _, r := range rules {
		t.Run(r.because, func(t *testing.T) {
			require.Empty(t, r.stale(imports), "the rule names packages that do not exist")
			require.Empty(t, r.breaches(imports), "the rule is broken")
		})
	}
}

// The files that docs/architecture.md names for common changes are there.
func TestArchitecture_CommonChanges(t *testing.T) {
	document, err := os.ReadFile("docs/architecture.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(document), "\n## Where a common change goes\n")
	require.True(t, found)
	files := regexp.MustCompile("`([a-zA-Z_/0-9]+(?:\\.[a-z]+|/))`").FindAllStringSubmatch(section, -1)
	require.Greater(t, len(files), 20)
	for _, file := range files {
		require.True(t, strings.HasSuffix(file[1], "/") || filepath.Ext(file[1]) != "", file[1])
		_, err := os.Stat(file[1])
		require.NoError(t, err)
	}
}

// TestRule_SeesEveryBreach breaks each property of a rule once, on a made-up graph.
func TestRule_SeesEveryBreach(t *testing.T) {
	graph := []importer{
		{ImportPath: "m/a", Imports: []string{"m/a/deep", "lib/x", "net/http"}, Deps: []string{"m/a/deep", "lib/x", "lib/y", "net/http"}},
		{ImportPath: "m/a/deep"},
		{ImportPath: "m/b", Imports: []string{"m/a"}, XTestImports: []string{"m/b", "lib/x"}},
		{ImportPath: "m/c", TestImports: []string{"m/a/deep"}},
		{ImportPath: "lib/x"},
		{ImportPath: "lib/y"},
		{ImportPath: "net/http", Standard: true},
	}
	for name, c := range map[string]struct {
		rule rule
		want []string
	}{
		"direct":         {rule{from: []string{"m/..."}, never: []string{"lib/x"}}, []string{"m/a -> lib/x"}},
		"excepted":       {rule{from: []string{"m/..."}, except: []string{"m/a"}, never: []string{"lib/x"}}, nil},
		"not transitive": {rule{from: []string{"m/a"}, never: []string{"lib/y"}}, nil},
		"transitive":     {rule{from: []string{"m/a"}, never: []string{"lib/y"}, transitive: true}, []string{"m/a -> lib/y"}},
		"tests":          {rule{from: []string{"m/..."}, never: []string{"lib/x"}, tests: true}, []string{"m/a -> lib/x", "m/b -> lib/x"}},
		"own folder":     {rule{from: []string{"m/..."}, never: []string{"m/..."}, tests: true}, []string{"m/b -> m/a", "m/c -> m/a/deep"}},
		"allow list":     {rule{from: []string{"m/a"}, never: []string{"..."}, but: []string{"m/a/deep"}}, []string{"m/a -> lib/x"}},
		"standard":       {rule{from: []string{"m/a"}, never: []string{"net/http"}}, []string{"m/a -> net/http"}},
	} {
		require.Equal(t, c.want, c.rule.breaches(graph), name)
		require.Empty(t, c.rule.stale(graph), name)
	}
	gone := rule{from: []string{"m/gone"}, except: []string{"m/a"}, never: []string{"lib/gone/..."}, but: []string{"lib"}}
	require.Equal(t, []string{"m/gone", "lib/gone/...", "lib"}, gone.stale(graph))
}

// importer is one package as "go list -json" tells it.
type importer struct {
	ImportPath                         string
	Standard                           bool
	ForTest                            string
	Imports, TestImports, XTestImports []string
	Deps                               []string
}

// importGraph returns the module's packages, all that they and their tests depend on, and
// nothing compiled for a test.
func importGraph(t *testing.T) []importer {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test",
		"-json=ImportPath,Standard,ForTest,Imports,TestImports,XTestImports,Deps", "./...")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		require.NoError(t, err, string(exit.Stderr))
	}
	require.NoError(t, err)
	var graph []importer
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p importer
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return graph
		}
		require.NoError(t, err)
		if p.ForTest == "" && !strings.HasSuffix(p.ImportPath, ".test") {
			graph = append(graph, p)
		}
	}
}

// watchTree looks into every folder of the module, so that "go test" does not answer from its
// cache after a file has changed: it sees what this process reads, but not what "go list"
// does.
func watchTree(t *testing.T) {
	require.NoError(t, filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != "." && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	}))
}

// breaches returns the imports that the rule forbids, each as "importer -> imported".
func (r rule) breaches(graph []importer) []string {
	standard := map[string]bool{}
	for _, p := range graph {
		standard[p.ImportPath] = p.Standard
	}
	var found []string
	for _, p := range graph {
		if !matchesAny(r.from, p.ImportPath, p.Standard) || matchesAny(r.except, p.ImportPath, p.Standard) {
			continue
		}
		for _, imported := range r.bound(p) {
			own := matches(p.ImportPath+"/...", imported, false)
			if !own && matchesAny(r.never, imported, standard[imported]) && !matchesAny(r.but, imported, standard[imported]) {
				found = append(found, fmt.Sprintf("%s -> %s", p.ImportPath, imported))
			}
		}
	}
	return found
}

// bound returns those of a package's imports that the rule looks at.
func (r rule) bound(p importer) []string {
	imports := slices.Clone(p.Imports)
	if r.transitive {
		imports = append(imports, p.Deps...)
	}
	if r.tests {
		imports = append(append(imports, p.TestImports...), p.XTestImports...)
	}
	slices.Sort(imports)
	return slices.Compact(imports)
}

// stale returns the rule's patterns that stand for no package at all.
func (r rule) stale(graph []importer) []string {
	var found []string
	for _, pattern := range slices.Concat(r.from, r.except, r.never, r.but) {
		if !slices.ContainsFunc(graph, func(p importer) bool { return matches(pattern, p.ImportPath, p.Standard) }) {
			found = append(found, pattern)
		}
	}
	return found
}

func matchesAny(patterns []string, path string, standard bool) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, path, standard) })
}

func matches(pattern, path string, standard bool) bool {
	if pattern == "..." {
		return !standard
	}
	tree, isTree := strings.CutSuffix(pattern, "/...")
	return path == tree || isTree && strings.HasPrefix(path, tree+"/")
}
