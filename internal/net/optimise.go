package net

import (
	"fmt"
	"math"
	"path"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Rules of descent.
const (
	SGD   = "sgd"   // gradient descent, with heavy-ball or Nesterov momentum
	Adam  = "adam"  // Kingma and Ba (2015), algorithm 1; with Decay it is AdamW, Loshchilov and Hutter (2019), algorithm 2
	SGHMC = "sghmc" // stochastic gradient Hamiltonian Monte Carlo, Chen et al. (2014), eq. (15)
)

// Optimiser changes parameters by their gradients. Settings may change between steps.
type Optimiser struct {
	Rule     string
	Rate     float64
	Momentum float64 // [0, 1): of SGD; SGHMC's friction is 1 − Momentum
	Nesterov bool
	Mean     float64 // Adam's decay of the mean gradient; 0: 0.9
	Square   float64 // Adam's decay of the mean square; 0: 0.999
	Epsilon  float64 // Adam's; 0: 1e-8
	Decay    float64 // each step also takes rate·Decay of every parameter, apart from the gradient
	Penalty  float64 // each gradient also has Penalty times the parameter
	ClipNorm float64 // the gradient of all parameters together is scaled down to this Euclidean norm; 0: never
	Clip     float64 // each derivative is cut to ±Clip; 0: never
	Groups   []Group // the last one that matches a parameter's name counts
	// Temperature of SGHMC: with a loss that is the mean over N rows, 1/N samples the posterior, 0 is plain momentum.
	Temperature float64
	Seed        uint64 // of SGHMC's noise

	steps   int
	states  []*paramState
	byParam map[*Param]*paramState
	pieces  []piece
	squares []float64
	run     func(lo, hi int)
	measure func(lo, hi int)
	rate    float64 // of this step
	scale   float64 // of gradients in this step
	unbias  [2]float64
}

// Group sets parameters apart by the pattern of their names, in the form of [path.Match].
type Group struct {
	Pattern string
	Rate    float64 // times the optimiser's
	NoDecay bool    // neither Decay nor Penalty
}

// paramState is what is remembered of a parameter: momentum, or Adam's mean gradient and mean square.
type paramState struct {
	*Param
	first, second []float32
	rate          float64
	noDecay       bool
	key           uint64
}

// piece is a stretch of a parameter that one thread takes.
type piece struct {
	state  *paramState
	lo, hi int
}

const pieceSize = 1 << 14

func orDefault(v, d float64) float64 {
	if v == 0 {
		return d
	}
	return v
}

// Check returns what is wrong with the settings.
func (o *Optimiser) Check() error {
	switch {
	case o.Rule != SGD && o.Rule != Adam && o.Rule != SGHMC:
		return fmt.Errorf("net: optimiser rule %q: have %s, %s, %s", o.Rule, SGD, Adam, SGHMC)
	case !(o.Rate >= 0) || math.IsInf(o.Rate, 0):
		return fmt.Errorf("net: optimiser rate %g: want a number from 0 on", o.Rate)
	case !(o.Momentum >= 0 && o.Momentum < 1):
		return fmt.Errorf("net: optimiser momentum %g outside [0, 1)", o.Momentum)
	}
	for _, g := range o.Groups {
		if _, err := path.Match(g.Pattern, ""); err != nil {
			return fmt.Errorf("net: optimiser group %q: %w", g.Pattern, err)
		}
	}
	return nil
}

// forget drops what is remembered, all but the settings.
func (o *Optimiser) forget() {
	o.steps, o.states, o.byParam, o.pieces = 0, nil, nil, nil
}

// prepare makes states for parameters that have none yet.
func (o *Optimiser) prepare(ps *Params) {
	if o.byParam == nil {
		o.byParam = map[*Param]*paramState{}
		o.run, o.measure = o.stepRange, o.measureRange
	}
	for _, p := range ps.list {
		if p.statistic || o.byParam[p] != nil {
			continue
		}
		s := &paramState{Param: p, rate: 1, first: make([]float32, len(p.Values)), key: hash(o.Seed, uint64(len(o.states)))}
		if o.Rule == Adam {
			s.second = make([]float32, len(p.Values))
		}
		for _, g := range o.Groups {
			if ok, _ := path.Match(g.Pattern, p.Name); ok {
				s.rate, s.noDecay = g.Rate, g.NoDecay
			}
		}
		o.states = append(o.states, s)
		o.byParam[p] = s
		for lo := 0; lo < len(p.Values); lo += pieceSize {
			o.pieces = append(o.pieces, piece{s, lo, min(lo+pieceSize, len(p.Values))})
		}
	}
	if len(o.squares) < len(o.pieces) {
		o.squares = make([]float64, len(o.pieces))
	}
}

// Norm returns the Euclidean norm of all gradients.
func (o *Optimiser) Norm(ps *Params) float64 {
	o.prepare(ps)
	num.Parallel(len(o.pieces), 1, o.measure)
	sum := 0.0
	for _, v := range o.squares[:len(o.pieces)] {
		sum += v
	}
	return math.Sqrt(sum)
}

func (o *Optimiser) measureRange(lo, hi int) {
	for i := lo; i < hi; i++ {
		p := o.pieces[i]
		o.squares[i] = 0
		if !p.state.Frozen && !p.state.fresh && p.state.gradient != nil {
			o.squares[i] = num.SquaredNorm(p.state.gradient[p.lo:p.hi])
		}
	}
}

// Step changes all parameters that are not frozen, at share times the rate.
func (o *Optimiser) Step(ps *Params, share float64) {
	o.prepare(ps)
	o.steps++
	o.rate, o.scale = o.Rate*share, 1
	if o.ClipNorm > 0 {
		if norm := o.Norm(ps); norm > o.ClipNorm {
			o.scale = o.ClipNorm / norm
		}
	}
	o.unbias[0] = 1 - math.Pow(orDefault(o.Mean, 0.9), float64(o.steps))
	o.unbias[1] = 1 - math.Pow(orDefault(o.Square, 0.999), float64(o.steps))
	for _, s := range o.states {
		if !s.Frozen {
			s.settle()
		}
	}
	num.Parallel(len(o.pieces), 1, o.run)
}

func (o *Optimiser) stepRange(lo, hi int) {
	for _, p := range o.pieces[lo:hi] {
		if p.state.Frozen {
			continue
		}
		gradient := p.state.gradient[p.lo:p.hi]
		if o.scale != 1 || o.Clip > 0 {
			o.clip(gradient)
		}
		rate, decay := o.rate*p.state.rate, o.Decay
		penalty := o.Penalty
		if p.state.noDecay {
			decay, penalty = 0, 0
		}
		theta, first := p.state.Values[p.lo:p.hi], p.state.first[p.lo:p.hi]
		if penalty != 0 {
			addScaled(gradient, float32(penalty), theta)
		}
		keep := 1 - rate*decay
		switch o.Rule {
		case Adam:
			o.adam(theta, gradient, first, p.state.second[p.lo:p.hi], rate, keep)
		case SGHMC:
			o.sghmc(theta, gradient, first, rate, keep, hash(p.state.key, uint64(o.steps)), p.lo)
		default:
			o.sgd(theta, gradient, first, rate, keep)
		}
	}
}

func (o *Optimiser) clip(gradient []float32) {
	for i, v := range gradient {
		w := float64(v) * o.scale
		if o.Clip > 0 {
			w = math.Min(math.Max(w, -o.Clip), o.Clip)
		}
		gradient[i] = float32(w)
	}
}

func (o *Optimiser) sgd(theta, gradient, first []float32, rate, keep float64) {
	first, gradient = first[:len(theta)], gradient[:len(theta)]
	for i, w := range theta {
		g := float64(gradient[i])
		m := o.Momentum*float64(first[i]) + g
		first[i] = float32(m)
		if o.Nesterov {
			m = o.Momentum*m + g
		}
		theta[i] = float32(keep*float64(w) - rate*m)
	}
}

// complement is 1 − keep as the decimal that was meant: 0.1 for 0.9, where floating point gives 0.09999999999999998.
func complement(keep float64) float64 { return math.Round((1-keep)*1e15) / 1e15 }

func (o *Optimiser) adam(theta, gradient, first, second []float32, rate, keep float64) {
	keepFirst, keepSecond := orDefault(o.Mean, 0.9), orDefault(o.Square, 0.999)
	num.Adam(theta, gradient, first, second, num.AdamStep{
		KeepMean: keepFirst, GainMean: complement(keepFirst), KeepSquare: keepSecond, GainSquare: complement(keepSecond),
		UnbiasMean: o.unbias[0], UnbiasSquare: o.unbias[1], Epsilon: orDefault(o.Epsilon, 1e-8), Rate: rate, Keep: keep,
	})
}

// sghmc: v ← (1−α)·v − η·∇U + N(0, 2·α·η·T), θ ← θ + v, with friction α = 1 − Momentum. first holds −v.
func (o *Optimiser) sghmc(theta, gradient, first []float32, rate, keep float64, key uint64, at int) {
	deviation := math.Sqrt(2 * (1 - o.Momentum) * rate * o.Temperature)
	for i, w := range theta {
		v := o.Momentum*float64(first[i]) + rate*float64(gradient[i]) + deviation*normalAt(key, uint64(at+i))
		first[i] = float32(v)
		theta[i] = float32(keep*float64(w) - v)
	}
}
