package continual

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/internal/num"
)

func along(a, b [][]float32) (sum float64) {
	for i := range a {
		sum += num.Dot(a[i], b[i])
	}
	return sum
}

// TestAGEMBend: what agrees is left alone; what does not is brought to the nearest gradient that does not disagree. Nearest: what was taken
// out is along the reference, and what is left at a right angle to it, which are the conditions of the projection on a half-space.
func TestAGEMBend(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	draw := func() (v [][]float32) {
		for _, n := range []int{37, 5} {
			x := make([]float32, n)
			for i := range x {
				x[i] = float32(r.NormFloat64())
			}
			v = append(v, x)
		}
		return v
	}
	left, bent := 0, 0
	for range 200 {
		g, ref := draw(), draw()
		before := [][]float32{slices.Clone(g[0]), slices.Clone(g[1])}
		dot := along(g, ref)
		agemBend(g, ref)
		if dot >= 0 {
			left++
			if !slices.Equal(g[0], before[0]) || !slices.Equal(g[1], before[1]) {
				t.Fatal("a gradient that agrees was changed")
			}
			continue
		}
		bent++
		size := math.Sqrt(along(before, before) * along(ref, ref))
		if rest := along(g, ref); math.Abs(rest) > 1e-6*size {
			t.Errorf("%g is left along the reference, of %g", rest, dot)
		}
		share := dot / along(ref, ref)
		for i := range g {
			for j, v := range g[i] {
				if want := float64(before[i][j]) - share*float64(ref[i][j]); math.Abs(float64(v)-want) > 1e-6*(1+math.Abs(want)) {
					t.Errorf("%g, want %g", v, want)
				}
			}
		}
	}
	if left < 50 || bent < 50 {
		t.Errorf("%d agreed, %d did not: the draw tests only one side", left, bent)
	}
	zero := [][]float32{{0, 0}}
	g := [][]float32{{1, -1}}
	if agemBend(g, zero); g[0][0] != 1 || g[0][1] != -1 {
		t.Errorf("beside a reference of zero: %v", g)
	}
}

// TestAGEMInTraining: in no step of a training does the gradient that is taken point against that of the kept rows, and some would have.
func TestAGEMInTraining(t *testing.T) {
	first, second := labelled(t, 1, 60, 4, 3), labelled(t, 2, 60, 4, 5)
	for _, hidden := range []int{0, 6} {
		c := AGEM{Capacity: 20, Strategy: balanced, Hidden: hidden, Steps: 5, Batch: 8, Rate: 0.03, Seed: 4}
		w := begin(t, first, c.schooling())
		m, err := c.learn(t.Context(), w, &buffer{strategy: balanced, capacity: 20, seed: 4, rows: &lesson{d: 4}}, first)
		if err != nil {
			t.Fatal(err)
		}
		next := m.net.clone()
		next.grow(second.labels)
		veto := newAGEMVeto(next, m.kept.rows, c)
		s := c.schooling()
		bent := 0
		s.gradients = func(step int, params *net.Params) error {
			var before, own, kept [][]float32
			for _, p := range params.All() {
				before = append(before, slices.Clone(p.Gradient()))
			}
			if err := veto.gradients(step, params); err != nil {
				return err
			}
			for _, p := range params.All() {
				own, kept = append(own, p.Gradient()), append(kept, veto.params.Get(p.Name).Gradient())
			}
			if along(before, kept) < 0 {
				bent++
			} else if !slices.EqualFunc(before, own, slices.Equal) {
				t.Errorf("step %d: a gradient that agrees was changed", step)
			}
			if dot := along(own, kept); dot < -1e-6*math.Sqrt(along(own, own)*along(kept, kept)) {
				t.Errorf("step %d: the gradient taken has a product of %g with that of the kept rows", step, dot)
			}
			return nil
		}
		if err := next.learn(t.Context(), second, s); err != nil {
			t.Fatal(err)
		}
		if bent == 0 {
			t.Errorf("hidden %d: no gradient was bent", hidden)
		}
	}
}
