// Package migrations holds the schema of both engines as golang-migrate files:
// NNNNNN_name.up.sql and .down.sql. Each is run in one transaction with the change of the
// version: it neither ends it, nor changes search_path or the role in it, nor has what
// PostgreSQL does outside of one only, such as CREATE INDEX CONCURRENTLY.
package migrations

import "embed"

// Files has one folder for each engine, named after the URL's scheme: postgres and sqlite.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
