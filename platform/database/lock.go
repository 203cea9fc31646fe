package database

import (
	"fmt"
	"os"
	"path/filepath"
)

// Lock takes the SQLite file that url names for this process, which is to be the only one that
// works on its queue and caches what is in it; the file is created when it is not there. It reports
// false where another process has it, by this or another path. The lock ends with release, which is
// to be called after the database was closed, or with the process, however that ends. Other
// processes can read and write the file all the same.
func Lock(url string) (held bool, release func() error, err error) {
	path, err := prepareFile(filePath(url))
	if err != nil {
		return false, nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, nil, fmt.Errorf("open the database's file: %w", err)
	}
	held, err = lockFile(file)
	if err != nil || !held {
		_ = file.Close() // nothing in this process has opened the database yet, so that no lock of SQLite's ends
		if err != nil {
			err = fmt.Errorf("lock %s: %w", path, err)
		}
		return false, nil, err
	}
	return true, file.Close, nil
}

// prepareFile creates a SQLite database's file, with its folder, when it is not there, and returns
// its path without links, so that all processes find the same write-ahead log beside it. With
// several names it would have several of those.
//
// It opens no file that is there already: closing one would end the locks that SQLite holds in this
// process.
func prepareFile(path string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("make the database's folder: %w", err)
	}
	if _, err := os.Lstat(path); os.IsNotExist(err) {
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
