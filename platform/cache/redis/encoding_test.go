package redis

import (
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/platform/cache"
)

// FuzzDecode checks that any value under a key is either no entry or one that encodes
// and decodes to itself, and that no lease is taken for an entry.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "7:L:", "7:L:body", "0:A:", "9223372036854775807:G:", "9223372036854775808:G:", "-1:L:", "+1:L:", "1:X:", "1:LL:x",
		"1::", "::", ":L:", "007:L:x", "lease:1", string(newLease()),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, held string) {
		entry, ok := decode(held)
		if !ok {
			require.Equal(t, cache.Entry{}, entry)
			return
		}
		require.False(t, isLease(held))
		require.GreaterOrEqual(t, entry.Version, int64(0))
		again, ok := decode(encode(entry))
		require.True(t, ok)
		require.Equal(t, entry, again)
	})
}
