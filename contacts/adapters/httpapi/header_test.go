package httpapi

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		`"abc"`:       "abc",
		`"a b"`:       "a b",
		`"a\"b\\c"`:   `a"b\c`,
		`8e03978e-40`: "8e03978e-40",
		`a+/=`:        "a+/=",
	} {
		key, expected := idempotencyKey([]string{line})
		require.Empty(t, expected, line)
		require.Equal(t, want, key, line)
		padded, _ := idempotencyKey([]string{"\t" + line + " "})
		require.Equal(t, want, padded, line)
	}
	for _, line := range []string{``, `""`, `"a`, `"a"b`, `"a";p=1`, `"a\b"`, `"a\`, `a b`, `a,b`, `a;b`, `a"b`, "\"\x7f\"", `"ä"`, `ä`} {
		_, expected := idempotencyKey([]string{line})
		require.NotEmpty(t, expected, line)
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]int64{
		`*`:                  nil,
		` "3" `:              {3},
		`"3","4" , "3"`:      {3, 4},
		`,"3",,`:             {3},
		`W/"3"`:              {noVersion},
		`W/"3", "4"`:         {4},
		`"a,b", "5"`:         {5},
		`"03","+3","-3","0"`: {noVersion},
		`""`:                 {noVersion},
	} {
		versions, expected := ifMatch([]string{line})
		require.Empty(t, expected, line)
		require.Equal(t, want, versions, line)
	}
	for _, line := range []string{``, `,`, `3`, `"3`, `"3" "4"`, `"3", *`, `w/"3"`, `W/3`, `"a b"`, strings.Repeat(`"1",`, maxTags+1)} {
		_, expected := ifMatch([]string{line})
		require.NotEmpty(t, expected, line)
	}
	versions, expected := ifMatch([]string{`"1"`, `"2"`})
	require.Empty(t, expected)
	require.Equal(t, []int64{1, 2}, versions)
}

func TestPreference_Patience(t *testing.T) {
	t.Parallel()
	const otherwise = 2 * time.Second
	for line, want := range map[string]time.Duration{
		``:                            otherwise,
		`respond-async`:               0,
		`Respond-Async; x="a;b"`:      0,
		`WAIT = 3`:                    3 * time.Second,
		`wait=9, respond-async`:       9 * time.Second,
		`wait=99999999999999999999`:   otherwise,
		`wait=2147483647`:             MaxWait,
		`wait`:                        otherwise,
		`x="\", wait=1", respond-x=1`: otherwise,
	} {
		require.Equal(t, want, parsePrefer([]string{line}).patience(otherwise), line)
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{`"abc"`, `abc`, `"\\\""`, `"`, ``} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, expected := idempotencyKey([]string{line})
		require.NotEqual(t, key == "", expected == "", "either a key or what was expected")
		require.LessOrEqual(t, len(key), maxIdempotencyKey)
		if key != "" {
			quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`
			again, _ := idempotencyKey([]string{quoted})
			require.Equal(t, key, again)
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, seed := range []string{`"1"`, `*`, `W/"1", "2"`, `"`, `,,`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		versions, expected := ifMatch([]string{line})
		require.LessOrEqual(t, len(versions), maxTags)
		if expected != "" {
			require.Empty(t, versions)
		}
		for _, version := range versions {
			require.True(t, version == noVersion || strings.Contains(line, entityTag(version)))
			require.True(t, version == noVersion || noneMatch([]string{line}, entityTag(version)), "what matches strongly matches weakly")
		}
	})
}

func FuzzPrefer(f *testing.F) {
	for _, seed := range []string{`wait=1`, `respond-async`, `a="b,c";d, wait="2"`, `"`, `\`, `;,=`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p := parsePrefer([]string{line})
		require.LessOrEqual(t, p.patience(0), MaxWait)
		require.GreaterOrEqual(t, p.patience(0), time.Duration(0))
		require.Equal(t, p, parsePrefer([]string{p.applied()}), "what is applied means the same")
	})
}
