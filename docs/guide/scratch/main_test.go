package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

// cloud draws rows of three classes, far from zero.
func cloud(seed uint64, n int) (t table) {
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range n {
		row := make([]float64, 4)
		for j := range row {
			row[j] = float64(float32(1000 + r.NormFloat64()))
		}
		row[i%3] += 4
		row[3] = float64(float32(row[3] + 0.7*row[0]))
		t.x, t.labels = append(t.x, row), append(t.labels, string(rune('a'+i%3)))
	}
	return t
}

func (t table) library(tb testing.TB) *data.Table {
	tb.Helper()
	var x []float32
	for _, row := range t.x {
		for _, v := range row {
			x = append(x, float32(v))
		}
	}
	out, err := data.NewTable(len(t.x), 4, x)
	if err == nil {
		out, err = out.WithClassNames(t.labels)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// TestScoresAreTheLibrarys: three hundred lines give what the library's detector gives.
func TestScoresAreTheLibrarys(t *testing.T) {
	train, fresh := cloud(1, 300), cloud(2, 50)
	m := newMoments(4)
	if err := m.add(train, 1); err != nil {
		t.Fatal(err)
	}
	own, err := m.fit()
	if err != nil {
		t.Fatal(err)
	}
	library, err := detect.Mahalanobis{}.Fit(context.Background(), train.library(t))
	if err != nil {
		t.Fatal(err)
	}
	want, err := library.Score(fresh.library(t))
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range fresh.x {
		if got := own.score(row); math.Abs(got-want[i]) > 2e-3*max(1, want[i]) { // grids differ
			t.Errorf("row %d: %g, the library says %g", i, got, want[i])
		}
	}
}

// TestForgettingLeavesNoTrace: in any order, and down to a class that is gone.
func TestForgettingLeavesNoTrace(t *testing.T) {
	all := cloud(3, 90)
	m, rest := newMoments(4), newMoments(4)
	var gone, kept table
	for i := range all.x {
		to := &kept
		if all.labels[i] == "b" || i%7 == 0 {
			to = &gone
		}
		to.x, to.labels = append(to.x, all.x[i]), append(to.labels, all.labels[i])
	}
	for _, err := range []error{m.add(all, 1), m.add(gone, -1), rest.add(kept, 1)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if !m.equal(rest) {
		t.Error("what was forgotten left a trace")
	}
	if err := m.add(gone, -1); err == nil {
		t.Error("rows that are not there were forgotten")
	}
}

// TestPValues: of familiar rows at most a share α has p ≤ α, on average; odd ones have the smallest there is.
func TestPValues(t *testing.T) {
	below, trials := 0, 2000
	r := rand.New(rand.NewPCG(4, 1))
	for range trials {
		calibration := make([]float64, 19)
		for i := range calibration {
			calibration[i] = r.ExpFloat64()
		}
		if pValue(calibration, r.ExpFloat64()) <= 0.05 {
			below++
		}
	}
	if share := float64(below) / float64(trials); math.Abs(share-0.05) > 0.02 {
		t.Errorf("a share of %g is refused at 0.05, by exchangeability 1/20", share)
	}
	if p := pValue([]float64{1, 2, 3}, 10); p != 0.25 {
		t.Errorf("the oddest row of four has p = %g", p)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var lines strings.Builder
	lines.WriteString("a,b,y\n")
	for i := range 40 {
		fmt.Fprintf(&lines, "%d,%d,%d\n", i%7, i*i%11, i%2)
	}
	good := write("good.csv", lines.String())
	if err := run([]string{good, good, good}); err != nil {
		t.Error(err)
	}
	for _, paths := range [][]string{{}, {good, good}, {"none.csv", good, good}, {write("words.csv", "a,y\nx,1\n"), good, good}, {write("empty.csv", "a,y\n"), good, good}} {
		if err := run(paths); err == nil {
			t.Errorf("%v was taken", paths)
		}
	}
}
