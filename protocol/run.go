package protocol

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// What can be wrong with a task beside the errors of packages data and method.
var (
	// ErrKnown says that the same rows were added before.
	ErrKnown = errors.New("already added")
	// ErrForget says that a learner cannot forget what it is asked to, and why.
	ErrForget = errors.New("cannot forget")
)

// Options say how a run is begun. They hold for all of it.
type Options struct {
	// Encoder names what made the features, with its version: features of another are refused.
	Encoder string
	// Ledger lists what can be forgotten by name alone: "class", "group" or both. It keeps sums for each class and group that
	// there are, each as large as the model's own.
	Ledger []string
}

// Ledgers lists what a ledger can be kept by.
var Ledgers = []string{"class", "group"}

// Run is a learner that waits between tasks, in a file: its model, what it was measured on, and its history. It never changes;
// adding a task returns the next one. Equal tasks in equal order give equal files, byte for byte, on any machine of one architecture and
// however often the run was saved in between.
type Run struct {
	spec    method.Spec
	cfg     any
	model   method.Model
	options Options
	width   int
	columns []string
	history []Stage
	tests   map[int]*data.Table // by stage
	ledger  ledger              // nil without one
}

// Stage is a task that was added, or rows that were forgotten.
type Stage struct {
	// Name says which task it was, or what was forgotten.
	Name string `json:"name"`
	// Forgot says that rows were forgotten instead of learned.
	Forgot bool `json:"forgot,omitempty"`
	// Rows is how many, 0 for a class or group that was forgotten by name.
	Rows int `json:"rows,omitempty"`
	// Classes are those of the task's rows, New those that were not known before, Gone those that no row is left of.
	Classes []string `json:"classes,omitempty"`
	New     []string `json:"new,omitempty"`
	Gone    []string `json:"gone,omitempty"`
	// Content is the SHA-256 of the task's rows.
	Content string `json:"content,omitempty"`
	// Measured holds the accuracy on the test rows of every task so far that came with some.
	Measured []Measured `json:"measured,omitempty"`
}

// Measured is the accuracy on the test rows of one stage's task.
type Measured struct {
	Stage    int     `json:"stage"` // counted from 0
	Rows     int     `json:"rows"`
	Accuracy float64 `json:"accuracy"`
}

// Begin fits a method on a run's first task. Errors: as [Run.Add]; ErrInput for a method that cannot be taken through tasks;
// ErrConfig for a ledger that it has no use for.
func Begin(ctx context.Context, s method.Spec, cfg any, o Options, name string, task, test *data.Table) (*Run, error) {
	if err := Learner(s); err != nil {
		return nil, err
	}
	for _, by := range o.Ledger {
		if !slices.Contains(Ledgers, by) {
			return nil, fmt.Errorf("protocol: %w: a ledger by %q, have %s", method.ErrConfig, by, strings.Join(Ledgers, ", "))
		}
	}
	_, d := task.Dims()
	r := &Run{spec: s, cfg: cfg, options: o, width: d, columns: task.Columns(), tests: map[int]*data.Table{}}
	if err := r.check(task, test); err != nil {
		return nil, err
	}
	m, err := s.Fit(ctx, cfg, data.Bundle{s.Inputs[0].Name: task})
	if err != nil {
		return nil, err
	}
	if len(o.Ledger) > 0 {
		if _, ok := m.(recaller); !ok {
			return nil, fmt.Errorf("%s: %w: it keeps no sums that a ledger could be of", s.ID(), method.ErrConfig)
		}
		r.ledger = ledger{}
	}
	return r.stage(ctx, m, name, task, test)
}

// Add returns the run that has also learned a task, and measured it if there are test rows. Again allows rows that were added before.
// Errors: ErrShape for no rows, another width, other column names or another encoder; ErrLabels for rows without a class;
// ErrKnown with the task's name; those of the method.
func (r *Run) Add(ctx context.Context, encoder, name string, task, test *data.Table, again bool) (*Run, error) {
	if encoder != "" && encoder != r.options.Encoder {
		return nil, fmt.Errorf("protocol: %w: features of %q, the run (schema %.12s…) has those of %q", data.ErrShape, encoder, r.Schema(), r.options.Encoder)
	}
	if err := r.check(task, test); err != nil {
		return nil, err
	}
	for i, s := range r.history {
		if !again && s.Content == content(task) {
			return nil, fmt.Errorf("protocol: the rows were %w, as task %d (%s)", ErrKnown, i+1, s.Name)
		}
	}
	m, err := r.model.(method.Updater).Update(ctx, task)
	if err != nil {
		return nil, r.spec.Wrap(err)
	}
	return r.stage(ctx, m, name, task, test)
}

// check refuses rows that are not like the run's.
func (r *Run) check(task, test *data.Table) error {
	for _, part := range []struct {
		rows *data.Table
		what string
	}{{task, "the task"}, {test, "its test"}} {
		if part.rows == nil {
			continue
		}
		n, d := part.rows.Dims()
		names := part.rows.Columns()
		switch {
		case n == 0:
			return fmt.Errorf("protocol: %w: %s has no rows", data.ErrShape, part.what)
		case d != r.width:
			return fmt.Errorf("protocol: %w: %s has %d columns, the run (schema %.12s…) has %d", data.ErrShape, part.what, d, r.Schema(), r.width)
		case names != nil && r.columns != nil && !slices.Equal(names, r.columns):
			j := 0
			for names[j] == r.columns[j] {
				j++
			}
			return fmt.Errorf("protocol: %w: column %d of %s is %q, of the run (schema %.12s…) %q", data.ErrShape, j+1, part.what, names[j], r.Schema(), r.columns[j])
		}
		for i := range n {
			if part.rows.ClassName(i) == "" {
				return fmt.Errorf("protocol: %w: row %d of %s has none (name the column with --label)", data.ErrLabels, i+1, part.what)
			}
		}
	}
	return nil
}

// stage returns the run after a task.
func (r *Run) stage(ctx context.Context, m method.Model, name string, task, test *data.Table) (*Run, error) {
	next := r.clone(m)
	n, _ := task.Dims()
	s := Stage{Name: name, Rows: n, Content: content(task)}
	known := r.Classes()
	s.Classes = arrivalsOf(task, task.ClassName).names
	slices.SortFunc(s.Classes, data.CompareClasses)
	for _, c := range s.Classes {
		if !slices.Contains(known, c) {
			s.New = append(s.New, c)
		}
	}
	if s.Name == "" {
		s.Name = some(s.Classes)
	}
	if test != nil {
		next.tests[len(next.history)] = test
	}
	if next.ledger != nil {
		if err := next.ledger.add(m.(recaller), r.options.Ledger, task); err != nil {
			return nil, err
		}
	}
	next.history = append(next.history, s)
	return next, next.measure(ctx)
}

// clone copies what the next run changes.
func (r *Run) clone(m method.Model) *Run {
	next := *r
	next.model, next.history = m, slices.Clone(r.history)
	next.tests = map[int]*data.Table{}
	for i, t := range r.tests {
		next.tests[i] = t
	}
	next.ledger = r.ledger.clone()
	return &next
}

// measure fills in the last stage's accuracies.
func (r *Run) measure(ctx context.Context) error {
	s := &r.history[len(r.history)-1]
	s.Measured = nil
	for i := range r.history {
		t, ok := r.tests[i]
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		a, err := Task{Test: t}.accuracy(r.model)
		if err != nil {
			return fmt.Errorf("on the test rows of task %d (%s): %w", i+1, r.history[i].Name, err)
		}
		n, _ := t.Dims()
		s.Measured = append(s.Measured, Measured{i, n, a})
	}
	return nil
}

// content is the SHA-256 of rows and their classes, in their order.
func content(t *data.Table) string {
	h := sha256.New()
	n, d := t.Dims()
	fmt.Fprintln(h, n, d)
	word := make([]byte, 4)
	for i := range n {
		fmt.Fprintf(h, "%q\n", t.ClassName(i))
		for _, v := range t.Row(i) {
			u := math.Float32bits(v)
			word[0], word[1], word[2], word[3] = byte(u), byte(u>>8), byte(u>>16), byte(u>>24)
			h.Write(word)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Schema is the SHA-256 of what rows must be like: their width, the names of their columns, and the encoder.
func (r *Run) Schema() string {
	text, err := json.Marshal([]any{r.width, r.columns, r.options.Encoder})
	if err != nil {
		panic(err) // numbers and strings only
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Spec and Config say what learns.
func (r *Run) Spec() (method.Spec, any) { return r.spec, r.cfg }

// Model returns the model as it stands.
func (r *Run) Model() method.Model { return r.model }

// Columns returns the names of the feature columns, or nil.
func (r *Run) Columns() []string { return r.columns }

// Options returns those that the run was begun with.
func (r *Run) Options() Options { return r.options }

// History returns all stages, oldest first. The caller must not change them.
func (r *Run) History() []Stage { return r.history }

// Classes returns the classes that the model knows, none before the first task.
func (r *Run) Classes() []string {
	if r.model == nil {
		return nil
	}
	none, err := data.NewTable(0, r.width, nil)
	if err == nil {
		var p *data.Table
		if p, err = r.model.(method.Predictor).Predict(none); err == nil {
			return p.Columns()
		}
	}
	return nil
}

// Matrix returns the stages and tests as an accuracy matrix, for the tasks that came with test rows, whose stages are the rows; nil where
// there is none. Test rows that were forgotten leave a task's later rows out, and then there is no square matrix: ok is false.
func (r *Run) Matrix() (run metric.ContinualRun, tasks []Task, ok bool) {
	var at []int
	for i, s := range r.history {
		if slices.ContainsFunc(s.Measured, func(m Measured) bool { return m.Stage == i }) {
			at = append(at, i)
			tasks = append(tasks, Task{Name: s.Name, Classes: s.Classes})
		}
	}
	ok = len(at) > 0
	for k, i := range at {
		var row []float64
		for _, j := range at[:k+1] {
			m := slices.IndexFunc(r.history[i].Measured, func(m Measured) bool { return m.Stage == j })
			if m < 0 {
				ok = false
				break
			}
			row = append(row, r.history[i].Measured[m].Accuracy)
		}
		run.Accuracy = append(run.Accuracy, row)
		own := slices.IndexFunc(r.history[i].Measured, func(m Measured) bool { return m.Stage == i })
		run.Rows = append(run.Rows, r.history[i].Measured[own].Rows)
	}
	return run, tasks, ok
}
