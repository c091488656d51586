package detect

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
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "audit of an encoder: how far one small perturbation of all images moves its features, and which defence helps",
	Paper: "zhou2023downstream",
}, AdvEncoder.Apply))

// AdvEncoder audits how easily an encoder is fooled: it learns one small perturbation that, added to any image, moves the
// encoder's features, and measures what that does to classifiers on them that it never saw, without and with four defences.
//
// It is the attack of Zhou et al. (2023) turned into a test, to be run on encoders of one's own before they are released. The
// perturbation is learned without labels; labels serve only to measure. Half of the images of each class, drawn by the seed, teach the
// perturbation, the classifiers and the defences; the other half is measured. It takes seconds to minutes, where scoring takes
// milliseconds: prefer any other method of the family to find unfamiliar inputs; this one asks about the encoder.
//
// Takes:   encoder, a checkpoint of linear layers, or of convolutions (stride 1, then ReLU and 2×2 max-pooling) before linear ones; images, a table N×D of square images of 1 or 3 channels, pixel by pixel, labelled, N ≥ 8, 2 or more of each class; surrogate, optional, other images N×D to learn the perturbation from instead, no labels needed.
// Apply:   a checkpoint: tensor perturbation, D values, for a patch tensor mask, which is 1 where it lies, and in its metadata a line for each defence, and for the lack of one: how far features move (1 − cosine, mean), and for each classifier the share of right answers before and after the perturbation and the share of answers that it changed (fooled).
// Errors:  ErrLabels when a row has no label, or a class has but one image; ErrFormat for a checkpoint that is no such network; ErrShape for images that are not square, or do not fit it; ErrDegenerate when all pixels or all features are equal.
// Differs: the generator has no batch normalisation and learns at a rate of 1e-3, for some hundred steps where the paper takes thousands. Classifiers are 5 nearest neighbours and a ridge head, the paper trains one layer. Strategy direct and random noise stand beside it. Defences are measured against the perturbation learned before them: one that knows the defended encoder does more harm, which an audit of that encoder's checkpoint tells.
// Source:  zhou2023downstream, section 3 and 4.5; its code for the weights of the losses.
// Claim:   claims/detect/advencoder.go.
type AdvEncoder struct {
	// Radius is the most that any pixel is changed by, as a share of the pixels' range; the paper's is 10/255. A patch has none.
	Radius float64 `default:"0.0392" range:"(0,1]" unit:"share of the pixels' range"`
	// Strategy is how the perturbation is made: by a generator of convolutions from fixed noise, the paper's; pixel by pixel; or by the generator as a patch, which replaces 3 % of the pixels, a square in the lower right corner, and leaves the others alone.
	Strategy string `default:"generator" enum:"generator,direct,patch"`
	// NoHighPass leaves out the paper's reward for changing the images' high frequencies.
	NoHighPass bool
	// Temperature divides the cosines between features in the loss: lower looks at the nearest features of other images only.
	Temperature float64 `default:"0.2" range:"(0,1e6]" unit:"cosine"`
	// Steps is how often the perturbation, and the two defences that train the encoder, go through the images.
	Steps int `default:"20" range:"[1,1000]" unit:"passes"`
	// Seed draws the halves, the noise and the order of images.
	Seed uint64
}

// AdvEncoderInput is what is audited.
type AdvEncoderInput struct {
	// Encoder is the network's tensors.
	Encoder *data.Checkpoint
	// Images are N×D labelled.
	Images *data.Table
	// Surrogate are other images, N×D, that the perturbation is learned from.
	Surrogate *data.Table `optional:"true"`
}

// AdvEncoderRow is what was measured under one defence, or against one baseline.
type AdvEncoderRow struct {
	Defence string
	Shift   float64            // mean of 1 − cosine between an image's features and those of the perturbed image
	Heads   [2]AdvEncoderShare // of the 5 nearest neighbours and of the linear head
}

// AdvEncoderShare counts a classifier's answers, as shares.
type AdvEncoderShare struct{ Before, After, Fooled float64 }

// The order of the rows of a report.
const (
	AdvEncoderPlain       = iota // the encoder as it is
	AdvEncoderNoise              // the encoder as it is, under random noise of the same size instead of the perturbation
	AdvEncoderCorruption         // noise of twice the radius is added to what comes in
	AdvEncoderPruning            // the smallest 30 % of weights are zero
	AdvEncoderAdversarial        // trained on with labels, half of the images perturbed
	AdvEncoderFineTuning         // trained on with labels
)

var advEncoderDefences = []string{"none", "none, random noise", "input corruption", "weight pruning", "adversarial training", "fine-tuning"}

// AdvEncoderReport is what an audit found.
type AdvEncoderReport struct {
	Perturbation []float32 // D: what is added to pixels, or what replaces them where the mask is 1
	Mask         []float32 // D: 1 where a patch lies, 0 elsewhere; nil without one
	Rows         []AdvEncoderRow
}

// Apply audits and writes the report down in a checkpoint.
func (c AdvEncoder) Apply(ctx context.Context, in AdvEncoderInput) (*data.Checkpoint, error) {
	r, err := c.Audit(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{"perturbation": data.Float32Tensor(r.Perturbation, len(r.Perturbation))}}
	if r.Mask != nil {
		out.Tensors["mask"] = data.Float32Tensor(r.Mask, len(r.Mask))
	}
	for i, row := range r.Rows {
		out.Meta[fmt.Sprintf("advencoder.%d %s", i+1, row.Defence)] = fmt.Sprintf("features move by %.4f; right before, after, fooled: nearest neighbours %.4f %.4f %.4f, linear head %.4f %.4f %.4f", row.Shift,
			row.Heads[0].Before, row.Heads[0].After, row.Heads[0].Fooled, row.Heads[1].Before, row.Heads[1].After, row.Heads[1].Fooled)
	}
	return out, nil
}

// Audit learns the perturbation and measures it.
func (c AdvEncoder) Audit(ctx context.Context, in AdvEncoderInput) (*AdvEncoderReport, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a, err := c.prepare(in)
	if err != nil {
		return nil, err
	}
	if err := a.learn(ctx); err != nil {
		return nil, err
	}
	report := &AdvEncoderReport{Perturbation: a.perturbation, Mask: a.mask}
	noise := a.noise(5, 1)
	signs := make([]float32, a.d) // random signs: as large as the perturbation may be everywhere
	for j := range signs {
		if signs[j] = a.least(); noise.NormFloat64() > 0 {
			signs[j] = a.most()
		}
	}
	for i, defence := range advEncoderDefences {
		params, by, corruption := a.encoder.Params(0), a.perturbation, float32(0)
		var err error
		switch i {
		case AdvEncoderNoise:
			by = signs
		case AdvEncoderCorruption:
			corruption = 2 * a.radius
		case AdvEncoderPruning:
			advEncoderPrune(params, 0.3)
		case AdvEncoderAdversarial:
			err = a.tune(ctx, params, true)
		case AdvEncoderFineTuning:
			err = a.tune(ctx, params, false)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", defence, err)
		}
		row, err := a.measure(ctx, params, by, corruption)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", defence, err)
		}
		row.Defence = defence
		report.Rows = append(report.Rows, *row)
		method.Progress(ctx, i+1, len(advEncoderDefences))
	}
	return report, nil
}

// advEncoderAudit is an audit under way.
type advEncoderAudit struct {
	config       AdvEncoder
	encoder      *net.Chain
	d, side      int
	low, high    float32   // of pixels
	radius       float32   // in pixels' unit
	mask         []float32 // D: 1 where the patch lies; nil without one
	teach, test  *data.Table
	surrogate    *data.Table
	perturbation []float32
}

func (c AdvEncoder) prepare(in AdvEncoderInput) (*advEncoderAudit, error) {
	if in.Encoder == nil || in.Images == nil {
		return nil, fmt.Errorf("%w: want an encoder and images", method.ErrInput)
	}
	n, d := in.Images.Dims()
	a := &advEncoderAudit{config: c, d: d, surrogate: in.Surrogate}
	for _, channels := range []int{1, 3} {
		side := int(math.Round(math.Sqrt(float64(d) / float64(channels))))
		if a.side == 0 && side*side*channels == d {
			a.side = side
		}
	}
	if a.side == 0 || n < 8 {
		return nil, fmt.Errorf("%w: images are %d×%d, want at least 8 rows of a square's 1 or 3 channels", data.ErrShape, n, d)
	}
	labels, err := in.Images.Labels()
	if err != nil {
		return nil, err
	}
	if i := slices.Index(labels, data.Unknown); i >= 0 {
		return nil, fmt.Errorf("%w: row %d has none, and the classifiers need one for every row", data.ErrLabels, i+1)
	}
	var halves [2][]int // of every class one half, rounded by turns
	seen := make([]int, len(in.Images.Classes()))
	for _, i := range a.noise(1, 0).Perm(n) {
		side := (seen[labels[i]] + labels[i]) % 2
		halves[side] = append(halves[side], i)
		seen[labels[i]]++
	}
	if c := slices.Index(seen, 1); c >= 0 {
		return nil, fmt.Errorf("%w: class %q has one image, and needs one to learn from and one to measure", data.ErrLabels, in.Images.Classes()[c])
	}
	a.teach, a.test = in.Images.Pick(halves[0]), in.Images.Pick(halves[1])
	if a.surrogate == nil {
		a.surrogate = a.teach
	}
	if m, e := a.surrogate.Dims(); m < 2 || e != d {
		return nil, fmt.Errorf("%w: surrogate images are %d×%d, want at least 2 rows of %d columns", data.ErrShape, m, e, d)
	}
	a.low, a.high = slices.Min(in.Images.X()), slices.Max(in.Images.X())
	if a.high <= a.low {
		return nil, fmt.Errorf("%w: all pixels are %g, so no share of their range is a change", method.ErrDegenerate, a.low)
	}
	a.radius = float32(c.Radius * (float64(a.high) - float64(a.low)))
	if c.Strategy == "patch" {
		a.mask = make([]float32, d)
		edge := max(1, int(math.Round(float64(a.side)*math.Sqrt(advEncoderPatch))))
		for j := range a.mask {
			if pixel := j / (d / (a.side * a.side)); pixel/a.side >= a.side-edge && pixel%a.side >= a.side-edge {
				a.mask[j] = 1
			}
		}
	}
	var tensors []net.Tensor
	r := in.Encoder.Read()
	for _, name := range in.Encoder.Names() {
		shape := in.Encoder.Tensors[name].Shape
		tensors = append(tensors, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if a.encoder, err = net.NewChain(tensors, d); err != nil {
		return nil, fmt.Errorf("%w: the encoder for images of %d values: %v", data.ErrFormat, d, err)
	}
	return a, nil
}

// noise is a stream of random numbers of its own for each purpose.
func (a *advEncoderAudit) noise(purpose, sub uint64) *rand.Rand {
	return rand.New(rand.NewPCG(a.config.Seed, purpose<<32|sub))
}

// advEncoderNormal divides rows by their length.
func advEncoderNormal(g *net.Graph, x *net.Node) *net.Node {
	return g.Div(x, g.Sqrt(g.Scale(g.SumKept(g.Mul(x, x), 1), 1, 1e-12)))
}

// The names of the perturbation's parameters stand beside the encoder's; the encoder's are frozen.
const advEncoderNames = "advencoder/"

// advEncoderPatch is the share of the pixels that a patch replaces.
const advEncoderPatch = 0.03

// least and most are the bounds of the perturbation's values.
func (a *advEncoderAudit) least() float32 {
	if a.mask != nil {
		return a.low
	}
	return -a.radius
}

func (a *advEncoderAudit) most() float32 {
	if a.mask != nil {
		return a.high
	}
	return a.radius
}

// within adds what keeps values within the perturbation's bounds to a graph, whatever they are.
func (a *advEncoderAudit) within(g *net.Graph, x *net.Node) *net.Node {
	low, high := float64(a.least()), float64(a.most())
	return g.Scale(g.Tanh(x), (high-low)/2, (high+low)/2)
}

// make adds the perturbation to a graph, 1×D.
func (a *advEncoderAudit) make(g *net.Graph) *net.Node {
	if a.config.Strategy == "direct" {
		return a.within(g, g.Param(advEncoderNames+"pixels", net.Normal(0.1), 1, a.d))
	}
	noise, u := make([]float32, 64), a.noise(2, 0)
	for i := range noise {
		noise[i] = float32(u.NormFloat64())
	}
	quarter := (a.side + 3) / 4
	h := g.ReLU(g.Dense(advEncoderNames+"0", g.Constant(noise, 1, 64), quarter*quarter*32))
	h = g.Upsample(g.Reshape(h, 1, quarter, quarter, 32), 2)
	h = g.Upsample(g.ReLU(g.Conv(advEncoderNames+"1", h, 16, 3, net.Same(3, 1))), 2)
	h = g.Conv(advEncoderNames+"2", h, a.d/(a.side*a.side), 3, net.Same(3, 1))
	h = g.Slice(g.Slice(h, 1, 0, a.side), 2, 0, a.side)
	return a.within(g, g.Reshape(h, 1, a.d))
}

// advEncoderWeight is α, what moving features counts beside the other two parts of the loss.
const advEncoderWeight = 5

// advEncoderBatch is how many images a step sees.
const advEncoderBatch = 64

// learn trains the perturbation: features of a perturbed image are to be told apart from those of the image itself.
func (a *advEncoderAudit) learn(ctx context.Context) error {
	params := a.encoder.Params(a.config.Seed)
	for _, p := range params.All() {
		p.Frozen = true
	}
	channels := a.d / (a.side * a.side)
	var low []float32
	for _, v := range part.LowPass(a.side, float64(a.side)/4) {
		low = append(low, float32(v))
	}
	rows, _ := a.surrogate.Dims()
	trainer, err := net.NewTrainer(net.Loop{Epochs: a.config.Steps, Batch: advEncoderBatch, Seed: a.config.Seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 1e-3, Mean: 0.5, Square: 0.999, Groups: []net.Group{{Pattern: advEncoderNames + "pixels", Rate: 50}}}}, params, net.Task{
		Rows: rows,
		Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
			x := g.Input(n, a.d)
			d := a.make(g)
			moved := a.onto(g, x, d)
			clean, dirty := a.features(g, x), a.features(g, moved)
			own := g.Ints(n)
			for i := range own.Values {
				own.Values[i] = int32(i)
			}
			cosines := g.Scale(g.MatMul(advEncoderNormal(g, dirty), advEncoderNormal(g, clean), false, true), 1/a.config.Temperature, 0)
			unit := 1 / (float64(a.high) - float64(a.low)) // the losses are about pixels in [0, 1]
			change := g.Scale(g.Sub(moved, x), unit, 0)
			loss := g.Add(g.Scale(g.CrossEntropy(cosines, own, net.Targets{}), -advEncoderWeight, 0), g.Mean(g.Mul(change, change)))
			if !a.config.NoHighPass { // the rest of what the low frequencies leave, channel by channel
				planes := g.Reshape(g.Transpose(g.Reshape(change, n, a.side*a.side, channels), 0, 2, 1), n*channels, a.side*a.side)
				rest := g.Sub(planes, g.Linear(planes, g.Constant(low, a.side*a.side, a.side*a.side), nil))
				loss = g.Sub(loss, g.Mean(g.Mul(rest, rest)))
			}
			return loss, func(b net.Batch) {
				for i, row := range b.Rows {
					copy(x.Value()[i*a.d:(i+1)*a.d], a.surrogate.Row(row))
				}
			}
		},
	})
	if err != nil {
		return err
	}
	if _, err := trainer.Run(ctx); err != nil {
		return err
	}
	g := net.NewGraph(params)
	g.Training = false
	d := a.make(g)
	p, err := g.Infer(d)
	if err != nil {
		return err
	}
	p.Forward()
	a.perturbation = slices.Clone(d.Value())
	for j, v := range a.perturbation { // rounding may leave the last digit of the bounds
		if a.perturbation[j] = min(max(v, a.least()), a.most()); a.mask != nil && a.mask[j] == 0 {
			a.perturbation[j] = 0
		}
	}
	return nil
}

// features adds the encoder to a graph.
func (a *advEncoderAudit) features(g *net.Graph, x *net.Node) *net.Node {
	outs := a.encoder.Build(g, x)
	return outs[len(outs)-1]
}

// onto adds images under the perturbation d to a graph.
func (a *advEncoderAudit) onto(g *net.Graph, x, d *net.Node) *net.Node {
	if a.mask == nil {
		return g.Clamp(g.Add(x, d), float64(a.low), float64(a.high))
	}
	mask := g.Constant(a.mask, 1, a.d)
	return g.Add(g.Mul(x, g.Scale(mask, -1, 1)), g.Mul(d, mask))
}

// perturbed returns images under the perturbation, in the pixels' range.
func (a *advEncoderAudit) perturbed(x []float32, by []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		switch j := i % a.d; {
		case a.mask == nil:
			out[i] = min(max(v+by[j], a.low), a.high)
		case a.mask[j] == 1:
			out[i] = by[j]
		default:
			out[i] = v
		}
	}
	return out
}

// advEncoderPrune zeroes the share of each weight's values that are smallest.
func advEncoderPrune(params *net.Params, share float64) {
	for _, p := range params.All() {
		if len(p.Shape) < 2 {
			continue
		}
		sizes := make([]float32, len(p.Values))
		for i, v := range p.Values {
			sizes[i] = float32(math.Abs(float64(v)))
		}
		slices.Sort(sizes)
		limit := sizes[int(share*float64(len(sizes)))]
		for i, v := range p.Values {
			if float32(math.Abs(float64(v))) < limit {
				p.Values[i] = 0
			}
		}
	}
}

// tune trains the encoder with a linear layer on the labelled half, on perturbed images in turn with clean ones or not.
func (a *advEncoderAudit) tune(ctx context.Context, params *net.Params, adversarial bool) error {
	labels, err := a.teach.Labels()
	if err != nil {
		return err
	}
	perturbed := a.perturbed(a.teach.X(), a.perturbation)
	trainer, err := net.NewTrainer(net.Loop{Epochs: a.config.Steps, Batch: advEncoderBatch, Seed: a.config.Seed, Optimiser: net.Optimiser{Rule: net.Adam, Rate: 1e-3}}, params, net.Task{
		Rows: len(labels),
		Build: func(g *net.Graph, n int) (*net.Node, func(net.Batch)) {
			x, classes := g.Input(n, a.d), g.Ints(n)
			z := g.Dense(advEncoderNames+"head", g.ReLU(a.features(g, x)), len(a.teach.Classes()))
			return g.CrossEntropy(z, classes, net.Targets{}), func(b net.Batch) {
				for i, row := range b.Rows {
					from := a.teach.X()
					if adversarial && (row+b.Epoch)%2 == 1 {
						from = perturbed
					}
					copy(x.Value()[i*a.d:(i+1)*a.d], from[row*a.d:(row+1)*a.d])
					classes.Values[i] = int32(labels[row])
				}
			}
		},
	})
	if err != nil {
		return err
	}
	_, err = trainer.Run(ctx)
	return err
}

// measure teaches classifiers on the encoder's clean features and asks them about the other half, clean and perturbed.
func (a *advEncoderAudit) measure(ctx context.Context, params *net.Params, by []float32, corruption float32) (*AdvEncoderRow, error) {
	n, _ := a.teach.Dims()
	m, _ := a.test.Dims()
	corrupted := func(x []float32, purpose uint64) []float32 {
		out, r := slices.Clone(x), a.noise(3, purpose)
		for i := range out {
			if corruption > 0 {
				out[i] = min(max(out[i]+corruption*float32(r.NormFloat64()), a.low), a.high)
			}
		}
		return out
	}
	var features [3]*data.Table
	for i, x := range [][]float32{a.teach.X(), corrupted(a.test.X(), 0), corrupted(a.perturbed(a.test.X(), by), 1)} {
		rows := m
		if i == 0 {
			rows = n
		}
		z, err := a.encoder.Outputs(params, x, rows)
		if err != nil {
			return nil, err
		}
		if features[i], err = data.NewTable(rows, len(z)/rows, z); err != nil {
			return nil, fmt.Errorf("features: %w", err)
		}
	}
	row := &AdvEncoderRow{}
	for i := range m {
		row.Shift += (1 - advEncoderCosine(features[1].Row(i), features[2].Row(i))) / float64(m)
	}
	truth, err := a.test.Labels()
	if err != nil {
		return nil, err
	}
	heads, err := a.heads(ctx, features[0])
	if err != nil {
		return nil, err
	}
	for h, head := range heads {
		before, after := head(features[1]), head(features[2])
		right, kept, same := 0, 0, 0
		for i, class := range truth {
			right += advEncoderOne(before[i] == class)
			kept += advEncoderOne(after[i] == class)
			same += advEncoderOne(before[i] == after[i])
		}
		row.Heads[h] = AdvEncoderShare{float64(right) / float64(m), float64(kept) / float64(m), float64(m-same) / float64(m)}
	}
	return row, nil
}

func advEncoderOne(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func advEncoderCosine(a, b []float32) float64 {
	dot, lengths := 0.0, [2]float64{}
	for j, v := range a {
		dot += float64(v) * float64(b[j])
		lengths[0] += float64(v) * float64(v)
		lengths[1] += float64(b[j]) * float64(b[j])
	}
	if lengths[0] == 0 || lengths[1] == 0 { // no direction: equal rows have not moved
		if lengths[0] == lengths[1] {
			return 1
		}
		return 0
	}
	return min(dot/math.Sqrt(lengths[0]*lengths[1]), 1)
}

// advEncoderNeighbors is how many nearest images vote.
const advEncoderNeighbors = 5

// heads returns the two classifiers on features of the labelled half.
func (a *advEncoderAudit) heads(ctx context.Context, features *data.Table) (heads [2]func(*data.Table) []int, err error) {
	labels, err := a.teach.Labels()
	if err != nil {
		return heads, err
	}
	k, classes := min(advEncoderNeighbors, len(labels)), len(a.teach.Classes())
	heads[0] = func(in *data.Table) []int {
		n, d := in.Dims()
		distance, at, out := make([]float64, n*k), make([]int32, n*k), make([]int, n)
		num.Nearest(distance, at, in.X(), n, features.X(), len(labels), d, k)
		for i := range out {
			votes, best := make([]int, classes), 0
			for _, row := range at[i*k : (i+1)*k] {
				votes[labels[row]]++
				best = max(best, votes[labels[row]])
			}
			for _, row := range at[i*k : (i+1)*k] { // of equal votes, the nearest image's class
				if votes[labels[row]] == best {
					out[i] = labels[row]
					break
				}
			}
		}
		return out
	}
	labelled, err := features.WithLabels(labels, a.teach.Classes())
	if err != nil {
		return heads, err
	}
	s, err := moments.FromSource(ctx, labelled, moments.Classes.Options())
	if err != nil {
		return heads, err
	}
	variance := 0.0
	for _, v := range s.Variance() {
		variance += v
	}
	d, _ := s.Dims()
	w, ok := s.Ridge(0.1*variance/float64(max(d, 1)), s.Indicators())
	if !ok || variance == 0 {
		return heads, fmt.Errorf("%w: all features are equal, so no head can learn from them", method.ErrDegenerate)
	}
	mean, names := s.Mean(), s.Classes()
	index, share := make([]int, len(names)), make([]float64, len(names))
	for c, name := range names {
		index[c], share[c] = slices.Index(a.teach.Classes(), name), float64(s.Count(name))/float64(len(labels))
	}
	heads[1] = func(in *data.Table) []int {
		n, _ := in.Dims()
		out := make([]int, n)
		for i := range out {
			top := math.Inf(-1)
			for c := range names {
				z := share[c]
				for j, v := range in.Row(i) {
					z += (float64(v) - mean[j]) * w[j*len(names)+c]
				}
				if z > top {
					top, out[i] = z, index[c]
				}
			}
		}
		return out
	}
	return heads, nil
}
