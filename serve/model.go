package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/guard"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/serve/merge"
	"github.com/gimbal-ml/gimbal/serve/oip"
)

// need says which of a model's answers somebody waits for.
type need uint8

const (
	needScores        need = 1 << iota // scores, and a guard's p-values and decisions
	needLabels                         // the most probable class and its probability
	needProbabilities                  // of all classes
	needLogits
	needSets
	needComparison // of the request's rows as a window
)

// answer is what a model says of some rows; what nobody needed is nil.
type answer struct {
	rows                  int
	scores, p             []float64
	accept                []bool
	labels                []string
	probability           []float64
	probabilities, logits *data.Table
	sets                  *data.Table
	comparison            *method.Comparison
	guard                 *guard.Guard // that answered, or nil
}

// slice is the answer for rows lo to hi−1.
func (a *answer) slice(lo, hi int) answer {
	if lo == 0 && hi == a.rows {
		return *a
	}
	b := answer{rows: hi - lo, comparison: a.comparison, guard: a.guard}
	b.scores, b.p, b.probability = cut(a.scores, lo, hi), cut(a.p, lo, hi), cut(a.probability, lo, hi)
	b.accept, b.labels = cut(a.accept, lo, hi), cut(a.labels, lo, hi)
	b.probabilities, b.logits, b.sets = cutTable(a.probabilities, lo, hi), cutTable(a.logits, lo, hi), cutTable(a.sets, lo, hi)
	return b
}

func cut[E any](list []E, lo, hi int) []E {
	if list == nil {
		return nil
	}
	return list[lo:hi]
}

func cutTable(t *data.Table, lo, hi int) *data.Table {
	if t == nil {
		return nil
	}
	return t.Slice(lo, hi)
}

// output is a tensor that a model can answer with.
type output struct {
	oip.TensorMetadata
	need   need
	asked  bool // given only when a request names it
	tensor func(a *answer, name string) oip.Tensor
}

// model is one saved file, loaded: it never changes, a newer file is another model.
type model struct {
	name, version, path string
	platform            string
	columns             []string // names of the features, or nil
	width               int      // of the rows that it takes, −1 where it does not say
	outputs             []output
	windowed            bool // the rows of a request belong together
	answer              func(ctx context.Context, in *data.Table, what need) (answer, error)
	merge               *merge.Queue[answer, need] // nil where rows of several requests must not be scored together
	metrics             *modelMetrics

	// What it was made of: one of them.
	keeper keeper
	spec   method.Spec
	cfg    any
	model  method.Model
}

// loadModel reads a saved guard or model; keep takes a guard into keeping. Errors name the file and say what it holds instead.
func loadModel(specs []method.Spec, name, path string, keep func(*guard.Guard) (keeper, error)) (*model, error) {
	c, file, err := open.Checkpoint(path)
	if err != nil {
		return nil, err
	}
	defer closeQuietly(file) // all is in memory after this
	m := &model{name: name, path: path, width: -1}
	m.version, err = versionOf(c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	switch kind := c.Meta["gimbal"]; kind {
	case guard.FileKind:
		g, err := guard.Load(specs, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		k, err := keep(g)
		if err != nil {
			return nil, err
		}
		m.setGuard(k)
	case method.FileKind:
		if m.spec, m.cfg, m.model, err = method.Load(specs, c); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if _, ok := c.Meta[method.ColumnsKey]; ok {
			r := c.Read()
			if m.columns = r.Strings(method.ColumnsKey); r.Err() != nil {
				return nil, fmt.Errorf("%s: %w", path, r.Err())
			}
			m.width = len(m.columns)
		}
		m.setMethod()
	default:
		if kind == "" {
			kind = "no Gimbal state"
		}
		return nil, fmt.Errorf("%s: %w: it holds %s; a guard or a model can be served", path, method.ErrState, kind)
	}
	if len(m.outputs) == 0 {
		return nil, fmt.Errorf("%s: %w: a model that can only %s answers no inference", path, method.ErrInput, strings.Join(m.spec.Verbs, " and "))
	}
	return m, nil
}

func closeQuietly(c io.Closer) { _ = c.Close() } // it was only read from

// versionOf is the beginning of a file's content hash: another content is another version.
func versionOf(c *data.Checkpoint) (string, error) {
	sha := c.Meta["sha256"]
	if len(sha) < 12 {
		return "", fmt.Errorf("no content hash: %w as a Gimbal file", data.ErrFormat)
	}
	return sha[:12], nil
}

// nameOf is what a file's model is called: its name without folder and endings.
func nameOf(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

func (m *model) setGuard(k keeper) {
	g := k.Guard()
	m.keeper, m.columns, m.width, m.platform = k, g.Columns(), g.Dim(), "gimbal_guard"
	m.add(needScores, false, "ood_score", oip.FP64, nil, func(a *answer) any { return a.scores })
	m.add(needScores, false, "p_value", oip.FP64, nil, func(a *answer) any { return a.p })
	m.add(needScores, false, "accept", oip.Bool, nil, func(a *answer) any { return a.accept })
	if len(g.Classes()) > 0 { // classes may be taught, so their number is open
		m.add(needLabels, false, "label", oip.Bytes, nil, func(a *answer) any { return a.labels })
		m.add(needLabels, false, "probability", oip.FP64, nil, func(a *answer) any { return a.probability })
		m.add(needProbabilities, true, "probabilities", oip.FP32, []int64{-1}, func(a *answer) any { return a.probabilities })
		m.addTableClasses("classes", needProbabilities, func(a *answer) *data.Table { return a.probabilities })
	}
	m.outputs = append(m.outputs, output{oip.TensorMetadata{Name: "threshold", Datatype: oip.FP64, Shape: []int64{1}}, needScores, true,
		func(a *answer, name string) oip.Tensor {
			return oip.NewFloat64s(name, []float64{a.guard.Threshold()}, 1)
		}})
	m.addMigration()
	m.answer = func(_ context.Context, in *data.Table, what need) (a answer, err error) {
		a.rows, _ = in.Dims()
		a.guard = k.Guard()
		if what&needProbabilities != 0 {
			if a.probabilities, err = a.guard.Probabilities(in); err != nil {
				return a, err
			}
		}
		ds, err := k.observe(in, what&needLabels != 0)
		if err != nil {
			return a, err
		}
		a.scores, a.p, a.accept = make([]float64, a.rows), make([]float64, a.rows), make([]bool, a.rows)
		for i, d := range ds {
			a.scores[i], a.p[i], a.accept[i] = d.Score, d.PValue, d.Accept
		}
		if what&needLabels != 0 {
			a.labels, a.probability = make([]string, a.rows), make([]float64, a.rows)
			for i, d := range ds {
				a.labels[i], a.probability[i] = d.Label, d.Probability
			}
		}
		return a, nil
	}
	m.merge = &merge.Queue[answer, need]{Answer: m.answer, Cut: (*answer).slice}
}

func (m *model) setMethod() {
	s, fitted := m.spec, m.model
	m.platform = "gimbal_" + strings.ReplaceAll(s.ID(), "/", "_")
	scorer, scores := fitted.(method.Scorer)
	predictor, predicts := fitted.(method.Predictor)
	logiter, logits := fitted.(method.Logiter)
	sets, hasSets := fitted.(method.SetPredictor)
	tester, tests := fitted.(method.Tester)
	if scores {
		m.add(needScores, false, s.ScoreName(), oip.FP64, nil, func(a *answer) any { return a.scores })
	}
	if predicts {
		m.add(needLabels, false, "label", oip.Bytes, nil, func(a *answer) any { return a.labels })
		m.add(needLabels, false, "probability", oip.FP64, nil, func(a *answer) any { return a.probability })
		m.add(needProbabilities, true, "probabilities", oip.FP32, []int64{-1}, func(a *answer) any { return a.probabilities })
		m.addTableClasses("classes", needProbabilities, func(a *answer) *data.Table { return a.probabilities })
	}
	if logits {
		m.add(needLogits, true, "logits", oip.FP32, []int64{-1}, func(a *answer) any { return a.logits })
	}
	if hasSets {
		m.add(needSets, false, "sets", oip.Bool, []int64{-1}, func(a *answer) any { return a.sets })
		m.addTableClasses("set_classes", needSets, func(a *answer) *data.Table { return a.sets })
	}
	if tests {
		m.windowed = true
		m.addComparison()
	}
	m.answer = func(ctx context.Context, in *data.Table, what need) (a answer, err error) {
		a.rows, _ = in.Dims()
		if what&needScores != 0 {
			if a.scores, err = scorer.Score(in); err != nil {
				return a, s.Wrap(err)
			}
		}
		if what&(needLabels|needProbabilities) != 0 {
			if a.probabilities, err = predictor.Predict(in); err != nil {
				return a, s.Wrap(err)
			}
			a.labels, a.probability = mostProbable(a.probabilities)
		}
		if what&needLogits != 0 {
			if a.logits, err = logiter.Logits(in); err != nil {
				return a, s.Wrap(err)
			}
		}
		if what&needSets != 0 {
			if a.sets, err = sets.Sets(in); err != nil {
				return a, s.Wrap(err)
			}
		}
		if what&needComparison != 0 {
			if a.comparison, err = tester.Test(ctx, in); err != nil {
				return a, s.Wrap(err)
			}
		}
		return a, nil
	}
	// A method may say that its rows are not judged one by one.
	if _, together := s.Exempt["rows-independent"]; !together && !m.windowed {
		m.merge = &merge.Queue[answer, need]{Answer: m.answer, Cut: (*answer).slice}
	}
}

// mostProbable reads the best class of each row off its probabilities.
func mostProbable(p *data.Table) (labels []string, probability []float64) {
	n, _ := p.Dims()
	labels, probability = make([]string, n), make([]float64, n)
	for i := range n {
		row, best := p.Row(i), 0
		for c, v := range row {
			if v > row[best] {
				best = c
			}
		}
		labels[i], probability[i] = p.Columns()[best], float64(row[best])
	}
	return labels, probability
}

// add adds an output with one value a row, or with a row of the given further sizes.
func (m *model) add(what need, asked bool, name string, d oip.Datatype, more []int64, value func(a *answer) any) {
	shape := append([]int64{-1}, more...)
	m.outputs = append(m.outputs, output{oip.TensorMetadata{Name: name, Datatype: d, Shape: shape}, what, asked, func(a *answer, name string) oip.Tensor {
		n := int64(a.rows)
		switch v := value(a).(type) {
		case []float64:
			return oip.NewFloat64s(name, v, n)
		case []bool:
			return oip.NewBools(name, v, n)
		case []string:
			return oip.NewStrings(name, v, n)
		case *data.Table:
			_, k := v.Dims()
			if d == oip.Bool {
				in := make([]bool, len(v.X()))
				for i, x := range v.X() {
					in[i] = x != 0
				}
				return oip.NewBools(name, in, n, int64(k))
			}
			return oip.NewFloat32s(name, v.X(), n, int64(k))
		}
		panic("serve: output " + name + " has no value") // a mistake in this file
	}})
}

// addTableClasses adds the names of a table's columns.
func (m *model) addTableClasses(name string, what need, table func(*answer) *data.Table) {
	m.outputs = append(m.outputs, output{oip.TensorMetadata{Name: name, Datatype: oip.Bytes, Shape: []int64{-1}}, what, true, func(a *answer, name string) oip.Tensor {
		classes := table(a).Columns()
		return oip.NewStrings(name, classes, int64(len(classes)))
	}})
}

// addMigration adds the names under which users of other outlier detectors look for a guard's answers.
func (m *model) addMigration() {
	m.add(needScores, true, "instance_score", oip.FP64, nil, func(a *answer) any { return a.scores })
	m.outputs = append(m.outputs, output{oip.TensorMetadata{Name: "is_outlier", Datatype: oip.Int64, Shape: []int64{-1}}, needScores, true, func(a *answer, name string) oip.Tensor {
		v := make([]int64, len(a.accept))
		for i, ok := range a.accept {
			if !ok {
				v[i] = 1
			}
		}
		return oip.NewInt64s(name, v, int64(a.rows))
	}})
}

// addComparison adds what a drift test says of a window, under the names that users know.
func (m *model) addComparison() {
	one := func(name string, d oip.Datatype, tensor func(c *method.Comparison, name string) oip.Tensor) {
		m.outputs = append(m.outputs, output{oip.TensorMetadata{Name: name, Datatype: d, Shape: []int64{1}}, needComparison, false,
			func(a *answer, name string) oip.Tensor { return tensor(a.comparison, name) }})
	}
	number := func(name string, v func(c *method.Comparison) float64) {
		one(name, oip.FP64, func(c *method.Comparison, name string) oip.Tensor { return oip.NewFloat64s(name, []float64{v(c)}, 1) })
	}
	one("is_drift", oip.Int64, func(c *method.Comparison, name string) oip.Tensor {
		if c.Drift {
			return oip.NewInt64s(name, []int64{1}, 1)
		}
		return oip.NewInt64s(name, []int64{0}, 1)
	})
	number("p_val", func(c *method.Comparison) float64 { return c.PValue })
	number("threshold", func(c *method.Comparison) float64 { return c.Level })
	number("distance", func(c *method.Comparison) float64 { return c.Statistic })
}

// needs is what all outputs together need.
func (m *model) needs() (all need) {
	for _, o := range m.outputs {
		all |= o.need
	}
	return all
}

// metadata is what the protocol says of the model.
func (m *model) metadata() oip.ModelMetadata {
	meta := oip.ModelMetadata{Name: m.name, Versions: []string{m.version}, Platform: m.platform,
		Inputs: []oip.TensorMetadata{{Name: "input", Datatype: oip.FP32, Shape: []int64{-1, int64(m.width)}}}}
	for _, o := range m.outputs {
		meta.Outputs = append(meta.Outputs, o.TensorMetadata)
	}
	return meta
}

// errNotFound says that there is no such model, output, job or route.
var errNotFound = errors.New("not found")

// wanted lists the outputs of a request, in its order, and what they need. Errors: errNotFound with the names that there are.
func (m *model) wanted(r *oip.Request, list []*output) ([]*output, need, error) {
	var what need
	if len(r.Outputs) == 0 {
		for i := range m.outputs {
			if o := &m.outputs[i]; !o.asked {
				list, what = append(list, o), what|o.need
			}
		}
		return list, what, nil
	}
	for _, w := range r.Outputs {
		i := slices.IndexFunc(m.outputs, func(o output) bool { return o.Name == w.Name })
		if i < 0 {
			var names []string
			for _, o := range m.outputs {
				names = append(names, o.Name)
			}
			return nil, 0, fmt.Errorf("model %s: output %.60q %w; it has %s", m.name, w.Name, errNotFound, strings.Join(names, ", "))
		}
		list, what = append(list, &m.outputs[i]), what|m.outputs[i].need
	}
	return list, what, nil
}

// table makes rows of a request's inputs: one tensor [N, D], or [D] for one row, or, for a model whose features have names,
// one tensor [N] or [N, 1] a feature. buf is reused where it is large enough.
func (m *model) table(r *oip.Request, buf []float32) (*data.Table, []float32, error) {
	var n, d int
	var err error
	if len(r.Inputs) == 1 && !(len(m.columns) == 1 && len(r.Inputs[0].Shape) == 1) {
		t := &r.Inputs[0]
		switch len(t.Shape) {
		case 1:
			n, d = 1, int(t.Shape[0])
		case 2:
			n, d = int(t.Shape[0]), int(t.Shape[1])
		default:
			return nil, buf, fmt.Errorf("model %s: input %q: %w: shape %v, want [rows, %d]", m.name, t.Name, data.ErrShape, t.Shape, m.width)
		}
		if buf, err = t.Float32s(buf[:0]); err != nil {
			return nil, buf, fmt.Errorf("model %s: input %w", m.name, err)
		}
	} else if n, d, buf, err = m.byColumn(r, buf); err != nil {
		return nil, buf, fmt.Errorf("model %s: %w", m.name, err)
	}
	if m.width >= 0 && d != m.width {
		return nil, buf, fmt.Errorf("model %s: %w: rows have %d columns, it was fitted on %d", m.name, data.ErrShape, d, m.width)
	}
	if n == 0 {
		return nil, buf, fmt.Errorf("model %s: %w: no rows", m.name, data.ErrShape)
	}
	in, err := data.NewTable(n, d, buf)
	if err != nil {
		return nil, buf, fmt.Errorf("model %s: %w", m.name, err)
	}
	return in, buf, nil
}

// byColumn joins one tensor a feature.
func (m *model) byColumn(r *oip.Request, buf []float32) (n, d int, _ []float32, err error) {
	if len(m.columns) == 0 || len(r.Inputs) != len(m.columns) {
		return 0, 0, buf, fmt.Errorf("%w: %d inputs, want one tensor [rows, %d]", data.ErrShape, len(r.Inputs), m.width)
	}
	d = len(m.columns)
	var column []float32
	for j, name := range m.columns {
		t := r.Input(name)
		if t == nil {
			return 0, 0, buf, fmt.Errorf("%w: input %q is missing", data.ErrShape, name)
		}
		if column, err = t.Float32s(column[:0]); err != nil {
			return 0, 0, buf, fmt.Errorf("input %w", err)
		}
		if j == 0 {
			n = len(column)
			buf = slices.Grow(buf[:0], n*d)[:n*d]
		}
		if len(column) != n {
			return 0, 0, buf, fmt.Errorf("%w: input %q has %d rows, %q has %d", data.ErrShape, name, len(column), m.columns[0], n)
		}
		for i, v := range column {
			buf[i*d+j] = v
		}
	}
	return n, d, buf, nil
}
