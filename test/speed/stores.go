package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"contacts/migrations"
	"contacts/platform/database"
	"contacts/test/system"
)

// redis sends one command without arguments that need quoting, and returns the answer.
func (b *bench) redis(ctx context.Context, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", strings.TrimPrefix(b.Cache, "redis://"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "$") {
		return strings.TrimSpace(line), err
	}
	length, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil {
		return "", err
	}
	content := make([]byte, length)
	for read := 0; read < length; {
		n, err := reader.Read(content[read:])
		if err != nil {
			return "", err
		}
		read += n
	}
	return string(content), nil
}

// forget empties the cache, and waits until it is used again.
func (b *bench) forget(ctx context.Context) error {
	if b.Cache == "" { // it is within the process
		_, err := b.Replicas[0].Terminate()
		return errors.Join(err, b.Replicas[0].Restart(ctx))
	}
	answer, err := b.redis(ctx, "FLUSHALL")
	if err == nil && answer != "+OK" {
		err = fmt.Errorf("FLUSHALL: %s", answer)
	}
	return errors.Join(err, pause(ctx, time.Second))
}

// redisCommands counts the commands that clients have sent for writes: scripts, and notices.
func (b *bench) redisCommands(ctx context.Context) (float64, error) {
	info, err := b.redis(ctx, "INFO commandstats")
	if err != nil {
		return 0, err
	}
	var sum float64
	for line := range strings.Lines(info) {
		name, stats, _ := strings.Cut(strings.TrimSpace(line), ":calls=")
		switch name {
		case "cmdstat_eval", "cmdstat_evalsha", "cmdstat_publish":
			calls, _, _ := strings.Cut(stats, ",")
			n, err := strconv.ParseFloat(calls, 64)
			if err != nil {
				return 0, err
			}
			sum += n
		}
	}
	return sum, nil
}

// byHand writes the rows of the latest contacts into an empty database with the same schema, as one would by hand: 100
// contacts a transaction, one INSERT of many rows a table.
func (b *bench) byHand(ctx context.Context, contacts int) (outcome, error) {
	target, err := b.emptyDatabase(ctx)
	if err != nil {
		return outcome{}, err
	}
	var batches [][]insert
	for _, source := range []struct{ table, order string }{
		{"contacts", "created_at DESC, id DESC"},
		{"operations", "ended_at DESC, contact_id DESC"},
		{"contact_changes", "changed_at DESC, contact_id DESC"},
		{"contact_keys", "contact_id DESC"},
	} {
		limit := contacts
		if source.table == "contact_keys" {
			limit *= 2 // an email and a number each
		}
		inserts, err := b.inserts(ctx, source.table, source.order, limit, limit/contacts*100)
		if err != nil {
			return outcome{}, err
		}
		for i, in := range inserts {
			if i == len(batches) {
				batches = append(batches, nil)
			}
			batches[i] = append(batches[i], in)
		}
	}
	pool, err := target.Write.DB()
	if err != nil {
		return outcome{}, err
	}
	started := time.Now()
	for _, batch := range batches {
		tx, err := pool.BeginTx(ctx, nil)
		if err != nil {
			return outcome{}, err
		}
		for _, in := range batch {
			if _, err := tx.ExecContext(ctx, in.statement, in.values...); err != nil {
				return outcome{}, errors.Join(fmt.Errorf("by hand: %w", err), tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return outcome{}, err
		}
	}
	return outcome{calls: contacts, took: time.Since(started)}, target.Close()
}

// emptyDatabase makes a database beside the one that is measured.
func (b *bench) emptyDatabase(ctx context.Context) (*database.DB, error) {
	url := strings.Replace(b.Database, "/postgres?", "/byhand?", 1)
	if b.table.Mode == system.Embedded {
		url = "sqlite://" + filepath.Join(filepath.Dir(strings.TrimPrefix(b.Database, "sqlite://")), "byhand.db")
	} else if err := b.db.Write.WithContext(ctx).Exec("CREATE DATABASE byhand").Error; err != nil {
		return nil, err
	}
	schema, err := database.OpenSchema(url, migrations.Files)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(schema.Up(ctx), schema.Close()); err != nil {
		return nil, err
	}
	return database.Open(ctx, url)
}

// insert is a statement with the values of many rows.
type insert struct {
	statement string
	values    []any
}

// inserts reads rows of a table and makes statements of them that write them again, so many rows each.
func (b *bench) inserts(ctx context.Context, name, order string, limit, rowsEach int) ([]insert, error) {
	columns, casts, err := b.columns(ctx, name)
	if err != nil {
		return nil, err
	}
	selected := make([]string, len(columns))
	for i, column := range columns {
		selected[i] = column
		if casts[i] != "" {
			selected[i] += "::text"
		}
	}
	rows, err := b.db.Read.WithContext(ctx).Raw(fmt.Sprintf("SELECT %s FROM %s ORDER BY %s LIMIT %d",
		strings.Join(selected, ", "), name, order, limit)).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []insert
	var groups []string
	var values []any
	flush := func() {
		if len(groups) > 0 {
			statement := fmt.Sprintf("INSERT INTO %s (%s) VALUES %s", name, strings.Join(columns, ", "), strings.Join(groups, ", "))
			all, groups, values = append(all, insert{statement, values}), nil, nil
		}
	}
	for rows.Next() {
		row := make([]any, len(columns))
		for i := range row {
			row[i] = new(sql.NullString)
		}
		if err := rows.Scan(row...); err != nil {
			return nil, err
		}
		marks := make([]string, len(columns))
		for i, value := range row {
			marks[i] = "?"
			if casts[i] != "" {
				marks[i] = fmt.Sprintf("$%d::text::%s", len(values)+i+1, casts[i])
			}
			row[i] = *value.(*sql.NullString)
		}
		groups = append(groups, "("+strings.Join(marks, ", ")+")")
		if values = append(values, row...); len(groups) == rowsEach {
			flush()
		}
	}
	flush()
	return all, rows.Err()
}

// columns returns a table's columns, without those that number themselves, and on PostgreSQL their types.
func (b *bench) columns(ctx context.Context, name string) (columns, casts []string, err error) {
	query := "SELECT name, '' FROM pragma_table_info(?) WHERE name NOT IN ('seq', 'row_id')"
	if b.table.Mode == system.Production {
		query = `SELECT column_name, udt_name FROM information_schema.columns
			WHERE table_name = ? AND column_name NOT IN ('seq', 'xid') ORDER BY ordinal_position`
	}
	rows, err := b.db.Read.WithContext(ctx).Raw(query, name).Rows()
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var column, kind string
		if err := rows.Scan(&column, &kind); err != nil {
			return nil, nil, err
		}
		columns, casts = append(columns, column), append(casts, kind)
	}
	return columns, casts, rows.Err()
}

// pages measures first pages, deep ones and searches of tables of growing length.
func (b *bench) pages(ctx context.Context, most int) error {
	db := b.db.Write.WithContext(ctx) // without the contacts that were written so far
	if err := errors.Join(db.Exec("DELETE FROM contact_keys").Error, db.Exec("DELETE FROM contacts").Error); err != nil {
		return err
	}
	base := map[string]time.Duration{}
	for _, rows := range []int{10_000, 100_000, 1_000_000} {
		if rows > most {
			break
		}
		if err := b.grow(ctx, rows); err != nil {
			return err
		}
		deep := fmt.Sprintf("/v1/contacts?sort=name&cursor=%s", nameCursor(fmt.Sprintf("grown%06d", rows/2)))
		for _, page := range []struct {
			name string
			path func() string
		}{
			{"first page", func() string { return "/v1/contacts" }},
			{"first page by name", func() string { return "/v1/contacts?sort=name" }},
			{"deep page by name", func() string { return deep }},
			{"search", func() string { return fmt.Sprintf("/v1/contacts?q=%06d", rand.IntN(rows)) }},
		} {
			o, err := load(ctx, b.api(), 1, 200, times(200, func(int, int) request { return request{method: "GET", path: page.path()} }))
			if err != nil {
				return err
			}
			p50 := o.percentile(0.5)
			b.table.duration(fmt.Sprintf("%s, %d contacts, p50", page.name, rows), p50, "")
			switch rows {
			case 10_000:
				base[page.name] = p50
			case 1_000_000:
				b.table.compare(float64(base[page.name].Microseconds())/1000, "10,000 contacts", "at most 2")
			}
		}
	}
	return nil
}
