package probe

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "linear support vector machine, each class against the rest, by squared hinge loss",
	Paper: "keerthi2005modified",
}, LinearSVM.Fit, loadLinearSVM))

// LinearSVM classifies by planes, one between each class and the rest, that keep as many rows as they can at a margin.
//
// It is the linear support vector machine with squared hinge loss, what libraries fit by default as such, solved by the
// finite Newton method of Keerthi and DeCoste (2005): a least-squares problem on the rows within the margin, again until
// those rows stay the same. O(N·D²) a step for each class, some ten steps, O(K·D) a row to predict. Rows well beyond the
// margin have no say, so outliers of one's own class do no harm; prefer [Logistic] where probabilities matter.
//
// The objective of a class is the mean squared hinge loss plus Ridge/2 · (mean variance of the columns) · ‖weights‖²; Gap says
// how far from the optimum it may be at most.
//
// Fits on: Table N×D with a label for every row, N ≥ 2; one row a class is enough, and classes without rows are left out. It holds a float32 copy of the rows.
// Predict: N×K, softmax of the scores over the temperature that is best for the training rows, each taken to be of another class with probability 1/(N+2): their order is the machine's, their size a guess.
// Logits:  N×K, scores over that temperature; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or when 200 steps do not suffice.
// Differs: the intercepts are not penalised; steps go down to the lowest point along their line, found by bisection.
// Source:  keerthi2005modified, section 3.
// Claim:   none: it is a standard head to compare others with.
type LinearSVM struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance; scikit-learn's C is 1/(2·N·Ridge·mean variance).
	Ridge float64 `default:"1e-2" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Balanced weighs rows so that all classes count the same, whatever their share of the training rows.
	Balanced bool
}

const (
	linearSVMSteps = 200
	linearSVMRows  = 512   // rows that are multiplied at a time
	linearSVMSmall = 1e-10 // duality gap, as a share of one
)

// Fit finds the planes.
func (c LinearSVM) Fit(ctx context.Context, train *data.Table) (*LinearSVMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	p, err := newLogisticProblem(ctx, train, false, c.Balanced)
	if err != nil {
		return nil, err
	}
	d, k := p.D, p.K
	weights, intercept, gaps, failed := make([]float64, d*k), make([]float64, k), make([]float64, k), make([]bool, k)
	num.Parallel(k, 1, func(lo, hi int) {
		for l := lo; l < hi && ctx.Err() == nil; l++ {
			s := newLinearSVMSide(p, l, c.Ridge)
			failed[l] = !s.solve(ctx)
			gaps[l] = s.gap()
			for j := range d {
				weights[j*k+l] = s.theta[j]
			}
			intercept[l] = s.theta[d]
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &LinearSVMModel{}
	for l, v := range gaps {
		if failed[l] || !(v < 1e-6) {
			return nil, fmt.Errorf("%w: class %q: the duality gap is still %.2g after %d steps; raise --ridge above %g", method.ErrDegenerate, p.classes[l], v, linearSVMSteps, c.Ridge)
		}
		m.gap = max(m.gap, v)
	}
	scores := make([]float64, p.N*k)
	newHead(p.classes, make([]float64, d), weights, intercept).linear.Each(p.X, p.N, func(lo, hi int, z []float64) {
		for i, v := range z {
			scores[lo*k+i] = v + intercept[i%k]
		}
	})
	temperature := part.Temperature(scores, p.Labels, k, 1/float64(p.N+2))
	for i := range weights {
		weights[i] *= p.scale[i/k] / temperature
	}
	for l := range intercept {
		intercept[l] /= temperature
	}
	m.temperature, m.head = temperature, newHead(p.classes, p.center, weights, intercept)
	return m, nil
}

// linearSVMSide is the problem of one class against the rest.
type linearSVMSide struct {
	*logisticProblem
	penalty []float64 // D
	sign    []float64 // N, 1 for the class and −1 for the rest
	weight  []float64 // N
	theta   []float64 // D weights and the intercept
	margin  []float64 // N, sign · score
}

func newLinearSVMSide(p *logisticProblem, class int, ridge float64) *linearSVMSide {
	s := &linearSVMSide{logisticProblem: p, penalty: make([]float64, p.D), sign: make([]float64, p.N), weight: make([]float64, p.N), theta: make([]float64, p.D+1), margin: make([]float64, p.N)}
	for j, v := range p.unit {
		s.penalty[j] = ridge * v
	}
	for i, l := range p.Labels {
		s.sign[i], s.weight[i] = -1, p.Weights[l]
		if l == class {
			s.sign[i] = 1
		}
	}
	return s
}

// solve reports whether the optimum was reached.
func (s *linearSVMSide) solve(ctx context.Context) bool {
	d := s.D
	for range linearSVMSteps {
		if ctx.Err() != nil {
			return false
		}
		to, ok := s.newton()
		if !ok {
			return false
		}
		way, slope := make([]float64, d+1), make([]float64, s.N) // of the margins along the way
		for j, v := range to {
			way[j] = v - s.theta[j]
		}
		s.scores(slope, way)
		step := s.lowest(way, slope)
		for j, v := range way {
			s.theta[j] += step * v
		}
		s.scores(s.margin, s.theta)
		if s.gap() <= linearSVMSmall {
			return true
		}
	}
	return s.gap() <= 1e-6
}

// scores writes sign · (xᵢ·w + b).
func (s *linearSVMSide) scores(dst, theta []float64) {
	for i := range s.N {
		v := theta[s.D]
		for j, x := range s.X[i*s.D : (i+1)*s.D] {
			v += float64(x) * theta[j]
		}
		dst[i] = s.sign[i] * v
	}
}

// newton solves the least-squares problem of the rows within the margin.
func (s *linearSVMSide) newton() ([]float64, bool) {
	d := s.D
	a, b := make([]float64, (d+1)*(d+1)), make([]float64, d+1)
	rows, m := make([]float64, linearSVMRows*(d+1)), 0
	flush := func() {
		num.Syrk(true, d+1, m, 1, rows, d+1, 1, a, d+1)
		m = 0
	}
	for i, margin := range s.margin {
		if margin >= 1 {
			continue
		}
		root := math.Sqrt(2 * s.weight[i])
		row := rows[m*(d+1) : (m+1)*(d+1)]
		for j, x := range s.X[i*d : (i+1)*d] {
			row[j] = root * float64(x)
		}
		row[d] = root
		for j, v := range row {
			b[j] += root * s.sign[i] * v
		}
		if m++; m == linearSVMRows {
			flush()
		}
	}
	flush()
	for j, v := range s.penalty {
		a[j*(d+1)+j] += v
	}
	a[len(a)-1] += 1e-12 // the intercept is free, even when no row is within the margin
	b[d] += 1e-12 * s.theta[d]
	chol, ok := num.NewChol(a, d+1)
	if !ok {
		return nil, false
	}
	chol.Solve(b, 1)
	return b, true
}

// lowest returns how far along the way the objective is lowest: where its derivative, which never falls, is zero.
func (s *linearSVMSide) lowest(way, slope []float64) float64 {
	linear, square := 0.0, 0.0 // derivative of the penalty: linear + step·square
	for j, p := range s.penalty {
		linear += p * s.theta[j] * way[j]
		square += p * way[j] * way[j]
	}
	rising := func(step float64) bool {
		v := linear + step*square
		for i, m := range s.margin {
			if gap := 1 - m - step*slope[i]; gap > 0 {
				v -= 2 * s.weight[i] * gap * slope[i]
			}
		}
		return v > 0
	}
	low, high := 0.0, 1.0
	for range 10 {
		if rising(high) {
			break
		}
		low, high = high, 2*high
	}
	for range 50 {
		if middle := (low + high) / 2; rising(middle) {
			high = middle
		} else {
			low = middle
		}
	}
	return low
}

// gap is the difference of the objective and of the dual one at αᵢ = 2·weightᵢ·(1 − marginᵢ)₊, which is zero at the optimum
// alone: w(α) = Σ αᵢ·signᵢ·xᵢ/penalty is w there, and Σ αᵢ·signᵢ is zero.
func (s *linearSVMSide) gap() float64 {
	primal, dual, free := 0.0, 0.0, 0.0
	w := make([]float64, s.D)
	for i, m := range s.margin {
		if loss := 1 - m; loss > 0 {
			alpha := 2 * s.weight[i] * loss
			primal += s.weight[i] * loss * loss
			dual += alpha - alpha*loss/2
			free += alpha * s.sign[i]
			for j, x := range s.X[i*s.D : (i+1)*s.D] {
				w[j] += alpha * s.sign[i] * float64(x)
			}
		}
	}
	for j, p := range s.penalty {
		primal += p / 2 * s.theta[j] * s.theta[j]
		dual -= w[j] * w[j] / (2 * p)
	}
	return math.Abs(primal-dual) + math.Abs(free) // what is not feasible counts as well
}

// LinearSVMModel is a fitted [LinearSVM].
type LinearSVMModel struct {
	head             *head
	temperature, gap float64
}

// Predict returns each row's softmax of scores over the temperature, N×K.
func (m *LinearSVMModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("linearsvm", in)
}

// Logits returns each row's scores over the temperature, N×K.
func (m *LinearSVMModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("linearsvm", in)
}

// Gap returns the largest duality gap of the classes' problems, plus what their dual point lacks to be feasible: how far above the optimum an objective may be.
func (m *LinearSVMModel) Gap() float64 { return m.gap }

// Temperature returns what the scores are divided by; logits times temperature are the plain scores, 1 at the margin.
func (m *LinearSVMModel) Temperature() float64 { return m.temperature }

// State returns the model as tensors.
func (m *LinearSVMModel) State() *data.Checkpoint {
	st := m.head.state()
	st.Tensors["fit"] = data.Float64Tensor([]float64{m.temperature, m.gap}, 2)
	return st
}

func loadLinearSVM(_ LinearSVM, st *data.Checkpoint) (*LinearSVMModel, error) {
	r := st.Read()
	fit := r.Floats("fit", 2)
	h, err := loadHead(r)
	if err != nil {
		return nil, err
	}
	if fit[0] <= 0 {
		return nil, fmt.Errorf("%w: temperature %g", data.ErrFormat, fit[0])
	}
	return &LinearSVMModel{h, fit[0], fit[1]}, nil
}
