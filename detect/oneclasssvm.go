package detect

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "side of the plane that keeps most training rows from the origin of a Gaussian kernel's feature space",
	Paper: "schoelkopf2001estimating",
}, OneClassSVM.Fit, loadOneClassSVM))

// OneClassSVM scores on which side of a smooth border around most of the training rows a row lies, and how far from it.
//
// It is the one-class support vector machine of Schölkopf et al. (2001) under a Gaussian kernel, which random Fourier features
// (Rahimi and Recht 2007) stand in for: the machine is linear in them, so time and memory grow with N and not with N².
// O(N·D·Projections) to fit and O(N·Projections) a step, O(D·Projections) a row to score; of the rows only the border is kept,
// 2·Projections weights. Prefer it for a smooth border around clouds of any shape; columns should share a unit.
//
// Fits on: Table N×D with N ≥ 2 rows that are not all equal, D ≥ 1; labels are ignored. While it fits it holds 2·Projections float64 values a row.
// Score:   N values, dimensionless, the border's offset less the weighted features, higher = farther outside; above 0 is outside, where at most about Share of the training rows lie.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: the kernel is approximate, off by about 1/√Projections; its width is relative to the training rows' spread. The dual is solved, by pairs of rows up to 1,500 of them and by accelerated projected gradients beyond, until the duality gap is at most 1e-3 of the objective, or 5,000 steps (a row) are over; [OneClassSVMModel.Gap] says where it ended.
// Source:  schoelkopf2001estimating, eq. (3.4)-(3.12); rahimi2007random, Algorithm 1.
// Claim:   claims/detect/oneclasssvm.go.
type OneClassSVM struct {
	// Share is the paper's ν: at most this share of the training rows lies outside, and at least this share shapes the border. Low values trust the training rows to be clean; high ones make the score follow their density.
	Share float64 `default:"0.5" range:"(0,1)"`
	// Bandwidth is the kernel's standard deviation, as a multiple of the root mean squared distance between two training rows. Lower follows finer shapes and needs more rows and more Projections.
	Bandwidth float64 `default:"0.5" range:"(0,1e6]" unit:"root mean squared distance between rows"`
	// Projections is how many random directions there are, each with a cosine and a sine.
	Projections int `default:"128" range:"[1,65536]"`
	// Seed starts the random numbers.
	Seed uint64
}

const (
	oneClassSVMGap   = 1e-3 // duality gap, as a share of the dual objective
	oneClassSVMSteps = 5000
	oneClassSVMFew   = 1500 // rows up to which all their products are computed
)

// Fit draws the features and solves for the border.
func (c OneClassSVM) Fit(ctx context.Context, train *data.Table) (*OneClassSVMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	x := canonicalRows(train)
	spread := oneClassSVMSpread(x, n, d)
	if spread == 0 {
		return nil, collapsedRows(n)
	}
	center := make([]float64, d) // a row, from which differences are exact wherever zero lies; the kernel does not mind
	for j := range center {
		center[j] = float64(x[n/2*d+j])
	}
	m := &OneClassSVMModel{project: &part.Projection{D: d, R: c.Projections, Center: center, Matrix: make([]float64, d*c.Projections)}}
	// Two rows are 2·spread apart in the mean square. Directions are N(0, 1/width²): the kernel's Fourier transform.
	width := c.Bandwidth * math.Sqrt(2*spread)
	random := rand.New(rand.NewPCG(c.Seed, 0))
	for i := range m.project.Matrix {
		m.project.Matrix[i] = random.NormFloat64() / width
	}
	r := 2 * c.Projections
	z := make([]float64, n*r)
	m.features(x, n, func(lo, hi int, block []float64) { copy(z[lo*r:hi*r], block) })
	s := &oneClassSVMSolver{z: z, n: n, r: r, top: 1 / (c.Share * float64(n)), share: c.Share}
	var err error
	if m.weights, m.offset, m.gap, err = s.solve(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// oneClassSVMSpread returns the sum of the columns' variances.
func oneClassSVMSpread(x []float32, n, d int) (spread float64) {
	mean := make([]float64, d)
	first := x[:d]
	for at := 0; at < n*d; at += d { // relative to a row, so that no digits are lost far from zero
		for j, v := range x[at : at+d] {
			mean[j] += (float64(v) - float64(first[j])) / float64(n)
		}
	}
	for at := 0; at < n*d; at += d {
		for j, v := range x[at : at+d] {
			e := float64(v) - float64(first[j]) - mean[j]
			spread += e * e / float64(n)
		}
	}
	return spread
}

// OneClassSVMModel is a fitted [OneClassSVM].
type OneClassSVMModel struct {
	project *part.Projection // D×Projections
	weights []float64        // 2·Projections
	offset  float64
	gap     float64
}

// features calls f with the random Fourier features of blocks of rows: cosines, then sines, of length one together.
// Several goroutines do, so blocks come in any order.
func (m *OneClassSVMModel) features(x []float32, n int, f func(lo, hi int, block []float64)) {
	p := m.project.R
	scale := 1 / math.Sqrt(float64(p))
	m.project.Each(x, n, func(lo, hi int, angles []float64) {
		block := make([]float64, 2*len(angles))
		for i := range hi - lo {
			row := block[2*i*p : 2*(i+1)*p]
			for k, a := range angles[i*p : (i+1)*p] {
				sin, cos := math.Sincos(a)
				row[k], row[p+k] = scale*cos, scale*sin
			}
		}
		f(lo, hi, block)
	})
}

// oneClassSVMSolver minimises ½‖Zᵀα‖² over 0 ≤ α ≤ top, Σα = 1: eq. (3.11)-(3.12).
type oneClassSVMSolver struct {
	z     []float64 // N×R
	n, r  int
	top   float64
	share float64
}

// products sets w to the border Zᵀα and out to Z·w.
func (s *oneClassSVMSolver) products(out, w, a []float64) {
	s.border(w, a)
	oneClassSVMTimes(out, s.z, w, s.n, s.r)
}

// border sets w to Zᵀα, added up in a fixed order.
func (s *oneClassSVMSolver) border(w, a []float64) {
	clear(w)
	const columns = 64
	num.Parallel((s.r+columns-1)/columns, 1+(1<<15)/(s.n*columns), func(lo, hi int) {
		from, to := lo*columns, min(hi*columns, s.r)
		part := w[from:to]
		for i, v := range a {
			if v == 0 {
				continue
			}
			for k, u := range s.z[i*s.r+from : i*s.r+to] {
				part[k] += v * u
			}
		}
	})
}

// oneClassSVMTimes sets out to the n×r matrix times x.
func oneClassSVMTimes(out, matrix, x []float64, n, r int) {
	num.Parallel(n, 1+(1<<15)/r, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := matrix[i*r : (i+1)*r]
			var a, b, c, d float64
			k := 0
			for ; k+4 <= r; k += 4 {
				u, v := row[k:k+4:k+4], x[k:k+4:k+4]
				a, b, c, d = a+u[0]*v[0], b+u[1]*v[1], c+u[2]*v[2], d+u[3]*v[3]
			}
			for ; k < r; k++ {
				a += row[k] * x[k]
			}
			out[i] = (a + b) + (c + d)
		}
	})
}

// solveFew is solve by moving weight between the two rows whose slopes differ most, which needs all products of rows.
func (s *oneClassSVMSolver) solveFew(ctx context.Context, w []float64) ([]float64, float64, float64, error) {
	n := s.n
	gram := make([]float64, n*n)
	num.Gemm(false, true, n, n, s.r, 1, s.z, s.r, s.z, s.r, 0, gram, n)
	a, slope, sorted := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range a {
		a[i] = 1 / float64(n)
	}
	oneClassSVMTimes(slope, gram, a, n, n)
	for k := 0; ; k++ {
		if k%(n/4+16) == 0 {
			if err := ctx.Err(); err != nil {
				return nil, 0, 0, err
			}
			if offset, gap := s.gap(a, slope, sorted); gap <= oneClassSVMGap || k >= oneClassSVMSteps*n {
				s.border(w, a)
				return w, offset, gap, nil
			}
		}
		up, down := -1, -1
		for i, v := range slope {
			if a[i] < s.top && (up < 0 || v < slope[up]) {
				up = i
			}
			if a[i] > 0 && (down < 0 || v > slope[down]) {
				down = i
			}
		}
		gain := slope[down] - slope[up]
		curve := gram[up*n+up] + gram[down*n+down] - 2*gram[up*n+down]
		move := min(s.top-a[up], a[down])
		if curve > 0 {
			move = min(move, max(gain, 0)/curve)
		}
		// Weights that reach a bound are put on it: what is left by rounding would be moved for ever.
		if a[up] = min(a[up]+move, s.top); s.top-a[up] < 1e-12*s.top {
			a[up] = s.top
		}
		if a[down] -= move; a[down] < 1e-12*s.top {
			a[down] = 0
		}
		p, q := gram[up*n:up*n+n], gram[down*n:down*n+n]
		for i := range slope {
			slope[i] += move * (p[i] - q[i])
		}
	}
}

// solve returns the border, its offset and the relative duality gap.
func (s *oneClassSVMSolver) solve(ctx context.Context) (w []float64, offset, gap float64, err error) {
	n := s.n
	w = make([]float64, s.r)
	if n <= oneClassSVMFew {
		return s.solveFew(ctx, w)
	}
	a, look, next := make([]float64, n), make([]float64, n), make([]float64, n)
	slope, held, sorted := make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range a {
		a[i] = 1 / float64(n)
	}
	s.products(held, w, a)
	step := 1 / s.curvature(held, w)
	copy(look, a)
	momentum := 1.0
	for k := 0; ; k++ {
		if err := ctx.Err(); err != nil {
			return nil, 0, 0, err
		}
		s.products(slope, w, look)
		if k%8 == 0 {
			offset, gap = s.gap(a, held, sorted)
			if gap <= oneClassSVMGap || k >= oneClassSVMSteps {
				s.border(w, a)
				return w, offset, gap, nil
			}
		}
		turn := 0.0
		for i := range next {
			next[i] = look[i] - step*slope[i]
		}
		s.feasible(next)
		for i := range next {
			turn += (look[i] - next[i]) * (next[i] - a[i])
		}
		if turn > 0 { // the momentum leads uphill
			momentum = 1
		}
		grown := (1 + math.Sqrt(1+4*momentum*momentum)) / 2
		for i := range next {
			look[i] = next[i] + (momentum-1)/grown*(next[i]-a[i])
		}
		momentum = grown
		a, next = next, a
		if k%8 == 7 {
			s.products(held, w, a)
		}
	}
}

// curvature returns a bound of the largest eigenvalue of Z·Zᵀ in the directions that keep Σα, by power iteration; the
// first products are those of equal α, whose direction is taken out.
func (s *oneClassSVMSolver) curvature(first, w []float64) float64 {
	v, out, value := slices.Clone(first), make([]float64, s.n), 0.0
	for range 12 {
		mean, length := 0.0, 0.0
		for _, x := range v {
			mean += x / float64(s.n)
		}
		for i := range v {
			v[i] -= mean
			length += v[i] * v[i]
		}
		if length == 0 {
			return 1
		}
		for i := range v {
			v[i] /= math.Sqrt(length)
		}
		s.products(out, w, v)
		mean = 0
		for _, x := range out {
			mean += x / float64(s.n)
		}
		value = 0
		for i := range out {
			value += v[i] * (out[i] - mean)
		}
		v, out = out, v
	}
	return max(1.1*value, 1e-6) // power iteration ends below
}

// gap returns the best offset for the border of a, whose products with the rows are given, and how far the primal
// objective lies above the dual one, as a share of it.
func (s *oneClassSVMSolver) gap(a, products, sorted []float64) (offset, gap float64) {
	square := 0.0
	for i, v := range products {
		square += a[i] * v
	}
	copy(sorted, products)
	slices.Sort(sorted)
	offset = sorted[min(int(math.Ceil(s.share*float64(s.n)))-1, s.n-1)] // the ν-quantile minimises the primal
	loss := 0.0
	for _, v := range products {
		loss += max(0, offset-v)
	}
	return offset, (square - offset + loss*s.top) / max(square/2, math.SmallestNonzeroFloat64)
}

// feasible moves a to the nearest point with 0 ≤ a ≤ top and Σa = 1: all values less one number, cut off.
func (s *oneClassSVMSolver) feasible(a []float64) {
	low, high := slices.Min(a)-s.top, slices.Max(a)
	shift := low
	for i := range a {
		shift += (a[i] - low) / float64(len(a))
	}
	shift -= 1 / float64(len(a))
	for range 100 {
		sum, free := -1.0, 0.0
		for _, v := range a {
			switch v -= shift; {
			case v >= s.top:
				sum += s.top
			case v > 0:
				sum += v
				free++
			}
		}
		if math.Abs(sum) < 1e-13 {
			break
		}
		if sum > 0 {
			low = shift
		} else {
			high = shift
		}
		if shift += sum / free; !(shift > low && shift < high) {
			shift = low + (high-low)/2
		}
	}
	for i := range a {
		a[i] = min(max(a[i]-shift, 0), s.top)
	}
}

// Score returns how far outside the border each row lies.
func (m *OneClassSVMModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("oneclasssvm", in, m.project.D); err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	out, r := make([]float64, n), len(m.weights)
	m.features(in.X(), n, func(lo, hi int, z []float64) {
		oneClassSVMTimes(out[lo:hi], z, m.weights, hi-lo, r)
	})
	for i := range out {
		out[i] = m.offset - out[i]
	}
	return out, nil
}

// Gap returns the relative duality gap at which the solver ended.
func (m *OneClassSVMModel) Gap() float64 { return m.gap }

// State returns the model as tensors.
func (m *OneClassSVMModel) State() *data.Checkpoint {
	d, p := m.project.D, m.project.R
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"center":     data.Float64Tensor(m.project.Center, d),
		"directions": data.Float64Tensor(m.project.Matrix, d, p),
		"weights":    data.Float64Tensor(m.weights, 2*p),
		"border":     data.Float64Tensor([]float64{m.offset, m.gap}, 2),
	}}
}

func loadOneClassSVM(_ OneClassSVM, st *data.Checkpoint) (*OneClassSVMModel, error) {
	r := st.Read()
	center, weights, border := r.Floats("center", -1), r.Floats("weights", -1), r.Floats("border", 2)
	d, p := len(center), len(weights)/2
	directions := r.Floats("directions", d, p)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if d == 0 || p == 0 || len(weights)%2 != 0 {
		return nil, fmt.Errorf("%w: %d weights for %d columns", data.ErrShape, len(weights), d)
	}
	return &OneClassSVMModel{&part.Projection{D: d, R: p, Center: center, Matrix: directions}, weights, border[0], border[1]}, nil
}
