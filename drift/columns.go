package drift

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// column is one column of a pool, cut into groups of rows that a statistic cannot tell apart: equal values, or bins.
type column struct {
	group      []int32   // of each row of the pool
	sizes      []float64 // rows of each group
	values     []float64 // smallest value of each group, ascending
	few, other float64   // rows of the smaller sample, and of the other
}

// columnTest is what a test by columns adds to its siblings.
type columnTest struct {
	name string
	// bins cuts a column into so many bins of equally many rows of the pool instead of groups of equal values; 0 does not.
	bins int
	// statistic is of the counts of the smaller sample's rows in each group; larger is odder; the two samples may be exchanged.
	statistic func(c *column, counts []float64) float64
	// exact gives the p-value and the visible statistic without permutations; nil ranks the statistic among relabellings.
	exact        func(c *column, statistic, level float64) (p, visible float64)
	permutations int
	seed         uint64
}

// fewPermutations is how many relabellings every column gets. Only a column of whose first ones less than
// promising are as odd as the observation gets all of them. That leaves the p-value valid at every level: one from the first stage
// is at least promising/(1+fewPermutations), and a smaller level is decided by the second stage alone.
const fewPermutations, promising = 199, 20

// group cuts column j of the pool.
func (p *pool) group(j, bins int) *column {
	n := len(p.rows)
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	at := func(i int32) float32 { return p.rows[i][j] }
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(at(a), at(b)) })
	c := &column{group: make([]int32, n), few: float64(p.few), other: float64(p.other)}
	for k, i := range order {
		fresh := k == 0 || at(order[k-1]) != at(i)
		if fresh && bins > 0 && k > 0 { // a bin ends where it holds its share, between different values only
			fresh = k*bins >= len(c.sizes)*n
		}
		if fresh {
			c.sizes, c.values = append(c.sizes, 0), append(c.values, float64(at(i)))
		}
		c.group[i] = int32(len(c.sizes) - 1)
		c.sizes[len(c.sizes)-1]++
	}
	return c
}

// count fills in how many rows of a subset are in each group.
func (c *column) count(s subset, counts []float64) []float64 {
	counts = counts[:len(c.sizes)]
	clear(counts)
	s.each(func(i int) { counts[c.group[i]]++ })
	return counts
}

// testColumns tests all columns of the pool, each alone.
func (p *pool) testColumns(ctx context.Context, window *data.Table, t columnTest, level float64, correction string) (*method.Comparison, error) {
	n, d := len(p.rows), len(p.rows[0])
	out := &method.Comparison{Level: level, Name: t.name, Unit: "shift of the mean in standard deviations of both samples together", Parts: make([]method.Part, d)}
	permutations := 0
	if t.exact == nil {
		permutations = max(t.permutations, int(math.Ceil(float64(d)/level))-1) // one column alone must be able to pass the correction
	}
	first, err := p.relabellings(ctx, min(permutations, fewPermutations), t.seed)
	if err != nil {
		return nil, err
	}
	type going struct {
		j      int
		c      *column
		at     float64 // the observed statistic
		as     int     // relabellings at least as odd
		counts []float64
	}
	open := make([]*going, d)
	num.Parallel(d, 1, func(lo, hi int) {
		counts := make([]float64, n)
		for j := lo; j < hi && ctx.Err() == nil; j++ {
			c := p.group(j, t.bins)
			part := &out.Parts[j]
			part.Name = columnName(window, j)
			part.Statistic, part.Effect = t.statistic(c, c.count(p.small, counts)), p.shift(j)
			if t.exact != nil {
				part.PValue, part.Visible = t.exact(c, part.Statistic, level)
				continue
			}
			var null []float64
			for _, s := range first[1:] {
				null = append(null, t.statistic(c, c.count(s, counts)))
			}
			r := rank(part.Statistic, null, level, 0)
			part.PValue, part.Visible = r.p, r.visible+r.mean
			if as := int(math.Round(r.p*float64(1+len(null)))) - 1; as < promising && permutations > len(null) {
				open[j] = &going{j, c, part.Statistic, as, make([]float64, len(c.sizes))}
			}
		}
	})
	open = slices.DeleteFunc(open, func(g *going) bool { return g == nil })
	draw := newShuffler(n, p.few, t.seed+1)
	for done := len(first) - 1; done < permutations && len(open) > 0; {
		var more []subset
		for ; done < permutations && len(more) < 64; done++ {
			more = append(more, draw.next())
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		num.Parallel(len(open), 1, func(lo, hi int) {
			for _, g := range open[lo:hi] {
				for _, s := range more {
					if v := t.statistic(g.c, g.c.count(s, g.counts)); v >= g.at-1e-9*math.Max(math.Abs(v), math.Abs(g.at)) {
						g.as++
					}
				}
			}
		})
	}
	for _, g := range open {
		out.Parts[g.j].PValue = float64(1+g.as) / float64(1+permutations)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	settle(out, correction)
	return out, nil
}

// shift is the window's mean of a column less the reference's, in standard deviations of the pool.
func (p *pool) shift(j int) metric.Estimate {
	start := float64(p.rows[0][j]) // sums are taken from here, so that a far origin costs no digits
	var sum, square [2]float64
	for i, row := range p.rows {
		side := 0
		if p.small.has(i) == p.windowIsSmall {
			side = 1
		}
		v := float64(row[j]) - start
		sum[side] += v
		square[side] += v * v
	}
	count := [2]float64{float64(p.other), float64(p.few)}
	if !p.windowIsSmall {
		count[0], count[1] = count[1], count[0]
	}
	n := count[0] + count[1]
	mean := (sum[0] + sum[1]) / n
	deviation := math.Sqrt(math.Max((square[0]+square[1])/n-mean*mean, 0))
	if deviation <= 1e-12*math.Abs(mean) || deviation == 0 {
		return normalInterval(0, 0)
	}
	spread := 0.0
	for side := range 2 {
		m := sum[side] / count[side]
		variance := math.Max(square[side]/count[side]-m*m, 0)
		if count[side] < 2 {
			variance = deviation * deviation
		}
		spread += variance / count[side]
	}
	return normalInterval((sum[1]/count[1]-sum[0]/count[0])/deviation, math.Sqrt(spread)/deviation)
}

// columnModel is a fitted test by columns.
type columnModel struct {
	reference
	test       columnTest
	level      float64
	correction string
}

// Test compares a window with the reference, column by column.
func (m columnModel) Test(ctx context.Context, window *data.Table) (*method.Comparison, error) {
	if err := m.window(ctx, window, 1); err != nil {
		return nil, err
	}
	return newPool(m.rows, window).testColumns(ctx, window, m.test, m.level, m.correction)
}
