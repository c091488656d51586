package drift

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how well a classifier tells window from reference on held-out rows, with an exact p-value",
	Paper: "paz2017revisiting",
}, ClassifierTwoSample.Fit, loadClassifierTwoSample))

// ClassifierTwoSample tests whether a window comes from the reference's distribution by learning to tell the two apart.
//
// It is the test of Lopez-Paz and Oquab (2017) with a linear rule: half of either sample teaches a ridge head, the other
// half is sorted by it, and Fisher's exact test asks whether the half that looks more like the window holds more of its rows
// than chance puts there. No permutations: O((n+m)·D² + D³). What a linear rule cannot see, a change of spread alone say, it cannot
// find: prefer [MMD] for that.
//
// Fits on: Table n×D with n ≥ 2, which becomes the reference.
// Test:    window m×D with m ≥ 2. Statistic and effect: AUROC of the rule on held-out rows, with DeLong's interval; 0.5 is chance.
// Errors:  ErrShape for fewer than 2 rows in either sample and on another width.
// Differs: a median split and Fisher's test, exact for samples of any sizes, where the paper compares accuracy with a binomial of equal ones; a linear rule where it trains networks.
// Source:  paz2017revisiting, section 3.
// Claim:   claims/drift/classifiertwosample.go.
type ClassifierTwoSample struct {
	// Level is the false-alarm probability of one window.
	Level float64 `default:"0.05" range:"(0,1)"`
	// Ridge is added to the diagonal of the within-sample covariance of standardised columns. Raise it when rows are fewer than columns.
	Ridge float64 `default:"0.1" range:"(0,1e6]" unit:"variance"`
	// Seed starts the drawing of the halves.
	Seed uint64
}

// Fit keeps the reference.
func (c ClassifierTwoSample) Fit(ctx context.Context, train *data.Table) (*ClassifierTwoSampleModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := newReference(ctx, "classifiertwosample", train, 2)
	return &ClassifierTwoSampleModel{r, c}, err
}

// ClassifierTwoSampleModel is a fitted [ClassifierTwoSample].
type ClassifierTwoSampleModel struct {
	reference
	config ClassifierTwoSample
}

// Test compares a window with the reference.
func (m *ClassifierTwoSampleModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 2); err != nil {
		return nil, err
	}
	p := newPool(m.rows, window)
	random := rand.New(rand.NewPCG(m.config.Seed, 0x63327374))
	var teach, held [2][][]float32
	small, other := p.samples()
	for side, rows := range [][][]float32{small, other} {
		random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		teach[side], held[side] = rows[:len(rows)/2], rows[len(rows)/2:]
	}
	score, err := classifierTwoSampleRule(ctx, teach, p.centre(), m.config.Ridge)
	if err != nil {
		return nil, err
	}
	var scores [2][]float64
	for side, rows := range held {
		scores[side] = make([]float64, len(rows))
		for i, row := range rows {
			scores[side][i] = score(row)
		}
	}
	all := slices.Concat(scores[0], scores[1])
	slices.Sort(all)
	middle := all[len(all)/2]
	above := [2]int{}
	for side, list := range scores {
		for _, s := range list {
			if s >= middle && middle > all[0] {
				above[side]++
			}
		}
	}
	a, n := len(scores[0]), len(all)
	area, err := metric.AUROC(scores[1], scores[0])
	if err != nil {
		return nil, fmt.Errorf("classifiertwosample: %w", err)
	}
	out := &method.Comparison{
		PValue: hypergeometricTail(above[0], above[0]+above[1], a, n), Level: m.config.Level,
		Statistic: area.Value, Name: "auroc", Effect: area, Unit: "AUROC on held-out rows, 0.5 is chance",
	}
	out.Drift = out.PValue <= out.Level
	// A median split has 2/π of the information that normal scores hold about a shift: π/3 times less than ranks have.
	deviation := math.Sqrt(float64(n+1) / (12 * float64(a) * float64(n-a)) * math.Pi / 2)
	out.Visible = min(1, 0.5+(normalQuantile(1-out.Level)+powerQuantile)*deviation)
	return out, nil
}

// classifierTwoSampleRule learns the linear rule that is larger on rows of the first sample: the difference of the means, in the metric of the
// covariance within the samples.
func classifierTwoSampleRule(ctx context.Context, teach [2][][]float32, centre []float64, ridge float64) (func([]float32) float64, error) {
	d := len(centre)
	n := len(teach[0]) + len(teach[1])
	scale := make([]float64, d)
	for _, rows := range teach {
		for _, row := range rows {
			for j, v := range row {
				z := float64(v) - centre[j]
				scale[j] += z * z / float64(n)
			}
		}
	}
	for j, v := range scale {
		scale[j] = math.Sqrt(v)
		if v == 0 {
			scale[j] = 1
		}
	}
	within := make([]float64, d*d)
	direction := make([]float64, d)
	for side, rows := range teach {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		z := make([]float64, len(rows)*d)
		mean := make([]float64, d)
		for i, row := range rows {
			for j, v := range row {
				z[i*d+j] = (float64(v) - centre[j]) / scale[j]
				mean[j] += z[i*d+j] / float64(len(rows))
			}
		}
		for i := range z {
			z[i] -= mean[i%d]
		}
		num.Gemm(true, false, d, d, len(rows), 1/float64(n), z, d, z, d, 1, within, d)
		for j, v := range mean {
			direction[j] += v * float64(1-2*side)
		}
	}
	for j := range d {
		within[j*d+j] += ridge
	}
	factor, ok := num.NewChol(within, d)
	if !ok {
		return nil, fmt.Errorf("classifiertwosample: %w: the covariance is singular; raise --ridge", method.ErrDegenerate)
	}
	factor.Solve(direction, 1)
	return func(row []float32) (s float64) {
		for j, v := range row {
			s += direction[j] * (float64(v) - centre[j]) / scale[j]
		}
		return s
	}, nil
}

func loadClassifierTwoSample(c ClassifierTwoSample, st *data.Checkpoint) (*ClassifierTwoSampleModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r, err := loadReference("classifiertwosample", st, 2)
	return &ClassifierTwoSampleModel{r, c}, err
}
