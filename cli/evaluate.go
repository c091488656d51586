package cli

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/data"
)

// commandEvaluator scores a checkpoint by a shell command of the user's.
type commandEvaluator struct {
	e       *env
	command string
}

// Kind says that a commandEvaluator is an evaluator.
func (*commandEvaluator) Kind() data.Kind { return data.KindEvaluator }

var numberPattern = regexp.MustCompile(`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`)

// Evaluate writes the checkpoint to a temporary file, runs the command and returns the last number that it prints.
// Errors: what the command says when it fails; ErrFormat when it prints no finite number.
func (v *commandEvaluator) Evaluate(ctx context.Context, c *data.Checkpoint) (float64, error) {
	dir, err := os.MkdirTemp("", "gimbal-evaluate-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "checkpoint.safetensors")
	if err := v.e.writeCheckpoint(ctx, path, c); err != nil {
		return 0, err
	}
	line := strings.ReplaceAll(v.command, "{}", "'"+strings.ReplaceAll(path, "'", `'\''`)+"'")
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	cmd.WaitDelay = time.Second // what the shell started may keep its output open
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		return 0, fmt.Errorf("evaluation command: %w: %s", err, tail(errOut.String()))
	}
	numbers := numberPattern.FindAllString(out.String(), -1)
	if len(numbers) == 0 {
		return 0, fmt.Errorf("evaluation command: its output %q holds no number: %w as a score", tail(out.String()), data.ErrFormat)
	}
	score, err := strconv.ParseFloat(numbers[len(numbers)-1], 64)
	if err != nil || math.IsInf(score, 0) {
		return 0, fmt.Errorf("evaluation command: %s is %w", numbers[len(numbers)-1], data.ErrFinite)
	}
	return score, nil
}

// tail is the last line of a text, shortened.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return cut(lines[len(lines)-1], 200)
}

func metaKeys(c *data.Checkpoint) []string { return slices.Sorted(maps.Keys(c.Meta)) }
