package servers

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
)

// ErrMissing says that a server's program is not on this machine. The error that wraps it
// tells what to install.
var ErrMissing = errors.New("not found")

func missing(what, remedy string) error {
	return fmt.Errorf("%s was %w; to install it: %s", what, ErrMissing, remedy)
}

// aptInstall installs the packages named as its arguments, without starting the services that
// come with them.
//
//go:embed apt-install.sh
var aptInstall string

// Install puts the servers' programs on this machine where they are missing: Debian's packages
// through apt-get, as root or through a sudo that asks no password, and the SQS emulator
// through npm into the user's cache folder. On Linux it adds strace, by which a test sees that
// data are on the disk. It tells on progress what it installs, and nothing when all is there.
// Where it cannot install, the error wraps [ErrMissing] and says what to install by hand.
func Install(ctx context.Context, progress io.Writer) error {
	var packages []string
	_, noPostgres := findPostgres()
	if noPostgres != nil {
		packages = append(packages, "postgresql")
	}
	_, noRedis := findRedis()
	if noRedis != nil {
		packages = append(packages, "redis-server")
	}
	var noStrace error
	if runtime.GOOS == "linux" {
		if _, noStrace = FindStrace(); noStrace != nil {
			packages = append(packages, "strace")
		}
	}
	if len(packages) > 0 {
		fmt.Fprintf(progress, "installing %v with apt-get\n", packages)
		if err := installPackages(ctx, packages); err != nil {
			return errors.Join(noPostgres, noRedis, noStrace, err)
		}
	}
	return installEmulator(ctx, progress)
}

// installPackages does not heed the context's end: a package manager that is killed leaves a
// broken system.
func installPackages(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("cannot install packages here: %w", err)
	}
	command := append([]string{"sh", "-c", aptInstall, "apt-install.sh"}, packages...)
	if os.Geteuid() != 0 {
		command = append([]string{"sudo", "-n"}, command...)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), command[0], command[1:]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get: %w\n%s", err, out)
	}
	return nil
}
