package database

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	sqlite3 "modernc.org/sqlite/lib"
)

func TestFaultOf_States(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]Fault{
		"40001": Transient, "40P01": Transient, // the classes
		"08006": Transient,
		"25P02": Transient, "25P03": Transient,
		"53100": Down, "53300": Down,
		"57P03": Down,
		"28P01": Down,
		"58030": Down,

		"53200": Transient, // the exceptions
		"57P01": Transient, "57014": Transient,
		"25006": Down,
		"55P03": Transient,
		"0A000": Transient,
		"26000": Transient, "42P05": Transient,
		"42P01": Down, "42703": Down, "42501": Down,
		"23505": Transient,

		"": Statement, "22001": Statement, "23502": Statement, "42601": Statement, "55000": Statement,
	} {
		err := fmt.Errorf("wrapped: %w", &pgconn.PgError{Code: state})
		require.Equal(t, want, FaultOf(err), state)
	}
}

func TestFaultOf_Codes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]Fault{
		sqlite3.SQLITE_BUSY: Transient, sqlite3.SQLITE_BUSY_SNAPSHOT: Transient, sqlite3.SQLITE_LOCKED: Transient,
		sqlite3.SQLITE_INTERRUPT: Transient,
		sqlite3.SQLITE_PROTOCOL:  Transient,
		sqlite3.SQLITE_NOMEM:     Transient, sqlite3.SQLITE_IOERR_NOMEM: Down,
		sqlite3.SQLITE_FULL: Down, sqlite3.SQLITE_IOERR_FSYNC: Down, sqlite3.SQLITE_CANTOPEN: Down, sqlite3.SQLITE_READONLY: Down,
		sqlite3.SQLITE_CORRUPT: Down, sqlite3.SQLITE_CORRUPT_INDEX: Down, sqlite3.SQLITE_NOTADB: Down,
		sqlite3.SQLITE_CONSTRAINT_UNIQUE: Transient, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Transient,
		sqlite3.SQLITE_CONSTRAINT_NOTNULL: Statement, sqlite3.SQLITE_ERROR: Statement, sqlite3.SQLITE_TOOBIG: Statement,
	} {
		require.Equal(t, want, faultOfCode(code), code)
	}
}
