package weights

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// The border is that of a sort, for sizes on both sides of what is gathered, with ties, zeros and one value alone.
func TestLargestAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 7, 1000, gathered + 5} {
		for kind, draw := range map[string]func() float64{
			"normal": r.NormFloat64,
			"few":    func() float64 { return float64(r.IntN(5)-2) / 8 },
			"one":    func() float64 { return -0.25 },
			"wide":   func() float64 { return math.Ldexp(r.Float64()-0.5, r.IntN(200)-100) },
			"bfloat16": func() float64 {
				return float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff))
			},
		} {
			v := make([]float64, n)
			for i := range v {
				v[i] = draw()
			}
			s := &strand{name: "w", dtype: data.F64, shape: []int{n}, from: []data.Tensor{data.Float64Tensor(v, n)}, who: []string{"it"}, unit: min(stretch, n)}
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int {
				switch x, y := math.Abs(v[a]), math.Abs(v[b]); {
				case x > y:
					return -1
				case x < y:
					return 1
				}
				return 0
			})
			for _, k := range []int{0, 1, n / 5, n - 1, n} {
				b, err := s.largest(k, func(src [][]float64) []float64 { return src[0] })
				if err != nil {
					t.Fatal(err)
				}
				var have []int
				for i, x := range v {
					if b.within(math.Abs(x), i) {
						have = append(have, i)
					}
				}
				want := slices.Sorted(slices.Values(order[:k]))
				if !slices.Equal(have, want) {
					t.Errorf("%s, the %d largest of %d: %d elements, %.60s, want %.60s", kind, k, n, len(have), fmt.Sprint(have), fmt.Sprint(want))
				}
			}
		}
	}
}

func TestDrawsAreEven(t *testing.T) {
	const n = 200000
	counts := make([]int, 64)
	other := newDraws(1, "a", 1)
	for _, d := range []draws{newDraws(1, "a", 0), newDraws(2, "a", 0), newDraws(1, "b", 0), newDraws(1, "", 0)} {
		clear(counts)
		together := 0
		for i := range n {
			u := d.at(i)
			if u < 0 || u >= 1 {
				t.Fatalf("%v is outside [0, 1)", u)
			}
			counts[int(64*u)]++
			if u < 0.5 && other.at(i) < 0.5 {
				together++
			}
		}
		for cell, c := range counts { // √(n/64) is 56: five deviations
			if math.Abs(float64(c)-n/64) > 280 {
				t.Errorf("cell %d: %d of %d draws", cell, c, n)
			}
		}
		if math.Abs(float64(together)-n/4) > 5*194 { // √(n·3/16) is 194
			t.Errorf("%d of %d pairs both below ½, want a quarter: the draws of two models go together", together, n)
		}
	}
}

func TestTiedTensorsHaveOneStem(t *testing.T) {
	v := func(x float64) data.Tensor { return data.Float64Tensor([]float64{x, 2, 3}, 3) }
	a := &data.Checkpoint{Tensors: map[string]data.Tensor{"a": v(1), "b": v(1), "c": v(1), "d": v(7)}}
	b := &data.Checkpoint{Tensors: map[string]data.Tensor{"a": v(4), "b": v(4), "c": v(5), "d": v(4)}}
	stems, err := numbered(data.Checkpoints{a, b}).stems()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "a", "b": "a", "c": "c", "d": "d"} {
		if stems[name] != want {
			t.Errorf("the stem of %s is %s, want %s", name, stems[name], want)
		}
	}
}

func TestAliasesAreResolvedWhereOthersStore(t *testing.T) {
	v := func(x float64) data.Tensor { return data.Float64Tensor([]float64{x}, 1) }
	tied := &data.Checkpoint{Meta: map[string]string{"head": "embed"}, Tensors: map[string]data.Tensor{"embed": v(1)}}
	loose := &data.Checkpoint{Tensors: map[string]data.Tensor{"embed": v(3), "head": v(5)}}
	for _, c := range []struct {
		in   data.Checkpoints
		head float64
		meta string
	}{
		{data.Checkpoints{tied, tied}, math.NaN(), "embed"},
		{data.Checkpoints{tied, loose}, 3, ""},
		{data.Checkpoints{loose, tied}, 3, ""},
	} {
		s, err := numbered(c.in).align()
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.blend(func(*strand) (kernel, error) {
			return func(dst []float64, src [][]float64, _ int) { mean(dst, src) }, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		head, _, err := out.Floats("head", 1)
		if math.IsNaN(c.head) != (err != nil) || err == nil && head[0] != c.head || out.Meta["head"] != c.meta {
			t.Errorf("head %v (%v), metadata %v; want %v and %q", head, err, out.Meta, c.head, c.meta)
		}
	}
	if _, ok := tied.Tensors["head"]; ok || tied.Meta["head"] == "" {
		t.Error("the input was changed")
	}
}

// The order is that of a stable sort from the last element on, on both sides of where digits take over.
func TestByMagnitudeAgainstSorting(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 2))
	for _, n := range []int{0, 1, 299, 300, 5000} {
		for kind, draw := range map[string]func() float64{
			"normal": r.NormFloat64,
			"few":    func() float64 { return float64(r.IntN(5)-2) / 8 },
			"one":    func() float64 { return math.Copysign(0, r.NormFloat64()) },
			"wide":   func() float64 { return math.Ldexp(r.NormFloat64(), r.IntN(2000)-1050) },
			"bfloat16": func() float64 {
				return float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff))
			},
		} {
			v, want := make([]float64, n), make([]int, n)
			for i := range v {
				v[i], want[i] = draw(), n-1-i
			}
			slices.SortStableFunc(want, func(a, b int) int { return cmp.Compare(math.Abs(v[a]), math.Abs(v[b])) })
			if got := byMagnitude(v); !slices.Equal(got, want) {
				t.Errorf("%d values, %s: another order than a sort's", n, kind)
			}
		}
	}
}

func BenchmarkByMagnitude(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 3))
	v := make([]float64, 4096)
	for i := range v {
		v[i] = float64(float32(r.NormFloat64())) - float64(float32(r.NormFloat64()))
	}
	for b.Loop() {
		byMagnitude(v)
	}
}
