package weights_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/weights"
)

func ExampleLoRAResize() {
	// The second of two components is a hundredth of the first.
	out, err := weights.LoRAResize{Rank: 1}.Apply(context.Background(), weights.LoRAResizeInput{Adapter: adapter(2, 3, 3, []float64{1, 0, 0, 0, 1, 0}, []float64{4, 0, 0, 0.04, 0, 0})})
	if err != nil {
		panic(err)
	}
	a, _, _ := out.Floats("base_model.model.fc.lora_A.weight", 1, 3)
	b, _, _ := out.Floats("base_model.model.fc.lora_B.weight", 3, 1)
	fmt.Printf("%.2f times %.2f\n", b, a)
	// Output:
	// [2.00 0.00 0.00] times [2.00 0.00 0.00]
}

// The product of the smaller factors is the truncated decomposition of the larger ones' product, tall, wide and with too many ranks.
func TestLoRAResizeIsTheTruncatedProduct(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	for _, c := range []struct{ m, n, before, after int }{{20, 15, 6, 2}, {15, 20, 6, 6}, {4, 9, 7, 3}, {5, 5, 2, 8}} {
		draw := func(n int) []float64 {
			v := make([]float64, n)
			for i := range v {
				v[i] = float64(float32(r.NormFloat64()))
			}
			return v
		}
		in := adapter(c.before, c.n, c.m, draw(c.before*c.n), draw(c.m*c.before))
		whole := product(t, in, "fc.weight", c.m, c.n)
		_, s, _, _ := num.SVD(whole, c.m, c.n)
		have := product(t, apply(t, "loraresize", map[string]string{"rank": fmt.Sprint(c.after)}, data.Bundle{"adapter": in}), "fc.weight", c.m, c.n)
		lost, want := 0.0, 0.0
		for i := range have {
			lost += (whole[i] - have[i]) * (whole[i] - have[i])
		}
		for _, v := range s[min(c.after, len(s)):] {
			want += v * v
		}
		if math.Abs(lost-want) > 1e-5*s[0]*s[0] {
			t.Errorf("%+v: squared loss %v, the tail has %v", c, lost, want)
		}
	}
}
