package continual

import (
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// stars is ten classes in a plane of their own inside 20 columns, far apart.
func stars(t *testing.T, n int, r *rand.Rand) *data.Table {
	t.Helper()
	x, labels := make([]float32, 20*n), make([]int, n)
	for i := range n {
		labels[i] = i % prototypesClasses
		for j := range 20 {
			x[20*i+j] = float32(0.1 * r.NormFloat64())
		}
		x[20*i+labels[i]]++
	}
	in, err := data.NewTable(n, 20, x)
	if err == nil {
		in, err = in.WithLabels(labels, claim.Numbers(prototypesClasses))
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestSplit(t *testing.T) {
	in := stars(t, 100, claim.Random(1, 1))
	tasks := prototypesSplit(in)
	if len(tasks) != prototypesTasks {
		t.Fatalf("%d tasks", len(tasks))
	}
	for k, task := range tasks {
		labels, _ := task.Labels()
		if len(labels) != 20 {
			t.Errorf("task %d has %d rows", k, len(labels))
		}
		for i, c := range labels {
			if c/2 != k || task.Row(i)[c] < 0.5 {
				t.Errorf("task %d, row %d: label %d, row %v", k, i, c, task.Row(i))
			}
		}
	}
}

// The stronger baselines are no straw men: on classes far apart they stay far above chance.
func TestOwnClassesBaselineCanBeRight(t *testing.T) {
	r := claim.Random(2, 1)
	train, test := stars(t, 1000, r), stars(t, 500, r)
	encoder := claim.Perceptron{Net: net.New(1, 20, 64, 3)}
	for _, whole := range []bool{false, true} {
		a, err := prototypesOwn(t.Context(), encoder, train, test, whole, 1)
		if err != nil {
			t.Fatal(err)
		}
		if a < 0.5 { // chance is 0.1
			t.Errorf("whole %v: accuracy %.3f on classes far apart", whole, a)
		}
	}
}
