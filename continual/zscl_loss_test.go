package continual

import (
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/net"
)

// TestZSCLDistillationAtTheStart: at the untuned weights the gradient is zero and the value T²·(mean entropy by rows + by columns),
// computed plainly.
func TestZSCLDistillationAtTheStart(t *testing.T) {
	const d, temperature = 3, 0.5
	x := directionsOf([]float32{1, 2, 0, -1, 1, 3, 2, 2, 1, 0, -1, 1}, d)
	words := directionsOf([]float32{1, 0, 1, 0, 2, 1, -1, 1, 0}, d)
	h := zsclHeld{reference: x, sentences: words, d: d}
	run := func(w []float32) (float64, []float32) {
		params := net.NewParams(0)
		if err := params.Put(net.Tensor{Name: "image", Shape: []int{d, d}, Values: w}); err != nil {
			t.Fatal(err)
		}
		g := net.NewGraph(params)
		loss, feed := h.distillation(g, g.Param("image", net.Constant(0), d, d), 32, temperature)
		p, err := g.Train(loss)
		if err != nil {
			t.Fatal(err)
		}
		feed(net.Batch{})
		p.Forward()
		params.ZeroGradients()
		p.Backward()
		return p.Loss(), params.Get("image").Gradient()
	}
	start := newTowers("zscl", d).image
	entropy := func(z []float64) float64 {
		sum, h := 0.0, 0.0
		for _, v := range z {
			sum += math.Exp(v)
		}
		for _, v := range z {
			h += math.Exp(v) / sum * (math.Log(sum) - v)
		}
		return h
	}
	cosine := func(i, k int) float64 {
		s := 0.0
		for j := range d {
			s += float64(x[i*d+j]) * float64(words[k*d+j])
		}
		return s / temperature / zsclSoftness
	}
	want := 0.0
	for i := range 4 {
		want += entropy([]float64{cosine(i, 0), cosine(i, 1), cosine(i, 2)}) / 4
	}
	for k := range 3 {
		want += entropy([]float64{cosine(0, k), cosine(1, k), cosine(2, k), cosine(3, k)}) / 3
	}
	want *= zsclSoftness * zsclSoftness
	value, gradient := run(start)
	if math.Abs(value-want) > 1e-5 { // float32 cosines
		t.Errorf("value %g, want %g", value, want)
	}
	for i, v := range gradient {
		if math.Abs(float64(v)) > 1e-6 {
			t.Errorf("gradient %d at the start is %g", i, v)
		}
	}
	moved := append([]float32{}, start...)
	moved[1] = 0.5
	if other, gradient := run(moved); other <= value || gradient[1] <= 0 {
		t.Errorf("away from the start: value %g ≤ %g, or gradient %g not back", other, value, gradient[1])
	}
}

// TestZSCLMean: k snapshots and the weights before them give their arithmetic mean; equal ones give themselves.
func TestZSCLMean(t *testing.T) {
	m := zsclMean{[]float32{1, 5}, []float32{2}, 1}
	m.add([]float32{4, 5}, []float32{2})
	m.add([]float32{7, 5}, []float32{8})
	if m.image[0] != 4 || m.image[1] != 5 || m.text[0] != 4 || m.count != 3 {
		t.Errorf("mean %v and %v of %d, want [4 5] and [4] of 3", m.image, m.text, m.count)
	}
}
