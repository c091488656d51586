package num

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"testing"
)

// nearestOracle sorts all distances.
func nearestOracle(q, ref []float32, n, d, k int) ([]float64, []int32) {
	dist, order := make([]float64, n), make([]int32, n)
	for r := range n {
		order[r] = int32(r)
		for j := range d {
			e := float64(q[j]) - float64(ref[r*d+j])
			dist[r] += e * e
		}
	}
	sort.SliceStable(order, func(a, b int) bool { return dist[order[a]] < dist[order[b]] })
	out := make([]float64, k)
	for i := range k {
		out[i] = dist[order[i]]
	}
	return out, order[:k]
}

// nearestData are the ways data can lie. Distances among equal or integer rows are exact, so ties are ties.
var nearestData = map[string]func(r *rand.Rand, i, j int) float32{
	"normal":    func(r *rand.Rand, _, _ int) float32 { return float32(r.NormFloat64()) },
	"far off":   func(r *rand.Rand, _, _ int) float32 { return 1e5 + float32(r.NormFloat64()) },
	"lattice":   func(r *rand.Rand, _, _ int) float32 { return float32(r.IntN(3)) },
	"equal":     func(*rand.Rand, int, int) float32 { return 1.5 },
	"two heaps": func(r *rand.Rand, i, _ int) float32 { return float32(i%2*4000) + float32(r.IntN(5)) },
	"one giant": func(r *rand.Rand, i, _ int) float32 {
		return float32(r.NormFloat64()) * [2]float32{1, 1e6}[min(1, i%97/96)]
	},
	"huge": func(r *rand.Rand, _, _ int) float32 { return 1e25 * float32(r.IntN(4)) },
	"tiny": func(r *rand.Rand, _, _ int) float32 { return 1e-30 * float32(r.IntN(4)) },
	"mixed huge": func(r *rand.Rand, i, _ int) float32 {
		return float32(math.Pow(10, float64(i%30-10))) * float32(r.IntN(4))
	},
}

func TestNearest(t *testing.T) {
	sizes := []struct{ nq, n, d, k int }{{1, 1, 1, 1}, {5, 20, 3, 20}, {9, 600, 17, 5}, {4, 1100, 33, 12}, {2, 700, 8, 600}, {6, 513, 1, 3}, {3, 9, 0, 4}, {30, 90, 20, 7}}
	onEveryPath(t, func(t *testing.T) {
		for name, value := range nearestData {
			if raceEnabled && name != "lattice" {
				continue // arithmetic alone, and slow here
			}
			r := rand.New(rand.NewPCG(17, 17))
			for _, s := range sizes {
				ref, query := make([]float32, s.n*s.d), make([]float32, s.nq*s.d)
				for i := range ref {
					ref[i] = value(r, i/max(s.d, 1), i%max(s.d, 1))
				}
				for i := range query {
					query[i] = value(r, i/max(s.d, 1), i%max(s.d, 1))
				}
				copy(query, ref[s.n/2*s.d:]) // the first queries are reference rows
				checkNearest(t, name, query, s.nq, ref, s.n, s.d, s.k)
			}
		}
	})
}

func checkNearest(t *testing.T, name string, query []float32, nq int, ref []float32, n, d, k int) {
	t.Helper()
	dist, index := make([]float64, nq*k), make([]int32, nq*k)
	Nearest(dist, index, query, nq, ref, n, d, k)
	for i := range nq {
		want, order := nearestOracle(query[i*d:i*d+d], ref, n, d, k)
		got, ix := dist[i*k:i*k+k], index[i*k:i*k+k]
		for j := range k {
			// The sums' order differs from the oracle's: below d roundings.
			tolerance := float64(d) * 0x1p-52 * want[j]
			if !(math.Abs(got[j]-want[j]) <= tolerance) {
				t.Fatalf("%s nq %d n %d d %d k %d: query %d, neighbour %d at %v, want %v", name, nq, n, d, k, i, j, got[j], want[j])
			}
			if ix[j] != order[j] && (want[j] == 0 || name != "normal" && name != "far off" && name != "one giant" && name != "mixed huge" && name != "huge" && name != "tiny") {
				t.Fatalf("%s nq %d n %d d %d k %d: query %d, neighbour %d is row %d, want row %d", name, nq, n, d, k, i, j, ix[j], order[j])
			}
			if name == "normal" && ix[j] != order[j] && want[j] != got[j] {
				t.Fatalf("normal: query %d, neighbour %d is row %d, want row %d", i, j, ix[j], order[j])
			}
		}
	}
}

func TestNearestOnManyThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 19))
	onEveryPath(t, func(t *testing.T) {
		for _, nq := range []int{2, 40, 700} {
			if raceEnabled && nq == 700 {
				continue
			}
			const n, d, k = 2100, 40, 9
			ref, query := normals[float32](r, n*d), normals[float32](r, nq*d)
			copy(ref[1500*d:1600*d], ref[:100*d]) // ties across parts
			copy(query, ref[50*d:51*d])
			run := func(procs int) ([]float64, []int32) {
				before := runtime.GOMAXPROCS(procs)
				defer runtime.GOMAXPROCS(before)
				dist, index := make([]float64, nq*k), make([]int32, nq*k)
				Nearest(dist, index, query, nq, ref, n, d, k)
				return dist, index
			}
			dist, index := run(1)
			for _, procs := range []int{2, 5} {
				dist2, index2 := run(procs)
				if !slices.Equal(dist, dist2) || !slices.Equal(index, index2) {
					t.Errorf("nq %d: GOMAXPROCS %d gave another answer than 1", nq, procs)
				}
			}
			if dist[0] != 0 || dist[1] != 0 || index[0] != 50 || index[1] != 1550 {
				t.Errorf("nq %d: a row in twice is found at %v %v, want rows 50 and 1550 at zero", nq, dist[:2], index[:2])
			}
			for i := range min(nq, 30) {
				alone, at := make([]float64, k), make([]int32, k)
				Nearest(alone, at, query[i*d:i*d+d], 1, ref, n, d, k)
				if !slices.Equal(alone, dist[i*k:i*k+k]) || !slices.Equal(at, index[i*k:i*k+k]) {
					t.Errorf("query %d has another answer alone than in a batch of %d", i, nq)
				}
				want, order := nearestOracle(query[i*d:i*d+d], ref, n, d, k)
				if !slices.Equal(order, at) || math.Abs(want[k-1]-alone[k-1]) > 1e-12*want[k-1] {
					t.Errorf("query %d: rows %v, want %v", i, at, order)
				}
			}
		}
	})
}

func BenchmarkNearest(b *testing.B) {
	const nq, n, d, k = 2000, 20000, 256, 50
	r := rand.New(rand.NewPCG(1, 1))
	ref, query := normals[float32](r, n*d), normals[float32](r, nq*d)
	dist, index := make([]float64, nq*k), make([]int32, nq*k)
	for b.Loop() {
		Nearest(dist, index, query, nq, ref, n, d, k)
	}
	b.ReportMetric(2*float64(nq*n*d)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
}

// TestNearestKth: at least k numbers are at most the bound, and in random order few more.
func TestNearestKth(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, n := range []int{1, 2, 7, 50, 512} {
		for _, k := range []int{1, 2, 21, 50, 300, 512} {
			if k > n {
				continue
			}
			dot, norm := make([]float32, n), make([]float32, n)
			for i := range dot {
				dot[i], norm[i] = float32(r.NormFloat64()), float32(r.IntN(3))
			}
			bound, held := nearestKth(nil, dot, norm, k), 0
			for i := range dot {
				if norm[i]-2*dot[i] <= bound {
					held++
				}
			}
			if held < k || held > 2*k+20 {
				t.Errorf("%d of %d are at most the bound, want %d and few more", held, n, k)
			}
			norm[0] = float32(math.NaN())
			if got := nearestKth(nil, dot, norm, n); !math.IsInf(float64(got), 1) {
				t.Errorf("fewer numbers than asked for: %g", got)
			}
		}
	}
}

func TestNearestEach(t *testing.T) {
	const nq, n, d, k = 30_000, 50, 2, 40 // more answers than are held at a time
	r := rand.New(rand.NewPCG(4, 4))
	query, ref := normals[float32](r, nq*d), normals[float32](r, n*d)
	dist, index := make([]float64, nq*k), make([]int32, nq*k)
	Nearest(dist, index, query, nq, ref, n, d, k)
	next := 0
	NearestEach(query, nq, ref, n, d, k, func(i int, squared []float64, nearest []int32) {
		if i != next || !slices.Equal(squared, dist[i*k:(i+1)*k]) || !slices.Equal(nearest, index[i*k:(i+1)*k]) {
			t.Fatalf("query %d: %v, want %v of query %d", i, squared, dist[next*k:(next+1)*k], next)
		}
		next++
	})
	if next != nq {
		t.Errorf("%d of %d queries were answered", next, nq)
	}
}
