package audit_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/gimbal-ml/gimbal/audit"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleMargin() {
	p, _ := data.NewNamed(2, []string{"cat", "dog", "fox"}, []float32{0.7, 0.2, 0.1, 0.5, 0.3, 0.2})
	p, _ = p.WithLabels([]int{0, 1}, []string{"cat", "dog", "fox"})
	m, err := audit.Margin{Probabilities: true}.Fit(context.Background(), audit.LogitsInput{Logits: p})
	if err != nil {
		panic(err)
	}
	found, _ := m.Audit(p)
	fmt.Printf("%.2f %v\n%.2f %v %s\n", found[0].Score, found[0].Suspect, found[1].Score, found[1].Suspect, found[1].Reason)
	// Output:
	// -0.50 false
	// 0.20 true 0.500 for cat, 0.300 for its own
}

// TestMarginOfALabel: a row's score and the score of its favourite as label add up to a known sum: with two classes they are opposite.
func TestMarginOfALabel(t *testing.T) {
	x := []float32{0.3, -1, 2, 0.5, -0.25, 0.125}
	as := func(label int) []float64 {
		in := table(t, []string{"a", "b"}, x, []int{label, label, label})
		m, err := audit.Margin{}.Fit(context.Background(), audit.LogitsInput{Logits: in})
		if err != nil {
			t.Fatal(err)
		}
		var s []float64
		for _, f := range findings(t, m, in) {
			s = append(s, f.Score)
		}
		return s
	}
	a, b := as(0), as(1)
	for i := range a {
		if a[i] != -b[i] {
			t.Errorf("row %d: %g and %g", i+1, a[i], b[i])
		}
	}
}
