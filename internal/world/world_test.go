package world

import (
	"math"
	"runtime"
	"slices"
	"testing"
)

func TestEveryRowStandsAlone(t *testing.T) {
	g := Glyphs{Seed: 1}
	all := g.Draw(3, 40, 9)
	if one := g.Draw(3, 7, 9); !slices.Equal(one, all[:len(one)]) {
		t.Error("an image depends on how many are drawn")
	}
	e := NewEncoder(2, 20, 32)
	whole := e.Encode(all)
	if single := e.Encode(all[5*400 : 6*400]); !slices.Equal(single, whole[5*32:6*32]) {
		t.Error("features depend on the batch")
	}
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	if !slices.Equal(g.Draw(3, 40, 9), all) || !slices.Equal(e.Encode(all), whole) {
		t.Error("threads change the result")
	}
	if slices.Equal(g.Draw(3, 1, 10), all[:400]) || slices.Equal(g.Draw(4, 1, 9), all[:400]) {
		t.Error("seed or class changes nothing")
	}
}

// nearestMean is the accuracy of the class mean on features of k classes.
func nearestMean(k, n, d int, train, test func(class int) []float32) float64 {
	means := make([][]float64, k)
	for c := range k {
		means[c] = make([]float64, d)
		for i, v := range train(c) {
			means[c][i%d] += float64(v) / float64(n)
		}
	}
	right, rows := 0, 0
	for c := range k {
		x := test(c)
		for i := 0; i < len(x); i += d {
			best, at := math.Inf(1), -1
			for m, mean := range means {
				s := 0.0
				for j, v := range x[i : i+d] {
					s += (float64(v) - mean[j]) * (float64(v) - mean[j])
				}
				if s < best {
					best, at = s, m
				}
			}
			if at == c {
				right++
			}
			rows++
		}
	}
	return float64(right) / float64(rows)
}

func TestGlyphsAreDistinctYetConfusable(t *testing.T) {
	g := Glyphs{Seed: 1}
	e := NewEncoder(2, 20, 64)
	pixels := nearestMean(10, 100, 400, func(c int) []float32 { return g.Draw(c, 100, 1) }, func(c int) []float32 { return g.Draw(c, 50, 2) })
	features := nearestMean(10, 100, 64, func(c int) []float32 { return e.Encode(g.Draw(c, 100, 1)) }, func(c int) []float32 { return e.Encode(g.Draw(c, 50, 2)) })
	t.Logf("nearest mean of 10 classes: %.3f on pixels, %.3f on features", pixels, features)
	if pixels < 0.8 || pixels > 0.995 || features < 0.85 {
		t.Errorf("nearest mean reaches %.3f on pixels and %.3f on features", pixels, features)
	}
}

func TestMoreSeverityIsMoreDamage(t *testing.T) {
	images := Glyphs{Seed: 1}.Draw(0, 30, 1)
	for _, kind := range Corruptions {
		last := 0.0
		for severity := range 6 {
			x, err := Corrupt(kind, float64(severity), 7, images, 20)
			if err != nil {
				t.Fatal(err)
			}
			change := 0.0
			for i, v := range x {
				if v < 0 || v > 1 {
					t.Fatalf("%s %d: value %g", kind, severity, v)
				}
				change += math.Abs(float64(v - images[i]))
			}
			if severity > 0 && change <= last {
				t.Errorf("%s: severity %d changes %.1f, severity %d changed %.1f", kind, severity, change, severity-1, last)
			}
			last = change
		}
	}
	if _, err := Corrupt("rain", 1, 1, images, 20); err == nil {
		t.Error("an unknown kind was taken")
	}
	if _, err := Corrupt("blur", math.NaN(), 1, images, 20); err == nil {
		t.Error("a severity of NaN was taken")
	}
}
