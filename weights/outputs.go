package weights

import (
	"context"
	"fmt"
	"math"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
)

// Outputs returns what a checkpoint's network puts out for every row, N×K, labelled by the output that stands for the row's
// class. Errors: as Evaluate.
func (h *Holdout) Outputs(_ context.Context, c *data.Checkpoint) (*data.Table, error) {
	n, labels, err := h.network(c)
	if err != nil {
		return nil, err
	}
	_, k := n.Dims()
	z, err := data.NewTable(len(labels), k, n.Logits(h.rows.X(), len(labels)))
	if err != nil {
		return nil, fmt.Errorf("holdout: outputs: %w", err)
	}
	return z.WithLabels(labels, columnNumbers(k))
}

func columnNumbers(k int) []string {
	names := make([]string, k)
	for i := range names {
		names[i] = strconv.Itoa(i)
	}
	return names
}

// hits says of each row of labelled logits whether the largest one is its class's; of equal ones the first counts.
func hits(z *data.Table) ([]bool, error) {
	labels, err := z.Labels()
	if err != nil {
		return nil, err
	}
	right := make([]bool, len(labels))
	for i, label := range labels {
		right[i] = largestOf(z.Row(i)) == label
	}
	return right, nil
}

// largestOf returns the place of the largest value, the first of equal ones.
func largestOf(row []float32) int {
	at := 0
	for i, v := range row {
		if v > row[at] {
			at = i
		}
	}
	return at
}

func mean01(right []bool) float64 {
	sum := 0
	for _, r := range right {
		if r {
			sum++
		}
	}
	return float64(sum) / float64(max(len(right), 1))
}

// score evaluates a checkpoint and refuses what is no number; what names it in the error.
func score(ctx context.Context, e data.Evaluator, c *data.Checkpoint, what string) (float64, error) {
	v, err := e.Evaluate(ctx, c)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("a score of %v, %w", v, data.ErrFinite)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return v, nil
}

// finiteTensor reads a tensor's values. Errors: ErrFinite with the place.
func finiteTensor(name string, t data.Tensor) ([]float64, error) {
	v, err := t.Float64s()
	if err != nil {
		return nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	for i, x := range v {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			return nil, fmt.Errorf("tensor %q: element %d is %v, %w", name, i, x, data.ErrFinite)
		}
	}
	return v, nil
}

// digits writes a number as short as it reads back to the same.
func digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// brief writes a number to six digits.
func brief(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// copied returns a checkpoint with the tensors and metadata of c, without a seal and without what a method said before of
// its own work: keys that begin with prefix.
func copied(c *data.Checkpoint, prefix string) *data.Checkpoint {
	out := &data.Checkpoint{Meta: map[string]string{}, Tensors: make(map[string]data.Tensor, len(c.Tensors))}
	for key, text := range c.Meta {
		if key != "sha256" && (len(key) < len(prefix) || key[:len(prefix)] != prefix) {
			out.Meta[key] = text
		}
	}
	for name, t := range c.Tensors {
		out.Tensors[name] = t
	}
	return out
}
