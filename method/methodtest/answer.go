package methodtest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// answer is what one verb says, flat, so that two can be compared.
type answer struct {
	verb    string
	rows    int
	columns []string  // one name a value of a row; nil for unnamed ones
	values  []float64 // rows × width
	text    string    // what is not a number: a hash, raw bytes
	single  bool      // values went through float32
	err     error
}

func (a answer) width() int {
	if a.rows == 0 {
		return 0
	}
	return len(a.values) / a.rows
}

func (a answer) row(i int) []float64 { return a.values[i*a.width() : (i+1)*a.width()] }

// columnNames gives unnamed columns numbers.
func (a answer) columnNames() []string {
	if a.columns != nil {
		return a.columns
	}
	names := make([]string, a.width())
	for j := range names {
		names[j] = fmt.Sprint(j + 1)
	}
	return names
}

// ask collects what a model says of some rows. An answer that does not have one row for each row is fatal.
func (t *T) ask(m method.Model, q *data.Table) (as []answer) {
	n, _ := q.Dims()
	if s, ok := m.(method.Scorer); ok {
		v, err := s.Score(q)
		if err == nil && len(v) != n {
			t.Fatalf("score: %d values for %d rows", len(v), n)
		}
		a := answer{verb: "score", rows: n, values: slices.Clone(v), err: err}
		if err != nil {
			a.values = nil
		}
		as = append(as, a)
	}
	if p, ok := m.(method.Predictor); ok {
		out, err := p.Predict(q)
		as = append(as, t.tableAnswer("predict", n, out, err))
	}
	if p, ok := m.(method.SetPredictor); ok {
		out, err := p.Sets(q)
		as = append(as, t.tableAnswer("sets", n, out, err))
	}
	if a, ok := m.(method.Auditor); ok {
		out, err := a.Audit(q)
		as = append(as, t.findings(n, out, err))
	}
	if c, ok := m.(method.Tester); ok {
		out, err := c.Test(t.ctx, q)
		as = append(as, t.comparison(out, err))
	}
	if w, ok := m.(method.Watcher); ok {
		s := w.Watch()
		err := s.Observe(t.ctx, q)
		as = append(as, watched(s, err))
	}
	return as
}

// comparison is what a test says as an answer. Parts have no order of their own beyond the columns'.
func (t *T) comparison(c *method.Comparison, err error) answer {
	if err != nil {
		return answer{verb: "test", err: err}
	}
	if c == nil {
		t.Fatalf("test: no comparison and no error")
	}
	a := answer{verb: "test", rows: 1}
	add := func(name string, v float64) { a.columns, a.values = append(a.columns, name), append(a.values, v) }
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	add("drift", flag(c.Drift))
	add("p-value", c.PValue)
	for _, p := range append([]method.Part{{Statistic: c.Statistic, Effect: c.Effect, Visible: c.Visible}}, c.Parts...) {
		for _, v := range []struct {
			name  string
			value float64
		}{{"statistic", p.Statistic}, {"effect", p.Effect.Value}, {"low", p.Effect.Low}, {"high", p.Effect.High}, {"visible", p.Visible}, {"part's p-value", p.PValue}, {"corrected", p.Corrected}, {"part's drift", flag(p.Drift)}} {
			add(p.Name+" "+v.name, v.value)
		}
	}
	return a
}

// watched is how a stream stands as an answer.
func watched(s method.Stream, err error) answer {
	if err != nil {
		return answer{verb: "watch", err: err}
	}
	w := s.Watched()
	return answer{verb: "watch", rows: 1, columns: []string{"rows", "alarm row", "alarm column", "change row", "evidence", "threshold", "visible", "within"},
		values: []float64{float64(w.Rows), float64(w.AlarmRow), float64(w.AlarmColumn), float64(w.ChangeRow), w.Evidence, w.Threshold, w.Visible, float64(w.Within)}}
}

func (t *T) tableAnswer(verb string, n int, out *data.Table, err error) answer {
	if err != nil {
		return answer{verb: verb, err: err}
	}
	if out == nil {
		t.Fatalf("%s: no table and no error", verb)
	}
	rows, _ := out.Dims()
	if rows != n {
		t.Fatalf("%s: %d rows for %d rows", verb, rows, n)
	}
	return flatten(verb, out)
}

func flatten(verb string, out *data.Table) answer {
	n, _ := out.Dims()
	a := answer{verb: verb, rows: n, columns: out.Columns(), single: true}
	for _, v := range out.X() {
		a.values = append(a.values, float64(v))
	}
	return a
}

// apply collects what a map returns.
func (t *T) apply(cfg any, in data.Bundle) []answer {
	v, err := t.Spec.Apply(t.ctx, cfg, in)
	if err != nil {
		return []answer{{verb: "apply", err: err}}
	}
	return t.unpack("apply", v)
}

// unpack turns a noun into answers, one a tensor.
func (t *T) unpack(verb string, v data.Value) (as []answer) {
	switch v := v.(type) {
	case *data.Table:
		if v != nil {
			return []answer{flatten(verb, v)}
		}
	case *data.Checkpoint:
		if v != nil {
			return t.tensors(verb, v)
		}
	case data.Checkpoints:
		for i, c := range v {
			as = append(as, t.tensors(fmt.Sprintf("%s, checkpoint %d", verb, i+1), c)...)
		}
		return as
	case data.Numbers:
		a := answer{verb: verb, rows: 1}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			a.columns, a.values = append(a.columns, name), append(a.values, v[name])
		}
		return []answer{a}
	}
	t.Fatalf("%s: returns %T %v, want a %s", verb, v, v, t.Spec.Output)
	return nil
}

func (t *T) tensors(verb string, c *data.Checkpoint) (as []answer) {
	for _, name := range c.Names() {
		x := c.Tensors[name]
		a := answer{verb: fmt.Sprintf("%s, tensor %q", verb, name), rows: 1, text: fmt.Sprint(x.DType, x.Shape)}
		if x.DType.Float() {
			a.values, a.err = x.Float64s()
			a.columns = make([]string, len(a.values))
		} else {
			var raw []byte
			raw, a.err = x.Bytes()
			a.text += hex.EncodeToString(raw)
		}
		as = append(as, a)
	}
	return as
}

// stateOf is a model's state as an answer.
func (t *T) stateOf(m method.Model) answer {
	c := m.State()
	if c == nil {
		t.Fatalf("state: nil")
	}
	h, err := c.Hash()
	return answer{verb: "state", text: h, err: err}
}

// observe runs everything a method can do on a toy and lists what it says: fit, ask, update, forget; or apply.
// A step that fails is the last one of its line.
func (t *T) observe(cfg any, y toy) []answer {
	if !t.Spec.Learns() {
		return t.apply(cfg, y.in)
	}
	m, err := t.Spec.Fit(t.ctx, cfg, y.in)
	if err != nil {
		return []answer{{verb: "fit", err: err}}
	}
	return t.use(m, y)
}

// use is observe for a fitted model.
func (t *T) use(m method.Model, y toy) []answer {
	as := append([]answer{t.stateOf(m)}, t.ask(m, y.query)...)
	after := func(verb string, m method.Model, err error) {
		if err != nil {
			as = append(as, answer{verb: verb, err: err})
			return
		}
		for _, a := range append([]answer{t.stateOf(m)}, t.ask(m, y.query)...) {
			a.verb = verb + ", then " + a.verb
			as = append(as, a)
		}
	}
	if u, ok := m.(method.Updater); ok {
		next, err := u.Update(t.ctx, y.task)
		after("update", next, err)
	}
	if f, ok := m.(method.Forgetter); ok {
		next, err := f.Forget(t.ctx, part(y))
		after("forget", next, err)
	}
	return as
}

// part is a few of the rows that a toy's method was fitted on: what may be forgotten again.
func part(y toy) *data.Table {
	for _, v := range y.in {
		if in, ok := v.(*data.Table); ok {
			n, _ := in.Dims()
			return in.Slice(n/4, n/2)
		}
	}
	return nil
}

// withoutStates drops hashes of states, for comparisons in which equal models may be written down differently.
func withoutStates(as []answer) []answer {
	return slices.DeleteFunc(slices.Clone(as), func(a answer) bool { return strings.HasSuffix(a.verb, "state") })
}

// difference says how two lists of answers differ, "" when not. tolerance is relative to an answer's largest value;
// zero asks for the same bits. What went through float32 is allowed its rounding too.
func difference(have, want []answer, tolerance float64) string {
	if len(have) != len(want) {
		return fmt.Sprintf("%d answers instead of %d", len(have), len(want))
	}
	for i := range have {
		if d := have[i].differs(want[i], tolerance); d != "" {
			return have[i].verb + ": " + d
		}
	}
	return ""
}

// roundoff is what two roundings to float32 of nearly equal numbers can differ by.
const roundoff = 0x1p-23

func (a answer) differs(b answer, tolerance float64) string {
	switch {
	case (a.err == nil) != (b.err == nil) || a.err != nil && a.err.Error() != b.err.Error():
		return fmt.Sprintf("error %v instead of %v", a.err, b.err)
	case a.err != nil:
		return ""
	case a.text != b.text:
		return fmt.Sprintf("%.60s instead of %.60s", a.text, b.text)
	case a.rows != b.rows || len(a.values) != len(b.values):
		return fmt.Sprintf("%d values in %d rows instead of %d in %d", len(a.values), a.rows, len(b.values), b.rows)
	case !slices.Equal(a.columns, b.columns):
		return fmt.Sprintf("columns %q instead of %q", a.columns, b.columns)
	}
	if a.single && tolerance > 0 {
		tolerance += roundoff
	}
	allowed := tolerance * largest(b.values)
	for i, x := range a.values {
		y := b.values[i]
		if math.Float64bits(x) == math.Float64bits(y) || tolerance > 0 && math.Abs(x-y) <= allowed {
			continue
		}
		w := max(a.width(), 1)
		return fmt.Sprintf("row %d, column %s: %.17g instead of %.17g", i/w+1, a.place(i%w), x, y)
	}
	return ""
}

func (a answer) place(j int) string {
	if a.columns != nil && a.columns[j] != "" {
		return fmt.Sprintf("%q", a.columns[j])
	}
	return fmt.Sprint(j + 1)
}

func largest(v []float64) (top float64) {
	for _, x := range v {
		top = max(top, math.Abs(x))
	}
	return top
}

// unlawful says how an answer breaks what holds of every answer, "" when it does not: finite numbers, or a sentinel error.
func (a answer) unlawful() string {
	if a.err != nil {
		return unlawfulError(a.err)
	}
	for i, x := range a.values {
		if math.IsNaN(x) || math.IsInf(x, 0) {
			w := max(a.width(), 1)
			return fmt.Sprintf("row %d, column %s: %v", i/w+1, a.place(i%w), x)
		}
	}
	return ""
}

// sentinels are the errors that say what is wrong with an input. data.ErrFinite is none of them here: all toy inputs are
// finite, so a method that raises it has made a NaN of its own.
var sentinels = []error{data.ErrShape, data.ErrLabels, data.ErrFormat, method.ErrConfig, method.ErrInput, method.ErrState, method.ErrDegenerate, method.ErrRefused}

func unlawfulError(err error) string {
	if errors.Is(err, data.ErrFinite) {
		return fmt.Sprintf("the input is finite, and yet: %v", err)
	}
	if !slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }) {
		return fmt.Sprintf("the error wraps no sentinel of packages data and method: %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		return fmt.Sprintf("the error has more than one line: %q", err)
	}
	return ""
}

// digest hashes all that a bundle or a table holds, so that a change is noticed.
func digest(v data.Value) string {
	switch v := v.(type) {
	case *data.Table:
		var b bytes.Buffer
		n, d := v.Dims()
		fmt.Fprintln(&b, n, d, v.Columns(), v.Classes(), v.Groups(), v.IDs())
		if v.HasLabels() {
			fmt.Fprintln(&b, must(v.Labels()))
		}
		for _, x := range v.X() {
			fmt.Fprintf(&b, "%x ", math.Float32bits(x))
		}
		for _, column := range v.Targets() {
			fmt.Fprintf(&b, "%x\n", column)
		}
		return b.String()
	case *data.Checkpoint:
		return must(v.Hash())
	case data.Checkpoints:
		var all []string
		for _, c := range v {
			all = append(all, must(c.Hash()))
		}
		return strings.Join(all, " ")
	case data.Numbers:
		return fmt.Sprint(map[string]float64(v)) // fmt sorts a map's keys
	}
	return ""
}
