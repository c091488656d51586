package methodtest

import (
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func canSets(s method.Spec) bool { return s.Can("sets") && learnsTables(s) }

// checkSets: membership is zero or one, a column for each class, and the level is a probability.
func checkSets(t *T) {
	for _, y := range toys(t.Spec) {
		m := t.mustFit(y.in).(method.SetPredictor)
		if l := m.Level(); !(l > 0 && l < 1) {
			t.Errorf("%s: level %v", y.name, l)
		}
		out, err := m.Sets(y.query)
		if err != nil {
			t.Errorf("%s: sets: %v", y.name, err)
			continue
		}
		columns, classes := slices.Clone(out.Columns()), slices.Clone(y.query.Classes())
		slices.SortFunc(columns, data.CompareClasses)
		slices.SortFunc(classes, data.CompareClasses)
		if !slices.Equal(columns, classes) {
			t.Errorf("%s: sets: columns %q, want one for each class: %q", y.name, out.Columns(), classes)
			continue
		}
		if i := slices.IndexFunc(out.X(), func(v float32) bool { return v != 0 && v != 1 }); i >= 0 {
			t.Errorf("%s: sets: row %d: membership of %v, want 0 or 1", y.name, i/len(columns)+1, out.X()[i])
		}
	}
}

// checkCoverage: over draws of training rows and rows like them, the right class is missing from the sets no more often than the level
// says, up to chance.
func checkCoverage(t *T) {
	const trials = 120
	missed, rows, level := 0, 0, 0.0
	for k := range uint64(trials) {
		r := uneven.with(20000+2*k, 15)
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), bundle(t.Spec, r, r.table))
		if err != nil {
			t.Fatalf("fit: %v", err)
		}
		fresh := uneven.with(20001+2*k, 1).table(t.Spec.Inputs[0].Name)
		out, err := m.(method.SetPredictor).Sets(fresh)
		if err != nil {
			t.Fatalf("sets: %v", err)
		}
		level = m.(method.SetPredictor).Level()
		for i := range must(fresh.Labels()) {
			rows++
			if at := slices.Index(out.Columns(), fresh.ClassName(i)); at >= 0 && out.Row(i)[at] != 1 {
				missed++
			}
		}
	}
	if tooMany(missed, rows, level) {
		t.Errorf("the right class is missing from %d of %d sets, made for a level of %g", missed, rows, level)
	}
}
