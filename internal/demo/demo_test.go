package demo

import (
	"testing"

	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/encode"
	"github.com/gimbal-ml/gimbal/internal/world"
	"github.com/gimbal-ml/gimbal/moments"
)

func TestPromisesAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("plays the whole story")
	}
	for seed := range uint64(3) {
		s, err := Play(t.Context(), detect.Methods(), seed, func(string, int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Promises() {
			t.Logf("seed %d: kept %v: %s", seed, p.Kept, p.Text)
			if !p.Kept {
				t.Errorf("seed %d: %s", seed, p.Text)
			}
		}
	}
}

// TestLinearHeadOnTheFeatures: the network is good enough for the story, which is not about it.
func TestLinearHeadOnTheFeatures(t *testing.T) {
	const k = known + novel
	encoder, err := encode.Load(network, encode.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(3) {
		st := stage{world.Glyphs{Seed: seed, Size: imageSide}, encoder, seed}
		train, err := st.rows(t.Context(), 150*k, 0, k, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		test, err := st.rows(t.Context(), 60*k, 0, k, 0, 2)
		if err != nil {
			t.Fatal(err)
		}
		s, err := moments.FromSource(t.Context(), train, moments.Options{})
		if err != nil {
			t.Fatal(err)
		}
		trace, cov, mean := 0.0, s.Covariance(), s.Mean()
		for j := range mean {
			trace += cov[j*len(mean)+j]
		}
		w, ok := s.Ridge(1e-4*trace/float64(len(mean)), s.Indicators())
		if !ok {
			t.Fatal("singular")
		}
		right := 0
		for i := range k * 60 {
			var z [k]float64
			for j, v := range test.Row(i) {
				for c := range z {
					z[c] += (float64(v) - mean[j]) * w[j*k+c]
				}
			}
			best := 0
			for c := range z {
				if z[c] > z[best] {
					best = c
				}
			}
			if s.Classes()[best] == test.ClassName(i) {
				right++
			}
		}
		if share := float64(right) / (k * 60); share < 0.95 {
			t.Errorf("alphabet %d: ridge on features reaches %.3f", seed, share)
		}
	}
}
