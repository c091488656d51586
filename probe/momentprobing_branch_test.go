package probe

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/net"
)

// TestMomentProbingMatrices: the matrices are cross-products of neighbouring heads, over the tokens, at length one; the paper's
// sizes shrink to 31×31×3, and logits are the mean of the branches'.
func TestMomentProbingMatrices(t *testing.T) {
	c := MomentProbing{Tokens: 6, Heads: 4, Width: 7}
	const b, channels, k = 2, 3, 2
	g := net.NewGraph(net.NewParams(1))
	g.Training = false
	x := g.Input(b, c.Tokens*channels)
	logits, moments := c.build(g, x, k)
	program, err := g.Infer(logits, moments)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range x.Value() {
		x.Value()[i] = float32(r.NormFloat64())
	}
	program.Forward()
	w, bias := g.Params().Get("project.weight").Values, g.Params().Get("project.bias").Values
	head := func(row, token, h int) []float64 { // projected and normalised
		out := make([]float64, c.Width)
		mean, square := 0.0, 0.0
		for j := range out {
			o := h*c.Width + j
			out[j] = float64(bias[o])
			for i := range channels {
				out[j] += float64(w[o*channels+i]) * float64(x.Value()[row*c.Tokens*channels+token*channels+i])
			}
			mean += out[j] / float64(c.Width)
		}
		for _, v := range out {
			square += (v - mean) * (v - mean) / float64(c.Width)
		}
		for j, v := range out {
			out[j] = (v - mean) / math.Sqrt(square+1e-5)
		}
		return out
	}
	for row := range b {
		for h := range c.Heads - 1 {
			want, length := make([]float64, c.Width*c.Width), 0.0
			for token := range c.Tokens {
				a, b := head(row, token, h), head(row, token, h+1)
				for i := range a {
					for j := range b {
						want[i*c.Width+j] += a[i] * b[j] / float64(c.Tokens)
					}
				}
			}
			for _, v := range want {
				length += v * v
			}
			for i, v := range want {
				have := float64(moments.Value()[(row*c.Width*c.Width+i)*(c.Heads-1)+h])
				if math.Abs(have-v/math.Sqrt(length)) > 1e-4 {
					t.Fatalf("row %d, matrix %d, value %d: %g, want %g", row, h, i, have, v/math.Sqrt(length))
				}
			}
		}
	}
	// Without the second branch twice the logits are those of a linear head on the mean.
	for _, name := range []string{"second.weight", "second.bias"} {
		clear(g.Params().Get(name).Values)
	}
	program.Forward()
	first := g.Params().Get("first.weight").Values
	for row := range b {
		for class := range k {
			want := 0.0
			for token := range c.Tokens {
				for i := range channels {
					want += float64(first[class*channels+i]) * float64(x.Value()[row*c.Tokens*channels+token*channels+i]) / float64(c.Tokens)
				}
			}
			if have := 2 * float64(logits.Value()[row*k+class]); math.Abs(have-want) > 1e-5 {
				t.Errorf("row %d, class %d: %g, want %g", row, class, have, want)
			}
		}
	}
	paper := net.NewGraph(net.NewParams(1))
	p := MomentProbing{Tokens: 2, Heads: 4, Width: 128}
	p.build(paper, paper.Input(1, 2*channels), k)
	if err := paper.Err(); err != nil {
		t.Fatal(err)
	}
	if have := paper.Params().Get("second.weight").Shape[1]; have != 2883 {
		t.Errorf("the paper's sizes leave %d features, want 2883", have)
	}
}
