package part

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// randomProjection is dense, or upper triangular as a whitener is.
func randomProjection(r *rand.Rand, d, k int, triangular bool) *Projection {
	p := &Projection{D: d, R: k, Center: make([]float64, d), Matrix: make([]float64, d*k)}
	for i := range d {
		p.Center[i] = r.NormFloat64()
		for j := range k {
			if !triangular || j >= i {
				p.Matrix[i*k+j] = r.NormFloat64()
			}
		}
	}
	return p
}

func randomRows(r *rand.Rand, n, d int) []float32 {
	x := make([]float32, n*d)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func TestProjectionAgreesWithDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	for _, s := range []struct {
		n, d, k    int
		triangular bool
	}{{1, 3, 3, true}, {300, 7, 4, false}, {70, 300, 300, true}, {600, 150, 150, true}, {40, 150, 150, true}, {65, 140, 260, true}, {65, 260, 140, true}, {65, 9, 0, false}} {
		p, x := randomProjection(r, s.d, s.k, s.triangular), randomRows(r, s.n, s.d)
		seen := make([]bool, s.n)
		var got = make([]float64, s.n*s.k)
		p.Each(x, s.n, func(lo, hi int, z []float64) {
			for i := lo; i < hi; i++ {
				seen[i] = true
			}
			copy(got[lo*s.k:hi*s.k], z)
		})
		if slices.Contains(seen, false) {
			t.Fatalf("%+v: a row is missing", s)
		}
		for i := range s.n {
			for j := range s.k {
				sum, size := 0.0, 0.0
				for a := range s.d {
					v := (float64(x[i*s.d+a]) - p.Center[a]) * p.Matrix[a*s.k+j]
					sum, size = sum+v, size+math.Abs(v)
				}
				if math.Abs(got[i*s.k+j]-sum) > float64(2*s.d+4)*0x1p-53*size {
					t.Fatalf("%+v: z[%d,%d] = %v, want %v", s, i, j, got[i*s.k+j], sum)
				}
			}
		}
	}
}

func TestProjectionBitsDependOnNoThreadNorNeighbour(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 2))
	const n, d, k = 700, 190, 5
	p, x := randomProjection(r, d, d, true), randomRows(r, n, d)
	targets := p.Targets(p.Points(make([]float64, k*d), k), k)
	all := func(x []float32, n, procs int) []float64 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
		out := make([]float64, n*k)
		p.SquaredDistances(x, n, targets, func(row int, distances []float64) { copy(out[row*k:], distances) })
		return out
	}
	want := all(x, n, 1)
	for _, procs := range []int{2, 3} {
		if !slices.Equal(all(x, n, procs), want) {
			t.Errorf("GOMAXPROCS %d gave other bits than 1", procs)
		}
	}
	for _, row := range []int{0, 300, 699} {
		if one := all(x[row*d:(row+1)*d], 1, 2); !slices.Equal(one, want[row*k:(row+1)*k]) {
			t.Errorf("row %d has other bits alone than among others", row)
		}
	}
}

func BenchmarkSquaredDistances(b *testing.B) {
	r := rand.New(rand.NewPCG(31, 3))
	const n, d, k = 2048, 768, 100
	p, x := randomProjection(r, d, d, true), randomRows(r, n, d)
	points := make([]float64, k*d)
	for i := range points {
		points[i] = r.NormFloat64()
	}
	targets, out := p.Targets(points, k), make([]float64, n)
	for b.Loop() {
		p.SquaredDistances(x, n, targets, func(row int, distances []float64) { out[row] = slices.Min(distances) })
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}
