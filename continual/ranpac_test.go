package continual_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleRanPAC() {
	ctx := context.Background()
	// Two classes that no plane parts: a class lies in opposite corners.
	x := []float32{1, 1, -1, -1, 1, -1, -1, 1, 2, 1, -1, -2, 2, -1, -1, 2}
	corners, _ := data.NewTable(8, 2, x)
	corners, _ = corners.WithClassNames([]string{"same", "same", "other", "other", "same", "same", "other", "other"})
	m, err := continual.RanPAC{Rank: 64}.Fit(ctx, corners)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(4, 2, []float32{3, 3, -2, -2, 3, -3, -5, 5})
	p, _ := m.Predict(query)
	for i := range 4 {
		fmt.Println(p.Row(i)[1] > 0.5)
	}
	// Output:
	// true
	// true
	// false
	// false
}

func TestRanPACTasksInAnyOrderGiveTheSameBytes(t *testing.T) {
	all := rows(t, 3, 300, 6, 5)
	fit := func(in *data.Table) method.Model {
		m, err := continual.RanPAC{Rank: 40, Seed: 2}.Fit(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	want := hash(t, fit(all))
	r := rand.New(rand.NewPCG(9, 9))
	for range 3 {
		tasks := []*data.Table{byClass(all, "0", "3"), byClass(all, "1"), byClass(all, "4"), byClass(all, "2")}
		r.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		m := fit(tasks[0])
		for _, task := range tasks[1:] { // no grid had to be agreed on: rows of length one have the same for all
			next, err := m.(method.Updater).Update(t.Context(), task)
			if err != nil {
				t.Fatal(err)
			}
			m = next
		}
		if hash(t, m) != want {
			t.Fatal("another order of tasks gives other bytes")
		}
	}
}

// TestRanPACEqualsTheJointSolution: the layer is taken from the method, the ridge is solved by elimination; above and below as many rows as
// half the random features, so by Cholesky's factorisation and by few eigenvectors.
func TestRanPACEqualsTheJointSolution(t *testing.T) {
	for _, c := range []struct{ n, rank int }{{200, 30}, {25, 60}} {
		train, query := rows(t, 1, c.n, 5, 3), rows(t, 2, 40, 5, 3)
		m, err := continual.RanPAC{Rank: c.rank, Ridge: 0.1, Temperature: 1}.Fit(t.Context(), train)
		if err != nil {
			t.Fatal(err)
		}
		raised, err := m.Lift(train)
		if err != nil {
			t.Fatal(err)
		}
		asked, err := m.Lift(query)
		if err != nil {
			t.Fatal(err)
		}
		onGrid := func(x [][]float64) [][]float64 { // the grid of 0 to 8
			for _, row := range x {
				for j, v := range row {
					row[j] = math.RoundToEven(v*(1<<19)) / (1 << 19)
				}
			}
			return x
		}
		labels, err := train.Labels()
		if err != nil {
			t.Fatal(err)
		}
		want := normalEquations(onGrid(wide(raised)), labels, 3, 0.1, wide(asked))
		z, err := m.Logits(query)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			for k, v := range z.Row(i) {
				if math.Abs(float64(v)-want[i][k]) > 1e-8+math.Abs(want[i][k])*0x1p-24 {
					t.Fatalf("%d rows, %d random features: row %d, class %d: %.10f, the joint solution %.10f", c.n, c.rank, i, k, v, want[i][k])
				}
			}
		}
	}
}

// TestRanPACPenalty: on labels without any relation to the rows the error is least with as little of them as possible; on labels
// that follow from the rows, a small penalty is.
func TestRanPACPenalty(t *testing.T) {
	noise, pure := rows(t, 5, 300, 6, 2), rows(t, 5, 300, 6, 2)
	names := make([]string, 300)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range names {
		names[i] = []string{"a", "b"}[r.IntN(2)]
	}
	noise, err := noise.WithClassNames(names)
	if err != nil {
		t.Fatal(err)
	}
	for i := range names {
		names[i] = []string{"a", "b"}[0]
		if pure.Row(i)[0] > pure.Row(i)[1] {
			names[i] = "b"
		}
	}
	if pure, err = pure.WithClassNames(names); err != nil {
		t.Fatal(err)
	}
	penalty := func(in *data.Table) float64 {
		m, err := continual.RanPAC{Rank: 80}.Fit(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		ridge, err := m.Ridge()
		if err != nil {
			t.Fatal(err)
		}
		return ridge
	}
	if a, b := penalty(noise), penalty(pure); a < 1 || b > 0.1 {
		t.Errorf("penalties %g for noise, %g for a rule; want above 1 and below 0.1", a, b)
	}
}

func TestRanPACForgets(t *testing.T) {
	forgets(t, func(in *data.Table) (method.Model, error) {
		return continual.RanPAC{Rank: 30}.Fit(t.Context(), in)
	})
}
