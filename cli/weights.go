package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
)

func newWeightsCommand(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "weights",
		Short: "Merge checkpoints by a recipe; inspect, compare and verify them",
		Long: `Weights works on checkpoints of any size: safetensors files, folders or indexes of shards, npz archives. Tensors are read
and written a few megabytes at a time, so a checkpoint need not fit into memory.

Single methods are applied with gimbal apply weights/…; recipes are mergekit's, in YAML.`,
		Example: `  gimbal weights inspect a.safetensors
  gimbal weights diff a.safetensors b.safetensors
  gimbal weights merge recipe.yaml -o merged/
  gimbal weights verify merged/`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(cmd, "unknown command %q%s", args[0], meant(cmd.SuggestionsFor(args[0])))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWeightsMergeCommand(e), newWeightsInspectCommand(e), newWeightsDiffCommand(e), newWeightsVerifyCommand(e), newWeightsCurveCommand(e), newWeightsDemoCommand(e))
	return cmd
}

// weightsOutput is where a checkpoint goes: the file, or the index, that stands for it.
func weightsOutput(path string, bytes, shard int64) (string, error) {
	if strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, indexEnd) {
		return path, nil
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return "", &usageError{fmt.Sprintf("-o %s: want a folder, NAME.safetensors or NAME%s", path, indexEnd)}
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return "", fmt.Errorf("%s: %w", path, plainCause(err))
	}
	if bytes > shard {
		return filepath.Join(path, "model"+indexEnd), nil
	}
	return filepath.Join(path, "model.safetensors"), nil
}

const indexEnd = ".safetensors.index.json"

// manifestOf is the file beside a checkpoint that says how it was made.
func manifestOf(file string) string {
	stem := strings.TrimSuffix(strings.TrimSuffix(file, indexEnd), ".safetensors")
	return stem + ".lineage.json"
}

// checkpointBytes is the size of all tensors.
func checkpointBytes(c *data.Checkpoint) (sum int64) {
	for _, t := range c.Tensors {
		sum += int64(t.Len()) * int64(t.DType.Size())
	}
	return sum
}

// notOverInputs refuses to write over a file from which tensors are still to be read.
func (e *env) notOverInputs(path string, c *data.Checkpoint, shard int64) error {
	targets := []string{path}
	if strings.HasSuffix(path, indexEnd) {
		_, x := safetensors.Split(c, strings.TrimSuffix(filepath.Base(path), indexEnd), shard)
		for _, name := range x.Files() {
			targets = append(targets, filepath.Join(filepath.Dir(path), name))
		}
	}
	for _, target := range targets {
		there, err := os.Stat(target)
		if err != nil {
			continue // nothing there to be read
		}
		for _, f := range e.files {
			from, ok := f.(open.Files)
			if !ok {
				continue
			}
			for _, input := range from.Paths() {
				if info, err := os.Stat(input); err == nil && os.SameFile(info, there) {
					return &usageError{fmt.Sprintf("-o %s: would be written over the input %s; write elsewhere", target, input)}
				}
			}
		}
	}
	return nil
}

// counted reports how many tensors of a checkpoint were asked for while it is written.
func (e *env) counted(ctx context.Context, what string, c *data.Checkpoint) *data.Checkpoint {
	p := e.track(what, "MB", int(checkpointBytes(c)>>20))
	out := &data.Checkpoint{Meta: c.Meta, Tensors: map[string]data.Tensor{}}
	done := int64(0)
	for name, t := range c.Tensors {
		seen, err := data.StreamTensor(t.DType, t.Shape, func(dst []byte, lo int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := t.Fill(dst, lo); err != nil {
				return err
			}
			done += int64(len(dst))
			p.set(int(done>>20), p.total)
			return nil
		})
		if err != nil {
			seen = t // the writer says what is wrong with it
		}
		out.Tensors[name] = seen
	}
	return out
}
