package encode

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// stripes are labelled gray images of 28×28 whose classes differ in the direction of stripes, or in their brightness.
func stripes(n int, bright bool, size int) iter.Seq2[Sample, error] {
	return func(yield func(Sample, error) bool) {
		r := rand.New(rand.NewPCG(3, 3))
		for i := range n {
			p := &Picture{H: size, W: size, C: 1, Pixels: make([]byte, size*size)}
			phase, level := r.IntN(4), 90
			if bright {
				level += 40 * (i % 2)
			}
			for j := range p.Pixels {
				at := j / size
				if i%2 == 1 && !bright {
					at = j % size
				}
				v := level + r.IntN(8)
				if (at+phase)%4 < 2 && !bright {
					v += 100
				}
				p.Pixels[j] = byte(v)
			}
			if !yield(Sample{Name: fmt.Sprint("image ", i+1), Label: fmt.Sprint("class ", i%2), Picture: p}, nil) {
				return
			}
		}
	}
}

// TestPreprocessControls: brightness is what channel statistics see and centred patches do not, stripes are the other way round.
func TestPreprocessControls(t *testing.T) {
	for _, bright := range []bool{true, false} {
		rows, err := Preprocess(t.Context(), "fractal", Options{}, stripes(40, bright, 28), 1)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(Normalizations)+2 {
			t.Fatalf("%d rows for one size", len(rows))
		}
		statistics, patches := rows[len(rows)-2], rows[len(rows)-1]
		if statistics.Features != 4 || patches.Features != 2*preprocessFilters {
			t.Errorf("controls of %d and %d features", statistics.Features, patches.Features)
		}
		t.Logf("bright %v: %.2f by statistics, %.2f by patches, %.2f by the network", bright, statistics.Accuracy.Value, patches.Accuracy.Value, rows[2].Accuracy.Value)
		if bright != (statistics.Accuracy.Value == 1) || bright == (patches.Accuracy.Value == 1) {
			t.Errorf("bright %v: %.2f by statistics, %.2f by patches", bright, statistics.Accuracy.Value, patches.Accuracy.Value)
		}
		own := slices.IndexFunc(rows, func(p Preprocessing) bool { return p.Own })
		if own < 0 || rows[own].Normalize != NormalizeNetwork {
			t.Errorf("own is row %d", own)
		}
	}
}

// TestPreprocessSizes: a network with a linear layer on all places takes one size; its rows at another one say so.
func TestPreprocessSizes(t *testing.T) {
	rows, err := Preprocess(t.Context(), "fractal", Options{}, stripes(12, false, 20), 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range rows[:len(Normalizations)] {
		if p.Height != 20 || p.Err == nil {
			t.Errorf("%+v: want a refusal of 20×20", p)
		}
	}
	if p := rows[len(Normalizations)]; p.Height != 28 || p.Err != nil {
		t.Errorf("%+v: want an answer at 28×28", p)
	}
}

// TestPreprocessNormalized: unit is what a divisor of 255 does, the target's own brings mean and deviation to zero and one.
func TestPreprocessNormalized(t *testing.T) {
	network, err := Load("fractal", Options{})
	if err != nil {
		t.Fatal(err)
	}
	set, err := newPreprocessed(network, stripes(20, true, 28))
	if err != nil {
		t.Fatal(err)
	}
	in := network.Input.joined(set.normalized(NormalizeTarget))
	sum, squares, n := 0.0, 0.0, 0.0
	for _, p := range set.pictures {
		x, err := in.image(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range x {
			sum, squares, n = sum+float64(v), squares+float64(v)*float64(v), n+1
		}
	}
	if math.Abs(sum/n) > 1e-5 || math.Abs(squares/n-1) > 1e-4 {
		t.Errorf("mean %g, mean square %g", sum/n, squares/n)
	}
	unit, own := network.Input.joined(set.normalized(NormalizeUnit)), network.Input
	a, _ := unit.image(set.pictures[0])
	b, _ := own.image(set.pictures[0]) // the network divides by 255
	for i := range a {
		if math.Abs(float64(a[i]-b[i])) > 1e-6 {
			t.Fatalf("value %d: %g, by the network's divisor %g", i, a[i], b[i])
		}
	}
	low, width := spreadOf([256]float64{10: 1, 20: 97, 200: 2}, true)
	if low != 20 || width != 0+1 { // 2 % lie up to 20, 98 % as well
		t.Errorf("percentiles: from %g, %g wide", low, width)
	}
}

// TestPreprocessNearest against brute force, with rows that are equal.
func TestPreprocessNearest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const n, d = 60, 3
	s := &preprocessed{classes: 3}
	x := make([]float32, n*d)
	for i := range n {
		s.labels = append(s.labels, i%3)
		for j := range d {
			x[i*d+j] = float32(r.IntN(5)) + float32(i%3)
		}
	}
	have, err := s.nearest(x, d)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i := range n {
		order := make([]int, 0, n)
		for j := range n {
			if j != i {
				order = append(order, j)
			}
		}
		distance := func(j int) (v float64) {
			for c := range d {
				e := float64(x[i*d+c] - x[j*d+c])
				v += e * e
			}
			return v
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(distance(a) - distance(b)) })
		votes, best := [3]int{}, s.labels[order[0]]
		for _, j := range order[:preprocessNeighbors] {
			votes[s.labels[j]]++
		}
		for _, j := range order[:preprocessNeighbors] {
			if votes[s.labels[j]] > votes[best] {
				best = s.labels[j]
			}
		}
		if best == s.labels[i] {
			right++
		}
	}
	if math.Abs(have.Value-float64(right)/n) > 1e-12 {
		t.Errorf("accuracy %g, by brute force %g", have.Value, float64(right)/n)
	}
}

// TestPreprocessOfManySizes: the images' own size is then the median.
func TestPreprocessOfManySizes(t *testing.T) {
	rows, err := Preprocess(t.Context(), "fractal", Options{}, func(yield func(Sample, error) bool) {
		for size := range 5 {
			for s := range stripes(4, true, 12+size) {
				if !yield(s, nil) {
					return
				}
			}
		}
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(rows[:1:1], rows[len(rows)-2:]...) {
		if p.Height != 14 || p.Width != 14 {
			t.Errorf("%+v: want 14×14", p)
		}
	}
}

func TestPreprocessRefuses(t *testing.T) {
	for what, c := range map[string]struct {
		samples iter.Seq2[Sample, error]
		want    error
	}{
		"few images": {stripes(4, true, 28), data.ErrShape},
		"no label": {func(yield func(Sample, error) bool) {
			for s := range stripes(9, true, 28) {
				s.Label = ""
				if !yield(s, nil) {
					return
				}
			}
		}, data.ErrLabels},
	} {
		if _, err := Preprocess(context.Background(), "fractal", Options{}, c.samples, 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
