// Package drift answers: has the data changed since the model was made? A test holds a window of rows against a reference; a
// watcher looks at a stream row by row. Each states how often it cries wolf, and how small a change it can see.
//
//	which one?                takes             gives                    when
//	[MMD]                     features          exact p-value            any change of the joint distribution; the default
//	[EnergyDistance]          features          exact p-value            the same without a bandwidth to choose
//	[RandomFeatureMMD]        features          exact p-value            many rows: cost grows with N, not N²
//	[LinearMMD]               features          asymptotic p-value       a stream's worth of rows, one pass, no permutations
//	[ClassifierTwoSample]     features          exact p-value            changes that a linear rule sees, in many columns at once
//	[KolmogorovSmirnov]       features          exact p-value a column   which columns moved?
//	[CramerVonMises]          features          exact p-value a column   the same, for small changes all along a column
//	[Wasserstein]             features          exact p-value a column   how far, in the column's own unit?
//	[PSI]                     features          exact p-value a column   dashboards that speak PSI
//	[LabelShift]              logits, labels    class weights            the mix of classes changed, the classes did not
//	[CBPE]                    logits, labels    estimated accuracy       what is accuracy now, without labels?
//	[ATC]                     logits, labels    estimated accuracy       the same where confidence is not calibrated
//	[Martingale]              features, scores  alarm over the stream    a promise for streams of any length
//	[CUSUM]                   features, scores  alarm within a horizon   a lasting shift of known size, soonest
//	[PageHinkley]             features, scores  alarm within a horizon   the level of the stream itself is the norm
//	[ADWIN]                   features, scores  alarm within a horizon   shifts of unknown size, and since when
package drift

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

//go:embed *.go
var source embed.FS

var methods = method.Set{Family: "drift", Source: &source}

// Methods returns the family's methods, sorted by name.
func Methods() []method.Spec { return methods.All() }

// powerQuantile is the normal distribution's quantile at 0.8: how often the smallest visible drift is to be found.
const powerQuantile = 0.8416212335729143

// reference is what tests hold windows against: the rows themselves.
type reference struct {
	name string
	rows *data.Table
}

// newReference keeps a table. Errors: ErrShape for fewer rows than least, or no columns.
func newReference(ctx context.Context, name string, in *data.Table, least int) (reference, error) {
	if err := ctx.Err(); err != nil {
		return reference{}, err
	}
	n, d := in.Dims()
	if n < least {
		return reference{}, fmt.Errorf("%w: the reference has %d rows, want at least %d", data.ErrShape, n, least)
	}
	if d == 0 {
		return reference{}, fmt.Errorf("%w: no feature columns to compare", data.ErrShape)
	}
	return reference{name, in}, nil
}

// window checks a window against the reference. Errors: ErrShape on another width and for fewer rows than least.
func (r reference) window(ctx context.Context, in *data.Table, least int) error {
	_, d := r.rows.Dims()
	if err := method.Width(r.name, in, d); err != nil {
		return err
	}
	if n, _ := in.Dims(); n < least {
		return fmt.Errorf("%s: %w: the window has %d rows, want at least %d", r.name, data.ErrShape, n, least)
	}
	return ctx.Err()
}

// State returns the reference as a tensor.
func (r reference) State() *data.Checkpoint {
	n, d := r.rows.Dims()
	return &data.Checkpoint{Tensors: map[string]data.Tensor{"reference": data.Float32Tensor(r.rows.X(), n, d)}}
}

// loadReference reads what State wrote.
func loadReference(name string, st *data.Checkpoint, least int) (reference, error) {
	r := st.Read()
	x := r.Float32s("reference", -1, -1)
	if err := r.Err(); err != nil {
		return reference{}, err
	}
	if t := st.Tensors["reference"].DType; t != data.F32 { // wider numbers could narrow to infinity
		return reference{}, fmt.Errorf("%w: the reference is %s, want %s", data.ErrFormat, t, data.F32)
	}
	shape := st.Tensors["reference"].Shape
	rows, err := data.NewTable(shape[0], shape[1], x)
	if err != nil {
		return reference{}, err
	}
	return newReference(context.Background(), name, rows, least)
}

// columnName names a column for people.
func columnName(in *data.Table, j int) string {
	if names := in.Columns(); names != nil && names[j] != "" {
		return names[j]
	}
	return fmt.Sprintf("column %d", j+1)
}

// corrections are the ways to hold many p-values to one level.
const (
	benjaminiHochberg = "benjamini-hochberg"
	bonferroni        = "bonferroni"
)

// correct returns the p-values corrected for their number: a corrected one at or below the level is called drift. With
// Benjamini and Hochberg the expected share of false calls among all calls stays below the level; the smallest corrected value
// is Simes' p-value of the hypothesis that nothing moved at all. That holds for independent columns and for positively dependent ones;
// Bonferroni's holds for all.
func correct(p []float64, how string) []float64 {
	d := float64(len(p))
	out := make([]float64, len(p))
	if how == bonferroni {
		for i, v := range p {
			out[i] = min(1, v*d)
		}
		return out
	}
	order := make([]int, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
	least := 1.0
	for k, i := range order {
		least = min(least, p[i]*d/(d-float64(k)))
		out[i] = least
	}
	return out
}

// settle fills in what follows from the parts: corrected p-values, the overall one and the decisions. The most significant part
// speaks for the table.
func settle(c *method.Comparison, how string) {
	p := make([]float64, len(c.Parts))
	for j, part := range c.Parts {
		p[j] = part.PValue
	}
	best := 0
	for j, v := range correct(p, how) {
		part := &c.Parts[j]
		part.Corrected, part.Drift = v, v <= c.Level
		if b := c.Parts[best]; part.PValue < b.PValue || part.PValue == b.PValue && part.Statistic > b.Statistic {
			best = j
		}
	}
	top := c.Parts[best]
	c.PValue, c.Statistic, c.Effect, c.Visible = slices.Min([]float64{top.Corrected, 1}), top.Statistic, top.Effect, top.Visible
	c.Drift = c.PValue <= c.Level
}

// enough refuses a level that so few permutations could never reach.
func enough(level float64, permutations int) error {
	if level*float64(permutations+1) < 1-1e-9 {
		return fmt.Errorf("%w: --level = %v needs --permutations of at least %d, have %d", method.ErrConfig, level, int(math.Ceil(1/level-1e-9))-1, permutations)
	}
	return nil
}
