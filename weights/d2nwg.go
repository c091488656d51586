package weights

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "weights of a linear head drawn for a data set instead of trained, by diffusion over a zoo of heads",
	Paper: "soro2025diffusion",
	Small: map[string]string{"zoo": "5", "steps": "2", "samples": "3"},
}, D2NWG.Apply))

// D2NWG draws the weights of a softmax head for a data set: it trains a zoo of heads on parts of the rows that are at hand, learns to
// compress them together with a description of their data, and generates heads from the description of the data set that is wanted.
//
// The zoo's tasks are random classes of the rows in random order, as many as the wanted data has. An autoencoder turns heads into short
// codes; an encoder of data sets, which sees statistics of each class and no order of rows, is trained beside it to tell which code
// belongs to which data; a diffusion model draws codes given that. It is a warm start where new tasks come by the thousand; for one
// task, training its head takes less time.
//
// Takes:   rows, a labelled table N×D of 2 or more classes, frozen features; wanted, optional, a few labelled rows of the data set that is wanted, with the same D columns and no more classes; by default rows themselves.
// Apply:   a checkpoint: weight [K, D] and bias [K] in float64, metadata classes, the wanted data's in order. Of Samples candidates it is the one of the least cross-entropy on the wanted rows. Metadata: d2nwg.loss and d2nwg.accuracy of it there; .candidates, the losses of all, ascending; .mean and .nearest, the loss and accuracy of the zoo's mean head and of that of the most similar data; .reconstruction, by how much the autoencoder changes the zoo's heads, as a share of their variance.
// Errors:  ErrLabels when rows have fewer than two classes or a row has none, or the wanted data more classes than rows have; ErrShape for other columns; ErrFinite when a loss stops being a number.
// Differs: heads on frozen features only, of up to a few thousand weights, as hidden units could be permuted; class means and spreads in place of a set transformer over images; no language models. Columns are standardised by the rows' mean and deviation, and heads changed back.
// Source:  soro2025diffusion, sections 3.1 to 3.4.
// Claim:   claims/weights/d2nwg.go.
type D2NWG struct {
	// Zoo is how many heads are trained.
	Zoo int `default:"400" range:"[4,100000]"`
	// Shots is how many rows of a class a task of the zoo has at most.
	Shots int `default:"20" range:"[1,100000]"`
	// Latent is the length of a code.
	Latent int `default:"16" range:"[1,1024]"`
	// Compression is the weight of the codes' divergence from a normal distribution; 0 leaves it out, and the autoencoder is a plain one.
	Compression float64 `range:"[0,100]"`
	// Steps is how often training goes through the zoo, for the autoencoder and then for the diffusion model.
	Steps int `default:"200" range:"[1,100000]" unit:"passes"`
	// Samples is how many heads are drawn.
	Samples int `default:"8" range:"[1,10000]"`
	// Unconditional leaves the description of the data out: what is drawn is a head for any data of the zoo's kind.
	Unconditional bool
	// Seed draws tasks, first weights, noise and codes.
	Seed uint64
}

// D2NWGInput is what the zoo is made of, and what a head is wanted for.
type D2NWGInput struct {
	// Rows are N×D labelled.
	Rows *data.Table
	// Wanted are rows of the data set that is wanted.
	Wanted *data.Table `optional:"true"`
}

// d2nwgTask is a data set of the zoo with its head.
type d2nwgTask struct {
	x      []float64 // N×D, standardised
	labels []int
	about  []float64 // its description
	head   []float64 // D×K weights, then K biases
}

// Apply generates.
func (c D2NWG) Apply(ctx context.Context, in D2NWGInput) (*data.Checkpoint, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if in.Rows == nil {
		return nil, fmt.Errorf("%w: want labelled rows", method.ErrInput)
	}
	if in.Wanted == nil {
		in.Wanted = in.Rows
	}
	n, d := in.Rows.Dims()
	if _, have := in.Wanted.Dims(); have != d {
		return nil, fmt.Errorf("%w: the wanted data has %d columns, rows have %d", data.ErrShape, have, d)
	}
	if n == 0 || d == 0 {
		return nil, fmt.Errorf("%w: rows are %d×%d, want some", data.ErrShape, n, d)
	}
	classes, target, err := d2nwgClasses(in.Wanted)
	if err != nil {
		return nil, fmt.Errorf("wanted: %w", err)
	}
	pool, byClass, err := d2nwgClasses(in.Rows)
	if err != nil {
		return nil, err
	}
	k := len(classes)
	if k < 2 || len(pool) < k {
		return nil, fmt.Errorf("%w: rows are of %d classes, those wanted %d, want at least 2 and no more than those of rows", data.ErrLabels, len(pool), k)
	}
	g := d2nwg{c: c, d: d, k: k}
	g.standardise(in.Rows)
	wanted := d2nwgTask{}
	for class, rows := range target {
		for _, row := range rows {
			wanted.add(g.row(in.Wanted.Row(row)), class)
		}
	}
	g.describe(&wanted)
	r := rand.New(rand.NewPCG(c.Seed, 1))
	total := c.Zoo + 2*c.Steps
	for i := range c.Zoo {
		method.Progress(ctx, i, total)
		var task d2nwgTask
		for class, from := range r.Perm(len(pool))[:k] {
			rows := slices.Clone(byClass[from])
			r.Shuffle(len(rows), func(a, b int) { rows[a], rows[b] = rows[b], rows[a] })
			for _, row := range rows[:min(len(rows), c.Shots)] {
				task.add(g.row(in.Rows.Row(row)), class)
			}
		}
		g.describe(&task)
		if err := g.solve(ctx, &task); err != nil {
			return nil, err
		}
		g.zoo = append(g.zoo, task)
	}
	if err := g.scale(); err != nil {
		return nil, err
	}
	codes, about, err := g.compress(ctx, &wanted, func(done int) { method.Progress(ctx, c.Zoo+done, total) })
	if err != nil {
		return nil, err
	}
	drawn, err := g.generate(ctx, codes, about, func(done int) { method.Progress(ctx, c.Zoo+c.Steps+done, total) })
	if err != nil {
		return nil, err
	}
	method.Progress(ctx, total, total)
	return g.best(drawn, &wanted, classes)
}

// d2nwgClasses lists a table's classes in order, with the rows of each.
func d2nwgClasses(t *data.Table) (names []string, rows [][]int, err error) {
	labels, err := t.Labels()
	if err != nil {
		return nil, nil, err
	}
	for i, l := range labels {
		if l == data.Unknown {
			return nil, nil, fmt.Errorf("%w: row %d has none", data.ErrLabels, i+1)
		}
		names = append(names, t.ClassName(i))
	}
	slices.SortFunc(names, data.CompareClasses)
	names = slices.Compact(names)
	rows = make([][]int, len(names))
	for i := range labels {
		at := slices.Index(names, t.ClassName(i))
		rows[at] = append(rows[at], i)
	}
	return names, rows, nil
}

func (t *d2nwgTask) add(row []float64, class int) {
	t.x, t.labels = append(t.x, row...), append(t.labels, class)
}

// d2nwg is a generator in the making.
type d2nwg struct {
	c                  D2NWG
	d, k               int
	mean, deviation    []float64 // of columns
	zoo                []d2nwgTask
	center, spread     []float64 // of heads, by weight
	about, aboutSpread []float64 // of descriptions
	decode             func(codes []float64) ([]float64, error)
	reconstruction     float64
}

func (g *d2nwg) standardise(t *data.Table) {
	n, d := t.Dims()
	g.mean, g.deviation = make([]float64, d), make([]float64, d)
	for i := range n {
		for j, v := range t.Row(i) {
			g.mean[j] += float64(v) / float64(n)
		}
	}
	for i := range n {
		for j, v := range t.Row(i) {
			off := float64(v) - g.mean[j]
			g.deviation[j] += off * off / float64(n)
		}
	}
	for j, v := range g.deviation {
		if g.deviation[j] = math.Sqrt(v); g.deviation[j] == 0 {
			g.deviation[j] = 1
		}
	}
}

// row standardises a row; values far outside the rows at hand are cut at 50 deviations.
func (g *d2nwg) row(x []float32) []float64 {
	out := make([]float64, len(x))
	for j, v := range x {
		out[j] = max(-50, min(50, (float64(v)-g.mean[j])/g.deviation[j]))
	}
	return out
}

// describe sums a data set up: of each class the mean, and the logarithm of its mean variance.
func (g *d2nwg) describe(t *d2nwgTask) {
	width := g.d + 1
	t.about = make([]float64, g.k*width)
	count := make([]float64, g.k)
	for _, c := range t.labels {
		count[c]++
	}
	for i, c := range t.labels {
		for j, v := range t.x[i*g.d : (i+1)*g.d] {
			t.about[c*width+j] += v / count[c]
		}
	}
	for i, c := range t.labels {
		for j, v := range t.x[i*g.d : (i+1)*g.d] {
			off := v - t.about[c*width+j]
			t.about[c*width+g.d] += off * off / (count[c] * float64(g.d))
		}
	}
	for c := range g.k {
		t.about[c*width+g.d] = math.Log(t.about[c*width+g.d] + 0.01)
	}
}

// d2nwgPenalty is that of a head's squared weights.
const d2nwgPenalty = 0.01

// solve trains a task's head.
func (g *d2nwg) solve(ctx context.Context, t *d2nwgTask) error {
	n := len(t.labels)
	p := g.problem(t)
	for range g.k {
		p.Weights = append(p.Weights, 1/float64(n))
	}
	for range g.d {
		p.Penalty = append(p.Penalty, d2nwgPenalty)
	}
	t.head = make([]float64, g.d*g.k+g.k)
	_, _, _, err := p.Solve(ctx, t.head, 1e-4, 100)
	return err
}

func (g *d2nwg) problem(t *d2nwgTask) *part.Logistic {
	x := make([]float32, len(t.x))
	for i, v := range t.x {
		x[i] = float32(v)
	}
	return &part.Logistic{N: len(t.labels), D: g.d, K: g.k, X: x, Labels: t.labels}
}

// judge returns a head's cross-entropy and accuracy on a task's rows.
func (g *d2nwg) judge(head []float64, t *d2nwgTask) (loss, accuracy float64) {
	n := float64(len(t.labels))
	z := make([]float64, g.k)
	for i, label := range t.labels {
		copy(z, head[g.d*g.k:])
		for j, v := range t.x[i*g.d : (i+1)*g.d] {
			for c := range z {
				z[c] += v * head[j*g.k+c]
			}
		}
		loss += (logSum(z) - z[label]) / n
		if slices.Index(z, slices.Max(z)) == label {
			accuracy += 1 / n
		}
	}
	return loss, accuracy
}

// scale finds the zoo's means and deviations.
func (g *d2nwg) scale() error {
	var heads, about []float64
	for _, t := range g.zoo {
		heads, about = append(heads, t.head...), append(about, t.about...)
	}
	g.center, g.spread = columnMoments(heads, len(g.zoo[0].head))
	g.about, g.aboutSpread = columnMoments(about, len(g.zoo[0].about))
	for _, v := range [][]float64{g.center, g.spread, g.about, g.aboutSpread} {
		for _, x := range v {
			if math.IsNaN(x) || math.IsInf(x, 0) {
				return fmt.Errorf("%w: the zoo's heads", data.ErrFinite)
			}
		}
	}
	return nil
}

// best decodes what was drawn and keeps the head that suits the wanted data.
func (g *d2nwg) best(codes []float64, wanted *d2nwgTask, classes []string) (*data.Checkpoint, error) {
	heads, err := g.decode(codes)
	if err != nil {
		return nil, err
	}
	size := g.d*g.k + g.k
	var losses []float64
	best, lowest := 0, math.Inf(1)
	for s := range g.c.Samples {
		head := heads[s*size : (s+1)*size]
		loss, _ := g.judge(head, wanted)
		if losses = append(losses, loss); loss < lowest {
			best, lowest = s, loss
		}
	}
	if math.IsInf(lowest, 1) {
		return nil, fmt.Errorf("%w: the loss of all heads drawn", data.ErrFinite)
	}
	head := heads[best*size : (best+1)*size]
	_, accuracy := g.judge(head, wanted)
	nearest, distance := 0, math.Inf(1)
	for i, t := range g.zoo {
		sum := 0.0
		for j, v := range t.about {
			off := (v - wanted.about[j]) / g.aboutSpread[j]
			sum += off * off
		}
		if sum < distance {
			nearest, distance = i, sum
		}
	}
	weight, bias := make([]float64, g.k*g.d), slices.Clone(head[g.d*g.k:])
	for j := range g.d { // back to columns as they were
		for c := range g.k {
			w := head[j*g.k+c] / g.deviation[j]
			weight[c*g.d+j] = w
			bias[c] -= w * g.mean[j]
		}
	}
	out := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.Float64Tensor(weight, g.k, g.d), "bias": data.Float64Tensor(bias, g.k)}}
	out.SetStrings("classes", classes)
	slices.Sort(losses)
	var list []string
	for _, v := range losses {
		list = append(list, brief(v))
	}
	out.Meta["d2nwg.loss"], out.Meta["d2nwg.accuracy"], out.Meta["d2nwg.reconstruction"] = brief(lowest), brief(accuracy), brief(g.reconstruction)
	out.SetStrings("d2nwg.candidates", list)
	for name, other := range map[string][]float64{"mean": g.center, "nearest": g.zoo[nearest].head} {
		loss, accuracy := g.judge(other, wanted)
		out.SetStrings("d2nwg."+name, []string{brief(loss), brief(accuracy)})
	}
	return out, nil
}
