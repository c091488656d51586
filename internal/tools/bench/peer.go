package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peer is a process that answers each line with the nanoseconds that the named work took, and behind them the objective that it
// reached, if it has one.
type peer struct {
	reached float64 // in the last answer
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

// startPeer starts a peer that uses the given number of threads. Settings that make its BLAS slower than it is by
// itself are taken out of its environment.
func startPeer(command []string, threads int) (*peer, error) {
	cmd := exec.Command(command[0], command[1:]...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OPENBLAS_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	n := strconv.Itoa(threads)
	cmd.Env = append(cmd.Env, "OPENBLAS_NUM_THREADS="+n, "OMP_NUM_THREADS="+n, "LOKY_MAX_CPU_COUNT="+n)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("peer %s does not start (run bench/install.sh): %w", command[0], err)
	}
	return &peer{cmd: cmd, in: in, out: bufio.NewScanner(out)}, nil
}

func (p *peer) ask(request string) (float64, error) {
	if _, err := fmt.Fprintln(p.in, request); err != nil {
		return 0, fmt.Errorf("peer does not take %q: %w", request, err)
	}
	if !p.out.Scan() {
		return 0, fmt.Errorf("peer has no answer to %q", request)
	}
	answer := strings.Fields(p.out.Text())
	if len(answer) == 0 {
		return 0, fmt.Errorf("peer has no time in its answer to %q", request)
	}
	if p.reached = 0; len(answer) > 1 {
		var err error
		if p.reached, err = strconv.ParseFloat(answer[1], 64); err != nil {
			return 0, err
		}
	}
	return strconv.ParseFloat(answer[0], 64)
}

func (p *peer) stop() {
	p.in.Close()
	p.cmd.Wait() // its exit status says nothing that its answers did not
}

// torchPython finds a Python that has PyTorch: the peers' own, or the system's, which Debian's python3-torch serves.
func torchPython(dir string) (string, error) {
	for _, python := range []string{filepath.Join(dir, ".venv", "bin", "python"), "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import torch, numpy").Run() == nil {
			return python, nil
		}
	}
	return "", errors.New("PyTorch is not installed (bench/install.sh tries to)")
}
