package weights

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// Holdout scores multilayer perceptrons on labelled rows that they were not trained on: accuracy for [data.Evaluator],
// cross-entropy with gradients for [data.Differentiable].
//
// Such a checkpoint holds `<layer>.weight` [out, in] and `<layer>.bias` [out] of linear layers, taken in the natural order
// of their names, with ReLU between them; a linear head is the case of one layer. Which output stands for which class is
// read from the metadata "classes", a JSON list of names. Without it, whole numbers below the number of outputs stand for
// themselves, and other names for their place in [data.CompareClasses] order, if there are as many as outputs.
type Holdout struct{ rows *data.Table }

// NewHoldout makes an evaluator of a labelled table. Errors: ErrShape when it has no rows, ErrLabels when a row has no label.
func NewHoldout(rows *data.Table) (*Holdout, error) {
	n, _ := rows.Dims()
	if n == 0 {
		return nil, fmt.Errorf("holdout: %w: no rows to score on", data.ErrShape)
	}
	labels, err := rows.Labels()
	if err != nil {
		return nil, fmt.Errorf("holdout: %w", err)
	}
	if i := slices.Index(labels, data.Unknown); i >= 0 {
		return nil, fmt.Errorf("holdout: %w: row %d has none", data.ErrLabels, i+1)
	}
	return &Holdout{rows}, nil
}

// Kind says that a Holdout is an evaluator.
func (*Holdout) Kind() data.Kind { return data.KindEvaluator }

// Evaluate returns the share of rows, 0 to 1, whose largest output is their class's; of equal outputs the first counts.
// Errors: ErrFormat when the checkpoint is no multilayer perceptron; ErrShape and ErrLabels when rows or classes do not fit it.
func (h *Holdout) Evaluate(_ context.Context, c *data.Checkpoint) (float64, error) {
	n, labels, err := h.network(c)
	if err != nil {
		return 0, err
	}
	_, k := n.Dims()
	z, right := n.Logits(h.rows.X(), len(labels)), 0
	for i, label := range labels {
		row := z[i*k : i*k+k]
		for _, v := range row {
			if v64 := float64(v); math.IsNaN(v64) || math.IsInf(v64, 0) {
				return 0, fmt.Errorf("holdout: row %d: an output is %v, %w", i+1, v, data.ErrFinite)
			}
		}
		if slices.Index(row, slices.Max(row)) == label {
			right++
		}
	}
	return float64(right) / float64(len(labels)), nil
}

// Loss returns the mean cross-entropy of the logits times scale, in nats, its derivative by scale, and its gradient by
// every tensor, computed in float32. Errors: as Evaluate, and ErrFinite when the loss overflows.
func (h *Holdout) Loss(_ context.Context, c *data.Checkpoint, scale float64) (loss, byScale float64, gradient map[string][]float64, err error) {
	n, labels, err := h.network(c)
	if err != nil {
		return 0, 0, nil, err
	}
	flat := make([]float32, n.Size())
	loss, byScale = n.Loss(net.Objective{Scale: scale}, h.rows.X(), labels, flat)
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return 0, 0, nil, fmt.Errorf("holdout: the loss is %v, %w", loss, data.ErrFinite)
	}
	gradient = map[string][]float64{}
	for _, t := range n.Named(flat) {
		g := make([]float64, len(t.Values))
		for i, v := range t.Values {
			g[i] = float64(v)
		}
		gradient[t.Name] = g
	}
	return loss, byScale, gradient, nil
}

// network reads a checkpoint as a network that fits the rows, and gives each row the number of its class's output.
func (h *Holdout) network(c *data.Checkpoint) (*net.Net, []int, error) {
	var ts []net.Tensor
	for _, name := range c.Names() {
		t := c.Tensors[name]
		if !t.DType.Float() {
			return nil, nil, fmt.Errorf("holdout: tensor %q is %s: the checkpoint %w as a multilayer perceptron", name, t.DType, data.ErrFormat)
		}
		wide, err := t.Float64s()
		if err != nil {
			return nil, nil, fmt.Errorf("holdout: tensor %q: %w", name, err)
		}
		v := make([]float32, len(wide))
		for i, x := range wide {
			v[i] = float32(x)
		}
		ts = append(ts, net.Tensor{Name: name, Shape: t.Shape, Values: v})
	}
	n, err := net.FromTensors(ts)
	if err != nil {
		return nil, nil, fmt.Errorf("holdout: the checkpoint %w as a multilayer perceptron: %v", data.ErrFormat, err)
	}
	in, out := n.Dims()
	if _, d := h.rows.Dims(); d != in {
		return nil, nil, fmt.Errorf("holdout: %w: table has %d columns, the network takes %d", data.ErrShape, d, in)
	}
	output, err := h.outputs(c, out)
	if err != nil {
		return nil, nil, fmt.Errorf("holdout: %w", err)
	}
	labels, err := h.rows.Labels()
	if err != nil {
		return nil, nil, err
	}
	mapped := make([]int, len(labels))
	for i, label := range labels {
		if mapped[i] = output[label]; mapped[i] < 0 {
			return nil, nil, fmt.Errorf("holdout: %w: row %d is of class %q, which is not among the checkpoint's %d", data.ErrLabels, i+1, h.rows.ClassName(i), out)
		}
	}
	return n, mapped, nil
}

// outputs returns the output that stands for each of the table's classes, −1 for none.
func (h *Holdout) outputs(c *data.Checkpoint, k int) ([]int, error) {
	names := h.rows.Classes()
	output := make([]int, len(names))
	if text, ok := c.Meta["classes"]; ok {
		var classes []string
		if err := json.Unmarshal([]byte(text), &classes); err != nil {
			return nil, fmt.Errorf("metadata \"classes\": %w: %v", data.ErrFormat, err)
		}
		if len(classes) != k {
			return nil, fmt.Errorf("%w: metadata \"classes\" has %d names for %d outputs", data.ErrShape, len(classes), k)
		}
		for i, name := range names {
			output[i] = slices.Index(classes, name)
		}
		return output, nil
	}
	numbers := !slices.ContainsFunc(names, func(name string) bool {
		v, err := strconv.Atoi(name)
		return err != nil || v < 0 || v >= k || strconv.Itoa(v) != name
	})
	switch {
	case numbers:
		for i, name := range names {
			output[i], _ = strconv.Atoi(name)
		}
	case len(names) == k:
		sorted := slices.SortedFunc(slices.Values(names), data.CompareClasses)
		for i, name := range names {
			output[i] = slices.Index(sorted, name)
		}
	default:
		return nil, fmt.Errorf("%w: table has %d classes, the network %d outputs; name them in the checkpoint's metadata \"classes\"", data.ErrLabels, len(names), k)
	}
	return output, nil
}
