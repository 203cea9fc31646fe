//go:build !linux

package database

import (
	"os"

	"github.com/gofrs/flock"
)

// lockFile takes a lock beside the file, since one on the file itself would get in the way of
// SQLite's own. It does not keep out a process after the lock's file was removed.
func lockFile(path string) (held bool, release func() error, err error) {
	lock := flock.New(path+".lock", flock.SetPermissions(0o600))
	held, err = lock.TryLock()
	return held, lock.Unlock, err
}

// links is how many names a file has, as far as it is known.
func links(os.FileInfo) uint64 { return 1 }

// freeBytes is how much room there is on a file's disk, as far as it is known.
func freeBytes(string) (free uint64, known bool) { return 0, false }
