package continual

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// lastLayer is a network's last layer, read from a checkpoint with tensors weight, K×D, and maybe bias, K values.
type lastLayer struct {
	classes      []string  // K names: those of the metadata "classes", or numbers from 0
	weight, bias []float64 // K×D, K
	k, d         int
}

// readLastLayer reads a layer for rows of d columns: the one tensor weight, whatever stands before this word and a full stop, that takes as
// many. Errors: ErrInput for none, ErrFormat and ErrShape for one that does not fit.
func readLastLayer(c *data.Checkpoint, d int) (*lastLayer, error) {
	if c == nil {
		return nil, fmt.Errorf("%w: want the last layer", method.ErrInput)
	}
	var found []string
	for _, name := range c.Names() {
		if shape := c.Tensors[name].Shape; (name == "weight" || strings.HasSuffix(name, ".weight")) && len(shape) == 2 && shape[1] == d && shape[0] > 0 {
			found = append(found, name)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: the head has %d weights of shape [K %d], want the last layer alone; it has %s", data.ErrShape, len(found), d, strings.Join(c.Names(), ", "))
	}
	r := c.Read()
	h := &lastLayer{d: d, k: c.Tensors[found[0]].Shape[0]}
	h.weight, h.bias = r.Floats(found[0], h.k, d), make([]float64, h.k)
	if bias := strings.TrimSuffix(found[0], "weight") + "bias"; c.Tensors[bias].Shape != nil {
		h.bias = r.Floats(bias, h.k)
	}
	if _, ok := c.Meta["classes"]; ok {
		h.classes = r.Strings("classes")
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if h.classes == nil {
		for k := range h.k {
			h.classes = append(h.classes, fmt.Sprint(k))
		}
	}
	if len(h.classes) != h.k {
		return nil, fmt.Errorf("%w: %d class names for %d outputs", data.ErrShape, len(h.classes), h.k)
	}
	return h, nil
}

// posteriors are the probabilities that logits stand for, N×K: their softmax, or the table's own values, which must be probabilities.
func posteriors(in *data.Table, probabilities bool) ([]float64, error) {
	n, k := in.Dims()
	if k < 1 {
		return nil, fmt.Errorf("%w: a table of %d rows and no classes", data.ErrShape, n)
	}
	p := make([]float64, n*k)
	for i := range n {
		row := p[i*k : (i+1)*k]
		sum := 0.0
		for c, v := range in.Row(i) {
			row[c] = float64(v)
			sum += row[c]
		}
		switch {
		case !probabilities:
			num.Softmax(row, row, 1)
		case slices.Min(row) < 0 || math.Abs(sum-1) > 1e-3:
			return nil, fmt.Errorf("%w: row %d adds up to %g with a least value of %g, want probabilities", data.ErrShape, i+1, sum, slices.Min(row))
		default:
			for c := range row {
				row[c] /= sum
			}
		}
	}
	return p, nil
}

// probabilityTable is p, N×K, as a table whose columns are named like the classes.
func probabilityTable(p []float64, n int, classes []string) (*data.Table, error) {
	x := make([]float32, len(p))
	for i, v := range p {
		x[i] = float32(v)
	}
	if classes == nil {
		return data.NewTable(n, len(p)/max(n, 1), x)
	}
	return data.NewNamed(n, classes, x)
}

// alike refuses tables that do not have the same rows.
func alike(a, b *data.Table, what, other string) error {
	n, _ := a.Dims()
	if m, _ := b.Dims(); m != n {
		return fmt.Errorf("%w: %d rows of %s, %d of %s", data.ErrShape, n, what, m, other)
	}
	return nil
}
