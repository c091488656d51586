package cli

import (
	"cmp"
	"context"
	"iter"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// ranking measures how well scores tell two groups of rows apart.
var ranking = []struct {
	column
	measure func(in, ood []float64, how ...metric.Interval) (metric.Estimate, error)
}{
	{column{name: "auroc", title: "AUROC %", percent: true}, metric.AUROC},
	{column{name: "fpr95_out_positive", title: "FPR95 OUT+ %", percent: true}, metric.FPR95OutPositive},
	{column{name: "fpr95_in_positive", title: "FPR95 IN+ %", percent: true}, metric.FPR95InPositive},
	{column{name: "aupr_out", title: "AUPR OUT %", percent: true}, metric.AUPROut},
	{column{name: "aupr_in", title: "AUPR IN %", percent: true}, metric.AUPRIn},
}

func runCompareScore(e *env, cmd *cobra.Command, o *compareOptions, list []method.Spec) error {
	ctx := cmd.Context()
	choice, err := e.pickHead(cmd, o.head)
	if err != nil {
		return err
	}
	train, err := e.openSource(ctx, o.train, &o.table, nil)
	if err != nil {
		return err
	}
	c, err := newContest(ctx, e.steps, learners(list), choice, train)
	if err != nil {
		return named(o.train, err)
	}
	files := [][]string{o.in}
	for _, f := range o.ood {
		files = append(files, []string{f})
	}
	scores := make([][][]float64, len(files)) // file, arm, row
	samples := make([]*sample, len(files))
	unlabelled := o.table
	if _, err := os.Stat(o.table.label); err == nil || train.columns != nil { // the training rows' own file of labels; or features are found by name
		unlabelled.label, unlabelled.group = "", ""
	}
	for k, paths := range files {
		src, err := e.openSource(ctx, paths, &unlabelled, train.columns)
		if err != nil {
			return err
		}
		samples[k] = &sample{Source: src}
		if scores[k], err = c.scores(ctx, samples[k]); err != nil {
			return named(paths, err)
		}
	}
	l := &listing{columns: []column{{name: "method"}, {name: "ood"}}}
	for _, r := range ranking {
		l.columns = append(l.columns, r.column)
	}
	l.columns = append(l.columns, column{name: "fit_seconds", title: "FIT s"}, column{name: "score_seconds", title: "SCORE s"}, column{name: "note"})
	means := map[string]float64{}
	line := e.track("measuring", "figures", len(c.arms)*len(o.ood)*len(ranking))
	for i, a := range c.arms {
		if a.err != nil {
			line.add(len(o.ood) * len(ranking))
			l.add(a.spec.ID(), nil, nil, nil, nil, nil, nil, nil, nil, a.reason())
			continue
		}
		for k, path := range o.ood {
			row := []any{a.spec.ID(), path}
			for _, r := range ranking {
				if err := ctx.Err(); err != nil {
					return err
				}
				v, err := r.measure(scores[0][i], scores[k+1][i])
				if err != nil {
					return named([]string{path}, err)
				}
				row = append(row, v)
				line.add(1)
			}
			means[a.spec.ID()] += row[2].(metric.Estimate).Value / float64(len(o.ood))
			l.add(append(row, a.fit.Seconds(), a.used.Seconds(), nil)...)
		}
	}
	sortByMean(l, means)
	if err := e.writeReport(o.report, "Detectors compared", "auroc", l); err != nil {
		return err
	}
	e.say("%s learned; one pass of %.2f s serves all methods that fit from moments", plural(c.rows, "row"), c.pass.Seconds())
	for k, path := range o.ood {
		if v, err := metric.LinearSeparability(samples[0].x, samples[k+1].x, samples[0].d); err == nil { // a handful of rows says nothing
			e.say("%s: a plane that was shown rows of both tells it from --in with AUROC %s %%", path, pretty(v, true))
		}
	}
	return e.print(l)
}

// sampleRows is how many rows of a file are kept to see whether a plane tells it from another.
const sampleRows = 5000

// sample is a source of which a random part of the rows is kept as they pass: each of them is as likely to be among these.
type sample struct {
	data.Source
	x       []float32
	d, seen int
	random  *rand.Rand
}

// Blocks is that of the source underneath.
func (s *sample) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	s.x, s.seen, s.random = nil, 0, rand.New(rand.NewPCG(0, 0))
	return func(yield func(*data.Table, error) bool) {
		for b, err := range s.Source.Blocks(ctx) {
			if b != nil {
				s.keep(b)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

// keep puts rows of a block into the sample, in place of others once it is full.
func (s *sample) keep(b *data.Table) {
	var n int
	n, s.d = b.Dims()
	for i := range n {
		s.seen++
		if s.seen <= sampleRows {
			s.x = append(s.x, b.Row(i)...)
		} else if at := s.random.IntN(s.seen); at < sampleRows {
			copy(s.x[at*s.d:], b.Row(i))
		}
	}
}

// scores asks every arm about every row, block by block; what it returns is arm, row.
func (c *contest) scores(ctx context.Context, src data.Source) ([][]float64, error) {
	all := make([][]float64, len(c.arms))
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		for i, a := range c.arms {
			a.ask(b, func(t *data.Table) error {
				s, err := a.model.(method.Scorer).Score(t)
				all[i] = append(all[i], s...)
				return err
			})
		}
	}
	return all, nil
}

// sortByMean puts a listing's rows, whose first cell is the method, in the order of the methods' means, best first;
// methods without a result come last.
func sortByMean(l *listing, means map[string]float64) {
	key := func(row []any) float64 {
		if m, ok := means[row[0].(string)]; ok {
			return -m
		}
		return 1
	}
	slices.SortStableFunc(l.rows, func(a, b []any) int { return cmp.Compare(key(a), key(b)) })
}
