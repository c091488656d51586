package weights

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/weights"
)

// kindWidth is how many principal components rows have, kindShots how many rows of a new class there are.
const kindWidth, kindShots = 16, 60

func kind() claim.Claim {
	return claim.Claim{
		ID:        "weights/kind",
		Paper:     "xie2024kind",
		Statement: "The shared part of a generator whose class-specific parts were kept apart in training is a better start for new classes than a generator trained as a whole with low-rank adapters of as many parameters; without the class gate the gain is gone.",
		ScaleDown: "perceptrons 16-64-64-16 that denoise 16 principal components of digits, instead of diffusion transformers on ImageNet; pre-trained on digits 0 to 6, carried over to 7 to 9 by 60 rows each. The shared part has 24 components a matrix; with 12, of a first run, it lost directions of the rows that no add-on could bring back (a distance of 84). Quality is the Fréchet distance to held-out rows in those components, not in a network's features.",
		Arms:      []string{"shared part and new add-ons", "whole network and adapters as large", "shared part without the gate, new add-ons", "whole network, all of it tuned", "from scratch"},
		Data:      "MNIST: 4,000 rows of digits 0 to 6, 180 of 7 to 9; the test part to measure",
		Metric:    "Fréchet distance of 500 samples a class, mean over 7 to 9", LowerIsBetter: true,
		Seeds: 6,
		Needs: []string{"mnist"},
		Run:   kindRun,
	}
}

// principal maps images to whitened principal components of the first table's.
func principal(width int, tables ...*data.Table) ([]*data.Table, error) {
	n, d := tables[0].Dims()
	mean := make([]float64, d)
	for i := range n {
		for j, v := range tables[0].Row(i) {
			mean[j] += float64(v) / float64(n)
		}
	}
	centred := make([]float64, n*d)
	for i := range n {
		for j, v := range tables[0].Row(i) {
			centred[i*d+j] = float64(v) - mean[j]
		}
	}
	cov := make([]float64, d*d)
	num.Gemm(true, false, d, d, n, 1/float64(n), centred, d, centred, d, 0, cov, d)
	values, vectors, ok := num.SymEigen(cov, d)
	if !ok {
		return nil, data.ErrFinite
	}
	order := make([]int, d)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return int(math.Copysign(1, values[b]-values[a])) })
	var out []*data.Table
	for _, t := range tables {
		n, _ := t.Dims()
		x := make([]float32, n*width)
		for i := range n {
			for k, at := range order[:width] {
				sum := 0.0
				for j, v := range t.Row(i) {
					sum += (float64(v) - mean[j]) * vectors[j*d+at]
				}
				x[i*width+k] = float32(sum / math.Sqrt(values[at]))
			}
		}
		made, err := data.NewTable(n, width, x)
		if err != nil {
			return nil, err
		}
		labels, err := t.Labels()
		if err != nil {
			return nil, err
		}
		if made, err = made.WithLabels(labels, t.Classes()); err != nil {
			return nil, err
		}
		out = append(out, made)
	}
	return out, nil
}

// shrunk halves the side of images of 28×28.
func shrunk(t *data.Table) (*data.Table, error) {
	n, _ := t.Dims()
	const side = 14
	x := make([]float32, n*side*side)
	for i := range n {
		row := t.Row(i)
		for p := range side * side {
			y, c := 2*(p/side), 2*(p%side)
			x[i*side*side+p] = (row[28*y+c] + row[28*y+c+1] + row[28*y+28+c] + row[28*y+29+c]) / 4
		}
	}
	labels, err := t.Labels()
	if err != nil {
		return nil, err
	}
	out, err := data.NewTable(n, side*side, x)
	if err != nil {
		return nil, err
	}
	return out.WithLabels(labels, t.Classes())
}

func kindRun(ctx context.Context, env claim.Env, seed uint64) (o claim.Outcome, err error) {
	r := claim.Random(seed, 11)
	digits, err := env.Images("mnist", "train")
	if err != nil {
		return o, err
	}
	test, err := env.Images("mnist", "t10k")
	if err != nil {
		return o, err
	}
	old, err := claim.Sample(digits, r, 4000, 0, 1, 2, 3, 4, 5, 6)
	if err != nil {
		return o, err
	}
	fresh, err := claim.Sample(digits, r, 2000, 7, 8, 9)
	if err != nil {
		return o, err
	}
	if fresh, err = claim.Shots(fresh, kindShots); err != nil {
		return o, err
	}
	if test, err = claim.Sample(test, r, 0, 7, 8, 9); err != nil {
		return o, err
	}
	tables := []*data.Table{old, fresh, test}
	for i, t := range tables {
		if tables[i], err = shrunk(t); err != nil {
			return o, err
		}
	}
	if tables, err = principal(kindWidth, tables...); err != nil {
		return o, err
	}
	old, fresh, test = tables[0], tables[1], tables[2]
	n, _ := old.Dims()
	together, err := old.WithLabels(make([]int, n), []string{"all"})
	if err != nil {
		return o, err
	}
	random := claim.Perceptron{Net: net.New(seed, kindWidth, 64, 64)}.Checkpoint(nil)
	delete(random.Meta, "classes")
	apply := func(c weights.KIND, in *data.Checkpoint, rows *data.Table) *data.Checkpoint {
		if err != nil {
			return nil
		}
		var out *data.Checkpoint
		out, err = c.Apply(ctx, weights.KINDInput{Encoder: in, Rows: rows})
		return out
	}
	before := weights.KIND{Rank: 24, ClassRank: 2, Steps: 40, Seed: seed}
	after := weights.KIND{Strategy: "divert", ClassRank: 2, Steps: 100, Seed: seed}
	tune := after
	tune.Strategy, tune.Rank = "condense", 64

	gated := apply(before, random, old)
	ungated := before
	ungated.Ungated = true
	mixed := apply(ungated, random, old)
	wide := before
	wide.Rank = 64
	whole := apply(wide, random, together)
	if err != nil {
		return o, err
	}
	if whole, err = kindFold(whole, "all"); err != nil {
		return o, err
	}
	for _, tuned := range []*data.Checkpoint{
		apply(after, gated, fresh), apply(after, whole, fresh), apply(after, mixed, fresh), apply(tune, whole, fresh), apply(tune, random, fresh),
	} {
		if err != nil {
			return o, err
		}
		mean := 0.0
		for c := range test.Classes() {
			rows, err := claim.Sample(test, claim.Random(seed, 12), 0, c)
			if err != nil {
				return o, err
			}
			plain, err := weights.KIND{Strategy: "assemble"}.Apply(ctx, weights.KINDInput{Encoder: tuned, Rows: rows})
			if err != nil {
				return o, err
			}
			drawn, err := kindSample(plain, 500, claim.Random(seed, 13))
			if err != nil {
				return o, err
			}
			distance, err := frechet(drawn, rows.X(), kindWidth)
			if err != nil {
				return o, err
			}
			mean += distance / float64(len(test.Classes()))
		}
		o.Arms = append(o.Arms, mean)
	}
	return o, nil
}

// kindFold makes one class's components shared ones.
func kindFold(c *data.Checkpoint, class string) (*data.Checkpoint, error) {
	out := &data.Checkpoint{Meta: c.Meta, Tensors: map[string]data.Tensor{}}
	r := c.Read()
	for _, name := range c.Names() {
		t := c.Tensors[name]
		layer, ok := strings.CutSuffix(name, ".shared.s")
		switch {
		case ok:
			own := layer + ".class." + class
			u, s, v := c.Tensors[layer+".shared.u"].Shape, t.Shape[0], c.Tensors[layer+".shared.v"].Shape
			k := c.Tensors[own+".s"].Shape[0]
			a, b := r.Float32s(layer+".shared.u", u...), r.Float32s(own+".u", u[0], k)
			var both []float32
			for o := range u[0] {
				both = append(append(both, a[o*s:(o+1)*s]...), b[o*k:(o+1)*k]...)
			}
			out.Tensors[layer+".shared.u"] = data.Float32Tensor(both, u[0], s+k)
			out.Tensors[name] = data.Float32Tensor(append(r.Float32s(name, s), r.Float32s(own+".s", k)...), s+k)
			out.Tensors[layer+".shared.v"] = data.Float32Tensor(append(r.Float32s(layer+".shared.v", v...), r.Float32s(own+".v", k, v[1])...), s+k, v[1])
		case !strings.Contains(name, ".shared.") && !strings.Contains(name, ".class."):
			out.Tensors[name] = t
		}
	}
	out.Meta = map[string]string{}
	out.SetStrings("kind.classes", nil)
	return out, r.Err()
}

// kindSample draws rows from an assembled denoiser: 30 steps of Euler from noise of deviation 5 down to 0.05.
func kindSample(c *data.Checkpoint, rows int, r interface{ NormFloat64() float64 }) ([]float32, error) {
	const steps, most, least = 30, 5.0, 0.05
	params := net.NewParams(0)
	read := c.Read()
	var layers []string
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		if err := params.Put(net.Tensor{Name: name, Shape: shape, Values: read.Float32s(name, shape...)}); err != nil {
			return nil, err
		}
		if layer, ok := strings.CutSuffix(name, ".bias"); ok && layer != "kind.out" {
			layers = append(layers, layer)
		}
	}
	if err := read.Err(); err != nil {
		return nil, err
	}
	slices.SortFunc(layers, data.CompareClasses)
	g := net.NewGraph(params)
	g.Training = false
	x, level := g.Input(rows, kindWidth), g.Input(rows, 1)
	h := x
	for i, layer := range append(layers, "kind.out") {
		shape := c.Tensors[layer+".weight"].Shape
		h = g.Dense(layer, h, shape[0])
		if i == 0 {
			h = g.Add(h, g.Linear(level, g.Param("kind.level.weight", net.Constant(0), shape[0], 1), nil))
		}
		if layer != "kind.out" {
			h = g.ReLU(h)
		}
	}
	p, err := g.Infer(h)
	if err != nil {
		return nil, err
	}
	z := make([]float64, rows*kindWidth)
	for i := range z {
		z[i] = most * r.NormFloat64()
	}
	for k := range steps {
		sigma := most * math.Pow(least/most, float64(k)/steps)
		next := most * math.Pow(least/most, float64(k+1)/steps)
		for i, v := range z {
			x.Value()[i] = float32(v / math.Sqrt(1+sigma*sigma))
		}
		for i := range rows {
			level.Value()[i] = float32(0.25 * math.Log(sigma))
		}
		p.Forward()
		for i, e := range h.Value() {
			z[i] += (next - sigma) * float64(e)
		}
	}
	out := make([]float32, len(z))
	for i, v := range z {
		out[i] = float32(v)
	}
	return out, nil
}

// frechet is the squared Fréchet distance of the normal distributions of two sets of rows: |µ−ν|² + tr(A + B − 2(A½BA½)½).
func frechet(a, b []float32, d int) (float64, error) {
	moments := func(x []float32) (mean, cov []float64) {
		n := len(x) / d
		mean, cov = make([]float64, d), make([]float64, d*d)
		centred := make([]float64, len(x))
		for i, v := range x {
			mean[i%d] += float64(v) / float64(n)
		}
		for i, v := range x {
			centred[i] = float64(v) - mean[i%d]
		}
		num.Gemm(true, false, d, d, n, 1/float64(n), centred, d, centred, d, 0, cov, d)
		return mean, cov
	}
	root := func(m []float64) ([]float64, float64, error) { // and its trace
		values, vectors, ok := num.SymEigen(m, d)
		if !ok {
			return nil, 0, data.ErrFinite
		}
		scaled, out, trace := make([]float64, d*d), make([]float64, d*d), 0.0
		for i := range d {
			s := math.Sqrt(max(values[i], 0))
			trace += s
			for j := range d {
				scaled[j*d+i] = vectors[j*d+i] * s
			}
		}
		num.Gemm(false, true, d, d, d, 1, scaled, d, vectors, d, 0, out, d)
		return out, trace, nil
	}
	m, p := moments(a)
	n, q := moments(b)
	half, _, err := root(p)
	if err != nil {
		return 0, err
	}
	left, both := make([]float64, d*d), make([]float64, d*d)
	num.Gemm(false, false, d, d, d, 1, half, d, q, d, 0, left, d)
	num.Gemm(false, false, d, d, d, 1, left, d, half, d, 0, both, d)
	_, trace, err := root(both)
	if err != nil {
		return 0, err
	}
	sum := -2 * trace
	for i := range d {
		sum += (m[i]-n[i])*(m[i]-n[i]) + p[i*d+i] + q[i*d+i]
	}
	return sum, nil
}
