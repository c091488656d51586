package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/weights"
)

func newWeightsVerifyCommand(e *env) *cobra.Command {
	var manifest string
	cmd := &cobra.Command{
		Use:   "verify CHECKPOINT",
		Short: "Check that a checkpoint is whole, finite and what its manifest says",
		Long: `Verify reads all of a checkpoint: headers, shards and index fit together, every tensor can be read and is finite, and, where a
manifest lies beside it or is named, every tensor has the hash that it had when it was merged. Exit code 3 if not.`,
		Example: "  gimbal weights verify merged/",
		Args:    exactly("CHECKPOINT"),
		RunE:    func(cmd *cobra.Command, args []string) error { return runWeightsVerify(e, cmd, args[0], manifest) },
	}
	cmd.Flags().StringVar(&manifest, "manifest", "", "`FILE` with the manifest, by default the one beside the checkpoint")
	return cmd
}

func runWeightsVerify(e *env, cmd *cobra.Command, path, manifest string) error {
	c, err := e.readCheckpoint(path)
	if err != nil {
		return err
	}
	list, err := weights.Inspect(cmd.Context(), c)
	if err != nil {
		return named([]string{path}, err)
	}
	for _, s := range list {
		if s.NonFinite > 0 {
			return gate("%s: tensor %q: %s not finite", path, s.Name, plural(s.NonFinite, "element"))
		}
	}
	explicit := manifest != ""
	if !explicit {
		file := path
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			file = filepath.Join(path, "model.safetensors")
		}
		manifest = manifestOf(file)
	}
	result := object{{"checkpoint", path}, {"tensors", len(list)}, {"bytes", int(checkpointBytes(c))}}
	text, err := os.ReadFile(manifest)
	switch {
	case err != nil && (explicit || !errors.Is(err, fs.ErrNotExist)):
		return fmt.Errorf("%s: %w", manifest, plainCause(err))
	case err == nil:
		l, err := weights.ParseLineage(text)
		if err != nil {
			return fmt.Errorf("%s: %w", manifest, err)
		}
		bad, err := l.Check(c)
		if err != nil {
			return named([]string{path}, err)
		}
		if len(bad) > 0 {
			return gate("%s is not what %s says: %s%s", path, manifest, bad[0], andMore(len(bad)-1))
		}
		result = append(result, field{"manifest", manifest}, field{"sha256", l.SHA256})
	default:
		e.say("%s: no manifest beside it; it is whole and finite", path)
	}
	return e.printObject(result)
}

// andMore counts what a message leaves out.
func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", and %d more", n)
}
