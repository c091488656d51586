package num

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// rowSizes are rows × columns around the groups of sixteen, and one that is shared out among threads.
var rowSizes = [][2]int{{1, 1}, {3, 2}, {5, 7}, {4, 8}, {3, 15}, {2, 16}, {6, 17}, {3, 31}, {2, 33}, {5, 64}, {2, 1000}, {700, 130}}

// onEveryPathAndThreads runs a test on each path, with one thread and with three.
func onEveryPathAndThreads(t *testing.T, f func(t *testing.T)) {
	onEveryPath(t, func(t *testing.T) {
		for _, procs := range []int{1, 3} {
			before := runtime.GOMAXPROCS(procs)
			f(t)
			runtime.GOMAXPROCS(before)
		}
	})
}

// softmaxOracle returns the probabilities and the logarithm of the sum, in float64.
func softmaxOracle(x []float32) ([]float64, float64) {
	top := math.Inf(-1)
	for _, v := range x {
		top = max(top, float64(v))
	}
	p, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		p[i] = math.Exp(float64(v) - top)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p, top + math.Log(sum)
}

func TestSoftmaxRows(t *testing.T) {
	fills := map[string]func(r *rand.Rand) float32{
		"normal": func(r *rand.Rand) float32 { return float32(r.NormFloat64()) },
		"wide":   func(r *rand.Rand) float32 { return float32(30 * r.NormFloat64()) },
		"far off": func(r *rand.Rand) float32 {
			return 3000 + float32(r.NormFloat64())*10
		},
		"masked": func(r *rand.Rand) float32 {
			if r.IntN(2) == 0 {
				return float32(math.Inf(-1))
			}
			return float32(r.NormFloat64())
		},
		"huge": func(r *rand.Rand) float32 { return []float32{math.MaxFloat32, -math.MaxFloat32, 1, 3e38}[r.IntN(4)] },
	}
	for name, fill := range fills {
		for _, size := range rowSizes {
			rows, cols := size[0], size[1]
			if raceEnabled && rows*cols > 10_000 && name != "normal" {
				continue
			}
			r := rand.New(rand.NewPCG(41, 41))
			x := make([]float32, rows*cols)
			for i := range x {
				if x[i] = fill(r); i%cols == 0 && name == "masked" {
					x[i] = 0
				}
			}
			want, sums := make([]float64, 0, len(x)), make([]float64, rows)
			for i := range rows {
				var p []float64
				p, sums[i] = softmaxOracle(x[i*cols : (i+1)*cols])
				want = append(want, p...)
			}
			worst := 0.0
			onEveryPathAndThreads(t, func(t *testing.T) {
				y := slices.Clone(x)
				SoftmaxRows(y, y, cols)
				for i, v := range y {
					worst = max(worst, ulps(v, want[i]))
					if !(ulps(v, want[i]) <= 2.5) {
						t.Fatalf("%s %d×%d: softmax[%d] = %v, want %v", name, rows, cols, i, v, want[i])
					}
				}
				z := slices.Clone(x)
				LogSoftmaxRows(z, z, cols)
				for i, v := range z {
					exact := float64(x[i]) - sums[i/cols]
					if math.IsInf(exact, -1) && math.IsInf(float64(v), -1) {
						continue
					}
					// One rounding, and the sum's own error; the oracle's: a place of the largest logarithm.
					if !(math.Abs(float64(v)-exact) <= math.Abs(exact)*0x1p-24+0x1p-23+math.Abs(sums[i/cols])*0x1p-51) && !math.IsInf(float64(float32(exact)), 0) {
						t.Fatalf("%s %d×%d: log-softmax[%d] = %v, want %v", name, rows, cols, i, v, exact)
					}
				}
				got := make([]float64, rows)
				LogSumExpRows(got, x, cols)
				for i, v := range got {
					if !(math.Abs(v-sums[i]) <= 0x1p-50+math.Abs(sums[i])*0x1p-52) {
						t.Fatalf("%s %d×%d: log-sum-exp[%d] = %v, want %v", name, rows, cols, i, v, sums[i])
					}
				}
			})
			t.Logf("%s %d×%d: %.2f units", name, rows, cols, worst)
		}
	}
}

func TestSoftmaxRowsOfSpecials(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	onEveryPath(t, func(t *testing.T) {
		for _, row := range [][]float32{{1, nan, 2}, {1, inf, 2}, {-inf, -inf, -inf}} {
			y := slices.Clone(row)
			SoftmaxRows(y, y, 3)
			for _, v := range y {
				if row[1] != row[1] && v == v || row[0] == -inf && v == v {
					t.Errorf("softmax of %v is %v, want NaN", row, y)
				}
			}
		}
		// A row's neighbours stay what they are.
		x := []float32{0, 0, nan, 1, -inf, 0}
		SoftmaxRows(x, x, 2)
		if x[0] != 0.5 || x[1] != 0.5 || x[2] == x[2] || x[4] != 0 || x[5] != 1 {
			t.Errorf("softmax beside a NaN: %v", x)
		}
	})
}

// gradientBy checks a gradient against differences of the loss Σ dy·f(x) in float64.
func gradientBy(loss func() float64, x *float32) float64 {
	const step = 1.0 / 256
	at := *x
	*x = at + step
	up := loss()
	*x = at - step
	down := loss()
	*x = at
	return (up - down) / (2 * step)
}

func TestSoftmaxRowsGradient(t *testing.T) {
	var first [][]float32
	onEveryPathAndThreads(t, func(t *testing.T) {
		var results [][]float32
		r := rand.New(rand.NewPCG(42, 42))
		for _, size := range rowSizes {
			rows, cols := size[0], size[1]
			x, dy, y := normals[float32](r, rows*cols), normals[float32](r, rows*cols), make([]float32, rows*cols)
			for i := range rows {
				p, _ := softmaxOracle(x[i*cols : (i+1)*cols])
				for j, v := range p {
					y[i*cols+j] = float32(v)
				}
			}
			dx := slices.Clone(dy)
			SoftmaxRowsGradient(dx, y, dx, cols)
			results = append(results, dx)
			if rows > 10 {
				continue
			}
			for i := range x {
				row := i / cols * cols
				want := gradientBy(func() float64 {
					p, _ := softmaxOracle(x[row : row+cols])
					s := 0.0
					for j, v := range p {
						s += v * float64(dy[row+j])
					}
					return s
				}, &x[i])
				if !(math.Abs(float64(dx[i])-want) <= 1e-5) { // the differences' own error: step²
					t.Fatalf("%d×%d: gradient[%d] = %v, want %v", rows, cols, i, dx[i], want)
				}
			}
		}
		if first == nil {
			first = results
		}
		for i := range results {
			if !slices.Equal(results[i], first[i]) {
				t.Errorf("%v: other bits than on %s", rowSizes[i], available[0].name)
			}
		}
	})
}

// layerNormOracle is the definition, in float64.
func layerNormOracle(x []float32, gain, shift []float32, epsilon float64) []float64 {
	mean, square := 0.0, 0.0
	for _, v := range x {
		mean += float64(v) / float64(len(x))
	}
	for _, v := range x {
		square += (float64(v) - mean) * (float64(v) - mean) / float64(len(x))
	}
	out := make([]float64, len(x))
	for j, v := range x {
		out[j] = (float64(v)-mean)/math.Sqrt(square+epsilon)*float64(gain[j]) + float64(shift[j])
	}
	return out
}

func TestLayerNormRows(t *testing.T) {
	const epsilon = 1e-5
	var first [][]float32
	onEveryPathAndThreads(t, func(t *testing.T) {
		var results [][]float32
		for _, offset := range []float32{0, 1000} {
			r := rand.New(rand.NewPCG(43, 43))
			for _, size := range rowSizes {
				rows, cols := size[0], size[1]
				x, gain, shift := normals[float32](r, rows*cols), normals[float32](r, cols), normals[float32](r, cols)
				for i := range x {
					x[i] += offset
				}
				mean, inverse := make([]float64, rows), make([]float64, rows)
				y := slices.Clone(x)
				LayerNormRows(y, y, gain, shift, mean, inverse, cols, epsilon)
				results = append(results, y)
				for i := range rows {
					want := layerNormOracle(x[i*cols:(i+1)*cols], gain, shift, epsilon)
					for j, v := range y[i*cols : (i+1)*cols] {
						// Three roundings of at most √cols·|gain| and of the sum; far off, float64's mean is the oracle's limit.
						size := math.Abs(want[j]-float64(shift[j]))*2 + math.Abs(want[j])
						if !(math.Abs(float64(v)-want[j]) <= size*0x1p-24+1e-10) {
							t.Fatalf("offset %v, %d×%d: [%d,%d] = %v, want %v", offset, rows, cols, i, j, v, want[j])
						}
					}
				}
				dy, dx := normals[float32](r, rows*cols), make([]float32, rows*cols)
				dgain, dshift := normals[float32](r, cols), normals[float32](r, cols)
				had, hadShift := slices.Clone(dgain), slices.Clone(dshift)
				LayerNormRowsGradient(dx, dgain, dshift, dy, x, gain, mean, inverse, cols)
				results = append(results, dx, dgain, dshift)
				if offset == 0 && rows < 10 {
					checkLayerNormGradient(t, x, gain, shift, dy, dx, epsilon)
				}
				for j := range cols {
					sum, sumShift := float64(had[j]), float64(hadShift[j])
					for i := range rows {
						sum += float64(dy[i*cols+j]) * (float64(x[i*cols+j]) - mean[i]) * inverse[i]
						sumShift += float64(dy[i*cols+j])
					}
					if !(math.Abs(float64(dgain[j])-sum) <= math.Abs(sum)*0x1p-24+1e-9) || !(math.Abs(float64(dshift[j])-sumShift) <= math.Abs(sumShift)*0x1p-24+1e-9) {
						t.Fatalf("%d×%d: dgain, dshift[%d] = %v, %v, want %v, %v", rows, cols, j, dgain[j], dshift[j], sum, sumShift)
					}
				}
			}
		}
		if first == nil {
			first = results
		}
		for i := range results {
			if !slices.Equal(results[i], first[i]) {
				t.Errorf("result %d: other bits than on %s", i, available[0].name)
			}
		}
	})
}

func checkLayerNormGradient(t *testing.T, x, gain, shift, dy, dx []float32, epsilon float64) {
	t.Helper()
	cols := len(gain)
	if cols < 3 || cols > 100 { // two values are ±1 whatever they are: differences say nothing
		return
	}
	for i := range x {
		row := i / cols * cols
		want := gradientBy(func() float64 {
			s := 0.0
			for j, v := range layerNormOracle(x[row:row+cols], gain, shift, epsilon) {
				s += v * float64(dy[row+j])
			}
			return s
		}, &x[i])
		if !(math.Abs(float64(dx[i])-want) <= 1e-3*(1+math.Abs(want))) { // the differences' own error: step² by the curvature
			t.Fatalf("%d columns: dx[%d] = %v, want %v", cols, i, dx[i], want)
		}
	}
}

func TestColumnSumsAndShifts(t *testing.T) {
	var first [][]float32
	onEveryPathAndThreads(t, func(t *testing.T) {
		var results [][]float32
		r := rand.New(rand.NewPCG(44, 44))
		for _, size := range append(rowSizes, [2]int{30_000, 5}) {
			rows, cols := size[0], size[1]
			x, dst := normals[float32](r, rows*cols), normals[float32](r, cols)
			want := make([]float64, cols)
			for j := range want {
				want[j] = float64(dst[j])
			}
			for i, v := range x {
				want[i%cols] += float64(v)
			}
			AddColumnSums(dst, x)
			for j, v := range dst {
				if !(math.Abs(float64(v)-want[j]) <= math.Abs(want[j])*0x1p-24+float64(rows)*1e-12) {
					t.Fatalf("%d×%d: column %d sums to %v, want %v", rows, cols, j, v, want[j])
				}
			}
			y := slices.Clone(x)
			AddToRows(y, dst)
			for i, v := range y {
				if v != x[i]+dst[i%cols] {
					t.Fatalf("%d×%d: shifted [%d] = %v, want %v", rows, cols, i, v, x[i]+dst[i%cols])
				}
			}
			norms := make([]float64, rows)
			SquaredNormRows(norms, x, cols)
			for i, v := range norms {
				if v != SquaredNorm(x[i*cols:(i+1)*cols]) {
					t.Fatalf("%d×%d: squared norm %d is %v", rows, cols, i, v)
				}
			}
			results = append(results, dst)
		}
		if first == nil {
			first = results
		}
		for i := range results {
			if !slices.Equal(results[i], first[i]) {
				t.Errorf("result %d: other bits than on %s", i, available[0].name)
			}
		}
	})
}

// TestExponentialsInFloat64 compares with math.Exp, over all exponents down to the denormal, and holds the last places.
func TestExponentialsInFloat64(t *testing.T) {
	onEveryPath(t, func(t *testing.T) {
		const n = 20_003
		x, dst := make([]float64, n), make([]float64, n)
		for i := range x {
			x[i] = -750 * float64(i) / n
		}
		x[5], x[6] = math.Inf(-1), -1e300
		sum := active.vector.expWide(dst, x, 0, 1)
		want := 0.0
		for i, v := range dst {
			exact := math.Exp(x[i])
			_, e := math.Frexp(exact)
			// One place of ours and one of math.Exp's.
			if want += exact; !(math.Abs(v-exact) <= 2*math.Ldexp(1, max(e-53, -1074))) {
				t.Fatalf("exp(%v) = %v, want %v", x[i], v, exact)
			}
		}
		if !(math.Abs(sum-want) <= 1e-12*want) || !(math.Abs(active.vector.expSumWide(x, 0)-want) <= 1e-12*want) {
			t.Errorf("sum %v and %v, want %v", sum, active.vector.expSumWide(x, 0), want)
		}
		for size := range 20 {
			y, z := slices.Clone(x[:size]), make([]float64, size)
			for i := range y {
				y[i] = float64(i*7%5) - 1e3
				z[i] = math.Exp((y[i] + 996) / 2.5)
			}
			total := 0.0
			for _, v := range z {
				total += v
			}
			Softmax(y, y, 2.5)
			for i, v := range y {
				if !(math.Abs(v-z[i]/total) <= 1e-15) {
					t.Fatalf("softmax of %d: [%d] = %v, want %v", size, i, v, z[i]/total)
				}
			}
		}
		if nan := LogSumExp([]float64{1, math.NaN(), 2}); nan == nan {
			t.Errorf("log-sum-exp with NaN is %v", nan)
		}
	})
}

func BenchmarkRows(b *testing.B) {
	const rows, cols = 32, 256
	x, y, dy, wide := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, rows*cols), make([]float64, cols)
	for i := range x {
		x[i] = float32(i*7%100) / 10
	}
	mean, inverse := make([]float64, rows), make([]float64, rows)
	for _, p := range available {
		for _, f := range []struct {
			name string
			run  func()
		}{
			{"Softmax", func() { SoftmaxRows(y, x, cols) }},
			{"SoftmaxGradient", func() { SoftmaxRowsGradient(y, x, dy, cols) }},
			{"LogSoftmax", func() { LogSoftmaxRows(y, x, cols) }},
			{"LogSumExp", func() { LogSumExpRows(mean, x, cols) }},
			{"SoftmaxFloat64", func() { Softmax(wide, wide, 1) }},
			{"LayerNorm", func() { LayerNormRows(y, x, x[:cols], x[:cols], mean, inverse, cols, 1e-5) }},
			{"LayerNormGradient", func() { LayerNormRowsGradient(y, dy[:cols], dy[cols:2*cols], dy, x, x[:cols], mean, inverse, cols) }},
			{"ColumnSums", func() { AddColumnSums(dy[:cols], x) }},
			{"AddToRows", func() { AddToRows(y, x[:cols]) }},
		} {
			b.Run(fmt.Sprintf("%s/%s", p.name, f.name), func(b *testing.B) {
				before := active
				defer func() { active = before }()
				active = p
				b.SetBytes(4 * rows * cols)
				for b.Loop() {
					f.run()
				}
			})
		}
	}
}
