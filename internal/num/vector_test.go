package num

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// vectorLengths are around the widths of vectors and of tails, and one that is shared out among threads.
var vectorLengths = []int{0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 100, 1000, 2*vectorGrain + 77}

// elementwise are the functions of vectors with their definition for one element. Arithmetic must have its very bits.
var elementwise = []struct {
	name string
	run  func(dst, x, y []float32)
	want func(dst, x, y float32) float32
}{
	{"Add", Add, func(_, x, y float32) float32 { return x + y }},
	{"Multiply", Multiply, func(_, x, y float32) float32 { return x * y }},
	{"AddProduct", AddProduct, func(dst, x, y float32) float32 { return dst + float32(x*y) }},
	{"Scale", func(dst, x, _ []float32) { Scale(dst, -1.7, x) }, func(_, x, _ float32) float32 { return -1.7 * x }},
	{"AddScaled", func(dst, x, _ []float32) { AddScaled(dst, -1.7, x) }, func(dst, x, _ float32) float32 { return dst + float32(-1.7*x) }},
	{"ShiftClip", func(dst, x, _ []float32) { ShiftClip(dst, x, 0.3, -0.5, 0.8) }, func(_, x, _ float32) float32 { return min(max(x+0.3, -0.5), 0.8) }},
	{"Blend", func(dst, x, y []float32) { Blend(dst, 0.9, x, 0.1, y) }, func(_, x, y float32) float32 { return float32(0.9*x) + float32(0.1*y) }},
	{"ReLU", func(dst, x, _ []float32) { ReLU(dst, x) }, func(_, x, _ float32) float32 { return max(x, 0) }},
	{"ReLUGradient", ReLUGradient, func(_, x, y float32) float32 {
		if x > 0 {
			return y
		}
		return 0
	}},
	{"TanhGradient", TanhGradient, func(_, x, y float32) float32 { return float32((1-x)*(1+x)) * y }},
	{"SigmoidGradient", SigmoidGradient, func(_, x, y float32) float32 { return float32((1-x)*x) * y }},
}

func TestElementwise(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		for _, f := range elementwise {
			r := rand.New(rand.NewPCG(31, 31))
			for _, n := range vectorLengths {
				x, y, dst := normals[float32](r, n), normals[float32](r, n), normals[float32](r, n+1)
				want := slices.Clone(dst)
				for i := range n {
					want[i] = f.want(dst[i], x[i], y[i])
				}
				if f.run(dst[:n], x, y); !slices.Equal(dst, want) {
					t.Errorf("%s of %d values: other bits than one at a time, or a value beside them changed", f.name, n)
				}
			}
		}
	})
}

// TestVectorsInPlace: dst may be an argument.
func TestVectorsInPlace(t *testing.T) {
	r := rand.New(rand.NewPCG(32, 32))
	x, y := normals[float32](r, 77), normals[float32](r, 77)
	onEveryPath(t, func(t *testing.T) {
		for _, a := range activations {
			want, got := make([]float32, 77), slices.Clone(x)
			a.run(want, x)
			if a.run(got, got); !slices.Equal(got, want) {
				t.Errorf("%s in place differs", a.name)
			}
		}
		for _, a := range gradients {
			want, first, second := make([]float32, 77), slices.Clone(x), slices.Clone(y)
			a.run(want, x, y)
			a.run(first, first, y)
			if a.run(second, x, second); !slices.Equal(first, want) || !slices.Equal(second, want) {
				t.Errorf("%s in place differs", a.name)
			}
		}
	})
}

// TestActivationBitsDependOnNoPlace: an element's bits are the same wherever it stands and on any number of threads.
func TestActivationBitsDependOnNoPlace(t *testing.T) {
	const n = 3*vectorGrain + 5
	r := rand.New(rand.NewPCG(33, 33))
	x := normals[float32](r, n)
	onEveryPath(t, func(t *testing.T) {
		for _, a := range activations {
			whole, parts := make([]float32, n), make([]float32, n)
			a.run(whole, x)
			for lo, step := 0, 1; lo < n; lo, step = lo+step, step*2+1 {
				hi := min(lo+step, n)
				a.run(parts[lo:hi], x[lo:hi])
			}
			if !slices.Equal(whole, parts) {
				t.Errorf("%s of parts differs from the whole", a.name)
			}
			before := runtime.GOMAXPROCS(1)
			a.run(parts, x)
			runtime.GOMAXPROCS(before)
			if !slices.Equal(whole, parts) {
				t.Errorf("%s on one thread differs", a.name)
			}
		}
	})
}

func TestVectorPathsAgreeInActivations(t *testing.T) {
	if len(available) < 3 {
		t.Skip("needs AVX-512 and AVX2")
	}
	before := active
	defer func() { active = before }()
	a, b, ones := make([]float32, 4096), make([]float32, 4096), make([]float32, 4096)
	for i := range ones {
		ones[i] = 1
	}
	compare := func(name string, x []float32, run func(dst []float32)) {
		active = available[0]
		run(a[:len(x)])
		active = available[1]
		run(b[:len(x)])
		for i, v := range x {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) && a[i] == a[i] {
				t.Fatalf("%s(%v) is %v on %s and %v on %s", name, v, a[i], available[0].name, b[i], available[1].name)
			}
		}
	}
	everyFloat(t, func(x []float32) {
		for _, f := range activations {
			compare(f.name, x, func(dst []float32) { f.run(dst, x) })
		}
		for _, f := range gradients {
			compare(f.name, x, func(dst []float32) { f.run(dst, x, ones[:len(x)]) })
		}
	})
}

func bigSum(n int, term func(i int) *big.Float) float64 {
	sum := new(big.Float).SetPrec(300)
	for i := range n {
		sum.Add(sum, term(i))
	}
	out, _ := sum.Float64()
	return out
}

func TestSums(t *testing.T) {
	r := rand.New(rand.NewPCG(34, 34))
	type result struct{ sum, dot, norm, norm64, scaled float64 }
	var first []result
	onEveryPath(t, func(t *testing.T) {
		r = rand.New(rand.NewPCG(34, 34))
		var results []result
		for _, n := range vectorLengths {
			x, y, x64, w := normals[float32](r, n), normals[float32](r, n), normals[float64](r, n), make([]float64, n)
			for i := range w {
				w[i] = math.Ldexp(1, r.IntN(9)-4)
			}
			got := result{Sum(x), Dot(x, y), SquaredNorm(x), SquaredNorm(x64), SquaredNormScaled(x64, w)}
			f := func(v float64) *big.Float { return new(big.Float).SetPrec(300).SetFloat64(v) }
			times := func(a, b float64) *big.Float { return f(a).Mul(f(a), f(b)) }
			want := result{
				bigSum(n, func(i int) *big.Float { return f(float64(x[i])) }),
				bigSum(n, func(i int) *big.Float { return times(float64(x[i]), float64(y[i])) }),
				bigSum(n, func(i int) *big.Float { return times(float64(x[i]), float64(x[i])) }),
				bigSum(n, func(i int) *big.Float { return times(x64[i], x64[i]) }),
				bigSum(n, func(i int) *big.Float { return times(x64[i]*w[i], x64[i]*w[i]) }),
			}
			// Roundings: a lane has n/16 of them (n/8 in float64, with one more for the product), of sums below n.
			tolerance := float64(n) * (float64(n)/8 + 6) * 0x1p-53
			for i, pair := range [][2]float64{{got.sum, want.sum}, {got.dot, want.dot}, {got.norm, want.norm}, {got.norm64, want.norm64}, {got.scaled, want.scaled}} {
				if i == 4 {
					tolerance *= 256 // w² ≤ 256
				}
				if !(math.Abs(pair[0]-pair[1]) <= tolerance) {
					t.Errorf("n %d, sum %d: %v, want %v", n, i, pair[0], pair[1])
				}
			}
			top := float32(math.Inf(-1))
			for i, v := range x {
				x[i] = v - 10 // all negative: a tail's zeros would show
				top = max(top, x[i])
			}
			if m := Max(x); m != top {
				t.Errorf("n %d: Max %v, want %v", n, m, top)
			}
			before := runtime.GOMAXPROCS(1)
			for i := range x {
				x[i] += 10
			}
			one := result{Sum(x), Dot(x, y), SquaredNorm(x), got.norm64, got.scaled}
			runtime.GOMAXPROCS(3)
			three := result{Sum(x), Dot(x, y), SquaredNorm(x), got.norm64, got.scaled}
			runtime.GOMAXPROCS(before)
			if one != three {
				t.Errorf("n %d: one thread gives %v, three give %v", n, one, three)
			}
			results = append(results, got)
		}
		if first == nil {
			first = results
		} else if !slices.Equal(first, results) {
			t.Errorf("sums have other bits than on %s", available[0].name)
		}
	})
}

func TestVectorsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	const cols = 64
	x, y, z, sums := make([]float32, 640), make([]float32, 640), make([]float32, 640), make([]float64, 10)
	other := make([]float64, 10)
	onEveryPath(t, func(t *testing.T) {
		got := testing.AllocsPerRun(20, func() {
			GELU(x, y)
			GELUGradient(x, y, z)
			Scale(x, 2, y)
			AddScaled(x, 2, y)
			Blend(x, 2, y, 3, z)
			ShiftClip(x, y, 1, 0, 6)
			Adam(x, y, z, x, AdamStep{UnbiasMean: 1, UnbiasSquare: 1})
			Dot(x, y)
			SquaredNorm(x)
			SquaredNorm(sums)
			SoftmaxRows(x, y, cols)
			SoftmaxRowsGradient(x, y, z, cols)
			LogSoftmaxRows(x, y, cols)
			LogSumExpRows(sums, y, cols)
			LayerNormRows(x, y, z[:cols], z[:cols], sums, other, cols, 1e-5)
			LayerNormRowsGradient(x, y[:cols], z[:cols], y, x, z[:cols], sums, other, cols)
			AddToRows(x, y[:cols])
			AddColumnSums(y[:cols], x)
		})
		if got >= 1 {
			t.Fatalf("%v allocations, want none", got)
		}
	})
}

func TestVectorsRefuseOtherLengths(t *testing.T) {
	for name, f := range map[string]func(){
		"Exp":       func() { Exp(make([]float32, 3), make([]float32, 4)) },
		"Add":       func() { Add(make([]float32, 3), make([]float32, 3), make([]float32, 4)) },
		"Scale":     func() { Scale(make([]float32, 3), 1, make([]float32, 2)) },
		"Blend":     func() { Blend(make([]float32, 3), 1, make([]float32, 2), 1, make([]float32, 3)) },
		"ShiftClip": func() { ShiftClip(make([]float32, 3), make([]float32, 2), 0, 0, 1) },
		"Adam": func() {
			Adam(make([]float32, 3), make([]float32, 3), make([]float32, 2), make([]float32, 3), AdamStep{})
		},
		"Dot":         func() { Dot(make([]float32, 3), make([]float32, 2)) },
		"SoftmaxRows": func() { SoftmaxRows(make([]float32, 6), make([]float32, 6), 4) },
		"LayerNormRows": func() {
			LayerNormRows(make([]float32, 6), make([]float32, 6), make([]float32, 3), make([]float32, 2), make([]float64, 2), make([]float64, 2), 3, 1)
		},
		"AddColumnSums": func() { AddColumnSums(make([]float32, 4), make([]float32, 6)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func BenchmarkSums(b *testing.B) {
	x, x64 := make([]float32, 8192), make([]float64, 8192)
	for _, p := range available {
		for name, f := range map[string]func(){
			"Sum": func() { Sum(x) }, "Dot": func() { Dot(x, x) }, "SquaredNorm": func() { SquaredNorm(x) }, "Max": func() { Max(x) },
			"SquaredNorm64": func() { SquaredNorm(x64) }, "SquaredNormScaled": func() { SquaredNormScaled(x64, x64) },
		} {
			b.Run(fmt.Sprintf("%s/%s", p.name, name), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				b.SetBytes(4 * 8192)
				for b.Loop() {
					f()
				}
			})
		}
	}
}

func BenchmarkElementwise(b *testing.B) {
	x, y, dst := make([]float32, 8192), make([]float32, 8192), make([]float32, 8192)
	for _, p := range available {
		for _, f := range elementwise {
			b.Run(fmt.Sprintf("%s/%s", p.name, f.name), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				b.SetBytes(4 * 8192)
				for b.Loop() {
					f.run(dst, x, y)
				}
			})
		}
	}
}

// The mean's bits against sums in any order by big numbers, where every sum is exact; one value that makes a sum lose something, or that
// is not finite, anywhere, is reported; bytes beside dst stay.
func TestExactMean(t *testing.T) {
	put := func(x []float32) []byte {
		b := make([]byte, 4*len(x))
		for i, v := range x {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(v))
		}
		return b
	}
	onEveryPath(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 33))
		for _, n := range vectorLengths {
			for m := 1; m <= 5; m++ {
				values, src := make([][]float32, m), make([][]byte, m)
				for k := range src {
					values[k] = normals[float32](r, n)
					for i, v := range values[k] { // no bit below 2^-40
						values[k][i] = float32(math.Round(float64(v)*0x1p40) * 0x1p-40)
					}
					src[k] = put(values[k])
				}
				dst := bytes.Repeat([]byte{7}, 4*n+8)
				if !ExactMean(dst[:4*n], src) {
					t.Fatalf("%d arrays of %d: exact sums are reported as inexact", m, n)
				}
				for i := range n {
					sum := new(big.Rat)
					for k := range m {
						sum.Add(sum, new(big.Rat).SetFloat64(float64(values[k][i])))
					}
					mean, _ := sum.Quo(sum, big.NewRat(int64(m), 1)).Float64()
					if got := math.Float32frombits(binary.LittleEndian.Uint32(dst[4*i:])); got != float32(mean) {
						t.Fatalf("%d arrays of %d, element %d: %v, want %v", m, n, i, got, float32(mean))
					}
				}
				if !bytes.Equal(dst[4*n:], bytes.Repeat([]byte{7}, 8)) {
					t.Fatalf("%d arrays of %d: bytes behind dst changed", m, n)
				}
				if n == 0 {
					continue
				}
				for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0x1p-120} {
					k, i := r.IntN(m), r.IntN(n)
					if bad == 0x1p-120 && (m == 1 || slices.ContainsFunc(values, func(v []float32) bool { return v[i] == 0 })) {
						continue
					}
					was := values[k][i]
					values[k][i] = bad
					src[k] = put(values[k])
					if ExactMean(dst[:4*n], src) {
						t.Fatalf("%d arrays of %d: %v as element %d of array %d is not reported", m, n, bad, i, k)
					}
					values[k][i] = was
					src[k] = put(values[k])
				}
			}
		}
	})
}
