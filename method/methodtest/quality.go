package methodtest

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// mustFit fits the default configuration.
func (t *T) mustFit(in data.Bundle) method.Model { return t.mustFitWith(t.Spec.Config(), in) }

func (t *T) mustFitWith(cfg any, in data.Bundle) method.Model {
	m, err := t.Spec.Fit(t.ctx, cfg, in)
	if err != nil {
		t.Fatalf("fit: %v", err)
	}
	return m
}

// answerRows asks for one answer a row: of a fitted model, or of a map over tables.
func (t *T) answerRows(fitted data.Bundle) func(q data.Bundle) []answer {
	if !t.Spec.Learns() {
		return func(q data.Bundle) []answer {
			as := t.apply(t.Spec.Config(), q)
			n, _ := q[t.Spec.Inputs[0].Name].(*data.Table).Dims()
			for _, a := range as {
				if a.err == nil && a.rows != n {
					t.Fatalf("apply: %d rows for %d rows", a.rows, n)
				}
			}
			return as
		}
	}
	m := t.mustFit(fitted)
	return func(q data.Bundle) []answer { return t.ask(m, q[t.Spec.Inputs[0].Name].(*data.Table)) }
}

// queries draws rows for every table of the method.
func (t *T) queries(r recipe) data.Bundle { return bundle(t.Spec, r, r.table) }

// eachTable returns the bundle with every table replaced.
func eachTable(in data.Bundle, f func(*data.Table) *data.Table) data.Bundle {
	out := data.Bundle{}
	for name, v := range in {
		if x, ok := v.(*data.Table); ok {
			v = f(x)
		}
		out[name] = v
	}
	return out
}

// checkAnswers: what a method says obeys the law of its kind. Scores: a finite number a row. Predictions: a probability for
// each class, named, adding up to one. A map's tensors: finite, readable twice, of the inputs' shapes, and no arithmetic
// on integers.
func checkAnswers(t *T) {
	for _, y := range toys(t.Spec) {
		for _, a := range t.observe(t.Spec.Config(), y) {
			if bad := a.unlawful(); bad != "" {
				t.Errorf("%s: %s: %s", y.name, a.verb, bad)
			}
		}
		if !t.Spec.Learns() {
			t.checkOutput(y)
			continue
		}
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), y.in)
		if err != nil {
			continue
		}
		if p, ok := m.(method.Predictor); ok && learnsTables(t.Spec) {
			t.checkProbabilities(y.name, p, y.query, y.query.Classes())
		}
	}
}

// checkProbabilities holds a prediction against the classes that it must be about.
func (t *T) checkProbabilities(what string, p method.Predictor, q *data.Table, classes []string) {
	out, err := p.Predict(q)
	if err != nil {
		return // other checks judge errors
	}
	columns := slices.Clone(out.Columns())
	slices.SortFunc(columns, data.CompareClasses)
	classes = slices.Clone(classes)
	slices.SortFunc(classes, data.CompareClasses)
	if !slices.Equal(columns, classes) {
		t.Errorf("%s: predict: columns %q, want one for each class: %q", what, out.Columns(), classes)
		return
	}
	n, _ := out.Dims()
	for i := range n {
		sum := 0.0
		for j, v := range out.Row(i) {
			if v < 0 || v > 1 {
				t.Errorf("%s: predict: row %d, class %q: %v is no probability", what, i+1, columns[j], v)
				return
			}
			sum += float64(v)
		}
		// Each of the K values is off by up to half of float32's spacing below one.
		if math.Abs(sum-1) > 1e-6+float64(len(columns))*0x1p-24 {
			t.Errorf("%s: predict: row %d adds up to %.9g, want 1", what, i+1, sum)
			return
		}
	}
}

// checkOutput holds a map's result against its inputs.
func (t *T) checkOutput(y toy) {
	v, err := t.Spec.Apply(t.ctx, t.Spec.Config(), y.in)
	if err != nil {
		t.Errorf("%s: apply: %v", y.name, err)
		return
	}
	if v.Kind() != t.Spec.Output {
		t.Errorf("%s: apply: a %s, want a %s", y.name, v.Kind(), t.Spec.Output)
	}
	if d := difference(t.unpack("apply", v), t.unpack("apply", v), 0); d != "" {
		t.Errorf("%s: apply: the result, read twice: %s", y.name, d)
	}
	out, ok := v.(*data.Checkpoint)
	if !ok {
		return
	}
	for _, name := range out.Names() {
		have := out.Tensors[name]
		for _, in := range checkpoints(y.in) {
			want, ok := in.Tensors[name]
			switch {
			case !ok:
			case !slices.Equal(have.Shape, want.Shape):
				t.Errorf("%s: tensor %q: shape %v, the inputs have %v", y.name, name, have.Shape, want.Shape)
			case !want.DType.Float() && (have.DType != want.DType || !bytes.Equal(must(have.Bytes()), must(want.Bytes()))):
				t.Errorf("%s: tensor %q: integers, equal in all inputs, were changed", y.name, name)
			}
		}
	}
}

// checkpoints lists all checkpoints of a bundle.
func checkpoints(in data.Bundle) (all data.Checkpoints) {
	for _, v := range in {
		switch v := v.(type) {
		case *data.Checkpoint:
			all = append(all, v)
		case data.Checkpoints:
			all = append(all, v...)
		}
	}
	return all
}

// checkNotConstant: different rows get different answers.
func checkNotConstant(t *T) {
	fitted := separable
	if canSets(t.Spec) { // sets of rows that are unlike all calibration rows are rightly empty, each of them
		fitted = uneven
	}
	ask := t.answerRows(t.queries(fitted.of(t.Spec)))
	in := t.queries(uneven.of(t.Spec).with(7, 30))
	for _, a := range ask(in) {
		if a.err != nil {
			t.Errorf("%s: %v", a.verb, a.err)
			continue
		}
		distinct := map[string]bool{}
		for i := range a.rows {
			distinct[fmt.Sprint(a.row(i))] = true
		}
		// A score may repeat where it looks at one value of a row, which lies on a grid; saturated probabilities may more often.
		if want := 2 + a.rows/5; a.width() == 1 && len(distinct) < want || len(distinct) < 2 {
			t.Errorf("%s: %d different answers for %d different rows", a.verb, len(distinct), a.rows)
		}
	}
}

// higher says what the rows with higher scores are, for the families whose word is known.
var higher = map[string]string{
	"detect":    "rows far from all that was learned",
	"continual": "rows unlike every class learned so far",
}

// hasDirection says that a right answer is known: which rows score higher, or which class a row has.
func hasDirection(s method.Spec) bool {
	return answersRows(s) && (higher[s.Family] != "" && (mapsRows(s) || s.Can("score")) || s.Can("predict"))
}

// checkDirection: planted outliers score above ordinary rows, and classes that lie apart are told apart.
func checkDirection(t *T) {
	ask := t.answerRows(t.queries(separable.of(t.Spec)))
	rows := separable.of(t.Spec).with(8, 40)
	truth := rows.labels()
	usual := ask(t.queries(rows))
	strange := ask(bundle(t.Spec, rows, func(slot string) *data.Table { return rows.strange(slot, 100) }))
	for k, a := range usual {
		if a.err != nil || strange[k].err != nil {
			t.Errorf("%s: %v, %v", a.verb, a.err, strange[k].err)
			continue
		}
		if a.verb == "predict" {
			if acc := accuracy(a, truth, rows.classes); acc < 0.9 {
				t.Errorf("predict: accuracy %.2f on classes that lie %g standard deviations apart, want 0.9", acc, rows.apart)
			}
			continue
		}
		if higher[t.Spec.Family] == "" || constant(a) && constant(strange[k]) {
			continue // without a direction, or the fault of not-constant
		}
		if area := auroc(column(a, 0), column(strange[k], 0)); area < 0.9 {
			t.Errorf("%s: AUROC %.2f of planted outliers, want 0.9: higher must mean %s", a.verb, area, higher[t.Spec.Family])
		}
	}
}

func constant(a answer) bool {
	return len(a.values) == 0 || slices.Min(a.values) == slices.Max(a.values)
}

func column(a answer, j int) []float64 {
	v := make([]float64, a.rows)
	for i := range v {
		v[i] = a.row(i)[j]
	}
	return v
}

// accuracy is the share of rows whose largest value stands in their class's column. A constant answer counts as right:
// that is another check's to find.
func accuracy(a answer, truth []int, classes []string) float64 {
	if constant(a) || distinctRows(a) == 1 {
		return 1
	}
	right := 0
	for i := range a.rows {
		best, _ := argmax(a.row(i))
		if a.columnNames()[best] == classes[truth[i]] {
			right++
		}
	}
	return float64(right) / float64(a.rows)
}

func distinctRows(a answer) int {
	seen := map[string]bool{}
	for i := range a.rows {
		seen[fmt.Sprint(a.row(i))] = true
	}
	return len(seen)
}

func argmax(v []float64) (at int, top float64) {
	top = math.Inf(-1)
	for i, x := range v {
		if x > top {
			at, top = i, x
		}
	}
	return at, top
}

// auroc is the chance that a value of high exceeds one of low, ties counting half.
func auroc(low, high []float64) float64 {
	wins := 0.0
	for _, a := range low {
		for _, b := range high {
			wins += float64(1+cmp.Compare(b, a)) / 2
		}
	}
	return wins / float64(len(low)*len(high))
}
