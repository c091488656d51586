package weights

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
)

func TestDrawsWithoutPuttingBack(t *testing.T) {
	p := []float64{0.5, 0.3, 0.2, 0}
	want := make([]float64, 4)
	for i, a := range p[:3] { // all orders of two of three
		for j, b := range p[:3] {
			if i != j {
				q := a * b / (1 - a)
				want[i] += q
				want[j] += q
			}
		}
	}
	const n = 20000
	r := rand.New(rand.NewPCG(1, 1))
	have := make([]float64, 4)
	for range n {
		for _, i := range owLoreDraw(p, 2, r) {
			have[i] += 1.0 / n
		}
	}
	for i := range want {
		if math.Abs(have[i]-want[i]) > 5*0.5/math.Sqrt(n) {
			t.Errorf("layer %d is drawn %g of the time, by enumeration %g", i, have[i], want[i])
		}
	}
	if all := owLoreDraw(p, 9, r); !slices.Equal(all, []int{0, 1, 2, 3}) {
		t.Errorf("all of them: %v", all)
	}
	if three := owLoreDraw([]float64{0, 1, 0}, 2, r); !slices.Contains(three, 1) || len(three) != 2 {
		t.Errorf("one with outliers and one without: %v", three)
	}
}

func TestProjectionIsTheBestOfItsRank(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for _, shape := range [][2]int{{5, 9}, {9, 5}} {
		g, wide := make([]float32, 45), make([]float64, 45)
		for i := range g {
			g[i] = float32(r.NormFloat64())
			wide[i] = float64(g[i])
		}
		_, s, _, _ := num.SVD(wide, shape[0], shape[1])
		for rank := 1; rank <= 5; rank++ {
			state := &owLoreState{}
			if err := state.project(g, shape[0], shape[1], rank); err != nil {
				t.Fatal(err)
			}
			miss, want := 0.0, 0.0
			for i, v := range state.up(state.down(g)) {
				miss += float64(v-g[i]) * float64(v-g[i])
			}
			for _, v := range s[rank:] { // Eckart and Young (1936)
				want += v * v
			}
			if math.Abs(miss-want) > 1e-4 {
				t.Errorf("%v, rank %d: misses %g, the least possible is %g", shape, rank, miss, want)
			}
		}
	}
}

func TestUpdateOfFullRankIsAdams(t *testing.T) {
	make2 := func() (*net.Params, *net.Program) {
		params := net.NewParams(3)
		g := net.NewGraph(params)
		w := g.Param("w", net.Normal(1), 3, 4)
		p, err := g.Train(g.Sum(g.Mul(g.Mul(w, w), w)))
		if err != nil {
			t.Fatal(err)
		}
		return params, p
	}
	a, pa := make2()
	b, pb := make2()
	run := &owLoreRun{c: OwLore{Rank: 3, Rate: 0.01}, states: map[string]*owLoreState{}}
	adam := net.Optimiser{Rule: net.Adam, Rate: 0.01}
	for range 5 {
		pa.Forward()
		a.ZeroGradients()
		pa.Backward()
		if err := run.update(a.Get("w"), true); err != nil {
			t.Fatal(err)
		}
		pb.Forward()
		b.ZeroGradients()
		pb.Backward()
		adam.Step(b, 1)
	}
	for i, v := range a.Get("w").Values {
		if w := b.Get("w").Values[i]; math.Abs(float64(v-w)) > 1e-6 {
			t.Errorf("weight %d is %g, Adam's %g", i, v, w)
		}
	}
}
