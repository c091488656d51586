package moments

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// headroom widens a grid that had to be chosen from the first rows of a pipe: three powers of two beyond what they span.
const headroom = 3

// Grid says which multiples of a power of two stand for each column's values: value ≈ (Origin + k)·2^Exponent with a whole k.
// Columns are the D features, then the T targets. States merge only on equal grids.
type Grid struct {
	Exponent []int   // D+T
	Origin   []int64 // D+T, in steps of 2^Exponent, |Origin| ≤ 2^52
	norm     int     // exponent of the unit in which a row's squared distance from the origin is counted, even
}

// Step returns column j's spacing, 2^Exponent. A value inside the grid is off by at most half of it.
func (g *Grid) Step(j int) float64 { return math.Ldexp(1, g.Exponent[j]) }

func (g *Grid) equal(o *Grid) bool {
	return slices.Equal(g.Exponent, o.Exponent) && slices.Equal(g.Origin, o.Origin)
}

// minExponent is below the step of any column of float32 numbers.
const minExponent = -200

// newGrid places the finest grid on which every column's range lies within ±2^num.GridBits steps of its origin.
func newGrid(low, high []float64, spare int) *Grid {
	g := &Grid{Exponent: make([]int, len(low)), Origin: make([]int64, len(low))}
	const limit = 1 << num.GridBits
	for j := range low {
		half, mid := high[j]/2-low[j]/2, low[j]/2+high[j]/2
		e := math.MinInt
		if half > 0 {
			_, e = math.Frexp(half)
			e += spare - num.GridBits
		} else if mid != 0 { // constant: as fine as float32 is there
			_, e = math.Frexp(mid)
			e += spare - 24
		} else {
			e = spare - num.GridBits
		}
		_, top := math.Frexp(mid)
		e = max(e, top-52, minExponent) // Origin stays a whole float64, scales stay far from overflow
		for {
			o := math.RoundToEven(math.Ldexp(mid, -e))
			if math.Abs(math.RoundToEven(math.Ldexp(high[j], -e))-o) <= limit && math.Abs(math.RoundToEven(math.Ldexp(low[j], -e))-o) <= limit {
				g.Exponent[j], g.Origin[j] = e, int64(o)
				break
			}
			e++
		}
	}
	return g
}

// setNorm picks the unit for squared norms of the first d columns: every row inside the grid counts at most 2^(2·GridBits) of them.
func (g *Grid) setNorm(d int) {
	sum := 0.0
	for _, e := range g.Exponent[:d] {
		sum += math.Ldexp(1, 2*(e+num.GridBits))
	}
	_, top := math.Frexp(sum)
	g.norm = top - 2*num.GridBits
	g.norm += g.norm & 1
}

// spanGrain is the values from which looking for their range is worth a thread.
const spanGrain = 1 << 18

// span is the range of each column.
type span struct{ low, high []float64 }

func (s *span) observe(t *data.Table) {
	n, d := t.Dims()
	if s.low == nil {
		width := d + len(t.Targets())
		s.low, s.high = slices.Repeat([]float64{math.Inf(1)}, width), slices.Repeat([]float64{math.Inf(-1)}, width)
	}
	if n == 0 {
		return
	}
	var guard sync.Mutex
	num.Parallel(n, 1+spanGrain/max(d, 1), func(from, to int) {
		low, high := slices.Clone(t.Row(from)), slices.Clone(t.Row(from))
		num.Bounds(low, high, t.X()[from*d:to*d], to-from, d)
		guard.Lock()
		defer guard.Unlock()
		for j := range d {
			s.low[j], s.high[j] = min(s.low[j], float64(low[j])), max(s.high[j], float64(high[j]))
		}
	})
	for k, column := range t.Targets() {
		s.low[d+k], s.high[d+k] = min(s.low[d+k], slices.Min(column)), max(s.high[d+k], slices.Max(column))
	}
}

// Options say what a state is to hold.
type Options struct {
	// PerClass keeps a scatter for each class, not only one for all rows: K times the memory.
	PerClass bool
	// Like takes grid and columns from another state, so that both can be merged.
	Like *State
}

// Frame reads a replayable source once and returns the empty state on the grid that its rows span, and how many there are.
// Errors: those of the source; ErrShape when blocks do not fit; ErrFormat for an empty source.
func Frame(ctx context.Context, src data.Source, perClass bool) (*State, int, error) {
	var all span
	var first *data.Table
	rows := 0
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, 0, err
		}
		if first == nil {
			first = b.Slice(0, 0)
		} else if err := sameWidth(first, b); err != nil {
			return nil, 0, err
		}
		all.observe(b)
		n, _ := b.Dims()
		rows += n
	}
	if rows == 0 {
		return nil, 0, errEmpty
	}
	return newState(newGrid(all.low, all.high, 0), first, perClass), rows, nil
}

var errEmpty = fmt.Errorf("moments: no rows: the input %w as a table", data.ErrFormat)

// FromSource reads a source once or twice and returns its state.
// The grid comes from Like; else from a first pass over a replayable source; else, for a pipe, from its first block with
// three bits of headroom. Only in that last case does the state depend on the order of rows.
// Errors: those of the source; ErrShape when blocks or Like do not fit; ErrFormat for an empty source.
func FromSource(ctx context.Context, src data.Source, o Options) (*State, error) {
	var s *State
	if o.Like != nil {
		s = o.Like.Empty()
		if s.perClass != o.PerClass {
			return nil, fmt.Errorf("moments: %w: the state to be like was made with per-class scatters = %v", data.ErrShape, s.perClass)
		}
	} else if src.Replayable() {
		var err error
		if s, _, err = Frame(ctx, src, o.PerClass); err != nil {
			return nil, err
		}
	}
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		if n, _ := b.Dims(); s == nil && n > 0 {
			var all span
			all.observe(b)
			s = newState(newGrid(all.low, all.high, headroom), b, o.PerClass)
		}
		if s != nil {
			if err := s.Observe(b); err != nil {
				return nil, err
			}
		}
	}
	if s == nil {
		return nil, errEmpty
	}
	s.flush()
	return s, nil
}

func sameWidth(a, b *data.Table) error {
	_, da := a.Dims()
	_, db := b.Dims()
	if da != db || len(a.Targets()) != len(b.Targets()) {
		return fmt.Errorf("moments: %w: a block has %d columns and %d targets, the first one %d and %d", data.ErrShape, db, len(b.Targets()), da, len(a.Targets()))
	}
	return nil
}
