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

func ExampleRegMean() {
	// Each network saw one of two columns alone, and knows nothing of the other.
	out, err := weights.RegMean{}.Apply(context.Background(), weights.RegMeanInput{
		In:      data.Checkpoints{matrix("w", 1, 2, 3, -50), matrix("w", 1, 2, 70, 4)},
		Moments: data.Checkpoints{reads(nil, 2, 1, 0 /**/, -1, 0), reads(nil, 2, 0, 1 /**/, 0, -1)},
	})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 1, 2)
	fmt.Println(w)
	// Output:
	// [3 4]
}

// No other matrix repeats the outputs better: the squared error, on both checkpoints' own rows, has no slope.
func TestRegMeanIsTheLeastSquaresSolution(t *testing.T) {
	const d, k, n = 5, 3, 40
	r := rand.New(rand.NewPCG(6, 6))
	draw := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Round(64*r.NormFloat64()) / 64
		}
		return v
	}
	var in, states data.Checkpoints
	var w [2][]float64
	var x [2][]float32
	for i := range 2 {
		w[i] = draw(k * d)
		mix := draw(d * d)
		for range n {
			z := draw(d)
			for a := range d {
				s := float64(i) // not centred
				for b := range d {
					s += z[b] * mix[b*d+a]
				}
				x[i] = append(x[i], float32(math.Round(64*s)/64))
			}
		}
		c := matrix("w", k, d, w[i]...)
		c.Tensors["bias"] = data.CastTensor(data.F64, []float64{float64(i), 1}, 2)
		c.Tensors["w"] = data.CastTensor(data.F64, w[i], k, d)
		in, states = append(in, c), append(states, reads(nil, d, x[i]...))
	}
	out := apply(t, "regmean", map[string]string{"share": "1", "weights": "1,2"}, data.Bundle{"in": in, "moments": states})
	m, _, err := out.Floats("w", k, d)
	if err != nil {
		t.Fatal(err)
	}
	for o := range k {
		for j := range d {
			slope, size := 0.0, 0.0
			for i := range 2 {
				for row := range n {
					off := 0.0
					for c := range d {
						off += (m[o*d+c] - w[i][o*d+c]) * float64(x[i][row*d+c])
					}
					slope += float64(i+1) * off * float64(x[i][row*d+j])
					size += math.Abs(off * float64(x[i][row*d+j]))
				}
			}
			if math.Abs(slope) > 1e-5*size { // states are gridded to 22 bits
				t.Errorf("output %d, column %d: slope %g of terms that add up to %g", o, j, slope, size)
			}
		}
	}
	if b, _, _ := out.Floats("bias", 2); math.Abs(b[0]-2./3) > 1e-15 || b[1] != 1 {
		t.Errorf("bias %v, want the weighted average", b)
	}
}
