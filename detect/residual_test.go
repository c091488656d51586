package detect_test

import (
	"context"
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleResidual() {
	// Familiar rows lie along a line.
	train, _ := data.NewTable(4, 2, []float32{1, 1, 2, 2, 3, 3, 4, 4})
	m, err := detect.Residual{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 2, []float32{9, 9, 3, 1})
	scores, _ := m.Score(query)
	fmt.Printf("%.3f %.3f\n", scores[0], scores[1])
	// Output: 0.000 1.414
}

func fitResidual(t testing.TB, c detect.Residual, train *data.Table) *detect.ResidualModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The length outside is what Pythagoras leaves of a row once its coordinates along gonum's principal components are taken off.
func TestResidualAgainstTheFormula(t *testing.T) {
	l := newLayer(t, 20)
	x := mat.NewDense(layerRows, layerColumns, nil)
	mean := make([]float64, layerColumns)
	for i := range layerRows {
		for j, v := range l.train.Row(i) {
			mean[j] += float64(v) / layerRows
		}
	}
	for i := range layerRows {
		for j, v := range l.train.Row(i) {
			x.Set(i, j, float64(v)-mean[j])
		}
	}
	var svd mat.SVD
	var v mat.Dense
	svd.Factorize(x, mat.SVDThin)
	svd.VTo(&v)
	for _, share := range []float64{0.05, 0.25, 0.5, 0.96} {
		within(t, fmt.Sprint("share ", share), scores(t, fitResidual(t, detect.Residual{Share: share}, l.train), l.query), each(l.query, func(row []float64) float64 {
			square := 0.0
			for j := range row {
				square += math.Pow(row[j]-mean[j], 2)
			}
			for r := range int(share * layerColumns) {
				along := 0.0
				for j := range row {
					along += (row[j] - mean[j]) * v.At(j, r)
				}
				square -= along * along
			}
			return math.Sqrt(max(square, 0))
		}), 1e-7, 1e-6)
	}
}

// Rows made of familiar ones lie in their space when they are fewer than its directions; turning all rows changes nothing.
func TestResidualOfFewRows(t *testing.T) {
	l := newLayer(t, 21)
	few := l.train.Slice(0, 5)
	m := fitResidual(t, detect.Residual{}, few)
	within(t, "the rows learned", scores(t, m, few), make([]float64, 5), 0, 1e-5)
	for i, s := range scores(t, m, l.query) {
		if s < 0.1 {
			t.Errorf("row %d: %g", i+1, s)
		}
	}
}

func TestResidualTurned(t *testing.T) {
	l := newLayer(t, 22)
	turn := func(in *data.Table) *data.Table { // by 3-4-5 triangles, columns in pairs: exact in float32
		n, d := in.Dims()
		x := make([]float32, 0, n*d)
		for i := range n {
			row := in.Row(i)
			for j := 0; j < d; j += 2 {
				x = append(x, 3*row[j]-4*row[j+1], 4*row[j]+3*row[j+1])
			}
		}
		return mustTable(t, n, d, x)
	}
	want := scores(t, fitResidual(t, detect.Residual{}, l.train), l.query)
	for i := range want {
		want[i] *= 5
	}
	within(t, "turned and five times as long", scores(t, fitResidual(t, detect.Residual{}, turn(l.train)), turn(l.query)), want, 1e-9, 0)
}
