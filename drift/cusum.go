package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "cumulative sums of each column, up and down, with a threshold for a stated false-alarm probability",
	Paper: "page1954continuous",
}, CUSUM.Fit, loadCUSUM))

// CUSUM watches a stream for a lasting shift of a column's mean, up or down.
//
// It is Page's (1954) cumulative sum: what a column exceeds its mean by, less an allowance, adds up and never falls below zero. For a
// shift of the size it is set to no rule is sooner. The classical threshold supposes normal values and known means; here it is
// found by simulating streams from the reference, with means and spreads as uncertain as a reference of its size leaves them, so Level holds
// for any distribution. Prefer [Martingale] for a promise without a horizon, [PageHinkley] when the stream's own level is the norm. One column of scores is watched as well as many features.
//
// Fits on: Table N×D with N ≥ 8; columns without variation are not watched.
// Watch:   rows of D columns. Evidence: the largest sum of all columns, in standard deviations. Visible: a shift from the middle of the horizon on, found by its end.
// Errors:  ErrShape for fewer than 8 rows and on another width; ErrDegenerate when no column varies.
// Differs: the threshold is the order statistic of simulated maxima instead of a formula for the average run length, which is about Horizon/Level here.
// Source:  page1954continuous, section 3.
// Claim:   claims/drift/cusum.go.
type CUSUM struct {
	// Level is the probability of an alarm within Horizon rows that are like the reference.
	Level float64 `default:"0.01" range:"(0,0.5]"`
	// Horizon is the number of rows for which Level is promised, over all columns together. A stream that goes on may ring later: the rate stays at about Level in each further Horizon of rows.
	Horizon int `default:"1000" range:"[32,1e7]" unit:"rows"`
	// Shift is the change of a column's mean that should be found soonest, in its standard deviations; half of it is allowed for free.
	Shift float64 `default:"1" range:"(0,100]" unit:"standard deviations"`
	// Seed starts the simulated streams that the threshold is taken from.
	Seed uint64
}

// Fit learns means and spreads, and finds the threshold.
func (c CUSUM) Fit(ctx context.Context, train *data.Table) (*CUSUMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitWatch(ctx, c.rule(), train)
	return &CUSUMModel{m}, err
}

// CUSUMModel is a fitted [CUSUM].
type CUSUMModel struct{ watchModel }

func (c CUSUM) rule() watchRule {
	return watchRule{
		name: "cusum", level: c.Level, horizon: c.Horizon, seed: c.Seed,
		tracker: func(float64) tracker { return &cusumTracker{allowance: c.Shift / 2} },
		visible: func(threshold float64) float64 {
			rows := float64(c.Horizon) / 2
			return c.Shift/2 + (threshold+powerQuantile*math.Sqrt(rows))/rows
		},
	}
}

// cusumTracker holds one column's sums.
type cusumTracker struct {
	allowance     float64
	up, down      float64
	risen, fallen float64 // rows since the sums were zero
}

func (t *cusumTracker) observe(z float64) (float64, int) {
	t.up, t.down = max(0, t.up+z-t.allowance), max(0, t.down-z-t.allowance)
	t.risen, t.fallen = cusumRun(t.up, t.risen), cusumRun(t.down, t.fallen)
	if t.up >= t.down {
		return t.up, int(t.risen)
	}
	return t.down, int(t.fallen)
}

func cusumRun(sum, rows float64) float64 {
	if sum == 0 {
		return 0
	}
	return rows + 1
}

func (t *cusumTracker) state() []float64 { return []float64{t.up, t.down, t.risen, t.fallen} }

func (t *cusumTracker) resume(s []float64) bool {
	if len(s) != 4 || s[0] < 0 || s[1] < 0 || s[2] < 0 || s[3] < 0 {
		return false
	}
	t.up, t.down, t.risen, t.fallen = s[0], s[1], s[2], s[3]
	return true
}

func loadCUSUM(c CUSUM, st *data.Checkpoint) (*CUSUMModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadWatch(c.rule(), st)
	return &CUSUMModel{m}, err
}
