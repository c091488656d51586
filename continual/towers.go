package continual

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// towers are a model of images and names in one space: a square map over the features of each, which is the identity before the first
// task, so that the untouched model is the zero-shot head on these features. Like [network] they never change once they are in a model.
type towers struct {
	name        string
	d           int
	image, text []float32 // D×D, weights of linear maps
	classes     []string  // K, in the order in which they came
	names       []float32 // K×D, of length one: what the text map sees of a class
	tasks       int
	// reference and sentences are what the zero-shot model is remembered by, R×D and S×D, of length one; empty without.
	reference, sentences []float32
}

// newTowers makes untouched towers for d columns.
func newTowers(name string, d int) *towers {
	t := &towers{name: name, d: d, image: make([]float32, d*d), text: make([]float32, d*d)}
	for i := range d {
		t.image[i*d+i], t.text[i*d+i] = 1, 1
	}
	return t
}

// clone may be learned and named further; what is behind it stays.
func (t *towers) clone() *towers {
	c := *t
	c.image, c.text = slices.Clone(t.image), slices.Clone(t.text)
	c.classes, c.names = slices.Clone(t.classes), slices.Clone(t.names)
	return &c
}

// directionsOf brings rows to length one; a row of zeros stays.
func directionsOf(x []float32, d int) []float32 {
	out, unit := make([]float32, len(x)), make([]float64, d)
	for lo := 0; lo < len(x); lo += d {
		length(unit, x[lo:lo+d])
		for j, v := range unit {
			out[lo+j] = float32(v)
		}
	}
	return out
}

// unlabelled are a table's directions in an order of their own, so that they do not depend on how the table is sorted. what names it.
func (t *towers) unlabelled(what string, in *data.Table) ([]float32, error) {
	n, d := in.Dims()
	if d != t.d || n == 0 {
		return nil, fmt.Errorf("%w: %s of %d×%d beside rows of %d columns, want as many columns, and rows", data.ErrShape, what, n, d, t.d)
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return slices.Compare(in.Row(a), in.Row(b)) })
	return directionsOf(in.Pick(order).X(), d), nil
}

// call names each class that is not named yet by the mean direction of its rows in a lesson.
func (t *towers) call(rows *lesson) error {
	unit := make([]float64, t.d)
	for lo := 0; lo < len(rows.labels); {
		class, hi := rows.labels[lo], lo
		mean := make([]float64, t.d)
		for ; hi < len(rows.labels) && rows.labels[hi] == class; hi++ {
			length(unit, rows.row(hi))
			if num.SquaredNorm(unit) == 0 {
				return fmt.Errorf("%w: a row of class %q has length zero, so it has no direction", method.ErrDegenerate, class)
			}
			for j, v := range unit {
				mean[j] += v
			}
		}
		lo = hi
		if slices.Contains(t.classes, class) {
			continue
		}
		norm := math.Sqrt(num.SquaredNorm(mean))
		if norm < 1e-9 {
			return fmt.Errorf("%w: the rows of class %q cancel, so their mean has no direction", method.ErrDegenerate, class)
		}
		t.classes = append(t.classes, class)
		for _, v := range mean {
			t.names = append(t.names, float32(v/norm))
		}
	}
	return nil
}

// callBy names classes by labelled embeddings.
func (t *towers) callBy(names *data.Table) error {
	if _, d := names.Dims(); d != t.d {
		return fmt.Errorf("%w: names have %d columns, rows %d", data.ErrShape, d, t.d)
	}
	rows, err := newLesson(names)
	if err == nil {
		err = t.call(rows)
	}
	if err != nil {
		return fmt.Errorf("names: %w", err)
	}
	return nil
}

// own are the numbers of a lesson's classes in order, and which of them each row has.
func (t *towers) own(rows *lesson) (classes []int, labels []int32) {
	for i, name := range rows.labels {
		if i == 0 || name != rows.labels[i-1] {
			classes = append(classes, slices.Index(t.classes, name))
		}
		labels = append(labels, int32(len(classes)-1))
	}
	return classes, labels
}

// unit brings rows of a graph to length one.
func unit(g *net.Graph, x *net.Node) *net.Node {
	return g.Div(x, g.Sqrt(g.Scale(g.SumKept(g.Mul(x, x), -1), 1, 1e-12)))
}

// tuition is how towers learn a task.
type tuition struct {
	steps, batch                      int
	rate, temperature, labelSmoothing float64
	seed                              uint64
	// image and text give the weights of the maps, a parameter or made of some.
	image, text func(g *net.Graph) *net.Node
	// extra, when set, adds to the loss of a batch and returns what sets its inputs.
	extra   func(g *net.Graph, image, text *net.Node) (*net.Node, func(net.Batch))
	stepped func(step int, params *net.Params) error
}

// learn trains params on a lesson whose classes have names: the cross-entropy over the names of its own classes.
func (t *towers) learn(ctx context.Context, params *net.Params, rows *lesson, c tuition) error {
	classes, labels := t.own(rows)
	x, n, d := directionsOf(rows.x, t.d), len(labels), t.d
	names := make([]float32, 0, len(classes)*d)
	for _, k := range classes {
		names = append(names, t.names[k*d:(k+1)*d]...)
	}
	loop := net.Loop{Epochs: 1, Batch: c.batch, Seed: part.Mix(c.seed + uint64(t.tasks)<<32), Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.rate}, Schedule: net.Schedule{Cosine: true}}
	loop.Stepped = func(step int, p *net.Params) error {
		method.Progress(ctx, step, c.steps)
		if c.stepped == nil {
			return nil
		}
		return c.stepped(step, p)
	}
	// One epoch of as many rows as all steps see: each row comes as often as any other, give or take one.
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: c.steps * c.batch, Build: func(g *net.Graph, rows int) (*net.Node, func(net.Batch)) {
		image, text := c.image(g), c.text(g)
		in, target := g.Input(rows, d), g.Ints(rows)
		f := unit(g, g.Linear(in, image, nil))
		words := unit(g, g.Linear(g.Constant(names, len(classes), d), text, nil))
		loss := g.CrossEntropy(g.Scale(g.MatMul(f, words, false, true), 1/c.temperature, 0), target, net.Targets{Smoothing: c.labelSmoothing})
		var more func(net.Batch)
		if c.extra != nil {
			var extra *net.Node
			extra, more = c.extra(g, image, text)
			loss = g.Add(loss, extra)
		}
		return loss, func(b net.Batch) {
			for i, row := range b.Rows {
				row %= n
				copy(in.Value()[i*d:(i+1)*d], x[row*d:(row+1)*d])
				target.Values[i] = labels[row]
			}
			if more != nil {
				more(b)
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("%s: %w: %w", t.name, method.ErrConfig, err)
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%s: %w: %w", t.name, method.ErrDegenerate, err)
	}
	t.tasks++
	return nil
}

// mapped are rows through a map, brought to length one before and after.
func (t *towers) mapped(weight, x []float32) []float32 {
	n, y := len(x)/t.d, make([]float32, len(x))
	num.Gemm(false, true, n, t.d, t.d, 1, directionsOf(x, t.d), t.d, weight, t.d, 0, y, t.d)
	return directionsOf(y, t.d)
}

// logits are cosines to all names over a temperature, N×K.
func (t *towers) logits(in *data.Table, temperature float64) (*data.Table, error) {
	if err := method.Width(t.name, in, t.d); err != nil {
		return nil, err
	}
	n, k := len(in.X())/t.d, len(t.classes)
	z := make([]float32, n*k)
	num.Gemm(false, true, n, k, t.d, 1, t.mapped(t.image, in.X()), t.d, t.mapped(t.text, t.names), t.d, 0, z, k)
	for i, v := range z {
		z[i] = float32(min(max(float64(v)/temperature, -math.MaxFloat32), math.MaxFloat32))
	}
	return data.NewNamed(n, t.classes, z)
}

// predict is the softmax of the logits.
func (t *towers) predict(in *data.Table, temperature float64) (*data.Table, error) {
	z, err := t.logits(in, temperature)
	if err != nil {
		return nil, err
	}
	n, k := z.Dims()
	p := slices.Clone(z.X())
	num.SoftmaxRows(p, p, k)
	return data.NewNamed(n, t.classes, p)
}

// pointing is what models of towers have in common: they predict by cosines.
type pointing struct {
	towers      *towers
	temperature float64
}

// Predict returns each row's probabilities of all classes with names, N×K.
func (p pointing) Predict(in *data.Table) (*data.Table, error) {
	return p.towers.predict(in, p.temperature)
}

// Logits returns each row's cosines to all names over the temperature, N×K.
func (p pointing) Logits(in *data.Table) (*data.Table, error) {
	return p.towers.logits(in, p.temperature)
}

// named are the towers with names of more classes.
func (p pointing) named(names *data.Table) (pointing, error) {
	t := p.towers.clone()
	if err := t.callBy(names); err != nil {
		return p, fmt.Errorf("%s: %w", t.name, err)
	}
	return pointing{t, p.temperature}, nil
}

// lesson is a further task.
func (p pointing) lesson(task *data.Table) (*lesson, error) {
	if err := method.Width(p.towers.name, task, p.towers.d); err != nil {
		return nil, err
	}
	return newLesson(task)
}

// state is the towers as tensors.
func (t *towers) state() *data.Checkpoint {
	st := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{
		"image": data.Float32Tensor(t.image, t.d, t.d),
		"text":  data.Float32Tensor(t.text, t.d, t.d),
		"names": data.Float32Tensor(t.names, len(t.classes), t.d),
		"tasks": data.Int64Tensor([]int64{int64(t.tasks)}, 1),
		// Of no rows where there were none.
		"reference": data.Float32Tensor(t.reference, len(t.reference)/t.d, t.d),
		"sentences": data.Float32Tensor(t.sentences, len(t.sentences)/t.d, t.d),
	}}
	st.SetStrings("classes", t.classes)
	return st
}

// loadTowers reads what [towers.state] wrote.
func loadTowers(name string, st *data.Checkpoint) (*towers, error) {
	r := st.Read()
	t := &towers{name: name, classes: r.Strings("classes")}
	if shape := st.Tensors["image"].Shape; len(shape) == 2 {
		t.d = shape[1]
	}
	unique := slices.Clone(t.classes)
	slices.Sort(unique)
	if t.d < 1 || len(t.classes) == 0 || len(slices.Compact(unique)) != len(t.classes) || slices.Contains(t.classes, "") {
		return nil, cmp.Or(r.Err(), fmt.Errorf("%w: towers of %d columns with %d classes", data.ErrShape, t.d, len(t.classes)))
	}
	t.image, t.text = r.Float32s("image", t.d, t.d), r.Float32s("text", t.d, t.d)
	t.names = r.Float32s("names", len(t.classes), t.d)
	t.reference, t.sentences = r.Float32s("reference", -1, t.d), r.Float32s("sentences", -1, t.d)
	if err := r.Err(); err != nil {
		return nil, err
	}
	tasks, _, err := st.Ints("tasks", 1)
	if err != nil {
		return nil, err
	}
	if t.tasks = int(tasks[0]); t.tasks < 1 {
		return nil, fmt.Errorf("%w: towers after %d tasks", data.ErrShape, t.tasks)
	}
	return t, nil
}
