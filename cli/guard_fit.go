package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/guard"
)

type guardFitOptions struct {
	inputs               []string
	table                tableFlags
	config               guard.Config
	detectorSet, headSet []string
	like, output         string
}

func newGuardFitCommand(e *env) *cobra.Command {
	o := &guardFitOptions{}
	cmd := &cobra.Command{
		Use:   "fit --train FILE [--label COLUMN] -o GUARD",
		Short: "Make a guard from rows of the known classes",
		Long: `Fit reads the rows twice, in blocks, and keeps one exact state, a calibration sample and nothing else. Without --label the
rows are one class of familiar rows, and the guard decides without naming classes.

--like takes grid, calibration share, seed and methods from another guard: fitted so on what is left, a guard equals,
byte for byte, the other after it forgot the rest.`,
		Example: `  gimbal guard fit --train train.csv --label y --alpha 0.05 -o g.gimbal
  gimbal guard fit --train train.csv --label y --detector detect/mahalanobis --detector-set ridge=0.01 -o g2.gimbal`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runGuardFit(e, cmd, o) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.inputs, "train", nil, "`FILE` with the rows to learn from; several are read as one")
	f.Float64Var(&o.config.Alpha, "alpha", 0, "false-alarm `RATE`: at most this share of familiar rows is refused (default 0.05)")
	f.StringVar(&o.config.Detector, "detector", "", "`METHOD` that scores; one fitted from moments (see gimbal methods detect)")
	f.StringVar(&o.config.Head, "head", "", "`METHOD` that predicts classes; the detector by default, when it can")
	f.StringArrayVar(&o.detectorSet, "detector-set", nil, "`NAME=VALUE` of a parameter of the detector")
	f.StringArrayVar(&o.headSet, "head-set", nil, "`NAME=VALUE` of a parameter of the head")
	f.Float64Var(&o.config.Calibration, "calibration", 0, "`SHARE` of the rows kept aside for the threshold (default 0.2, at most about 5 000 rows)")
	f.Float64Var(&o.config.DriftLevel, "drift-level", 0, "`PROBABILITY` at most, that the drift alarm ever rings over a whole unchanged stream (default 0.01)")
	f.Uint64Var(&o.config.Seed, "seed", 0, "moves the choice of calibration rows")
	f.StringVar(&o.like, "like", "", "`GUARD` to take grid, calibration share, seed and methods from")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`GUARD` to write")
	return cmd
}

func runGuardFit(e *env, cmd *cobra.Command, o *guardFitOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "train", "output"); err != nil {
		return err
	}
	for _, f := range []string{"alpha", "calibration", "drift-level"} { // zero stands for the default inside; nobody may mean it
		if v, _ := cmd.Flags().GetFloat64(f); cmd.Flags().Changed(f) && !(v > 0 && v < 1) {
			return usage(cmd, "--%s %v: want a number between 0 and 1", f, v)
		}
	}
	var err error
	if o.config.DetectorConfig, err = assignments(cmd, "detector-set", o.detectorSet); err != nil {
		return err
	}
	if o.config.HeadConfig, err = assignments(cmd, "head-set", o.headSet); err != nil {
		return err
	}
	var columns []string
	if o.like != "" {
		for _, f := range []string{"alpha", "detector", "head", "detector-set", "head-set", "calibration", "drift-level", "seed"} {
			if cmd.Flags().Changed(f) {
				return usage(cmd, "--%s comes from --like %s", f, o.like)
			}
		}
		like, err := e.loadGuard(o.like)
		if err != nil {
			return err
		}
		o.config.Like, columns = like.Guard, like.columns
	}
	src, err := e.openSource(ctx, o.inputs, &o.table, columns)
	if err != nil {
		return err
	}
	start := time.Now()
	g, err := guard.Fit(ctx, e.specs, o.config, src)
	if err != nil {
		return named(o.inputs, err)
	}
	model, kept := g.Rows()
	return e.saveGuard(ctx, o.output, g, fmt.Sprintf("learned from %s, calibrated on %s, %s, in %s", plural(model, "row"), plural(kept, "row"), plural(len(g.Classes()), "class"), since(start)))
}

// assignments reads NAME=VALUE flags.
func assignments(cmd *cobra.Command, flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, a := range list {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, usage(cmd, "--%s %q: want NAME=VALUE", flag, a)
		}
		m[name] = value
	}
	return m, nil
}
