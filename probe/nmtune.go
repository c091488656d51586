package probe

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "a small network that reshapes features of a noisily pre-trained model, and a linear head on them",
	Paper: "chen2024understanding",
}, NMTune.Fit, loadNMTune))

// NMTune classifies by a residual network on the features and a linear head on what it makes of them, held to features that
// stay near the given ones, do not repeat each other, and have one direction that dominates.
//
// It is the black-box tuning of Chen et al. (2024) for models that were pre-trained on partly wrong labels: such a model's
// features spread over too many directions, which shows in data that differ from the training rows. To the cross-entropy it
// adds Consistency · mean (F/‖F‖ − Z/‖Z‖)² + Decorrelation · (1/D) Σ_{i≠j} Cov(Z)²_ij − Dominance · mean(σ₁…σ₅)/Σσ, for
// features F of a batch, what the network makes of them Z, and its singular values σ. O(Epochs·N·Width·D²) to fit, O(Width·D²) a row to
// predict. Prefer it over [Logistic] when the features' origin is in doubt and thousands of labels are at hand; [Logistic] is
// solved to its optimum and needs no seed. In its claim's run the network with NoRegularizers did best on shifted rows, better
// than with the code's weights and than with those that Folds chose from left-out rows, which were not shifted: try it first.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; classes without rows are left out.
// Predict: N×K class probabilities.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, when a class has fewer rows than Folds, or the loss stops being a finite number.
// Differs: rows are centred and scaled by their mean variance first; the network begins as the identity; the rate falls along half a cosine; a batch is at most an eighth of the rows, so that few rows are learned from in enough steps; means and the five largest values are the code's, where the equations have sums and one value; there is one view of each row, where the authors' code holds a strongly augmented image's features to a weakly augmented one's.
// Source:  chen2024understanding, eq. (2)-(5); its code for the weights.
// Claim:   claims/probe/nmtune.go.
type NMTune struct {
	// Consistency weighs how far features may turn away from the given ones, a mean over rows and columns; the code's is 1.
	Consistency float64 `default:"1" range:"(0,1e6]"`
	// Decorrelation weighs squared covariances between features; the code's is 0.04.
	Decorrelation float64 `default:"0.04" range:"(0,1e6]"`
	// Dominance weighs the mean share of the five largest singular values, of half of them where there are fewer than ten; the code's is 0.001.
	Dominance float64 `default:"0.001" range:"(0,1e6]"`
	// NoRegularizers leaves all three out: a plain network, the paper's baseline.
	NoRegularizers bool
	// Folds cuts the rows, when it is at least 2, into so many parts and multiplies the three weights by the one of 0, 0.1, 1 and 10 with the least log loss on the rows that were left out, the smallest of equal ones. Fitting takes four times Folds as long.
	Folds int `range:"[0,100]"`
	// Width is that of the hidden layer, as a multiple of the columns.
	Width int `default:"4" range:"[1,64]" unit:"columns"`
	// Epochs is how many times the rows are gone through; few rows as often as 500 steps need.
	Epochs int `default:"30" range:"[1,100000]" unit:"passes"`
	// Rate is that of AdamW at the start.
	Rate float64 `default:"0.001" range:"(0,1]"`
	// Seed moves the first weights and the order of rows.
	Seed uint64
}

// nmtuneDecay is AdamW's weight decay, the code's.
const nmtuneDecay = 1e-4

// nmtuneSmall keeps lengths of rows from zero.
const nmtuneSmall = 1e-12

// Fit trains the network and the head.
func (c NMTune) Fit(ctx context.Context, train *data.Table) (*NMTuneModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	factor := 1.0
	if c.NoRegularizers {
		factor = 0
	} else if c.Folds >= 2 {
		var err error
		if factor, err = c.folded(ctx, train); err != nil {
			return nil, err
		}
	}
	fitted, sorted, err := c.train(ctx, train, factor)
	if err != nil {
		return nil, err
	}
	m := &NMTuneModel{network: fitted, factor: factor}
	if m.before, err = nmtuneSpectrum(fitted.rows(sorted), len(fitted.first)); err != nil {
		return nil, err
	}
	z, err := m.Features(sorted)
	if err != nil {
		return nil, err
	}
	m.after, err = nmtuneSpectrum(z.X(), len(fitted.first))
	return m, err
}

// train fits with the regularisers' weights times a factor.
func (c NMTune) train(ctx context.Context, in *data.Table, factor float64) (*network, *data.Table, error) {
	recipe := networkRecipe{epochs: c.Epochs, rate: c.Rate, decay: nmtuneDecay, seed: c.Seed}
	if factor > 0 {
		c.Consistency, c.Decorrelation, c.Dominance = factor*c.Consistency, factor*c.Decorrelation, factor*c.Dominance
		recipe.extra = c.regularizers
	}
	return recipe.fit(ctx, in, c.build)
}

// nmtuneFactors are what Folds chooses from.
var nmtuneFactors = []float64{0, 0.1, 1, 10}

// nmtuneImpossible is the probability that counts for less when folds are compared.
const nmtuneImpossible = 1e-12

// folded returns the factor with the least log loss over rows that were left out, every Folds-th of its class in turn, in an
// order of the rows' own.
func (c NMTune) folded(ctx context.Context, train *data.Table) (float64, error) {
	if _, _, err := labelled(train); err != nil {
		return 0, err
	}
	in := train.Pick(sortedRows(train))
	classes, labels, err := labelled(in)
	if err != nil {
		return 0, err
	}
	turn, parts := make([]int, len(classes)), make([][2][]int, c.Folds) // rows learned from, and left out
	for i, l := range labels {
		for f := range parts {
			side := 0
			if turn[l]%c.Folds == f {
				side = 1
			}
			parts[f][side] = append(parts[f][side], i)
		}
		turn[l]++
	}
	if least := slices.Min(turn); least < c.Folds {
		return 0, fmt.Errorf("%w: a class has %d rows, so it cannot be cut into %d folds; lower --folds", method.ErrDegenerate, least, c.Folds)
	}
	best, least := 0.0, math.Inf(1)
	for _, factor := range nmtuneFactors {
		loss := 0.0
		for _, rows := range parts {
			m, _, err := c.train(ctx, in.Pick(rows[0]), factor)
			if err != nil {
				return 0, err
			}
			p, err := m.predict("nmtune", in.Pick(rows[1]))
			if err != nil {
				return 0, err
			}
			for i, row := range rows[1] {
				loss -= math.Log(max(float64(p.Row(i)[labels[row]]), nmtuneImpossible))
			}
		}
		if loss < least {
			best, least = factor, loss
		}
	}
	return best, nil
}

// build is z = x + W₂·ReLU(W₁·x), and the head on z.
func (c NMTune) build(g *net.Graph, x *net.Node, k int) (logits, z *net.Node) {
	d := x.Shape()[1]
	h := g.ReLU(g.Dense("adapter.0", x, c.Width*d))
	back := g.Linear(h, g.Param("adapter.1.weight", net.Constant(0), d, c.Width*d), g.Param("adapter.1.bias", net.Constant(0), d))
	z = g.Add(x, back)
	w := g.Param("head.weight", net.LeCunNormal, k, d)
	return g.Linear(z, w, g.Param("head.bias", net.Constant(0), k)), z
}

// regularizers are eq. (2)-(4). The third one's derivative by Z is found outside the graph, by a pass before the pass, and enters
// as a constant factor of Z; as it is at right angles to Z it adds nothing to the loss itself.
func (c NMTune) regularizers(g *net.Graph, x, z *net.Node) (*net.Node, func([]float32) error) {
	b, d := x.Shape()[0], x.Shape()[1]
	unit := func(v *net.Node) *net.Node {
		return g.Div(v, g.Sqrt(g.Scale(g.SumKept(g.Mul(v, v), 1), 1, nmtuneSmall)))
	}
	apart := g.Sub(unit(x), unit(z))
	loss := g.Scale(g.Sum(g.Mul(apart, apart)), c.Consistency/float64(b*d), 0)

	centred := g.Sub(z, g.MeanKept(z, 0))
	covariance := g.Scale(g.MatMul(centred, centred, true, false), 1/float64(max(b-1, 1)), 0) // D×D
	variance := g.Scale(g.Sum(g.Mul(centred, centred), 0), 1/float64(max(b-1, 1)), 0)         // D
	off := g.Sub(g.Sum(g.Mul(covariance, covariance)), g.Sum(g.Mul(variance, variance)))
	loss = g.Add(loss, g.Scale(off, c.Decorrelation/float64(d), 0))

	slope := g.Input(b, d)
	loss = g.Add(loss, g.Scale(g.Sum(g.Mul(slope, z)), c.Dominance, 0))
	first := net.NewGraph(g.Params())
	first.Training = false
	in := first.Input(b, d)
	_, now := c.build(first, in, g.Params().Get("head.bias").Shape[0])
	program, err := first.Infer(now)
	return loss, func(rows []float32) error {
		if err != nil {
			return err
		}
		copy(in.Value(), rows)
		program.Forward()
		nmtuneSlope(slope.Value(), now.Value(), b, d)
		return nil
	}
}

// nmtuneLargest is how many singular values are to dominate, half of all at most: the share of all of them says nothing.
const nmtuneLargest = 5

// nmtuneSlope writes the derivative of −mean(σ₁…σ₅)/Σσ by z (b×d): with S = Σσ and m = Σ of the five over 5·S, that is
// Σ_i u_iv_iᵀ·(m − [i ≤ 5]/5)/S, from the eigenvectors of the smaller of the two Gram matrices. Directions below a millionth
// of the largest are left out: the Gram matrix does not know them.
func nmtuneSlope(slope, z []float32, b, d int) {
	x := make([]float64, b*d)
	for i, v := range z {
		x[i] = float64(v)
	}
	k := min(b, d)
	gram := make([]float64, k*k)
	num.Syrk(b > d, k, max(b, d), 1, x, d, 0, gram, k)
	values, vectors, ok := num.SymEigen(gram, k)
	clear(slope)
	if !ok {
		return
	}
	most := min(nmtuneLargest, max(1, k/2)) // values come in ascending order
	sigma, sum, mean := make([]float64, k), 0.0, 0.0
	for i, v := range values {
		if s := math.Sqrt(max(v, 0)); s > 1e-6*math.Sqrt(max(values[k-1], 0)) {
			sigma[i] = s
		}
		sum += sigma[i]
		if i >= k-most {
			mean += sigma[i] / float64(most)
		}
	}
	if sum == 0 {
		return
	}
	// U·diag(f)·Vᵀ is V·diag(f/σ)·Vᵀ beside z, on the side of the smaller Gram matrix.
	factor := make([]float64, k*k)
	scaled := make([]float64, k*k)
	for i := range k {
		if sigma[i] == 0 {
			continue
		}
		f := mean / (sum * sum)
		if i >= k-most {
			f -= 1 / (float64(most) * sum)
		}
		for j := range k {
			scaled[j*k+i] = vectors[j*k+i] * f / sigma[i]
		}
	}
	num.Gemm(false, true, k, k, k, 1, scaled, k, vectors, k, 0, factor, k)
	out := make([]float64, b*d)
	if b > d {
		num.Gemm(false, false, b, d, d, 1, x, d, factor, d, 0, out, d)
	} else {
		num.Gemm(false, false, b, d, b, 1, factor, b, x, d, 0, out, d)
	}
	for i, v := range out {
		slope[i] = float32(v)
	}
}

// nmtuneSpectra are two numbers of a feature matrix's singular values: their entropy −Σ p·log p with p = σ/Σσ, and −log p₁.
type nmtuneSpectra struct{ entropy, largest float64 }

// nmtuneSpectrum measures centred features.
func nmtuneSpectrum(z []float32, d int) (s nmtuneSpectra, err error) {
	n := len(z) / d
	x, mean := make([]float64, len(z)), make([]float64, d)
	for i, v := range z {
		mean[i%d] += float64(v) / float64(n)
	}
	for i, v := range z {
		x[i] = float64(v) - mean[i%d]
	}
	k := min(n, d)
	gram := make([]float64, k*k)
	num.Syrk(n > d, k, max(n, d), 1, x, d, 0, gram, k)
	values, _, ok := num.SymEigen(gram, k)
	if !ok {
		return s, fmt.Errorf("%w: singular values of %d×%d features were not found", method.ErrDegenerate, n, d)
	}
	sum, top := 0.0, 0.0
	for i, v := range values {
		values[i] = math.Sqrt(max(v, 0))
		sum += values[i]
		top = max(top, values[i])
	}
	if top == 0 {
		return s, nil
	}
	for _, v := range values {
		if p := v / sum; p > 0 {
			s.entropy -= p * math.Log(p)
		}
	}
	s.largest = -math.Log(top / sum)
	return s, nil
}

// NMTuneModel is a fitted [NMTune].
type NMTuneModel struct {
	*network
	before, after nmtuneSpectra
	factor        float64 // of the regularisers' weights
}

// Predict returns each row's class probabilities, N×K.
func (m *NMTuneModel) Predict(in *data.Table) (*data.Table, error) {
	return m.network.predict("nmtune", in)
}

// Logits returns each row's logits, N×K.
func (m *NMTuneModel) Logits(in *data.Table) (*data.Table, error) {
	return m.network.logits("nmtune", in)
}

// Features returns what the network makes of each row, N×D, in units of the training rows' root mean variance.
func (m *NMTuneModel) Features(in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	out := make([]float32, 0, n*d)
	if err := m.network.infer("nmtune", in, func(_, _ int, _, z []float32) { out = append(out, z...) }); err != nil {
		return nil, err
	}
	return data.NewTable(n, d, out)
}

// Report returns the paper's two diagnostics of the centred training features, as they came and as the network made them: the
// entropy of their singular values, log D for features that spread alike in all directions, and minus the log of the largest
// one's share, 0 where there is one direction alone; and what the regularisers' weights were multiplied by.
func (m *NMTuneModel) Report() data.Numbers {
	return data.Numbers{
		"singular_value_entropy_before": m.before.entropy, "singular_value_entropy_after": m.after.entropy,
		"largest_singular_value_before": m.before.largest, "largest_singular_value_after": m.after.largest,
		"regularizer_factor": m.factor,
	}
}

// State returns the model as tensors.
func (m *NMTuneModel) State() *data.Checkpoint {
	st := m.network.state()
	st.Tensors["spectra"] = data.Float64Tensor([]float64{m.before.entropy, m.before.largest, m.after.entropy, m.after.largest}, 4)
	st.Tensors["factor"] = data.Float64Tensor([]float64{m.factor}, 1)
	return st
}

func loadNMTune(c NMTune, st *data.Checkpoint) (*NMTuneModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	n, err := loadNetwork(st, c.build)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	s, factor := r.Floats("spectra", 4), r.Floats("factor", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	return &NMTuneModel{n, nmtuneSpectra{s[0], s[1]}, nmtuneSpectra{s[2], s[3]}, factor[0]}, nil
}
