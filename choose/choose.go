// Package choose ranks detectors, and their settings, from familiar rows alone: nobody who needs a detector has the
// unfamiliar rows that will come. In each of several splits a part of the rows is kept from learning and asked about beside
// stand-ins for the unfamiliar: classes that were held out, or where there are none a region of the rows, and rows made from
// those asked about, each spoilt in one way. A candidate's figure is its mean AUROC; a candidate whose difference from the
// first cannot be told from zero over the splits is tied with it.
//
// What ranks first on stand-ins need not do so on what will come; docs/guide/detectors.md has by how much it fell short on
// real sets.
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

// Options says how to rank; zero fields stand for the defaults.
type Options struct {
	// Splits is how many times rows are drawn, 5 unless given, at least 2.
	Splits int
	// Rows is the most rows of a split, 3,000 unless given: a ranking needs fewer than a fit.
	Rows int
	// Seed starts the random numbers; the same seed, the same ranking.
	Seed uint64
}

// learned is the share of a split's familiar rows that is learned from.
const learned = 0.7

// fewest is how many rows must be left to ask about, and to stand for the unfamiliar.
const fewest = 5

// Fitted is a candidate that learned a split, or why it did not.
type Fitted struct {
	Score func(*data.Table) ([]float64, error)
	Err   error
}

// Fit fits every candidate on a table, one Fitted each in the same order.
type Fit func(ctx context.Context, train *data.Table) ([]Fitted, error)

// Result is what a candidate reached.
type Result struct {
	Candidate int // its number
	// AUROC is the mean over the splits of the mean over the kinds of stand-ins.
	AUROC metric.Estimate
	// Kinds are the means for each of the ranking's kinds of stand-ins.
	Kinds []float64
	// Behind is by how much the first is better, with a 95 % interval over the splits that accounts for their overlap.
	Behind metric.Estimate
	// Tied says that the interval holds zero. The first is tied with itself.
	Tied bool
	// Err is why there is no result; all else is zero then.
	Err error
}

// Ranking is the candidates in order, best first; those without a result come last.
type Ranking struct {
	// Kinds names the stand-ins; the first one is what was held out.
	Kinds   []string
	Splits  int
	Results []Result
}

// Tied lists the candidates that cannot be told from the first, which is among them.
func (r *Ranking) Tied() (candidates []int) {
	for _, x := range r.Results {
		if x.Tied {
			candidates = append(candidates, x.Candidate)
		}
	}
	return candidates
}

// Rank asks n candidates about splits of a table, labelled or not. Whole classes are held out where there are 3 or more of
// fewest rows; other labels are kept for the candidates but nothing is held out by them.
// Errors: ErrShape for too few rows; ErrDegenerate when all rows are equal or no candidate has a result; ErrConfig.
func Rank(ctx context.Context, o Options, train *data.Table, n int, fit Fit) (*Ranking, error) {
	o.Splits, o.Rows = cmp.Or(o.Splits, 5), cmp.Or(o.Rows, 3000)
	if o.Splits < 2 || o.Rows < 4*fewest {
		return nil, fmt.Errorf("choose: %w: %d splits of %d rows, want at least 2 of %d", method.ErrConfig, o.Splits, o.Rows, 4*fewest)
	}
	r := &Ranking{Splits: o.Splits}
	values := make([][][]float64, n) // candidate, split, kind
	reasons := make([]error, n)
	overlap := 0.0
	for j := range o.Splits {
		method.Progress(ctx, j, o.Splits)
		s, err := newSplit(train, o.Rows, o.Seed, uint64(j))
		if err != nil {
			return nil, fmt.Errorf("choose: %w", err)
		}
		r.Kinds = s.kinds
		learn, _ := s.learn.Dims()
		ask, _ := s.ask.Dims()
		overlap += float64(ask) / float64(learn) / float64(o.Splits)
		fitted, err := fit(ctx, s.learn)
		if err != nil {
			return nil, err
		}
		if len(fitted) != n {
			return nil, fmt.Errorf("choose: %w: %d fits for %d candidates", method.ErrInput, len(fitted), n)
		}
		for c, f := range fitted {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if reasons[c] != nil {
				continue
			}
			v, err := s.measure(f)
			if err != nil {
				reasons[c] = err
				continue
			}
			values[c] = append(values[c], v)
		}
	}
	method.Progress(ctx, o.Splits, o.Splits)
	return r, r.order(values, reasons, overlap)
}

// order fills in the results.
func (r *Ranking) order(values [][][]float64, reasons []error, overlap float64) error {
	means := make([][]float64, len(values)) // candidate, split
	for c, splits := range values {
		x := Result{Candidate: c, Err: reasons[c]}
		if x.Err == nil {
			x.Kinds = make([]float64, len(r.Kinds))
			for _, v := range splits {
				mean := 0.0
				for k, a := range v {
					x.Kinds[k] += a / float64(len(splits))
					mean += a / float64(len(v))
				}
				means[c] = append(means[c], mean)
			}
			var err error
			if x.AUROC, err = metric.Mean(means[c]); err != nil {
				return err
			}
			x.AUROC = widen(x.AUROC, r.Splits, overlap, 0, 1)
		}
		r.Results = append(r.Results, x)
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int {
		if a.Err != nil || b.Err != nil {
			return cmp.Compare(boolRank(a.Err != nil), boolRank(b.Err != nil))
		}
		return cmp.Compare(b.AUROC.Value, a.AUROC.Value)
	})
	if len(r.Results) == 0 || r.Results[0].Err != nil {
		if len(r.Results) > 0 {
			return fmt.Errorf("choose: %w: no candidate has a result, the first because: %w", method.ErrDegenerate, r.Results[0].Err)
		}
		return fmt.Errorf("choose: %w: no candidates", method.ErrInput)
	}
	first := means[r.Results[0].Candidate]
	for i := range r.Results {
		x := &r.Results[i]
		if x.Err != nil {
			continue
		}
		var err error
		if x.Behind, err = metric.PairedMean(first, means[x.Candidate]); err != nil {
			return err
		}
		x.Behind = widen(x.Behind, r.Splits, overlap, -1, 1)
		x.Tied = x.Behind.Low <= 0
	}
	return nil
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// widen corrects the interval of a mean over splits of the same rows for their overlap: its variance is s²·(1/J + asked/learned)
// instead of s²/J (Nadeau and Bengio, Inference for the Generalization Error, 2003). low and high bound the figure.
func widen(e metric.Estimate, splits int, overlap, low, high float64) metric.Estimate {
	by := math.Sqrt(1 + float64(splits)*overlap)
	e.Low, e.High = max(e.Value-by*(e.Value-e.Low), low), min(e.Value+by*(e.High-e.Value), high)
	return e
}

// split is one drawing of the rows.
type split struct {
	learn, ask *data.Table
	kinds      []string
	unlike     []*data.Table // one of each kind
}

// measure is a candidate's AUROC for each kind.
func (s *split) measure(f Fitted) ([]float64, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	known, err := f.Score(s.ask)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(s.unlike))
	for k, t := range s.unlike {
		scores, err := f.Score(t)
		if err != nil {
			return nil, err
		}
		a, err := metric.AUROC(known, scores, metric.Interval{ValueOnly: true})
		if err != nil {
			return nil, err
		}
		out[k] = a.Value
	}
	return out, nil
}

// newSplit draws rows: what is held out, what is learned, what is asked about, and what is made of that.
func newSplit(t *data.Table, most int, seed, number uint64) (*split, error) {
	n, d := t.Dims()
	if n < 4*fewest || d == 0 {
		return nil, fmt.Errorf("%w: %d rows of %d columns, want at least %d of 1", data.ErrShape, n, d, 4*fewest)
	}
	r := rand.New(rand.NewPCG(seed, part.Mix(number)))
	order := r.Perm(n)[:min(n, most)]
	s := &split{kinds: []string{"region"}}
	held := regionOf(t, order, r)
	if classes := heldClasses(t, order, r); classes != nil {
		s.kinds[0] = "classes"
		labels, _ := t.Labels() // heldClasses saw them
		held = make([]bool, len(order))
		for k, i := range order {
			held[k] = labels[i] >= 0 && classes[labels[i]]
		}
	}
	var known, apart []int
	for k, i := range order {
		if held[k] {
			apart = append(apart, i)
		} else {
			known = append(known, i)
		}
	}
	cut := int(learned * float64(len(known)))
	if len(known)-cut < fewest || len(apart) < fewest {
		return nil, fmt.Errorf("%w: %d rows to ask about and %d held out of %d, want at least %d", data.ErrShape, len(known)-cut, len(apart), len(order), fewest)
	}
	s.learn, s.ask = t.Pick(known[:cut]), t.Pick(known[cut:])
	s.unlike = append(s.unlike, t.Pick(apart))
	for _, k := range made {
		x, err := k.make(s.learn, s.ask, r)
		if err != nil {
			return nil, err
		}
		s.kinds, s.unlike = append(s.kinds, k.name), append(s.unlike, x)
	}
	return s, nil
}
