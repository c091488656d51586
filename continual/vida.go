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

var _ = methods.Add(method.Map(method.Info{
	Title: "probabilities of a stream's rows from a network that follows it by adapters of low and of high rank",
	Paper: "liu2023vida",
	Exempt: map[string]string{
		"rows-independent": "online: a batch's answers depend on what was learned from the batches before it",
		"direction":        "what comes out are probabilities of classes, not a score",
	},
	Small: map[string]string{"draws": "3", "batch": "8", "high-rank": "4", "dropout": "0.5"},
}, ViDA.Apply))

// ViDA lets a network follow a stream whose domain changes, by two adapters beside each layer and a slow teacher.
//
// It is the Visual Domain Adapter of Liu et al. (2023) for a network of linear layers: beside each lies a branch of low rank, for what domains
// share, and one of high rank, for what is the domain's own. A teacher, the running mean of what is learned, answers each batch; how much its answers
// vary over views of a row with inputs left out says how far away the row is, and a row far away is told more by the high rank, another one more by the
// low. Then the network and its adapters take a step towards the teacher's answers. O(Draws·P) a row for P weights. It is for networks whose inputs are at
// hand and whose domain changes again and again. In its claim here, on a small perceptron, neither it nor its mean teacher gains anything over the
// network as it is, and [BatchStatistics] gains fourteen points: measure both on your own stream.
//
// Takes:   In N×D inputs of the network, rows in the order in which they came; Head, a checkpoint of linear layers with ReLU between them, each weight out×in with a bias or without, the last of which puts out the classes; Source, optional, labelled rows of the domain that the network comes from, on which the adapters are tuned first.
// Apply:   N×K probabilities, the teacher's before it learned from the row's batch.
// Errors:  ErrInput without a network; ErrShape and ErrFormat for one that does not fit the rows; ErrLabels for rows of Source without a class or of one that the network does not have; ErrDegenerate when training diverges.
// Differs: views leave inputs out, where the authors turn and colour images; each row has scales of its own instead of its batch's; weights are never set back; batches, rate and ranks are for small networks.
// Source:  liu2023vida; the scales, the share of the rates, the ranks and how adapters begin are those of the authors' code.
// Claim:   claims/continual/vida.go.
type ViDA struct {
	// Rank is that of what domains share.
	Rank int `default:"1" range:"[1,65536]"`
	// HighRank is that of what is a domain's own; no layer gets more than its width.
	HighRank int `default:"128" range:"[1,65536]"`
	// Batch is how many rows are answered, and then learned from, together.
	Batch int `default:"40" range:"[1,1e6]"`
	// Rate is that of Adam for the network's weights; adapters take a tenth.
	Rate float64 `default:"1e-4" range:"(0,1]"`
	// Decay is the share of the teacher that stays in a step.
	Decay float64 `default:"0.999" range:"(0,1)"`
	// Draws is how many views of a row tell how uncertain it is.
	Draws int `default:"10" range:"[2,1e4]"`
	// Dropout is the share of inputs that a view leaves out.
	Dropout float64 `default:"0.1" range:"(0,1)"`
	// Threshold is the uncertainty from which on a row is told more by the high rank: a tenth of the logits' variance over views, averaged over classes.
	Threshold float64 `default:"0.2" range:"(0,1e9]"`
	// Steps is how many batches of Source the adapters are tuned on.
	Steps int `default:"200" range:"[1,1e6]"`
	// Seed starts the random numbers: of the adapters, of views, and of the order of Source.
	Seed uint64
}

// ViDAInput is a stream and the network that is asked about it.
type ViDAInput struct {
	In     *data.Table
	Head   *data.Checkpoint
	Source *data.Table `optional:"true"`
}

const (
	vidaShare       = 0.1 // of the rate, for adapters
	vidaUncertainty = 0.1 // of the logits' variance
)

// vida is a network on its way through a stream.
type vida struct {
	config           ViDA
	classes          []string
	layers           []vidaLayer
	student, teacher *net.Params
	optimiser        net.Optimiser
	rows             uint64 // answered so far
	answers, lessons map[int]*vidaProgram
}

type vidaLayer struct {
	weight, bias string
	in, out      int
}

// vidaProgram is the network for a number of rows.
type vidaProgram struct {
	*net.Program
	x, low, high, target, logits *net.Node
}

// newVida reads a network and puts adapters, which do nothing yet, beside its layers.
func newVida(c ViDA, head *data.Checkpoint, d int) (*vida, error) {
	if head == nil {
		return nil, fmt.Errorf("%w: want the network", method.ErrInput)
	}
	v := &vida{config: c, student: net.NewParams(c.Seed), answers: map[int]*vidaProgram{}, lessons: map[int]*vidaProgram{}}
	var tensors []net.Tensor
	r := head.Read()
	for _, name := range head.Names() {
		shape := head.Tensors[name].Shape
		t := net.Tensor{Name: name, Shape: slices.Clone(shape), Values: r.Float32s(name, shape...)}
		tensors = append(tensors, t)
		layer, weight := vidaLayerOf(name)
		if bias := layer + "bias"; weight && len(shape) == 2 && head.Tensors[bias].Shape == nil {
			tensors = append(tensors, net.Tensor{Name: bias, Shape: shape[:1], Values: make([]float32, shape[0])})
		}
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	chain, err := net.FromTensors(tensors)
	if err != nil {
		return nil, fmt.Errorf("%w: head: %w", data.ErrShape, err)
	}
	in, k := chain.Dims()
	if in != d {
		return nil, fmt.Errorf("%w: rows have %d columns, the network takes %d", data.ErrShape, d, in)
	}
	if _, ok := head.Meta["classes"]; ok {
		v.classes = head.Read().Strings("classes")
	} else {
		for c := range k {
			v.classes = append(v.classes, fmt.Sprint(c))
		}
	}
	if len(v.classes) != k {
		return nil, fmt.Errorf("%w: %d class names for %d outputs", data.ErrShape, len(v.classes), k)
	}
	for _, t := range chain.Tensors() {
		if err := v.student.Put(t); err != nil {
			return nil, fmt.Errorf("%w: %w", data.ErrFormat, err)
		}
		if layer, weight := vidaLayerOf(t.Name); weight {
			v.layers = append(v.layers, vidaLayer{t.Name, layer + "bias", t.Shape[1], t.Shape[0]})
		}
	}
	v.optimiser = net.Optimiser{Rule: net.Adam, Rate: c.Rate, Groups: []net.Group{{Pattern: "vida/*", Rate: vidaShare}}}
	return v, nil
}

// vidaLayerOf cuts the last word off a tensor's name and says whether it was weight.
func vidaLayerOf(name string) (layer string, weight bool) {
	const word = "weight"
	if len(name) < len(word) || name[len(name)-len(word):] != word {
		return name, false
	}
	return name[:len(name)-len(word)], true
}

// build adds the network with its adapters over some parameters.
func (v *vida) build(params *net.Params, n int, training bool) (*net.Graph, *vidaProgram) {
	g := net.NewGraph(params)
	g.Training = training
	p := &vidaProgram{x: g.Input(n, v.layers[0].in), low: g.Input(n, 1), high: g.Input(n, 1)}
	x := p.x
	for i, l := range v.layers {
		branch := func(name string, rank int) *net.Node {
			rank = min(rank, l.in, l.out)
			down := g.Param(fmt.Sprintf("vida/%d %s down", i, name), net.Normal(1/float64(rank*rank)), rank, l.in)
			up := g.Param(fmt.Sprintf("vida/%d %s up", i, name), net.Constant(0), l.out, rank)
			return g.Linear(g.Linear(x, down, nil), up, nil)
		}
		y := g.Linear(x, g.Param(l.weight, net.Constant(0), l.out, l.in), g.Param(l.bias, net.Constant(0), l.out))
		y = g.Add(y, g.Add(g.Mul(branch("low", v.config.Rank), p.low), g.Mul(branch("high", v.config.HighRank), p.high)))
		if i < len(v.layers)-1 {
			y = g.ReLU(y)
		}
		x = y
	}
	p.logits = x
	return g, p
}

// answer runs rows through the teacher with the scales of each row's branches.
func (v *vida) answer(x, low, high []float32) ([]float32, error) {
	n := len(low)
	p := v.answers[n]
	if p == nil {
		g, made := v.build(v.teacher, n, false)
		var err error
		if made.Program, err = g.Infer(made.logits); err != nil {
			return nil, err
		}
		p, v.answers[n] = made, made
	}
	copy(p.x.Value(), x)
	copy(p.low.Value(), low)
	copy(p.high.Value(), high)
	p.Forward()
	return slices.Clone(p.logits.Value()), nil
}

// lesson takes a step of the student towards probabilities.
func (v *vida) lesson(x, low, high, target []float32) error {
	n := len(low)
	p := v.lessons[n]
	if p == nil {
		g, made := v.build(v.student, n, true)
		made.target = g.Input(n, len(v.classes))
		var err error
		if made.Program, err = g.Train(g.CrossEntropySoft(made.logits, made.target, net.Targets{})); err != nil {
			return err
		}
		p, v.lessons[n] = made, made
	}
	copy(p.x.Value(), x)
	copy(p.low.Value(), low)
	copy(p.high.Value(), high)
	copy(p.target.Value(), target)
	p.Forward()
	if loss := p.Loss(); math.IsNaN(loss) || math.IsInf(loss, 0) {
		return fmt.Errorf("%w: the loss is %v; the first tensor that is not finite: %s; lower --rate %g", method.ErrDegenerate, loss, p.FirstNonFinite(), v.config.Rate)
	}
	v.student.ZeroGradients()
	p.Backward()
	v.optimiser.Step(v.student, 1)
	return nil
}

// warm tunes the adapters alone on labelled rows.
func (v *vida) warm(ctx context.Context, source *data.Table) error {
	n, d := source.Dims()
	if d != v.layers[0].in || n == 0 {
		return fmt.Errorf("%w: a source of %d×%d, the network takes %d columns", data.ErrShape, n, d, v.layers[0].in)
	}
	rows, err := newLesson(source) // an order of its own
	if err != nil {
		return fmt.Errorf("source: %w", err)
	}
	labels, k := make([]int, n), len(v.classes)
	for i, name := range rows.labels {
		if labels[i] = slices.Index(v.classes, name); labels[i] < 0 {
			return fmt.Errorf("%w: the source has class %q, the network %d others", data.ErrLabels, name, k)
		}
	}
	var frozen []*net.Param
	for _, p := range v.student.All() {
		p.Frozen = true
		frozen = append(frozen, p)
	}
	stream := v.optimiser
	v.optimiser.Rate /= vidaShare // there is nothing else to tune
	r := rand.New(rand.NewPCG(part.Mix(v.config.Seed), 1))
	ones, batch := slices.Repeat([]float32{1}, min(v.config.Batch, n)), min(v.config.Batch, n)
	var order []int
	for step := range v.config.Steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(order) < batch {
			order = r.Perm(n)
		}
		var x []float32
		target := make([]float32, batch*k)
		for i, row := range order[:batch] {
			x = append(x, rows.row(row)...)
			target[i*k+labels[row]] = 1
		}
		order = order[batch:]
		if err := v.lesson(x, ones, ones, target); err != nil {
			return err
		}
		method.Progress(ctx, step+1, v.config.Steps)
	}
	for _, p := range frozen {
		p.Frozen = false
	}
	v.optimiser, v.lessons = stream, map[int]*vidaProgram{}
	return nil
}

// scales are how much each row is told by the branches: by the variance of its logits over views.
func (v *vida) scales(x []float32, n int) (low, high []float32, err error) {
	d, k, draws := v.layers[0].in, len(v.classes), v.config.Draws
	views := make([]float32, 0, n*draws*d)
	for i := range n {
		for view := range draws {
			r := rand.New(rand.NewPCG(part.Mix(v.config.Seed+v.rows+uint64(i)), uint64(view)+2))
			for _, value := range x[i*d : (i+1)*d] {
				if r.Float64() < v.config.Dropout {
					value = 0
				}
				views = append(views, value/float32(1-v.config.Dropout))
			}
		}
	}
	ones := slices.Repeat([]float32{1}, n*draws)
	z, err := v.answer(views, ones, ones)
	if err != nil {
		return nil, nil, err
	}
	for i := range n {
		a, b := v.config.allotted(vidaVariance(z[i*draws*k:(i+1)*draws*k], k))
		low, high = append(low, a), append(high, b)
	}
	return low, high, nil
}

// vidaVariance is the variance of values over rows of k, averaged over the k.
func vidaVariance(z []float32, k int) (variance float64) {
	n := len(z) / k
	for c := range k {
		mean := 0.0
		for i := range n {
			mean += float64(z[i*k+c]) / float64(n)
		}
		for i := range n {
			e := float64(z[i*k+c]) - mean
			variance += e * e / float64((n-1)*k)
		}
	}
	return variance
}

// allotted are the scales of the low and of the high branch for a row whose logits vary so much.
func (c ViDA) allotted(variance float64) (low, high float32) {
	u := min(vidaUncertainty*variance, 1)
	if u >= c.Threshold {
		return float32(1 - u), float32(1 + u)
	}
	return float32(1 + u), float32(1 - u)
}

// follow draws the teacher after the student.
func (v *vida) follow() {
	for _, p := range v.student.All() {
		to := v.teacher.Get(p.Name).Values
		for i, value := range p.Values {
			to[i] = float32(v.config.Decay*float64(to[i]) + (1-v.config.Decay)*float64(value))
		}
	}
}

// Apply answers each row.
func (c ViDA) Apply(ctx context.Context, in ViDAInput) (*data.Table, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	n, d := in.In.Dims()
	v, err := newVida(c, in.Head, d)
	if err != nil {
		return nil, err
	}
	if in.Source != nil {
		if err := v.warm(ctx, in.Source); err != nil {
			return nil, err
		}
	}
	v.build(v.student, 1, true) // makes the adapters where nothing was tuned
	v.teacher = net.NewParams(0)
	for _, t := range v.student.Tensors() {
		if err := v.teacher.Put(t); err != nil {
			return nil, fmt.Errorf("%w: %w", method.ErrState, err)
		}
	}
	k := len(v.classes)
	out := make([]float32, 0, n*k)
	for lo := 0; lo < n; lo += c.Batch {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		b := in.In.Slice(lo, min(lo+c.Batch, n))
		rows, _ := b.Dims()
		low, high, err := v.scales(b.X(), rows)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", method.ErrState, err)
		}
		p, err := v.answer(b.X(), low, high)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", method.ErrState, err)
		}
		num.SoftmaxRows(p, p, k)
		if i := slices.IndexFunc(p, func(v float32) bool { return v != v }); i >= 0 {
			return nil, fmt.Errorf("%w: row %d has no probabilities: its logits are beyond float32", method.ErrDegenerate, lo+i/k+1)
		}
		out = append(out, p...)
		if err := v.lesson(b.X(), low, high, p); err != nil {
			return nil, fmt.Errorf("rows %d to %d: %w", lo+1, lo+rows, err)
		}
		v.follow()
		v.rows += uint64(rows)
		method.Progress(ctx, lo+rows, n)
	}
	return data.NewNamed(n, v.classes, out)
}
