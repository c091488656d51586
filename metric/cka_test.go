package metric

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// views are rows x of three columns of unequal size and y of two, which x and noise make.
func views(r *rand.Rand, n int) (x, y []float32) {
	for range n {
		a, b, c := 2*r.NormFloat64(), r.NormFloat64(), 0.5*r.NormFloat64()
		x = append(x, float32(a), float32(b), float32(c))
		y = append(y, float32(a+r.NormFloat64()), float32(b-c+0.5*r.NormFloat64()))
	}
	return x, y
}

// viewsCKA is that of views' population, from its covariances: rows (4, 0, 0), (0, 1, 0), (0, 0, ¼) of x, (5, 0), (0, 1.5) of y, and
// (4, 0), (0, 1), (0, −¼) between them.
var viewsCKA = (16 + 1 + 1./16) / math.Sqrt((16+1+1./16)*(25+2.25))

func TestLinearCKA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	for _, n := range []int{200, 3} { // through columns and through rows
		x, y := views(r, n)
		e := must(t)(LinearCKA(x, 3, y, 2))
		// By hand: the Frobenius products of centred Gram matrices.
		gram := func(v []float32, d int) [][]float64 {
			out := make([][]float64, n)
			for i := range out {
				out[i] = make([]float64, n)
				for j := range out[i] {
					for c := range d {
						mean := 0.0
						for k := range n {
							mean += float64(v[k*d+c]) / float64(n)
						}
						out[i][j] += (float64(v[i*d+c]) - mean) * (float64(v[j*d+c]) - mean)
					}
				}
			}
			return out
		}
		a, b := gram(x, 3), gram(y, 2)
		ab, aa, bb := 0.0, 0.0, 0.0
		for i := range n {
			for j := range n {
				ab, aa, bb = ab+a[i][j]*b[i][j], aa+a[i][j]*a[i][j], bb+b[i][j]*b[i][j]
			}
		}
		near(t, "by hand", e.Value, ab/math.Sqrt(aa*bb), 1e-12)
		if !(e.Low < e.Value && e.Value < e.High) {
			t.Errorf("%d rows: %v", n, e)
		}
		near(t, "the other way round", must(t)(LinearCKA(y, 2, x, 3)).Value, e.Value, 1e-12)
		near(t, "of itself", must(t)(LinearCKA(x, 3, x, 3)).Value, 1, 1e-12)
		turned := make([]float32, len(x)) // turned about an axis, scaled and moved
		for i := range n {
			p, q, s := float64(x[3*i]), float64(x[3*i+1]), float64(x[3*i+2])
			turned[3*i], turned[3*i+1], turned[3*i+2] = float32(7*(0.6*p-0.8*s)+100), float32(7*q-3), float32(7*(0.8*p+0.6*s))
		}
		near(t, "turned", must(t)(LinearCKA(turned, 3, y, 2)).Value, e.Value, 1e-5) // float32 at 100
		stretched := append([]float32(nil), x...)
		for i := range n {
			stretched[3*i] *= 3
		}
		if v := must(t)(LinearCKA(stretched, 3, y, 2)).Value; math.Abs(v-e.Value) < 1e-4 {
			t.Errorf("%d rows: one column stretched leaves %v", n, v)
		}
	}
	x, y := views(r, 50000)
	e := must(t)(LinearCKA(x, 3, y, 2))
	near(t, "of many rows", e.Value, viewsCKA, 0.01)
	huge, tiny := make([]float32, 8), make([]float32, 8)
	for i := range huge {
		huge[i], tiny[i] = float32(i*i)*1e36, float32(i*i)*1e-36
	}
	near(t, "huge and tiny", must(t)(LinearCKA(huge, 2, tiny, 2)).Value, 1, 1e-6)
}

func TestLinearCKACoverage(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 9))
	got := covered(t, 400, viewsCKA, func() (Estimate, error) { x, y := views(r, 200); return LinearCKA(x, 3, y, 2) })
	if got < 0.917 || got > 0.983 { // three standard errors
		t.Errorf("%.3f of the intervals hold the truth", got)
	}
}

func TestLinearCKARefuses(t *testing.T) {
	x, inf := []float32{1, 2, 3, 4}, float32(math.Inf(1))
	for name, c := range map[string]struct {
		x, y   []float32
		dx, dy int
		want   error
	}{
		"no rows":         {nil, nil, 1, 1, data.ErrShape},
		"one row":         {x, x, 4, 4, data.ErrShape},
		"broken rows":     {x, x, 3, 2, data.ErrShape},
		"other rows":      {x, x, 1, 2, data.ErrShape},
		"no columns":      {x, x, 0, 2, data.ErrShape},
		"infinite values": {x, []float32{1, inf, 2, 3}, 2, 2, data.ErrFinite},
		"equal rows":      {x, []float32{1, 2, 1, 2}, 2, 2, ErrRange},
	} {
		if _, err := LinearCKA(c.x, c.dx, c.y, c.dy); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LinearCKA(x, 2, x, 2, Interval{Level: 2}); !errors.Is(err, ErrRange) {
		t.Errorf("level 2: %v", err)
	}
}
