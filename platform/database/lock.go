package database

import (
	"fmt"
	"os"
	"path/filepath"
)

// Lock takes the SQLite file that url names for this process, which is to be the only one that
// works on its queue and caches what is in it; the file is created when it is not there. It
// reports false where another process has it, by this or another path. The lock ends with
// release, which is to be called after the database was closed, or with the process, however
// that ends. Other processes can read and write the file all the same.
func Lock(url string) (held bool, release func() error, err error) {
	path, err := prepareFile(filePath(url))
	if err != nil {
		return false, nil, err
	}
	held, release, err = lockFile(path)
	if err != nil {
		return false, nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if !held {
		if _, err := os.Stat(path + "-wal"); err != nil {
			return false, nil, fmt.Errorf("another process works on %s by another path, and has its write-ahead log there: use the same path", path)
		}
	}
	return held, release, nil
}

// prepareFile creates a SQLite database's file, with its folder, when it is not there, and
// returns its path without links, so that all processes find the same write-ahead log beside
// it. With several names it would have several of those.
//
// It opens no file that is there already: closing one would end the locks that SQLite holds in
// this process.
func prepareFile(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make the database's folder: %w", err)
	}
	if _, err := os.Lstat(path); os.IsNotExist(err) {
		if saved, _ := filepath.Glob(path + ".saved-*"); len(saved) > 0 {
			return "", fmt.Errorf("%s is not there, and %s was saved when it was lost: move that to its place, or elsewhere to begin anew",
				path, saved[len(saved)-1])
		}
		if err := createFile(path); err != nil && !os.IsExist(err) {
			return "", err
		}
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("find the database's file: %w", err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find the database's file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("look at the database's file: %w", err)
	}
	if n := links(info); n > 1 {
		return "", fmt.Errorf("%s has %d names (hard links): expected one, since processes that use different ones would damage it; "+
			"remove the others", path, n)
	}
	return path, nil
}
