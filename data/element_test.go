package data

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Every type, of lengths around the step of the loops, there and back.
func TestWidenAndNarrow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, d := range []DType{F64, F32, F16, BF16} {
		for n := range 11 {
			v, back := make([]float64, n), make([]float64, n)
			for i := range v {
				v[i] = math.Round(64*r.NormFloat64()) / 64 // few digits: every type holds them
				if d == BF16 {
					v[i] = math.Round(v[i])
				}
			}
			b := make([]byte, n*d.Size())
			d.Narrow(b, v)
			d.Widen(back, b)
			for i := range v {
				if v[i] != back[i] {
					t.Errorf("%s of %d: element %d was %v and is %v", d, n, i, v[i], back[i])
				}
			}
		}
	}
}

func BenchmarkNarrow(b *testing.B) {
	for _, d := range []DType{F32, F16, BF16} {
		b.Run(string(d), func(b *testing.B) {
			v, out := make([]float64, 1<<14), make([]byte, 4<<14)
			for i := range v {
				v[i] = math.Sin(float64(i))
			}
			b.SetBytes(int64(len(v) * d.Size()))
			for b.Loop() {
				d.Narrow(out, v)
			}
		})
	}
}
