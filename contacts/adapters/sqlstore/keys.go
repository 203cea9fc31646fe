package sqlstore

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"contacts/contacts"
)

var _ contacts.KeyStore = (*Store)(nil)

// apiKeyRow is a row of the table api_keys.
type apiKeyRow struct {
	ID        uuid.UUID `gorm:"primaryKey"`
	Hash      []byte
	TenantID  string
	Scopes    string    // separated by spaces
	CreatedAt time.Time `gorm:"autoCreateTime:false"`
	ExpiresAt *time.Time
	RevokedAt *time.Time
}

// TableName implements gorm's Tabler.
func (apiKeyRow) TableName() string { return "api_keys" }

func (r apiKeyRow) key() contacts.APIKey {
	key := contacts.APIKey{
		ID: r.ID, Tenant: contacts.Tenant(r.TenantID), CreatedAt: r.CreatedAt.UTC(),
		ExpiresAt: timeOf(r.ExpiresAt), RevokedAt: timeOf(r.RevokedAt),
	}
	for scope := range strings.FieldsSeq(r.Scopes) {
		key.Scopes = append(key.Scopes, contacts.Scope(scope))
	}
	return key
}

// timeOf returns the time in a column, zero where there is none.
func timeOf(column *time.Time) time.Time {
	if column == nil {
		return time.Time{}
	}
	return column.UTC()
}

// AddAPIKey implements [contacts.KeyStore].
func (s *Store) AddAPIKey(ctx context.Context, hash contacts.KeyHash, key contacts.APIKey) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	row := apiKeyRow{ID: key.ID, Hash: hash[:], TenantID: string(key.Tenant), CreatedAt: key.CreatedAt}
	scopes := make([]string, len(key.Scopes))
	for i, scope := range key.Scopes {
		scopes[i] = string(scope)
	}
	row.Scopes = strings.Join(scopes, " ")
	if !key.ExpiresAt.IsZero() {
		row.ExpiresAt = &key.ExpiresAt
	}
	if err := s.write(ctx, ofNobody(), func(tx *gorm.DB) error { return tx.Create(&row).Error }); err != nil {
		return readError(ctx, "add an API key", err)
	}
	return nil
}

// APIKey implements [contacts.KeyStore].
func (s *Store) APIKey(ctx context.Context, hash contacts.KeyHash) (contacts.APIKey, bool, error) {
	var rows []apiKeyRow
	err := s.read(ctx, ofNobody(), func(db *gorm.DB) error { return db.Where("hash = ?", hash[:]).Find(&rows).Error })
	if err != nil {
		return contacts.APIKey{}, false, readError(ctx, "look up an API key", err)
	}
	if len(rows) == 0 {
		return contacts.APIKey{}, false, nil
	}
	return rows[0].key(), true, nil
}

// APIKeys implements [contacts.KeyStore].
func (s *Store) APIKeys(ctx context.Context, tenant contacts.Tenant) ([]contacts.APIKey, error) {
	var rows []apiKeyRow
	err := s.read(ctx, ofNobody(), func(db *gorm.DB) error {
		if tenant != "" {
			db = db.Where("tenant_id = ?", string(tenant))
		}
		return db.Order("created_at DESC, id").Find(&rows).Error
	})
	if err != nil {
		return nil, readError(ctx, "list API keys", err)
	}
	keys := make([]contacts.APIKey, len(rows))
	for i, row := range rows {
		keys[i] = row.key()
	}
	return keys, nil
}

// RevokeAPIKey implements [contacts.KeyStore].
func (s *Store) RevokeAPIKey(ctx context.Context, id uuid.UUID, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	var found int64
	err := s.write(ctx, ofNobody(), func(tx *gorm.DB) error {
		// One that is revoked already is counted too, and keeps its time.
		revoked := tx.Exec("UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?", at, id)
		found = revoked.RowsAffected
		return revoked.Error
	})
	switch {
	case err != nil:
		return readError(ctx, "revoke an API key", err)
	case found == 0:
		return contacts.NoAPIKey()
	}
	return nil
}
