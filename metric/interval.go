package metric

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Float is what probabilities and logits are stored in; all sums are float64.
type Float interface{ float32 | float64 }

// Interval says how the interval of an [Estimate] is made. Its zero value is the default: 95 %, 1000 resamples, seed 0.
//
// Bootstrap intervals draw rows with replacement; resample r of a seed reads a stream of its own, so results are the same for any GOMAXPROCS,
// and two metrics on the same number of rows see the same resamples.
//
// A bootstrap (and DeLong's variance) is blind where the rows do not vary: 20 right answers of 20 would give [1, 1]. There the bound comes from
// what k rows can have missed. A kind of row that makes up a share q of the population stays unseen in k rows with probability (1−q)^k, so shares
// up to q = 1 − ((1−Level)/2)^(1/k) cannot be excluded (about 3.7/k at 95 %), and the interval reaches as far as rows of such a share could move
// the value. Each function says what k is.
type Interval struct {
	// Level is the nominal coverage.
	Level float64 `default:"0.95" range:"(0,1)"`
	// Resamples is how many bootstrap resamples are drawn; O(N) each. The default grows to 2/(1−Level) − 1 for levels above 0.998, the least
	// that has a resample in either tail; fewer than that are refused.
	Resamples int `default:"1000" range:"[1,)"`
	// Seed picks the resamples. Closed-form intervals do not read it.
	Seed uint64
	// ValueOnly leaves the interval out (both sides infinite), which is a thousand times cheaper than a bootstrap.
	ValueOnly bool
}

const (
	defaultLevel     = 0.95
	defaultResamples = 1000
)

// settle returns the one Interval that a caller gave, or the default one, with its defaults filled in.
func settle(who string, how []Interval) (Interval, error) {
	var h Interval
	switch len(how) {
	case 0:
	case 1:
		h = how[0]
	default:
		return h, fmt.Errorf("%s: %w: %d intervals, want at most 1", who, data.ErrShape, len(how))
	}
	if h.Level == 0 {
		h.Level = defaultLevel
	}
	if math.IsNaN(h.Level) || h.Level <= 0 || h.Level >= 1 {
		return h, fmt.Errorf("%s: interval level %v is %w, want a fraction between 0 and 1", who, h.Level, ErrRange)
	}
	least := leastResamples(h.Level)
	switch {
	case h.Resamples == 0:
		h.Resamples = max(defaultResamples, least)
	case h.Resamples < least:
		return h, fmt.Errorf("%s: %d resamples are %w for level %v, want at least %d", who, h.Resamples, ErrRange, h.Level, least)
	}
	return h, nil
}

// leastResamples is the smallest R with (R+1)·(1−level)/2 ≥ 1: the tail's quantile then is no extrapolation.
// 1e-9 forgives the rounding of 1−level (2/(1−0.95) is 39.99…97 or 40.00…02).
func leastResamples(level float64) int {
	r := 2/(1-level) - 1
	if r > math.MaxInt32 {
		return math.MaxInt32
	}
	return max(1, int(math.Ceil(r*(1-1e-9))))
}

// alpha is the probability outside the interval.
func (h Interval) alpha() float64 { return 1 - h.Level }

// z is the standard normal's quantile at 1 − alpha/2.
func (h Interval) z() float64 { return distuv.UnitNormal.Quantile(1 - h.alpha()/2) }

// unseen is the largest share of the population that k rows can have missed: Clopper and Pearson's bound for 0 of k.
func (h Interval) unseen(k int) float64 { return -math.Expm1(math.Log(h.alpha()/2) / float64(k)) }

// alone is a value without an interval.
func (h Interval) alone(value float64) Estimate {
	return Estimate{Value: value, Low: math.Inf(-1), High: math.Inf(1), Level: h.Level}
}

// between is a value with an interval that is stretched to contain it and clipped to [floor, ceiling].
func (h Interval) between(value, low, high, floor, ceiling float64) Estimate {
	return Estimate{
		Value: value,
		Low:   min(max(low, floor), value),
		High:  max(min(high, ceiling), value),
		Level: h.Level,
	}
}

// percentile is Efron's percentile interval. It sorts replicas.
func (h Interval) percentile(value float64, replicas []float64) Estimate {
	low, high := h.tails(replicas)
	return h.between(value, low, high, math.Inf(-1), math.Inf(1))
}

// pivotal mirrors the replicas' tails at the value, which takes out the bias of statistics that resampling pushes upwards (calibration errors:
// noise adds to an absolute difference, and a resample is noisier than the sample). It sorts replicas.
func (h Interval) pivotal(value float64, replicas []float64, floor, ceiling float64) Estimate {
	low, high := h.tails(replicas)
	return h.between(value, 2*value-high, 2*value-low, floor, ceiling)
}

// tails returns the quantiles alpha/2 and 1 − alpha/2 of the replicas: the order statistics (R+1)·q, interpolated.
func (h Interval) tails(replicas []float64) (low, high float64) {
	slices.Sort(replicas)
	at := func(q float64) float64 {
		pos := q*float64(len(replicas)+1) - 1
		i := min(max(int(math.Floor(pos)), 0), len(replicas)-1)
		j := min(i+1, len(replicas)-1)
		weight := min(max(pos-float64(i), 0), 1)
		return replicas[i] + weight*(replicas[j]-replicas[i])
	}
	return at(h.alpha() / 2), at(1 - h.alpha()/2)
}

// unvaried reports whether no replica differs from the value by more than the rounding of a sum.
func unvaried(value float64, replicas []float64) bool {
	tolerance := 1e-12 * max(1, math.Abs(value))
	for _, r := range replicas {
		if !(math.Abs(r-value) <= tolerance) {
			return false
		}
	}
	return true
}

// draws is the stream of one resample.
type draws struct{ pcg *rand.PCG }

// index returns a number in 0..n−1. The multiply-shift is biased by less than n/2^64.
func (d draws) index(n int) int {
	hi, _ := bits.Mul64(d.pcg.Uint64(), uint64(n))
	return int(hi)
}

// uniform returns a number in [0,1), a multiple of 2^−53.
func (d draws) uniform() float64 { return float64(d.pcg.Uint64()>>11) / (1 << 53) }

// scatter is the finaliser of SplitMix64: it sends neighbouring numbers far apart, so that streams 0, 1, 2 … share no pattern.
func scatter(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// replicate returns Resamples replicas of a statistic. prepare is called once a worker and returns the function that makes one replica from its
// own stream with the worker's own scratch memory.
func (h Interval) replicate(prepare func() func(draws) float64) []float64 {
	replicas := make([]float64, h.Resamples)
	num.Parallel(len(replicas), 16, func(lo, hi int) {
		replica := prepare()
		for r := lo; r < hi; r++ {
			replicas[r] = replica(draws{rand.NewPCG(scatter(h.Seed), scatter(h.Seed^scatter(uint64(r))))})
		}
	})
	return replicas
}

// Bootstrap measures any statistic of n rows: statistic gets row numbers 0..n−1 (with repeats in a resample) and returns its value on those rows.
// The value is the statistic of all rows once, the interval that of [Interval.Bootstrap] with 1000 resamples of this seed at 95 %.
func Bootstrap(seed uint64, n int, statistic func(index []int) float64) (Estimate, error) {
	return Interval{Seed: seed}.Bootstrap(n, statistic)
}

// Bootstrap measures any statistic of n rows with a percentile interval: rows are drawn with replacement, Resamples times.
//
// statistic is called from several goroutines at once, each with an index slice of its own, which it must neither keep nor change.
// Where it is undefined (a resample may lack a class) it returns NaN, and the resample is left out; ±Inf is an error.
// A statistic that no resample moves gets the interval [value, value]: what unseen rows could do to it is not known here.
//
// Errors: data.ErrShape when n < 1; data.ErrFinite when the value is not finite, when a resample's is infinite, or when more than half of the
// resamples are undefined; ErrRange for a Level or Resamples out of range.
// Source: Efron and Tibshirani (1993), section 13.3.
func (h Interval) Bootstrap(n int, statistic func(index []int) float64) (Estimate, error) {
	const who = "bootstrap"
	h, err := settle(who, []Interval{h})
	if err != nil {
		return Estimate{}, err
	}
	if n < 1 {
		return Estimate{}, fmt.Errorf("%s: %w: %d rows, want at least 1", who, data.ErrShape, n)
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	value := statistic(all)
	if math.IsNaN(value) || math.IsInf(value, 0) {
		return Estimate{}, fmt.Errorf("%s: the statistic of all %d rows is %v: %w", who, n, value, data.ErrFinite)
	}
	if h.ValueOnly {
		return h.alone(value), nil
	}
	replicas := h.replicate(func() func(draws) float64 {
		index := make([]int, n)
		return func(d draws) float64 {
			for i := range index {
				index[i] = d.index(n)
			}
			return statistic(index)
		}
	})
	for r, v := range replicas {
		if math.IsInf(v, 0) {
			return Estimate{}, fmt.Errorf("%s: the statistic of resample %d is %v: %w", who, r+1, v, data.ErrFinite)
		}
	}
	defined := slices.DeleteFunc(replicas, math.IsNaN)
	if 2*len(defined) < h.Resamples {
		return Estimate{}, fmt.Errorf("%s: the statistic is undefined on %d of %d resamples: NaN is %w", who, h.Resamples-len(defined), h.Resamples, data.ErrFinite)
	}
	return h.percentile(value, defined), nil
}
