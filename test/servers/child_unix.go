//go:build unix && !linux

package servers

import "syscall"

// childOf describes a child process that runs as owner (nil: as this process) and leads its
// own process group, so that a Ctrl-C in the terminal does not reach it. Only Linux can also
// tell it of this process's death.
func childOf(owner *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: owner, Setpgid: true}
}

// EndWithParent does nothing: only Linux can tell a process of its parent's death.
func EndWithParent() error { return nil }
