package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"contacts/contacts"
	"contacts/test/system"
)

// grow writes contacts into the table, as the worker would but without its changes and operations, until there are so many.
func (b *bench) grow(ctx context.Context, rows int) error {
	var have int
	db := b.db.Write.WithContext(ctx)
	if err := db.Raw("SELECT count(*) FROM contacts").Scan(&have).Error; err != nil {
		return err
	}
	const each = 1000
	empty := strings.Repeat(", ''", 13)
	statement := "INSERT INTO contacts (tenant_id, id, version, created_at, updated_at, first_name, display_name, search_text, search_name, " +
		"middle_name, last_name, name_prefix, name_suffix, nickname, email, phone, organization, department, job_title, birthday, notes, external_id) VALUES "
	for have < rows {
		groups := make([]string, each)
		values := make([]any, 0, each*6)
		now := time.Now().UTC().Truncate(time.Microsecond)
		for i := range groups {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			name := fmt.Sprintf("Grown%06d", (have+i)%1_000_000)
			ix := contacts.Contact{Fields: contacts.Fields{FirstName: name, DisplayName: name}}.Index()
			groups[i] = "('default', ?, 1, ?, ?, ?, ?, ?, ?" + empty + ")"
			values = append(values, id, now, now, name, name, ix.Text, ix.Name)
		}
		if err := db.Exec(statement+strings.Join(groups, ", "), values...).Error; err != nil {
			return err
		}
		have += each
	}
	if b.table.Mode == system.Production { // as it does by itself after a while
		return db.Exec("VACUUM ANALYZE contacts").Error
	}
	return nil
}

// nameCursor is the cursor of a place in the order of names, which one gets to after many pages.
func nameCursor(name string) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, `{"s":"name","i":%q,"n":%q}`, uuid.Must(uuid.NewV7()), name))
}
