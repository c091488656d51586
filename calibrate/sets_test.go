package calibrate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/calibrate"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func exampleRows() *data.Table {
	logits, _ := data.NewNamed(5, []string{"cat", "dog", "fox"}, []float32{3, 0, 0, 0, 2, 0, 0, 1, 2, 1, 0, 0, 1, 0, 2})
	logits, _ = logits.WithClassNames([]string{"cat", "dog", "dog", "cat", "fox"})
	return logits
}

// exampleSets prints the sets of a sure row and of one that is torn.
func exampleSets(m method.SetPredictor, err error) {
	if err != nil {
		panic(err)
	}
	rows, _ := data.NewTable(2, 3, []float32{4, 0, 0, 1, 1, 0})
	s, _ := m.Sets(rows)
	for i := range 2 {
		fmt.Print(s.Row(i), " ")
	}
	fmt.Println(s.Columns())
}

// unlikelihood is −log p of a row's class.
func unlikelihood(in *data.Table, i, c int) float64 {
	sum := 0.0
	for _, z := range in.Row(i) {
		sum += math.Exp(float64(z))
	}
	return math.Log(sum) - float64(in.Row(i)[c])
}

// coverage fits on n rows and returns the share of fresh rows whose class is in their set, and the sets' mean size.
func coverage(t *testing.T, s method.Spec, seed uint64, n int, keep func(class string) bool) (right, rows int, size float64) {
	t.Helper()
	m, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": outputs(t, seed, n, 4, 2)})
	if err != nil {
		t.Fatal(err)
	}
	fresh := outputs(t, seed+100000, 40, 4, 2)
	out, err := m.(method.SetPredictor).Sets(fresh)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		for _, v := range out.Row(i) {
			size += float64(v) / 40
		}
		if keep(fresh.ClassName(i)) {
			rows++
			right += int(out.Row(i)[slices.Index(out.Columns(), fresh.ClassName(i))])
		}
	}
	return right, rows, size
}

// TestCoverageOverSeeds: over 300 draws of 59 calibration rows coverage lies between 1 − α and 1 − α + 1/60, up to 4 standard
// errors. Rows of one draw share a threshold, whose coverage is a beta variable with variance α(1−α)/61; that counts per draw.
func TestCoverageOverSeeds(t *testing.T) {
	const draws, n, level = 300, 59, 0.1
	for _, s := range calibrate.Methods() {
		if !s.Can("sets") {
			continue
		}
		right, rows := 0, 0
		for seed := range uint64(draws) {
			r, all, _ := coverage(t, s, seed, n, func(string) bool { return true })
			right, rows = right+r, rows+all
		}
		have := float64(right) / float64(rows)
		error4 := 4 * math.Sqrt(level*(1-level)/float64(rows)+level*(1-level)/61/draws)
		upper := 1 - level + 1./(n+1)
		if s.ID() == "calibrate/mondrian" {
			upper = 1 // each class has its own remainder
		}
		if have < 1-level-error4 || have > upper+error4 {
			t.Errorf("%s: coverage %.4f, want %.4f to %.4f within %.4f", s.ID(), have, 1-level, upper, error4)
		}
	}
}

func TestSetsNeedRowsForTheLevel(t *testing.T) {
	in := outputs(t, 1, 8, 3, 1)
	for _, s := range calibrate.Methods() {
		if !s.Can("sets") {
			continue
		}
		m, err := s.Fit(context.Background(), s.Config(), data.Bundle{"logits": in})
		if s.ID() == "calibrate/mondrian" {
			if err != nil {
				t.Fatal(err)
			}
			out, err := m.(method.SetPredictor).Sets(in)
			if err != nil || slices.Contains(out.X(), 0) {
				t.Errorf("classes of too few rows are not in every set: %v %v", out.X(), err)
			}
			continue
		}
		if !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "at least 9 calibration rows, have 8") {
			t.Errorf("%s: %v", s.ID(), err)
		}
	}
}
