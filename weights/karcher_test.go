package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleKarcher() {
	out, err := weights.Karcher{}.Apply(context.Background(), weights.KarcherInput{In: data.Checkpoints{pair(1, 0, 0), pair(0, 1, 0), pair(0, 0, 1)}})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 3)
	fmt.Printf("%.4f\n", w) // of length one, where the average has [0.3333 0.3333 0.3333]
	// Output:
	// [0.5774 0.5774 0.5774]
}

func TestKarcherOfTwoIsTheMiddleOfTheArc(t *testing.T) {
	a, b := pair(3, 0, 1), pair(-1, 2, 2)
	middle := apply(t, "slerp", map[string]string{"share": "0.5"}, data.Bundle{"from": pair(3/math.Sqrt(10), 0, 1/math.Sqrt(10)), "to": pair(-1./3, 2./3, 2./3)})
	want, _, _ := middle.Floats("w", 3)
	for i := range want {
		want[i] *= (math.Sqrt(10) + 3) / 2
	}
	near(t, "two", apply(t, "karcher", nil, data.Bundle{"in": data.Checkpoints{a, b}}), pair(want...), 1e-12)
}

// At the mean the tangents towards all directions, by weight, cancel.
func TestKarcherIsWhereTheArcsBalance(t *testing.T) {
	const n = 6
	r := rand.New(rand.NewPCG(2, 9))
	weight := []float64{1, 2, 0.5, 3}
	var in data.Checkpoints
	var unit [][]float64
	for range weight {
		v, sq := make([]float64, n), 0.0
		for i := range v {
			v[i] = 1 + r.NormFloat64()
			sq += v[i] * v[i]
		}
		in = append(in, pair(v...))
		u := make([]float64, n)
		for i := range u {
			u[i] = v[i] / math.Sqrt(sq)
		}
		unit = append(unit, u)
	}
	out := apply(t, "karcher", map[string]string{"weights": "1,2,0.5,3", "tolerance": "1e-12", "steps": "1000"}, data.Bundle{"in": in})
	m, _, err := out.Floats("w", n)
	if err != nil {
		t.Fatal(err)
	}
	sq := 0.0
	for _, v := range m {
		sq += v * v
	}
	tangent := make([]float64, n)
	for k, u := range unit {
		dot := 0.0
		for i := range u {
			dot += u[i] * m[i] / math.Sqrt(sq)
		}
		for i := range u {
			tangent[i] += weight[k] * math.Acos(dot) / math.Sin(math.Acos(dot)) * (u[i] - dot*m[i]/math.Sqrt(sq))
		}
	}
	for i, v := range tangent {
		if math.Abs(v) > 1e-11 {
			t.Errorf("the tangents add up to %v at element %d, want zero", v, i)
		}
	}
}

func TestKarcherOfOppositesAndZeros(t *testing.T) {
	same(t, "zeros", apply(t, "karcher", nil, data.Bundle{"in": data.Checkpoints{pair(0, 0), pair(0, 0)}}), pair(0, 0))
	near(t, "one of two is zero", apply(t, "karcher", nil, data.Bundle{"in": data.Checkpoints{pair(0, 0), pair(0, 4)}}), pair(0, 2), 1e-15)
	out := apply(t, "karcher", nil, data.Bundle{"in": data.Checkpoints{pair(1, 0), pair(-1, 0)}})
	if v, _, err := out.Floats("w", 2); err != nil || math.Abs(math.Hypot(v[0], v[1])-1) > 1e-12 {
		t.Errorf("opposites: %v %v", v, err)
	}
}
