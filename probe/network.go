package probe

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

// standard makes rows ((x − first) − shift)·scale: the mean is kept in two parts, so that rows far from zero come out with the
// bits that they have near it.
type standard struct {
	first, shift []float64 // D
	scale        float64   // one for all columns, so that their sizes beside each other stay
}

// network is a classifier on rows that the engine trains.
type network struct {
	standard
	classes []string
	params  *net.Params
	build   networkBuild
}

// networkBuild adds the network to a graph: logits [rows, K] of x [rows, D], and what the loss is told of besides.
type networkBuild func(g *net.Graph, x *net.Node, k int) (logits, features *net.Node)

const (
	networkFar   = 1e6 // rows are cut off so many standard deviations from the mean
	networkBlock = 256 // rows that are predicted at a time
	networkBatch = 64  // rows of a step
	networkParts = 8   // an epoch has at least as many batches, where there are as many rows
	networkSteps = 500 // few rows are gone through so often that there are as many steps
)

// networkRecipe is how a network is trained.
type networkRecipe struct {
	// channel says which columns share a mean: those with the same number; nil: none.
	channel     func(column int) int
	epochs      int
	rate, decay float64
	seed        uint64
	// extra returns what is added to the cross-entropy of a batch, and what has to be set before a pass on standardised rows,
	// given b×D; either may be nil.
	extra func(g *net.Graph, x, features *net.Node) (loss *net.Node, feed func(x []float32) error)
}

// fit trains on the rows in an order of their own, so that the one in which they came does not matter.
func (c networkRecipe) fit(ctx context.Context, train *data.Table, build networkBuild) (*network, *data.Table, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, nil, err
	}
	n, _ := train.Dims()
	order := sortedRows(train)
	sorted, place := train.Pick(order), make([]int32, n)
	for i, at := range order {
		place[i] = int32(labels[at])
	}
	m := &network{classes: classes, params: net.NewParams(c.seed), build: build}
	if err := m.measure(sorted, c.channel); err != nil {
		return nil, nil, err
	}
	if err := c.train(ctx, m, sorted, place); err != nil {
		return nil, nil, err
	}
	return m, sorted, nil
}

// train changes a network's parameters; place are the rows' classes.
func (c networkRecipe) train(ctx context.Context, m *network, sorted *data.Table, place []int32) error {
	n, d := sorted.Dims()
	rows := m.rows(sorted)
	failed := error(nil)
	batch := min(networkBatch, max(2, n/networkParts))
	perEpoch := (n + batch - 1) / batch
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: max(c.epochs, (networkSteps+perEpoch-1)/perEpoch), Batch: batch, Seed: c.seed,
		Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.rate, Decay: c.decay, Groups: []net.Group{{Pattern: "*.bias", Rate: 1, NoDecay: true}}},
		Schedule:  net.Schedule{Cosine: true},
		Progress: func(p net.Progress) bool {
			method.Progress(ctx, p.Epoch, p.Epochs)
			return failed == nil
		},
	}, m.params, net.Task{Rows: n, Build: func(g *net.Graph, b int) (*net.Node, func(net.Batch)) {
		x, own := g.Input(b, d), g.Ints(b)
		logits, features := m.build(g, x, len(m.classes))
		loss := g.CrossEntropy(logits, own, net.Targets{})
		var feed func([]float32) error
		if c.extra != nil {
			var more *net.Node
			if more, feed = c.extra(g, x, features); more != nil {
				loss = g.Add(loss, more)
			}
		}
		return loss, func(step net.Batch) {
			for i, row := range step.Rows {
				copy(x.Value()[i*d:(i+1)*d], rows[row*d:(row+1)*d])
				own.Values[i] = place[row]
			}
			if feed != nil && failed == nil {
				failed = feed(x.Value())
			}
		}
	}})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w: %w", method.ErrDegenerate, err)
	}
	return failed
}

// measure finds mean and scale.
func (m *standard) measure(in *data.Table, channel func(int) int) error {
	n, d := in.Dims()
	if channel == nil {
		channel = func(j int) int { return j }
	}
	at, columns := make([]int, d), make([]float64, d) // of each column's channel: its first column, and how many it has
	for j := d - 1; j >= 0; j-- {
		at[channel(j)] = j
		columns[channel(j)]++
	}
	m.first, m.shift = make([]float64, d), make([]float64, d)
	mean := make([]float64, d) // of channels, from the first value
	for j := range d {
		m.first[j] = float64(in.Row(0)[at[channel(j)]])
	}
	for i := range n {
		for j, v := range in.Row(i) {
			c := channel(j)
			mean[c] += (float64(v) - m.first[j]) / (float64(n) * columns[c])
		}
	}
	for j := range d {
		m.shift[j] = mean[channel(j)]
	}
	variance := 0.0
	for i := range n {
		for j, v := range in.Row(i) {
			e := float64(v) - m.first[j] - m.shift[j]
			variance += e * e / (float64(n) * float64(d))
		}
	}
	if variance == 0 {
		return fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	m.scale = 1 / math.Sqrt(variance)
	return nil
}

// rows returns standardised rows, N×D.
func (m *standard) rows(in *data.Table) []float32 {
	d := len(m.first)
	x := in.X()
	out := make([]float32, len(x))
	for i, v := range x {
		z := (float64(v) - m.first[i%d] - m.shift[i%d]) * m.scale
		out[i] = float32(min(max(z, -networkFar), networkFar))
	}
	return out
}

// infer calls f with the network's logits and features for blocks of rows.
func (m *network) infer(name string, in *data.Table, f func(lo, hi int, logits, features []float32)) error {
	n, d := in.Dims()
	if d != len(m.first) {
		return fmt.Errorf("%s: %w: table has %d columns, fitted on %d", name, data.ErrShape, d, len(m.first))
	}
	rows := m.rows(in)
	var p *net.Program
	var x, logits, features *net.Node
	for lo := 0; lo < n; lo += networkBlock {
		hi := min(lo+networkBlock, n)
		if p == nil || x.Shape()[0] != hi-lo {
			g := net.NewGraph(m.params)
			g.Training = false
			x = g.Input(hi-lo, d)
			logits, features = m.build(g, x, len(m.classes))
			var err error
			if p, err = g.Infer(logits, features); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		copy(x.Value(), rows[lo*d:hi*d])
		p.Forward()
		f(lo, hi, logits.Value(), features.Value())
	}
	return nil
}

func (m *network) logits(name string, in *data.Table) (*data.Table, error) {
	n, _ := in.Dims()
	out := make([]float32, 0, n*len(m.classes))
	if err := m.infer(name, in, func(_, _ int, logits, _ []float32) { out = append(out, logits...) }); err != nil {
		return nil, err
	}
	return data.NewNamed(n, m.classes, out)
}

func (m *network) predict(name string, in *data.Table) (*data.Table, error) {
	z, err := m.logits(name, in)
	if err != nil {
		return nil, err
	}
	k := len(m.classes)
	out, row := make([]float32, len(z.X())), make([]float64, k)
	for i := 0; i < len(out); i += k {
		for c := range row {
			row[c] = float64(z.X()[i+c])
		}
		num.Softmax(row, row, 1)
		for c, v := range row {
			out[i+c] = float32(v)
		}
	}
	n, _ := in.Dims()
	return data.NewNamed(n, m.classes, out)
}

const networkPrefix = "network."

func (m *network) state() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	m.standard.save(st)
	saveParams(m.params, st)
	st.SetStrings("classes", m.classes)
	return st
}

func (m *standard) save(st *data.Checkpoint) {
	st.Tensors["first"] = data.Float64Tensor(m.first, len(m.first))
	st.Tensors["shift"] = data.Float64Tensor(m.shift, len(m.shift))
	st.Tensors["scale"] = data.Float64Tensor([]float64{m.scale}, 1)
}

func loadStandard(r *data.Reader) (m standard, err error) {
	m.first = r.Floats("first", -1)
	m.shift = r.Floats("shift", len(m.first))
	scale := r.Floats("scale", 1)
	if err := r.Err(); err != nil {
		return m, err
	}
	if m.scale = scale[0]; len(m.first) == 0 || !(m.scale > 0) {
		return m, fmt.Errorf("%w: rows of %d columns and scale %g", data.ErrShape, len(m.first), m.scale)
	}
	return m, nil
}

func saveParams(params *net.Params, st *data.Checkpoint) {
	for _, t := range params.Tensors() {
		st.Tensors[networkPrefix+t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
}

// loadParams reads a network's tensors and checks that they are those that build asks for.
func loadParams(st *data.Checkpoint, build func(g *net.Graph) []*net.Node) (*net.Params, error) {
	params, r := net.NewParams(0), st.Read()
	for _, name := range st.Names() {
		if own, ok := strings.CutPrefix(name, networkPrefix); ok {
			shape := st.Tensors[name].Shape
			values := r.Float32s(name, shape...)
			if err := r.Err(); err != nil {
				return nil, err
			}
			if err := params.Put(net.Tensor{Name: own, Shape: shape, Values: values}); err != nil {
				return nil, fmt.Errorf("%w: %w", data.ErrShape, err)
			}
		}
	}
	have := len(params.All())
	g := net.NewGraph(params)
	g.Training = false
	if _, err := g.Infer(build(g)...); err != nil {
		return nil, fmt.Errorf("%w: %w", data.ErrShape, err)
	}
	if want := len(params.All()); want != have {
		return nil, fmt.Errorf("%w: %d of the network's %d tensors are missing", data.ErrFormat, want-have, want)
	}
	return params, nil
}

// loadNetwork reads a network.
func loadNetwork(st *data.Checkpoint, build networkBuild) (*network, error) {
	r := st.Read()
	m := &network{classes: r.Strings("classes"), build: build}
	var err error
	if m.standard, err = loadStandard(r); err != nil {
		return nil, err
	}
	if len(m.classes) == 0 {
		return nil, fmt.Errorf("%w: a network without classes", data.ErrShape)
	}
	m.params, err = loadParams(st, func(g *net.Graph) []*net.Node {
		logits, features := build(g, g.Input(1, len(m.first)), len(m.classes))
		return []*net.Node{logits, features}
	})
	return m, err
}
