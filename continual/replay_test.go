package continual_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
)

func ExampleReplay() {
	first, _ := days()
	m, err := continual.Replay{Steps: 200, Capacity: 2}.Fit(context.Background(), first)
	old, fresh := remembered(afterBoth(m, err))
	fmt.Println("kept:", m.Kept())
	fmt.Println("after the second day:", old, "of the first 4,", fresh, "of the second")
	// Output:
	// kept: map[apple:1 pear:1]
	// after the second day: 4 of the first 4, 4 of the second
}

func replay(t *testing.T, c continual.Replay, tasks ...*data.Table) *continual.ReplayModel {
	t.Helper()
	c.Steps, c.Batch = 1, 1000
	m, err := c.Fit(t.Context(), tasks[0])
	for _, task := range tasks[1:] {
		if err != nil {
			t.Fatal(err)
		}
		next, e := m.Update(t.Context(), task)
		m, err = next.(*continual.ReplayModel), e
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReplayReservoirIsFair: over many seeds, rows of a large early class are kept as often as those of a small late one.
func TestReplayReservoirIsFair(t *testing.T) {
	large, small := rows(t, 1, 80, 3, 1), rows(t, 2, 20, 3, 1)
	small, err := small.WithClassNames(slices.Repeat([]string{"z"}, 20))
	if err != nil {
		t.Fatal(err)
	}
	kept := 0
	const seeds = 300
	for seed := range uint64(seeds) {
		m := replay(t, continual.Replay{Strategy: "reservoir", Capacity: 10, Seed: seed}, large, small)
		if total := m.Kept()["0"] + m.Kept()["z"]; total != 10 {
			t.Fatalf("%d rows kept", total)
		}
		kept += m.Kept()["z"]
	}
	// Hypergeometric: 10 of 100 rows, 20 of them z: mean 2, variance 10·0.2·0.8·90/99 = 1.4545 a seed.
	if z := (float64(kept) - 2*seeds) / math.Sqrt(1.4545*seeds); math.Abs(z) > 4 {
		t.Errorf("%.2f rows of the small class are kept on average, want 2 (z = %.1f)", float64(kept)/seeds, z)
	}
}

func TestReplayBalanced(t *testing.T) {
	all := rows(t, 1, 200, 3, 4)
	few := byClass(all, "3").Slice(0, 2)
	m := replay(t, continual.Replay{Capacity: 20}, byClass(all, "0"), byClass(all, "1"), byClass(all, "2"), few)
	if k := m.Kept(); k["0"] != 6 || k["1"] != 6 || k["2"] != 6 || k["3"] != 2 {
		t.Errorf("kept %v: places that a class cannot fill go to the others", k)
	}
	// What is kept is a function of the rows, whatever their tasks.
	a := replay(t, continual.Replay{Capacity: 20}, byClass(all, "0", "1"), byClass(all, "2", "3"))
	b := replay(t, continual.Replay{Capacity: 20}, byClass(all, "3"), byClass(all, "1", "2"), byClass(all, "0"))
	x, y := a.State().Tensors["buffer.x"], b.State().Tensors["buffer.x"]
	p, _ := x.Float64s()
	q, _ := y.Float64s()
	if !slices.Equal(p, q) {
		t.Error("other rows are kept when tasks come in another order")
	}
}

// TestReplayHerding: the first row kept is the one nearest to the class's mean, by hand.
func TestReplayHerding(t *testing.T) {
	in := table(t, slices.Repeat([]string{"a"}, 5), 0, 1, 2, 3.5, 10) // mean 3.3
	m := replay(t, continual.Replay{Strategy: "herding", Capacity: 2}, in)
	x, err := m.State().Tensors["buffer.x"].Float64s()
	// 3.5 is 0.2 off; with 2 the mean of both is 2.75, with 10 it is 6.75.
	if err != nil || !slices.Equal(x, []float64{2, 3.5}) {
		t.Errorf("kept %v, want 2 and 3.5 (%v)", x, err)
	}
}

// TestReplayOfEverythingIsCumulative: with room for all rows, each task is learned together with all earlier ones, to the bit.
func TestReplayOfEverythingIsCumulative(t *testing.T) {
	all := rows(t, 3, 120, 4, 4) // classes of one size, so that none is repeated
	first, second := byClass(all, "0", "1"), byClass(all, "2", "3")
	for _, strategy := range []string{"balanced", "reservoir", "herding"} {
		kept, err := continual.Replay{Capacity: 1000, Strategy: strategy, Steps: 3, Seed: 5}.Fit(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		a, err := kept.Update(t.Context(), second)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := continual.FineTune{Steps: 3, Seed: 5}.Fit(t.Context(), first)
		if err != nil {
			t.Fatal(err)
		}
		b, err := plain.Update(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"net.0.weight", "net.0.bias"} {
			x, errX := a.State().Tensors[name].Float64s()
			y, errY := b.State().Tensors[name].Float64s()
			if errX != nil || errY != nil || !slices.Equal(x, y) {
				t.Errorf("%s: %s differs from training on all rows so far: %v %v", strategy, name, errX, errY)
			}
		}
	}
}
