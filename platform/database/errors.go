package database

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Fault is what an error says about trying again.
type Fault int

// The faults of a failed statement or transaction.
const (
	// Statement blames the statement or its values: the same will fail again.
	Statement Fault = iota
	// Transient blames circumstances that pass: the same transaction may succeed when it is
	// tried again.
	Transient
	// Down says that the database cannot be reached, takes no writes, or is not set up for
	// this program: no statement can pass before an operator mends that.
	Down
)

// FaultOf sorts an error of either engine. It blames the statement when it does not know
// better.
func FaultOf(err error) Fault {
	var (
		postgresError *pgconn.PgError
		connectError  *pgconn.ConnectError
		sqliteError   *sqlite.Error
		netError      net.Error
	)
	switch {
	case errors.Is(err, ErrFileLost):
		return Down
	// no statement has come to the server, with any answer of its
	case errors.As(err, &connectError):
		return Down
	case errors.As(err, &postgresError):
		return faultOfState(postgresError.Code)
	case errors.As(err, &sqliteError):
		return faultOfCode(sqliteError.Code())
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, context.DeadlineExceeded), errors.Is(err, sql.ErrTxDone):
		// A deadline on this side, which may be told as the end of the transaction, is longer
		// than the limits on the server's: it does not keep them, so it is not there.
		return Down
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF),
		errors.As(err, &netError), pgconn.SafeToRetry(err):
		return Transient
	}
	return Statement
}

// Undone reports whether a failed commit is known to have been rolled back on SQLite. A
// commit fails without a trace where the file is lost, or where its last page, which makes it
// valid, could not be written. What fails later, as syncing does, may be found committed.
func Undone(err error) bool {
	if errors.Is(err, errUncommitted) {
		return true
	}
	failed, ok := errors.AsType[*sqlite.Error](err)
	return ok && slices.Contains([]int{sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}, failed.Code())
}

// faultOfState sorts PostgreSQL's SQLSTATEs, by code or else by class (PostgreSQL manual,
// appendix A).
func faultOfState(state string) Fault {
	codes := map[string]Fault{
		// unique_violation: what a concurrent transaction has committed is seen when tried
		// again
		"23505": Transient,
		// read_only_sql_transaction: a standby, or a server that was set read-only
		"25006": Down,
		"55P03": Transient, // lock_not_available, by lock_timeout
		"57P01": Transient, // admin_shutdown: this connection was terminated
		"57014": Transient, // query_canceled, by statement_timeout
		"53200": Transient, // out_of_memory: no room for a lock, until others give theirs back
		// feature_not_supported: a prepared statement's result has changed, by a migration
		"0A000": Transient,
		"26000": Transient, // invalid_sql_statement_name: a pooler has lost a prepared statement
		"42P05": Transient, // duplicate_prepared_statement: or has kept another one's
		// insufficient_privilege: a grant is missing, or a policy is wrong: each row is
		// written for its own tenant
		"42501": Down,
		"42P01": Down, // undefined_table: the schema is not the program's
		"42703": Down, // undefined_column: the same
	}
	classes := map[string]Fault{
		"08": Transient, // connection exception
		"25": Transient, // invalid transaction state, by a timeout in mid-transaction
		"28": Down,      // invalid authorization: the password was changed
		"3D": Down,      // invalid catalog name: no such database
		"40": Transient, // transaction rollback: deadlock, serialization failure
		"53": Down,      // insufficient resources: disk full, too many connections
		"57": Down,      // operator intervention: shutting down, starting up
		"58": Down,      // system error: I/O
	}
	if fault, known := codes[state]; known {
		return fault
	}
	if len(state) < 2 {
		return Statement
	}
	return classes[state[:2]]
}

// faultOfCode sorts SQLite's primary result codes, which are the low byte of the extended
// ones.
func faultOfCode(code int) Fault {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM:
		return Transient
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CORRUPT,
		sqlite3.SQLITE_NOTADB:
		return Down
	}
	if code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY {
		return Transient // as 23505
	}
	return Statement
}
