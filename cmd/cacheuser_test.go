package cmd_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"contacts/contacts/contactstest"
	"contacts/test/servers"
)

// On AWS the program is a user of the cache with few permissions. It does nothing that is
// refused.
func TestEndToEnd_CacheUser(t *testing.T) {
	t.Parallel()
	server, err := servers.StartRedis(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	require.NoError(t, ask(t, server, "ACL SETUSER contacts >secret "+strings.Join(accessOnAWS(t), " ")))

	s := withKeys(production(t))
	s.env = append(s.env, "CONTACTS_CACHE_URL="+strings.Replace(server.URL, "://", "://contacts:secret@", 1))
	s.start(t)
	key := createKey(t, s, "acme", allScopes)
	contactstest.RunService(t, contactstest.HTTP{URL: s.url, Credential: key})
	for _, p := range s.processes {
		require.Zero(t, p.terminate(t))
	}
	refused, err := answerOf(t, server, "ACL LOG")
	require.NoError(t, err)
	require.Equal(t, "*0", refused, "the cache has refused something: the reason is in its ACL LOG")
	keys, err := answerOf(t, server, "DBSIZE")
	require.NoError(t, err)
	require.NotEqual(t, ":0", keys, "the cache was used")
}

// accessOnAWS returns the rules of the program's user in the Terraform module of the cache.
func accessOnAWS(t *testing.T) []string {
	t.Helper()
	module, err := os.ReadFile("../terraform/modules/redis/users.tf")
	require.NoError(t, err)
	list := regexp.MustCompile(`(?s)access = join\(" ", \[(.*?)\]\)`).FindSubmatch(module)
	require.NotNil(t, list)
	var rules []string
	for _, rule := range regexp.MustCompile(`"([^"]+)"`).FindAllStringSubmatch(string(list[1]), -1) {
		rules = append(rules, rule[1])
	}
	require.Contains(t, rules, "-@all")
	return rules
}
