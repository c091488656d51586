package weights

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// Gap is by how much the loss of the average of two checkpoints exceeds that of the average of their logits.
type Gap struct {
	First, Second int     // positions in the input, from 1
	Predicted     float64 // from the loss's curvature along the line between them, nats
	Measured      float64 // nats
}

// between returns the weighted sum of checkpoints of one architecture.
func between(in data.Checkpoints, weights ...float64) (*data.Checkpoint, error) {
	s, err := numbered(in).align()
	if err != nil {
		return nil, err
	}
	return s.blend(func(*strand) (kernel, error) {
		return func(dst []float64, src [][]float64, _ int) { mix(dst, src, weights) }, nil
	})
}

// Gaps predicts for every two of the checkpoints the loss of their average less that of the average of their logits, and measures it:
//
//	¼·½·(−d²L/dα² + E Var[Δf_Y]) at α = ½,   Y drawn from the softmax of the average's logits, Δf the difference of the two's logits.
//
// It is zero for models that are linear in their weights. Errors: those of the evaluator and ErrShape as [Soup].
// Source: wortsman2022soups, section 4, with a temperature of one.
func Gaps(ctx context.Context, in data.Checkpoints, e data.RowEvaluator) (gaps []Gap, err error) {
	const step = 0.04 // of α: shorter, and the rounding of float32 logits would show in the curvature
	outputs := make([]*data.Table, len(in))
	for i, c := range in {
		if outputs[i], err = e.Outputs(ctx, c); err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", i+1, err)
		}
	}
	total := len(in) * (len(in) - 1) / 2
	for j := range in {
		for i := range j {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			method.Progress(ctx, len(gaps), total)
			var losses [3]float64
			variance := 0.0
			for k := range losses {
				a := 0.5 + step*float64(k-1)
				mixed, err := between(data.Checkpoints{in[i], in[j]}, 1-a, a)
				if err != nil {
					return nil, err
				}
				z, err := e.Outputs(ctx, mixed)
				if err != nil {
					return nil, fmt.Errorf("checkpoints %d and %d, averaged: %w", i+1, j+1, err)
				}
				if losses[k], err = crossEntropy(z, nil); err != nil {
					return nil, err
				}
				if k == 1 {
					variance = gapVariance(z, outputs[i], outputs[j])
				}
			}
			ensemble, err := crossEntropy(outputs[i], outputs[j])
			if err != nil {
				return nil, err
			}
			curvature := (losses[0] - 2*losses[1] + losses[2]) / (step * step)
			gaps = append(gaps, Gap{i + 1, j + 1, (variance - curvature) / 8, losses[1] - ensemble})
		}
	}
	return gaps, nil
}

// crossEntropy is the mean loss of labelled logits, or of the mean of two tables of them, in nats.
func crossEntropy(a, b *data.Table) (float64, error) {
	labels, err := a.Labels()
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for i, label := range labels {
		row := averageLogits(a, b, i)
		sum += logSum(row) - row[label]
	}
	return sum / float64(max(len(labels), 1)), nil
}

// averageLogits is row i of a, or the mean of those of a and b.
func averageLogits(a, b *data.Table, i int) []float64 {
	row := make([]float64, len(a.Row(i)))
	for k, v := range a.Row(i) {
		if row[k] = float64(v); b != nil {
			row[k] = (row[k] + float64(b.Row(i)[k])) / 2
		}
	}
	return row
}

// logSum is log Σ eˣ.
func logSum(row []float64) float64 {
	most, sum := math.Inf(-1), 0.0
	for _, v := range row {
		most = max(most, v)
	}
	for _, v := range row {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum)
}

// gapVariance is the mean over rows of the variance of b's logits less a's under the softmax of z.
func gapVariance(z, a, b *data.Table) float64 {
	n, _ := z.Dims()
	total := 0.0
	for i := range n {
		row := averageLogits(z, nil, i)
		all, first, second := logSum(row), 0.0, 0.0
		for k, v := range row {
			p, d := math.Exp(v-all), float64(b.Row(i)[k])-float64(a.Row(i)[k])
			first += p * d
			second += p * d * d
		}
		total += second - first*first
	}
	return total / float64(max(n, 1))
}
