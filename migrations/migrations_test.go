package migrations_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/migrations"
)

// Both engines have the same migrations, numbered without gaps, each with its way up and down.
func TestMigrations_SameOnBothEngines(t *testing.T) {
	names := map[string][]string{}
	for _, engine := range []string{"postgres", "sqlite"} {
		entries, err := fs.ReadDir(migrations.Files, engine)
		require.NoError(t, err)
		for i, entry := range entries { // in the order of their names
			direction := []string{".down.sql", ".up.sql"}[i%2]
			require.True(t, strings.HasSuffix(entry.Name(), direction), "%s: expected %s", entry.Name(), direction)
			require.True(t, strings.HasPrefix(entry.Name(), fmt.Sprintf("%06d_", i/2+1)), entry.Name())
			names[engine] = append(names[engine], entry.Name())
		}
	}
	require.NotEmpty(t, names["postgres"])
	require.Equal(t, names["postgres"], names["sqlite"])
}
