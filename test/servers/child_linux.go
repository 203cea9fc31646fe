package servers

import (
	"fmt"
	"os"
	"syscall"
)

// childOf describes a child process that runs as owner (nil: as this process), leads its own
// process group, so that a Ctrl-C in the terminal does not reach it, and gets the signal when
// this process dies, even by SIGKILL.
func childOf(owner *syscall.Credential, whenOrphaned syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true, Pdeathsig: whenOrphaned}
}

// EndWithParent asks for a SIGTERM when the parent process dies: "go run" dies of a signal
// without passing it on. The calling goroutine must be locked to its thread, and stay so.
func EndWithParent() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(syscall.SIGTERM), 0)
	if errno != 0 {
		return fmt.Errorf("set the parent-death signal: %w", os.NewSyscallError("prctl", errno))
	}
	return nil
}
