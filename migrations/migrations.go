// Package migrations holds the schema of both engines as golang-migrate files: NNNNNN_name.up.sql and .down.sql.
package migrations

import "embed"

// Files has one folder for each engine, named after the URL's scheme: postgres and sqlite.
//
//go:embed postgres/*.sql sqlite/*.sql
var Files embed.FS
