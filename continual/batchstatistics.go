package continual

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "features with the batch's means and variances brought to those of a reference",
	Paper: "schneider2020improving",
	Exempt: map[string]string{
		"every-knob-matters": "the toys' reference is the batch itself, in which there is nothing to correct",
		"direction":          "what comes out are features, not a score",
	},
}, BatchStatistics.Apply))

// BatchStatistics moves and stretches each column of a batch so that its mean and variance become those of reference rows.
//
// It is the covariate shift adaptation of Schneider et al. (2020) on a table of features: where their networks replace the statistics of batch
// normalisation by a mix of old and new ones, here columns are normalised by that mix and given the reference's scale again. O(N·D).
// It undoes what moves or scales whole columns, as corruptions do; where a batch holds few classes its statistics are theirs, so mix in more of the
// reference then.
//
// Takes:   In N×D features of a batch, and Reference M×D: rows like those that what comes next was trained on. Without a reference, columns are brought to mean 0 and variance 1.
// Apply:   N×D features.
// Errors:  ErrShape for other widths, and for a reference without rows.
// Differs: one layer's features, those of the table, instead of every layer's; variances divide by the number of rows.
// Source:  schneider2020improving, eq. (1)-(2).
// Claim:   claims/continual/batchstatistics.go.
type BatchStatistics struct {
	// Rows is how many rows the reference counts for in the mix (the paper's N): a batch of as many rows moves the statistics half the way.
	Rows int `default:"16" range:"[1,1e9]"`
}

// BatchStatisticsInput is a batch and what it should be like.
type BatchStatisticsInput struct {
	In        *data.Table
	Reference *data.Table `optional:"true"`
}

// Apply aligns the batch.
func (c BatchStatistics) Apply(ctx context.Context, in BatchStatisticsInput) (*data.Table, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, d := in.In.Dims()
	mean, variance := make([]float64, d), slices.Repeat([]float64{1}, d)
	if in.Reference != nil {
		m, other := in.Reference.Dims()
		if d != other || m == 0 {
			return nil, fmt.Errorf("%w: a batch of %d×%d and a reference of %d×%d, want the same columns, and rows of the reference", data.ErrShape, n, d, m, other)
		}
		mean, variance = batchStatisticsOf(in.Reference)
	}
	if d == 0 {
		return nil, fmt.Errorf("%w: a batch of no columns", data.ErrShape)
	}
	out := make([]float32, n*d)
	own, spread := batchStatisticsOf(in.In)
	old := float64(c.Rows) / float64(c.Rows+n)
	for j := range d {
		mixed := old*mean[j] + (1-old)*own[j]
		deviation := math.Sqrt(old*variance[j] + (1-old)*spread[j])
		stretch := 1.0
		if want := math.Sqrt(variance[j]); deviation > 0 && want > 0 { // a column that does not vary in either is only moved
			stretch = want / deviation
		}
		for i := range n {
			v := (float64(in.In.Row(i)[j])-mixed)*stretch + mean[j]
			out[i*d+j] = float32(min(max(v, -math.MaxFloat32), math.MaxFloat32))
		}
	}
	t, err := data.NewTable(n, d, out)
	if err != nil {
		return nil, err
	}
	if names := in.In.Columns(); names != nil {
		return t.WithColumns(names)
	}
	return t, nil
}

// batchStatisticsOf are a table's column means and variances, without losing digits far from zero.
func batchStatisticsOf(in *data.Table) (mean, variance []float64) {
	n, d := in.Dims()
	mean, variance = make([]float64, d), make([]float64, d)
	if n == 0 {
		return mean, variance
	}
	first := in.Row(0)
	for i := range n {
		for j, v := range in.Row(i) {
			mean[j] += (float64(v) - float64(first[j])) / float64(n)
		}
	}
	for j, v := range first {
		mean[j] += float64(v)
	}
	for i := range n {
		for j, v := range in.Row(i) {
			e := float64(v) - mean[j]
			variance[j] += e * e / float64(n)
		}
	}
	return mean, variance
}
