package detect_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

// TestNoDetectorCollapsesSilently fits every detector on hard tables whose rows differ: it must refuse, or tell some rows
// apart, of those that it learned from or of others made of their values. Scores that are all the same are the fault that goes
// unseen. Of the training rows alone a detector may rightly say one thing, such as that all of them lie in a plane.
func TestNoDetectorCollapsesSilently(t *testing.T) {
	const n = 40
	for _, hard := range []struct {
		name string
		at   func(r *rand.Rand, i, j int) float64
	}{
		{"one column varies", func(r *rand.Rand, i, j int) float64 {
			if j == 1 {
				return float64(i % 20)
			}
			return 3
		}},
		{"two values", func(_ *rand.Rand, i, j int) float64 { return float64((i >> j) & 1) }},
		{"huge values", func(r *rand.Rand, _, _ int) float64 { return 1e30 * r.NormFloat64() }},
		{"tiny values", func(r *rand.Rand, _, _ int) float64 { return 1e-30 * r.NormFloat64() }},
		{"a tiny spread far from zero", func(r *rand.Rand, _, _ int) float64 { return 1e6 + r.Float64() }},
		{"one row far away", func(r *rand.Rand, i, _ int) float64 {
			if i == 7 {
				return 1e20
			}
			return r.NormFloat64()
		}},
		{"negative values", func(r *rand.Rand, _, _ int) float64 { return -10 - r.Float64() }},
		{"ordinary", func(r *rand.Rand, _, _ int) float64 { return r.NormFloat64() }},
		{"rows of one direction", func(r *rand.Rand, i, j int) float64 { return float64((i + 1) * (j + 1)) }},
		{"values of one size", func(r *rand.Rand, i, j int) float64 { return float64(1 - 2*((i>>j)&1)) }},
		{"sure of one class", func(r *rand.Rand, i, j int) float64 {
			if j == i%3 {
				return 1e4 + r.Float64()
			}
			return r.Float64()
		}},
	} {
		for _, labelled := range []bool{true, false} {
			r := rand.New(rand.NewPCG(81, 1))
			x, labels := make([]float32, 0, n*6), make([]int, n)
			for i := range n {
				for j := range 6 {
					x = append(x, float32(hard.at(r, i, j)))
				}
				labels[i] = i % 2
			}
			train := mustTable(t, n, 6, x)
			others := slices.Clone(x)
			for i := range n {
				for j := range 6 {
					switch {
					case i%3 == 0:
						others[i*6+j] = -x[i*6+j]
					case i%3 == 1:
						others[i*6+j] = 2 * x[i*6+(j+1)%6]
					default:
						others[i*6+j] = x[(i+j)%n*6+j]
					}
				}
			}
			asked := mustTable(t, 2*n, 6, slices.Concat(x, others))
			if labelled {
				var err error
				if train, err = train.WithLabels(labels, []string{"ant", "bee"}); err != nil {
					t.Fatal(err)
				}
			}
			for _, s := range detect.Methods() {
				if !s.Can("score") {
					continue
				}
				in := data.Bundle{}
				for _, slot := range s.Inputs {
					switch {
					case slot.Optional:
					case slot.Kind == data.KindTable:
						in[slot.Name] = train
					default:
						in[slot.Name] = plainHead(6, 2)
					}
				}
				asked := asked
				if s.Inputs[0].Name == "tokens" { // the others are no texts
					asked = train
				}
				m, err := s.Fit(t.Context(), s.Scaled().Config(), in)
				if err != nil {
					if !errors.Is(err, method.ErrDegenerate) && !errors.Is(err, method.ErrRefused) && !errors.Is(err, data.ErrLabels) && !errors.Is(err, data.ErrFormat) && !errors.Is(err, data.ErrShape) && !errors.Is(err, data.ErrFinite) {
						t.Errorf("%s on %s: %v", s.Name, hard.name, err)
					}
					continue
				}
				v, err := m.(method.Scorer).Score(asked)
				if err != nil {
					t.Errorf("%s on %s: fitted, but cannot score its own rows: %v", s.Name, hard.name, err)
					continue
				}
				if slices.Min(v) == slices.Max(v) {
					t.Errorf("%s on %s (labelled: %t): all %d rows score %g, and the fit did not say so", s.Name, hard.name, labelled, n, v[0])
				}
			}
		}
	}
}

// plainHead is a last layer of k classes on d features.
func plainHead(d, k int) *data.Checkpoint {
	weight, bias := make([]float64, k*d), make([]float64, k)
	for c := range k {
		for j := range d {
			weight[c*d+j] = float64((j+c)%3) - 1
		}
	}
	head := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.CastTensor(data.F32, weight, k, d), "bias": data.CastTensor(data.F32, bias, k)}}
	var classes []string
	for c := range k {
		classes = append(classes, fmt.Sprint(c))
	}
	head.SetStrings("classes", classes)
	return head
}
