package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/weights"
	"github.com/gimbal-ml/gimbal/weights/recipe"
)

type weightsMergeOptions struct {
	output     string
	shard      int64
	noManifest bool
}

func newWeightsMergeCommand(e *env) *cobra.Command {
	o := &weightsMergeOptions{}
	cmd := &cobra.Command{
		Use:   "merge RECIPE -o FOLDER",
		Short: "Merge checkpoints by a recipe as mergekit has them",
		Long: `Merge makes what a recipe says, in mergekit's YAML: merge_method ` + strings.Join(recipe.Names(), ", ") + `;
models or slices; base_model; parameters with gradients over layers and filters; dtype and out_dtype. Models are paths.
Not supported, and refused: modules, tokenizer, tokenizer_source, chat_template, adapters behind a plus sign.

The result goes to FOLDER/model.safetensors, in shards with an index beyond 5 GiB, or to the file that -o names; nothing is
left behind when it fails. Beside it a manifest (.lineage.json) holds the recipe and the hashes of inputs and result: the same for
the same recipe and inputs. Files beside the weights (configuration, tokenizer) are yours to copy.`,
		Example: `  gimbal weights merge recipe.yaml -o merged/
  gimbal weights merge recipe.yaml -o merged.safetensors --no-manifest`,
		Args: exactly("RECIPE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := needFlags(cmd, "output"); err != nil {
				return err
			}
			if o.shard < 1 {
				return usage(cmd, "--shard-bytes %d: want 1 or more", o.shard)
			}
			return runWeightsMerge(e, cmd, args[0], o)
		},
	}
	cmd.Flags().Int64Var(&o.shard, "shard-bytes", shardBytes, "most bytes of tensors in one file")
	cmd.Flags().BoolVar(&o.noManifest, "no-manifest", false, "leave out the manifest, whose hashes take another reading of all inputs and the result")
	addOutput(cmd, &o.output, "`FOLDER`, .safetensors file or .safetensors.index.json to write")
	return cmd
}

func runWeightsMerge(e *env, cmd *cobra.Command, file string, o *weightsMergeOptions) error {
	ctx, start := cmd.Context(), time.Now()
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("%s: %w", file, plainCause(err))
	}
	r, err := recipe.Parse(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	inputs := map[string]*data.Checkpoint{}
	made, err := r.Build(ctx, func(model string) (*data.Checkpoint, error) {
		c, err := e.readCheckpoint(model)
		inputs[model] = c
		return c, err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	path, err := weightsOutput(o.output, checkpointBytes(made.Checkpoint), o.shard)
	if err != nil {
		return err
	}
	if err := e.notOverInputs(path, made.Checkpoint, o.shard); err != nil {
		return err
	}
	if err := open.WriteCheckpoint(ctx, path, e.counted(ctx, "merging", made.Checkpoint), o.shard); err != nil {
		if path != o.output {
			os.Remove(o.output) // the folder, where nothing else is in it
		}
		return err
	}
	for _, text := range made.Ignored {
		e.say("%s: ignored %s", file, text)
	}
	result := object{{"method", r.Method}, {"tensors", len(made.Checkpoint.Tensors)}, {"bytes", int(checkpointBytes(made.Checkpoint))}, {"output", path}}
	if !o.noManifest {
		l, err := e.manifest(r, inputs, path)
		if err != nil {
			return err
		}
		result = append(result, field{"manifest", manifestOf(path)}, field{"sha256", l.SHA256})
	}
	if e.json {
		return e.printObject(append(result, field{"seconds", time.Since(start).Seconds()}))
	}
	e.say("%s: %s of %s, %s", path, r.Method, plural(len(made.Checkpoint.Tensors), "tensor"), since(start))
	return nil
}

// manifest reads back what was written and puts the manifest beside it.
func (e *env) manifest(r *recipe.Recipe, inputs map[string]*data.Checkpoint, path string) (*weights.Lineage, error) {
	text, err := r.Text()
	if err != nil {
		return nil, err
	}
	c, err := e.readCheckpoint(path)
	if err != nil {
		return nil, err
	}
	l, err := weights.NewLineage(string(text), inputs, c)
	if err != nil {
		return nil, err
	}
	out, err := l.Text()
	if err != nil {
		return nil, err
	}
	return l, atomic.Write(manifestOf(path), func(w io.Writer) error { _, err := w.Write(out); return err })
}
