// Package claim is the harness of claims: a paper's headline comparison, re-run at a size that two cores can carry, over
// seeds, with a paired interval and a verdict that is written down as it came out.
package claim

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/metric"
)

// Claim is one comparison: the first arm is the method, the second the baseline that its paper names; further arms are
// context. It holds when the method beats the baseline by more than Margin.
type Claim struct {
	// ID is the method's, which is also the claim's address: claims/<ID>.go.
	ID, Paper string
	// Statement is what the paper says, in our words; ScaleDown what was made smaller here, and what that loses.
	Statement, ScaleDown string
	// Arms names what is compared; Data on what.
	Arms []string
	Data string
	// Metric names the number. LowerIsBetter turns its sign for the verdict.
	Metric        string
	LowerIsBetter bool
	// Margin is by how much the method must be better, in the metric's unit; negative allows it to be that much worse.
	Margin float64
	// Percent prints the numbers times 100.
	Percent bool
	// Seeds is over how many seeds it runs.
	Seeds int
	// Needs lists folders of the public data that must be there; none when the claim makes its own.
	Needs []string
	// Run measures all arms once. It must depend on the seed alone.
	Run func(ctx context.Context, env Env, seed uint64) (Outcome, error)
	// Facts, when set, reads further numbers off all outcomes, such as a slope, to be stored beside the verdict.
	Facts func(outcomes []Outcome) []Fact
}

// Fact is a named number that a claim reports beside its verdict.
type Fact struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Outcome holds one number for each arm, in their order, and what else Facts wants to see.
type Outcome struct {
	Arms  []float64          `json:"arms"`
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Env says where a claim runs.
type Env struct{ Data string } // folder of the public data

// Path returns a file of the public data.
func (e Env) Path(elements ...string) string {
	return filepath.Join(append([]string{e.Data}, elements...)...)
}

// ErrMissing says that the public data is not there: the claim is skipped, not failed.
var ErrMissing = errors.New("public data is missing")

// Verdict is how a claim came out.
type Verdict string

// The verdicts. Open says that the interval holds both better and worse.
const (
	Holds Verdict = "holds"
	Fails Verdict = "fails"
	Open  Verdict = "open"
)

// Result is a claim that ran.
type Result struct {
	ID         string    `json:"id"`
	Verdict    Verdict   `json:"verdict"`
	Difference Interval  `json:"difference"` // method − baseline, turned so that positive = better
	Arms       []Arm     `json:"arms"`
	Facts      []Fact    `json:"facts,omitempty"`
	Outcomes   []Outcome `json:"outcomes"` // seed by seed, from 0
	Seconds    float64   `json:"seconds"`
	Program    string    `json:"program"`
	Commit     string    `json:"commit,omitempty"` // of the source that it ran from, or that it was stored with, where it is known
	Machine    string    `json:"machine"`
	When       string    `json:"when"` // UTC
	Earlier    []Run     `json:"earlier,omitempty"`
}

// Arm is one arm's mean over the seeds, with its interval.
type Arm struct {
	Name string `json:"name"`
	Interval
}

// Interval is a mean with a 95 % t interval over seeds.
type Interval struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Check says why the claim cannot run here: ErrMissing, with the folder.
func (c Claim) Check(env Env) error {
	for _, need := range c.Needs {
		if _, err := os.Stat(env.Path(need)); err != nil {
			return fmt.Errorf("%s: %w: there is no folder %s (say with GIMBAL_DATA or --data where it is)", c.ID, ErrMissing, env.Path(need))
		}
	}
	return nil
}

// Measure runs the claim over its seeds, or over the given number of them, and calls step before each.
func (c Claim) Measure(ctx context.Context, env Env, seeds int, step func(done, total int)) (*Result, error) {
	if err := c.Check(env); err != nil {
		return nil, err
	}
	if seeds <= 0 {
		seeds = c.Seeds
	}
	if seeds < 2 {
		return nil, fmt.Errorf("%s: an interval over seeds needs at least 2 of them, have %d", c.ID, seeds)
	}
	start := time.Now()
	r := &Result{ID: c.ID}
	for seed := range seeds {
		step(seed, seeds)
		o, err := c.Run(ctx, env, uint64(seed))
		if err != nil {
			return nil, fmt.Errorf("%s, seed %d: %w", c.ID, seed, err)
		}
		if len(o.Arms) != len(c.Arms) || slices.ContainsFunc(o.Arms, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
			return nil, fmt.Errorf("%s, seed %d: %w: %v for arms %v", c.ID, seed, data.ErrFinite, o.Arms, c.Arms)
		}
		r.Outcomes = append(r.Outcomes, o)
	}
	step(seeds, seeds)
	columns := make([][]float64, len(c.Arms))
	for _, o := range r.Outcomes {
		for a, v := range o.Arms {
			columns[a] = append(columns[a], v)
		}
	}
	for a, name := range c.Arms {
		m, err := metric.Mean(columns[a])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID, err)
		}
		r.Arms = append(r.Arms, Arm{name, Interval{m.Value, m.Low, m.High}})
	}
	better, worse := columns[0], columns[1]
	if c.LowerIsBetter {
		better, worse = worse, better
	}
	d, err := metric.PairedMean(better, worse)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.ID, err)
	}
	r.Difference = Interval{d.Value, d.Low, d.High}
	switch {
	case d.Low > c.Margin:
		r.Verdict = Holds
	case d.High <= c.Margin:
		r.Verdict = Fails
	default:
		r.Verdict = Open
	}
	if c.Facts != nil {
		r.Facts = c.Facts(r.Outcomes)
	}
	r.Seconds = math.Round(time.Since(start).Seconds()*10) / 10
	return r, nil
}
