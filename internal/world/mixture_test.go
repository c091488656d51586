package world

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
)

func must(t *data.Table, err error) *data.Table {
	if err != nil {
		panic(err)
	}
	return t
}

func TestMixtureIsWhatItSays(t *testing.T) {
	m := Mixture{Seed: 3, Classes: 4, Dim: 6, Separation: 3, Condition: 50, Imbalance: 8}
	cov := mat.NewSymDense(6, m.Covariance())
	var eigen mat.EigenSym
	if !eigen.Factorize(cov, false) {
		t.Fatal("no eigenvalues")
	}
	values := eigen.Values(nil)
	if c := values[5] / values[0]; math.Abs(c-50) > 1e-9*50 || math.Abs(mat.Trace(cov)-6) > 1e-9 {
		t.Errorf("condition %.9f and trace %.9f, want 50 and 6", c, mat.Trace(cov))
	}
	var inverse mat.Dense
	if err := inverse.Inverse(cov); err != nil {
		t.Fatal(err)
	}
	for a := range 6 { // strangers included
		for b := range a {
			d := mat.NewVecDense(6, nil)
			d.SubVec(mat.NewVecDense(6, m.Mean(a)), mat.NewVecDense(6, m.Mean(b)))
			if got := math.Sqrt(mat.Inner(d, &inverse, d)); math.Abs(got-3) > 1e-9 {
				t.Errorf("classes %d and %d lie %.12f apart, want 3", a, b, got)
			}
		}
	}
	n := 40000
	tab, truth := must(m.Table(n, 1)), m.Truth(n, 1)
	shares := m.Shares()
	if r := shares[0] / shares[3]; math.Abs(r-8) > 1e-12 {
		t.Errorf("imbalance %.12f, want 8", r)
	}
	counts, sum := make([]float64, 4), make([][]float64, 4)
	for c := range sum {
		sum[c] = make([]float64, 6)
	}
	scatter := make([]float64, 36)
	for i, c := range truth {
		counts[c]++
		mean := m.Mean(c)
		for j, v := range tab.Row(i) {
			sum[c][j] += float64(v)
			for k, w := range tab.Row(i) {
				scatter[j*6+k] += (float64(v) - mean[j]) * (float64(w) - mean[k]) / float64(n)
			}
		}
	}
	for c, count := range counts {
		if p := shares[c]; math.Abs(count/float64(n)-p) > 4.5*math.Sqrt(p*(1-p)/float64(n)) {
			t.Errorf("class %d has %g of %d rows, its share is %.4f", c, count, n, p)
		}
		for j, want := range m.Mean(c) {
			if got := sum[c][j] / count; math.Abs(got-want) > 4.5*math.Sqrt(cov.At(j, j)/count) {
				t.Errorf("class %d, column %d: mean %.4f, want %.4f", c, j, got, want)
			}
		}
	}
	for j, got := range scatter {
		a, b := cov.At(j/6, j/6), cov.At(j%6, j%6)
		if want := cov.At(j/6, j%6); math.Abs(got-want) > 4.5*math.Sqrt((a*b+want*want)/float64(n)) {
			t.Errorf("covariance %d: %.4f, want %.4f", j, got, want)
		}
	}
}

func TestMixtureReachesTheBayesRate(t *testing.T) {
	m := Mixture{Seed: 5, Classes: 2, Dim: 8, Separation: 2, Condition: 30}
	var inverse mat.Dense
	if err := inverse.Inverse(mat.NewSymDense(8, m.Covariance())); err != nil {
		t.Fatal(err)
	}
	a, b := mat.NewVecDense(8, m.Mean(0)), mat.NewVecDense(8, m.Mean(1))
	var d, w, mid mat.VecDense
	d.SubVec(a, b)
	w.MulVec(&inverse, &d)
	mid.AddVec(a, b)
	threshold := mat.Dot(&w, &mid) / 2
	n, right := 20000, 0
	tab, truth := must(m.Table(n, 2)), m.Truth(n, 2)
	for i, c := range truth {
		s := 0.0
		for j, v := range tab.Row(i) {
			s += w.AtVec(j) * float64(v)
		}
		if (s > threshold) == (c == 0) {
			right++
		}
	}
	want := distuv.UnitNormal.CDF(1)
	if got := float64(right) / float64(n); math.Abs(got-want) > 4*math.Sqrt(want*(1-want)/float64(n)) {
		t.Errorf("the best classifier reaches %.4f, want %.4f", got, want)
	}
}

func TestMixtureLabelNoise(t *testing.T) {
	clean := Mixture{Seed: 1, Classes: 3, Dim: 2, Separation: 4}
	noisy := clean
	noisy.LabelNoise = 0.2
	n := 20000
	a, b := must(clean.Table(n, 1)), must(noisy.Table(n, 1))
	if !slices.Equal(a.X(), b.X()) {
		t.Error("label noise moves features")
	}
	truth, labels := noisy.Truth(n, 1), noisy.Labels(n, 1)
	wrong, pairs := 0.0, map[[2]int]float64{}
	for i, c := range labels {
		if c != truth[i] {
			wrong++
			pairs[[2]int{truth[i], c}]++
		}
	}
	if share := wrong / float64(n); math.Abs(share-0.2) > 4*math.Sqrt(0.2*0.8/float64(n)) {
		t.Errorf("%.4f of labels are wrong, want 0.2", share)
	}
	for p, count := range pairs { // each of 6 pairs has a sixth
		if math.Abs(count/wrong-1.0/6) > 4.5*math.Sqrt(5.0/36/wrong) {
			t.Errorf("pair %v has %g of %g wrong labels", p, count, wrong)
		}
	}
	if got, err := a.Labels(); err != nil || !slices.Equal(got, clean.Truth(n, 1)) {
		t.Errorf("without noise labels are not the truth (%v)", err)
	}
}

func TestMixtureRowsStandAlone(t *testing.T) {
	m := Mixture{Seed: 2, Classes: 3, Dim: 5, Separation: 3, Condition: 4, Imbalance: 3, LabelNoise: 0.1}
	all := must(m.Table(500, 7))
	short := must(m.Table(60, 7))
	if !slices.Equal(short.X(), all.Slice(0, 60).X()) || !slices.Equal(m.Labels(60, 7), m.Labels(500, 7)[:60]) {
		t.Error("a row depends on how many are drawn")
	}
	if !slices.Equal(m.Class(9, 3, 1), m.Class(9, 8, 1)[:15]) {
		t.Error("a row of a class depends on how many are drawn")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if !slices.Equal(must(m.Table(500, 7)).X(), all.X()) {
		t.Error("threads change the result")
	}
	other := m
	other.Seed++
	if slices.Equal(must(m.Table(60, 8)).X(), short.X()) || slices.Equal(must(other.Table(60, 7)).X(), short.X()) {
		t.Error("a seed changes nothing")
	}
	if x := m.Class(40, 2, 1); len(x) != 10 { // more classes than dimensions
		t.Errorf("%d values", len(x))
	}
}

func TestDrift(t *testing.T) {
	base := Mixture{Seed: 4, Classes: 1, Dim: 4, Separation: 0}
	n, row := 9000, 3000
	plain := must(base.Table(n, 1))
	for _, d := range []Drift{
		{Mixture: base, Kind: "mean", Row: row, Size: 2},
		{Mixture: base, Kind: "mean", Row: row, Over: 2000, Size: 2},
		{Mixture: base, Kind: "covariance", Row: row, Size: 0.7},
		{Mixture: base, Kind: "covariance", Row: row, Over: 2000, Size: 0.7},
	} {
		tab := must(d.Table(n, 1))
		if !slices.Equal(tab.Slice(0, row).X(), plain.Slice(0, row).X()) {
			t.Errorf("%s: rows before the change differ from the mixture's", d.Kind)
		}
		if tab.Row(row)[0] == plain.Row(row)[0] && tab.Row(row)[1] == plain.Row(row)[1] {
			t.Errorf("%s: the first changed row is the mixture's", d.Kind)
		}
		last := must(base.Table(n, 1)).Slice(row+d.Over, n)
		moved := tab.Slice(row+d.Over, n)
		m, _ := moved.Dims()
		shift, wide, narrow := make([]float64, 4), 0.0, 0.0
		for i := range m {
			for j, v := range moved.Row(i) {
				shift[j] += float64(v-last.Row(i)[j]) / float64(m)
				wide += float64(v) * float64(v) / float64(m)
				narrow += float64(last.Row(i)[j]) * float64(last.Row(i)[j]) / float64(m)
			}
		}
		switch d.Kind {
		case "mean": // every row moves alike, by two standard deviations; the covariance is the identity here
			if got := math.Hypot(math.Hypot(shift[0], shift[1]), math.Hypot(shift[2], shift[3])); math.Abs(got-2) > 1e-5 {
				t.Errorf("mean moves by %.6f, want 2", got)
			}
		case "covariance": // two of four directions widen by e^0.7
			if want := 2 + 2*math.Exp(1.4); math.Abs(wide-want) > 0.05*want || math.Abs(narrow-4) > 0.2 {
				t.Errorf("total variance %.3f and %.3f, want %.3f and 4", wide, narrow, want)
			}
		}
	}
	g := Drift{Row: 10, Over: 4}
	for i, want := range map[int]float64{0: 0, 9: 0, 10: 0.2, 11: 0.4, 13: 0.8, 14: 1, 99: 1} {
		if got := g.Grown(i); math.Abs(got-want) > 1e-12 {
			t.Errorf("row %d: %v of the change, want %v", i, got, want)
		}
	}
	if _, err := (Drift{Mixture: base, Kind: "rain"}).Table(5, 1); err == nil {
		t.Error("an unknown kind was taken")
	}
}
