package part

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"
)

// Exchangeability is a test martingale against the hypothesis that a stream of scores comes from the same distribution as a
// calibration sample. It is anytime-valid: over the whole stream, however long, the evidence reaches 1/δ with probability at
// most δ when nothing has changed. Memory does not grow with the stream.
//
// The n calibration scores cut the line into n+1 gaps. By exchangeability the next score falls into a gap with probability
// (1 + earlier stream scores there)/(n + 1 + t), exactly, whatever the distribution is: a Pólya urn, so the uncertainty of a finite
// calibration sample is accounted for. Gaps are joined to at most 20 bins, whose counts are the state. Against the urn's
// prediction p the test bets with several alternatives q; each bet q/p has expectation one. A mixture over the
// alternatives, and over the row at which each begins to bet (so that a late change costs little), is again a martingale.
// Ties are broken by a seeded uniform number carried beside each score.
type Exchangeability struct {
	cut   []pair    // the bins−1 calibration pairs that separate bins
	state evidence  // everything that changes
	tilt  []float64 // alternatives×bins: log of the untilted-to-tilted weight
}

type pair struct{ Score, Tie float64 }

type evidence struct {
	Seed    uint64
	Rows    int       // stream scores seen
	Weight  []float64 // calibration gaps + stream scores in each bin
	Log     []float64 // log of each alternative's mixture over starting rows
	Recent  []float64 // exponentially weighted shares of the bins
	Peak    float64   // largest log evidence so far
	AlarmAt int       // row count at which log evidence first reached Level; 0 = never
	Level   float64   // −log δ
}

// memory is over how many rows the adaptive alternative looks back.
const memory = 50

// NewExchangeability makes a test over calibration scores with false-alarm probability delta over the whole stream.
func NewExchangeability(calibration []float64, delta float64, seed uint64) *Exchangeability {
	n := len(calibration)
	all := make([]pair, n)
	for i, s := range calibration {
		all[i] = pair{s, uniform(seed, ^uint64(i))}
	}
	slices.SortFunc(all, comparePairs)
	bins := min(n+1, 20)
	e := &Exchangeability{state: evidence{Seed: seed, Level: -math.Log(delta)}}
	at := 0 // gaps before this bin
	for b := range bins {
		next := (n + 1) * (b + 1) / bins
		e.state.Weight = append(e.state.Weight, float64(next-at))
		at = next
		if b < bins-1 {
			e.cut = append(e.cut, all[next-1])
		}
	}
	e.state.Recent = slices.Repeat([]float64{1 / float64(bins)}, bins)
	for _, theta := range []float64{-2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2} { // shifts
		e.addTilt(bins, func(z float64) float64 { return theta * z })
	}
	for _, theta := range []float64{-0.4, -0.15, 0.15, 0.4} { // spreads
		e.addTilt(bins, func(z float64) float64 { return theta * (z*z - 1) })
	}
	e.state.Log = slices.Repeat([]float64{math.Inf(-1)}, len(e.tilt)/bins+1) // the last one is adaptive
	return e
}

func (e *Exchangeability) addTilt(bins int, f func(z float64) float64) {
	for b := range bins {
		e.tilt = append(e.tilt, f(distuv.UnitNormal.Quantile((float64(b)+0.5)/float64(bins))))
	}
}

func comparePairs(a, b pair) int {
	switch {
	case a.Score < b.Score || a.Score == b.Score && a.Tie < b.Tie:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// begin is the share of the prior that has not begun to bet after t rows: the row at which a bet begins has probability
// begin(t−1) − begin(t), which falls off so slowly that a change after 10⁵ rows costs about 17 nats.
func begin(t int) float64 { return 1 / math.Log2(float64(t)+2) }

// Observe adds the next score of the stream.
func (e *Exchangeability) Observe(score float64) {
	s := &e.state
	s.Rows++
	x := pair{score, uniform(s.Seed, uint64(s.Rows))}
	bin, _ := slices.BinarySearchFunc(e.cut, x, comparePairs)
	bins := len(s.Weight)
	total := 0.0
	for _, w := range s.Weight {
		total += w
	}
	start := math.Log(begin(s.Rows-1) - begin(s.Rows))
	for j := range s.Log {
		bet := 0.0
		if j < len(s.Log)-1 {
			tilt := e.tilt[j*bins : (j+1)*bins]
			norm := 0.0
			for b, w := range s.Weight {
				norm += w / total * math.Exp(tilt[b])
			}
			bet = tilt[bin] - math.Log(norm)
		} else { // half the urn, half what came lately
			bet = math.Log(0.5 + 0.5*s.Recent[bin]*total/s.Weight[bin])
		}
		s.Log[j] = logAdd(s.Log[j], start) + bet
	}
	for b := range s.Recent {
		s.Recent[b] *= 1 - 1.0/memory
	}
	s.Recent[bin] += 1.0 / memory
	s.Weight[bin]++
	now := e.LogEvidence()
	s.Peak = max(s.Peak, now)
	if s.AlarmAt == 0 && now >= s.Level {
		s.AlarmAt = s.Rows
	}
}

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// LogEvidence returns the natural logarithm of the martingale, 0 at the start.
func (e *Exchangeability) LogEvidence() float64 {
	sum := math.Log(begin(e.state.Rows))
	for _, l := range e.state.Log {
		sum = logAdd(sum, l-math.Log(float64(len(e.state.Log))))
	}
	return sum
}

// Rows returns how many scores were observed.
func (e *Exchangeability) Rows() int { return e.state.Rows }

// AlarmAt returns after how many rows the alarm rang first, 0 when it never did.
func (e *Exchangeability) AlarmAt() int { return e.state.AlarmAt }

// MarshalJSON saves what has been seen so far; [Exchangeability.Resume] goes on from it.
func (e *Exchangeability) MarshalJSON() ([]byte, error) {
	s := e.state
	s.Log = slices.Clone(s.Log)
	for i, l := range s.Log {
		if math.IsInf(l, -1) { // JSON has no infinity; only a stream without rows has one
			s.Log[i] = -math.MaxFloat64
		}
	}
	return json.Marshal(s)
}

// Resume goes on from a saved state, which must have been made with the same calibration sample size.
func (e *Exchangeability) Resume(saved []byte) error {
	var s evidence
	if err := json.Unmarshal(saved, &s); err != nil {
		return fmt.Errorf("drift state: %w", err)
	}
	if len(s.Weight) != len(e.state.Weight) || len(s.Log) != len(e.state.Log) || len(s.Recent) != len(s.Weight) {
		return fmt.Errorf("drift state has %d bins, this guard's has %d: it belongs to another guard", len(s.Weight), len(e.state.Weight))
	}
	for i, l := range s.Log {
		if l == -math.MaxFloat64 {
			s.Log[i] = math.Inf(-1)
		}
	}
	e.state = s
	return nil
}

// uniform is a number in (0,1) that depends on seed and counter alone.
func uniform(seed, counter uint64) float64 {
	return (float64(Mix(seed^Mix(counter))>>11) + 0.5) / (1 << 53)
}

// Mix scrambles 64 bits, one to one (the finaliser of SplitMix64).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
