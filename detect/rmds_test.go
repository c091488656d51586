package detect_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleRMDS() {
	// Two classes along the first column; the second says nothing of them.
	features, _ := data.NewTable(8, 2, []float32{-5, 1, -5, -1, -6, 0, -4, 0, 5, 1, 5, -1, 6, 0, 4, 0})
	train, _ := features.WithLabels([]int{0, 0, 0, 0, 1, 1, 1, 1}, []string{"left", "right"})
	m, err := detect.RMDS{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	// A row of a class; one between both; one that is as odd for both, for which the plain distance is 200.
	query, _ := data.NewTable(3, 2, []float32{5, 0, 0, 0, 5, 10})
	scores, _ := m.Score(query)
	fmt.Printf("%.1f %.1f %.1f\n", scores[0], scores[1], scores[2])
	// Output: -1.0 50.0 -1.0
}

// plainMahalanobis inverts a covariance, divided by N with a ridge, and returns the squared distance to a mean.
func plainMahalanobis(rows [][]float64, means [][]float64, ridge float64) func(x, mean []float64) float64 {
	d := len(rows[0])
	cov := mat.NewDense(d, d, nil)
	for i, row := range rows {
		for a := range d {
			for b := range d {
				cov.Set(a, b, cov.At(a, b)+(row[a]-means[i][a])*(row[b]-means[i][b])/float64(len(rows)))
			}
		}
	}
	trace := mat.Trace(cov)
	for a := range d {
		cov.Set(a, a, cov.At(a, a)+ridge*trace/float64(d))
	}
	var inverse mat.Dense
	if err := inverse.Inverse(cov); err != nil {
		return nil
	}
	return func(x, mean []float64) float64 {
		sum := 0.0
		for a := range d {
			for b := range d {
				sum += (x[a] - mean[a]) * inverse.At(a, b) * (x[b] - mean[b])
			}
		}
		return sum
	}
}

func TestRMDSAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 23)
	labels, _ := l.train.Labels()
	classMeans, all := make([][]float64, layerClasses), make([]float64, layerColumns)
	count := make([]float64, layerClasses)
	for c := range classMeans {
		classMeans[c] = make([]float64, layerColumns)
	}
	var rows, own, whole [][]float64
	for i, c := range labels {
		count[c]++
		for j, v := range l.train.Row(i) {
			classMeans[c][j] += float64(v)
			all[j] += float64(v) / layerRows
		}
	}
	for c, m := range classMeans {
		for j := range m {
			m[j] /= count[c]
		}
	}
	for i, c := range labels {
		rows, own, whole = append(rows, wide(l.train.Row(i))), append(own, classMeans[c]), append(whole, all)
	}
	for _, ridge := range []float64{1e-6, 0.1} {
		near, background := plainMahalanobis(rows, own, ridge), plainMahalanobis(rows, whole, ridge)
		m, err := detect.RMDS{Ridge: ridge}.Fit(t.Context(), l.train)
		if err != nil {
			t.Fatal(err)
		}
		within(t, fmt.Sprint("ridge ", ridge), scores(t, m, l.query), each(l.query, func(row []float64) float64 {
			best := math.Inf(1)
			for _, mean := range classMeans {
				best = min(best, near(row, mean))
			}
			return best - background(row, all)
		}), 1e-8, 1e-8)
	}
}

// A column that is the same in all classes cancels: what it says is as odd for each as for all.
func TestRMDSCancelsWhatClassesShare(t *testing.T) {
	const n = 64
	x, labels := make([]float32, 0, 2*n), make([]int, n)
	for i := range n { // the second column is uncorrelated with the first in each class
		labels[i] = i % 2
		x = append(x, float32(10*(i%2)+i/2%2), float32(i/4%2))
	}
	train, err := mustTable(t, n, 2, x).WithLabels(labels, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	m, err := detect.RMDS{Ridge: 1e-12}.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	s := scores(t, m, mustTable(t, 3, 2, []float32{3, 0.5, 3, 80, 3, -1000}))
	within(t, "far along the second column", s[1:], slices.Repeat(s[:1], 2), 0, 1e-3) // a ridge of 1e-12, times 25, on a variance of 0.25 at a distance of 4e6
}

func TestRMDSOneClass(t *testing.T) {
	train, err := mustTable(t, 4, 2, []float32{1, 2, 3, 5, 2, 2, 0, 1}).WithLabels(make([]int, 4), []string{"only"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (detect.RMDS{}).Fit(t.Context(), train); !errors.Is(err, method.ErrDegenerate) || !strings.Contains(err.Error(), "constant") {
		t.Errorf("one class: %v", err)
	}
}
