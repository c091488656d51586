package cli

import "os/exec"

func killable(cmd *exec.Cmd) *exec.Cmd { return cmd }

func killGroup(cmd *exec.Cmd) { cmd.Process.Kill() }
