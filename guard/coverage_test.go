package guard_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
)

// TestThresholdsCoverOnEveryDetector: a threshold set on rows kept back refuses no more familiar rows than it promises, whatever
// detector scores, and unless scores tie not many fewer. The rows are drawn anew in every trial.
func TestThresholdsCoverOnEveryDetector(t *testing.T) {
	const trials, learned, kept, asked = 20, 120, 99, 150
	for _, s := range detect.Methods() {
		if !s.Can("score") {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			s := s.Scaled()
			if s.TwoClasses { // it learns from one cloud cut in two, and may refuse others
				t.Skip("it vouches for a plane or refuses; its scores are tested with it")
			}
			refused := map[float64]float64{0.05: 0, 0.2: 0}
			for trial := range uint64(trials) {
				all := coverageRows(s, trial, learned+kept+asked)
				in := data.Bundle{}
				for _, slot := range s.Inputs {
					switch {
					case slot.Optional:
					case slot.Kind == data.KindTable:
						in[slot.Name] = all.Slice(0, learned)
					default:
						in[slot.Name] = coverageHead()
					}
				}
				m, err := s.Fit(t.Context(), s.Config(), in)
				if err != nil {
					t.Fatal(err)
				}
				score := func(rows *data.Table) []float64 {
					v, err := m.(method.Scorer).Score(rows)
					if err != nil {
						t.Fatal(err)
					}
					return v
				}
				c := part.NewConformal(score(all.Slice(learned, learned+kept)))
				fresh := score(all.Slice(learned+kept, learned+kept+asked))
				for alpha := range refused {
					for _, v := range fresh {
						if v > c.Threshold(alpha) {
							refused[alpha] += 1.0 / (trials * asked)
						}
					}
				}
			}
			for alpha, mean := range refused {
				// The share of one trial has a variance of about α(1−α)·(1/kept + 1/asked).
				error := math.Sqrt(alpha * (1 - alpha) * (1.0/kept + 1.0/asked) / trials)
				if mean > alpha+4*error || mean < alpha/2-4*error {
					t.Errorf("%.4f of familiar rows were refused, promised is %g", mean, alpha)
				}
			}
		})
	}
}

// coverageRows draws rows of two classes for what a detector takes: features, logits or texts.
func coverageRows(s method.Spec, seed uint64, n int) *data.Table {
	features := rows(2000+seed, n, "a", "b")
	r := rand.New(rand.NewPCG(seed, 78))
	var x []float32
	d := 3
	switch s.Inputs[0].Name {
	case "logits":
		for i := range n {
			for c := range d {
				v := r.NormFloat64()
				if c == i%2 {
					v += 3
				}
				x = append(x, float32(v))
			}
		}
	case "tokens":
		for range n {
			at := r.IntN(6)
			for range d {
				at = (at + 1 + r.IntN(2)) % 6
				x = append(x, float32(at))
			}
		}
	default:
		return features
	}
	t, err := data.NewTable(n, d, x)
	if err == nil {
		labels, missing := features.Labels()
		if missing != nil {
			panic(missing)
		}
		t, err = t.WithLabels(labels, features.Classes())
	}
	if err != nil {
		panic(err)
	}
	return t
}

// coverageHead is a last layer on the features.
func coverageHead() *data.Checkpoint {
	weight := make([]float64, 2*8)
	for i := range weight {
		weight[i] = math.Cos(3 * float64(i))
	}
	head := &data.Checkpoint{Tensors: map[string]data.Tensor{"weight": data.CastTensor(data.F32, weight, 2, 8), "bias": data.CastTensor(data.F32, []float64{0.5, -0.5}, 2)}}
	head.SetStrings("classes", []string{"a", "b"})
	return head
}
