package cmd_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
	"contacts/contacts/contactstest"
	"contacts/platform/oidc/oidctest"
	"contacts/test/servers"
)

// withKeys has the system's callers need API keys.
func withKeys(s *system) *system {
	s.env = append(s.env, "CONTACTS_AUTH_MODE=keys")
	return s
}

// createKey makes an API key on the command line.
func createKey(t *testing.T, s *system, tenant, scopes string, args ...string) string {
	t.Helper()
	created := run(t, s.folder, s.env, append([]string{"keys", "create", "--tenant", tenant, "--scope", scopes}, args...)...)
	require.Zero(t, created.status, created.stderr)
	secret := strings.TrimSuffix(created.stdout, "\n")
	require.Regexp(t, "^contacts_key_[A-Z2-7]{59}$", secret, "the key alone can be piped on")
	require.NotContains(t, created.stderr, secret)
	return secret
}

const allScopes = "contacts:read,contacts:write"

// keyID returns the id of the only key of a tenant.
func keyID(t *testing.T, s *system, tenant string) string {
	t.Helper()
	lines := strings.Split(run(t, s.folder, s.env, "keys", "list", "--tenant", tenant).stdout, "\n")
	require.Len(t, lines, 3)
	return strings.Fields(lines[1])[0]
}

// awaitRefusal waits until a credential is refused.
func awaitRefusal(t *testing.T, api, credential string) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := contactstest.HTTP{URL: api, Credential: credential}.List(t.Context(), contacts.Filter{}, 1, "")
		if !contacts.IsKind(err, contacts.KindUnauthenticated) {
			require.NoError(t, err)
		}
		return err != nil
	}, time.Minute, 50*time.Millisecond)
}

// Every operation of the binary's own document is guarded, and no key is seen anywhere but
// where it was printed.
func TestEndToEnd_Access_Keys(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		s.env = append(s.env, "CONTACTS_LOG_LEVEL=debug")
		withKeys(s).start(t)
		door := contactstest.GuardedAPI{
			URL: s.url, Owner: createKey(t, s, "acme", allScopes), Rival: createKey(t, s, "rival", allScopes),
			Only: map[contacts.Scope]string{},
			// one of another service
			Bad: []string{"x", createKey(t, embedded(t), "acme", allScopes)},
		}
		for _, scope := range contacts.Scopes() {
			door.Only[scope] = createKey(t, s, "acme", string(scope))
		}
		door.Bad = append(door.Bad, door.Owner[:len(door.Owner)-1], door.Owner+"0", strings.ToUpper(door.Owner))

		revoked := createKey(t, s, "revoked", allScopes)
		require.Zero(t, run(t, s.folder, s.env, "keys", "revoke", keyID(t, s, "revoked")).status)
		expired := createKey(t, s, "acme", allScopes, "--expires", "5s")
		awaitRefusal(t, s.url, expired)
		door.Bad = append(door.Bad, revoked, expired)
		contactstest.RunAccess(t, door)

		listed := run(t, s.folder, s.env, "keys", "list")
		require.Equal(t, 7, strings.Count(listed.stdout, "\n"), listed.stdout)
		_, metrics := request(t, http.MethodGet, s.admin+"/metrics", "")
		require.Regexp(t, `(?m)^contacts_key_lookups_total\{result="hit"\} [1-9]`, metrics)
		told := listed.stdout + listed.stderr + metrics
		for _, p := range s.processes {
			require.Zero(t, p.terminate(t))
			told += p.log()
		}
		require.Contains(t, told, "was revoked", "the log says why")
		for _, credential := range append(door.Bad[1:], door.Owner, door.Rival) {
			require.Equal(t, -1, strings.Index(told, credential), "a credential is told")
		}
		require.NoError(t, filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			require.False(t, bytes.Contains(content, []byte(door.Owner)), path)
			return err
		}))
	})
}

// withTokens has the system's callers need an issuer's tokens, or what else the mode
// accepts.
func withTokens(s *system, mode string, issuer *oidctest.Issuer) *system {
	s.env = append(s.env, "CONTACTS_AUTH_MODE="+mode, "CONTACTS_AUTH_OIDC_ISSUER="+issuer.URL, "CONTACTS_AUTH_OIDC_AUDIENCE="+oidctest.Audience)
	return s
}

// The same with an issuer's tokens, beside which there are API keys.
func TestEndToEnd_Access_Tokens(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		issuer := oidctest.NewIssuer(t)
		s.env = append(s.env, "CONTACTS_LOG_LEVEL=debug")
		withTokens(s, "oidc,keys", issuer).start(t)
		token := func(tenant, scope string) string {
			return issuer.Token(map[string]any{"tenant": tenant, "scope": scope})
		}
		const all = "contacts:read openid contacts:write"
		part := strings.Split(token("acme", all), ".")
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + part[1] + "."
		revoked := createKey(t, s, "revoked", allScopes)
		require.Zero(t, run(t, s.folder, s.env, "keys", "revoke", keyID(t, s, "revoked")).status)
		door := contactstest.GuardedAPI{
			URL: s.url, Owner: token("acme", all), Rival: createKey(t, s, "rival", allScopes),
			Only: map[contacts.Scope]string{},
			Bad: []string{
				"x", unsigned, part[0] + "." + part[1] + "." + strings.Split(token("rival", all), ".")[2], revoked,
				oidctest.NewIssuer(t).Token(map[string]any{"tenant": "acme", "scope": all}),
				issuer.Token(map[string]any{"scope": all, "tenant": nil}), token("acme and more", all), token("", all),
				issuer.Token(map[string]any{"scope": all, "aud": "another"}),
				issuer.Token(map[string]any{"scope": all, "exp": time.Now().Add(-time.Hour).Unix()}),
			},
		}
		for _, scope := range contacts.Scopes() {
			door.Only[scope] = token("acme", string(scope))
		}
		contactstest.RunAccess(t, door)
		var told string
		for _, p := range s.processes {
			require.Zero(t, p.terminate(t))
			told += p.log()
		}
		require.Contains(t, told, "it is for another audience", "the log says why")
		require.Contains(t, told, "the token's tenant: expected")
		for _, credential := range append(door.Bad[1:], door.Owner, door.Rival) {
			for part := range strings.SplitSeq(strings.TrimSuffix(credential, "."), ".") {
				require.Equal(t, -1, strings.Index(told, part), "a part of a credential is told")
			}
		}
	})
}

// The callers of an issuer are told apart by their subjects, not by their tokens.
func TestEndToEnd_Tokens(t *testing.T) {
	t.Parallel()
	s, issuer := embedded(t), oidctest.NewIssuer(t)
	issuer.SetDown(true)
	withTokens(s, "oidc", issuer).start(t)
	as := func(subject string) contactstest.HTTP {
		return contactstest.HTTP{URL: s.url, Credential: issuer.Token(map[string]any{"sub": subject, "scope": "contacts:read contacts:write"})}
	}
	_, err := as("ada").List(t.Context(), contacts.Filter{}, 1, "")
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "it is not said that the token is bad: %v", err)
	issuer.SetDown(false)
	require.Eventually(t, func() bool {
		_, err := as("ada").List(t.Context(), contacts.Filter{}, 1, "")
		return err == nil
	}, time.Minute, 50*time.Millisecond)

	write := waiting()
	write.IdempotencyKey = "the same for all"
	made, err := as("ada").Create(t.Context(), contactstest.Jane(t), write)
	require.NoError(t, err)
	again, err := as("ada").Create(t.Context(), contactstest.Jane(t), write)
	require.NoError(t, err)
	require.Equal(t, made.Contact, again.Contact)
	other, err := as("bob").Create(t.Context(), contactstest.Jane(t), write)
	require.NoError(t, err)
	require.NotEqual(t, made.Contact, other.Contact)
	_, err = as("bob").Get(t.Context(), made.Contact)
	require.NoError(t, err, "they are of one tenant")

	key := contactstest.HTTP{URL: s.url, Credential: createKey(t, s, oidctest.Tenant, allScopes)}
	_, err = key.Get(t.Context(), made.Contact)
	require.True(t, contacts.IsKind(err, contacts.KindUnauthenticated), "keys are not accepted here: %v", err)
}

// A key works at once, and after it was revoked on no replica.
func TestEndToEnd_Keys_Revoked(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		withKeys(s).start(t)
		replicas := []string{s.url}
		if s.worker {
			_, ready := start(t, s.folder, s.env, "serve")
			replicas = append(replicas, ready["api"].(string))
		}
		secret, other := createKey(t, s, "acme", allScopes, "--expires", "90d"), createKey(t, s, "other", allScopes)
		for _, replica := range replicas {
			_, err := contactstest.HTTP{URL: replica, Credential: secret}.Create(t.Context(), contactstest.Jane(t), waiting())
			require.NoError(t, err)
		}
		id := keyID(t, s, "acme")
		for range 2 {
			require.Zero(t, run(t, s.folder, s.env, "keys", "revoke", id).status)
		}
		for _, replica := range replicas {
			awaitRefusal(t, replica, secret)
			_, err := contactstest.HTTP{URL: replica, Credential: other}.List(t.Context(), contacts.Filter{}, 1, "")
			require.NoError(t, err)
		}
		require.Equal(t, id, keyID(t, s, "acme"), "it stays in the list")
	})
}

func TestCommand_Keys(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	createKey(t, s, "acme", "contacts:read") // before anything else was ever started here
	created := run(t, s.folder, s.env, "keys", "create", "--tenant", "acme", "--scope", "contacts:write", "--expires", "2130-12-31")
	require.Contains(t, created.stderr, "2130-12-31T00:00:00Z")
	require.Regexp(t, `"msg":"audit","subject":"operator:\d+","tenant":"acme","action":"create-key","key":"[-0-9a-f]{36}","outcome":"succeeded"`, created.stderr)
	createKey(t, s, "rival", allScopes, "--expires", "2130-12-31T12:00:00+02:00")
	lines := strings.Split(run(t, s.folder, s.env, "keys", "list").stdout, "\n")
	require.Equal(t, []string{"ID", "TENANT", "SCOPES", "CREATED", "EXPIRES", "REVOKED"}, strings.Fields(lines[0]))
	for i, want := range [][]string{
		{"rival", allScopes, "2130-12-31T10:00:00Z", "never"}, {"acme", "contacts:write", "2130-12-31T00:00:00Z", "never"}, {"acme", "contacts:read", "never", "never"},
	} {
		fields := strings.Fields(lines[i+1])
		require.Equal(t, want, append(fields[1:3:3], fields[4:]...))
	}
	for args, expected := range map[string]string{
		"create":                             "scope: expected one or more of",
		"create --scope contacts:read":       "tenant: expected",
		"create --tenant a --scope contacts": "scope: expected only",
		"create --tenant a --scope contacts:read --expires soon":       "--expires: expected days",
		"create --tenant a --scope contacts:read --expires 2020-01-01": "expires: expected a time in the future",
		"create --tenant a --scope contacts:read --expires -1d":        "expires: expected a time in the future",
		"create --tenant a --scope contacts:read --expires 9999999d":   "expires: expected a time in the future, before the year 10000",
		"revoke x": "expected ID to be one",
		"revoke":   "accepts 1 arg",
		"list x":   "unknown command",
	} {
		got := run(t, s.folder, s.env, append([]string{"keys"}, strings.Fields(args)...)...)
		require.Equal(t, 2, got.status, args)
		require.Contains(t, got.stderr, expected, args)
		require.Empty(t, got.stdout, args)
	}
	strange := uuid.NewString()
	unknown := run(t, s.folder, s.env, "keys", "revoke", strange)
	require.Contains(t, unknown.stderr, `"action":"revoke-key","key":"`+strange+`","outcome":"failed","problem":"not-found"`)
	require.Equal(t, 1, unknown.status)
	require.Contains(t, unknown.stderr, "no such API key")

	old := production(t)
	require.Zero(t, run(t, old.folder, old.env, "migrate", "down", "1").status)
	refused := run(t, old.folder, old.env, "keys", "list")
	require.Equal(t, 1, refused.status)
	require.Contains(t, refused.stderr, "contacts migrate")
}

// Callers without a credential are admitted from other machines only if a setting says so.
func TestCommand_OpenDoor(t *testing.T) {
	t.Parallel()
	s := embedded(t)
	// for documentation (RFC 5737), so that nothing can go on from here
	nowhere := "CONTACTS_ADMIN_ADDR=192.0.2.1:0"
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "[2001:db8::1]:0"} {
		got := run(t, s.folder, append(s.env, "CONTACTS_HTTP_ADDR="+address, nowhere), "serve")
		require.Equal(t, 2, got.status, address)
		for _, key := range []string{"http.addr: ", "auth.mode", "auth.insecure"} {
			require.Contains(t, got.stderr, key)
		}
	}
	// Where it is permitted it goes on to listen.
	for _, permission := range []string{"CONTACTS_AUTH_INSECURE=true", "CONTACTS_AUTH_MODE=keys"} {
		got := run(t, s.folder, append(s.env, "CONTACTS_HTTP_ADDR=192.0.2.1:0", permission), "serve")
		require.Equal(t, 1, got.status, permission)
		require.Contains(t, got.stderr, "http.addr: listen")
	}
	const warning = "every client that reaches the port may do everything"
	for mode, warned := range map[string]bool{"none": true, "keys": false} {
		p, _ := start(t, s.folder, append(s.env, "CONTACTS_HTTP_ADDR=localhost:0", "CONTACTS_AUTH_MODE="+mode), "serve")
		require.Zero(t, p.terminate(t))
		require.Equal(t, warned, strings.Contains(p.log(), warning), mode)
	}
}

// No tenant sees another one's data, and idempotency keys belong to one caller each.
func TestEndToEnd_Tenants(t *testing.T) {
	t.Parallel()
	inBothModes(t, func(t *testing.T, s *system) {
		withKeys(s).start(t)
		as := func(tenant string) contactstest.HTTP {
			return contactstest.HTTP{URL: s.url, Credential: createKey(t, s, tenant, allScopes)}
		}
		acme, colleague, rival := as("acme"), as("acme"), as("rival")
		write := waiting()
		write.IdempotencyKey = "the same for all"
		// with an external_id that only one contact of a tenant can have
		fields := contactstest.Full(t)
		made, err := acme.Create(t.Context(), fields, write)
		require.NoError(t, err)

		// The other tenant sees nothing, before and after the first has read, and the reverse.
		for range 2 {
			_, err = rival.Get(t.Context(), made.Contact)
			require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
			for _, client := range []contactstest.HTTP{acme, colleague} {
				document, err := client.Get(t.Context(), made.Contact)
				require.NoError(t, err)
				require.Equal(t, string(made.Document), string(document.JSON))
			}
		}
		for _, filter := range []contacts.Filter{
			{},
			{Text: "zoë"},
			{Text: "z"},
			{Values: map[string]string{"email": "zoe@example.com"}},
			{Values: map[string]string{"phone": "+51987654321"}},
			{Values: map[string]string{"label": "vip"}},
			{UpdatedSince: time.Now().Add(-time.Hour)},
			{Sort: contacts.SortName},
		} {
			page, err := rival.List(t.Context(), filter, 10, "")
			require.NoError(t, err)
			require.Empty(t, page.Items, filter)
			page, err = acme.List(t.Context(), filter, 10, "")
			require.NoError(t, err)
			require.Len(t, page.Items, 1, filter)
		}
		require.Empty(t, changesOf(t, rival).Items)
		changes := awaitChanges(t, acme, 1)
		_, err = acme.Operation(t.Context(), changes.Items[0].Operation)
		require.NoError(t, err)
		_, err = rival.Operation(t.Context(), changes.Items[0].Operation)
		require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
		async, err := acme.Create(t.Context(), contactstest.Jane(t), contacts.Write{})
		require.NoError(t, err)
		_, err = rival.Operation(t.Context(), async.ID)
		require.True(t, contacts.IsKind(err, contacts.KindNotFound), "also one that is noted as pending: %v", err)
		awaitChanges(t, acme, 2)

		// A cursor of one tenant tells another nothing.
		page, err := acme.List(t.Context(), contacts.Filter{}, 1, "")
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		page, err = rival.List(t.Context(), contacts.Filter{}, 1, page.Next)
		require.NoError(t, err)
		require.Empty(t, page.Items)

		// The same key, and the same request or another: three callers, three operations.
		again, err := acme.Create(t.Context(), fields, write)
		require.NoError(t, err)
		require.Equal(t, made.Contact, again.Contact)
		theirs, err := rival.Create(t.Context(), fields, write)
		require.NoError(t, err)
		require.NotEqual(t, made.Contact, theirs.Contact)
		_, err = rival.Get(t.Context(), theirs.Contact)
		require.NoError(t, err)
		_, err = acme.Get(t.Context(), theirs.Contact)
		require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
		third, err := colleague.Create(t.Context(), contactstest.Jane(t), write)
		require.NoError(t, err)
		require.NotEqual(t, made.Contact, third.Contact)
		_, err = colleague.Create(t.Context(), fields, write)
		require.True(t, contacts.IsKind(err, contacts.KindKeyReused), "%v", err)

		// Nor can the other change anything: it is told the same as of an id that does not
		// exist.
		for _, id := range []uuid.UUID{made.Contact, contactstest.NewID(t)} {
			_, err = rival.Merge(t.Context(), id, contacts.Patch(`{"nickname":"N"}`), waiting())
			require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
			_, err = rival.Replace(t.Context(), id, contactstest.Jane(t), waiting())
			require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
			_, err = rival.Delete(t.Context(), id, waiting())
			require.True(t, contacts.IsKind(err, contacts.KindNotFound), "%v", err)
		}
		document, err := acme.Get(t.Context(), made.Contact)
		require.NoError(t, err)
		require.Equal(t, string(made.Document), string(document.JSON))
		seeded := run(t, s.folder, s.env, "seed", "--count", "2", "--tenant", "third")
		require.Zero(t, seeded.status, seeded.stderr)
		awaitChanges(t, as("third"), 2)
		awaitChanges(t, rival, 1)
		awaitChanges(t, acme, 3)
	})
}

// While the database is away, callers with a cached key are served as far as possible; others
// cannot be identified.
func TestEndToEnd_Keys_DatabaseOutage(t *testing.T) {
	t.Parallel()
	s := withKeys(production(t))
	server, err := servers.StartPostgres(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	app, err := url.Parse(server.URL)
	require.NoError(t, err)
	app.User = url.User("contacts_app")
	s.env = append(s.env, "CONTACTS_DATABASE_URL="+app.String(), "CONTACTS_DATABASE_OWNER_URL="+server.URL)
	migrated := run(t, s.folder, s.env, "migrate")
	require.Zero(t, migrated.status, migrated.stderr)
	s.start(t)
	client := contactstest.HTTP{URL: s.url, Credential: createKey(t, s, "acme", allScopes)}
	stranger := contactstest.HTTP{URL: s.url, Credential: createKey(t, s, "acme", allScopes)}
	made, err := client.Create(t.Context(), contactstest.Jane(t), waiting())
	require.NoError(t, err)
	// From then on reads need no database.
	require.Eventually(t, func() bool {
		_, metrics := request(t, http.MethodGet, s.admin+"/metrics", "")
		// the line, and not the one that explains it
		return strings.Contains(metrics, "\ncontacts_cache_trusted 1\n")
	}, time.Minute, 20*time.Millisecond)
	_, err = client.Get(t.Context(), made.Contact)
	require.NoError(t, err)

	require.NoError(t, server.Kill())
	var accepted []uuid.UUID
	// longer than a look-up is remembered
	for killed := time.Now(); time.Since(killed) < 10*time.Second; {
		operation, err := client.Create(t.Context(), contactstest.Jane(t), contacts.Write{})
		require.NoError(t, err)
		require.Equal(t, contacts.Pending, operation.Status)
		accepted = append(accepted, operation.ID)
		var document contacts.Document
		require.Eventually(t, func() bool { // a cache that was slow once is passed by for a second
			document, err = client.Get(t.Context(), made.Contact)
			return err == nil
		}, time.Minute, 20*time.Millisecond)
		require.Equal(t, string(made.Document), string(document.JSON))
		time.Sleep(50 * time.Millisecond)
	}
	_, err = stranger.Get(t.Context(), made.Contact)
	require.True(t, contacts.IsKind(err, contacts.KindUnavailable), "it is not said that the key is bad: %v", err)

	require.NoError(t, server.Restart(t.Context()))
	require.Eventually(t, func() bool {
		_, err := stranger.Get(t.Context(), made.Contact)
		return err == nil
	}, time.Minute, 50*time.Millisecond)
	for _, id := range accepted {
		require.Eventually(t, func() bool {
			now, err := client.Operation(t.Context(), id)
			return err == nil && now.Status == contacts.Succeeded
		}, time.Minute, 20*time.Millisecond)
	}
}

// changePage is the API's form of a page of changes.
type changePage struct {
	Items []struct {
		Contact   uuid.UUID `json:"contact_id"`
		Operation uuid.UUID `json:"operation_id"`
	} `json:"items"`
}

// awaitChanges returns a tenant's changes once there are so many: they come behind what else
// runs on the server.
func awaitChanges(t *testing.T, client contactstest.HTTP, n int) (page changePage) {
	t.Helper()
	require.Eventually(t, func() bool {
		page = changesOf(t, client)
		return len(page.Items) == n
	}, time.Minute, 20*time.Millisecond)
	return page
}

// changesOf returns the changes that a caller sees.
func changesOf(t *testing.T, client contactstest.HTTP) changePage {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, client.URL+"/v1/changes", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+client.Credential)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	var page changePage
	require.NoError(t, json.NewDecoder(response.Body).Decode(&page))
	return page
}
