package part

import (
	"context"
	"math"
	"slices"
)

// Slope is a point's loss and gradient.
type Slope struct {
	Loss     float64
	Gradient []float64
}

// Descent minimises a smooth loss by limited-memory BFGS with backtracking.
// Source: Nocedal and Wright (2006), algorithms 7.4 and 3.1.
type Descent struct {
	// Evaluations is how many are made at most.
	Evaluations int
	// Small is the size of the largest derivative at which the descent ends.
	Small float64
	// Longest is the most that any coordinate changes in one step; 0 sets no limit.
	Longest float64
	// Memory is how many steps are remembered, at least 10.
	Memory int
	// Metric, if any, multiplies a vector in place by a guess at the inverse curvature, symmetric and positive definite.
	Metric func(v []float64)
}

// Run descends from x and leaves the lowest point in x. It ends after so many evaluations, when no derivative exceeds
// Small, or when no step along the gradient lowers the loss any more, which is where the loss's own rounding begins. It
// returns the first and the lowest loss and the evaluations made.
func (c Descent) Run(ctx context.Context, x []float64, f func(x []float64) (Slope, error)) (first, lowest float64, made int, err error) {
	const sufficient = 1e-4 // share of the promised decrease that a step must keep
	eval := func(x []float64) (Slope, error) {
		if err := ctx.Err(); err != nil {
			return Slope{}, err
		}
		made++
		return f(x)
	}
	at, err := eval(x)
	if err != nil {
		return 0, 0, made, err
	}
	first = at.Loss
	var moves, turns [][]float64 // steps and changes of the gradient, oldest first
	for made < c.Evaluations && largest(at.Gradient) > c.Small {
		way := c.direction(at.Gradient, moves, turns)
		promise := dot(way, at.Gradient)
		if promise >= 0 || math.IsNaN(promise) {
			moves, turns = nil, nil
			way = c.direction(at.Gradient, nil, nil)
			promise = dot(way, at.Gradient)
		}
		length := 1.0
		if c.Longest > 0 {
			length = min(1, c.Longest/largest(way))
		}
		next, step, found := Slope{}, make([]float64, len(x)), false
		for try := 0; try < 12 && made < c.Evaluations && !found; try++ {
			to := slices.Clone(x)
			for i, w := range way {
				step[i] = length * w
				to[i] += step[i]
			}
			if next, err = eval(to); err != nil {
				return 0, 0, made, err
			}
			if found = next.Loss <= at.Loss+sufficient*length*promise && next.Loss < at.Loss; found {
				copy(x, to)
				break
			}
			// The parabola through both losses and the slope here has its lowest point between a tenth and a half of the step.
			curve := 2 * (next.Loss - at.Loss - length*promise)
			length *= min(max(-length*promise/curve, 0.1), 0.5)
		}
		if !found {
			if moves == nil {
				break
			}
			moves, turns = nil, nil // what is remembered may mislead: try along the gradient once more
			continue
		}
		turn := make([]float64, len(x))
		for i := range turn {
			turn[i] = next.Gradient[i] - at.Gradient[i]
		}
		if curve := dot(step, turn); curve > 1e-10*math.Sqrt(dot(step, step)*dot(turn, turn)) {
			moves, turns = append(moves, step), append(turns, turn)
			if len(moves) > max(c.Memory, 10) {
				moves, turns = moves[1:], turns[1:]
			}
		}
		at = next
	}
	return first, at.Loss, made, nil
}

// direction is −H·gradient with the inverse curvature H that the metric and the remembered moves and turns imply;
// without either, the gradient is scaled so that no coordinate moves by more than a half.
func (c Descent) direction(gradient []float64, moves, turns [][]float64) []float64 {
	d := make([]float64, len(gradient))
	for i, g := range gradient {
		d[i] = -g
	}
	share := make([]float64, len(moves))
	for k := len(moves) - 1; k >= 0; k-- {
		share[k] = dot(moves[k], d) / dot(moves[k], turns[k])
		addScaled(d, -share[k], turns[k])
	}
	scale := 1.0
	if k := len(moves) - 1; k >= 0 {
		turn := slices.Clone(turns[k])
		if c.Metric != nil {
			c.Metric(turn)
		}
		scale = dot(moves[k], turns[k]) / dot(turns[k], turn)
	} else if c.Metric == nil {
		scale = 0.5 / max(largest(gradient), math.SmallestNonzeroFloat64)
	}
	if c.Metric != nil {
		c.Metric(d)
	}
	for i := range d {
		d[i] *= scale
	}
	for k := range moves {
		addScaled(d, share[k]-dot(turns[k], d)/dot(moves[k], turns[k]), moves[k])
	}
	return d
}

func dot(a, b []float64) float64 {
	s := 0.0
	for i, v := range a {
		s += v * b[i]
	}
	return s
}

func addScaled(dst []float64, by float64, x []float64) {
	for i, v := range x {
		dst[i] += by * v
	}
}

func largest(x []float64) float64 {
	top := 0.0
	for _, v := range x {
		top = max(top, math.Abs(v))
	}
	return top
}
