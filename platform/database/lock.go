package database

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// Lock takes the SQLite file that url names for this process, which is to be the only one that works on its queue and
// caches what is in it. It reports false where another process has it. The lock ends with release, or with the process,
// however that ends. Other processes can read and write the file all the same.
func Lock(url string) (held bool, release func() error, err error) {
	path := filePath(url) + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return false, nil, fmt.Errorf("make the database's folder: %w", err)
	}
	lock := flock.New(path, flock.SetPermissions(0o600))
	if held, err = lock.TryLock(); err != nil {
		return false, nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return held, lock.Unlock, nil
}
