package choose

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// Head learns from labelled rows and predicts classes.
type Head func(ctx context.Context, train *data.Table) (method.Predictor, error)

// Point is how two heads do after learning from so many rows.
type Point struct {
	Rows int
	// Few and Many are the errors of the head for few labels and of the one for many, means over the splits.
	Few, Many metric.Estimate
	// Gap is Few − Many, paired by splits, its interval widened for their overlap: above zero the head for many labels is better.
	Gap metric.Estimate
}

// Crossing is the learning curves of two heads and where they cross.
type Crossing struct {
	Points []Point
	Splits int
	// Rows is from how many rows on the head for many labels has the lower mean error, up to the largest measured number, read
	// off between two points on a logarithmic scale; +Inf when it never has. Low and High hold 95 % of what resampled splits
	// give, and may be +Inf.
	Rows metric.Estimate
	// Crossed is the share of resampled splits in which the curves cross within the rows at hand.
	Crossed float64
	// Expected is where curves of the form error = limit + slope/rows cross that are fitted to the points: how capacity over
	// rows, the form of the theory's excess error, goes on beyond the table. +Inf when they do not.
	Expected float64
	// Ratio is D/ln D: by how many times more rows logistic regression needs than naive Bayes in theory, up to constants, to
	// come near its own limit (Zheng et al. 2023).
	Ratio float64
}

// Cross measures two heads on splits of a labelled table: three tenths of the rows are asked about, and from the others, taken
// in an order in which every beginning has the classes in proportion, twice as many are learned each time. Rows of classes
// that a beginning lacks count as errors. Options.Rows bounds a split.
// Errors: ErrLabels for rows without a class; ErrShape for too few rows; ErrConfig; a head's own error at the largest size.
func Cross(ctx context.Context, o Options, train *data.Table, few, many Head) (*Crossing, error) {
	o.Splits, o.Rows = cmp.Or(o.Splits, 10), cmp.Or(o.Rows, 3000)
	if o.Splits < 2 || o.Rows < 4*fewest {
		return nil, fmt.Errorf("crossing: %w: %d splits of %d rows, want at least 2 of %d", method.ErrConfig, o.Splits, o.Rows, 4*fewest)
	}
	labels, err := train.Labels()
	if err != nil {
		return nil, fmt.Errorf("crossing: %w", err)
	}
	n, d := train.Dims()
	k := 0
	seen := make([]bool, len(train.Classes()))
	for i, l := range labels {
		if l < 0 {
			return nil, fmt.Errorf("crossing: %w: row %d has none", data.ErrLabels, i+1)
		}
		if !seen[l] {
			seen[l], k = true, k+1
		}
	}
	most := min(n, o.Rows)
	pool := int(learned * float64(most))
	if k < 2 || d == 0 || pool < 2*k || most-pool < fewest {
		return nil, fmt.Errorf("crossing: %w: %d rows of %d columns and %d classes, want at least 2 classes, 3 rows each and %d in all", data.ErrShape, n, d, k, 4*fewest)
	}
	c := &Crossing{Splits: o.Splits, Ratio: float64(d) / math.Log(float64(max(d, 2)))}
	var sizes []int
	for rows := 2 * k; ; rows *= 2 {
		if rows > pool*3/4 { // the last step is not a mere repetition
			sizes = append(sizes, pool)
			break
		}
		sizes = append(sizes, rows)
	}
	errors := [2][][]float64{make([][]float64, len(sizes)), make([][]float64, len(sizes))} // head, size, split
	for j := range o.Splits {
		r := rand.New(rand.NewPCG(o.Seed, part.Mix(uint64(j))))
		order := r.Perm(n)[:most]
		ask, learn := train.Pick(order[pool:]), proportioned(order[:pool], labels)
		for s, rows := range sizes {
			method.Progress(ctx, j*len(sizes)+s, o.Splits*len(sizes))
			part := train.Pick(learn[:rows])
			for h, fit := range []Head{few, many} {
				m, err := fit(ctx, part)
				if err != nil {
					return nil, err
				}
				e, err := share(m, ask)
				if err != nil {
					return nil, err
				}
				errors[h][s] = append(errors[h][s], e)
			}
		}
	}
	return c, c.read(sizes, errors, float64(most-pool)/float64(pool), o.Seed)
}

// proportioned puts rows into an order in which every beginning has the classes in about their shares, a row of each first.
func proportioned(rows, labels []int) []int {
	count, turn := map[int]float64{}, map[int]float64{}
	for _, i := range rows {
		count[labels[i]]++
	}
	place := map[int]float64{}
	for _, i := range rows {
		l := labels[i]
		if place[i] = turn[l] / count[l]; turn[l] > 0 {
			place[i] = (turn[l] + 0.5) / count[l]
		}
		turn[l]++
	}
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(place[a], place[b]) })
	return out
}

// share is the share of rows whose most probable class is not theirs.
func share(m method.Predictor, ask *data.Table) (float64, error) {
	p, err := m.Predict(ask)
	if err != nil {
		return 0, err
	}
	n, _ := p.Dims()
	wrong := 0
	for i := range n {
		row, at := p.Row(i), 0
		for c, v := range row {
			if v > row[at] {
				at = c
			}
		}
		if p.Columns()[at] != ask.ClassName(i) {
			wrong++
		}
	}
	return float64(wrong) / float64(n), nil
}

// read fills in what the errors say.
func (c *Crossing) read(sizes []int, errors [2][][]float64, overlap float64, seed uint64) (err error) {
	for s, rows := range sizes {
		p := Point{Rows: rows}
		for h, to := range []*metric.Estimate{&p.Few, &p.Many} {
			if *to, err = metric.Mean(errors[h][s]); err != nil {
				return err
			}
			*to = widen(*to, c.Splits, overlap, 0, 1)
		}
		if p.Gap, err = metric.PairedMean(errors[0][s], errors[1][s]); err != nil {
			return err
		}
		p.Gap = widen(p.Gap, c.Splits, overlap, -1, 1)
		c.Points = append(c.Points, p)
	}
	all := make([]int, c.Splits)
	for j := range all {
		all[j] = j
	}
	const resamples = 1000
	found, crossed := make([]float64, resamples), 0
	r := rand.New(rand.NewPCG(seed, 0))
	for b := range found {
		drawn := make([]int, c.Splits)
		for j := range drawn {
			drawn[j] = r.IntN(c.Splits)
		}
		if found[b] = crossingAt(sizes, errors, drawn); !math.IsInf(found[b], 1) {
			crossed++
		}
	}
	c.Crossed = float64(crossed) / resamples
	slices.Sort(found)
	at := crossingAt(sizes, errors, all)
	c.Rows = metric.Estimate{Value: at, Low: min(at, found[resamples/40]), High: max(at, found[resamples-resamples/40-1])}
	c.Expected = c.expected()
	return nil
}

// crossingAt is from how many rows on the second head is better over the drawn splits.
func crossingAt(sizes []int, errors [2][][]float64, splits []int) float64 {
	gaps := make([]float64, len(sizes))
	for s := range sizes {
		for _, j := range splits {
			gaps[s] += errors[0][s][j] - errors[1][s][j]
		}
	}
	at := len(sizes)
	for at > 0 && gaps[at-1] > 0 {
		at--
	}
	switch at {
	case len(sizes):
		return math.Inf(1)
	case 0:
		return float64(sizes[0])
	}
	from, to := math.Log(float64(sizes[at-1])), math.Log(float64(sizes[at]))
	return math.Exp(from + (to-from)*gaps[at-1]/(gaps[at-1]-gaps[at]))
}

// expected fits limit + slope/rows to each curve by least squares and returns where they cross.
func (c *Crossing) expected() float64 {
	var limit, slope [2]float64
	for h := range 2 {
		mx, my, xy, xx := 0.0, 0.0, 0.0, 0.0
		n := float64(len(c.Points))
		value := func(p Point) float64 { return [2]float64{p.Few.Value, p.Many.Value}[h] }
		for _, p := range c.Points {
			mx += 1 / float64(p.Rows) / n
			my += value(p) / n
		}
		for _, p := range c.Points {
			x := 1/float64(p.Rows) - mx
			xy += x * (value(p) - my)
			xx += x * x
		}
		if xx > 0 {
			slope[h] = xy / xx
		}
		limit[h] = my - slope[h]*mx
	}
	rows := (slope[1] - slope[0]) / (limit[0] - limit[1])
	if !(limit[0] > limit[1]) || math.IsInf(rows, 0) || math.IsNaN(rows) {
		return math.Inf(1)
	}
	return max(rows, float64(c.Points[0].Rows))
}
