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
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	if !slices.Equal(g.Draw(3, 40, 9), all) {
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
	pixels := nearestMean(10, 100, 400, func(c int) []float32 { return g.Draw(c, 100, 1) }, func(c int) []float32 { return g.Draw(c, 50, 2) })
	t.Logf("nearest mean of 10 classes: %.3f on pixels", pixels)
	if pixels < 0.8 || pixels > 0.995 {
		t.Errorf("nearest mean reaches %.3f on pixels", pixels)
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

func TestRotateByAQuarter(t *testing.T) {
	x := []float32{
		1, 0.5, 0,
		0, 0.25, 0,
		0, 0, 0.75,
	}
	rotate(x, 3, math.Pi/2)
	want := []float32{
		0, 0, 1,
		0, 0.25, 0.5,
		0.75, 0, 0,
	}
	for i := range x {
		if math.Abs(float64(x[i]-want[i])) > 1e-6 {
			t.Fatalf("a quarter turn gives %v, want %v", x, want)
		}
	}
}

func TestNearestAgainstAllSegments(t *testing.T) {
	r := random(1)
	for range 200 {
		line := make([]point, 20)
		for i := range line {
			line[i] = point{r.Float64(), r.Float64()}
		}
		at, reach := point{1.4*r.Float64() - 0.2, 1.4*r.Float64() - 0.2}, 0.3*r.Float64()
		want := reach * reach
		for k := 0; k < len(line); k += 2 {
			want = min(want, squaredDistance(at, line[k], line[k+1]))
		}
		if have := nearest(line, at, reach); have != want {
			t.Fatalf("%v from %v within %v: %v, want %v", at, line, reach, have, want)
		}
	}
}
