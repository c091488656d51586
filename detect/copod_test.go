package detect_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
)

func ExampleCOPOD() {
	// Waiting times are skewed to the right: a long one is odd, a short one is not.
	train, _ := data.NewTable(8, 1, []float32{1, 1, 1, 2, 2, 3, 5, 9})
	m, err := detect.COPOD{}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 1, []float32{0, 2, 30})
	scores, _ := m.Score(query)
	fmt.Printf("%.2f %.2f %.2f\n", scores[0], scores[1], scores[2])
	// Output: 1.10 0.41 2.20
}

func fitCOPOD(t testing.TB, c detect.COPOD, train *data.Table) *detect.COPODModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCOPODAgainstTheFormula(t *testing.T) {
	query := slices.Concat(skewedTable(t, 2, 40).X(), []float32{9, 9, 9, 9, 9, -9, -9, -9, -9, -9, 0, 0, 0, 0, 3})
	in := mustTable(t, 43, 5, query)
	for _, n := range []int{2, 3, 50, 1500} {
		train := skewedTable(t, 1, n)
		near(t, fmt.Sprint("columns, rows ", n), scores(t, fitCOPOD(t, detect.COPOD{}, train), in),
			bruteColumns(train, in, false, func(left, right, skewed float64) float64 { return max(skewed, (left+right)/2) }), 1e-12)
		near(t, fmt.Sprint("totals, rows ", n), scores(t, fitCOPOD(t, detect.COPOD{Strategy: "totals"}, train), in), bruteColumns(train, in, true, nil), 1e-12)
	}
}

// TestCOPODTotalsAreECODs: the two papers' rules are one; what differs is what their authors' code does within a column.
func TestCOPODTotalsAreECODs(t *testing.T) {
	train, in := skewedTable(t, 5, 200), skewedTable(t, 6, 60)
	near(t, "totals", scores(t, fitCOPOD(t, detect.COPOD{Strategy: "totals"}, train), in), scores(t, fitECOD(t, detect.ECOD{Strategy: "totals"}, train), in), 0)
}

func TestCOPODTolerance(t *testing.T) {
	train, in := skewedTable(t, 3, 6000), skewedTable(t, 4, 500)
	exact := scores(t, fitCOPOD(t, detect.COPOD{}, train), in)
	for i, s := range scores(t, fitCOPOD(t, detect.COPOD{Tolerance: 0.1}, train), in) {
		if s < exact[i]-1e-9 || s > exact[i]+0.5+1e-9 {
			t.Fatalf("row %d scores %g, exactly %g, and there are 5 columns with a tolerance of 0.1", i+1, s, exact[i])
		}
	}
}

// TestCOPODBatchTrap pins what PyOD does otherwise, as for ECOD: COPOD().fit([[1],[2],[3],[9]]).decision_function([[9]]) is
// −log(2/5); of [[9],[9]] it is ½·log 2 for each, because the joined rows are skewed to the other side.
func TestCOPODBatchTrap(t *testing.T) {
	m := fitCOPOD(t, detect.COPOD{}, mustTable(t, 4, 1, []float32{1, 2, 3, 9}))
	near(t, "alone", scores(t, m, mustTable(t, 1, 1, []float32{9})), []float64{-math.Log(2.0 / 5)}, 1e-12)
	near(t, "two together", scores(t, m, mustTable(t, 2, 1, []float32{9, 9})), []float64{-math.Log(2.0 / 5), -math.Log(2.0 / 5)}, 1e-12)
}
