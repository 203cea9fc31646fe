package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/database"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	migratesqlite "github.com/golang-migrate/migrate/v4/database/sqlite"
	"github.com/golang-migrate/migrate/v4/source"
	"github.com/golang-migrate/migrate/v4/source/iofs"
)

// Schema moves a database between the versions of its schema. It has a connection of its own.
type Schema struct {
	migrate *migrate.Migrate
	files   source.Driver
}

// OpenSchema opens the database that url names for migrations. files has a folder named after each [Engine] with
// golang-migrate files: NNNNNN_name.up.sql and NNNNNN_name.down.sql.
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
		pool, err = sqlitePool(filePath(url), writing()...)
	}
	if err != nil {
		return nil, err
	}
	var target database.Driver
	if engine == Postgres {
		target, err = migratepgx.WithInstance(pool, &migratepgx.Config{})
	} else {
		target, err = migratesqlite.WithInstance(pool, &migratesqlite.Config{})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open the schema's version: %w", err), pool.Close())
	}
	m, err := migrate.NewWithInstance("iofs", migrations, string(engine), target)
	if err != nil {
		return nil, errors.Join(err, target.Close())
	}
	return &Schema{migrate: m, files: migrations}, nil
}

// Up applies every migration that is missing.
func (s *Schema) Up(ctx context.Context) error {
	return s.run(ctx, s.migrate.Up)
}

// Down takes back the last n migrations, and what they made with its data. If fewer have been applied it takes back none.
// Migrations are numbered from 1 without gaps.
func (s *Schema) Down(ctx context.Context, n int) error {
	status, err := s.Status()
	if err != nil {
		return err
	}
	if n < 1 || uint(n) > status.Version {
		return fmt.Errorf("only %d migrations have been applied: cannot take back %d", status.Version, n)
	}
	return s.run(ctx, func() error { return s.migrate.Steps(-n) })
}

// run runs a migration. When ctx ends, the migration that is running is finished and no other is begun.
func (s *Schema) run(ctx context.Context, step func() error) error {
	defer context.AfterFunc(ctx, func() { s.migrate.GracefulStop <- true })()
	if err := step(); err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("migrate the schema: %w", err)
	}
	return ctx.Err()
}

// Status is the state of a schema.
type Status struct {
	Version uint // the last migration applied; 0: none
	Latest  uint // the last one there is
	Dirty   bool // Version failed half-way: mend it by hand
}

// Status reports which migrations have been applied.
func (s *Schema) Status() (Status, error) {
	version, dirty, err := s.migrate.Version()
	if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
		return Status{}, fmt.Errorf("read the schema's version: %w", err)
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
	return Status{Version: version, Latest: latest, Dirty: dirty}, nil
}

// Close closes the schema's connection.
func (s *Schema) Close() error {
	return errors.Join(s.migrate.Close())
}
