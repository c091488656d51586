package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

func runComparePredict(e *env, cmd *cobra.Command, o *compareOptions, list []method.Spec) error {
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
	labelled := o.table
	if o.inLabel != "" {
		labelled.label = o.inLabel
	}
	src, err := e.openSource(ctx, o.in, &labelled, train.columns)
	if err != nil {
		return err
	}
	test, err := data.Collect(ctx, src)
	if err != nil {
		return named(o.in, err)
	}
	l := &listing{columns: []column{
		{name: "method"}, {name: "accuracy", title: "ACCURACY %", percent: true}, {name: "macro_f1", title: "MACRO-F1 %", percent: true}, {name: "nll"}, {name: "ece", title: "ECE %", percent: true},
		{name: "fit_seconds", title: "FIT s"}, {name: "predict_seconds", title: "PREDICT s"}, {name: "note"},
	}}
	means := map[string]float64{}
	for _, a := range c.arms {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.track("measuring "+a.spec.ID(), "methods", len(c.arms)).set(len(l.rows), len(c.arms))
		var row []any
		a.ask(test, func(t *data.Table) error {
			p, err := a.model.(method.Predictor).Predict(t)
			if err == nil {
				row, err = measurePredictions(test, p)
			}
			return err
		})
		if a.err != nil {
			l.add(a.spec.ID(), nil, nil, nil, nil, nil, nil, a.reason())
			continue
		}
		means[a.spec.ID()] = row[0].(metric.Estimate).Value
		note := row[len(row)-1]
		l.add(append(append([]any{a.spec.ID()}, row[:len(row)-1]...), a.fit.Seconds(), a.used.Seconds(), note)...)
	}
	sortByMean(l, means)
	if err := e.writeReport(o.report, "Heads compared", "accuracy", l); err != nil {
		return err
	}
	e.say("%s learned; one pass of %.2f s serves all methods that fit from moments", plural(c.rows, "row"), c.pass.Seconds())
	return e.print(l)
}

// measurePredictions returns accuracy, macro-F1, negative log-likelihood, calibration error and a note.
// Errors: as [comparison.add].
func measurePredictions(test, p *data.Table) ([]any, error) {
	var c comparison
	if err := c.add(test, p, false); err != nil {
		return nil, err
	}
	if len(c.labels) == 0 {
		return nil, fmt.Errorf("%w: no row of the test file has one", data.ErrLabels)
	}
	o, err := c.result()
	if err != nil {
		return nil, err
	}
	_, k := p.Dims()
	x := make([]float32, 0, len(p.X()))
	for i := range c.rows {
		if test.ClassName(i) != "" {
			x = append(x, p.Row(i)...)
		}
	}
	ece, err := metric.ECE(x, k, c.labels)
	if err != nil {
		return nil, err
	}
	return []any{o.get("accuracy"), o.get("macro_f1"), o.get("nll"), ece, o.get("note")}, nil
}

// get returns a field's value, nil when there is none.
func (o object) get(name string) any {
	for _, f := range o {
		if f.name == name {
			return f.value
		}
	}
	return nil
}
