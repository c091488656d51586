package drift

import (
	"context"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "adaptive windows: is there a cut of the recent past with two different means? With a stated false-alarm probability",
	Paper: "bifet2007learning",
}, ADWIN.Fit, loadADWIN))

// ADWIN watches a stream for a change of a column's mean, of any size and at any time, by the best cut of a window that grows until one is found.
//
// It is the adaptive window of Bifet and Gavaldà (2007), on buckets whose sizes double, so memory is O(D·Buckets·log N). The paper bounds the
// probability of a false cut at each row, under values between 0 and 1; over a stream that adds up to an alarm sooner or later. Here the evidence of a cut is
// the paper's ln(2/δ') at which it would just be made, columns are laid on 0 to 1 by four standard deviations to either side, and the
// threshold is found by simulating streams from the reference. Once it rang, the window drops what lies before the cut. Prefer [CUSUM] when the
// shift's size is known.
//
// Fits on: Table N×D with N ≥ 8; columns without variation are not watched.
// Watch:   rows of D columns. Evidence: ln(2/δ') of the best cut of all columns, looked for every 32 rows. Visible: a shift from the middle of the horizon on, found by its end.
// Errors:  ErrShape for fewer than 8 rows and on another width; ErrDegenerate when no column varies.
// Differs: the threshold; cuts leave at least 5 rows on either side.
// Source:  bifet2007learning, section 3, eq. (3.1) with the variance, and section 4 for the buckets.
// Claim:   claims/drift/adwin.go.
type ADWIN struct {
	// Level is the probability of an alarm within Horizon rows that are like the reference.
	Level float64 `default:"0.01" range:"(0,0.5]"`
	// Horizon is the number of rows for which Level is promised, over all columns together. A stream that goes on may ring later: the rate stays at about Level in each further Horizon of rows.
	Horizon int `default:"1000" range:"[32,1e7]" unit:"rows"`
	// Buckets is how many buckets of one size the window's summary holds before two are joined; more of them place a cut more finely.
	Buckets int `default:"5" range:"[1,1e6]"`
	// Seed starts the simulated streams that the threshold is taken from.
	Seed uint64
}

// Fit learns means and spreads, and finds the threshold.
func (c ADWIN) Fit(ctx context.Context, train *data.Table) (*ADWINModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := fitWatch(ctx, c.rule(), train)
	return &ADWINModel{m}, err
}

// ADWINModel is a fitted [ADWIN].
type ADWINModel struct{ watchModel }

func (c ADWIN) rule() watchRule {
	return watchRule{
		name: "adwin", level: c.Level, horizon: c.Horizon, seed: c.Seed,
		tracker: func(threshold float64) tracker { return &adwinTracker{most: c.Buckets, threshold: threshold} },
		visible: func(threshold float64) float64 {
			m := float64(c.Horizon) / 4
			return adwinRange*(math.Sqrt(2*threshold/m)/adwinRange+2*threshold/(3*m)) + powerQuantile/math.Sqrt(m)
		},
	}
}

const (
	adwinRange = 8  // standard deviations that are laid on 0 to 1
	adwinClock = 32 // rows between looks for a cut
	adwinLeast = 5  // rows on either side of a cut
)

// adwinTracker holds one column's window.
type adwinTracker struct {
	most      int
	threshold float64
	rows      int           // of the stream
	evidence  float64       // at the last look
	lasted    int           // rows since the best cut
	buckets   []adwinBucket // oldest first; sizes are powers of two and never grow
}

// adwinBucket summarises consecutive rows.
type adwinBucket struct{ rows, mean, square float64 } // square: summed squared deviations from the mean

// join is the summary of both.
func (a adwinBucket) join(b adwinBucket) adwinBucket {
	n, gap := a.rows+b.rows, b.mean-a.mean
	return adwinBucket{n, a.mean + gap*b.rows/n, a.square + b.square + gap*gap*a.rows*b.rows/n}
}

func (t *adwinTracker) observe(z float64) (float64, int) {
	t.rows++
	t.lasted++
	t.buckets = append(t.buckets, adwinBucket{rows: 1, mean: z / adwinRange})
	// Of the buckets of one size the two oldest are joined when there are too many, which may make too many of the next size.
	for end := len(t.buckets); end > 0; {
		first := end - 1
		for first > 0 && t.buckets[first-1].rows == t.buckets[first].rows {
			first--
		}
		if end-first <= t.most {
			break
		}
		t.buckets[first+1] = t.buckets[first].join(t.buckets[first+1])
		t.buckets = append(t.buckets[:first], t.buckets[first+1:]...)
		end = first + 1
	}
	if t.rows%adwinClock != 0 {
		return t.evidence, t.lasted
	}
	t.evidence, t.lasted = t.adwinCut()
	found, lasted := t.evidence, t.lasted
	for found >= t.threshold && len(t.buckets) > 1 { // the past before the cut is another world
		t.buckets = t.buckets[1:]
		found, _ = t.adwinCut()
	}
	return t.evidence, lasted
}

// adwinCut returns the largest ln(2/δ') over all cuts at which the cut would just be made, and the rows after it.
func (t *adwinTracker) adwinCut() (best float64, lasted int) {
	rows, sum, square := 0.0, 0.0, 0.0
	for _, b := range t.buckets {
		rows += b.rows
		sum += b.rows * b.mean
	}
	mean := sum / rows
	for _, b := range t.buckets {
		square += b.square + b.rows*(b.mean-mean)*(b.mean-mean)
	}
	variance := square / rows
	old, before := 0.0, 0.0 // the older part's sum of deviations, and its rows
	for _, b := range t.buckets[:len(t.buckets)-1] {
		before += b.rows
		old += b.rows * (b.mean - mean)
		after := rows - before
		if before < adwinLeast || after < adwinLeast {
			continue
		}
		// The means differ by |old|·rows/(before·after), and m = before·after/rows. Without the bound's second term the
		// evidence would be larger still: what that leaves behind need not be solved.
		m := before * after / rows
		if gap := math.Abs(old) / m; gap*gap*m > 2*variance*best {
			if e := adwinEvidence(gap, variance, m); e > best {
				best, lasted = e, int(after)
			}
		}
	}
	return best, lasted
}

// adwinEvidence solves gap = √(2·variance·L/m) + 2L/(3m) for L = ln(2/δ').
func adwinEvidence(gap, variance, m float64) float64 {
	a, b := 2/(3*m), math.Sqrt(2*variance/m)
	root := 2 * gap / (b + math.Sqrt(b*b+4*a*gap)) // of a·x² + b·x = gap, x = √L, without cancellation
	if gap == 0 {
		return 0
	}
	return root * root
}

func (t *adwinTracker) state() []float64 {
	s := []float64{float64(t.rows), t.evidence, float64(t.lasted)}
	for _, b := range t.buckets {
		s = append(s, b.rows, b.mean, b.square)
	}
	return s
}

func (t *adwinTracker) resume(s []float64) bool {
	if len(s)%3 != 0 || len(s) == 0 || s[0] < 0 || s[1] < 0 || s[2] < 0 {
		return false
	}
	t.rows, t.evidence, t.lasted = int(s[0]), s[1], int(s[2])
	t.buckets = nil
	for i := 3; i < len(s); i += 3 {
		if s[i] < 1 || s[i+2] < 0 {
			return false
		}
		t.buckets = append(t.buckets, adwinBucket{s[i], s[i+1], s[i+2]})
	}
	return true
}

func loadADWIN(c ADWIN, st *data.Checkpoint) (*ADWINModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	m, err := loadWatch(c.rule(), st)
	return &ADWINModel{m}, err
}
