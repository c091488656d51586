package continual

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// network is what a learner that trains has: a perceptron whose outputs grow with the classes, and which goes on from task to task.
// It is never changed once it is in a model: learning works on a clone. With the seed, the number of tasks learned says where its
// random numbers stand, so that a run continues after years to the bits of one that never stopped.
type network struct {
	name    string
	tensors []net.Tensor // layers "0", "2" …, the last one K×D or K×Hidden
	classes []string     // K, those of earlier tasks first
	center  []float64    // D: of the first task
	scale   float64      // columns are measured in the first task's root mean variance
	tasks   int
}

// schooling is how a network learns a task.
type schooling struct {
	hidden, epochs, batch int
	rate                  float64
	seed                  uint64
	momentum, decay       float64 // gradient descent with momentum, and a rate that falls along half a cosine, instead of Adam
	slow                  float64 // times the rate for all layers but the last; 0: 1
	// extra, when set, adds to the loss, for methods that hold weights near where they were. params are the network's own,
	// logits the outputs for the batch, x its inputs.
	extra func(g *net.Graph, params *net.Params, x, logits *net.Node) *net.Node
	// gradients and stepped, when set, are the hooks of [net.Loop]: they see every step, and may change gradients and weights.
	gradients, stepped func(step int, params *net.Params) error
	// own masks the loss to outputs from this one on: those of a task's own classes.
	own int
}

// lesson is rows that a network learns from, in an order of their own: by class, then by value.
type lesson struct {
	x      []float32 // N×D, as the table has them
	labels []string
	d      int
}

// newLesson sorts a table's rows. Errors: ErrLabels for a row without a class, ErrShape for no columns.
func newLesson(t *data.Table) (*lesson, error) {
	n, d := t.Dims()
	if d == 0 {
		return nil, fmt.Errorf("%w: no feature columns to learn from", data.ErrShape)
	}
	free := 0
	order := make([]int, n)
	for i := range n {
		order[i] = i
		if t.ClassName(i) == "" {
			free++
		}
	}
	if free > 0 {
		return nil, fmt.Errorf("%w: %d of %d rows have none (name the column with --label)", data.ErrLabels, free, n)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(data.CompareClasses(t.ClassName(a), t.ClassName(b)), slices.Compare(t.Row(a), t.Row(b)))
	})
	l := &lesson{d: d}
	for _, i := range order {
		l.x = append(l.x, t.Row(i)...)
		l.labels = append(l.labels, t.ClassName(i))
	}
	return l, nil
}

func (l *lesson) row(i int) []float32 { return l.x[i*l.d : (i+1)*l.d] }

// and returns the rows of both in one order.
func (l *lesson) and(o *lesson) *lesson {
	both := &lesson{slices.Concat(l.x, o.x), slices.Concat(l.labels, o.labels), l.d}
	order := make([]int, len(both.labels))
	for i := range order {
		order[i] = i
	}
	return both.pick(order)
}

// pick returns rows in the order of lessons.
func (l *lesson) pick(rows []int) *lesson {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b int) int {
		return cmp.Or(data.CompareClasses(l.labels[a], l.labels[b]), slices.Compare(l.row(a), l.row(b)))
	})
	out := &lesson{d: l.d}
	for _, i := range rows {
		out.x, out.labels = append(out.x, l.row(i)...), append(out.labels, l.labels[i])
	}
	return out
}

// newNetwork makes a network without outputs for rows like those of the first task.
func newNetwork(name string, first *lesson, s schooling) (*network, error) {
	n := len(first.labels)
	if n == 0 {
		return nil, fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	w := &network{name: name, center: make([]float64, first.d)}
	origin := first.row(0)
	for i := range n {
		for j, v := range first.row(i) {
			w.center[j] += (float64(v) - float64(origin[j])) / float64(n)
		}
	}
	variance := 0.0
	for j := range w.center {
		w.center[j] += float64(origin[j])
	}
	for i := range n {
		for j, v := range first.row(i) {
			e := float64(v) - w.center[j]
			variance += e * e / float64(n*first.d)
		}
	}
	w.scale = 1
	if root := math.Sqrt(variance); root > 0 && !math.IsInf(1/root, 0) {
		w.scale = 1 / root
	}
	in := first.d
	if s.hidden > 0 {
		w.tensors = net.New(s.seed, first.d, s.hidden).Tensors()
		in = s.hidden
	}
	head := strconv.Itoa(len(w.tensors))
	w.tensors = append(w.tensors, net.Tensor{Name: head + ".weight", Shape: []int{0, in}}, net.Tensor{Name: head + ".bias", Shape: []int{0}})
	return w, nil
}

func (w *network) clone() *network {
	c := *w
	c.classes, c.tensors = slices.Clone(w.classes), nil
	for _, t := range w.tensors {
		c.tensors = append(c.tensors, net.Tensor{Name: t.Name, Shape: slices.Clone(t.Shape), Values: slices.Clone(t.Values)})
	}
	return &c
}

// head is the last layer, which the caller may change in a clone: weight K×D and bias K.
func (w *network) head() (weight, bias *net.Tensor) {
	return &w.tensors[len(w.tensors)-2], &w.tensors[len(w.tensors)-1]
}

// grow gives the network an output of zeros for each class that it does not know, and returns how many it knew.
func (w *network) grow(labels []string) (known int) {
	known = len(w.classes)
	fresh := slices.DeleteFunc(slices.Clone(labels), func(c string) bool { return slices.Contains(w.classes, c) })
	slices.SortFunc(fresh, data.CompareClasses)
	fresh = slices.Compact(fresh)
	w.classes = append(w.classes, fresh...)
	weight, bias := w.head()
	weight.Values = append(weight.Values, make([]float32, len(fresh)*weight.Shape[1])...)
	bias.Values = append(bias.Values, make([]float32, len(fresh))...)
	weight.Shape[0], bias.Shape[0] = len(w.classes), len(w.classes)
	return known
}

// farthest is how far a value may lie from the first task, in its deviations, before it is cut: beyond it float32 loses a sum's other terms.
const farthest = 1 << 20

// inputs are rows in the units of the first task.
func (w *network) inputs(x []float32) []float32 {
	out := make([]float32, len(x))
	d := len(w.center)
	for i, v := range x {
		out[i] = float32(min(max((float64(v)-w.center[i%d])*w.scale, -farthest), farthest))
	}
	return out
}

// learn trains the network on rows of classes that it has outputs for.
func (w *network) learn(ctx context.Context, rows *lesson, s schooling) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(rows.labels) == 0 {
		return nil
	}
	x, index := w.inputs(rows.x), map[string]int32{}
	for k, name := range w.classes {
		index[name] = int32(k)
	}
	chain, err := net.NewChain(w.tensors, rows.d)
	if err != nil {
		return fmt.Errorf("%s: %w: %w", w.name, method.ErrState, err)
	}
	params := chain.Params(s.seed)
	loop := net.Loop{Epochs: s.epochs, Batch: s.batch, Seed: part.Mix(s.seed + uint64(w.tasks)<<32), Optimiser: net.Optimiser{Rule: net.Adam, Rate: s.rate}}
	if s.momentum > 0 {
		loop.Optimiser = net.Optimiser{Rule: net.SGD, Rate: s.rate, Momentum: s.momentum, Decay: s.decay}
		loop.Schedule = net.Schedule{Cosine: true}
	}
	if s.slow > 0 {
		for _, t := range w.tensors[:len(w.tensors)-2] {
			loop.Optimiser.Groups = append(loop.Optimiser.Groups, net.Group{Pattern: t.Name, Rate: s.slow})
		}
	}
	loop.Gradients, loop.Stepped = s.gradients, s.stepped
	loop.Progress = func(p net.Progress) bool { method.Progress(ctx, p.Epoch, p.Epochs); return true }
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: len(rows.labels), Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
		in, labels := g.Input(n, rows.d), g.Ints(n)
		outs := chain.Build(g, in)
		logits := outs[len(outs)-1]
		scored := logits
		if s.own > 0 {
			scored = g.Slice(logits, 1, s.own, len(w.classes))
		}
		loss := g.CrossEntropy(scored, labels, net.Targets{})
		if s.extra != nil {
			loss = g.Add(loss, s.extra(g, params, in, logits))
		}
		return loss, func(b net.Batch) {
			for i, row := range b.Rows {
				copy(in.Value()[i*rows.d:(i+1)*rows.d], x[row*rows.d:(row+1)*rows.d])
				labels.Values[i] = index[rows.labels[row]] - int32(s.own)
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("%s: %w: %w", w.name, method.ErrConfig, err)
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w: %w", w.name, method.ErrDegenerate, err)
	}
	for i, t := range w.tensors {
		copy(w.tensors[i].Values, params.Get(t.Name).Values)
	}
	w.tasks++
	return nil
}

// logits are the outputs for rows, N×K.
func (w *network) logits(in *data.Table) (*data.Table, error) {
	if err := method.Width(w.name, in, len(w.center)); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	chain, err := net.NewChain(w.tensors, d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", w.name, method.ErrState, err)
	}
	z, err := chain.Outputs(chain.Params(0), w.inputs(in.X()), n)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", w.name, method.ErrState, err)
	}
	for i, v := range z {
		z[i] = min(max(v, -math.MaxFloat32), math.MaxFloat32)
	}
	return data.NewNamed(n, w.classes, z)
}

// predict is the softmax of the outputs.
func (w *network) predict(in *data.Table) (*data.Table, error) {
	z, err := w.logits(in)
	if err != nil {
		return nil, err
	}
	n, k := z.Dims()
	p := slices.Clone(z.X())
	num.SoftmaxRows(p, p, k)
	return data.NewNamed(n, w.classes, p)
}

// state is the network as tensors.
func (w *network) state() *data.Checkpoint {
	st := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{
		"center": data.Float64Tensor(w.center, len(w.center)),
		"scale":  data.Float64Tensor([]float64{w.scale}, 1),
		"tasks":  data.Int64Tensor([]int64{int64(w.tasks)}, 1),
	}}
	for _, t := range w.tensors {
		st.Tensors["net."+t.Name] = data.Float32Tensor(t.Values, t.Shape...)
	}
	st.SetStrings("classes", w.classes)
	return st
}

// loadNetwork reads what [network.state] wrote, of a network with or without a hidden layer.
func loadNetwork(name string, st *data.Checkpoint, hidden int) (*network, error) {
	r := st.Read()
	w := &network{name: name, classes: r.Strings("classes"), center: r.Floats("center", -1)}
	scale := r.Floats("scale", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	tasks, _, err := st.Ints("tasks", 1)
	if err != nil {
		return nil, err
	}
	w.scale, w.tasks = scale[0], int(tasks[0])
	in, k := len(w.center), len(w.classes)
	unique := slices.Clone(w.classes)
	slices.Sort(unique)
	if in == 0 || k == 0 || len(slices.Compact(unique)) != k || !(w.scale > 0) || w.tasks < 1 || slices.Contains(w.classes, "") {
		return nil, fmt.Errorf("%w: a network of %d columns, %d classes, scale %g after %d tasks", data.ErrShape, in, k, w.scale, w.tasks)
	}
	layer := func(at, in, out int) {
		for _, t := range []net.Tensor{{Name: strconv.Itoa(at) + ".weight", Shape: []int{out, in}}, {Name: strconv.Itoa(at) + ".bias", Shape: []int{out}}} {
			t.Values = r.Float32s("net."+t.Name, t.Shape...)
			w.tensors = append(w.tensors, t)
		}
	}
	if hidden > 0 {
		layer(0, in, hidden)
		in = hidden
	}
	layer(len(w.tensors), in, k)
	return w, r.Err()
}

// knows refuses saved rows of classes that the network has no outputs for.
func (w *network) knows(labels []string) error {
	for _, name := range labels {
		if !slices.Contains(w.classes, name) {
			return fmt.Errorf("%w: kept rows are of class %q, which the network does not know", data.ErrLabels, name)
		}
	}
	return nil
}

// features are what the head sees of rows: what the hidden layer puts out, or the inputs themselves.
func (w *network) features(x []float32) ([]float32, error) {
	in := w.inputs(x)
	if len(w.tensors) == 2 {
		return in, nil
	}
	d := len(w.center)
	chain, err := net.NewChain(w.tensors[:len(w.tensors)-2], d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", w.name, method.ErrState, err)
	}
	z, err := chain.Outputs(chain.Params(0), in, len(x)/d)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", w.name, method.ErrState, err)
	}
	num.ReLU(z, z)
	return z, nil
}
