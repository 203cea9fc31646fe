// Command prose holds comments, messages and documents to the rules of CONTRIBUTING.md:
//
//	go run ./test/prose [FILE…]
//
// Without files it reads all that git tracks. It prints one line for each finding and exits with
// status 1 if there are any.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

func main() {
	found, err := run(os.Args[1:])
	for _, f := range found {
		fmt.Fprintln(os.Stderr, f)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	case len(found) > 0:
		os.Exit(1)
	}
}

// run checks the files, or all tracked ones if there are none.
func run(files []string) (found []finding, err error) {
	if len(files) == 0 {
		listed, err := exec.Command("git", "ls-files", "-z").Output() //nolint:noctx // it lists names only
		if err != nil {
			return nil, fmt.Errorf("list the tracked files: %w", err)
		}
		files = strings.Split(strings.Trim(string(listed), "\x00"), "\x00")
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) { // removed, and not yet committed
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read a file: %w", err)
		}
		found = append(found, check(file, source)...)
	}
	return found, nil
}
