package database

import (
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockedByte is where the lock lies: far behind the bytes that SQLite locks itself, and behind
// all data.
const lockedByte = 1 << 62

// lockFile takes a lock that belongs to the file and not to a path, and reports false if
// another process has it. It is one of the open file description, so that no other descriptor
// that this process closes ends it. Releasing it closes a descriptor of the file, and ends
// with that the locks that SQLite holds in this process: it is released last.
func lockFile(path string) (held bool, release func() error, err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, nil, err
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: lockedByte, Len: 1}
	err = unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &lock)
	if err == nil {
		return true, file.Close, nil
	}
	_ = file.Close() // nothing in this process has opened the database yet
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return false, nil, nil
	}
	return false, nil, err
}

// links is how many names a file has.
func links(info os.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink) //nolint:unconvert // it is not an uint64 on every architecture
	}
	return 1
}

// freeBytes is how much room there is on a file's disk.
func freeBytes(path string) (free uint64, known bool) {
	var disk unix.Statfs_t
	if err := unix.Statfs(path, &disk); err != nil {
		return 0, false
	}
	return disk.Bavail * uint64(disk.Bsize), true
}
