package detect

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// HeadInput is what a detector learns from that looks at features and at what a network's last layer makes of them.
type HeadInput struct {
	// Train is N×D features: what goes into the last layer.
	Train *data.Table
	// Head is the last layer. It has a tensor weight, K×D, and mostly a tensor bias, K values, whatever stands before
	// these words and a full stop in their names: a whole network's file will do when one weight alone has D columns
	// and K of at least 2 rows. Metadata "classes", a JSON list, may name the K classes.
	Head *data.Checkpoint
}

// Logits returns what the head makes of the features: N×K, with the classes' names where the head has them. It is how
// detectors that take logits alone are given those of the same network.
// Errors: those of fitting; ErrFinite where float32 cannot hold a logit.
func (in HeadInput) Logits() (*data.Table, error) {
	h, err := in.read()
	if err != nil {
		return nil, err
	}
	n, _ := in.Train.Dims()
	x := make([]float32, n*h.k)
	h.each(in.Train, nil, func(i int, _, logits []float64) {
		for c, z := range logits {
			x[i*h.k+c] = float32(z)
		}
	})
	if len(h.classes) > 0 {
		return data.NewNamed(n, h.classes, x)
	}
	return data.NewTable(n, h.k, x)
}

// linearHead is a network's last layer: logits = features·Wᵀ + b.
type linearHead struct {
	k, d    int
	weight  []float64 // K×D
	bias    []float64 // K
	classes []string  // K names, or none
}

// fitHead does what fitting always begins with: it readies the configuration and reads the head.
// Errors: ErrInput when something is missing; ErrFormat and ErrShape for a head that is none, or is another network's.
func fitHead[C any](ctx context.Context, c *C, in HeadInput) (*linearHead, error) {
	if err := method.Ready(c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return in.read()
}

// read finds the last layer in the head.
func (in HeadInput) read() (*linearHead, error) {
	if in.Train == nil || in.Head == nil {
		return nil, fmt.Errorf("%w: want features and the head that they go into", method.ErrInput)
	}
	n, d := in.Train.Dims()
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("%w: features are %d×%d, want at least one row and one column", data.ErrShape, n, d)
	}
	name, err := headWeight(in.Head, d)
	if err != nil {
		return nil, err
	}
	h := &linearHead{d: d, k: in.Head.Tensors[name].Shape[0]}
	if h.weight, err = headFloats(in.Head, name, h.k, d); err != nil {
		return nil, err
	}
	h.bias = make([]float64, h.k)
	bias := strings.TrimSuffix(name, "weight") + "bias"
	if _, ok := in.Head.Tensors[bias]; ok {
		if h.bias, err = headFloats(in.Head, bias, h.k); err != nil {
			return nil, err
		}
	}
	if in.Head.Meta["classes"] != "" {
		r := in.Head.Read()
		h.classes = r.Strings("classes")
		if err := r.Err(); err != nil {
			return nil, err
		}
		if len(h.classes) != h.k {
			return nil, fmt.Errorf("%w: the head names %d classes, its weight has %d rows", data.ErrShape, len(h.classes), h.k)
		}
	}
	return h, nil
}

// headWeight finds the name of the tensor of weights into which d features go.
func headWeight(c *data.Checkpoint, d int) (string, error) {
	var fit, other []string
	for _, name := range c.Names() {
		if name != "weight" && !strings.HasSuffix(name, ".weight") || len(c.Tensors[name].Shape) != 2 {
			continue
		}
		if s := c.Tensors[name].Shape; s[1] == d && s[0] > 1 {
			fit = append(fit, name)
		} else {
			other = append(other, fmt.Sprintf("%s %v", name, s))
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) > 1:
		return "", fmt.Errorf("%w: the head has %d weights for %d features: %s; give the last layer alone", data.ErrFormat, len(fit), d, strings.Join(fit, ", "))
	case len(other) > 0:
		return "", fmt.Errorf("%w: the head has no weight of shape [K %d] with K of at least 2, as %d feature columns ask for, have %s", data.ErrShape, d, d, strings.Join(other, ", "))
	}
	return "", fmt.Errorf("%w: the head has no tensor weight of shape [K %d], have %s", data.ErrFormat, d, strings.Join(c.Names(), ", "))
}

// headFloats reads a tensor's values, which must lie in float32's range so that no logit overflows.
func headFloats(c *data.Checkpoint, name string, shape ...int) ([]float64, error) {
	v, _, err := c.Floats(name, shape...)
	if err != nil {
		return nil, err
	}
	for i, x := range v {
		if !(math.Abs(x) <= math.MaxFloat32) {
			return nil, fmt.Errorf("%w: head tensor %s has the value %v at place %d, want numbers within float32's range", data.ErrFormat, name, x, i+1)
		}
	}
	return v, nil
}

// headRows is how many rows go through the head at a time.
const headRows = 256

// each calls f with every row and its logits, rows in parallel. change, where given, may alter a row before that.
// f must keep neither.
func (h *linearHead) each(in *data.Table, change func(row []float64), f func(i int, row, logits []float64)) {
	n, _ := in.Dims()
	num.Parallel(n, headRows, func(from, to int) {
		size := min(headRows, to-from)
		rows, logits := make([]float64, size*h.d), make([]float64, size*h.k)
		for lo := from; lo < to; lo += headRows {
			m := min(headRows, to-lo)
			h.logits(in.X()[lo*h.d:(lo+m)*h.d], m, rows, logits, change)
			for i := range m {
				f(lo+i, rows[i*h.d:(i+1)*h.d], logits[i*h.k:(i+1)*h.k])
			}
		}
	})
}

// inOrder is each with one row after the other, for sums over rows.
func (h *linearHead) inOrder(ctx context.Context, in *data.Table, f func(i int, row, logits []float64)) error {
	n, _ := in.Dims()
	rows, logits := make([]float64, min(n, headRows)*h.d), make([]float64, min(n, headRows)*h.k)
	for lo := 0; lo < n; lo += headRows {
		if err := ctx.Err(); err != nil {
			return err
		}
		m := min(headRows, n-lo)
		h.logits(in.X()[lo*h.d:(lo+m)*h.d], m, rows, logits, nil)
		for i := range m {
			f(lo+i, rows[i*h.d:(i+1)*h.d], logits[i*h.k:(i+1)*h.k])
		}
	}
	return nil
}

// logits fills rows with x, m×D, and logits with what the head makes of them, m×K.
func (h *linearHead) logits(x []float32, m int, rows, logits []float64, change func(row []float64)) {
	widen(rows, x)
	for i := range m {
		if change != nil {
			change(rows[i*h.d : (i+1)*h.d])
		}
		copy(logits[i*h.k:], h.bias)
	}
	num.Gemm(false, true, m, h.k, h.d, 1, rows, h.d, h.weight, h.d, 1, logits, h.k)
}

// class finds, for each class of a table, the head's row for it: by name where the head has names, else by number where
// all names are numbers below K, else by place in the classes' order when there are as many. −1 stands for none.
func (h *linearHead) class(t *data.Table) ([]int, error) {
	names := t.Classes()
	rows := make([]int, len(names))
	if len(h.classes) > 0 {
		for c, name := range names {
			rows[c] = slices.Index(h.classes, name)
		}
		return rows, nil
	}
	numbers := true
	for c, name := range names {
		number, err := strconv.Atoi(name)
		numbers = numbers && err == nil && number >= 0 && number < h.k
		rows[c] = number
	}
	if numbers {
		return rows, nil
	}
	if len(names) != h.k {
		return nil, fmt.Errorf("%w: %d classes, and a head with %d that it does not name; give it metadata \"classes\", or leave labels out", data.ErrLabels, len(names), h.k)
	}
	sorted := slices.Clone(names)
	slices.SortFunc(sorted, data.CompareClasses)
	for c, name := range names {
		rows[c] = slices.Index(sorted, name)
	}
	return rows, nil
}

// state is the head as tensors.
func (h *linearHead) state() *data.Checkpoint {
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"weight": data.Float64Tensor(h.weight, h.k, h.d),
		"bias":   data.Float64Tensor(h.bias, h.k),
	}}
}

// loadHead readies the configuration and reads what state wrote; the reader is for what else the state has.
func loadHead[C any](c *C, st *data.Checkpoint) (*linearHead, *data.Reader, error) {
	if err := method.Ready(c); err != nil {
		return nil, nil, err
	}
	r := st.Read()
	h := &linearHead{bias: r.Floats("bias", -1)}
	h.k = len(h.bias)
	h.weight = r.Floats("weight", h.k, -1)
	if err := r.Err(); err != nil {
		return nil, nil, err
	}
	if h.k < 2 || len(h.weight) == 0 {
		return nil, nil, fmt.Errorf("%w: a head of %d weights for %d classes", data.ErrShape, len(h.weight), h.k)
	}
	h.d = len(h.weight) / h.k
	return h, r, nil
}

// headScorer scores each row of features by itself, by what the head makes of it.
type headScorer struct {
	name   string // of the method, for messages
	head   *linearHead
	change func(row []float64) // alters a row before it goes through the head; or nil
	score  func(row, logits []float64) float64
}

// Score returns one number for each row of features.
func (m *headScorer) Score(features *data.Table) ([]float64, error) {
	if err := method.Width(m.name, features, m.head.d); err != nil {
		return nil, err
	}
	n, _ := features.Dims()
	out := make([]float64, n)
	m.head.each(features, m.change, func(i int, row, logits []float64) { out[i] = m.score(row, logits) })
	return out, nil
}

// State returns the model as tensors.
func (m *headScorer) State() *data.Checkpoint { return m.head.state() }

// headEnergy is the score of those that only change what goes into the head.
func headEnergy(_, logits []float64) float64 { return -logSumExp(logits, 1) }

// columnMeans returns the mean of every column, D values; the table has rows.
func columnMeans(t *data.Table) []float64 {
	n, d := t.Dims()
	mean := make([]float64, d)
	for i := range n {
		for j, v := range t.Row(i) {
			mean[j] += float64(v)
		}
	}
	for j := range mean {
		mean[j] /= float64(n)
	}
	return mean
}
