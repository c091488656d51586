package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "sums of each column's deviations from its own running mean, with a threshold for a stated false-alarm probability",
	Paper: "page1954continuous",
}, PageHinkley.Fit, loadPageHinkley))

// PageHinkley watches a stream for a change of a column's mean against the mean that the stream itself has had so far.
//
// It is the Page–Hinkley rule: deviations from the running mean, less an allowance, add up, and the sum's climb above its lowest
// point is the evidence. A stream that differs from the reference in level from its first row on is no change to it; prefer [CUSUM]
// when it should be. The rule itself promises nothing; here its threshold is found by simulating streams from the reference.
//
// Fits on: Table N×D with N ≥ 8; columns without variation are not watched.
// Watch:   rows of D columns. Evidence: the largest climb of all columns, in standard deviations. Visible: a shift from the middle of the horizon on, found by its end.
// Errors:  ErrShape for fewer than 8 rows and on another width; ErrDegenerate when no column varies.
// Differs: columns are measured in the reference's standard deviations; both directions are watched; the threshold is the order statistic of simulated maxima.
// Source:  page1954continuous; hinkley1971inference, section 2.
// Claim:   claims/drift/pagehinkley.go.
type PageHinkley struct {
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
func (c PageHinkley) Fit(ctx context.Context, train *data.Table) (*PageHinkleyModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitWatch(ctx, c.rule(), train)
	return &PageHinkleyModel{m}, err
}

// PageHinkleyModel is a fitted [PageHinkley].
type PageHinkleyModel struct{ watchModel }

func (c PageHinkley) rule() watchRule {
	return watchRule{
		name: "pagehinkley", level: c.Level, horizon: c.Horizon, seed: c.Seed,
		tracker: func(float64) tracker { return &pageHinkleyTracker{allowance: c.Shift / 2} },
		visible: func(threshold float64) float64 {
			// After a shift in the middle the running mean follows it: over the second half the deviations add up to log 2 of the half.
			rows := float64(c.Horizon) / 2
			return (threshold + c.Shift/2*rows + powerQuantile*math.Sqrt(rows)) / (math.Ln2 * rows)
		},
	}
}

// pageHinkleyTracker holds one column's sums.
type pageHinkleyTracker struct {
	allowance                   float64
	rows, mean                  float64
	up, lowest, sinceLowest     float64
	down, highest, sinceHighest float64
}

func (t *pageHinkleyTracker) observe(z float64) (float64, int) {
	t.rows++
	t.mean += (z - t.mean) / t.rows
	t.up += z - t.mean - t.allowance
	t.down += z - t.mean + t.allowance
	t.sinceLowest++
	t.sinceHighest++
	if t.up <= t.lowest {
		t.lowest, t.sinceLowest = t.up, 0
	}
	if t.down >= t.highest {
		t.highest, t.sinceHighest = t.down, 0
	}
	if t.up-t.lowest >= t.highest-t.down {
		return t.up - t.lowest, int(t.sinceLowest)
	}
	return t.highest - t.down, int(t.sinceHighest)
}

func (t *pageHinkleyTracker) state() []float64 {
	return []float64{t.rows, t.mean, t.up, t.lowest, t.sinceLowest, t.down, t.highest, t.sinceHighest}
}

func (t *pageHinkleyTracker) resume(s []float64) bool {
	if len(s) != 8 || s[0] < 0 || s[3] > s[2] || s[6] < s[5] || s[4] < 0 || s[7] < 0 {
		return false
	}
	t.rows, t.mean, t.up, t.lowest, t.sinceLowest, t.down, t.highest, t.sinceHighest = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
	return true
}

func loadPageHinkley(c PageHinkley, st *data.Checkpoint) (*PageHinkleyModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadWatch(c.rule(), st)
	return &PageHinkleyModel{m}, err
}
