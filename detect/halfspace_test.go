package detect

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// gaussianHalf draws standard normal rows whose sign is that of w, turned with the given probability.
func gaussianHalf(r *rand.Rand, n int, w []float64, noise float64) *halfspaceRows {
	d := len(w)
	h := &halfspaceRows{z: make([]float64, n*d), y: make([]float64, n), n: n, d: d}
	for i := range h.z {
		h.z[i] = r.NormFloat64()
	}
	for i := range h.y {
		h.y[i] = math.Copysign(1, dot(w, h.z[i*d:(i+1)*d]))
		if r.Float64() < noise {
			h.y[i] = -h.y[i]
		}
	}
	return h
}

// turned is an orthogonal matrix, d×d.
func turned(r *rand.Rand, d int) []float64 {
	a := make([]float64, d*d)
	for i := range a {
		a[i] = r.NormFloat64()
	}
	q, _ := num.QR(a, d, d)
	return q
}

func times(a, matrix []float64, n, d int) []float64 {
	out := make([]float64, n*d)
	num.Gemm(false, false, n, d, d, 1, a, d, matrix, d, 0, out, d)
	return out
}

func TestHalfspaceGradientIsTheSlopeOfTheLoss(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 0))
	h := gaussianHalf(r, 300, []float64{1, 0, 0, 0}, 0.2)
	for _, width := range []float64{2, 0.5} {
		w := []float64{0.5, -0.5, 0.5, 0.5}
		gradient := make([]float64, 4)
		h.loss(w, width, gradient)
		if along := dot(w, gradient); math.Abs(along) > 1e-15 {
			t.Errorf("width %g: the gradient leaves the sphere by %g", width, along)
		}
		for j := range w {
			side := func(by float64) float64 {
				x := slices.Clone(w)
				x[j] += by
				halfspaceUnit(x)
				return h.loss(x, width, nil)
			}
			// The ramp's third derivative is at most 12/width³; rows at its corners leave a little more.
			if slope := (side(1e-4) - side(-1e-4)) / 2e-4; math.Abs(slope-gradient[j]) > 1e-5 {
				t.Errorf("width %g, component %d: %v, by differences %v", width, j, gradient[j], slope)
			}
		}
	}
}

func TestHalfspaceDescentTurnsWithTheRows(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 0))
	h := gaussianHalf(r, 2000, []float64{1, 0, 0, 0, 0}, 0.1)
	q := turned(r, 5)
	g := &halfspaceRows{times(h.z, q, h.n, 5), h.y, h.n, 5}
	start := []float64{0.6, 0.8, 0, 0, 0}
	a, err := h.descend(t.Context(), start, 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := g.descend(t.Context(), times(start, q, 1, 5), 1)
	if err != nil {
		t.Fatal(err)
	}
	for j, v := range times(a, q, 1, 5) {
		if math.Abs(v-b[j]) > 1e-6 { // two roundings of 60 steps
			t.Errorf("component %d of the turned plane: %v, want %v", j, b[j], v)
		}
	}
	var have, want [testCount]statistic
	new(testSpace).plane(h.z, h.n, 5, a, 0, &want)
	new(testSpace).plane(g.z, g.n, 5, times(a, q, 1, 5), 0, &have)
	for k := range have {
		if math.Abs(have[k].value-want[k].value) > 0.02*(1+want[k].value) { // the eigenvalues are iterated from another start
			t.Errorf("%s: %v on turned rows, %v before", testNames[k], have[k].value, want[k].value)
		}
	}
}

func TestHalfspaceWithoutNoiseIsFound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	for _, c := range []struct{ n, d int }{{500, 3}, {2000, 10}, {4000, 2}} {
		w := make([]float64, c.d)
		for j := range w {
			w[j] = r.NormFloat64()
		}
		halfspaceUnit(w)
		found, err := gaussianHalf(r, c.n, w, 0).candidates(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		// A consistent plane errs on about d/n of new rows; the ramp gives a few times that.
		if angle := math.Acos(min(dot(w, found[0]), 1)); angle/math.Pi > 4*float64(c.d)/float64(c.n) {
			t.Errorf("%+v: the plane is %v off, want an error of about d/n = %v", c, angle/math.Pi, float64(c.d)/float64(c.n))
		}
	}
}

// TestHalfspaceSlope compares the closed form with a simulation of the labels that it is the worst case over.
func TestHalfspaceSlope(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 0))
	const n = 400_000
	for _, c := range []struct{ width, theta, rate float64 }{{1, 0.3, 0.25}, {2, 1, 0.4}, {0.5, 0.2, 0.1}, {1, math.Pi / 2, 0.25}, {2, 0.4, 0}} {
		sum, squares := 0.0, 0.0
		for range n {
			u, z := r.NormFloat64(), r.NormFloat64()
			best := math.Cos(c.theta)*u + math.Sin(c.theta)*z
			// Labels are wrong with the highest rate where being right would help to find the best plane, and right elsewhere.
			mean := math.Copysign(1, best)
			if mean*z > 0 {
				mean *= 1 - 2*c.rate
			}
			v := rampSlope(u, c.width) * mean * z
			sum, squares = sum+v, squares+v*v
		}
		have, want := halfspaceSlope(c.width, c.theta, 1-2*c.rate), sum/n
		if off := math.Abs(have - want); off > 4*math.Sqrt(squares)/n {
			t.Errorf("%+v: %v, simulated %v ± %v", c, have, want, math.Sqrt(squares)/n)
		}
	}
}

// TestHalfspaceTaken compares with the mean over the rows of a large sample for which it is largest.
func TestHalfspaceTaken(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 0))
	const n = 400_000
	for _, c := range []struct{ width, share float64 }{{1, 0.05}, {2, 0.01}, {0.5, 0.1}} {
		values := make([]float64, n)
		for i := range values {
			values[i] = rampSlope(r.NormFloat64(), c.width) * math.Abs(r.NormFloat64())
		}
		slices.Sort(values)
		want := 0.0
		for _, v := range values[n-int(c.share*n):] {
			want += v / n
		}
		if have := halfspaceTaken(c.width, c.share); math.Abs(have-want) > 0.02*want {
			t.Errorf("%+v: %v, of a sample %v", c, have, want)
		}
	}
}

// TestAngleIsDisagreement: planes at an angle disagree on angle/π of Gaussian rows.
func TestAngleIsDisagreement(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 0))
	h := gaussianHalf(r, 200_000, []float64{1, 0, 0}, 0)
	for _, angle := range []float64{0.1, 0.7, 1.5} {
		wrong := float64(h.errors([]float64{math.Cos(angle), math.Sin(angle), 0})) / float64(h.n)
		if want := angle / math.Pi; math.Abs(wrong-want) > 4*math.Sqrt(want/float64(h.n)) {
			t.Errorf("at %v: %v of the rows are on other sides, want %v", angle, wrong, want)
		}
	}
}

func TestSlabShares(t *testing.T) {
	sum := 0.0
	for k := range len(slabEdges) - 1 {
		sum += slabShare(k)
	}
	if math.Abs(sum-1) > 1e-15 {
		t.Errorf("slabs hold %v of all", sum)
	}
	// Tables of the normal distribution: P(|z| < 1) − P(|z| < 0.5).
	if have := slabShare(2); math.Abs(have-(0.682689492-0.382924923)) > 1e-9 {
		t.Errorf("between 0.5 and 1 lie %v", have)
	}
	// By another road: the integral of the ramp's slope, times one, over the band is its mean slope.
	have := gaussianBand(1, func(_, k float64) float64 { return k })
	want := 0.0
	for i := range 100_000 {
		u := -0.5 + (float64(i)+0.5)*1e-5
		want += 6 * (u + 0.5) * (0.5 - u) * math.Exp(-u*u/2) / math.Sqrt(2*math.Pi) * 1e-5
	}
	if math.Abs(have-want) > 1e-9 {
		t.Errorf("mean slope %v, by a sum %v", have, want)
	}
}

// TestMomentsTest compares with plain loops over rows.
func TestMomentsTest(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 0))
	const n, d = 50, 3
	rows := make([]float64, n*d)
	for i := range rows {
		rows[i] = r.ExpFloat64() - 1
	}
	moment := []float64{1, 0, 1, 0, 3, 0, 15, 0, 105}
	for degree := 1; degree <= 4; degree++ {
		want := 0.0
		for i := range d {
			for j := range d {
				for a := range degree + 1 {
					for b := 0; a+b <= degree; b++ {
						if a+b == 0 || i == j && b > 0 || i > j && b == 0 && a == 0 {
							continue
						}
						mean := 0.0
						for k := range n {
							mean += math.Pow(rows[k*d+i], float64(a)) * math.Pow(rows[k*d+j], float64(b)) / n
						}
						spread := math.Sqrt(moment[2*a]*moment[2*b] - math.Pow(moment[a]*moment[b], 2))
						want = max(want, math.Sqrt(n)*math.Abs(mean-moment[a]*moment[b])/spread)
					}
				}
			}
		}
		if have := new(testSpace).moments(rows, n, d, degree).value; math.Abs(have-want) > 1e-9*want {
			t.Errorf("degree %d: %v, by loops %v", degree, have, want)
		}
	}
}

// TestJointThresholds: no more tables than allowed reach them, and with the next lower ones more would.
func TestJointThresholds(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 0))
	simulated := make([][testCount]float64, 200)
	for b := range simulated {
		shared := r.NormFloat64()
		for k := range testCount {
			simulated[b][k] = 9 + shared*float64(k) + r.NormFloat64()
		}
	}
	at := jointThresholds(simulated, 0.1)
	reach := func(lower int) (count int) {
		low := at
		for k := range testCount {
			var all []float64
			for _, s := range simulated {
				all = append(all, s[k])
			}
			slices.Sort(all)
			low[k] = all[slices.Index(all, at[k])-lower]
		}
		for _, s := range simulated {
			for k := range s {
				if s[k] >= low[k] {
					count++
					break
				}
			}
		}
		return count
	}
	if have := reach(0); have > 20 { // 0.1·201
		t.Errorf("%d of 200 tables reach a threshold, want at most 20", have)
	}
	if have := reach(1); have <= 20 {
		t.Errorf("lower thresholds would do: %d of 200 tables reach them", have)
	}
}

func TestTurnTo(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 0))
	for _, w := range [][]float64{{1, 0, 0}, {-1, 0, 0}, {0, 1, 0}, {0.6, 0, -0.8}, {-0.6, 0.8, 0}} {
		row := []float64{r.NormFloat64(), r.NormFloat64(), r.NormFloat64()}
		out := make([]float64, 3)
		turnTo(out, row, 1, 3, w)
		if math.Abs(math.Abs(out[0])-math.Abs(dot(row, w))) > 1e-14 || math.Abs(num.SquaredNorm(out)-num.SquaredNorm(row)) > 1e-13 {
			t.Errorf("%v turned to %v: %v", row, w, out)
		}
	}
}

func TestLargestEigenvalue(t *testing.T) {
	r := rand.New(rand.NewPCG(10, 0))
	for _, d := range []int{1, 2, 7, 20} {
		x := make([]float64, 60*d)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		a := make([]float64, d*d)
		num.Syrk(true, d, 60, 1.0/60, x, d, 0, a, d)
		halfspaceMirror(a, d)
		values, _, ok := num.SymEigen(a, d)
		if !ok {
			t.Fatal("no eigenvalues")
		}
		have, want := largestEigenvalue(a, d, make([]float64, 2*d)), values[d-1]
		if have > want*(1+1e-12) || have < 0.95*want {
			t.Errorf("%d×%d: %v, want at most 5 %% below %v", d, d, have, want)
		}
	}
	if have := largestEigenvalue(make([]float64, 9), 3, make([]float64, 6)); have != 0 {
		t.Errorf("of zeros: %v", have)
	}
}
