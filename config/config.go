// Package config reads the settings: defaults, a file, the environment, flags, each overriding
// the one before. It is the only package that knows viper.
package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Config is the settings, checked.
type Config struct {
	Database struct {
		URL      string
		OwnerURL string // "": URL
	}
	Cache struct{ URL string }
	Queue struct {
		URL        string
		Visibility time.Duration
		PollWait   time.Duration
	}
	HTTP struct {
		Addr         string
		MaxBodyBytes int64
		TLSCert      string
		TLSKey       string
	}
	Admin struct {
		Addr  string
		Pprof bool
	}
	// Auth says how callers are authenticated.
	Auth struct {
		Mode              string
		Insecure          bool
		OIDCIssuer        string
		OIDCAudience      []string
		OIDCAudienceClaim string
		OIDCTenantClaim   string
		OIDCScopeClaim    string
		OIDCScopePrefix   string
		OIDCAlgorithms    []string
		OIDCSkew          time.Duration
	}
	Write struct{ Wait time.Duration }
	// Limit is how much may be asked of the API: by each caller, and of each process.
	Limit struct {
		Rate          int
		Burst         int
		Connections   int
		WaitingWrites int
		Followers     int
	}
	// Worker is how the queue's consumer works, in its own process or within serve.
	Worker struct {
		Loops int
		Batch int
	}
	Contact struct{ DefaultRegion string }
	Log     struct {
		Level  string
		Format string
	}
}

// Embedded reports whether the queue is in the database's own file, so that the worker runs
// within serve.
func (c *Config) Embedded() bool { return c.Queue.URL == EmbeddedQueue }

// SharedCache reports whether the cache is outside of the process, so that others can use it
// too, and it can be away.
func (c *Config) SharedCache() bool { return c.Cache.URL != memoryCache }

// Open reports whether callers need no credential.
func (c *Config) Open() bool { return c.Auth.Mode == authNone }

// TakesKeys reports whether callers may show an API key.
func (c *Config) TakesKeys() bool { return c.authTakes(authKeys) }

// TakesTokens reports whether callers may show an access token of the issuer.
func (c *Config) TakesTokens() bool { return c.authTakes(authOIDC) }

func (c *Config) authTakes(kind string) bool {
	return slices.Contains(strings.Split(c.Auth.Mode, ","), kind)
}

// What auth.mode names: none alone, or one of the others or both.
const (
	authNone = "none"
	authKeys = "keys"
	authOIDC = "oidc"
)

const memoryCache = "memory://"

// EmbeddedQueue is the queue's URL that needs no server.
const EmbeddedQueue = "embedded://"

// Error is settings that cannot work: every one of them at once.
type Error struct{ problems []error }

// NewError returns the error of settings that the caller has found out cannot work. Each
// problem names its key.
func NewError(problems ...error) *Error { return &Error{problems} }

// Error implements error: one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.problems))
	for i, problem := range e.problems {
		lines[i] = problem.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *Error) Unwrap() []error { return e.problems }

// Flags adds one flag for every setting, and --config, to a command's flags.
func Flags(flags *pflag.FlagSet) {
	flags.String("config", "", "file with settings (YAML); config/contacts.yaml shows them all")
	for _, s := range settings(new(Config)) {
		flags.String(s.flag(), s.value, s.usage)
	}
}

// Load reads the settings. flags must have been made by [Flags] and parsed. It returns an
// [Error] that names every key that is unknown or unreadable.
func Load(flags *pflag.FlagSet) (*Config, error) {
	v := viper.New()
	var problems []error
	if file, err := flags.GetString("config"); err != nil {
		return nil, fmt.Errorf("read the flag --config: %w", err)
	} else if file != "" {
		v.SetConfigFile(file)
		v.SetConfigType("yaml")
		if err := v.ReadInConfig(); err != nil {
			problems = append(problems, fmt.Errorf("--config: expected a readable YAML file: %w", err))
		}
	}
	config := new(Config)
	all := settings(config)
	problems = append(problems, slices.Concat(unknown(v, all), unknownVariables(all))...)
	for _, s := range all {
		v.SetDefault(s.key, s.value)
		if err := errors.Join(v.BindEnv(s.key, s.env()), v.BindPFlag(s.key, flags.Lookup(s.flag()))); err != nil {
			return nil, fmt.Errorf("bind the setting %s: %w", s.key, err)
		}
		if err := s.load(v, flags.Changed(s.flag())); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.key, err))
		}
	}
	// in every command
	if config.Database.OwnerURL != "" && strings.HasPrefix(config.Database.URL, "sqlite://") {
		problems = append(problems, errors.New("database.owner_url: expected none with a sqlite:// database.url: only PostgreSQL has roles"))
	}
	if len(problems) > 0 {
		return nil, &Error{problems}
	}
	return config, nil
}

// unknown names the keys of the file that are no settings.
func unknown(v *viper.Viper, all []setting) []error {
	var problems []error
	keys := v.AllKeys()
	slices.Sort(keys)
	for _, key := range keys {
		known := slices.ContainsFunc(all, func(s setting) bool { return s.key == key })
		if !known {
			problems = append(problems, fmt.Errorf("%s: unknown key in the settings' file; config/contacts.yaml shows those there are", key))
		}
	}
	return problems
}

// unknownVariables names the variables that look like settings and are none: a slip in the
// name of one that guards something would leave it open. Those of the tests are others'
// business.
func unknownVariables(all []setting) []error {
	var problems []error
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, "CONTACTS_") || strings.HasPrefix(name, "CONTACTS_TEST_") {
			continue
		}
		known := slices.ContainsFunc(all, func(s setting) bool { return name == s.env() || s.secret && name == s.env()+"_FILE" })
		if !known {
			problems = append(problems, fmt.Errorf("%s: unknown variable of the environment; each setting's is CONTACTS_SECTION_NAME, as config/contacts.yaml has them", name))
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return problems
}

// Contradictions names the settings that cannot work together.
func (c *Config) Contradictions() []error {
	var problems []error
	if c.Embedded() && !strings.HasPrefix(c.Database.URL, "sqlite://") {
		problems = append(problems, errors.New("queue.url: embedded:// keeps the queue in the SQLite file: it needs a sqlite:// database.url; "+
			"with PostgreSQL give the URL of an SQS FIFO queue"))
	}
	if c.HTTP.Addr == c.Admin.Addr && !strings.HasSuffix(c.HTTP.Addr, ":0") {
		problems = append(problems, errors.New("admin.addr: expected another address than http.addr"))
	}
	if (c.HTTP.TLSCert == "") != (c.HTTP.TLSKey == "") {
		problems = append(problems, errors.New("http.tls_cert, http.tls_key: expected both, or neither"))
	}
	if c.Limit.Connections/2 <= c.Limit.WaitingWrites+c.Limit.Followers {
		problems = append(problems, errors.New("limit.connections: expected more than twice limit.waiting_writes and limit.followers together: "+
			"they are answered for as long as they wait, and only half of the connections can be answered at the same time"))
	}
	if c.Queue.Visibility < 2*c.Queue.PollWait && !c.Embedded() {
		problems = append(problems, errors.New("queue.visibility: expected at least twice queue.poll_wait"))
	}
	if !c.TakesTokens() && c.Auth.OIDCIssuer != "" {
		problems = append(problems, fmt.Errorf("auth.oidc_issuer: its tokens are not asked for: expected oidc in auth.mode, which is %s", c.Auth.Mode))
	}
	if c.TakesTokens() && len(c.Auth.OIDCAudience) == 0 {
		problems = append(problems, errors.New("auth.oidc_audience: expected the audience of the tokens that auth.mode accepts: this service's name at the issuer"))
	}
	return problems
}

// load gives the setting its value from where viper found it or, unless a flag has set it,
// from the file that the environment names for a secret.
func (s setting) load(v *viper.Viper, flagged bool) error {
	var value string
	switch raw := v.Get(s.key).(type) {
	case string:
		value = raw
	case int, int64, float64, bool:
		value = fmt.Sprint(raw)
	default:
		return errors.New("expected a single value")
	}
	if file := os.Getenv(s.env() + "_FILE"); s.secret && file != "" && !flagged {
		if os.Getenv(s.env()) != "" {
			return fmt.Errorf("expected only one of %s and %s_FILE", s.env(), s.env())
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the file that %s_FILE names: %w", s.env(), err)
		}
		value = strings.TrimSpace(string(content))
	}
	return s.set(value)
}
