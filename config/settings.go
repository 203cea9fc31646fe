package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// setting is one key: its default, what it is for, and how its text becomes a value.
type setting struct {
	// section.name; the flag is --section-name, the environment's variable
	// CONTACTS_SECTION_NAME
	key    string
	value  string // the default
	usage  string
	secret bool // may hold a password: CONTACTS_…_FILE reads it from a file, and no error shows it
	set    func(text string) error
}

func (s setting) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(s.key) }
func (s setting) env() string {
	return "CONTACTS_" + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}

// MaxPollWait is the longest queue.poll_wait. SQS would take 20 s; but an operator that ends a
// process waits for its last polls, since SQS hides what it gives a poll that was cut, and has
// the rest of the work to finish within the time that it is given.
const MaxPollWait = 9 * time.Second

// settings lists every setting there is, each writing into c.
func settings(c *Config) []setting {
	return []setting{
		{
			"database.url", "sqlite://data/contacts.db", "database: sqlite:// and a file's path, or postgres://…", true,
			location(&c.Database.URL, "sqlite", "postgres", "postgresql"),
		},
		{
			"database.owner_url", "", "PostgreSQL: the role of 'contacts migrate', which makes the role of database.url; none: as that role", true,
			optional(location(&c.Database.OwnerURL, "postgres", "postgresql")),
		},
		{
			"cache.url", memoryCache, "cache: memory://, redis://… or rediss://…", true,
			location(&c.Cache.URL, "memory", "redis", "rediss"),
		},
		{"queue.url", EmbeddedQueue, "queue: embedded://, or the URL of an SQS FIFO queue", false, queueURL(&c.Queue.URL)},
		{
			"queue.visibility", "60s", "SQS: how long a received message is hidden from other workers before it is delivered again", false,
			duration(&c.Queue.Visibility, time.Second, 12*time.Hour),
		},
		{"queue.poll_wait", "5s", "how long one receive waits for messages, up to 9s", false, duration(&c.Queue.PollWait, 0, MaxPollWait)},
		{"http.addr", "127.0.0.1:8000", "address of the API", false, address(&c.HTTP.Addr)},
		{"http.max_body_bytes", "1048576", "largest accepted request body, in bytes", false, number(&c.HTTP.MaxBodyBytes, 1024, 16<<20)},
		{"http.tls_cert", "", "file of a certificate and its chain, PEM: the API speaks TLS; none: plain HTTP, for behind a load balancer", false, anything(&c.HTTP.TLSCert)},
		{"http.tls_key", "", "file of the certificate's private key, PEM; both files are read again when they change", false, anything(&c.HTTP.TLSKey)},
		{"admin.addr", "127.0.0.1:9090", "address of /livez, /readyz and /metrics", false, address(&c.Admin.Addr)},
		{"admin.pprof", "false", "serve profiles of the process under /debug/pprof/ of admin.addr", false, boolean(&c.Admin.Pprof)},
		{
			"auth.mode", authNone, "how callers authenticate: none (not at all), keys (with an API key), oidc (with the issuer's token) or keys,oidc", false,
			oneOf(&c.Auth.Mode, authNone, authKeys, authOIDC, authKeys+","+authOIDC, authOIDC+","+authKeys),
		},
		{"auth.insecure", "false", "with auth.mode none: listen beyond loopback, because something outside guards the port", false, boolean(&c.Auth.Insecure)},
		{"auth.oidc_issuer", "", "the issuer's URL as its tokens write it in iss; https, or http on loopback", false, anything(&c.Auth.OIDCIssuer)},
		{"auth.oidc_audience", "", "the audience that tokens need: one name or more, with commas between them", false, list(&c.Auth.OIDCAudience)},
		{"auth.oidc_audience_claim", "aud", "the claim, or a JSON pointer to it, that names a token's audience", false, name(&c.Auth.OIDCAudienceClaim)},
		{"auth.oidc_tenant_claim", "tenant", "the claim, or a JSON pointer to it, with the caller's tenant", false, name(&c.Auth.OIDCTenantClaim)},
		{"auth.oidc_scope_claim", "scope", "the claim, or a JSON pointer to it, with the caller's scopes", false, name(&c.Auth.OIDCScopeClaim)},
		{"auth.oidc_scope_prefix", "", "what stands before each of this service's scopes in tokens", false, anything(&c.Auth.OIDCScopePrefix)},
		{
			"auth.oidc_algorithms", "RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA,Ed25519",
			"the algorithms that tokens may be signed with", false, list(&c.Auth.OIDCAlgorithms),
		},
		{"auth.oidc_skew", "30s", "how far the issuer's clock may be from this one", false, duration(&c.Auth.OIDCSkew, time.Second, 5*time.Minute)},
		{"write.wait", "2s", "how long a write waits for its end before it is answered 202", false, duration(&c.Write.Wait, 0, 30*time.Second)},
		{"limit.rate", "200", "how many requests a second each caller may send in the long run, shared by all replicas; 0: any number", false, number(&c.Limit.Rate, 0, 10_000)},
		{"limit.burst", "0", "how many of them at once; 0: twice the rate", false, number(&c.Limit.Burst, 0, 100_000)},
		{"limit.connections", "2048", "how many connections may be open at the same time, each some 30 KiB of memory; half as many requests may be being answered", false, number(&c.Limit.Connections, 16, 1_000_000)},
		{"limit.waiting_writes", "500", "how many writes may wait for their ends at the same time; one more is answered 202 at once", false, number(&c.Limit.WaitingWrites, 1, 1_000_000)},
		{"limit.followers", "200", "how many callers may wait for changes, or follow them, at the same time; each asks the database five times a second", false, number(&c.Limit.Followers, 1, 1_000_000)},
		{"worker.loops", "4", "how many batches a worker works on at the same time, at the most", false, number(&c.Worker.Loops, 1, 64)},
		{"worker.batch", "100", "how many commands one transaction applies at the most, but for the last ones received; SQS hands out ten at a time", false, number(&c.Worker.Batch, 1, 500)},
		{
			"contact.default_region", "", "country of phone numbers written without one (ISO 3166-1 alpha-2); none: only numbers with a + get an E.164 form", false,
			region(&c.Contact.DefaultRegion),
		},
		{"log.level", "info", "debug, info, warn or error", false, oneOf(&c.Log.Level, "debug", "info", "warn", "error")},
		{"log.format", "auto", "text, json, or auto: text on a terminal", false, oneOf(&c.Log.Format, "auto", "text", "json")},
	}
}

// location accepts a URL of one of the schemes. Its errors do not show the URL, which may hold
// a password.
func location(target *string, schemes ...string) func(string) error {
	return func(text string) error {
		scheme, rest, ok := strings.Cut(text, "://")
		if !ok || !slices.Contains(schemes, scheme) {
			return fmt.Errorf("expected a URL that begins with one of %s://", strings.Join(schemes, "://, "))
		}
		if _, err := url.Parse(text); err != nil {
			return fmt.Errorf("expected a URL as in %s://…: this one cannot be read; a password's special characters must be percent-encoded", scheme)
		}
		if (rest == "") != (scheme == "memory") {
			return fmt.Errorf("expected %s", map[bool]string{true: memoryCache, false: "a host or a path behind " + scheme + "://"}[scheme == "memory"])
		}
		*target = text
		return nil
	}
}

// optional accepts nothing, too.
func optional(set func(string) error) func(string) error {
	return func(text string) error {
		if text == "" {
			return nil
		}
		return set(text)
	}
}

func queueURL(target *string) func(string) error {
	return func(text string) error {
		u, err := url.Parse(text)
		switch {
		case text == EmbeddedQueue:
		case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "":
			return errors.New("expected embedded:// or the URL of an SQS queue, as in https://sqs.eu-west-1.amazonaws.com/123456789012/contacts-commands.fifo")
		case !strings.HasSuffix(u.Path, ".fifo"):
			return errors.New("expected a FIFO queue, whose name ends in .fifo: others do not keep a contact's writes in order")
		}
		*target = text
		return nil
	}
}

func address(target *string) func(string) error {
	return func(text string) error {
		_, port, err := net.SplitHostPort(text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return errors.New("expected HOST:PORT, as in 127.0.0.1:8000")
		}
		*target = text
		return nil
	}
}

func duration(target *time.Duration, low, high time.Duration) func(string) error {
	return func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d < low || d > high {
			return fmt.Errorf("expected a duration from %s to %s, as in 1500ms or 2s", low, high)
		}
		*target = d
		return nil
	}
}

func number[N int | int64](target *N, low, high N) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < int64(low) || n > int64(high) {
			return fmt.Errorf("expected a whole number from %d to %d", low, high)
		}
		*target = N(n)
		return nil
	}
}

func boolean(target *bool) func(string) error {
	return func(text string) error {
		if text != "true" && text != "false" {
			return errors.New("expected true or false")
		}
		*target = text == "true"
		return nil
	}
}

func region(target *string) func(string) error {
	return func(text string) error {
		letters := strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
		if text != "" && (len(text) != 2 || !letters) {
			return errors.New("expected two capital letters, as in PE, or nothing")
		}
		*target = text
		return nil
	}
}

// list accepts values with commas between them, or nothing.
func list(target *[]string) func(string) error {
	return func(text string) error {
		*target = nil
		for value := range strings.SplitSeq(text, ",") {
			value = strings.TrimSpace(value)
			if value == "" && text != "" {
				return errors.New("expected a value before and behind each comma")
			}
			if value != "" {
				*target = append(*target, value)
			}
		}
		return nil
	}
}

func name(target *string) func(string) error {
	return func(text string) error {
		if text == "" {
			return errors.New("expected a name")
		}
		*target = text
		return nil
	}
}

func anything(target *string) func(string) error {
	return func(text string) error { *target = text; return nil }
}

func oneOf(target *string, values ...string) func(string) error {
	return func(text string) error {
		if !slices.Contains(values, text) {
			return fmt.Errorf("expected one of %s", strings.Join(values, ", "))
		}
		*target = text
		return nil
	}
}
