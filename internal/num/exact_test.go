package num

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// gramFill names adversarial blocks of integers within ±2^GridBits.
var gramFill = map[string]func(r *rand.Rand, i, j int) float64{
	"edge":         func(*rand.Rand, int, int) float64 { return 1 << GridBits },
	"minus edge":   func(*rand.Rand, int, int) float64 { return -1 << GridBits },
	"checkerboard": func(_ *rand.Rand, i, j int) float64 { return math.Copysign(1<<GridBits, float64((i+j)%2)-0.5) },
	"cancelling":   func(_ *rand.Rand, i, j int) float64 { return math.Copysign(1<<GridBits-float64(j%3), float64(i%2)-0.5) },
	"mixed sizes": func(r *rand.Rand, _, _ int) float64 {
		return math.Copysign(float64(r.Uint64()>>(64-r.IntN(GridBits+1))), float64(r.IntN(2))-0.5)
	},
	"odd":         func(r *rand.Rand, _, _ int) float64 { return float64(2*r.IntN(1<<GridBits) + 1 - 1<<GridBits) },
	"minus zeros": func(*rand.Rand, int, int) float64 { return math.Copysign(0, -1) },
}

// bigGram is the Gram matrix by math/big, from products that big multiplies.
func bigGram(k []float64, n, d, ldk, a, b int) *big.Int {
	sum, term := new(big.Int), new(big.Int)
	x, y := new(big.Int), new(big.Int)
	for i := range n {
		term.Mul(x.SetInt64(int64(k[i*ldk+a])), y.SetInt64(int64(k[i*ldk+b])))
		sum.Add(sum, term)
	}
	return sum
}

func TestGramIntIsExact(t *testing.T) {
	const room = 3
	sizes := [][2]int{{0, 5}, {GramRows, 1}, {GramRows, 2}, {GramRows, 25}, {GramRows - 1, 49}, {1, 70}, {2, 31}, {3, 24}, {7, 48}, {130, 23}}
	for d := 1; d <= 70; d++ {
		sizes = append(sizes, [2]int{1 + d*7%13, d})
	}
	onEveryPath(t, func(t *testing.T) {
		for name, fill := range gramFill {
			r := rand.New(rand.NewPCG(7, 7))
			for s, size := range sizes {
				if testing.Short() && s%3 != 0 {
					continue
				}
				n, d := size[0], size[1]
				ldk := d + room
				k := make([]float64, max(n*ldk, 1))
				for i := range n {
					for j := range ldk {
						k[i*ldk+j] = math.NaN() // beside the block: must not be read into a sum
						if j < d {
							k[i*ldk+j] = fill(r, i, j)
						}
					}
				}
				acc := make([]int64, d*d)
				start := make([]int64, d*d)
				for i := range acc {
					start[i] = r.Int64N(1<<40) - 1<<39
					acc[i] = start[i]
				}
				GramInt(acc, k, n, d, ldk)
				for a := range d {
					for b := range d {
						want := big.NewInt(start[a*d+b])
						if b >= a {
							want.Add(want, bigGram(k, n, d, ldk, a, b))
						}
						if got := acc[a*d+b]; !want.IsInt64() || want.Int64() != got {
							t.Fatalf("%s n %d d %d: acc[%d,%d] = %d, want %v", name, n, d, a, b, got, want)
						}
					}
				}
			}
		}
	})
}

// TestGramIntHoldsItsBlocks runs the 1023 fullest blocks that the doc allows into one accumulator.
func TestGramIntHoldsItsBlocks(t *testing.T) {
	const d = 3
	k := make([]float64, GramRows*d)
	for i := range k {
		k[i] = 1 << GridBits
	}
	onEveryPath(t, func(t *testing.T) {
		acc := make([]int64, d*d)
		for range 1023 {
			GramInt(acc, k, GramRows, d, d)
		}
		want := new(big.Int).Mul(big.NewInt(1023*GramRows), new(big.Int).Lsh(big.NewInt(1), 2*GridBits))
		if !want.IsInt64() || acc[0] != want.Int64() || acc[5] != want.Int64() || acc[3] != 0 {
			t.Fatalf("acc = %v, want %v above the diagonal", acc, want)
		}
	})
}

func TestGramIntOnManyThreads(t *testing.T) {
	const n, d = 500, 380
	if n*d*d/2 < gramGrain {
		t.Fatal("the block is too small to be shared out")
	}
	r := rand.New(rand.NewPCG(3, 3))
	k := make([]float64, n*d)
	for i := range k {
		k[i] = gramFill["mixed sizes"](r, 0, 0)
	}
	want := make([]int64, d*d)
	for i := range n {
		for a := range d {
			for b := a; b < d; b++ {
				want[a*d+b] += int64(k[i*d+a]) * int64(k[i*d+b])
			}
		}
	}
	onEveryPath(t, func(t *testing.T) {
		acc := make([]int64, d*d)
		GramInt(acc, k, n, d, d)
		for i, v := range want {
			if acc[i] != v {
				t.Fatalf("acc[%d,%d] = %d, want %d", i/d, i%d, acc[i], v)
			}
		}
	})
}

func TestGrid(t *testing.T) {
	specials := []float32{0, 0.5, 1.5, 2.5, -0.5, -1.5, 1e-30, -1e-30, 3e38, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1 << 22, -(1 << 22), 1<<22 + 1, 4194304.5}
	r := rand.New(rand.NewPCG(5, 5))
	onEveryPath(t, func(t *testing.T) {
		for d := 1; d <= 37; d++ {
			for _, n := range []int{1, 3} {
				ldd := d + d%3
				scale, origin := make([]float64, d), make([]float64, d)
				for j := range d {
					scale[j] = math.Ldexp(1, r.IntN(21)-10)
					origin[j] = math.RoundToEven(r.NormFloat64() * 100)
				}
				for _, odd := range []float32{0, specials[r.IntN(len(specials))]} {
					x := make([]float32, n*d)
					for i := range x {
						x[i] = float32(r.NormFloat64())
					}
					at := r.IntN(n * d)
					x[at] = odd
					if odd != 0 {
						scale[at%d], origin[at%d] = 1, 0
					}
					dst := make([]float64, n*ldd+1)
					for i := range dst {
						dst[i] = 77
					}
					inside := Grid(dst, ldd, x, n, d, scale, origin)
					want := true
					for i := range n {
						for j := range ldd {
							got := dst[i*ldd+j]
							if j >= d {
								if got != 77 {
									t.Fatalf("d %d: wrote beside row %d", d, i)
								}
								continue
							}
							k := gridOracle(x[i*d+j], scale[j], origin[j])
							if math.IsNaN(k) || math.Abs(k) > 1<<GridBits {
								want = false
							}
							if math.Float64bits(k) != math.Float64bits(got) && !(math.IsNaN(k) && math.IsNaN(got)) {
								t.Fatalf("d %d: x %v scale %v origin %v gave %v, want %v", d, x[i*d+j], scale[j], origin[j], got, k)
							}
						}
					}
					if inside != want || dst[n*ldd] != 77 {
						t.Fatalf("d %d n %d with %v: inside = %v, want %v", d, n, odd, inside, want)
					}
				}
			}
		}
	})
}

// gridOracle rounds the exact difference by math/big; the product is exact when scale is a power of two.
func gridOracle(x float32, scale, origin float64) float64 {
	if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
		return float64(x)
	}
	v, _ := new(big.Float).SetPrec(53).Sub(big.NewFloat(float64(x)*scale), big.NewFloat(origin)).Float64()
	floor := math.Floor(v)
	k := floor
	if f := v - floor; f > 0.5 || f == 0.5 && math.Mod(floor, 2) != 0 {
		k++
	}
	if k == 0 {
		return math.Copysign(0, v)
	}
	return k
}

func TestAddInt(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 9))
	onEveryPath(t, func(t *testing.T) {
		for n := range 40 {
			x, acc, want := make([]float64, n), make([]int64, n+1), make([]int64, n+1)
			for i := range x {
				v := r.Int64N(1<<53) - 1<<52
				if i%5 == 0 {
					v = []int64{1 << 53, -1 << 53, 1<<32 + 1, -1<<31 - 1, 1<<51 + 1, 1<<22 - 1, 0}[r.IntN(7)]
				}
				x[i], acc[i] = float64(v), r.Int64N(1<<60)
				want[i] = acc[i] + v
			}
			acc[n], want[n] = 5, 5
			AddInt(acc, x)
			if fmt.Sprint(acc) != fmt.Sprint(want) {
				t.Fatalf("n %d: %v, want %v", n, acc, want)
			}
		}
	})
}

func TestBounds(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 21))
	onEveryPath(t, func(t *testing.T) {
		for _, d := range []int{1, 31, 32, 63, 64, 65, 130, 192} {
			for _, n := range []int{0, 1, 15, 16, 33} {
				x := normals[float32](r, n*d)
				low, high, wantLow, wantHigh := make([]float32, d+1), make([]float32, d+1), make([]float32, d+1), make([]float32, d+1)
				for j := range low {
					low[j], high[j] = -float32(r.IntN(3)), float32(r.IntN(3))
					wantLow[j], wantHigh[j] = low[j], high[j]
				}
				if n > 1 {
					x[d-1], x[0] = float32(math.NaN()), float32(math.Inf(-1))
					x[d] = math.Float32frombits(0xff800001) // a signalling one
				}
				for i, v := range x {
					if v < wantLow[i%d] {
						wantLow[i%d] = v
					}
					if v > wantHigh[i%d] {
						wantHigh[i%d] = v
					}
				}
				if Bounds(low, high, x, n, d); !slices.Equal(low, wantLow) || !slices.Equal(high, wantHigh) {
					t.Fatalf("n %d d %d: %v to %v, want %v to %v", n, d, low, high, wantLow, wantHigh)
				}
			}
		}
	})
}

func TestCenter(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 22))
	onEveryPath(t, func(t *testing.T) {
		for _, d := range []int{1, 7, 8, 9, 16, 31, 130} {
			for _, n := range []int{0, 1, 5} {
				x, center := normals[float32](r, n*d), normals[float64](r, d)
				got, want := make([]float64, n*d+1), make([]float64, n*d+1)
				got[n*d], want[n*d] = 7, 7
				for i, v := range x {
					want[i] = float64(v) - center[i%d]
				}
				if Center(got, x, center, n, d); !slices.Equal(got, want) {
					t.Fatalf("n %d d %d: %v, want %v", n, d, got, want)
				}
			}
		}
	})
}

func TestGramIntAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	const n, d = 64, 50
	k, acc := make([]float64, n*d), make([]int64, d*d)
	onEveryPath(t, func(t *testing.T) {
		if got := testing.AllocsPerRun(20, func() { GramInt(acc, k, n, d, d) }); got >= 1 {
			t.Fatalf("%v allocations a call, want none", got)
		}
	})
}

func BenchmarkGramInt(b *testing.B) {
	for _, p := range available {
		for _, d := range []int{64, 256, 512, 768} {
			b.Run(fmt.Sprintf("%s/%d", p.name, d), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				k, acc := make([]float64, GramRows*d), make([]int64, d*d)
				for i := range k {
					k[i] = float64(i % 1001)
				}
				for b.Loop() {
					GramInt(acc, k, GramRows, d, d)
				}
				b.ReportMetric(float64(GramRows*d*(d+1))*float64(b.N)/b.Elapsed().Seconds()/1e9, "GF/s")
			})
		}
	}
}

func BenchmarkGrid(b *testing.B) {
	const n, d = GramRows, 512
	x, dst, one := make([]float32, n*d), make([]float64, n*d), make([]float64, d)
	for _, p := range available {
		b.Run(p.name, func(b *testing.B) {
			before := active
			defer func() { active = before }()
			active = p
			b.SetBytes(n * d * 4)
			for b.Loop() {
				Grid(dst, d, x, n, d, one, one)
			}
		})
	}
}
