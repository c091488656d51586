package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/choose"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

type chooseOptions struct {
	family string
	train  []string
	head   string
	all    bool
	rank   choose.Options
	table  tableFlags
}

func newChooseCommand(e *env) *cobra.Command {
	o := &chooseOptions{}
	cmd := &cobra.Command{
		Use:   "choose FAMILY",
		Short: "Rank a family's methods and settings from familiar rows alone, and recommend one",
		Long: `Choose needs no unfamiliar rows. In each of several splits it learns from a part of the rows and asks about others
beside stand-ins for what is unfamiliar: classes that were held out (with --label; without, a region of the rows), and rows
made from the others, each spoilt in one way: columns permuted, rows extrapolated, Gaussian rows of twice the spread, a
tenth of the columns spiked.

Every method of the family that scores is a candidate with its defaults and with one knob moved. The figure is the AUROC,
mean over kinds and splits; its interval, and that of the difference to the first, is over splits, widened for their overlap.
Candidates whose difference cannot be told from zero are tied. What ranks first on stand-ins need not be best on what
will come: the guide (docs/guide/detectors.md) says by how much it fell short on real sets.`,
		Example: `  gimbal choose detect --train train.csv --label y
  gimbal choose detect --train normal.csv --ignore y --splits 10 --json`,
		ValidArgsFunction: func(_ *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return matching(e.families(), word)
		},
		Args: exactly("FAMILY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.family = args[0]
			return runChoose(e, cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.train, "train", nil, "`FILE` with familiar rows; several are read as one")
	f.StringVar(&o.head, "head", "", "`METHOD` whose logits and weights feed methods that take those, or FILE with a network's last layer; the first head that fits from moments by default")
	f.IntVar(&o.rank.Splits, "splits", 5, "`COUNT` of random splits")
	f.IntVar(&o.rank.Rows, "rows", 3000, "the most `ROWS` of a split")
	f.Uint64Var(&o.rank.Seed, "seed", 0, "`NUMBER` that starts the random numbers")
	f.BoolVar(&o.all, "all", false, "list every setting instead of each method's best")
	o.table.add(cmd)
	return cmd
}

func runChoose(e *env, cmd *cobra.Command, o *chooseOptions) error {
	ctx := cmd.Context()
	list := e.family(o.family)
	switch {
	case len(list) == 0:
		return usage(cmd, "no family is called %q, have %s", o.family, strings.Join(e.families(), ", "))
	case !slices.Contains(common(list), "score"):
		return usage(cmd, "the methods of %s do not all score: without scores nothing ranks them", o.family)
	case o.rank.Splits < 2:
		return usage(cmd, "--splits %d: want 2 or more", o.rank.Splits)
	case o.rank.Rows < 20:
		return usage(cmd, "--rows %d: want 20 or more", o.rank.Rows)
	}
	if err := needFlags(cmd, "train"); err != nil {
		return err
	}
	choice, err := e.pickHead(cmd, o.head)
	if err != nil {
		return err
	}
	src, err := e.openSource(ctx, o.train, &o.table, nil)
	if err != nil {
		return err
	}
	train, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.train, err)
	}
	candidates := choose.Candidates(list)
	line := e.track("choosing", "splits", o.rank.Splits)
	r, err := choose.Rank(method.WithProgress(ctx, line.set), o.rank, train, len(candidates), fitCandidates(candidates, choice))
	if err != nil {
		return named(o.train, err)
	}
	return e.printRanking(o, candidates, r, src.rows)
}

// fitCandidates fits all candidates in one contest, in which they share a pass over the rows and a head.
func fitCandidates(candidates []choose.Candidate, choice headChoice) choose.Fit {
	return func(ctx context.Context, train *data.Table) ([]choose.Fitted, error) {
		arms := make([]*arm, len(candidates))
		for i, c := range candidates {
			arms[i] = &arm{spec: c.Spec, flags: c.Flags}
		}
		quiet := method.WithProgress(ctx, func(int, int) {}) // the line shows splits, not a method's own steps
		c, err := newContest(quiet, nil, arms, choice, train)
		if err != nil {
			return nil, err
		}
		out := make([]choose.Fitted, len(arms))
		for i, a := range c.arms {
			out[i] = choose.Fitted{Err: a.err, Score: func(t *data.Table) (scores []float64, err error) {
				a.ask(t, func(t *data.Table) error {
					scores, err = a.model.(method.Scorer).Score(t)
					return err
				})
				return scores, a.err
			}}
		}
		return out, nil
	}
}

// fitCommand is how a candidate is fitted.
func (o *chooseOptions) fitCommand(c choose.Candidate) string {
	text := "gimbal fit " + c.Words()
	for _, slot := range c.Spec.Inputs {
		switch {
		case slot.Name == headSlot:
			text += " --" + headSlot + " HEAD"
		case slot.Name == logitSlot:
			text += " --" + logitSlot + " LOGITS"
		default:
			for _, path := range o.train {
				text += " --train " + path
			}
		}
	}
	if o.table.label != "" && !c.TakesLogits() {
		text += " --label " + o.table.label
	}
	return text + " -o model.gimbal"
}

func (e *env) printRanking(o *chooseOptions, candidates []choose.Candidate, r *choose.Ranking, rows int) error {
	first := candidates[r.Results[0].Candidate]
	tied := r.Tied()
	l := &listing{columns: []column{{name: "method"}, {name: "flags"}, {name: "auroc", title: "AUROC %", percent: true}, {name: "behind", title: "BEHIND %", percent: true}, {name: "tied"}}}
	for _, k := range r.Kinds {
		l.columns = append(l.columns, column{name: k, title: strings.ToUpper(k) + " %", percent: true, spare: true})
	}
	l.columns = append(l.columns, column{name: "command", title: "FITTED BY", spare: true}, column{name: "note"})
	seen := map[string]bool{}
	for _, x := range r.Results {
		c := candidates[x.Candidate]
		id := c.Spec.ID()
		if seen[id] && !o.all {
			continue
		}
		seen[id] = true
		flags := strings.TrimPrefix(strings.TrimPrefix(c.Words(), id), " ")
		if x.Err != nil {
			row := []any{id, flags, nil, nil, false}
			for range r.Kinds {
				row = append(row, nil)
			}
			l.add(append(row, o.fitCommand(c), oneLine(x.Err))...)
			continue
		}
		row := []any{id, flags, x.AUROC, x.Behind, x.Tied}
		for _, v := range x.Kinds {
			row = append(row, v)
		}
		l.add(append(row, o.fitCommand(c), nil)...)
	}
	if err := e.print(l); err != nil {
		return err
	}
	e.say("recommended: %s", o.fitCommand(first))
	if len(tied) > 1 {
		var methods []string
		for _, c := range tied {
			if id := candidates[c].Spec.ID(); !slices.Contains(methods, id) {
				methods = append(methods, id)
			}
		}
		e.say("not sure: %d of %d candidates cannot be told from it over %s of %s (of %s)", len(tied)-1, len(candidates)-1, plural(r.Splits, "split"), plural(min(rows, cmp.Or(o.rank.Rows, rows)), "row"), some(methods))
		return nil
	}
	e.say("sure over these stand-ins: every other candidate is behind, over %s", plural(r.Splits, "split"))
	return nil
}
