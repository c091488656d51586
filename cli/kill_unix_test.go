//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// killable puts a process and its children into a group of their own.
func killable(cmd *exec.Cmd) *exec.Cmd {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// killGroup ends them all at once, as kill -9 does.
func killGroup(cmd *exec.Cmd) { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
