package part

import (
	"context"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestDescendOnRosenbrocksValley(t *testing.T) {
	x := []float64{-1.2, 1}
	first, lowest, made, err := Descent{Evaluations: 200, Small: 1e-9, Longest: 2}.Run(t.Context(), x, func(x []float64) (Slope, error) {
		a, b := 1-x[0], x[1]-x[0]*x[0]
		return Slope{a*a + 100*b*b, []float64{-2*a - 400*b*x[0], 200 * b}}, nil
	})
	if err != nil || math.Abs(first-24.2) > 1e-9 || lowest > 1e-18 || math.Abs(x[0]-1) > 1e-8 || math.Abs(x[1]-1) > 1e-8 || made > 100 {
		t.Errorf("from %g to %g at %v in %d evaluations (%v)", first, lowest, x, made, err)
	}
}

func TestDescendStopsWhereRoundingBegins(t *testing.T) {
	// A loss in float32 cannot fall for ever, though its gradient never gets small.
	x := []float64{3, -2, 1}
	_, lowest, made, err := Descent{Evaluations: 1000, Small: 0, Longest: 2}.Run(t.Context(), x, func(x []float64) (Slope, error) {
		s := Slope{1e3, make([]float64, len(x))}
		for i, v := range x {
			s.Loss += v * v * float64(i+1)
			s.Gradient[i] = 2 * v * float64(i+1)
		}
		s.Loss = float64(float32(s.Loss))
		return s, nil
	})
	if err != nil || lowest != 1e3 || made > 100 {
		t.Errorf("lowest %v in %d evaluations (%v)", lowest, made, err)
	}
}

func TestDescendLimits(t *testing.T) {
	square := func(x []float64) (Slope, error) { return Slope{x[0] * x[0], []float64{2 * x[0]}}, nil }
	x := []float64{100}
	if _, _, made, err := (Descent{Evaluations: 1, Small: 1e-6, Longest: 2}).Run(t.Context(), x, square); made != 1 || err != nil || x[0] != 100 {
		t.Errorf("one evaluation leaves x at %v after %d (%v)", x, made, err)
	}
	if _, lowest, made, _ := (Descent{Evaluations: 5, Small: 1e-6, Longest: 2}).Run(t.Context(), x, square); made != 5 || lowest >= 1e4 || lowest != x[0]*x[0] {
		t.Errorf("five evaluations reach %v at %v after %d", lowest, x, made)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := (Descent{Evaluations: 5, Small: 1e-6, Longest: 2}).Run(ctx, x, square); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	broken := errors.New("broken")
	if _, _, _, err := (Descent{Evaluations: 5, Small: 1e-6, Longest: 2}).Run(t.Context(), x, func([]float64) (Slope, error) { return Slope{}, broken }); !errors.Is(err, broken) {
		t.Errorf("a failing loss: %v", err)
	}
}

func TestDirectionIsNewtonsOnAQuadratic(t *testing.T) {
	// After as many steps as dimensions along the axes, the remembered curvature is the whole of it.
	h := []float64{1, 4, 9}
	var moves, turns [][]float64
	for i, c := range h {
		e, y := make([]float64, 3), make([]float64, 3)
		e[i], y[i] = 1, c
		moves, turns = append(moves, e), append(turns, y)
	}
	got := Descent{}.direction([]float64{2, 4, 27}, moves, turns)
	if want := []float64{-2, -1, -3}; !slices.Equal(got, want) {
		t.Errorf("direction %v, want %v", got, want)
	}
}

func TestDescentByTheRightMetricIsNewtonsMethod(t *testing.T) {
	// On a quadratic whose curvatures span eight decades the inverse curvature reaches the lowest point in one step.
	h := []float64{1e-4, 1, 1e4}
	x := []float64{3, -2, 1}
	_, lowest, made, err := Descent{Evaluations: 100, Small: 1e-12, Metric: func(v []float64) {
		for i := range v {
			v[i] /= h[i]
		}
	}}.Run(t.Context(), x, func(x []float64) (Slope, error) {
		s := Slope{Gradient: make([]float64, 3)}
		for i, v := range x {
			s.Loss += h[i] * v * v / 2
			s.Gradient[i] = h[i] * v
		}
		return s, nil
	})
	if err != nil || lowest > 1e-20 || made > 3 {
		t.Errorf("lowest %g in %d evaluations (%v)", lowest, made, err)
	}
}
