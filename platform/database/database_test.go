package database_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"contacts/migrations"
	"contacts/platform/database"
	"contacts/platform/database/databasetest"
)

func TestEngineOf(t *testing.T) {
	for url, want := range map[string]database.Engine{
		"postgres://h/d": database.Postgres, "postgresql://h/d": database.Postgres, "sqlite://data/x.db": database.SQLite,
	} {
		got, err := database.EngineOf(url)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, url := range []string{"", "sqlite://", "mysql://h/d", "data/x.db"} {
		_, err := database.EngineOf(url)
		require.Error(t, err, url)
	}
}

func open(t *testing.T, url string) *database.DB {
	t.Helper()
	db, err := database.Open(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

func openSchema(t *testing.T, url string, files fs.FS) *database.Schema {
	t.Helper()
	schema, err := database.OpenSchema(url, files)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, schema.Close()) })
	return schema
}

// eachDatabase runs a test on a new, empty database of each engine.
func eachDatabase(t *testing.T, test func(t *testing.T, engine database.Engine, url string)) {
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, engine, databasetest.New(t, engine))
		})
	}
}

// eachEngine is eachDatabase with the database open, and a table in it.
func eachEngine(t *testing.T, test func(t *testing.T, db *database.DB)) {
	eachDatabase(t, func(t *testing.T, _ database.Engine, url string) {
		db := open(t, url)
		require.NoError(t, db.Write.Exec("CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)").Error)
		test(t, db)
	})
}

func TestOpen_ReadSeesWhatWasCommitted(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, db *database.DB) {
		require.NoError(t, db.Ping(t.Context()))
		for i := range 20 {
			require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (?, ?)", i, i).Error)
			var n int
			require.NoError(t, db.Read.Raw("SELECT count(*) FROM things").Scan(&n).Error)
			require.Equal(t, i+1, n)
		}
	})
}

func TestOpen_MaxConnections(t *testing.T) {
	t.Parallel()
	for _, engine := range []database.Engine{database.SQLite, database.Postgres} {
		address := databasetest.New(t, engine)
		for limit, patience := range map[int]time.Duration{0: time.Minute, 1: time.Second} {
			var options []database.Option
			if limit > 0 {
				options = append(options, database.MaxConnections(limit))
			}
			db, err := database.Open(t.Context(), address, options...)
			require.NoError(t, err)
			pool, err := db.Read.DB()
			require.NoError(t, err)
			held, err := pool.Conn(t.Context())
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err = db.Read.WithContext(ctx).Exec("SELECT 1").Error
			cancel()
			require.Equal(t, limit == 0, err == nil, "%s, %d: %v", engine, limit, err)
			require.NoError(t, held.Close())
			require.NoError(t, db.Close())
		}
	}
}

func TestOpen_SQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new folder", "ü?#%.db")
	db := open(t, "sqlite://"+path)
	require.NoError(t, db.Write.Exec("CREATE TABLE things (n)").Error)
	for _, name := range []string{path, path + "-wal"} {
		file, err := os.Stat(name)
		require.NoError(t, err, "the file is where the URL says")
		require.EqualValues(t, 0o600, file.Mode().Perm(), "and its owner's alone")
	}
	require.Error(t, db.Read.Exec("INSERT INTO things VALUES (1)").Error, "readers only read")
	var mode string
	require.NoError(t, db.Read.Raw("PRAGMA journal_mode").Scan(&mode).Error)
	require.Equal(t, "wal", mode)
}

func TestDB_EmptyLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	db := open(t, "sqlite://"+path)
	require.NoError(t, db.Write.Exec("CREATE TABLE things (n)").Error)
	hits := func() (count int) {
		t.Helper()
		for _, name := range []string{path, path + "-wal"} {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			count += bytes.Count(content, []byte("canary"))
		}
		return count
	}
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES ('canary')").Error)
	require.NoError(t, db.Write.Exec("DELETE FROM things").Error)
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (1), (2)").Error)
	require.Positive(t, hits(), "the log still has it")
	reader, err := db.Read.Raw("SELECT n FROM things").Rows()
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	require.True(t, reader.Next())
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (3)").Error)
	require.ErrorContains(t, db.EmptyLog(t.Context()), "reading")
	require.True(t, reader.Next())
	require.False(t, reader.Next(), "it has done")
	require.NoError(t, reader.Err())
	require.NoError(t, db.EmptyLog(t.Context()))
	require.Zero(t, hits())
	var timeout int
	require.NoError(t, db.Write.Raw("PRAGMA busy_timeout").Scan(&timeout).Error)
	require.Equal(t, 10_000, timeout, "as it was")
	require.NoError(t, open(t, databasetest.New(t, database.Postgres)).EmptyLog(t.Context()))
}

func TestOpen_Postgres_TimeLimits(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.Postgres))
	for name, want := range map[string]string{
		"statement_timeout": "10s", "lock_timeout": "500ms", "idle_in_transaction_session_timeout": "30s",
	} {
		var got string
		require.NoError(t, db.Read.Raw("SELECT current_setting(?)", name).Scan(&got).Error)
		require.Equal(t, want, got, name)
	}
}

func TestOpen_Postgres_Unreachable(t *testing.T) {
	t.Parallel()
	_, err := database.Open(t.Context(), "postgres://user:hunter2@127.0.0.1:1/none")
	require.Error(t, err)
	require.Equal(t, database.Down, database.FaultOf(err))
	require.NotContains(t, err.Error(), "hunter2")
}

func TestFaultOf_Postgres_Refused(t *testing.T) {
	t.Parallel()
	address := databasetest.New(t, database.Postgres)
	for name, url := range map[string]string{
		"no such database": strings.Replace(address, "/test_", "/none_", 1),
		"no such user":     strings.Replace(address, "_owner@", "_nobody@", 1),
	} {
		require.NotEqual(t, address, url)
		_, err := database.Open(t.Context(), url)
		require.Error(t, err, name)
		require.Equal(t, database.Down, database.FaultOf(err), "%s: %v", name, err)
	}
}

func TestFaultOf(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, db *database.DB) {
		require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (1, 1)").Error)
		for statement, want := range map[string]database.Fault{
			// unique: a concurrent writer's row
			"INSERT INTO things VALUES (1, 2)":    database.Transient,
			"INSERT INTO things VALUES (2, NULL)": database.Statement,
			"SELECT FROM WHERE":                   database.Statement,
		} {
			err := db.Write.Exec(statement).Error
			require.Error(t, err, statement)
			require.Equal(t, want, database.FaultOf(err), "%s: %v", statement, err)
			require.Equal(t, want, database.FaultOf(fmt.Errorf("wrapped: %w", err)))
		}
	})
	for err, want := range map[error]database.Fault{
		driver.ErrBadConn:        database.Transient,
		context.DeadlineExceeded: database.Down,
		sql.ErrTxDone:            database.Down,
		errors.New("other"):      database.Statement,
	} {
		require.Equal(t, want, database.FaultOf(err), "%v", err)
	}
}

func TestFaultOf_Postgres(t *testing.T) {
	t.Parallel()
	address := databasetest.New(t, database.Postgres)
	db := open(t, address)
	for name, provoke := range map[string]struct {
		statement string
		want      database.Fault
	}{
		"statement timeout":     {"SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)", database.Transient},
		"terminated connection": {"SELECT pg_terminate_backend(pg_backend_pid())", database.Transient},
		"read-only server":      {"SET TRANSACTION READ ONLY; CREATE TABLE x (n int)", database.Down},
		"no such table":         {"SELECT 1 FROM nowhere", database.Down},
		"no such column":        {"SELECT nonsense", database.Down},
		"no privilege":          {"SELECT rolpassword FROM pg_authid", database.Down},
	} {
		err := db.Write.Transaction(func(tx *gorm.DB) error {
			for _, statement := range strings.Split(provoke.statement, "; ") {
				if err := tx.Exec(statement).Error; err != nil {
					return err
				}
			}
			return nil
		})
		require.Error(t, err, name)
		require.Equal(t, provoke.want, database.FaultOf(err), "%s: %v", name, err)
	}
}

// Two transactions lock two rows in opposite order: PostgreSQL undoes one of them.
func TestFaultOf_Postgres_Deadlock(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.Postgres))
	require.NoError(t, db.Write.Exec("CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER)").Error)
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (1, 0), (2, 0)").Error)
	first := db.Write.Begin()
	defer first.Rollback()
	second := db.Write.Begin()
	defer second.Rollback()
	// PostgreSQL looks for deadlocks after a second, when a wait is over otherwise
	for _, tx := range []*gorm.DB{first, second} {
		require.NoError(t, tx.Exec("SET LOCAL lock_timeout = 0").Error)
	}
	require.NoError(t, first.Exec("UPDATE things SET n = 1 WHERE id = 1").Error)
	require.NoError(t, second.Exec("UPDATE things SET n = 2 WHERE id = 2").Error)
	errs := make(chan error, 2)
	go func() { errs <- first.Exec("UPDATE things SET n = 1 WHERE id = 2").Error }()
	go func() { errs <- second.Exec("UPDATE things SET n = 2 WHERE id = 1").Error }()
	err := errors.Join(<-errs, <-errs) // the victim's; the other one goes on
	require.ErrorContains(t, err, "40P01")
	require.Equal(t, database.Transient, database.FaultOf(err), "%v", err)
}

// Another transaction has the lock, or the transaction has stood still for too long.
func TestFaultOf_Postgres_Waits(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.Postgres))
	holder := db.Write.Begin()
	defer holder.Rollback()
	require.NoError(t, holder.Exec("SELECT pg_advisory_xact_lock(1)").Error)
	err := db.Write.Exec("SELECT pg_advisory_xact_lock(1)").Error
	require.ErrorContains(t, err, "55P03")
	require.Equal(t, database.Transient, database.FaultOf(err), "%v", err)

	idle := db.Write.Begin()
	defer idle.Rollback()
	require.NoError(t, idle.Exec("SET LOCAL idle_in_transaction_session_timeout = 10").Error)
	require.Eventually(t, func() bool {
		var open int
		require.NoError(t, db.Read.Raw("SELECT count(*) FROM pg_stat_activity"+
			" WHERE datname = current_database() AND state = 'idle in transaction'").Scan(&open).Error)
		return open == 1 // the holder
	}, 10*time.Second, 10*time.Millisecond)
	err = idle.Exec("SELECT 1").Error
	require.Error(t, err)
	require.Equal(t, database.Transient, database.FaultOf(err), "%v", err)
}

// A migration changes what a prepared statement of a running process returns: tried again it
// is prepared anew.
func TestFaultOf_Postgres_ChangedResult(t *testing.T) {
	t.Parallel()
	address := databasetest.New(t, database.Postgres)
	migration := open(t, address)
	require.NoError(t, migration.Write.Exec("CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER)").Error)
	db, err := database.Open(t.Context(), address, database.MaxConnections(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	read := func() error {
		var things []map[string]any
		return db.Read.Raw("SELECT * FROM things").Scan(&things).Error
	}
	require.NoError(t, read())
	require.NoError(t, migration.Write.Exec("ALTER TABLE things ADD COLUMN name TEXT").Error)
	err = read()
	require.ErrorContains(t, err, "0A000")
	require.Equal(t, database.Transient, database.FaultOf(err), "%v", err)
	require.NoError(t, read())
}

func TestFaultOf_Postgres_TooManyConnections(t *testing.T) {
	t.Parallel()
	address := databasetest.New(t, database.Postgres)
	db := open(t, address)
	var name string
	require.NoError(t, db.Read.Raw("SELECT current_database() || '_crowd'").Scan(&name).Error)
	require.NoError(t, db.Write.Exec("CREATE ROLE "+name+" LOGIN CONNECTION LIMIT 0").Error)
	defer db.Write.Exec("DROP ROLE " + name)
	_, err := database.Open(t.Context(), strings.Replace(address, "_owner@", "_crowd@", 1))
	require.ErrorContains(t, err, "53300")
	require.Equal(t, database.Down, database.FaultOf(err), "%v", err)
}

// A file that is no database, or no longer one, is no statement's fault.
func TestFaultOf_SQLite_Corrupt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "contacts.db")
	require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600))
	_, err := database.Open(t.Context(), "sqlite://"+path)
	require.Error(t, err)
	require.Equal(t, database.Down, database.FaultOf(err), "%v", err)

	path = filepath.Join(t.TempDir(), "contacts.db")
	db, err := database.Open(t.Context(), "sqlite://"+path)
	require.NoError(t, err)
	require.NoError(t, db.Write.Exec("CREATE TABLE things (n)").Error)
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (1)").Error)
	require.NoError(t, db.Close())
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = file.WriteAt(bytes.Repeat([]byte{0xee}, 4096), 4096) // the table's page
	require.NoError(t, errors.Join(err, file.Close()))
	db = open(t, "sqlite://"+path)
	var n []int
	err = db.Read.Raw("SELECT n FROM things").Scan(&n).Error
	require.ErrorContains(t, err, "malformed")
	require.Equal(t, database.Down, database.FaultOf(err), "%v", err)
}

// Two serializable transactions each read what the other one writes: PostgreSQL undoes the one
// that commits last.
func TestFaultOf_Postgres_SerializationFailure(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.Postgres))
	require.NoError(t, db.Write.Exec("CREATE TABLE things (id INTEGER PRIMARY KEY, n INTEGER)").Error)
	require.NoError(t, db.Write.Exec("INSERT INTO things VALUES (1, 0), (2, 0)").Error)
	serializable := &sql.TxOptions{Isolation: sql.LevelSerializable}
	first, second := db.Write.Begin(serializable), db.Write.Begin(serializable)
	defer first.Rollback()
	defer second.Rollback()
	for _, tx := range []*gorm.DB{first, second} {
		var sum int
		require.NoError(t, tx.Raw("SELECT sum(n) FROM things").Scan(&sum).Error)
	}
	require.NoError(t, first.Exec("UPDATE things SET n = 1 WHERE id = 1").Error)
	require.NoError(t, second.Exec("UPDATE things SET n = 1 WHERE id = 2").Error)
	require.NoError(t, first.Commit().Error)
	err := second.Commit().Error
	require.ErrorContains(t, err, "40001")
	require.Equal(t, database.Transient, database.FaultOf(err), "%v", err)
}

func TestSchema(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, _ database.Engine, address string) {
		schema := openSchema(t, address, migrations.Files)
		status, err := schema.Status(t.Context())
		require.NoError(t, err)
		require.Zero(t, status.Version)
		require.NotZero(t, status.Latest)
		all := int(status.Latest)
		for range 2 { // twice: nothing is left behind by the way down
			require.NoError(t, schema.Up(t.Context()))
			require.NoError(t, schema.Up(t.Context()), "nothing to do is no error")
			status, err = schema.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, status.Latest, status.Version)
			require.Error(t, schema.Down(t.Context(), all+1), "more than there are: none is taken back")
			status, err = schema.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, status.Latest, status.Version)
			require.NoError(t, schema.Down(t.Context(), all))
			status, err = schema.Status(t.Context())
			require.NoError(t, err)
			require.Zero(t, status.Version)
		}
		require.Error(t, schema.Down(t.Context(), 1), "there is none to take back")
	})
}

// When a release is taken back, the one before meets a schema that is newer than what it
// knows, and leaves it as it is.
func TestSchema_Up_NewerSchema(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, engine database.Engine, address string) {
		first, second := string(engine)+"/000001_x", string(engine)+"/000002_y"
		before := fstest.MapFS{
			first + ".up.sql":   {Data: []byte("CREATE TABLE x (n int)")},
			first + ".down.sql": {Data: []byte("DROP TABLE x")},
		}
		after := maps.Clone(before)
		after[second+".up.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE y (n int)")}
		after[second+".down.sql"] = &fstest.MapFile{Data: []byte("DROP TABLE y")}
		newer := openSchema(t, address, after)
		require.NoError(t, newer.Up(t.Context()))

		older := openSchema(t, address, before)
		require.NoError(t, older.Up(t.Context()))
		require.Error(t, older.Down(t.Context(), 1), "only the newer program knows how")
		status, err := older.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, database.Status{Version: 2, Latest: 1}, status)
	})
}

// A migration that fails, or is cut off, has done nothing, neither on the way up nor down: the
// next one that is right is applied.
func TestSchema_AllOrNothing(t *testing.T) {
	t.Parallel()
	failures := map[database.Engine][]string{
		database.SQLite:   {"SELECT nonsense"},
		database.Postgres: {"SELECT nonsense", "SELECT pg_terminate_backend(pg_backend_pid())"},
	}
	for engine, statements := range failures {
		for _, failure := range statements {
			t.Run(string(engine)+" "+failure, func(t *testing.T) {
				t.Parallel()
				address := databasetest.New(t, engine)
				run := func(up, down string, step func(*database.Schema) error) (database.Status, error) {
					schema, err := database.OpenSchema(address, fstest.MapFS{
						string(engine) + "/000001_x.up.sql":   {Data: []byte("CREATE TABLE x (n int)")},
						string(engine) + "/000001_x.down.sql": {Data: []byte("DROP TABLE x")},
						string(engine) + "/000002_y.up.sql":   {Data: []byte("CREATE TABLE y (n int);" + up)},
						string(engine) + "/000002_y.down.sql": {Data: []byte("DROP TABLE y;" + down)},
					})
					require.NoError(t, err)
					stepErr := step(schema)
					status, err := schema.Status(t.Context())
					require.NoError(t, err)
					_ = schema.Close() // its connection may be gone
					return status, stepErr
				}
				up := func(s *database.Schema) error { return s.Up(t.Context()) }
				down := func(s *database.Schema) error { return s.Down(t.Context(), 1) }

				status, err := run(failure, "", up)
				require.Error(t, err)
				require.Equal(t, database.Status{Version: 1, Latest: 2}, status)
				status, err = run("", "", up)
				require.NoError(t, err)
				require.Equal(t, database.Status{Version: 2, Latest: 2}, status)

				status, err = run("", failure, down)
				require.Error(t, err)
				require.Equal(t, database.Status{Version: 2, Latest: 2}, status)
				status, err = run("", "-- no y", down)
				require.NoError(t, err)
				require.Equal(t, database.Status{Version: 1, Latest: 2}, status)
			})
		}
	}
}

// What golang-migrate's own program leaves half-way is not taken for applied.
func TestSchema_Status_HalfWay(t *testing.T) {
	t.Parallel()
	eachDatabase(t, func(t *testing.T, _ database.Engine, address string) {
		schema := openSchema(t, address, migrations.Files)
		require.NoError(t, schema.Up(t.Context()))
		require.NoError(t, open(t, address).Write.Exec("UPDATE schema_migrations SET dirty = true").Error)
		_, err := schema.Status(t.Context())
		require.ErrorContains(t, err, "half-way")
		require.ErrorContains(t, schema.Up(t.Context()), "half-way")
	})
}

// A writer waits in Go for the single connection, and not for long.
func TestOpen_SQLite_WritersQueue(t *testing.T) {
	t.Parallel()
	db := open(t, databasetest.New(t, database.SQLite))
	tx := db.Write.Begin()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, db.Write.WithContext(ctx).Exec("CREATE TABLE x (n)").Error, context.DeadlineExceeded)
	require.NoError(t, tx.Rollback().Error)
	require.NoError(t, db.Write.Exec("CREATE TABLE x (n)").Error)
}
