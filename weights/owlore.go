package weights

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
	Title: "a checkpoint tuned a few layers at a time, those with outliers most often, by updates of low rank",
	Paper: "li2024owlore",
	Exempt: map[string]string{
		"answers": "where the rows' classes are not the network's outputs, the last layer is another one, of another shape",
	},
}, OwLore.Apply))

// OwLore tunes a network on labelled rows with little memory: at any time all but a few layers are frozen, and gradients of the others
// are projected to low rank before an optimiser keeps moments of them. Layers whose weights and inputs have outliers are drawn most often.
//
// It is for networks that the program trains itself: linear layers, or square convolutions (stride 1, then ReLU and 2×2 max-pooling)
// before linear ones. The report says which layers have outliers, how often each was tuned, and what memory that took, also for
// those who will tune elsewhere. The last layer always learns, unprojected.
//
// Takes:   encoder, a checkpoint of such a network; rows, a labelled table N×D, on which outliers are counted too.
// Apply:   a checkpoint of the same tensors and types. Where the outputs are not the rows' classes, the last layer is drawn anew for them, in the order of their names. Metadata: classes then; owlore.layers, a line "layer outliers probability draws tail" each: the share of |W|·‖x‖ beyond Threshold means, and Hill's exponent of the larger half of the eigenvalues of WᵀW; owlore.memory, the most numbers that learned or served learning at a time (parameters, moments, projections), those of tuning everything, and their ratio; owlore.loss, the mean of the last tenth of the steps, in nats.
// Errors:  ErrFormat for another network, or one of a single layer; ErrLabels when a row has none; ErrFinite when the loss stops being a number.
// Differs: a block is a layer; projections are renewed and moments begin anew when a layer is drawn that was frozen, and at every draw; layers without outliers are drawn when there are too few with some. A projection of full rank is left out.
// Source:  li2024owlore, sections 3.1 to 3.3 and its code; the projection after GaLore, Zhao et al. (2024).
// Claim:   claims/weights/owlore.go.
type OwLore struct {
	// Strategy says how layers are drawn: by their outliers; uniform, which is LISA; reverse, those without outliers; increase and decrease by depth; norm by the weights' norm.
	Strategy string `default:"outliers" enum:"outliers,uniform,reverse,increase,decrease,norm"`
	// Threshold is how many means a value must exceed to count as an outlier; the paper's 13 is for language models, small networks have none there.
	Threshold float64 `default:"3" range:"[1,1e6]" unit:"mean"`
	// Active is how many layers learn at a time, beside the last; the paper's 5 of 32.
	Active int `default:"1" range:"[1,65536]"`
	// Period is how many steps lie between two draws; the paper's 50.
	Period int `default:"10" range:"[1,1000000]" unit:"steps"`
	// Rank is that of the projection; the paper's 256.
	Rank int `default:"4" range:"[1,65536]"`
	// Steps is how often training goes through the rows.
	Steps int `default:"5" range:"[1,100000]" unit:"passes"`
	// Batch is the rows of one step.
	Batch int `default:"64" range:"[1,65536]"`
	// Rate is Adam's, the same throughout.
	Rate float64 `default:"0.002" range:"(0,1]"`
	// Seed draws layers, the order of rows, and a new last layer.
	Seed uint64
}

// OwLoreInput is what is tuned, and on what.
type OwLoreInput struct {
	// Encoder is the network's tensors.
	Encoder *data.Checkpoint
	// Rows are N×D labelled.
	Rows *data.Table
}

// Apply tunes.
func (c OwLore) Apply(ctx context.Context, in OwLoreInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := newTuning(in.Encoder, in.Rows, c.Seed)
	if err != nil {
		return nil, err
	}
	blocks := len(t.chain.Weights()) - 1
	if blocks < 1 {
		return nil, fmt.Errorf("%w: a network of one layer has none to choose from", data.ErrFormat)
	}
	outliers, err := c.outliers(t)
	if err != nil {
		return nil, err
	}
	probabilities := c.probabilities(t, outliers)
	r := &owLoreRun{c: c, t: t, draws: make([]int, blocks), states: map[string]*owLoreState{}}
	if err := r.train(ctx, probabilities); err != nil {
		return nil, err
	}
	out := t.checkpoint("owlore.")
	var lines []string
	for i, name := range t.chain.Weights()[:blocks] {
		tail, err := owLoreTail(t.params.Get(name))
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s", name, brief(outliers[i]), brief(probabilities[i]), r.draws[i], tail))
	}
	full := 3 * t.params.Size()
	out.SetStrings("owlore.layers", lines)
	out.SetStrings("owlore.memory", []string{fmt.Sprint(r.most), fmt.Sprint(full), brief(float64(r.most) / float64(full))})
	out.Meta["owlore.loss"] = brief(r.loss)
	return out, nil
}

// outliers returns for each layer but the last the share of |W_ij|·‖x_j‖ that exceeds Threshold means. Convolutions have the norm of a
// channel over all places.
func (c OwLore) outliers(t *tuning) ([]float64, error) {
	n, d := t.rows.Dims()
	g := net.NewGraph(t.params)
	g.Training = false
	const block = 256
	var norms [][]float64 // squared, of each layer's inputs
	var x *net.Node
	var p *net.Program
	var inputs []*net.Node
	weights := t.chain.Weights()
	for lo := 0; lo < n; lo += block {
		rows := min(block, n-lo)
		if x == nil || x.Shape()[0] != rows {
			g = net.NewGraph(t.params)
			g.Training = false
			x = g.Input(rows, d)
			inputs = append([]*net.Node{g.Scale(x, 1, 0)}, t.chain.Build(g, x)...)
			var err error
			if p, err = g.Infer(inputs...); err != nil {
				return nil, err
			}
		}
		copy(x.Value(), t.rows.X()[lo*d:(lo+rows)*d])
		p.Forward()
		for i, name := range weights[:len(weights)-1] {
			shape := t.params.Get(name).Shape
			width := shape[len(shape)-1]
			if len(norms) <= i {
				norms = append(norms, make([]float64, width))
			}
			for k, v := range inputs[i].Value() {
				norms[i][k%width] += float64(v) * float64(v)
			}
		}
	}
	shares := make([]float64, len(norms))
	for i, square := range norms {
		values := t.params.Get(weights[i]).Values
		size := func(k int) float64 { return math.Abs(float64(values[k])) * math.Sqrt(square[k%len(square)]) }
		mean, beyond := 0.0, 0
		for k := range values {
			mean += size(k) / float64(len(values))
		}
		for k := range values {
			if size(k) > c.Threshold*mean {
				beyond++
			}
		}
		shares[i] = float64(beyond) / float64(len(values))
	}
	return shares, nil
}

// probabilities are those of drawing each layer first; they add up to one.
func (c OwLore) probabilities(t *tuning, outliers []float64) []float64 {
	p := make([]float64, len(outliers))
	for i, share := range outliers {
		switch c.Strategy {
		case "outliers":
			p[i] = share
		case "reverse":
			p[i] = slices.Max(outliers) + slices.Min(outliers) - share
		case "increase":
			p[i] = float64(i + 1)
		case "decrease":
			p[i] = float64(len(p) - i)
		case "norm":
			for _, v := range t.params.Get(t.chain.Weights()[i]).Values {
				p[i] += float64(v) * float64(v)
			}
			p[i] = math.Sqrt(p[i])
		default:
			p[i] = 1
		}
	}
	sum := 0.0
	for _, v := range p {
		sum += v
	}
	for i := range p {
		if p[i] /= sum; sum == 0 {
			p[i] = 1 / float64(len(p))
		}
	}
	return p
}

// owLoreDraw draws k of the layers one after the other without putting back, by probabilities, then those of probability zero alike.
func owLoreDraw(p []float64, k int, r *rand.Rand) []int {
	left := slices.Clone(p)
	gone := make([]bool, len(p))
	var drawn []int
	for len(drawn) < min(k, len(p)) {
		sum := 0.0
		for _, v := range left {
			sum += v
		}
		if sum <= 0 {
			for i := range left {
				if !gone[i] {
					left[i] = 1
				}
			}
			continue
		}
		u, at := r.Float64()*sum, -1
		for i, v := range left {
			if v > 0 {
				if at = i; u < v {
					break
				}
				u -= v
			}
		}
		drawn, left[at], gone[at] = append(drawn, at), 0, true
	}
	slices.Sort(drawn)
	return drawn
}

// owLoreRun is a training under way.
type owLoreRun struct {
	c      OwLore
	t      *tuning
	draws  []int
	states map[string]*owLoreState // of what learns now
	most   int                     // numbers in use at a time
	loss   float64
}

// owLoreState is the moments of one parameter's gradient, projected or not.
type owLoreState struct {
	projection    []float32 // rows×r, or columns×r; nil: none
	rows, columns int
	r             int
	left          bool // the projection is from the left, of rows
	first, second []float32
	step          int
}

func (r *owLoreRun) train(ctx context.Context, probabilities []float64) error {
	n, d := r.t.rows.Dims()
	batch := min(r.c.Batch, n)
	total := (r.c.Steps*n + batch - 1) / batch
	var order []int
	pass := uint64(0)
	next := func() int {
		if len(order) == 0 {
			order = rand.New(rand.NewPCG(part.Mix(r.c.Seed), pass)).Perm(n)
			pass++
		}
		row := order[0]
		order = order[1:]
		return row
	}
	draw := rand.New(rand.NewPCG(part.Mix(r.c.Seed+1), 0))
	tail := max(total/10, 1)
	for step := 0; step < total; {
		method.Progress(ctx, step, total)
		if err := ctx.Err(); err != nil {
			return err
		}
		active := owLoreDraw(probabilities, r.c.Active, draw)
		learning := map[string]bool{}
		for _, i := range append(slices.Clone(active), len(probabilities)) { // the last layer too
			learning[r.t.chain.Weights()[i]], learning[r.t.chain.Biases()[i]] = true, true
		}
		for _, i := range active {
			r.draws[i]++
		}
		last := r.t.chain.Weights()[len(probabilities)]
		for _, p := range r.t.params.All() {
			p.Frozen = !learning[p.Name]
			if p.Frozen || p.Name != last && p.Name != r.t.chain.Biases()[len(probabilities)] {
				delete(r.states, p.Name) // the last layer's go on
			}
		}
		g := net.NewGraph(r.t.params)
		x, classes := g.Input(batch, d), g.Ints(batch)
		outs := r.t.chain.Build(g, x)
		program, err := g.Train(g.CrossEntropy(outs[len(outs)-1], classes, net.Targets{}))
		if err != nil {
			return err
		}
		for range min(r.c.Period, total-step) {
			for i := range batch {
				row := next()
				copy(x.Value()[i*d:(i+1)*d], r.t.rows.Row(row))
				classes.Values[i] = int32(r.t.labels[row])
			}
			program.Forward()
			loss := program.Loss()
			if math.IsNaN(loss) || math.IsInf(loss, 0) {
				return fmt.Errorf("%w: the loss after %d steps is %v (%s)", data.ErrFinite, step, loss, program.FirstNonFinite())
			}
			if step >= total-tail {
				r.loss += loss / float64(tail)
			}
			r.t.params.ZeroGradients()
			program.Backward()
			used := 0
			for _, p := range r.t.params.All() {
				if learning[p.Name] {
					if err := r.update(p, p.Name != last); err != nil {
						return err
					}
					s := r.states[p.Name]
					used += len(p.Values) + len(s.first) + len(s.second) + len(s.projection)
				}
			}
			r.most = max(r.most, used)
			step++
		}
	}
	method.Progress(ctx, total, total)
	return nil
}

// update takes a step of Adam on one parameter.
func (r *owLoreRun) update(p *net.Param, project bool) error {
	gradient := p.Gradient()
	s := r.states[p.Name]
	if s == nil {
		s = &owLoreState{}
		if project && len(p.Shape) > 1 {
			if err := s.project(gradient, p.Shape[0], len(p.Values)/p.Shape[0], r.c.Rank); err != nil {
				return fmt.Errorf("tensor %q: %w", p.Name, err)
			}
		}
		size := len(p.Values)
		if s.projection != nil {
			size = s.r * (s.rows + s.columns - s.side())
		}
		s.first, s.second = make([]float32, size), make([]float32, size)
		r.states[p.Name] = s
	}
	const decay, decaySquare, epsilon = 0.9, 0.999, 1e-8
	s.step++
	low := s.down(gradient)
	way := make([]float32, len(low))
	one, two := 1-math.Pow(decay, float64(s.step)), 1-math.Pow(decaySquare, float64(s.step))
	for i, g := range low {
		s.first[i] = decay*s.first[i] + (1-decay)*g
		s.second[i] = decaySquare*s.second[i] + (1-decaySquare)*g*g
		way[i] = float32(float64(s.first[i]) / one / (math.Sqrt(float64(s.second[i])/two) + epsilon))
	}
	for i, v := range s.up(way) {
		p.Values[i] -= float32(r.c.Rate) * v
	}
	return nil
}

// side is the length of the projected axis.
func (s *owLoreState) side() int {
	if s.left {
		return s.rows
	}
	return s.columns
}

// project takes the leading singular vectors of the shorter side of a gradient, unless they would be all of them.
func (s *owLoreState) project(gradient []float32, rows, columns, rank int) error {
	if rank >= min(rows, columns) {
		return nil
	}
	wide := make([]float64, len(gradient))
	for i, v := range gradient {
		wide[i] = float64(v)
	}
	u, _, v, ok := num.SVD(wide, rows, columns)
	if !ok {
		return fmt.Errorf("the gradient's singular vectors are %w", data.ErrFinite)
	}
	s.rows, s.columns, s.r, s.left = rows, columns, rank, rows <= columns
	from, k := u, min(rows, columns)
	if !s.left {
		from = v
	}
	s.projection = make([]float32, s.side()*rank)
	for i := range s.side() {
		for j := range rank {
			s.projection[i*rank+j] = float32(from[i*k+j])
		}
	}
	return nil
}

// down projects a gradient: Pᵀ·G, r×columns, or G·P, rows×r.
func (s *owLoreState) down(g []float32) []float32 {
	switch {
	case s.projection == nil:
		return g
	case s.left:
		out := make([]float32, s.r*s.columns)
		num.Gemm(true, false, s.r, s.columns, s.rows, 1, s.projection, s.r, g, s.columns, 0, out, s.columns)
		return out
	}
	out := make([]float32, s.rows*s.r)
	num.Gemm(false, false, s.rows, s.r, s.columns, 1, g, s.columns, s.projection, s.r, 0, out, s.r)
	return out
}

// up takes what was projected back.
func (s *owLoreState) up(low []float32) []float32 {
	if s.projection == nil {
		return low
	}
	out := make([]float32, s.rows*s.columns)
	if s.left {
		num.Gemm(false, false, s.rows, s.columns, s.r, 1, s.projection, s.r, low, s.columns, 0, out, s.columns)
	} else {
		num.Gemm(false, true, s.rows, s.columns, s.r, 1, low, s.r, s.projection, s.r, 0, out, s.columns)
	}
	return out
}

// owLoreTail is Hill's estimate of the exponent of the tail of the eigenvalues of WᵀW, over their larger half, as text; "none" when
// they have no spread.
func owLoreTail(p *net.Param) (string, error) {
	wide := make([]float64, len(p.Values))
	for i, v := range p.Values {
		wide[i] = float64(v)
	}
	_, s, _, ok := num.SVD(wide, p.Shape[0], len(wide)/p.Shape[0])
	if !ok {
		return "", fmt.Errorf("tensor %q: its singular values are %w", p.Name, data.ErrFinite)
	}
	k, sum := len(s)/2, 0.0
	for _, v := range s[:k] {
		if s[k] > 0 {
			sum += 2 * math.Log(v/s[k])
		}
	}
	if sum <= 0 {
		return "none", nil
	}
	return brief(1 + float64(k)/sum), nil
}
