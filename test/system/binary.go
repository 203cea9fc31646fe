package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"contacts/test/servers"
)

// Build builds the binary into folder and returns its path. One to sabotage has hooks that the
// shipped one has not.
func Build(ctx context.Context, folder string, toSabotage bool) (string, error) {
	if toSabotage {
		return build(ctx, "", folder, "-tags=sabotage")
	}
	return build(ctx, "", folder)
}

// BuildCommit builds the binary of a commit into folder, beside its source, and returns its
// path.
func BuildCommit(ctx context.Context, folder, commit string) (string, error) {
	source := filepath.Join(folder, "source")
	if err := os.Mkdir(source, 0o700); err != nil {
		return "", err
	}
	// In a shell for the pipe. --full-tree: it is the repository's, wherever in it this runs.
	unpack := exec.CommandContext(ctx, "sh", "-c", `git archive --format=tar "$1" >"$2.tar" && tar -xf "$2.tar" -C "$2"`, "sh", commit, source)
	if output, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack commit %s: %w\n%s", commit, err, output)
	}
	return build(ctx, source, folder)
}

func build(ctx context.Context, source, folder string, flags ...string) (string, error) {
	path := filepath.Join(folder, "contacts")
	command := exec.CommandContext(ctx, "go", slices.Concat([]string{"build", "-o", path}, flags, []string{"contacts"})...)
	command.Dir, command.Env = source, append(environment(), "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, output)
	}
	return path, nil
}

// Command returns the binary with arguments. Of the variables that the service knows it has
// only those in env, each KEY=VALUE.
func Command(ctx context.Context, binary string, env []string, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, binary, args...)
	command.Env = append(environment(), env...)
	return command
}

// environment is this process's, without what the service would take for its settings.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return slices.ContainsFunc([]string{"CONTACTS_", "AWS_", "OTEL_"}, func(prefix string) bool { return strings.HasPrefix(variable, prefix) })
	})
}

// AWS is the configuration of the AWS SDK for the SQS emulator at an endpoint.
func AWS(endpoint string) []string {
	return []string{
		"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_ENDPOINT_URL_SQS=" + endpoint,
	}
}

// QueueURL is the URL that the SQS emulator at an endpoint gives a queue: with this host,
// wherever it listens.
func QueueURL(endpoint *url.URL, name string) string {
	return "http://sqs.us-east-1.localhost:" + endpoint.Port() + "/000000000000/" + name
}

// Launch runs a serve or a worker as a server, and waits until it says in its JSON log that it
// is ready. It returns this line's members as well.
func Launch(ctx context.Context, url string, command *exec.Cmd) (s *servers.Server, ready map[string]any, err error) {
	s, err = servers.StartProgram(ctx, url, servers.Program{
		Name: filepath.Base(command.Args[0]), Args: command.Args, Env: command.Env, Dir: command.Dir, Stop: syscall.SIGKILL,
		Ready: func(_ context.Context, s *servers.Server) error {
			log, err := s.Log()
			if err != nil {
				return err
			}
			for line := range bytes.Lines(log) {
				clear(ready)
				if json.Unmarshal(line, &ready) == nil && (ready["msg"] == "contacts is ready" || ready["msg"] == "worker is running") {
					return nil
				}
			}
			return errors.New("its log does not say that it is ready")
		},
	})
	return s, ready, err
}
