package detect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// The setting that the claims of detectors on plain tables share; it was fixed before any of them ran.
const (
	tablesData    = "the 31 tables of ADBench below 340 kB, at most 5,000 rows of each, drawn by the seed like the split"
	tablesMetric  = "AUROC, mean over 31 tables"
	tablesMost    = 5000
	tablesLearned = 0.6
	tablesUnits   = "columns are brought to [0, 1] by the learned rows' range"
)

var tablesNeeds = []string{"adbench_classical"}

// tablesArm is a detector by its name in a claim.
type tablesArm struct {
	name string
	fit  func(ctx context.Context, train *data.Table) (method.Scorer, error)
}

// tablesArmOf makes an arm of a detector's Fit.
func tablesArmOf[M method.Scorer](name string, fit func(context.Context, *data.Table) (M, error)) tablesArm {
	return tablesArm{name, func(ctx context.Context, train *data.Table) (method.Scorer, error) { return fit(ctx, train) }}
}

// Arms that several claims compare with.
var (
	tablesKNN    = tablesArmOf("distance to the 5th neighbour", detect.KNN{NoNormalize: true}.Fit)
	tablesLOF    = tablesArmOf("LOF", detect.LOF{}.Fit)
	tablesForest = tablesArmOf("isolation forest", detect.IsolationForest{}.Fit)
	tablesHBOS   = tablesArmOf("HBOS", detect.HBOS{}.Fit)
	tablesECOD   = tablesArmOf("ECOD", detect.ECOD{}.Fit)
	tablesCOPOD  = tablesArmOf("COPOD", detect.COPOD{}.Fit)
	tablesPCA    = tablesArmOf("PCA", func(ctx context.Context, train *data.Table) (*detect.PCAModel, error) {
		return detect.PCA{Share: 0.5}.Fit(ctx, train) // the paper's
	})
)

func tablesNames(arms []tablesArm) (names []string) {
	for _, a := range arms {
		names = append(names, a.name)
	}
	return names
}

// tablesRun measures arms on every table: of its rows a share is learned, odd ones among them unmarked unless only normal
// ones are learned, and the others are to be told apart.
func tablesRun(arms []tablesArm, normalOnly bool) func(context.Context, claim.Env, uint64) (claim.Outcome, error) {
	return func(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
		files, err := filepath.Glob(env.Path("adbench_classical", "*.npz"))
		if err != nil {
			return o, err
		}
		if len(files) == 0 {
			return o, fmt.Errorf("%w: no tables in %s", claim.ErrMissing, env.Path("adbench_classical"))
		}
		o.Arms = make([]float64, len(arms))
		for k, file := range files {
			t, err := env.Features("adbench_classical", filepath.Base(file))
			if err != nil {
				return o, err
			}
			values, err := tablesMeasure(ctx, arms, t, claim.Random(seed, uint64(100+k)), normalOnly)
			if err != nil {
				return o, fmt.Errorf("%s: %w", strings.TrimSuffix(filepath.Base(file), ".npz"), err)
			}
			for a, v := range values {
				o.Arms[a] += v / float64(len(files))
			}
		}
		return o, nil
	}
}

// tablesMeasure returns each arm's AUROC on one split of a table.
func tablesMeasure(ctx context.Context, arms []tablesArm, t *data.Table, r *rand.Rand, normalOnly bool) (values []float64, err error) {
	train, normal, odd, err := tablesSplit(t, r, normalOnly)
	if err != nil {
		return nil, err
	}
	for _, a := range arms {
		m, err := a.fit(ctx, train)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		below, err := m.Score(normal)
		if err != nil {
			return nil, err
		}
		above, err := m.Score(odd)
		if err != nil {
			return nil, err
		}
		area, err := metric.AUROC(below, above, metric.Interval{ValueOnly: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		values = append(values, area.Value)
	}
	return values, nil
}

// tablesSplit draws rows to learn from and the normal and odd ones of the rest, without labels and in units of the learned range.
func tablesSplit(t *data.Table, r *rand.Rand, normalOnly bool) (train, normal, odd *data.Table, err error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, nil, nil, err
	}
	order := r.Perm(len(labels))
	order = order[:min(len(order), tablesMost)]
	var rows [3][]int // learned, normal, odd
	for k, i := range order {
		switch learned := float64(k) < tablesLearned*float64(len(order)); {
		case labels[i] > 0 && (!learned || normalOnly):
			rows[2] = append(rows[2], i)
		case learned:
			rows[0] = append(rows[0], i)
		default:
			rows[1] = append(rows[1], i)
		}
	}
	_, d := t.Dims()
	low, scale := make([]float64, d), make([]float64, d)
	for j := range d {
		low[j] = float64(t.Row(rows[0][0])[j])
		high := low[j]
		for _, i := range rows[0] {
			low[j], high = min(low[j], float64(t.Row(i)[j])), max(high, float64(t.Row(i)[j]))
		}
		if scale[j] = 1; high > low[j] {
			scale[j] = 1 / (high - low[j])
		}
	}
	var out [3]*data.Table
	for part, chosen := range rows {
		x := make([]float32, 0, len(chosen)*d)
		for _, i := range chosen {
			for j, v := range t.Row(i) {
				x = append(x, float32((float64(v)-low[j])*scale[j]))
			}
		}
		if out[part], err = data.NewTable(len(chosen), d, x); err != nil {
			return nil, nil, nil, err
		}
	}
	return out[0], out[1], out[2], nil
}
