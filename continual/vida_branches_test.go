package continual

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// vidaOf is a network 3-4-2 with adapters that were drawn.
func vidaOf(t *testing.T) *vida {
	t.Helper()
	head := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, tensor := range net.New(1, 3, 4, 2).Tensors() {
		head.Tensors[tensor.Name] = data.Float32Tensor(tensor.Values, tensor.Shape...)
	}
	v, err := newVida(ViDA{Rank: 1, HighRank: 2, Rate: 0.01, Decay: 0.75, Threshold: 0.2}, head, 3)
	if err != nil {
		t.Fatal(err)
	}
	v.build(v.student, 1, true)
	r := rand.New(rand.NewPCG(1, 2))
	v.teacher = net.NewParams(0)
	for _, p := range v.student.All() {
		for i := range p.Values {
			p.Values[i] = float32(r.NormFloat64())
		}
		if err := v.teacher.Put(net.Tensor{Name: p.Name, Shape: p.Shape, Values: p.Values}); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// TestViDAMergedWeights: a row is answered as by a network without branches whose weights have them added, scaled as that row's are.
func TestViDAMergedWeights(t *testing.T) {
	v := vidaOf(t)
	x := []float32{0.5, -1, 2, 1, 1, -0.3}
	low, high := []float32{0.7, 1.1}, []float32{1.3, 0.9}
	got, err := v.answer(x, low, high)
	if err != nil {
		t.Fatal(err)
	}
	for row := range 2 {
		h := []float64{float64(x[3*row]), float64(x[3*row+1]), float64(x[3*row+2])}
		for i, l := range v.layers {
			y := make([]float64, l.out)
			for o := range y {
				y[o] = float64(v.teacher.Get(l.bias).Values[o])
				for j := range l.in {
					w := float64(v.teacher.Get(l.weight).Values[o*l.in+j])
					for name, scale := range map[string]float32{"low": low[row], "high": high[row]} {
						up, down := v.teacher.Get([]string{"vida/0 ", "vida/1 "}[i]+name+" up"), v.teacher.Get([]string{"vida/0 ", "vida/1 "}[i]+name+" down")
						for k := range down.Shape[0] {
							w += float64(scale) * float64(up.Values[o*down.Shape[0]+k]) * float64(down.Values[k*l.in+j])
						}
					}
					y[o] += w * h[j]
				}
				if i < len(v.layers)-1 {
					y[o] = max(y[o], 0)
				}
			}
			h = y
		}
		for k, want := range h {
			if math.Abs(float64(got[2*row+k])-want) > 1e-4*max(1, math.Abs(want)) {
				t.Errorf("row %d, output %d: %g, merged weights give %g", row, k, got[2*row+k], want)
			}
		}
	}
}

// TestViDATeacherFollows: after m steps towards a student that stands still, Decay^m of the teacher is left.
func TestViDATeacherFollows(t *testing.T) {
	v := vidaOf(t)
	for _, p := range v.student.All() {
		for i := range p.Values {
			p.Values[i] = 2
		}
	}
	before := append([]float32{}, v.teacher.Get("0.weight").Values...)
	for range 3 {
		v.follow()
	}
	kept := math.Pow(0.75, 3)
	for i, got := range v.teacher.Get("0.weight").Values {
		if want := kept*float64(before[i]) + (1-kept)*2; math.Abs(float64(got)-want) > 1e-6 {
			t.Errorf("weight %d is %g, want %g", i, got, want)
		}
	}
}

// TestViDAScales: equal views leave both branches as they are; from the threshold on the high one grows by what the low one loses.
func TestViDAScales(t *testing.T) {
	if v := vidaVariance([]float32{1, 5, 1, 5, 1, 5}, 2); v != 0 {
		t.Errorf("equal views vary by %g", v)
	}
	if v := vidaVariance([]float32{1, 0, 3, 0}, 2); v != 1 { // variances 2 and 0
		t.Errorf("variance %g, want 1", v)
	}
	c := ViDA{Threshold: 0.25}
	for _, k := range []struct {
		variance  float64
		low, high float32
	}{{0, 1, 1}, {2.4, 1.24, 0.76}, {2.5, 0.75, 1.25}, {1e9, 0, 2}} {
		if low, high := c.allotted(k.variance); math.Abs(float64(low-k.low)) > 1e-6 || math.Abs(float64(high-k.high)) > 1e-6 {
			t.Errorf("a variance of %g: %g and %g, want %g and %g", k.variance, low, high, k.low, k.high)
		}
	}
}
