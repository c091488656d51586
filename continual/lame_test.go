package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleLAME() {
	// Four rows that look alike; the network is unsure of one and wrong about it.
	logits, _ := data.NewTable(4, 2, []float32{2, 0, 2, 0, 2, 0, 0, 0.5})
	features, _ := data.NewTable(4, 2, []float32{1, 0, 1, 0.1, 1, -0.1, 1, 0.05})
	p, err := continual.LAME{Neighbors: 3}.Apply(context.Background(), continual.LAMEInput{Logits: logits, In: features})
	if err != nil {
		panic(err)
	}
	fmt.Printf("%.2f\n", p.Row(3))
	// Output:
	// [0.92 0.08]
}

// TestLAMEIsAFixedPoint: with affinities found by brute force, answers are proportional to the network's times exp(Σ w·q).
func TestLAMEIsAFixedPoint(t *testing.T) {
	const n, k, d, near = 40, 3, 4, 3
	r := rand.New(rand.NewPCG(5, 5))
	z, x := make([]float32, n*k), make([]float32, n*d)
	for i := range z {
		z[i] = float32(r.NormFloat64())
	}
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	logits, _ := data.NewTable(n, k, z)
	features, _ := data.NewTable(n, d, x)
	out, err := continual.LAME{Neighbors: near, Steps: 10000}.Apply(t.Context(), continual.LAMEInput{Logits: logits, In: features})
	if err != nil {
		t.Fatal(err)
	}
	var w [n][n]float64
	for i := range n {
		order := make([]int, 0, n)
		cosine := func(j int) float64 {
			dot, a, b := 0.0, 0.0, 0.0
			for c := range d {
				dot += float64(x[i*d+c]) * float64(x[j*d+c])
				a += float64(x[i*d+c]) * float64(x[i*d+c])
				b += float64(x[j*d+c]) * float64(x[j*d+c])
			}
			return dot / math.Sqrt(a*b)
		}
		for j := range n {
			if j != i {
				order = append(order, j)
			}
		}
		sort.Slice(order, func(a, b int) bool { return cosine(order[a]) > cosine(order[b]) })
		for _, j := range order[:near] {
			w[i][j] += 0.5
			w[j][i] += 0.5
		}
	}
	for i := range n {
		var want [k]float64
		sum := 0.0
		for c := range k {
			v := float64(z[i*k+c])
			for j := range n {
				v += w[i][j] * float64(out.Row(j)[c])
			}
			want[c] = math.Exp(v)
			sum += want[c]
		}
		for c, v := range out.Row(i) {
			if math.Abs(float64(v)-want[c]/sum) > 1e-4 { // the bound stops at a change of 1e-10 of the energy, of its square then
				t.Fatalf("row %d: %v, a round more gives %v", i, out.Row(i), want[c]/sum)
			}
		}
	}
}

func TestLAMERefuses(t *testing.T) {
	a, b := table(t, []string{"a", "b"}, 1, 2), table(t, []string{"a"}, 1)
	if _, err := (continual.LAME{}).Apply(t.Context(), continual.LAMEInput{Logits: a, In: b}); !errors.Is(err, data.ErrShape) {
		t.Errorf("other rows: %v", err)
	}
	if _, err := (continual.LAME{Probabilities: true}).Apply(t.Context(), continual.LAMEInput{Logits: a, In: a}); !errors.Is(err, data.ErrShape) {
		t.Errorf("no probabilities: %v", err)
	}
}
