package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
)

// maxConnections is the size of a pool, of which a process has one, and a reconciler's single
// connection. The sum over all processes has to stay under the server's max_connections.
const maxConnections = 20

// limits are PostgreSQL's own time limits, in milliseconds, and other settings, for every
// session but a migration's. A URL may set others.
func limits() map[string]string {
	return map[string]string{
		"statement_timeout": "10000",
		// Short, since a batch that waits for one lock is split and tried again, and its
		// commands wait with it.
		"lock_timeout":                        "500",
		"idle_in_transaction_session_timeout": "30000",
		// Whether an index helps depends on what is looked for: plans are made for each
		// query's values.
		"plan_cache_mode": "force_custom_plan",
	}
}

func openPostgres(ctx context.Context, url string, o options) (*DB, error) {
	pool, err := postgresPool(url, limits())
	if err != nil {
		return nil, err
	}
	if o.maxConnections > 0 {
		pool.SetMaxOpenConns(o.maxConnections) // which bounds the idle ones too
	}
	db := &DB{Engine: Postgres, pools: []*sql.DB{pool}}
	if err := db.Ping(ctx); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	if db.Write, err = newGorm(postgres.New(postgres.Config{Conn: newPostgresPool(pool)})); err != nil {
		return nil, errors.Join(fmt.Errorf("open gorm: %w", err), pool.Close())
	}
	db.Read = db.Write
	return db, nil
}

func postgresConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the database's URL: %w", err) // pgx leaves the password out
	}
	return config, nil
}

// postgresPool returns a pool that connects when it is first used. Parameters that url sets
// itself win over params.
func postgresPool(url string, params map[string]string) (*sql.DB, error) {
	config, err := postgresConfig(url)
	if err != nil {
		return nil, err
	}
	for name, value := range params {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = value
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(maxConnections)
	pool.SetMaxIdleConns(maxConnections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	pool.SetConnMaxLifetime(time.Hour)
	return pool, nil
}
