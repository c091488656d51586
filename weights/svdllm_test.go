package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleSVDLLM() {
	// The second column's weight is the larger one, but the first column is a hundred times as active.
	out, err := weights.SVDLLM{}.Apply(context.Background(), weights.SVDLLMInput{
		In:      matrix("w", 2, 2, 1, 0, 0, 2),
		Moments: reads(nil, 2, 100, 1 /**/, -100, 1 /**/, 100, -1 /**/, -100, -1),
	})
	if err != nil {
		panic(err)
	}
	w, _, _ := out.Floats("w", 2, 2)
	for i := range w {
		w[i] = math.Abs(math.Round(1000*w[i]) / 1000)
	}
	fmt.Println(w)
	// Output:
	// [1 0 0 0]
}

// The squared error of the outputs is that of the singular values left out of W·G^½, which is the least that the rank allows; a plain
// truncation has more.
func TestSVDLLMLosesTheLeastOutput(t *testing.T) {
	const m, n, rows = 6, 8, 60
	r := rand.New(rand.NewPCG(12, 1))
	x, w := make([]float32, rows*n), make([]float64, m*n)
	for i := range x {
		x[i] = float32(math.Round(16*r.NormFloat64()*float64(1+(i%n)*(i%n)))) / 16
	}
	for i := range w {
		w[i] = float64(float32(r.NormFloat64()))
	}
	in := &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.CastTensor(data.F64, w, m, n)}}
	loss := func(v []float64) (sum float64) {
		for i := range rows {
			for o := range m {
				off := 0.0
				for j := range n {
					off += (v[o*n+j] - w[o*n+j]) * float64(x[i*n+j])
				}
				sum += off * off / rows
			}
		}
		return sum
	}
	outputs := make([]float64, m*rows) // W·Xᵀ: its singular values are those of W·G^½ times √rows
	for o := range m {
		for i := range rows {
			for j := range n {
				outputs[o*rows+i] += w[o*n+j] * float64(x[i*n+j])
			}
		}
	}
	_, s, _, ok := num.SVD(outputs, m, rows)
	u, plain, v, ok2 := num.SVD(w, m, n)
	if !ok || !ok2 {
		t.Fatal("no singular values")
	}
	for _, rank := range []int{1, 3, 5} {
		out := apply(t, "svdllm", map[string]string{"share": fmt.Sprint(float64(rank)/m - 0.01), "ridge": "1e-12"}, data.Bundle{"in": in, "moments": reads(nil, n, x...)})
		have, _, err := out.Floats("w", m, n)
		if err != nil {
			t.Fatal(err)
		}
		want := 0.0
		for _, v := range s[rank:] {
			want += v * v / rows
		}
		if got := loss(have); math.Abs(got-want) > 1e-5*s[0]*s[0]/rows { // states are gridded to 22 bits
			t.Errorf("rank %d: squared error %v, least is %v", rank, got, want)
		}
		cut := make([]float64, m*n)
		for i := range cut {
			for k := range rank {
				cut[i] += u[i/n*m+k] * plain[k] * v[i%n*m+k]
			}
		}
		if loss(cut) < want*(1-1e-6) {
			t.Errorf("rank %d: a plain truncation has error %v, below the least, %v", rank, loss(cut), want)
		}
	}
	same(t, "a rank that does not bind", apply(t, "svdllm", map[string]string{"share": "0.99"}, data.Bundle{"in": in, "moments": reads(nil, n, x...)}), in)
	if _, err := tryApply(t, "svdllm", nil, data.Bundle{"in": in, "moments": reads([]string{"a", "b"}, 2, 1, 2)}); err == nil || !strings.Contains(err.Error(), "no column of the moments state is named") {
		t.Errorf("a foreign state: %v", err)
	}
}
