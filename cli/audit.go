package cli

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data/rows"
	"github.com/gimbal-ml/gimbal/method"
)

type auditOptions struct {
	inputs []string
	table  tableFlags
	limit  int
	output string
}

func newAuditCommand(e *env) *cobra.Command {
	o := &auditOptions{}
	cmd := &cobra.Command{
		Use:   "audit MODEL --in FILE --label COLUMN [-o FILE]",
		Short: "List the labels that a person should look at, the most suspect first",
		Long: `Audit reads labelled rows in blocks and writes a list for review: the suspect rows, the most likely wrong label first, with their
number in the input, counted from 1, their name where --id gives one, their label, the class that they seem to be of, the score and
the reason in words. Memory grows with the list, not with the file.`,
		Example: e.withModel("audit",
			"  gimbal audit model.gimbal --in train.csv --label y",
			"  gimbal audit model.gimbal --in train.csv --label y --limit 20 -o review.csv --json"),
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error { return runAudit(e, cmd, args[0], o) },
	}
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, "`FILE` with the labelled rows; several are read as one")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "list at most so many `ROWS`; all suspect ones by default")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`FILE` to write")
	return cmd
}

// suspect is a row of the review list.
type suspect struct {
	row       int
	id, label string
	method.Finding
}

func runAudit(e *env, cmd *cobra.Command, path string, o *auditOptions) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in", "label"); err != nil {
		return err
	}
	if o.limit < 0 {
		return usage(cmd, "--limit %d: want 0 or more", o.limit)
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	auditor, ok := m.fitted.(method.Auditor)
	if !ok {
		return cannot(path, m, "audit")
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	start := time.Now()
	var list []suspect
	found, first := 0, 0
	shorten := func() {
		slices.SortFunc(list, func(a, b suspect) int { return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.row, b.row)) })
		if o.limit > 0 && len(list) > o.limit {
			list = list[:o.limit]
		}
	}
	for b, err := range src.Blocks(ctx) {
		if err != nil {
			return named(o.inputs, err)
		}
		findings, err := auditor.Audit(b)
		if err != nil {
			return named(o.inputs, m.spec.Wrap(err))
		}
		for i, f := range findings {
			if !f.Suspect {
				continue
			}
			found++
			s := suspect{row: first + i + 1, label: strings.Clone(b.ClassName(i)), Finding: f}
			if b.IDs() != nil {
				s.id = strings.Clone(b.IDs()[i])
			}
			list = append(list, s)
		}
		first += len(findings)
		if o.limit > 0 && len(list) > 2*o.limit {
			shorten()
		}
	}
	shorten()
	if err := e.writeReview(cmd, o, src.idName, list); err != nil {
		return err
	}
	if e.json && o.output != "" && o.output != "-" {
		return e.printObject(object{{"method", m.spec.ID()}, {"rows", first}, {"suspect", found}, {"listed", len(list)}, {"output", o.output}})
	}
	e.say("%d of %s suspect, %d listed, in %s", found, plural(first, "label"), len(list), since(start))
	return nil
}

// writeReview writes the list as a table.
func (e *env) writeReview(cmd *cobra.Command, o *auditOptions, idName string, list []suspect) error {
	path := o.output
	if path == "" {
		path = "-"
	}
	out, err := e.createTable(cmd.Context(), path)
	if err != nil {
		return err
	}
	defer out.Abort()
	number, score := make([]int, len(list)), make([]float64, len(list))
	id, label, suggested, reason := make([]string, len(list)), make([]string, len(list)), make([]string, len(list)), make([]string, len(list))
	for i, s := range list {
		number[i], id[i], label[i], score[i], suggested[i], reason[i] = s.row, s.id, s.label, s.Score, s.Suggested, s.Reason
	}
	columns := []rows.Values{rows.Ints("row", number)}
	if idName != "" {
		columns = append(columns, rows.Strings(idName, id))
	}
	columns = append(columns, rows.Strings("label", label), rows.Strings("suggested", suggested), rows.Floats("score", score), rows.Strings("reason", reason))
	if err := out.Write(columns...); err != nil {
		return err
	}
	return out.Commit()
}
