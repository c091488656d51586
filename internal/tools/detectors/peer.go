package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// peer is the process that runs the other side.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
}

func startPeer(python, script string) (*peer, error) {
	cmd := exec.Command(python, script)
	cmd.Env = append(os.Environ(), "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "LOKY_MAX_CPU_COUNT=1", "NUMBA_NUM_THREADS=1", "MKL_NUM_THREADS=1")
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
		return nil, fmt.Errorf("%s does not start: %w", python, err)
	}
	return &peer{cmd, in, bufio.NewScanner(out)}, nil
}

func (p *peer) line() (string, error) {
	if !p.out.Scan() {
		return "", fmt.Errorf("the peer gives no answer; does its Python have pyod, scikit-learn and numba?")
	}
	return p.out.Text(), nil
}

func (p *peer) ask(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		return "", fmt.Errorf("the peer takes no question: %w", err)
	}
	return p.line()
}

// pairs reads which detectors are to be compared.
func (p *peer) pairs() (list []*pair, err error) {
	text, err := p.line()
	if err != nil {
		return nil, err
	}
	count, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("the peer's first line is %q, want a count", text)
	}
	for k := range count {
		if text, err = p.line(); err != nil {
			return nil, err
		}
		x := &pair{at: k}
		x.name, x.peer, _ = strings.Cut(text, "\t")
		if x.spec, x.config, err = specOf(x.name); err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// data hands over the rows of a split.
func (p *peer) data(folder string, s *split) error {
	if err := writeFloats(filepath.Join(folder, "train.f32"), s.train.X()); err != nil {
		return err
	}
	if err := writeFloats(filepath.Join(folder, "test.f32"), s.test.X()); err != nil {
		return err
	}
	n, d := s.train.Dims()
	m, _ := s.test.Dims()
	_, err := p.ask("data %s %d %d %d", folder, n, m, d)
	return err
}

// run returns the peer's scores of the test rows, and the seconds that it took to fit and score.
func (p *peer) run(at, seed int, folder string, rows int) (scores []float64, seconds float64, err error) {
	text, err := p.ask("run %d %d", at, seed)
	if err != nil {
		return nil, 0, err
	}
	var fit, score float64
	if _, err := fmt.Sscan(text, &fit, &score); err != nil {
		return nil, 0, fmt.Errorf("the peer has %s", text)
	}
	raw, err := os.ReadFile(filepath.Join(folder, "scores.f64"))
	if err != nil {
		return nil, 0, err
	}
	if len(raw) != 8*rows {
		return nil, 0, fmt.Errorf("the peer gives %d scores for %d rows", len(raw)/8, rows)
	}
	for i := range rows {
		scores = append(scores, math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])))
	}
	return scores, (fit + score) / 1e9, nil
}

func (p *peer) stop() {
	p.in.Close()
	p.cmd.Wait() // its exit status says nothing that its answers did not
}
