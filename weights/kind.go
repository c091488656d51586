package weights

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "a denoiser whose matrices are a shared part and an add-on for each class, to be parted and joined",
	Paper: "xie2024kind",
	Small: map[string]string{"steps": "2"},
}, KIND.Apply))

// KIND trains a denoiser of rows whose every matrix is a sum of components: shared ones, always on, and some of each class, on for its
// rows only. What classes have in common gathers in the shared part, which is carried over to new classes.
//
// Condense makes such a checkpoint from layers as they are; divert takes its shared part, drops its classes, and learns add-ons for
// the classes of other rows, nothing else; assemble adds the parts up to the plain network of one class. Rows should be about centred
// and of deviation one: noise of deviations from 0.05 to 5 is added to them, and the network learns what was added.
//
// Takes:   encoder, a checkpoint of linear layers for rows of D values with ReLU between them, from whose singular value decomposition components start; or, to divert and assemble, what condense made. rows, a labelled table N×D.
// Apply:   a checkpoint: for every layer L and the added last one, kind.out, which leads back to D values, L.shared.u [out, R], .s [R], .v [R, in], L.class.NAME.u, .s and .v, and L.bias; kind.level.weight [out, 1] adds ¼ log of the noise's deviation to the first layer. Assembled: L.weight, L.bias and kind.level.weight. Metadata: kind.classes, kind.loss, the mean square error of the noise in the last pass, and kind.parameters, those of the shared part and of one class.
// Errors:  ErrFormat for another network, or one that was not condensed; ErrLabels when a row has no label, or assemble's rows are not of one class that the checkpoint knows; ErrFinite when the loss stops being a number.
// Differs: perceptrons on rows instead of diffusion transformers on images; the noise level enters once; weights are not kept orthogonal, as in the paper.
// Source:  xie2024kind, sections 3.2 to 3.4.
// Claim:   claims/weights/kind.go.
type KIND struct {
	// Strategy is condense, divert or assemble.
	Strategy string `default:"condense" enum:"condense,divert,assemble"`
	// Rank is the number of shared components of a matrix, the paper's learngenes; as many as the matrix has at most.
	Rank int `default:"16" range:"[1,65536]"`
	// ClassRank is the number of components of each class, the paper's tailors.
	ClassRank int `default:"2" range:"[1,65536]"`
	// Ungated leaves all components on for all rows: the paper's ablation, in which nothing parts.
	Ungated bool
	// Steps is how often training goes through the rows.
	Steps int `default:"20" range:"[1,100000]" unit:"passes"`
	// Batch is the rows of one step.
	Batch int `default:"64" range:"[1,65536]"`
	// Rate is Adam's, falling to zero along half a cosine.
	Rate float64 `default:"0.002" range:"(0,1]"`
	// Seed draws noise, the order of rows, and what no decomposition gives.
	Seed uint64
}

// KINDInput is what is trained, and on what.
type KINDInput struct {
	// Encoder is the layers to start from, or what was condensed.
	Encoder *data.Checkpoint
	// Rows are N×D labelled.
	Rows *data.Table
}

// The added tensors.
const kindOut, kindLevel = "kind.out", "kind.level.weight"

// The deviations of noise, and what their logarithm is multiplied by.
const kindLeast, kindMost, kindScale = 0.05, 5, 0.25

// kindLayer is one matrix in parts.
type kindLayer struct {
	name    string
	out, in int
	bias    []float32
	shared  kindPart
	class   map[string]kindPart
}

// kindPart is components: Σ s_r·u_r·v_rᵀ.
type kindPart struct {
	u, s, v []float32 // out×r, r, r×in
}

// Apply trains or assembles.
func (c KIND) Apply(ctx context.Context, in KINDInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Encoder == nil || in.Rows == nil {
		return nil, fmt.Errorf("%w: want a network and rows", method.ErrInput)
	}
	n, d := in.Rows.Dims()
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("%w: rows are %d×%d, want some", data.ErrShape, n, d)
	}
	labels, err := in.Rows.Labels()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(labels, data.Unknown); i >= 0 {
		return nil, fmt.Errorf("%w: row %d has none", data.ErrLabels, i+1)
	}
	var classes []string // that rows have
	for i := range labels {
		classes = append(classes, in.Rows.ClassName(i))
	}
	slices.SortFunc(classes, data.CompareClasses)
	classes = slices.Compact(classes)
	layers, level, known, err := c.read(in.Encoder, d, classes)
	if err != nil {
		return nil, err
	}
	if c.Strategy == "assemble" {
		if len(classes) != 1 || !slices.Contains(known, classes[0]) {
			return nil, fmt.Errorf("%w: rows are of classes %v, want one of %v", data.ErrLabels, classes, known)
		}
		return kindAssemble(layers, level, classes[0]), nil
	}
	loss, err := c.train(ctx, layers, level, classes, in.Rows)
	if err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: map[string]string{"kind.loss": brief(loss)}, Tensors: map[string]data.Tensor{kindLevel: data.Float32Tensor(level, len(level), 1)}}
	out.SetStrings("kind.classes", classes)
	shared, own := len(level), 0
	for _, l := range layers {
		l.shared.put(out, l.name+".shared", l.out, l.in)
		out.Tensors[kindBias(l.name)] = data.Float32Tensor(l.bias, l.out)
		shared += len(l.shared.s)*(l.out+l.in+1) + l.out
		for _, name := range classes {
			l.class[name].put(out, l.name+".class."+name, l.out, l.in)
		}
		own += len(l.class[classes[0]].s) * (l.out + l.in + 1)
	}
	out.SetStrings("kind.parameters", []string{fmt.Sprint(shared), fmt.Sprint(own)})
	return out, nil
}

func kindBias(layer string) string {
	if layer == "" {
		return "bias"
	}
	return layer + ".bias"
}

func (p kindPart) put(out *data.Checkpoint, name string, rows, columns int) {
	r := len(p.s)
	out.Tensors[name+".u"] = data.Float32Tensor(p.u, rows, r)
	out.Tensors[name+".s"] = data.Float32Tensor(p.s, r)
	out.Tensors[name+".v"] = data.Float32Tensor(p.v, r, columns)
}

// read takes a checkpoint apart: a plain network by decomposition, a condensed one as it was written. known are the latter's classes.
func (c KIND) read(in *data.Checkpoint, d int, classes []string) (layers []kindLayer, level []float32, known []string, err error) {
	if _, condensed := in.Meta["kind.classes"]; condensed {
		layers, level, known, err = kindRead(in)
		if err == nil && (layers[0].in != d || layers[len(layers)-1].out != d) {
			err = fmt.Errorf("%w: rows have %d columns, the network is for %d", data.ErrShape, d, layers[0].in)
		}
		if err == nil && c.Strategy != "assemble" {
			for i := range layers {
				l := &layers[i]
				if c.Strategy == "condense" {
					c.fill(l, classes, nil, nil, nil)
					continue
				}
				l.class = map[string]kindPart{}
				for k, name := range classes {
					l.class[name] = c.random(l, k)
				}
			}
		}
		return layers, level, known, err
	}
	if c.Strategy != "condense" {
		return nil, nil, nil, fmt.Errorf("%w: the checkpoint has no shared part to %s: condense it first", data.ErrFormat, c.Strategy)
	}
	var tensors []net.Tensor
	r := in.Read()
	for _, name := range in.Names() {
		shape := in.Tensors[name].Shape
		if !in.Tensors[name].DType.Float() {
			return nil, nil, nil, fmt.Errorf("%w: tensor %q is %s: the network has other parts than linear layers", data.ErrFormat, name, in.Tensors[name].DType)
		}
		tensors = append(tensors, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return nil, nil, nil, err
	}
	plain, err := net.FromTensors(tensors)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("%w: the checkpoint as linear layers: %v", data.ErrFormat, err)
	}
	inputs, features := plain.Dims()
	if inputs != d {
		return nil, nil, nil, fmt.Errorf("%w: rows have %d columns, the network is for %d", data.ErrShape, d, inputs)
	}
	tensors = plain.Tensors() // weight and bias by turns
	back := net.Tensor{Name: kindOut + ".weight", Shape: []int{d, features}, Values: make([]float32, d*features)}
	net.LeCunNormal(back.Values, features, rand.New(rand.NewPCG(c.Seed, 1)))
	tensors = append(tensors, back, net.Tensor{Name: kindOut + ".bias", Shape: []int{d}, Values: make([]float32, d)})
	for i := 0; i < len(tensors); i += 2 {
		w := tensors[i]
		l := kindLayer{name: strings.TrimSuffix(strings.TrimSuffix(w.Name, "weight"), "."), out: w.Shape[0], in: w.Shape[1], bias: slices.Clone(tensors[i+1].Values)}
		wide := make([]float64, len(w.Values))
		for k, v := range w.Values {
			wide[k] = float64(v)
		}
		u, s, v, ok := num.SVD(wide, l.out, l.in)
		if !ok {
			return nil, nil, nil, fmt.Errorf("%w: the singular values of tensor %q do not converge", method.ErrDegenerate, w.Name)
		}
		c.fill(&l, classes, u, s, v)
		layers = append(layers, l)
	}
	return layers, make([]float32, layers[0].out), nil, nil
}

// fill deals the components of a decomposition out: the largest to the shared part, the next to the classes in turn. What it does not
// give is drawn; without one the shared part stays.
func (c KIND) fill(l *kindLayer, classes []string, u, s, v []float64) {
	k := len(s)
	take := func(from, to, step, most int) (p kindPart) {
		for r := from; r < to && len(p.s) < most; r += step {
			p.s = append(p.s, float32(s[r]))
			for j := range l.in {
				p.v = append(p.v, float32(v[j*k+r]))
			}
		}
		p.u = make([]float32, l.out*len(p.s))
		for i := range p.s {
			for o := range l.out {
				p.u[o*len(p.s)+i] = float32(u[o*k+from+i*step])
			}
		}
		return p
	}
	if s != nil {
		l.shared = take(0, k, 1, c.Rank)
	}
	l.class = map[string]kindPart{}
	for i, name := range classes {
		l.class[name] = take(len(l.shared.s)+i, k, len(classes), c.ClassRank)
		if own := l.class[name]; len(own.s) < c.ClassRank {
			l.class[name] = c.random(l, i)
		}
	}
}

// random draws the components of the i-th class, of little effect at first.
func (c KIND) random(l *kindLayer, i int) (p kindPart) {
	seed := c.Seed
	for _, letter := range []byte(l.name) {
		seed = part.Mix(seed + uint64(letter))
	}
	r := rand.New(rand.NewPCG(seed, 2+uint64(i)))
	p.u, p.s, p.v = make([]float32, l.out*c.ClassRank), make([]float32, c.ClassRank), make([]float32, c.ClassRank*l.in)
	net.LeCunNormal(p.u, l.out, r)
	net.LeCunNormal(p.v, l.in, r)
	for k := range p.s {
		p.s[k] = 0.1
	}
	return p
}

// kindRead reads what condense or divert wrote.
func kindRead(in *data.Checkpoint) (layers []kindLayer, level []float32, known []string, err error) {
	r := in.Read()
	known = r.Strings("kind.classes")
	level = r.Float32s(kindLevel, -1, 1)
	var names []string
	for _, name := range in.Names() {
		if layer, ok := strings.CutSuffix(name, ".shared.s"); ok && layer != kindOut {
			names = append(names, layer)
		}
	}
	slices.SortFunc(names, data.CompareClasses) // whole numbers by value
	parts := func(name string, out, in int) (p kindPart) {
		p.s = r.Float32s(name+".s", -1)
		p.u, p.v = r.Float32s(name+".u", out, len(p.s)), r.Float32s(name+".v", len(p.s), in)
		return p
	}
	width := -1
	for _, name := range append(names, kindOut) {
		t, ok := in.Tensors[name+".shared.v"]
		if !ok || len(t.Shape) != 2 {
			return nil, nil, nil, fmt.Errorf("tensor %q: %w as components", name+".shared.v", data.ErrFormat)
		}
		l := kindLayer{name: name, in: t.Shape[1], bias: r.Float32s(kindBias(name), -1), class: map[string]kindPart{}}
		l.out = len(l.bias)
		if width >= 0 && l.in != width {
			return nil, nil, nil, fmt.Errorf("%w: layer %q takes %d values, the one before puts out %d", data.ErrShape, name, l.in, width)
		}
		width = l.out
		l.shared = parts(name+".shared", l.out, l.in)
		for _, class := range known {
			l.class[class] = parts(name+".class."+class, l.out, l.in)
		}
		layers = append(layers, l)
	}
	if err := r.Err(); err != nil {
		return nil, nil, nil, err
	}
	if len(level) != layers[0].out {
		return nil, nil, nil, fmt.Errorf("%w: %s has %d values for a first layer of %d", data.ErrShape, kindLevel, len(level), layers[0].out)
	}
	return layers, level, known, nil
}

// add adds the sum of components to a matrix.
func (p kindPart) add(w []float32, out, in int) {
	r := len(p.s)
	scaled := slices.Clone(p.u)
	for i := range scaled {
		scaled[i] *= p.s[i%r]
	}
	if r > 0 {
		num.Gemm(false, false, out, in, r, 1, scaled, r, p.v, in, 1, w, in)
	}
}

// kindAssemble returns the plain network of one class.
func kindAssemble(layers []kindLayer, level []float32, class string) *data.Checkpoint {
	out := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{kindLevel: data.Float32Tensor(level, len(level), 1)}}
	out.Meta["kind.class"] = class
	for _, l := range layers {
		w := make([]float32, l.out*l.in)
		l.shared.add(w, l.out, l.in)
		l.class[class].add(w, l.out, l.in)
		out.Tensors[strings.TrimSuffix(kindBias(l.name), "bias")+"weight"] = data.Float32Tensor(w, l.out, l.in)
		out.Tensors[kindBias(l.name)] = data.Float32Tensor(l.bias, l.out)
	}
	return out
}

// train fits the parts to rows: all of them to condense, the classes' alone to divert. It returns the loss of the last pass.
func (c KIND) train(ctx context.Context, layers []kindLayer, level []float32, classes []string, rows *data.Table) (loss float64, err error) {
	params := net.NewParams(c.Seed)
	own := make([]kindPart, len(layers)) // all classes side by side
	for i, l := range layers {
		p := kindPart{u: make([]float32, l.out*c.ClassRank*len(classes))}
		for k, name := range classes {
			one := l.class[name]
			p.s, p.v = append(p.s, one.s...), append(p.v, one.v...)
			for o := range l.out {
				copy(p.u[o*c.ClassRank*len(classes)+k*c.ClassRank:], one.u[o*c.ClassRank:(o+1)*c.ClassRank])
			}
		}
		own[i] = p
		for _, t := range []net.Tensor{
			{Name: kindName(i, "shared.u"), Shape: []int{l.out, len(l.shared.s)}, Values: l.shared.u},
			{Name: kindName(i, "shared.s"), Shape: []int{len(l.shared.s)}, Values: l.shared.s},
			{Name: kindName(i, "shared.v"), Shape: []int{len(l.shared.s), l.in}, Values: l.shared.v},
			{Name: kindName(i, "shared.bias"), Shape: []int{l.out}, Values: l.bias},
			{Name: kindName(i, "class.u"), Shape: []int{l.out, len(p.s)}, Values: p.u},
			{Name: kindName(i, "class.s"), Shape: []int{len(p.s)}, Values: p.s},
			{Name: kindName(i, "class.v"), Shape: []int{len(p.s), l.in}, Values: p.v},
		} {
			if err := params.Put(t); err != nil {
				return 0, err
			}
		}
	}
	if err := params.Put(net.Tensor{Name: "shared." + kindLevel, Shape: []int{len(level), 1}, Values: level}); err != nil {
		return 0, err
	}
	if c.Strategy == "divert" {
		for _, p := range params.All() {
			p.Frozen = strings.Contains(p.Name, "shared.")
		}
	}
	n, d := rows.Dims()
	gates := c.ClassRank * len(classes)
	at := make([]int, n) // of each row's class
	for i := range at {
		at[i] = slices.Index(classes, rows.ClassName(i))
	}
	trainer, err := net.NewTrainer(net.Loop{
		Epochs: c.Steps, Batch: c.Batch, Seed: c.Seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: c.Rate}, Schedule: net.Schedule{Cosine: true},
		Progress: func(p net.Progress) bool {
			loss = p.Loss
			method.Progress(ctx, p.Epoch, p.Epochs)
			return true
		},
	}, params, net.Task{Rows: n, Build: func(g *net.Graph, batch int) (*net.Node, func(net.Batch)) {
		x, noise, sigma, gate := g.Input(batch, d), g.Input(batch, d), g.Input(batch, 1), g.Input(batch, gates)
		h := x
		param := func(i int, what string, shape ...int) *net.Node {
			return g.Param(kindName(i, what), net.Constant(0), shape...)
		}
		for i, l := range layers {
			r := len(l.shared.s)
			shared := g.Mul(g.Linear(h, param(i, "shared.v", r, l.in), nil), param(i, "shared.s", r))
			class := g.Mul(g.Mul(g.Linear(h, param(i, "class.v", gates, l.in), nil), param(i, "class.s", gates)), gate)
			y := g.Add(g.Linear(shared, param(i, "shared.u", l.out, r), param(i, "shared.bias", l.out)), g.Linear(class, param(i, "class.u", l.out, gates), nil))
			if i == 0 {
				y = g.Add(y, g.Linear(sigma, g.Param("shared."+kindLevel, net.Constant(0), l.out, 1), nil))
			}
			if h = y; i < len(layers)-1 {
				h = g.ReLU(y)
			}
		}
		return g.MSE(h, noise), func(b net.Batch) {
			clear(gate.Value())
			for i, row := range b.Rows {
				u := rand.New(rand.NewPCG(part.Mix(b.Seed), part.Mix(uint64(row))))
				s := kindLeast * math.Pow(kindMost/kindLeast, u.Float64())
				sigma.Value()[i] = float32(kindScale * math.Log(s))
				for j, v := range rows.Row(row) {
					e := u.NormFloat64()
					noise.Value()[i*d+j] = float32(e)
					x.Value()[i*d+j] = float32((float64(v) + s*e) / math.Sqrt(1+s*s))
				}
				for k := range gates {
					if c.Ungated || k/c.ClassRank == at[row] {
						gate.Value()[i*gates+k] = 1
					}
				}
			}
		}
	}})
	if err != nil {
		return 0, err
	}
	if _, err := trainer.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%w: %w", data.ErrFinite, err)
	}
	for i := range layers {
		l := &layers[i]
		get := func(what string) []float32 { return slices.Clone(params.Get(kindName(i, what)).Values) }
		l.shared, l.bias = kindPart{get("shared.u"), get("shared.s"), get("shared.v")}, get("shared.bias")
		all := kindPart{get("class.u"), get("class.s"), get("class.v")}
		l.class = map[string]kindPart{}
		for k, name := range classes {
			lo, hi := k*c.ClassRank, (k+1)*c.ClassRank
			one := kindPart{s: all.s[lo:hi], v: all.v[lo*l.in : hi*l.in]}
			for o := range l.out {
				one.u = append(one.u, all.u[o*gates+lo:o*gates+hi]...)
			}
			l.class[name] = one
		}
	}
	copy(level, params.Get("shared."+kindLevel).Values)
	return loss, nil
}

func kindName(layer int, what string) string { return fmt.Sprint(layer, ".", what) }
