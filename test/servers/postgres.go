package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// StartPostgres starts a PostgreSQL server with an empty cluster, whose superuser postgres
// needs no password.
//
// It runs without fsync: the data survives the server's death but not the machine's. Settings,
// each "name=value" as in postgresql.conf, come after this package's own and override them
// ("fsync=on").
func StartPostgres(ctx context.Context, settings ...string) (*Server, error) {
	bin, err := findPostgres()
	if err != nil {
		return nil, err
	}
	owner, err := postgresOwner()
	if err != nil {
		return nil, err
	}
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("PostgreSQL", owner)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := initCluster(ctx, bin, dir, data, owner); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}

	args := []string{filepath.Join(bin, "postgres"), "-D", data}
	settings = append([]string{
		"listen_addresses=127.0.0.1",
		"port=" + port,
		"unix_socket_directories=", // none
		"max_connections=300",      // many packages' tests at once, each with its pools
		"fsync=off",
		"full_page_writes=off",
	}, settings...)
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	return startServer(ctx, "postgres://postgres@127.0.0.1:"+port+"/postgres?sslmode=disable", dir, Program{
		Name:  "PostgreSQL",
		Args:  args,
		Owner: owner,
		// "immediate shutdown": no checkpoint, but shared memory is released
		Stop: syscall.SIGQUIT,
		Ready: func(ctx context.Context, _ *Server) error {
			return exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port).Run()
		},
	})
}

func initCluster(ctx context.Context, bin, dir, data string, owner *syscall.Credential) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust",
		"--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")
	cmd.Dir = dir // the working directory may be closed to the owner
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("PostgreSQL: initdb: %w\n%s", err, out)
	}
	return nil
}

// FindPostgresProgram returns the path of one of the programs that stand beside the server's,
// such as pg_dump. The error wraps [ErrMissing] and says what to install.
func FindPostgresProgram(name string) (string, error) {
	bin, err := findPostgres()
	return filepath.Join(bin, name), err
}

// findPostgres returns the folder that holds the server's programs: the one on the PATH, else
// the newest of Debian's.
func findPostgres() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		initdb, err = filepath.EvalSymlinks(initdb) // the other programs stand beside the real one
		return filepath.Dir(initdb), err
	}
	// Debian keeps the server's programs off the PATH, so that several versions can stand side
	// by side.
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", missing("PostgreSQL", "apt-get install postgresql (Debian, Ubuntu) or brew install postgresql (macOS)")
	}
	newest := slices.MaxFunc(found, func(a, b string) int { return debianVersion(a) - debianVersion(b) })
	return filepath.Dir(newest), nil
}

// debianVersion reads the 17 in /usr/lib/postgresql/17/bin/initdb; versions before 10 ("9.6")
// count as 0.
func debianVersion(initdb string) int {
	version, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	if err != nil {
		return 0
	}
	return version
}

// postgresOwner returns the user that the server runs as: it refuses to run as root, so root
// hands it to another user.
func postgresOwner() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and no unprivileged user exists to run it as: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return nil, fmt.Errorf("user %s: %w", account.Username, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}
