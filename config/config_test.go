package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
	"github.com/stretchr/testify/require"

	"contacts/config"
)

func load(t *testing.T, args ...string) (*config.Config, error) {
	t.Helper()
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	require.NoError(t, flags.Parse(args))
	loaded, err := config.Load(flags)
	if err != nil {
		return nil, err
	}
	if problems := loaded.Contradictions(); len(problems) > 0 {
		return nil, config.NewError(problems...)
	}
	return loaded, nil
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "contacts.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestLoad_Defaults(t *testing.T) {
	got, err := load(t)
	require.NoError(t, err)
	var want config.Config
	want.Database.URL = "sqlite://data/contacts.db"
	want.Cache.URL = "memory://"
	want.Queue.URL, want.Queue.Visibility, want.Queue.PollWait = "embedded://", time.Minute, 5*time.Second
	want.HTTP.Addr, want.HTTP.MaxBodyBytes = "127.0.0.1:8000", 1<<20
	want.Admin.Addr = "127.0.0.1:9090"
	want.Auth.Mode = "none"
	want.Auth.OIDCAudienceClaim, want.Auth.OIDCTenantClaim, want.Auth.OIDCScopeClaim = "aud", "tenant", "scope"
	want.Auth.OIDCAlgorithms = strings.Fields("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519")
	want.Auth.OIDCSkew = 30 * time.Second
	want.Write.Wait = 2 * time.Second
	want.Limit.Rate, want.Limit.Connections, want.Limit.WaitingWrites, want.Limit.Followers = 200, 2048, 500, 200
	want.Worker.Loops, want.Worker.Batch = 4, 100
	want.Log.Level, want.Log.Format = "info", "auto"
	require.Equal(t, &want, got)
	require.True(t, got.Embedded())
}

func TestLoad_ExampleFileShowsEveryKeyWithItsDefault(t *testing.T) {
	defaults, err := load(t)
	require.NoError(t, err)
	example, err := load(t, "--config", "contacts.yaml")
	require.NoError(t, err)
	require.Equal(t, defaults, example)

	shown := viper.New()
	shown.SetConfigFile("contacts.yaml")
	require.NoError(t, shown.ReadInConfig())
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	settings := 0
	flags.VisitAll(func(*pflag.Flag) { settings++ })
	require.Len(t, shown.AllKeys(), settings-1, "all but --config")
}

func TestDocumentation_ListsEverySetting(t *testing.T) {
	document, err := os.ReadFile("../docs/configuration.md")
	require.NoError(t, err)
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "config" {
			return
		}
		value := " `" + flag.DefValue + "` "
		if flag.DefValue == "" {
			value = " "
		}
		variable := "CONTACTS_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		require.Contains(t, string(document), "| `"+variable+"` |"+value+"|")
	})
}

func TestLoad_Precedence(t *testing.T) {
	path := file(t, "http:\n  addr: 127.0.0.1:1\nadmin:\n  addr: 127.0.0.1:2\nwrite:\n  wait: 3s\n")
	t.Setenv("CONTACTS_ADMIN_ADDR", "127.0.0.1:3")
	t.Setenv("CONTACTS_WRITE_WAIT", "4s")
	got, err := load(t, "--config", path, "--write-wait", "5s")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:1", got.HTTP.Addr)
	require.Equal(t, "127.0.0.1:3", got.Admin.Addr)
	require.Equal(t, 5*time.Second, got.Write.Wait)
}

func TestLoad_AllErrorsAtOnce(t *testing.T) {
	path := file(t, "http:\n  adr: x\nwrite:\n  wait: soon\ncache:\n  url: [1, 2]\n")
	t.Setenv("CONTACTS_DATABASE_URL", "mysql://u:hunter2@h/d")
	t.Setenv("CONTACTS_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/1/contacts")
	t.Setenv("CONTACTS_CONTACT_DEFAULT_REGION", "Peru")
	_, err := load(t, "--config", path, "--log-level", "loud", "--worker-batch", "0", "--http-addr", "8000", "--admin-pprof", "yes")
	var settings *config.Error
	require.ErrorAs(t, err, &settings)
	for _, key := range []string{
		"http.adr", "write.wait", "cache.url", "database.url", "queue.url", "contact.default_region", "log.level", "worker.batch", "http.addr",
		"admin.pprof",
	} {
		require.ErrorContains(t, err, key+": ")
	}
	require.Len(t, settings.Unwrap(), 10)
	require.NotContains(t, err.Error(), "hunter2")
}

func TestLoad_Contradictions(t *testing.T) {
	_, err := load(t, "--cache-url", "memory://x")
	require.ErrorContains(t, err, "cache.url: expected memory://")
	_, err = load(t, "--cache-url", "redis://")
	require.ErrorContains(t, err, "cache.url: ")
	_, err = load(t, "--database-url", "postgres://localhost/contacts")
	require.ErrorContains(t, err, "queue.url: embedded://")
	_, err = load(t, "--database-owner-url", "postgres://owner@localhost/contacts")
	require.ErrorContains(t, err, "database.owner_url: expected none")
	_, err = load(t, "--database-owner-url", "sqlite://x")
	require.ErrorContains(t, err, "database.owner_url: expected a URL that begins with one of postgres://")
	_, err = load(t, "--admin-addr", "127.0.0.1:8000")
	require.ErrorContains(t, err, "admin.addr: ")
	_, err = load(t, "--limit-connections", "1400")
	require.ErrorContains(t, err, "limit.connections: ")
	_, err = load(t, "--queue-url", "http://127.0.0.1:1/1/a.fifo", "--queue-visibility", "6s")
	require.ErrorContains(t, err, "queue.visibility: ")
}

func TestLoad_Auth(t *testing.T) {
	issuer := []string{"--auth-oidc-issuer", "https://login.example.com/realm", "--auth-oidc-audience", "contacts, api"}
	for mode, c := range map[string]struct {
		settings           []string
		open, keys, tokens bool
	}{
		"none":      {nil, true, false, false},
		"keys":      {nil, false, true, false},
		"oidc":      {issuer, false, false, true},
		"keys,oidc": {issuer, false, true, true},
		"oidc,keys": {issuer, false, true, true},
	} {
		got, err := load(t, append(c.settings, "--auth-mode", mode)...)
		require.NoError(t, err, mode)
		require.Equal(t, []bool{c.open, c.keys, c.tokens}, []bool{got.Open(), got.TakesKeys(), got.TakesTokens()}, mode)
		if c.tokens {
			require.Equal(t, []string{"contacts", "api"}, got.Auth.OIDCAudience)
		}
	}
	for _, mode := range []string{"", "keys,none", "keys,keys", "basic"} {
		_, err := load(t, "--auth-mode", mode)
		require.ErrorContains(t, err, "auth.mode: expected one of none, keys, oidc, keys,oidc, oidc,keys", mode)
	}
	_, err := load(t, "--auth-mode", "oidc")
	require.ErrorContains(t, err, "auth.oidc_audience: expected")
	_, err = load(t, issuer...)
	require.ErrorContains(t, err, "auth.oidc_issuer: its tokens are not asked for", "naming an issuer does not mean an open door")

	for _, bad := range [][]string{
		{"--auth-oidc-skew", "6m"},
		{"--auth-oidc-skew", "0s"},
		{"--auth-insecure", "yes"},
		{"--auth-oidc-tenant-claim", ""},
		{"--auth-oidc-audience", ",a"},
		{"--auth-oidc-algorithms", "RS256,"},
	} {
		_, err := load(t, bad...)
		require.ErrorContains(t, err, ": expected", bad)
	}
}

// A poll that could outlast the stop of its process would be cut, and what SQS gives it
// hidden.
func TestLoad_PollWaitFitsIntoAStop(t *testing.T) {
	got, err := load(t, "--queue-poll-wait", "9s")
	require.NoError(t, err)
	require.Equal(t, config.MaxPollWait, got.Queue.PollWait)
	_, err = load(t, "--queue-poll-wait", "9001ms")
	require.ErrorContains(t, err, "queue.poll_wait: expected a duration from 0s to 9s")
}

func TestLoad_SecretFromFile(t *testing.T) {
	t.Setenv("CONTACTS_DATABASE_URL_FILE", file(t, "postgres://u:p%40ss@db/contacts\n"))
	t.Setenv("CONTACTS_DATABASE_OWNER_URL_FILE", file(t, "postgres://o:p@db/contacts"))
	got, err := load(t, "--queue-url", "http://127.0.0.1:1/1/a.fifo")
	require.NoError(t, err)
	require.Equal(t, "postgres://u:p%40ss@db/contacts", got.Database.URL)
	require.Equal(t, "postgres://o:p@db/contacts", got.Database.OwnerURL)
	require.NoError(t, os.Unsetenv("CONTACTS_DATABASE_OWNER_URL_FILE"))

	got, err = load(t, "--database-url", "sqlite://flag")
	require.NoError(t, err)
	require.Equal(t, "sqlite://flag", got.Database.URL, "a flag overrides the environment, and so its files")

	t.Setenv("CONTACTS_DATABASE_URL", "sqlite://x")
	_, err = load(t)
	require.ErrorContains(t, err, "database.url: expected only one of")

	t.Setenv("CONTACTS_CACHE_URL_FILE", "/nowhere/at/all")
	_, err = load(t)
	require.ErrorContains(t, err, "cache.url: read the file")
}

func TestLoad_UnreadableFile(t *testing.T) {
	_, err := load(t, "--config", filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "--config: ")
	_, err = load(t, "--config", file(t, "{"))
	require.ErrorContains(t, err, "--config: ")
}

// A slip in the name of a variable is told: the setting that was meant would keep its default.
func TestLoad_UnknownVariable(t *testing.T) {
	t.Setenv("CONTACTS_AUTH_MODES", "keys")
	t.Setenv("CONTACTS_LOG_LEVEL_FILE", "/no/secret")
	t.Setenv("CONTACTS_TEST_REDIS_URL", "of the tests")
	_, err := load(t)
	require.ErrorContains(t, err, "CONTACTS_AUTH_MODES: unknown variable")
	require.ErrorContains(t, err, "CONTACTS_LOG_LEVEL_FILE: unknown variable")
	require.NotContains(t, err.Error(), "REDIS")
}
