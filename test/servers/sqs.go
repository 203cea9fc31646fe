package servers

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// oldestNode is the first major version of Node.js on which the pinned emulator runs.
const oldestNode = 20

// emulator is fauxqs, pinned with all its dependencies, and the program that serves it.
//
//go:embed fauxqs/package.json fauxqs/package-lock.json fauxqs/server.mjs
var emulator embed.FS

// StartSQS starts an emulator of Amazon SQS without any queue. It takes every region and every
// credential, and forgets everything when it ends. [Install] must have fetched it before.
func StartSQS(ctx context.Context) (*Server, error) {
	node, err := findNode(ctx)
	if err != nil {
		return nil, err
	}
	home, err := emulatorDir()
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(home); err != nil {
		return nil, fmt.Errorf("the SQS emulator is not installed (make test installs it): %w", err)
	}
	port, err := FreePort(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := newDir("SQS", nil)
	if err != nil {
		return nil, err
	}
	url := "http://127.0.0.1:" + port
	return startServer(ctx, url, dir, Program{
		Name:  "the SQS emulator",
		Args:  []string{node, filepath.Join(home, "server.mjs"), port},
		Stop:  syscall.SIGTERM,
		Ready: func(ctx context.Context, _ *Server) error { return healthy(ctx, url+"/health") },
	})
}

func healthy(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

// installEmulator fetches the emulator with npm into [emulatorDir] unless it is there.
// Concurrent calls, of other processes too, do not disturb each other: each installs aside,
// and the first to finish gives its folder the name.
func installEmulator(ctx context.Context, progress io.Writer) (err error) {
	home, err := emulatorDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(home); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := findNode(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(home), 0o755); err != nil {
		return err
	}
	fmt.Fprintln(progress, "installing the SQS emulator with npm")
	aside, err := os.MkdirTemp(filepath.Dir(home), filepath.Base(home)+".part-")
	if err != nil {
		return err
	}
	// By then the folder has its final name, unless something failed or another was first.
	defer func() { err = errors.Join(err, os.RemoveAll(aside)) }()

	files, err := fs.Sub(emulator, "fauxqs")
	if err != nil {
		return err
	}
	if err := os.CopyFS(aside, files); err != nil {
		return err
	}
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	npm.Dir = aside
	if out, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("the SQS emulator: npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(aside, home); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// emulatorDir returns the folder that an installed emulator has: outside the working tree, and
// another one for each content of the pinned files.
func emulatorDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("the SQS emulator: no folder for its install: %w", err)
	}
	hash := sha256.New()
	err = fs.WalkDir(emulator, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := emulator.ReadFile(path)
		fmt.Fprintf(hash, "%s %d\n", path, len(content))
		hash.Write(content)
		return err
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "contacts", "fauxqs-"+hex.EncodeToString(hash.Sum(nil)[:8])), nil
}

// findNode returns the path of a Node.js that is new enough.
func findNode(ctx context.Context) (string, error) {
	remedy := fmt.Sprintf("take Node.js %d or newer, with npm, from https://nodejs.org", oldestNode)
	node, err := exec.LookPath("node")
	if err != nil {
		return "", missing("Node.js, for the SQS emulator,", remedy)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return "", missing("npm, for the SQS emulator,", remedy)
	}
	version, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("%s --version: %w", node, err)
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(version), "v"), ".")
	if number, err := strconv.Atoi(major); err != nil || number < oldestNode {
		return "", missing(fmt.Sprintf("Node.js %d, for the SQS emulator,", oldestNode), remedy)
	}
	return node, nil
}
