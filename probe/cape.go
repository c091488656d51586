package probe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title:      "a probability of one of two outcomes, trained to agree with how often it came true",
	Paper:      "liu2022deep",
	TwoClasses: true,
}, CaPE.Fit, loadCaPE))

// CaPE estimates the probability of an outcome by a logistic head that in some epochs learns from empirical probabilities instead of outcomes.
//
// It is the calibrated probability estimation of Liu et al. (2022): the head is trained on outcomes until rows kept aside say
// stop; then it goes on, and in one epoch of each cycle every row's target is not its own outcome but the mean outcome of
// rows with similar predictions. The epoch with the least log loss on the rows kept aside counts. O(N·D) a step, ten steps an epoch. Prefer
// it to [Logistic] when rows are few for the columns and no penalty is to be chosen; its claim says what it gains over stopping alone.
//
// Fits on: Table N×D with labels of exactly two classes, N ≥ 10. It holds a float64 copy of the rows.
// Predict: N×2 class probabilities.
// Logits:  N×2, the log odds split evenly; their softmax is Predict.
// Errors:  ErrLabels when a row has no label, or there are not two classes; ErrShape with fewer than 10 rows, without columns and on another width; ErrDegenerate when all rows are equal.
// Differs: a linear head on frozen features, descending on all rows at once, where the authors train networks on batches; every fifth row, in the order of the rows' values, is kept aside.
// Source:  liu2022deep, algorithm 1.
// Claim:   claims/probe/cape.go.
type CaPE struct {
	// Strategy says how rows with similar predictions are found: bin cuts them into Bins of equal counts, kernel weighs them by a Gaussian of the difference of predictions, none trains on outcomes alone, which is early stopping.
	Strategy string `default:"bin" enum:"bin,kernel,none"`
	// Steps is the number of epochs before, and again after, the first stop.
	Steps int `default:"100" range:"[1,1e6]"`
	// Period is the length of a cycle in epochs, of which the first calibrates. 1 calibrates in each.
	Period int `default:"6" range:"[1,1e6]"`
	// Bins is the number of parts of equal counts that rows are cut into.
	Bins int `default:"10" range:"[1,1e6]"`
	// Bandwidth is the standard deviation of the kernel, in probability.
	Bandwidth float64 `default:"0.1" range:"(0,100]" unit:"probability"`
}

const (
	capeInner = 10 // steps of an epoch
	capeFold  = 5  // one row of so many is kept aside
	capeNear  = 500
)

// capeRows are rows with a column of ones in front, and their outcomes.
type capeRows struct {
	n, d int
	x, y []float64
}

// Fit trains the head.
func (c CaPE) Fit(ctx context.Context, train *data.Table) (*CaPEModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	classes, labels, err := labelled(train)
	if err != nil {
		return nil, err
	}
	n, d := train.Dims()
	if len(classes) != 2 {
		return nil, fmt.Errorf("%w: have %d, want rows of two classes", data.ErrLabels, len(classes))
	}
	if n < 2*capeFold {
		return nil, fmt.Errorf("%w: %d rows, want at least %d", data.ErrShape, n, 2*capeFold)
	}
	center, variance := centred(train)
	if slices.Max(variance) == 0 {
		return nil, fmt.Errorf("%w: all %d rows are equal, so no feature tells classes apart", method.ErrDegenerate, n)
	}
	deviation := make([]float64, d)
	for j, v := range variance {
		if deviation[j] = math.Sqrt(v); v == 0 {
			deviation[j] = 1
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(slices.Compare(train.Row(a), train.Row(b)), cmp.Compare(labels[a], labels[b]))
	})
	parts := [2]capeRows{{d: d + 1}, {d: d + 1}} // learned from, kept aside
	for at, i := range order {
		p := &parts[0]
		if at%capeFold == capeFold/2 {
			p = &parts[1]
		}
		p.x = append(p.x, 1)
		for j, v := range train.Row(i) {
			p.x = append(p.x, (float64(v)-center[j])/deviation[j])
		}
		p.n, p.y = p.n+1, append(p.y, float64(labels[i]))
	}
	theta, report, err := c.train(ctx, parts[0], parts[1])
	if err != nil {
		return nil, err
	}
	weights, intercept := make([]float64, 2*d), []float64{-theta[0] / 2, theta[0] / 2}
	for j := range d {
		w := theta[j+1] / deviation[j] / 2
		weights[2*j], weights[2*j+1] = -w, w
	}
	return &CaPEModel{newHead(classes, center, weights, intercept), report}, nil
}

// train returns the weights with the least log loss on the rows kept aside, and what there is to report: the epoch of the
// first stop, its loss, the epoch that counts, and its loss.
func (c CaPE) train(ctx context.Context, learn, aside capeRows) (best, report []float64, err error) {
	mean, square := 0.0, 0.0
	for _, v := range learn.y {
		mean += v / float64(learn.n)
	}
	for _, v := range learn.x {
		square += v * v / float64(learn.n)
	}
	rate := 4 / square // the curvature is at most a quarter of the mean squared length
	theta := make([]float64, learn.d)
	theta[0] = math.Log((mean + 0.5/float64(learn.n)) / (1 - mean + 0.5/float64(learn.n)))
	best = slices.Clone(theta)
	least, at := aside.loss(theta), 0
	speed := make([]float64, learn.d)
	for epoch := 1; epoch <= 2*c.Steps; epoch++ {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		if epoch == c.Steps+1 { // go on from the first stop
			report = []float64{float64(at), least}
			copy(theta, best)
			clear(speed)
		}
		target := learn.y
		if late := epoch - c.Steps - 1; late >= 0 && late%c.Period == 0 && c.Strategy != "none" {
			target = c.empirical(learn.predict(theta), learn.y)
		}
		for range capeInner {
			p := learn.predict(theta)
			for i := range p {
				p[i] = (p[i] - target[i]) / float64(learn.n)
			}
			num.Gemv(true, learn.n, learn.d, 1, learn.x, learn.d, p, -0.9/rate, speed)
			for j := range theta { // speed becomes nine tenths of itself less the gradient's share
				speed[j] *= -rate
				theta[j] += speed[j]
			}
		}
		if v := aside.loss(theta); v < least {
			least, at = v, epoch
			copy(best, theta)
		}
	}
	return best, append(report, float64(at), least), nil
}

// predict returns the rows' probabilities.
func (r capeRows) predict(theta []float64) []float64 {
	p := make([]float64, r.n)
	num.Gemv(false, r.n, r.d, 1, r.x, r.d, theta, 0, p)
	for i, z := range p {
		p[i] = 1 / (1 + math.Exp(-z))
	}
	return p
}

// loss is the rows' mean log loss.
func (r capeRows) loss(theta []float64) (sum float64) {
	z := make([]float64, r.n)
	num.Gemv(false, r.n, r.d, 1, r.x, r.d, theta, 0, z)
	for i, v := range z {
		sum += (max(v, 0) - v*r.y[i] + math.Log1p(math.Exp(-math.Abs(v)))) / float64(r.n)
	}
	return sum
}

// empirical returns for each row how often the outcome came true among rows of similar prediction.
func (c CaPE) empirical(p, y []float64) []float64 {
	n := len(p)
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	target := make([]float64, n)
	if c.Strategy == "bin" {
		bins := min(c.Bins, n)
		for b := range bins {
			part, mean := order[b*n/bins:(b+1)*n/bins], 0.0
			for _, i := range part {
				mean += y[i] / float64(len(part))
			}
			for _, i := range part {
				target[i] = mean
			}
		}
		return target
	}
	for at, i := range order {
		sum, weight := 0.0, 0.0
		for _, o := range order[max(0, at-capeNear):min(n, at+capeNear+1)] {
			far := (p[o] - p[i]) / c.Bandwidth
			w := math.Exp(-far * far / 2)
			sum, weight = sum+w*y[o], weight+w
		}
		target[i] = sum / weight // a row has weight one with itself
	}
	return target
}

// CaPEModel is a fitted [CaPE].
type CaPEModel struct {
	head   *head
	report []float64
}

// Predict returns each row's class probabilities, N×2.
func (m *CaPEModel) Predict(in *data.Table) (*data.Table, error) { return m.head.predict("cape", in) }

// Logits returns each row's logits, N×2.
func (m *CaPEModel) Logits(in *data.Table) (*data.Table, error) { return m.head.logits("cape", in) }

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×2 and 2 values. The caller must not change them.
func (m *CaPEModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// Report tells at which epoch training on outcomes stopped first, the epoch that counts, and the log loss of the rows kept
// aside at both.
func (m *CaPEModel) Report() data.Numbers {
	return data.Numbers{"stopped_epoch": m.report[0], "stopped_loss": m.report[1], "epoch": m.report[2], "loss": m.report[3]}
}

// State returns the model as tensors.
func (m *CaPEModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["report"] = data.Float64Tensor(m.report, 4)
	return st
}

func loadCaPE(_ CaPE, st *data.Checkpoint) (*CaPEModel, error) {
	r := st.Read()
	report := r.Floats("report", 4)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	return &CaPEModel{h, report}, nil
}
