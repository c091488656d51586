package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/world"
)

func newWeightsDemoCommand(e *env) *cobra.Command {
	var output string
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo -o FOLDER",
		Short: "Make a base, three copies tuned from it, and rows to score them on",
		Long: `Demo draws images of an invented script, trains a small network on many of them, and tunes three copies of it on few others with
different settings. It writes base.safetensors, a, b and c, and held.parquet and damaged.parquet: rows to score on, the latter
under noise. It is what the guide on weights starts from; the same seed gives the same files.`,
		Example: "  gimbal weights demo -o soup/",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := needFlags(cmd, "output"); err != nil {
				return err
			}
			return runWeightsDemo(e, cmd.Context(), output, seed)
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "start of the pseudo-random numbers")
	addOutput(cmd, &output, "`FOLDER` to write to")
	return cmd
}

// The demo's images and how many of them play which part.
const (
	demoClasses, demoSide             = 60, 20
	demoBase, demoTuning, demoScoring = 4800, 1200, 3000
	demoDamage                        = 3 // severity of the noise on one of the two sets to score on
)

func runWeightsDemo(e *env, ctx context.Context, dir string, seed uint64) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("%s: %w", dir, plainCause(err))
	}
	// The base is trained on damaged images, the copies are tuned on clean ones: what they forget of the damage, an average keeps.
	before, err := demoRows(seed, 1, demoBase, 3)
	if err != nil {
		return err
	}
	tuning, err := demoRows(seed, 2, demoTuning, 0)
	if err != nil {
		return err
	}
	base, err := claim.Perceptron{Net: net.New(seed, demoSide*demoSide, 64, demoClasses)}.Train(ctx, net.Train{Epochs: 4, Batch: 32, Rate: 0.03, Cosine: true, Momentum: 0.9, Seed: seed}, before)
	if err != nil {
		return err
	}
	networks := map[string]claim.Perceptron{"base": base}
	for i, name := range []string{"a", "b", "c"} {
		recipe := net.Train{Epochs: 5 + 2*i, Batch: 32, Rate: []float64{0.02, 0.01, 0.03}[i], Cosine: true, Momentum: 0.9, Smoothing: []float64{0, 0.1, 0}[i], Noise: []float64{0, 0, 0.1}[i], Seed: seed*10 + uint64(i)}
		if networks[name], err = base.Train(ctx, recipe, tuning); err != nil {
			return err
		}
	}
	for _, name := range []string{"base", "a", "b", "c"} {
		if err := e.writeCheckpoint(ctx, filepath.Join(dir, name+".safetensors"), networks[name].Checkpoint(tuning.Classes())); err != nil {
			return err
		}
	}
	for i, name := range []string{"held", "damaged"} {
		rows, err := demoRows(seed, 3, demoScoring, float64(i*demoDamage))
		if err != nil {
			return err
		}
		if err := open.WriteTable(ctx, filepath.Join(dir, name+".parquet"), rows, open.WriteOptions{}); err != nil {
			return err
		}
	}
	e.say("%s: base, a, b and c; held.parquet and damaged.parquet with %s each", dir, plural(demoScoring, "row"))
	return nil
}

// demoRows draws labelled images, classes in turn.
func demoRows(seed, part uint64, n int, damage float64) (*data.Table, error) {
	g := world.Glyphs{Seed: seed, Size: demoSide}
	pixels := g.Pixels()
	x, names := make([]float32, n*pixels), make([]string, n)
	for c := range demoClasses {
		drawn := g.Draw(c, n/demoClasses, seed*100+part)
		for k := range n / demoClasses {
			i := k*demoClasses + c
			copy(x[i*pixels:(i+1)*pixels], drawn[k*pixels:])
			names[i] = strconv.Itoa(c)
		}
	}
	if damage > 0 {
		var err error
		if x, err = world.Corrupt("noise", damage, seed+part, x, demoSide); err != nil {
			return nil, err
		}
	}
	t, err := data.NewTable(n, pixels, x)
	if err != nil {
		return nil, err
	}
	return t.WithClassNames(names)
}
