package servers

import (
	"os/exec"
	"runtime"
)

// FindStrace returns the path of strace, with which a test sees what a process asks of the
// kernel. There is none but on Linux. The error wraps [ErrMissing] and says what to install.
func FindStrace() (string, error) {
	if runtime.GOOS != "linux" {
		return "", missing("strace", "run this on Linux")
	}
	path, err := exec.LookPath("strace")
	if err != nil {
		return "", missing("strace", "apt-get install strace (Debian, Ubuntu)")
	}
	return path, nil
}
