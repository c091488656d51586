package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExamplePriorShift() {
	// Both classes are equally frequent in training; where the head is used most rows lie where class b does.
	train, _ := data.NewTable(8, 1, []float32{0, 1, 2, 4, 3, 5, 6, 7})
	train, _ = train.WithClassNames([]string{"a", "a", "a", "a", "b", "b", "b", "b"})
	target, _ := data.NewTable(6, 1, []float32{5, 6, 5, 7, 6, 4})
	query, _ := data.NewTable(1, 1, []float32{3.5})
	for _, rows := range []*data.Table{nil, target} {
		m, err := probe.PriorShift{Ridge: 0.1}.Fit(context.Background(), probe.PriorShiftInput{Train: train, Unlabelled: rows})
		if err != nil {
			panic(err)
		}
		p, _ := m.Predict(query)
		fmt.Println(p.Columns()[1], p.Row(0)[1] > 0.6)
	}
	// Output:
	// b false
	// b true
}

// TestPriorShiftIsTheLikeliest: no other shares make the target rows likelier, found on a grid.
func TestPriorShiftIsTheLikeliest(t *testing.T) {
	train, target := toy(t, 1, 800, 3, 2, 0.5), toy(t, 2, 500, 3, 2, 0.85)
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), target)
	m, err := probe.PriorShift{}.Fit(t.Context(), probe.PriorShiftInput{Train: train, Unlabelled: target})
	if err != nil {
		t.Fatal(err)
	}
	counts := summarise(t, train).counts
	likelihood := func(share float64) (sum float64) {
		for i := 0; i < len(plain); i += 2 {
			sum += math.Log(share*plain[i]/counts[0] + (1-share)*plain[i+1]/counts[1])
		}
		return sum
	}
	best := 0.0
	for share := 0.0005; share < 1; share += 0.0005 {
		if likelihood(share) > likelihood(best) || best == 0 {
			best = share
		}
	}
	var at int // the class that likelihood calls the first
	if train.Classes()[0] != "0" {
		at = 1
	}
	if have := m.Shares()[at]; math.Abs(have-best) > 0.001 {
		t.Errorf("share %.4f, likeliest %.4f", have, best)
	}
	if have := m.Shares()[at]; math.Abs(have-0.85) > 0.05 && math.Abs(have-0.15) > 0.05 {
		t.Errorf("share %.3f of a class that has 0.85", have)
	}
	shifted, _ := asked(t, m, target)
	columns := []string{"0", "1"}
	a, b := accuracy(t, plain, target, columns), accuracy(t, shifted, target, columns)
	t.Logf("accuracy %.3f plain, %.3f corrected", a, b)
	if b < a {
		t.Errorf("accuracy %.3f plain, %.3f corrected", a, b)
	}
}

// TestPriorShiftWithoutTarget is the logistic head.
func TestPriorShiftWithoutTarget(t *testing.T) {
	train, query := toy(t, 1, 200, 3, 3), toy(t, 2, 20, 3, 3)
	m, err := probe.PriorShift{}.Fit(t.Context(), probe.PriorShiftInput{Train: train})
	if err != nil {
		t.Fatal(err)
	}
	have, _ := asked(t, m, query)
	want, _ := asked(t, fitLogistic(t, probe.Logistic{}, train), query)
	near(t, "probabilities", have, want, 0)
	if _, err := (probe.PriorShift{}).Fit(t.Context(), probe.PriorShiftInput{Train: train, Unlabelled: toy(t, 2, 20, 4, 3)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("a target of another width: %v", err)
	}
}
