package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// changeOptions are those of update and forget: a model and rows in, a model out.
type changeOptions struct {
	inputs []string
	table  tableFlags
	output string
}

func (o *changeOptions) add(cmd *cobra.Command, text string) {
	cmd.Flags().StringArrayVar(&o.inputs, "in", nil, text+"; several are read as one")
	o.table.add(cmd)
	addOutput(cmd, &o.output, "`MODEL` to write; may be the one read")
}

func newUpdateCommand(e *env) *cobra.Command {
	o := &changeOptions{}
	cmd := &cobra.Command{
		Use:     "update MODEL --in FILE -o MODEL",
		Short:   "Teach a model more rows or new classes",
		Long:    "Update learns rows on top of what a model knows and writes a new model; the old file stays as it is unless -o names it.",
		Example: e.withModel("update", "  gimbal update model.gimbal --in more.csv --label y -o model2.gimbal"),
		Args:    exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runChange(e, cmd, args[0], o, "update", func(ctx context.Context, m method.Model, t *data.Table) (method.Model, bool, error) {
				u, ok := m.(method.Updater)
				if !ok {
					return nil, false, nil
				}
				next, err := u.Update(ctx, t)
				return next, true, err
			})
		},
	}
	o.add(cmd, "`FILE` with the rows to learn")
	return cmd
}

// runChange does the work of update and forget; change reports false when the model lacks the verb.
func runChange(e *env, cmd *cobra.Command, path string, o *changeOptions, verb string,
	change func(context.Context, method.Model, *data.Table) (method.Model, bool, error)) error {
	ctx := cmd.Context()
	if err := needFlags(cmd, "in", "output"); err != nil {
		return err
	}
	m, err := e.loadModel(path)
	if err != nil {
		return err
	}
	if !m.spec.Can(verb) {
		return cannot(path, m, verb)
	}
	src, err := e.openFor(ctx, m, o.inputs, &o.table)
	if err != nil {
		return err
	}
	t, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.inputs, err)
	}
	start := time.Now()
	next, ok, err := change(e.steps(ctx, m.spec.ID()), m.fitted, t)
	if !ok {
		return cannot(path, m, verb)
	}
	if err != nil {
		return named(o.inputs, m.spec.Wrap(err))
	}
	m.fitted = next
	n, _ := t.Dims()
	done := map[string]string{"update": "learned", "forget": "forgotten"}[verb]
	return e.saveModel(ctx, o.output, m, fmt.Sprintf("%s %s in %s", plural(n, "row"), done, since(start)),
		object{{"method", m.spec.ID()}, {"rows", n}, {"seconds", time.Since(start).Seconds()}})
}
