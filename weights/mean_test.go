package weights

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// nasty draws m values whose sum is hard: wide exponents, cancellation, near copies, zeros of both signs.
func nasty(r *rand.Rand, m int) []float64 {
	v := make([]float64, m)
	kind := r.IntN(5)
	base := r.NormFloat64()
	for i := range v {
		switch kind {
		case 0:
			v[i] = base * (1 + 1e-3*r.NormFloat64())
		case 1:
			v[i] = math.Ldexp(r.NormFloat64(), r.IntN(200)-100)
		case 2:
			v[i] = math.Ldexp(r.NormFloat64(), r.IntN(2000)-1000)
			if i%2 == 1 {
				v[i] = -v[i-1]
			}
		case 3:
			v[i] = math.Copysign(0, float64(r.IntN(2))-0.5)
		case 4:
			v[i] = math.MaxFloat64 * (2*r.Float64() - 0.5)
		}
		if math.IsInf(v[i], 0) {
			v[i] = math.MaxFloat64
		}
	}
	return v
}

func columns(v []float64) [][]float64 {
	src := make([][]float64, len(v))
	for i, x := range v {
		src[i] = []float64{x}
	}
	return src
}

func TestMeanAgainstBigNumbers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	dst := make([]float64, 1)
	for range 20000 {
		v := nasty(r, 1+r.IntN(12))
		mean(dst, columns(v))
		sum := exactFloat(0)
		for _, x := range v {
			sum.Add(sum, exactFloat(x))
		}
		exact := sum.Quo(sum, exactFloat(float64(len(v))))
		want, _ := exact.Float64()
		if dst[0] == want {
			continue
		}
		// Both neighbours of a tie but for 2^-50 of a step count as nearest; below the normal numbers steps are 2^-1074.
		step := math.Max(math.Abs(math.Nextafter(want, math.Inf(1))-want), 0x1p-1074)
		off, _ := new(big.Float).Sub(exact, exactFloat(dst[0])).Float64()
		if math.Abs(off) > step*(0.5+0x1p-50) && math.Abs(off) > 0x1p-1074 {
			t.Fatalf("mean of %v: %v, want %v", v, dst[0], want)
		}
	}
}

func TestMeanOfAnyOrderIsTheSameBits(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	a, b := make([]float64, 1), make([]float64, 1)
	for range 20000 {
		v := nasty(r, 2+r.IntN(30))
		mean(a, columns(v))
		r.Shuffle(len(v), func(i, j int) { v[i], v[j] = v[j], v[i] })
		mean(b, columns(v))
		if math.Float64bits(a[0]) != math.Float64bits(b[0]) {
			t.Fatalf("mean of %v: %x in this order, %x in another", v, b[0], a[0])
		}
	}
}

func TestMeanOfCopiesIsTheCopy(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x := []float64{math.Copysign(0, -1), 0, 0x1p-1074, math.MaxFloat64, -math.MaxFloat64, 0x1p-1022, 1.0 / 3}
	for range 2000 {
		x = append(x, math.Ldexp(r.NormFloat64(), r.IntN(1900)-1000))
	}
	dst := make([]float64, len(x))
	for m := 1; m <= 64; m++ {
		mean(dst, slices.Repeat([][]float64{x}, m))
		for i := range x {
			if math.Float64bits(dst[i]) != math.Float64bits(x[i]) {
				t.Fatalf("%d copies of %x average to %x", m, x[i], dst[i])
			}
		}
	}
}

func TestMixOfOneSource(t *testing.T) {
	src := [][]float64{{math.Inf(1), 1}, {math.Copysign(0, -1), 0.1}, {2, 3}}
	dst := []float64{7, 7}
	mix(dst, src, []float64{0, 1, 0})
	if math.Float64bits(dst[0]) != math.Float64bits(src[1][0]) || dst[1] != 0.1 {
		t.Errorf("all weight on %v gives %v", src[1], dst)
	}
	mix(dst, src[1:], []float64{0.25, 0.75})
	if dst[0] != 1.5 || math.Abs(dst[1]-2.275) > 1e-15 {
		t.Errorf("a quarter and three quarters give %v", dst)
	}
}

// The mean straight from bytes has the bits of the mean in float64, in stretches that have a sum which is not exact and in those that have
// none, whatever part is asked for; and a value that is not finite is named as ever.
func TestMeanFromBytes(t *testing.T) {
	const n, m = 3*stretch + 100, 3
	r := rand.New(rand.NewPCG(4, 4))
	values := make([][]float64, m)
	list := make([]*data.Checkpoint, m)
	set := func() sources {
		for k, v := range values {
			raw := make([]byte, 4*n)
			data.F32.Narrow(raw, v)
			tensor, err := data.NewTensor(data.F32, []int{n}, raw)
			if err != nil {
				t.Fatal(err)
			}
			list[k] = &data.Checkpoint{Tensors: map[string]data.Tensor{"w": tensor}}
		}
		return sources{list, []string{"a", "b", "c"}}
	}
	for k := range values {
		values[k] = make([]float64, n)
		for i := range values[k] {
			values[k][i] = float64(float32(r.NormFloat64()))
		}
	}
	for k, x := range []float64{1, 0x1p-60, -1} { // in the second stretch
		values[k][stretch+5] = x
	}
	out, err := set().blend(evenly)
	if err != nil {
		t.Fatal(err)
	}
	wide, want := make([]float64, n), make([]byte, 4*n)
	mean(wide, values)
	data.F32.Narrow(want, wide)
	for _, part := range [][2]int{{0, n}, {3, 40}, {stretch - 7, stretch + 9}, {stretch + 4, 3 * stretch}, {n - 1, n}} {
		got := make([]byte, 4*(part[1]-part[0]))
		if err := out.Tensors["w"].Fill(got, part[0]); err != nil || !bytes.Equal(got, want[4*part[0]:4*part[1]]) {
			t.Errorf("elements %d to %d: other bits than in float64, or %v", part[0], part[1], err)
		}
	}
	values[1][2*stretch+17] = math.Inf(-1)
	if out, err = set().blend(evenly); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Tensors["w"].Bytes(); !errors.Is(err, data.ErrFinite) || !strings.Contains(err.Error(), fmt.Sprintf("b, tensor \"w\": element %d is -Inf", 2*stretch+17)) {
		t.Error(err)
	}
}
