package audit_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleNeighbors() {
	x, _ := data.NewTable(8, 1, []float32{0, 0.1, 0.2, 0.3, 5, 5.1, 5.2, 5.3})
	x, _ = x.WithClassNames([]string{"low", "low", "high", "low", "high", "high", "high", "high"})
	m, err := audit.Neighbors{Neighbors: 3}.Fit(context.Background(), x)
	if err != nil {
		panic(err)
	}
	found, _ := m.Audit(x)
	fmt.Printf("%.2f %s: %s\n", found[2].Score, found[2].Suggested, found[2].Reason)
	// Output: 1.00 low: 3 of the 3 nearest rows are low, 0 of its own class
}

// TestNeighborsBruteForce: votes of all rows but the row itself, sorted by distance.
func TestNeighborsBruteForce(t *testing.T) {
	const n, k = 120, 7
	r := rand.New(rand.NewPCG(2, 2))
	x, labels := make([]float32, n*3), make([]int, n)
	for i := range labels {
		labels[i] = r.IntN(3)
		for j := range 3 {
			x[i*3+j] = float32(r.NormFloat64())
		}
		x[i*3+labels[i]] += 2
	}
	in := table(t, []string{"a", "b", "c"}, x, labels)
	m, err := audit.Neighbors{Neighbors: k}.Fit(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range findings(t, m, in) {
		var others []int
		for j := range n {
			if j != i {
				others = append(others, j)
			}
		}
		distance := func(j int) (sum float64) {
			for c := range 3 {
				d := float64(in.Row(i)[c]) - float64(in.Row(j)[c])
				sum += d * d
			}
			return sum
		}
		slices.SortFunc(others, func(a, b int) int {
			if distance(a) < distance(b) {
				return -1
			}
			return 1
		})
		other := 0
		for _, j := range others[:k] {
			if labels[j] != labels[i] {
				other++
			}
		}
		if f.Score != float64(other)/k {
			t.Errorf("row %d: %g, want %d of %d", i+1, f.Score, other, k)
		}
	}
}

func TestNeighborsNeedsRows(t *testing.T) {
	_, err := audit.Neighbors{}.Fit(context.Background(), table(t, []string{"a", "b"}, make([]float32, 20), make([]int, 10)))
	if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "10 rows") {
		t.Error(err)
	}
}
