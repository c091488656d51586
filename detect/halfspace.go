package detect

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// halfspaceClasses returns the two classes that the rows have.
func halfspaceClasses(train *data.Table) ([]string, error) {
	labels, err := train.Labels()
	if err != nil {
		return nil, err
	}
	var classes []string
	for i, l := range labels {
		if l < 0 {
			return nil, fmt.Errorf("%w: row %d has no label; every row needs one of two classes", data.ErrLabels, i+1)
		}
		if name := train.Classes()[l]; !slices.Contains(classes, name) {
			if classes = append(classes, name); len(classes) > 2 {
				break
			}
		}
	}
	if len(classes) != 2 {
		return nil, fmt.Errorf("%w: a plane parts two classes, the rows have %s", data.ErrLabels, map[bool]string{true: "one", false: "more"}[len(classes) < 2])
	}
	slices.SortFunc(classes, data.CompareClasses)
	return classes, nil
}

// halfspaceOrder is an order of the rows that depends on their values and classes alone.
func halfspaceOrder(train *data.Table, classes []string) []int {
	n, d := train.Dims()
	order := canonicalOrder(train.X(), n, d)
	for lo := 0; lo < n; { // equal rows by class
		hi := lo + 1
		for hi < n && slices.Equal(train.Row(order[lo]), train.Row(order[hi])) {
			hi++
		}
		slices.SortFunc(order[lo:hi], func(a, b int) int {
			return cmp.Compare(slices.Index(classes, train.ClassName(a)), slices.Index(classes, train.ClassName(b)))
		})
		lo = hi
	}
	return order
}

// halfspaceWhitener makes rows standard normal if they are normal: with all rows' mean and covariance, or not at all.
func halfspaceWhitener(train *data.Table, order []int, leave bool) (*part.Projection, error) {
	n, d := train.Dims()
	if leave {
		center, matrix := make([]float64, d), make([]float64, d*d)
		for j := range d {
			matrix[j*d+j] = 1
		}
		return &part.Projection{D: d, R: d, Center: center, Matrix: matrix}, nil
	}
	rows := make([]float64, n*d)
	first := train.Row(order[0]) // relative to a row, so that no digits are lost far from zero
	for k, i := range order {
		for j, v := range train.Row(i) {
			rows[k*d+j] = float64(v) - float64(first[j])
		}
	}
	center, matrix, ok := halfspaceWhiten(rows, n, d)
	if !ok {
		return nil, fmt.Errorf("%w: some columns are constant or combinations of others, over %d rows of %d columns; drop them", method.ErrDegenerate, n, d)
	}
	for j := range center {
		center[j] += float64(first[j])
	}
	return &part.Projection{D: d, R: d, Center: center, Matrix: matrix}, nil
}

// halfspaceWhiten returns the mean of the rows (n×d) and the triangular matrix that whitens their covariance. It subtracts the mean from the rows.
func halfspaceWhiten(rows []float64, n, d int) (mean, matrix []float64, ok bool) {
	mean = make([]float64, d)
	for at := 0; at < n*d; at += d {
		for j, v := range rows[at : at+d] {
			mean[j] += v / float64(n)
		}
	}
	for at := 0; at < n*d; at += d {
		for j := range d {
			rows[at+j] -= mean[j]
		}
	}
	cov := make([]float64, d*d)
	num.Syrk(true, d, n, 1/float64(n), rows, d, 0, cov, d)
	halfspaceMirror(cov, d)
	diagonal := make([]float64, d)
	for j := range d {
		diagonal[j] = cov[j*d+j]
	}
	chol, ok := num.NewChol(cov, d)
	if !ok {
		return nil, nil, false
	}
	l := chol.L()
	for j, v := range diagonal { // the part of a column's variance that columns before it leave
		if !(l[j*d+j]*l[j*d+j] > 1e-10*v) || v < 1e-250 {
			return nil, nil, false
		}
	}
	return mean, chol.Whitener(), true
}

// halfspaceMirror copies the upper triangle to the lower one.
func halfspaceMirror(a []float64, d int) {
	for i := range d {
		for j := range i {
			a[i*d+j] = a[j*d+i]
		}
	}
}

// halfspaceRows is whitened rows with signs for labels.
type halfspaceRows struct {
	z    []float64 // N×D
	y    []float64 // N: +1 or −1
	n, d int
}

// halfspaceHalves whitens the rows and deals them out, half to learn from and half to test.
func halfspaceHalves(train *data.Table, order []int, classes []string, white *part.Projection, seed uint64) (learn, test *halfspaceRows) {
	n, d := train.Dims()
	dealt := slices.Clone(order)
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(n, func(i, j int) { dealt[i], dealt[j] = dealt[j], dealt[i] })
	x := make([]float32, 0, n*d)
	all := &halfspaceRows{z: make([]float64, n*d), y: make([]float64, n), n: n, d: d}
	for k, i := range dealt {
		x = append(x, train.Row(i)...)
		if all.y[k] = -1; train.ClassName(i) == classes[0] {
			all.y[k] = 1
		}
	}
	white.Each(x, n, func(lo, hi int, z []float64) { copy(all.z[lo*d:hi*d], z) })
	cut := n / 2
	return &halfspaceRows{all.z[:cut*d], all.y[:cut], cut, d}, &halfspaceRows{all.z[cut*d:], all.y[cut:], n - cut, d}
}

// average is the mean of the rows times their signs: it points from one class to the other (the Chow vector).
func (h *halfspaceRows) average() []float64 {
	mean := make([]float64, h.d)
	num.Gemv(true, h.n, h.d, 1/float64(h.n), h.z, h.d, h.y, 0, mean)
	return mean
}

// orient turns the signs so that the average's first component that is not zero is positive, and says whether it had to.
func (h *halfspaceRows) orient() bool {
	for _, v := range h.average() {
		if v > 0 {
			return false
		}
		if v < 0 {
			h.flip()
			return true
		}
	}
	return false
}

func (h *halfspaceRows) flip() {
	for i := range h.y {
		h.y[i] = -h.y[i]
	}
}

// sides are the shares of the two classes on either side of a plane, with one row of each class added to both.
func (h *halfspaceRows) sides(w []float64) (p [4]float64) {
	count := [4]float64{1, 1, 1, 1}
	for i := range h.n {
		at := 0
		if dot(w, h.z[i*h.d:(i+1)*h.d]) < 0 {
			at = 2
		}
		if h.y[i] < 0 {
			at++
		}
		count[at]++
	}
	for k := range p {
		p[k] = count[k] / (count[k&2] + count[k&2+1])
	}
	return p
}

// errors counts rows on the wrong side.
func (h *halfspaceRows) errors(w []float64) (wrong int) {
	u := make([]float64, h.n)
	num.Gemv(false, h.n, h.d, 1, h.z, h.d, w, 0, u)
	for i, v := range u {
		if (v >= 0) != (h.y[i] > 0) {
			wrong++
		}
	}
	return wrong
}

// dot is the inner product.
func dot(a, b []float64) (sum float64) {
	for j, v := range a {
		sum += v * b[j]
	}
	return sum
}

// ramp is the smooth step of a width: 0 below −width/2, 1 above width/2, cubic between; slope is its derivative.
func ramp(u, width float64) float64 {
	s := min(max(u/width+0.5, 0), 1)
	return s * s * (3 - 2*s)
}

func rampSlope(u, width float64) float64 {
	s := min(max(u/width+0.5, 0), 1)
	return 6 * s * (1 - s) / width
}

// loss is the mean ramp of the rows' signed distances to the wrong side. gradient, where given, gets its gradient along the
// sphere of unit normals.
func (h *halfspaceRows) loss(w []float64, width float64, gradient []float64) (mean float64) {
	u := make([]float64, h.n)
	num.Gemv(false, h.n, h.d, 1, h.z, h.d, w, 0, u)
	along := 0.0
	for i, v := range u {
		mean += ramp(-h.y[i]*v, width) / float64(h.n)
		u[i] = -h.y[i] * rampSlope(v, width) // the slope is even
		along += u[i] * v / float64(h.n)
	}
	if gradient != nil {
		num.Gemv(true, h.n, h.d, 1/float64(h.n), h.z, h.d, u, 0, gradient)
		for j := range gradient {
			gradient[j] -= along * w[j]
		}
	}
	return mean
}

// Widths at which planes are learned, one after another, and how the descent is run.
var halfspaceWidths = []float64{2, 1, 0.5}

const (
	halfspaceStarts = 4  // the average and random ones, each with its negative
	halfspaceSteps  = 60 // at each width
	halfspaceApart  = 0.1
	halfspaceMost   = 8 // candidates
)

// descend follows the gradient along the sphere, halving the step until the loss falls.
func (h *halfspaceRows) descend(ctx context.Context, w []float64, width float64) ([]float64, error) {
	w = slices.Clone(w)
	gradient, next := make([]float64, h.d), make([]float64, h.d)
	at, rate := h.loss(w, width, gradient), 1.0
	for range halfspaceSteps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		steep := num.SquaredNorm(gradient)
		if steep < 1e-8 {
			break
		}
		moved := false
		for rate > 1e-6 {
			for j := range next {
				next[j] = w[j] - rate*gradient[j]
			}
			halfspaceUnit(next)
			if there := h.loss(next, width, nil); there < at-1e-4*rate*steep {
				moved = true
				break
			}
			rate /= 2
		}
		if !moved {
			break
		}
		copy(w, next)
		at = h.loss(w, width, gradient)
		rate *= 2
	}
	return w, nil
}

// halfspaceUnit scales a vector to length one; zero becomes the first axis.
func halfspaceUnit(w []float64) {
	length := math.Sqrt(num.SquaredNorm(w))
	if length == 0 {
		w[0], length = 1, 1
	}
	for j := range w {
		w[j] /= length
	}
}

// candidates are the planes at which the descents end, those of less error first, without the ones next to a better one.
func (h *halfspaceRows) candidates(ctx context.Context, seed uint64) ([][]float64, error) {
	r := rand.New(rand.NewPCG(seed, 2))
	type candidate struct {
		w     []float64
		wrong int
	}
	var found []candidate
	for start := range halfspaceStarts {
		w := h.average()
		if start > 0 {
			for j := range w {
				w[j] = r.NormFloat64()
			}
		}
		halfspaceUnit(w)
		for _, sign := range []float64{1, -1} {
			at := make([]float64, h.d)
			for j, v := range w {
				at[j] = sign * v
			}
			for _, width := range halfspaceWidths {
				var err error
				if at, err = h.descend(ctx, at, width); err != nil {
					return nil, err
				}
				one, wrong := slices.Clone(at), h.errors(at)
				if 2*wrong > h.n { // its negative is better
					for j := range one {
						one[j] = -one[j]
					}
					wrong = h.n - wrong
				}
				found = append(found, candidate{one, wrong})
			}
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.wrong, b.wrong) })
	var kept [][]float64
	for _, f := range found {
		near := slices.ContainsFunc(kept, func(w []float64) bool {
			return math.Abs(dot(w, f.w)) > math.Cos(halfspaceApart)
		})
		if !near && len(kept) < min(halfspaceMost, h.d) {
			kept = append(kept, f.w)
		}
	}
	return kept, nil
}

// halfspaceNoise is what labels may be wrong.
type halfspaceNoise struct {
	rate        float64 // Massart: of any row, at most
	adversarial bool    // any labels; rate means nothing then
}

// certify bounds the angle to the best plane and the error beyond its, each with 97.5 % confidence.
func (c halfspaceNoise) certify(test *halfspaceRows, w []float64) (cert TesterLearnerCertificate, err error) {
	if cert.Error, err = metric.Proportion(test.errors(w), test.n); err != nil {
		return cert, err
	}
	cert.Angle, cert.Excess, cert.Width = math.Pi/2, 0.5, halfspaceWidths[0]
	gradient := make([]float64, test.d)
	for _, width := range halfspaceWidths {
		test.loss(w, width, gradient)
		steep := math.Sqrt(num.SquaredNorm(gradient))
		if test.d > 1 { // what the held-back rows may hide, a Gaussian of at most this covariance
			tail := 1 - 0.025/float64(len(halfspaceWidths))
			steep += math.Sqrt(gaussianBand(width, func(_, k float64) float64 { return k * k }) / float64(test.n) * part.ChiSquaredQuantile(tail, test.d-1))
		}
		if angle := c.angle(width, steep, cert.Error.High); angle < cert.Angle {
			cert.Angle, cert.Width = angle, width
		}
	}
	if test.d == 1 { // there are only two planes, and both are candidates
		cert.Angle = 0
	}
	// At an angle of nearly π the gradient is small as well, but then nearly all rows are on the wrong side.
	far := (1 - c.rate) * (1 - cert.Angle/math.Pi)
	if c.adversarial {
		far = (1 - cert.Angle/math.Pi) / 2
	}
	if cert.Error.High >= far {
		cert.Angle = math.Pi / 2
	}
	cert.Excess = cert.Angle / math.Pi // planes at this angle disagree on this share of Gaussian rows
	return cert, nil
}

// gaussianBand is the integral of f(u, slope of the ramp at u) over a standard normal u, by Simpson's rule.
func gaussianBand(width float64, f func(u, slope float64) float64) float64 {
	const parts = 200
	step, sum := width/parts, 0.0
	for i := range parts + 1 {
		u := -width/2 + float64(i)*step
		weight := float64(2 + 2*(i%2))
		if i == 0 || i == parts {
			weight = 1
		}
		sum += weight * f(u, rampSlope(u, width)) * math.Exp(-u*u/2)
	}
	return sum * step / 3 / math.Sqrt(2*math.Pi)
}

// angle is the largest at which the gradient can be as small as it is. Let v be the direction in which the best plane's normal
// leaves w, u = <w,x> and z = <v,x>. Where |z| exceeds |u|/tan θ the best plane decides by the sign of z, so that labels
// add at least β·|z| to the gradient along v, β = 1 − 2·rate. Elsewhere it decides by the sign of u, and as the z of both signs
// are equally frequent, labels that are less often right on one side than on the other take at most (1−β)/2·|z| from it. With
// e = exp(−u²/(2 tan² θ)) the gradient is at least √(2/π)·E[S'(u)·(β·e − (1−β)/2·(1−e))].
// Adversarial labels are right, β = 1, but for a share of at most the plane's own error, which takes at most twice the mean of
// S'(u)·|z| over the rows where that is largest.
func (c halfspaceNoise) angle(width, steep, wrong float64) float64 {
	beta, taken := 1-2*c.rate, 0.0
	if c.adversarial {
		beta, taken = 1, 2*halfspaceTaken(width, wrong)
	}
	least := func(theta float64) float64 { return halfspaceSlope(width, theta, beta) - taken }
	lo, hi := 1e-9, math.Pi/2
	if least(hi) <= steep {
		return hi
	}
	for range 60 {
		mid := (lo + hi) / 2
		if least(mid) <= steep {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// halfspaceSlope is the least gradient along the way to a best plane at an angle.
func halfspaceSlope(width, theta, beta float64) float64 {
	tan := math.Tan(theta)
	return math.Sqrt(2/math.Pi) * gaussianBand(width, func(u, slope float64) float64 {
		e := math.Exp(-u * u / (2 * tan * tan))
		return slope * (beta*e - (1-beta)/2*(1-e))
	})
}

// halfspaceTaken is the largest mean of S'(u)·|v| over a set of the given probability, u and v standard normal.
func halfspaceTaken(width, probability float64) float64 {
	share := func(floor float64) float64 {
		return gaussianBand(width, func(_, k float64) float64 {
			if k == 0 {
				return 0
			}
			return math.Erfc(floor / k / math.Sqrt2)
		})
	}
	lo, hi := 0.0, 100/width
	for range 60 {
		mid := (lo + hi) / 2
		if share(mid) > probability {
			lo = mid
		} else {
			hi = mid
		}
	}
	return math.Sqrt(2/math.Pi) * gaussianBand(width, func(_, k float64) float64 {
		if k == 0 {
			return 0
		}
		return k * math.Exp(-lo*lo/(2*k*k))
	})
}
