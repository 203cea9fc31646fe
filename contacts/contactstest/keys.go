package contactstest

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"contacts/contacts"
)

// KeyModel is the simplest [contacts.KeyStore] there can be. It passes [RunKeys], and serves
// tests that need no database. The zero KeyModel is empty.
type KeyModel struct {
	// OnLookup, unless nil, is called for each look-up, before it is answered, which it then
	// is with the error.
	OnLookup func(ctx context.Context, hash contacts.KeyHash) error

	mu   sync.Mutex
	keys map[contacts.KeyHash]contacts.APIKey
}

var _ contacts.KeyStore = (*KeyModel)(nil)

// AddAPIKey implements [contacts.KeyStore].
func (m *KeyModel) AddAPIKey(_ context.Context, hash contacts.KeyHash, key contacts.APIKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[contacts.KeyHash]contacts.APIKey{}
	}
	m.keys[hash] = key
	return nil
}

// APIKey implements [contacts.KeyStore].
func (m *KeyModel) APIKey(ctx context.Context, hash contacts.KeyHash) (contacts.APIKey, bool, error) {
	if m.OnLookup != nil {
		if err := m.OnLookup(ctx, hash); err != nil {
			return contacts.APIKey{}, false, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	key, found := m.keys[hash]
	return key, found, nil
}

// APIKeys implements [contacts.KeyStore].
func (m *KeyModel) APIKeys(_ context.Context, tenant contacts.Tenant) ([]contacts.APIKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []contacts.APIKey
	for _, key := range m.keys {
		if tenant == "" || key.Tenant == tenant {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b contacts.APIKey) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return keys, nil
}

// RevokeAPIKey implements [contacts.KeyStore].
func (m *KeyModel) RevokeAPIKey(_ context.Context, id uuid.UUID, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, key := range m.keys {
		if key.ID != id {
			continue
		}
		if key.RevokedAt.IsZero() {
			key.RevokedAt = at
			m.keys[hash] = key
		}
		return nil
	}
	return contacts.NoAPIKey()
}

// RunKeys is the contract of [contacts.KeyStore]. The keys are those of the whole store, so
// that open has to return a new one.
func RunKeys(t *testing.T, open func(t *testing.T) contacts.KeyStore) {
	store := open(t)
	tenants := []contacts.Tenant{NewTenant(), NewTenant()}
	now := time.Now().UTC().Truncate(time.Microsecond)
	hash := func(i int) contacts.KeyHash { return contacts.KeyHash{0: byte(i), 31: 0xff} }
	var added []contacts.APIKey // the latest first
	for i := range 4 {
		key := contacts.APIKey{
			ID: NewID(t), Tenant: tenants[i%2], Scopes: contacts.Scopes()[:1+i/2], CreatedAt: now.Add(time.Duration(i) * time.Second),
		}
		if i == 3 {
			key.ExpiresAt = now.Add(time.Hour)
		}
		require.NoError(t, store.AddAPIKey(t.Context(), hash(i), key))
		added = append([]contacts.APIKey{key}, added...)
	}
	lookUp := func(i int) contacts.APIKey {
		t.Helper()
		key, found, err := store.APIKey(t.Context(), hash(i))
		require.NoError(t, err)
		require.True(t, found, strconv.Itoa(i))
		return key
	}
	for i := range added {
		require.Equal(t, added[len(added)-1-i], lookUp(i))
	}
	for _, unknown := range []contacts.KeyHash{{}, {0: 1}, {0: 9, 31: 0xff}} {
		_, found, err := store.APIKey(t.Context(), unknown)
		require.NoError(t, err)
		require.False(t, found)
	}
	listed, err := store.APIKeys(t.Context(), "")
	require.NoError(t, err)
	require.Equal(t, added, listed)
	listed, err = store.APIKeys(t.Context(), tenants[0])
	require.NoError(t, err)
	require.Equal(t, []contacts.APIKey{added[1], added[3]}, listed)
	listed, err = store.APIKeys(t.Context(), NewTenant())
	require.NoError(t, err)
	require.Empty(t, listed)

	for i := range 2 { // the second time changes nothing
		require.NoError(t, store.RevokeAPIKey(t.Context(), added[3].ID, now.Add(time.Duration(i)*time.Minute)))
		require.Equal(t, now, lookUp(0).RevokedAt)
	}
	require.Zero(t, lookUp(1).RevokedAt, "the others are not")
	requireKind(t, contacts.KindNotFound, store.RevokeAPIKey(t.Context(), NewID(t), now))
}
