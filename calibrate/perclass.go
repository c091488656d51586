package calibrate

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// oneVersusRest is a calibrator that looks at each class against all others: a map for each class, whose values are divided by
// their sum, and a share of the uncalibrated probabilities.
type oneVersusRest struct {
	calibrated
	// mapped is the calibrated probability of a class, from its log-probability and its log odds.
	mapped func(class int, log, odds float64) float64
	mix    float64 // share of the uncalibrated probabilities, 0 to 1
}

// against writes the calibrated probabilities before mixing in place of a row's log-probabilities, given its probabilities.
func (m *oneVersusRest) against(logs, p []float64) {
	odds := make([]float64, len(logs))
	logOdds(odds, logs)
	sum := 0.0
	for c, l := range logs {
		p[c] = math.Exp(l)
		logs[c] = min(max(m.mapped(c, l, odds[c]), 0), 1)
		sum += logs[c]
	}
	for c := range logs {
		if sum > 0 {
			logs[c] /= sum
		} else { // no class is left: nothing was learned of such rows
			logs[c] = p[c]
		}
	}
}

// Predict returns N×K calibrated probabilities.
func (m *oneVersusRest) Predict(in *data.Table) (*data.Table, error) {
	return m.table(in, func(logs []float64) {
		p := make([]float64, len(logs))
		m.against(logs, p)
		for c := range logs {
			logs[c] = (1-m.mix)*logs[c] + m.mix*p[c]
		}
	})
}

// blend mixes uncalibrated probabilities in where the calibration labels are less likely without: the share under which they
// are most likely. That is a convex problem with the uncalibrated ones at its end, so those are never better.
func (m *oneVersusRest) blend(o *outputs) {
	mine, plain := make([]float64, o.n), make([]float64, o.n)
	row, p := make([]float64, o.k), make([]float64, o.k)
	for i, y := range o.labels {
		copy(row, o.row(i))
		m.against(row, p)
		mine[i], plain[i] = row[y], p[y]
	}
	slope := func(mix float64) float64 { // of the loss
		sum := 0.0
		for i, q := range mine {
			switch d := (1-mix)*q + mix*plain[i]; {
			case d > 0:
				sum -= (plain[i] - q) / d
			case plain[i] != q:
				return math.Inf(int(math.Copysign(1, q-plain[i])))
			}
		}
		return sum
	}
	gain := 0.0 // of the uncalibrated
	for i, q := range mine {
		if q != plain[i] { // where both are zero they are equally bad
			gain += math.Log(plain[i]) - math.Log(q)
		}
	}
	if !(gain > 0) && !math.IsNaN(gain) {
		return
	}
	if m.mix = 1; slope(1) <= 0 {
		return
	}
	lo, hi := 0.0, 1.0
	for range 60 {
		if mid := (lo + hi) / 2; slope(mid) < 0 {
			lo = mid
		} else {
			hi = mid
		}
	}
	m.mix = hi
}

// curves are maps of one probability, one a class, given by points.
type curves struct {
	x, y [][]float64 // K × points, x ascending
}

// pieces returns class c's calibration rows as probabilities, ascending, with the share that equal ones have of the class, and their number.
func (o *outputs) pieces(c int) (x, share, rows []float64) {
	order := make([]int, o.n)
	for i := range order {
		order[i] = i
	}
	p := func(i int) float64 { return math.Exp(o.row(i)[c]) }
	slices.SortStableFunc(order, func(a, b int) int {
		switch pa, pb := p(a), p(b); {
		case pa < pb:
			return -1
		case pa > pb:
			return 1
		}
		return 0
	})
	for _, i := range order {
		if v := p(i); len(x) == 0 || v != x[len(x)-1] {
			x, share, rows = append(x, v), append(share, 0), append(rows, 0)
		}
		last := len(x) - 1
		rows[last]++
		if o.labels[i] == c {
			share[last]++
		}
	}
	for j := range share {
		share[j] /= rows[j]
	}
	return x, share, rows
}

func (c *curves) tensors() map[string]data.Tensor {
	var points []int64
	for _, x := range c.x {
		points = append(points, int64(len(x)))
	}
	x, y := slices.Concat(c.x...), slices.Concat(c.y...)
	return map[string]data.Tensor{
		"points": data.Int64Tensor(points, len(points)),
		"x":      data.Float64Tensor(x, len(x)),
		"y":      data.Float64Tensor(y, len(y)),
	}
}

func loadCurves(st *data.Checkpoint, r *data.Reader, k int) (*curves, error) {
	points, _, err := st.Ints("points", k)
	if err != nil {
		return nil, err
	}
	x, y := r.Floats("x", -1), r.Floats("y", -1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	m := &curves{}
	for _, n := range points {
		if n < 0 || n > int64(len(x)) || n > int64(len(y)) {
			return nil, fmt.Errorf("%w: %d points, %d and %d coordinates are left", data.ErrShape, n, len(x), len(y))
		}
		m.x, m.y = append(m.x, x[:n:n]), append(m.y, y[:n:n])
		if !slices.IsSorted(x[:n]) {
			return nil, fmt.Errorf("%w: points that are not sorted", data.ErrFormat)
		}
		x, y = x[n:], y[n:]
	}
	if len(x) > 0 || len(y) > 0 {
		return nil, fmt.Errorf("%w: %d coordinates too many", data.ErrShape, max(len(x), len(y)))
	}
	return m, nil
}

// mixTensor adds the share of uncalibrated probabilities to a state.
func (m *oneVersusRest) mixTensor(to map[string]data.Tensor) map[string]data.Tensor {
	to["mix"] = data.Float64Tensor([]float64{m.mix}, 1)
	return to
}

// loadOneVersusRest reads classes and share.
func loadOneVersusRest(name string, r *data.Reader, probabilities bool) (m oneVersusRest, err error) {
	if m.calibrated, err = load(name, r, probabilities); err != nil {
		return m, err
	}
	mix := r.Floats("mix", 1)
	if err := r.Err(); err != nil {
		return m, err
	}
	if m.mix = mix[0]; m.mix < 0 || m.mix > 1 {
		return m, fmt.Errorf("%w: a share of %g", data.ErrFormat, m.mix)
	}
	return m, nil
}

// logistic fits the probability of class c, sigmoid(Σ features·result), to Platt's targets, which have a finite optimum always.
// features of a row are written by of. The largest slope left comes back beside the value.
func (o *outputs) logistic(c, m int, of func(i int, to []float64)) (best []float64, value, residual float64) {
	positive := float64(o.rows[c])
	yes, no := (positive+1)/(positive+2), 1/(float64(o.n)-positive+2)
	x := make([]float64, o.n*m)
	for i := range o.n {
		of(i, x[i*m:(i+1)*m])
	}
	at := func(theta, gradient, hessian []float64) float64 {
		clear(gradient)
		clear(hessian)
		sum := 0.0
		for i, y := range o.labels {
			row, t := x[i*m:(i+1)*m], no
			if y == c {
				t = yes
			}
			z := 0.0
			for j, v := range row {
				z += theta[j] * v
			}
			e := math.Exp(-math.Abs(z))
			sum += max(z, 0) - t*z + math.Log1p(e) // log(1+exp(z)) − t·z
			if gradient == nil {
				continue
			}
			p := 1 / (1 + e)
			if z < 0 {
				p = e / (1 + e)
			}
			for j, v := range row {
				gradient[j] += (p - t) * v / float64(o.n)
				for l := 0; hessian != nil && l <= j; l++ {
					hessian[j*m+l] += e / (1 + e) / (1 + e) * v * row[l] / float64(o.n)
				}
			}
		}
		return sum / float64(o.n)
	}
	best = make([]float64, m)
	part.Newton(best, at)
	gradient := make([]float64, m)
	value = at(best, gradient, nil)
	unit := 1.0
	for _, v := range x {
		unit = max(unit, math.Abs(v))
	}
	for _, g := range gradient {
		residual = max(residual, math.Abs(g)/unit)
	}
	return best, value, residual
}

// sigmoid is 1/(1+exp(−z)).
func sigmoid(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
