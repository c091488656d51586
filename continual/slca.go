package continual

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a slow encoder and a fast head, aligned after each task on Gaussian draws of all classes",
	Paper: "zhang2023slca",
	Small: map[string]string{"draws": "48", "alignment": "10"},
}, SLCA.Fit, loadSLCA))

// SLCA trains an encoder a hundred times slower than its head, and then aligns the head on features drawn from what it remembers of every class.
//
// It is the Slow Learner with Classifier Alignment of Zhang et al. (2023). Each task is learned over its own outputs alone; of each of its
// classes the mean and the covariance of the features stay. From the second task on the head, but not the encoder, is trained on Gaussian draws
// of all classes so far, on logits brought to one length, and put back before the next task. With Hidden the encoder is a layer of this
// network; without, the table's own columns are the features, and what remains is the alignment of a linear head without any old row.
//
// Fits on: Table N×D with N ≥ 1 and a label for every row.
// Predict: N×K probabilities of all classes so far, the softmax of normalised logits.
// Logits:  N×K outputs of the aligned head, brought to the mean length 1/Temperature; their softmax is Predict.
// Update:  the model that has learned the task and was aligned again. Classes that come again are learned over all outputs, and their statistics are pooled.
// Forget:  no: its weights hold traces of every row; the class statistics alone could be taken back, the encoder and the head not.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when training diverges.
// Differs: a hidden layer instead of a ViT; columns are standardised by the first task; the covariance gets 1e-4 of its mean variance, not 1e-4.
// Source:  zhang2023slca, sections 4.1 and 4.2; hyper-parameters of the authors' code.
// Claim:   claims/continual/slca.go.
type SLCA struct {
	// Hidden is the width of the encoder's layer; 0 takes the table's columns as features.
	Hidden int `range:"[0,65536]"`
	// Steps is how many passes over a task's rows are made.
	Steps int `default:"20" range:"[1,1e6]"`
	// Batch is how many rows a step looks at.
	Batch int `default:"32" range:"[1,1e6]"`
	// Rate is that of the head, of gradient descent with momentum; it falls to zero over a task.
	Rate float64 `default:"0.01" range:"(0,1]"`
	// Slow is the share of Rate that the encoder takes.
	Slow float64 `default:"0.01" range:"(0,1]"`
	// Draws is how many features of each class a pass of the alignment draws.
	Draws int `default:"256" range:"[1,1e6]"`
	// Alignment is how many passes the alignment makes (the paper's 5, over many more classes).
	Alignment int `default:"20" range:"[1,1e6]"`
	// Temperature divides logits of length one in the alignment: lower is more confident.
	Temperature float64 `default:"0.1" range:"(0,1e6]"`
	// Seed starts the random numbers: of the encoder, of the order of rows, and of the draws.
	Seed uint64
}

const (
	slcaMomentum = 0.9
	slcaDecay    = 5e-4
	slcaRidge    = 1e-4 // added to a class's covariance
	slcaOldest   = 0.9  // what the mean of the very first of many tasks is shrunk to
)

// Fit trains on the first task.
func (c SLCA) Fit(ctx context.Context, train *data.Table) (*SLCAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	rows, err := newLesson(train)
	if err != nil {
		return nil, err
	}
	start, err := newNetwork("slca", rows, schooling{hidden: c.Hidden, seed: c.Seed})
	if err != nil {
		return nil, err
	}
	return c.learn(ctx, &SLCAModel{config: c, net: start}, rows)
}

// slcaClass is what stays of a class.
type slcaClass struct {
	rows, task float64
	mean, cov  []float64 // H, H×H
}

func (c SLCA) learn(ctx context.Context, from *SLCAModel, rows *lesson) (*SLCAModel, error) {
	m := &SLCAModel{config: c, net: from.net.clone(), classes: slices.Clone(from.classes)}
	known := m.net.grow(rows.labels)
	own := known
	if slices.ContainsFunc(rows.labels, func(name string) bool { return slices.Index(m.net.classes, name) < known }) {
		own = 0
	}
	task := float64(m.net.tasks)
	err := m.net.learn(ctx, rows, schooling{epochs: c.Steps, batch: c.Batch, rate: c.Rate, seed: c.Seed, momentum: slcaMomentum, decay: slcaDecay, slow: c.Slow, own: own})
	if err != nil {
		return nil, err
	}
	if err := m.remember(rows, task); err != nil {
		return nil, err
	}
	weight, bias := m.net.head()
	m.weight, m.bias = slices.Clone(weight.Values), slices.Clone(bias.Values)
	if m.net.tasks > 1 {
		return m, m.align(ctx)
	}
	return m, nil
}

// remember takes up the mean and covariance of each of the task's classes.
func (m *SLCAModel) remember(rows *lesson, task float64) error {
	z, err := m.net.features(rows.x)
	if err != nil {
		return err
	}
	weight, _ := m.net.head()
	h := weight.Shape[1]
	for k, name := range m.net.classes {
		c := slcaClass{task: task, mean: make([]float64, h), cov: make([]float64, h*h)}
		var own []float64
		for i, label := range rows.labels {
			if label == name {
				c.rows++
				for j, v := range z[i*h : (i+1)*h] {
					own = append(own, float64(v))
					c.mean[j] += float64(v)
				}
			}
		}
		if c.rows > 0 {
			for j := range c.mean {
				c.mean[j] /= c.rows
			}
			for i := range own {
				own[i] -= c.mean[i%h]
			}
			num.Syrk(true, h, int(c.rows), 1/c.rows, own, h, 0, c.cov, h)
			for i := range h {
				for j := range i {
					c.cov[i*h+j] = c.cov[j*h+i]
				}
			}
		}
		switch {
		case k == len(m.classes):
			m.classes = append(m.classes, c)
		case c.rows > 0:
			m.classes[k] = m.classes[k].and(c)
		}
	}
	return nil
}

// and pools the statistics of a class that came again.
func (c slcaClass) and(o slcaClass) slcaClass {
	n := c.rows + o.rows
	both := slcaClass{rows: n, task: o.task, mean: make([]float64, len(c.mean)), cov: make([]float64, len(c.cov))}
	h := len(c.mean)
	for i := range h {
		both.mean[i] = (c.rows*c.mean[i] + o.rows*o.mean[i]) / n
		for j := range h {
			apart := (c.mean[i] - o.mean[i]) * (c.mean[j] - o.mean[j])
			both.cov[i*h+j] = (c.rows*c.cov[i*h+j]+o.rows*o.cov[i*h+j])/n + c.rows*o.rows/(n*n)*apart
		}
	}
	return both
}

// slcaDraw draws features of a class: its mean times a share, plus Gaussian noise of its covariance, whose factor is root, H×H lower.
func slcaDraw(dst []float32, mean, root []float64, share float64, r *rand.Rand, noise []float64) {
	h := len(mean)
	for j := range noise {
		noise[j] = r.NormFloat64()
	}
	for i := range h {
		sum := share * mean[i]
		for j := range i + 1 {
			sum += root[i*h+j] * noise[j]
		}
		dst[i] = float32(sum)
	}
}

// slcaRoot is the factor of a class's covariance, made regular.
func slcaRoot(cov []float64, h int) ([]float64, bool) {
	c := slices.Clone(cov)
	if !part.AddRidge(c, h, slcaRidge) { // a class of one row, or of equal ones
		return make([]float64, h*h), true
	}
	chol, ok := num.NewChol(c, h)
	if !ok {
		return nil, false
	}
	return chol.L(), true
}

// spans are the outputs of each task, whose classes came together.
func (m *SLCAModel) spans() (spans [][2]int) {
	for k, c := range m.classes {
		if k > 0 && m.classes[k-1].task == c.task {
			spans[len(spans)-1][1] = k + 1
		} else {
			spans = append(spans, [2]int{k, k + 1})
		}
	}
	return spans
}

// align trains the head on draws of all classes.
func (m *SLCAModel) align(ctx context.Context) error {
	c, k := m.config, len(m.classes)
	weight, bias := m.net.head()
	h := weight.Shape[1]
	roots := make([][]float64, k)
	for i, class := range m.classes {
		var ok bool
		if roots[i], ok = slcaRoot(class.cov, h); !ok {
			return fmt.Errorf("slca: %w: the covariance of class %q has no root", method.ErrDegenerate, m.net.classes[i])
		}
	}
	params := net.NewParams(c.Seed)
	for _, t := range []net.Tensor{{Name: "weight", Shape: weight.Shape, Values: m.weight}, {Name: "bias", Shape: bias.Shape, Values: m.bias}} {
		if err := params.Put(t); err != nil {
			return fmt.Errorf("slca: %w: %w", method.ErrState, err)
		}
	}
	source := rand.NewPCG(0, 0)
	r, noise := rand.New(source), make([]float64, h)
	spans := m.spans()
	loop := net.Loop{Epochs: c.Alignment, Batch: c.Batch, Seed: part.Mix(c.Seed ^ uint64(m.net.tasks)<<40), Schedule: net.Schedule{Cosine: true},
		Optimiser: net.Optimiser{Rule: net.SGD, Rate: c.Rate, Momentum: slcaMomentum, Decay: slcaDecay}}
	trainer, err := net.NewTrainer(loop, params, net.Task{Rows: k * c.Draws, Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
		x, labels := g.Input(n, h), g.Ints(n)
		z := g.Linear(x, g.Param("weight", nil, k, h), g.Param("bias", nil, k))
		var lengths *net.Node // N×1, mean over tasks
		for _, span := range spans {
			own := g.Slice(z, 1, span[0], span[1])
			length := g.Sqrt(g.Scale(g.SumKept(g.Mul(own, own), 1), 1, 1e-12))
			if lengths == nil {
				lengths = length
			} else {
				lengths = g.Add(lengths, length)
			}
		}
		normal := g.Div(z, g.Scale(lengths, c.Temperature/float64(len(spans)), 1e-7))
		return g.CrossEntropy(normal, labels, net.Targets{}), func(b net.Batch) {
			for i, row := range b.Rows {
				class := m.classes[row%k]
				source.Seed(b.Seed, uint64(row))
				share := slcaOldest + (1-slcaOldest)*(class.task+1)/float64(m.net.tasks)
				slcaDraw(x.Value()[i*h:(i+1)*h], class.mean, roots[row%k], share, r, noise)
				labels.Values[i] = int32(row % k)
			}
		}
	}})
	if err != nil {
		return fmt.Errorf("slca: %w: %w", method.ErrConfig, err)
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("slca: %w: %w", method.ErrDegenerate, err)
	}
	m.weight, m.bias = slices.Clone(params.Get("weight").Values), slices.Clone(params.Get("bias").Values)
	return nil
}

// SLCAModel is a fitted [SLCA].
type SLCAModel struct {
	config       SLCA
	net          *network // with the head before alignment, from which the next task goes on
	weight, bias []float32
	classes      []slcaClass
}

// Update returns the model that has learned the task and was aligned again.
func (m *SLCAModel) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := method.Width("slca", task, len(m.net.center)); err != nil {
		return nil, err
	}
	rows, err := newLesson(task)
	if err != nil {
		return nil, err
	}
	if len(rows.labels) == 0 {
		return m, nil
	}
	next, err := m.config.learn(ctx, m, rows)
	if err != nil {
		return nil, err
	}
	return next, nil
}

// Logits returns the normalised outputs of the aligned head, N×K.
func (m *SLCAModel) Logits(in *data.Table) (*data.Table, error) {
	if err := method.Width("slca", in, len(m.net.center)); err != nil {
		return nil, err
	}
	x, err := m.net.features(in.X())
	if err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	k := len(m.bias)
	h := len(m.weight) / k
	z, spans := make([]float32, n*k), m.spans()
	for i := range n {
		row, mean := make([]float64, k), 0.0
		for c := range row {
			row[c] = float64(m.bias[c])
			for j, v := range x[i*h : (i+1)*h] {
				row[c] += float64(v) * float64(m.weight[c*h+j])
			}
		}
		for _, span := range spans {
			mean += math.Sqrt(num.SquaredNorm(row[span[0]:span[1]])+1e-12) / float64(len(spans))
		}
		for c, v := range row {
			z[i*k+c] = float32(min(max(v/(m.config.Temperature*mean+1e-7), -math.MaxFloat32), math.MaxFloat32))
		}
	}
	return data.NewNamed(n, m.net.classes, z)
}

// Predict returns each row's class probabilities, N×K.
func (m *SLCAModel) Predict(in *data.Table) (*data.Table, error) {
	z, err := m.Logits(in)
	if err != nil {
		return nil, err
	}
	n, k := z.Dims()
	p := slices.Clone(z.X())
	num.SoftmaxRows(p, p, k)
	return data.NewNamed(n, m.net.classes, p)
}

// State returns the model as tensors: the network, the aligned head, and what stays of each class.
func (m *SLCAModel) State() *data.Checkpoint {
	st := m.net.state()
	k, h := len(m.bias), len(m.weight)/len(m.bias)
	st.Tensors["aligned.weight"] = data.Float32Tensor(m.weight, k, h)
	st.Tensors["aligned.bias"] = data.Float32Tensor(m.bias, k)
	var rows, task, mean, cov []float64
	for _, c := range m.classes {
		rows, task, mean, cov = append(rows, c.rows), append(task, c.task), append(mean, c.mean...), append(cov, c.cov...)
	}
	st.Tensors["class.rows"] = data.Float64Tensor(rows, k)
	st.Tensors["class.task"] = data.Float64Tensor(task, k)
	st.Tensors["class.mean"] = data.Float64Tensor(mean, k, h)
	st.Tensors["class.cov"] = data.Float64Tensor(cov, k, h, h)
	return st
}

func loadSLCA(c SLCA, st *data.Checkpoint) (*SLCAModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	w, err := loadNetwork("slca", st, c.Hidden)
	if err != nil {
		return nil, err
	}
	weight, _ := w.head()
	k, h := weight.Shape[0], weight.Shape[1]
	r := st.Read()
	m := &SLCAModel{config: c, net: w, weight: r.Float32s("aligned.weight", k, h), bias: r.Float32s("aligned.bias", k)}
	rows, task := r.Floats("class.rows", k), r.Floats("class.task", k)
	mean, cov := r.Floats("class.mean", k, h), r.Floats("class.cov", k, h, h)
	if err := r.Err(); err != nil {
		return nil, err
	}
	for i := range k {
		if !(rows[i] >= 1) || !(task[i] >= 0) || task[i] >= float64(w.tasks) {
			return nil, fmt.Errorf("%w: class %q of task %g has %g rows", data.ErrFormat, w.classes[i], task[i], rows[i])
		}
		m.classes = append(m.classes, slcaClass{rows[i], task[i], mean[i*h : (i+1)*h], cov[i*h*h : (i+1)*h*h]})
	}
	return m, nil
}
