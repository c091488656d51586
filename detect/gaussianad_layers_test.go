package detect_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func TestGaussianADLayersAreModelsOfTheirOwn(t *testing.T) {
	train, query := gaussianClasses(31, 300, 8, 1), gaussianClasses(32, 40, 8, 2)
	for _, c := range []detect.GaussianAD{{Shrinkage: "none"}, {Shrinkage: "oas"}, {Shrinkage: "none", Components: "trailing", Share: 0.8}} {
		sum := make([]float64, 40)
		for _, span := range [][2]int{{0, 3}, {3, 8}} {
			for i, v := range scores(t, fitGaussianAD(t, c, columns(t, train, span[0], span[1])), columns(t, query, span[0], span[1])) {
				sum[i] += v
			}
		}
		c.Layers = []int{3, 5}
		m := fitGaussianAD(t, c, train)
		near(t, c.Shrinkage+" "+c.Components, scores(t, m, query), sum, 1e-9)
		if l := m.Layers(); len(l) != 2 || l[0].Columns != 3 || l[1].Columns != 5 {
			t.Errorf("layers %+v", l)
		}
	}
	// The intensity of Ledoit–Wolf is inferred in a layer: Gaussian rows have one κ everywhere.
	m := fitGaussianAD(t, detect.GaussianAD{Layers: []int{3, 5}}, train)
	for l, span := range [][2]int{{0, 3}, {3, 8}} {
		want := fitGaussianAD(t, detect.GaussianAD{}, columns(t, train, span[0], span[1])).Layers()[0].Intensity
		if have := m.Layers()[l].Intensity; math.Abs(have-want) > 0.35*want+1e-3 {
			t.Errorf("layer %d: intensity %g, by itself %g", l+1, have, want)
		}
	}
	if _, err := (detect.GaussianAD{Layers: []int{3, 4}}).Fit(t.Context(), train); !errors.Is(err, data.ErrShape) {
		t.Errorf("layers of 7 columns on a table of 8: %v", err)
	}
	flat := append([]float32(nil), train.X()...)
	for i := range flat {
		if i%8 >= 3 {
			flat[i] = 1
		}
	}
	_, err := detect.GaussianAD{Layers: []int{3, 5}}.Fit(t.Context(), mustTable(t, 300, 8, flat))
	if !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "layer 2 of 2") {
		t.Errorf("a layer of constant columns: %v", err)
	}
}

// TestGaussianADFalseAlarms compares what the model expects with what new rows do, over many fits on few rows, and with
// gonum's F distribution.
func TestGaussianADFalseAlarms(t *testing.T) {
	r := rand.New(rand.NewPCG(33, 1))
	const p = 0.95
	for _, k := range []struct {
		c          detect.GaussianAD
		n, d       int
		calibrated bool
	}{
		{detect.GaussianAD{Shrinkage: "none"}, 20, 6, false},
		{detect.GaussianAD{Shrinkage: "none"}, 400, 6, true},
		{detect.GaussianAD{}, 40, 30, true},
		{detect.GaussianAD{}, 30, 60, true},
		{detect.GaussianAD{Shrinkage: "oas"}, 60, 20, true},
		{detect.GaussianAD{Layers: []int{2, 4}, Shrinkage: "none"}, 20, 6, false},
	} {
		above, rows := 0, 0
		expected := 0.0 // mean over the fits
		for range 150 {
			// Deviations from 1 to 1/d: the covariance is far from a multiple of the identity.
			mix := make([]float64, k.d*k.d)
			for j := range k.d {
				mix[j*k.d+j] = 1 / float64(1+j)
			}
			m := fitGaussianAD(t, k.c, gaussian(t, r, k.n, k.d, mix))
			limit, err := m.Threshold(p)
			if err != nil {
				t.Fatal(err)
			}
			e, calibrated, err := m.FalseAlarms(p)
			if err != nil || k.c.Shrinkage == "none" && calibrated != k.calibrated { // shrunk ones' differ from draw to draw
				t.Fatalf("%+v: expects %g, calibrated %v, %v", k, e, calibrated, err)
			}
			expected += e / 150
			for _, v := range scores(t, m, gaussian(t, r, 40, k.d, mix)) {
				if rows++; v > limit {
					above++
				}
			}
		}
		share := float64(above) / float64(rows)
		exact := k.c.Shrinkage == "none" && len(k.c.Layers) == 0
		if exact {
			f := distuv.F{D1: float64(k.d), D2: float64(k.n - k.d)}
			want := f.Survival(distuv.ChiSquared{K: float64(k.d)}.Quantile(p) * float64(k.n-k.d) / float64((k.n+1)*k.d))
			if math.Abs(expected-want) > 1e-9 {
				t.Errorf("%+v: expects %.9g, want %.9g", k, expected, want)
			}
		}
		// 6000 rows of 150 fits: the standard error is below 0.008 for the worst of these.
		if share > expected+0.03 || len(k.c.Layers) == 0 && share < expected-0.03 {
			t.Errorf("%+v: %.4f of new rows are above the threshold, expected %.4f", k, share, expected)
		}
	}
	m := fitGaussianAD(t, detect.GaussianAD{}, gaussian(t, r, 5, 8, nil))
	if _, _, err := m.FalseAlarms(1); !errors.Is(err, method.ErrConfig) {
		t.Errorf("a share of one: %v", err)
	}
}
