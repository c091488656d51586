package weights

import (
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/method"
)

// slope is a point's loss and gradient.
type slope struct {
	loss     float64
	gradient []float64
}

// descend minimises f from x by limited-memory BFGS with backtracking and leaves the lowest point in x. It ends after so
// many evaluations, when no derivative exceeds small, or when no step along the gradient lowers the loss any more, which
// is where the loss's own rounding begins. It returns the first and the lowest loss and the evaluations made.
// Source: Nocedal and Wright (2006), algorithms 7.4 and 3.1.
func descend(ctx context.Context, x []float64, evaluations int, small float64, f func(x []float64) (slope, error)) (first, lowest float64, made int, err error) {
	const (
		memory     = 10
		longest    = 2.0  // of any coordinate in one step: these are logarithms
		sufficient = 1e-4 // share of the promised decrease that a step must keep
	)
	eval := func(x []float64) (slope, error) {
		if err := ctx.Err(); err != nil {
			return slope{}, err
		}
		method.Progress(ctx, made, evaluations)
		made++
		return f(x)
	}
	at, err := eval(x)
	if err != nil {
		return 0, 0, made, err
	}
	first = at.loss
	var moves, turns [][]float64 // steps and changes of the gradient, oldest first
	for made < evaluations && largest(at.gradient) > small {
		way := direction(at.gradient, moves, turns)
		promise := dot(way, at.gradient)
		if promise >= 0 || math.IsNaN(promise) {
			moves, turns = nil, nil
			way = direction(at.gradient, nil, nil)
			promise = dot(way, at.gradient)
		}
		length := min(1, longest/largest(way))
		next, step, found := slope{}, make([]float64, len(x)), false
		for try := 0; try < 12 && made < evaluations && !found; try++ {
			to := slices.Clone(x)
			for i, w := range way {
				step[i] = length * w
				to[i] += step[i]
			}
			if next, err = eval(to); err != nil {
				return 0, 0, made, err
			}
			if found = next.loss <= at.loss+sufficient*length*promise && next.loss < at.loss; found {
				copy(x, to)
				break
			}
			// The parabola through both losses and the slope here has its lowest point between a tenth and a half of the step.
			curve := 2 * (next.loss - at.loss - length*promise)
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
			turn[i] = next.gradient[i] - at.gradient[i]
		}
		if c := dot(step, turn); c > 1e-10*math.Sqrt(dot(step, step)*dot(turn, turn)) {
			moves, turns = append(moves, step), append(turns, turn)
			if len(moves) > memory {
				moves, turns = moves[1:], turns[1:]
			}
		}
		at = next
	}
	return first, at.loss, made, nil
}

// direction is −H·gradient with the inverse curvature H that the remembered moves and turns imply; without any, the
// gradient is scaled so that no coordinate moves by more than a half.
func direction(gradient []float64, moves, turns [][]float64) []float64 {
	d := make([]float64, len(gradient))
	for i, g := range gradient {
		d[i] = -g
	}
	share := make([]float64, len(moves))
	for k := len(moves) - 1; k >= 0; k-- {
		share[k] = dot(moves[k], d) / dot(moves[k], turns[k])
		addScaled(d, -share[k], turns[k])
	}
	scale := 0.5 / max(largest(gradient), math.SmallestNonzeroFloat64)
	if k := len(moves) - 1; k >= 0 {
		scale = dot(moves[k], turns[k]) / dot(turns[k], turns[k])
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
