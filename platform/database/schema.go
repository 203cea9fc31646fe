package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	migratesqlite "github.com/golang-migrate/migrate/v4/database/sqlite"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// Schema moves a database between the versions of its schema. It has connections of its own.
type Schema struct {
	engine Engine
	pool   *sql.DB
	files  source.Driver
	// nil until it is needed: it makes its own table, which not every role may
	migrate *migrate.Migrate
}

// OpenSchema opens the database that url names for migrations. files has a folder named after
// each [Engine] with golang-migrate files: NNNNNN_name.up.sql and NNNNNN_name.down.sql. Each
// is run in a transaction, and must not end it itself.
func OpenSchema(url string, files fs.FS) (*Schema, error) {
	engine, err := EngineOf(url)
	if err != nil {
		return nil, err
	}
	migrations, err := iofs.New(files, string(engine))
	if err != nil {
		return nil, fmt.Errorf("read the %s migrations: %w", engine, err)
	}
	var pool *sql.DB
	if engine == Postgres {
		pool, err = postgresPool(url, nil)
	} else {
		var file *file
		if file, err = openFile(filePath(url), slog.Default()); err == nil {
			pool, err = sqlitePool(file, writing()...)
			file.pool = pool
		}
	}
	if err != nil {
		return nil, err
	}
	return &Schema{engine: engine, pool: pool, files: migrations}, nil
}

// Up applies every migration that is missing. A schema that is newer than the last migration
// stays as it is: a later program made it, and its release was taken back.
func (s *Schema) Up(ctx context.Context) error {
	status, err := s.Status(ctx)
	if err != nil || status.Version > status.Latest {
		return err
	}
	return s.run(ctx, (*migrate.Migrate).Up)
}

// Down takes back the last n migrations, and what they made with its data. If fewer have been
// applied it takes back none. Migrations are numbered from 1 without gaps.
func (s *Schema) Down(ctx context.Context, n int) error {
	status, err := s.Status(ctx)
	if err != nil {
		return err
	}
	if n < 1 || uint(n) > status.Version {
		return fmt.Errorf("only %d migrations have been applied: cannot take back %d", status.Version, n)
	}
	return s.run(ctx, func(m *migrate.Migrate) error { return m.Steps(-n) })
}

// run runs migrations. When ctx ends, the one that is running is finished and no other is
// begun.
func (s *Schema) run(ctx context.Context, step func(*migrate.Migrate) error) error {
	if s.migrate == nil {
		var target database.Driver
		var err error
		if s.engine == Postgres {
			target, err = migratepgx.WithInstance(s.pool, &migratepgx.Config{MigrationsTable: versions})
		} else {
			target, err = migratesqlite.WithInstance(s.pool, &migratesqlite.Config{MigrationsTable: versions})
		}
		if err != nil {
			return fmt.Errorf("open the schema's version: %w", err)
		}
		if s.migrate, err = migrate.NewWithInstance("iofs", s.files, string(s.engine), &atomicDriver{Driver: target}); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { s.migrate.GracefulStop <- true })()
	if err := step(s.migrate); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return ctx.Err()
}

// versions is golang-migrate's table, with one row, or none before the first migration.
const versions = "schema_migrations"

// atomicDriver runs each migration in one transaction with the change of the schema's version.
// One that fails or is cut off has done nothing, and is run again by the next migration: no
// version is ever dirty, as golang-migrate calls what has to be mended by hand.
type atomicDriver struct {
	database.Driver

	target int // the version that the migration leads to, negative for none
}

// SetVersion implements [database.Driver]. It is called before Run, with dirty, and after it:
// a version without a file has no Run.
func (a *atomicDriver) SetVersion(version int, dirty bool) error {
	if a.target = version; dirty {
		return nil
	}
	return a.Driver.SetVersion(version, false)
}

// Run implements [database.Driver].
func (a *atomicDriver) Run(migration io.Reader) error {
	record := "\n;DELETE FROM " + versions
	if a.target >= 0 {
		record += fmt.Sprintf(";INSERT INTO %s (version, dirty) VALUES (%d, false)", versions, a.target)
	}
	return a.Driver.Run(io.MultiReader(migration, strings.NewReader(record)))
}

// Status is the state of a schema.
type Status struct {
	Version uint // the last migration applied; 0: none
	Latest  uint // the last one there is
}

// Status reports which migrations have been applied. It needs no right but to read the table
// schema_migrations.
func (s *Schema) Status(ctx context.Context) (Status, error) {
	known := "SELECT count(*) FROM sqlite_master WHERE name = '" + versions + "'"
	if s.engine == Postgres {
		known = "SELECT count(to_regclass('" + versions + "'))"
	}
	var tables, version int64
	var dirty bool
	err := s.pool.QueryRowContext(ctx, known).Scan(&tables)
	if err == nil && tables > 0 {
		err = s.pool.QueryRowContext(ctx, "SELECT version, dirty FROM "+versions).Scan(&version, &dirty)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Status{}, fmt.Errorf("read the schema's version: %w", err)
	}
	if dirty {
		return Status{}, fmt.Errorf("another program has left migration %d half-way (%s.dirty): mend it by hand", version, versions)
	}
	latest, err := s.files.First()
	for err == nil {
		var next uint
		if next, err = s.files.Next(latest); err == nil {
			latest = next
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Status{}, fmt.Errorf("read the migrations: %w", err)
	}
	return Status{Version: uint(version), Latest: latest}, nil
}

// Close closes the schema's connections.
func (s *Schema) Close() error {
	if s.migrate != nil {
		return errors.Join(s.migrate.Close())
	}
	return errors.Join(s.files.Close(), s.pool.Close())
}
