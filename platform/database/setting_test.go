package database_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

// A setting holds from the first statement of its transaction to the last, and never in
// another one of the same connection.
func TestWithSetting(t *testing.T) {
	t.Parallel()
	db, err := database.Open(t.Context(), databasetest.New(t, database.Postgres), database.MaxConnections(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	read := func(tx *gorm.DB) (value sql.NullString) {
		t.Helper()
		require.NoError(t, tx.Raw("SELECT nullif(current_setting('test.value', true), '')").Scan(&value).Error)
		return value
	}
	none, failure := sql.NullString{}, errors.New("failure")
	require.Equal(t, none, read(db.Read))
	for _, value := range []string{"a b", `'; DROP TABLE things; --`, `\'ü"$1`, "\n%s"} {
		ctx := database.WithSetting(t.Context(), "test.value", value)
		want := sql.NullString{String: value, Valid: true}
		require.Equal(t, none, read(db.Read.WithContext(ctx)), "there is no transaction")
		for _, options := range []*sql.TxOptions{{}, {ReadOnly: true}, {Isolation: sql.LevelRepeatableRead, ReadOnly: true}} {
			require.NoError(t, db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
				require.Equal(t, want, read(tx))
				var level, readOnly string
				require.NoError(t, tx.Raw("SHOW transaction_isolation").Scan(&level).Error)
				require.NoError(t, tx.Raw("SHOW transaction_read_only").Scan(&readOnly).Error)
				require.Equal(t, options.Isolation == sql.LevelRepeatableRead, level == "repeatable read", level)
				require.Equal(t, options.ReadOnly, readOnly == "on")
				require.Equal(t, want, read(tx))
				return nil
			}, options))
			require.Equal(t, none, read(db.Read), "after the commit")
		}
		for name, end := range map[string]func(tx *gorm.DB, cancel func()) error{
			"rolled back": func(*gorm.DB, func()) error { return failure },
			"failed":      func(tx *gorm.DB, _ func()) error { return tx.Exec("SELECT nonsense").Error },
			"panicked":    func(*gorm.DB, func()) error { panic(failure) },
			"cancelled": func(tx *gorm.DB, cancel func()) error {
				cancel()
				return tx.Exec("SELECT 1").Error
			},
			"cancelled in a statement": func(tx *gorm.DB, cancel func()) error {
				go cancel()
				return tx.Exec("SELECT pg_sleep(60)").Error
			},
			"set for the session, and undone": func(tx *gorm.DB, _ func()) error {
				return errors.Join(tx.Exec("SET test.value = 'kept'").Error, failure)
			},
		} {
			func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				defer func() {
					if recovered := recover(); recovered != nil {
						require.Equal(t, failure, recovered)
					}
				}()
				require.Error(t, db.Write.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
					require.Equal(t, want, read(tx))
					return end(tx, cancel)
				}), name)
			}()
			require.Equal(t, none, read(db.Read), name)
			require.NoError(t, db.Write.Transaction(func(tx *gorm.DB) error {
				require.Equal(t, none, read(tx), name)
				return nil
			}))
		}
	}
	require.NoError(t, db.Write.Exec("SELECT 1").Error)
}

// A context without a setting begins transactions as ever, and one that has ended none.
func TestWithSetting_Cancelled(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.Postgres))
	ctx, cancel := context.WithCancel(database.WithSetting(t.Context(), "test.value", "x"))
	cancel()
	require.ErrorIs(t, db.Write.WithContext(ctx).Transaction(func(*gorm.DB) error { return nil }), context.Canceled)
}
