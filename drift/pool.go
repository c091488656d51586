package drift

import (
	"context"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// pool is reference and window as one sample, in an order of its own: sorted by the rows' values, so that nothing depends on
// the order in which rows came or on which sample is called the reference. Under the hypothesis of no drift every subset of
// its rows is as likely to be the window as any other of its size.
type pool struct {
	rows [][]float32
	// small marks the rows of the smaller sample, of which there are few; other counts the rest.
	small      subset
	few, other int
	// windowIsSmall tells which of the two is the window.
	windowIsSmall bool
}

// subset is a set of rows, one bit each.
type subset []uint64

func newSubset(n int) subset    { return make(subset, (n+63)/64) }
func (s subset) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s subset) has(i int) bool { return s[i/64]>>(i%64)&1 == 1 }
func (s subset) each(f func(i int)) {
	for w, word := range s {
		for ; word != 0; word &= word - 1 {
			f(64*w + bits.TrailingZeros64(word))
		}
	}
}

func compareRows(a, b []float32) int { return slices.Compare(a, b) }

func newPool(reference, window *data.Table) *pool {
	n, _ := reference.Dims()
	m, _ := window.Dims()
	order := make([]int32, n+m)
	for i := range order {
		order[i] = int32(i)
	}
	row := func(i int32) []float32 {
		if int(i) < n {
			return reference.Row(int(i))
		}
		return window.Row(int(i) - n)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return compareRows(row(a), row(b)) })
	p := &pool{rows: make([][]float32, n+m), small: newSubset(n + m), windowIsSmall: m <= n, few: min(n, m), other: max(n, m)}
	for k, i := range order {
		p.rows[k] = row(i)
		if (int(i) >= n) == p.windowIsSmall {
			p.small.add(k)
		}
	}
	if n == m && !p.leads() {
		for i := range p.rows {
			p.small[i/64] ^= 1 << (i % 64)
		}
		p.windowIsSmall = !p.windowIsSmall
	}
	return p
}

// leads reports whether the first of the pool's different rows that the samples do not share alike is more often in the
// small one: it tells samples of one size apart without asking which is the reference.
func (p *pool) leads() bool {
	for i := 0; i < len(p.rows); {
		lead, first := 0, i
		for ; i < len(p.rows) && compareRows(p.rows[i], p.rows[first]) == 0; i++ {
			if p.small.has(i) {
				lead++
			} else {
				lead--
			}
		}
		if lead != 0 {
			return lead > 0
		}
	}
	return true
}

// samples returns the rows of the small sample and of the other one, in the pool's order.
func (p *pool) samples() (small, other [][]float32) {
	for i, row := range p.rows {
		if p.small.has(i) {
			small = append(small, row)
		} else {
			other = append(other, row)
		}
	}
	return small, other
}

// shuffler draws subsets of few of n rows, uniformly: the relabellings of a permutation test.
type shuffler struct {
	order  []int32
	few    int
	random *rand.Rand
}

func newShuffler(n, few int, seed uint64) *shuffler {
	s := &shuffler{make([]int32, n), few, rand.New(rand.NewPCG(seed, 0x64726966))}
	for i := range s.order {
		s.order[i] = int32(i)
	}
	return s
}

// next is a partial Fisher–Yates shuffle: whatever the order was before, its first few become a uniform subset.
func (s *shuffler) next() subset {
	out := newSubset(len(s.order))
	for i := range s.few {
		j := i + s.random.IntN(len(s.order)-i)
		s.order[i], s.order[j] = s.order[j], s.order[i]
		out.add(int(s.order[i]))
	}
	return out
}

// relabellings are the pool's own labels and then so many random ones.
func (p *pool) relabellings(ctx context.Context, permutations int, seed uint64) ([]subset, error) {
	s := newShuffler(len(p.rows), p.few, seed)
	all := []subset{p.small}
	for k := range permutations {
		if k%64 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		all = append(all, s.next())
	}
	return all, nil
}

// ranking is what a permutation test says of an observed statistic among those of relabelled samples.
type ranking struct {
	p       float64 // (1 + how many are at least as large)/(1 + how many there are)
	visible float64 // critical value, plus what power takes, less the null's mean
	spread  float64 // standard deviation under the null
	mean    float64
}

// rank counts near-ties as ties, which can only make p larger: what differs by no more than the given rounding is equal.
func rank(observed float64, null []float64, level, rounding float64) ranking {
	sorted := slices.Clone(null)
	slices.Sort(sorted)
	slack := rounding + 1e-9*math.Max(math.Abs(observed), math.Max(math.Abs(sorted[0]), math.Abs(sorted[len(sorted)-1])))
	at, _ := slices.BinarySearch(sorted, observed-slack)
	n := len(sorted)
	r := ranking{p: float64(1+n-at) / float64(1+n)}
	for _, v := range sorted {
		r.mean += v / float64(n)
	}
	for _, v := range sorted {
		r.spread += (v - r.mean) * (v - r.mean) / float64(n)
	}
	r.spread = math.Sqrt(r.spread)
	critical := sorted[min(n-1, max(0, int(math.Ceil((1-level)*float64(n+1)))-1))]
	r.visible = math.Max(critical-r.mean, 0) + powerQuantile*r.spread
	return r
}

// normalInterval is a value with a 95 % interval of the normal distribution.
func normalInterval(value, spread float64) metric.Estimate {
	const z = 1.959963984540054
	return metric.Estimate{Value: value, Low: value - z*spread, High: value + z*spread, Level: 0.95}
}

// centre returns the mean of each column over the pool, D values.
func (p *pool) centre() []float64 {
	c := make([]float64, len(p.rows[0]))
	for _, row := range p.rows {
		for j, v := range row {
			c[j] += float64(v)
		}
	}
	for j := range c {
		c[j] /= float64(len(p.rows))
	}
	return c
}

// sample picks at most most rows of the pool, evenly along its order.
func (p *pool) sample(most int) [][]float32 {
	n := len(p.rows)
	if n <= most {
		return p.rows
	}
	out := make([][]float32, most)
	for k := range out {
		out[k] = p.rows[k*n/most]
	}
	return out
}

// bandwidthRows is how many rows the median of distances is taken over.
const bandwidthRows = 500

// medianDistance is the median of the distances between different rows of the pool, a function of the pool alone, so that a permutation test stays
// exact; 1 when all rows are equal.
func (p *pool) medianDistance() float64 {
	rows := p.sample(bandwidthRows)
	var all []float64
	for i := range rows {
		for _, other := range rows[:i] {
			if s := squaredDistance(rows[i], other); s > 0 {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		return 1
	}
	slices.Sort(all)
	return math.Sqrt(all[len(all)/2])
}

func squaredDistance(a, b []float32) (s float64) {
	for j, v := range a {
		d := float64(v) - float64(b[j])
		s += d * d
	}
	return s
}
