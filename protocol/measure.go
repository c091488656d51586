package protocol

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
)

// Outcome is what a method did over one sequence of tasks.
type Outcome struct {
	// ContinualRun holds the T×T accuracy matrix, all tasks measured after every stage, and each task's test rows. A row of a
	// class that is not known yet counts as wrong. Untrained is set where every task has all classes: there a guess is right
	// once in K times.
	metric.ContinualRun
	Model method.Model  // after the last task
	Learn time.Duration // fit and updates, without measuring
}

// Measure takes a method through tasks: a fit on the first, an update with each other one, and after every stage the accuracy on
// the test rows of all. With joint, the method is also fitted on tasks 0..j at once, for every j, which is what intransigence
// is measured against.
// Errors: ErrInput for a method that does not learn from one table, cannot predict or cannot update; those of the method, with the task.
func Measure(ctx context.Context, s method.Spec, cfg any, tasks []Task, joint bool) (*Outcome, error) {
	if err := Learner(s); err != nil {
		return nil, err
	}
	slot := s.Inputs[0].Name
	o := &Outcome{}
	start := time.Now()
	m, err := s.Fit(ctx, cfg, data.Bundle{slot: tasks[0].Train})
	for i := 0; ; i++ {
		if err != nil {
			return nil, fmt.Errorf("task %d (%s): %w", i+1, tasks[i].Name, err)
		}
		o.Learn += time.Since(start)
		row := make([]float64, len(tasks))
		for j, t := range tasks {
			if row[j], err = t.accuracy(m); err != nil {
				return nil, fmt.Errorf("after task %d, on task %d (%s): %w", i+1, j+1, t.Name, err)
			}
		}
		o.Accuracy, o.Model = append(o.Accuracy, row), m
		method.Progress(ctx, i+1, len(tasks))
		if i == len(tasks)-1 {
			break
		}
		start = time.Now()
		m, err = m.(method.Updater).Update(ctx, tasks[i+1].Train)
		err = s.Wrap(err)
	}
	for _, t := range tasks {
		n, _ := t.Test.Dims()
		o.Rows = append(o.Rows, n)
	}
	o.Untrained = untrained(tasks)
	if !joint {
		return o, nil
	}
	for j, t := range tasks {
		m, err := s.Fit(ctx, cfg, data.Bundle{slot: Join(tasks[:j+1])})
		if err != nil {
			return nil, fmt.Errorf("tasks 1 to %d at once: %w", j+1, err)
		}
		a, err := t.accuracy(m)
		if err != nil {
			return nil, fmt.Errorf("tasks 1 to %d at once: %w", j+1, err)
		}
		o.Joint = append(o.Joint, a)
	}
	return o, nil
}

// Learner says why a method cannot be taken through tasks, nil when it can. Errors: ErrInput.
func Learner(s method.Spec) error {
	switch {
	case !s.Learns():
		return fmt.Errorf("%s: %w: it is applied to rows and learns no tasks", s.ID(), method.ErrInput)
	case !s.Can("predict") || !s.Can("update"):
		return fmt.Errorf("%s: %w: it cannot both predict and update", s.ID(), method.ErrInput)
	case s.Inputs[0].Kind != data.KindTable || slices.ContainsFunc(s.Inputs[1:], func(x method.Slot) bool { return !x.Optional }):
		return fmt.Errorf("%s: %w: it needs more than one table", s.ID(), method.ErrInput)
	}
	return nil
}

// accuracy is the share of the task's test rows whose most probable class is their own.
func (t Task) accuracy(m method.Model) (float64, error) {
	p, err := m.(method.Predictor).Predict(t.Test)
	if err != nil {
		return 0, err
	}
	possible := slices.Repeat([]bool{true}, len(p.Columns()))
	if t.asked {
		for k, name := range p.Columns() {
			possible[k] = slices.Contains(t.Classes, name)
		}
	}
	n, _ := p.Dims()
	right := 0
	for i := range n {
		best := -1
		for k, v := range p.Row(i) {
			if possible[k] && (best < 0 || v > p.Row(i)[best]) {
				best = k
			}
		}
		if best >= 0 && p.Columns()[best] == t.Test.ClassName(i) {
			right++
		}
	}
	return float64(right) / float64(n), nil
}

// untrained is a guess's chance on each task, nil where tasks bring classes of their own: before its task a class cannot be guessed.
func untrained(tasks []Task) []float64 {
	all := slices.Sorted(slices.Values(tasks[0].Classes))
	chance := make([]float64, len(tasks))
	for i, t := range tasks {
		if !slices.Equal(slices.Sorted(slices.Values(t.Classes)), all) {
			return nil
		}
		chance[i] = 1 / float64(len(all))
	}
	return chance
}

// Join returns the training rows of tasks as one table, in their order.
func Join(tasks []Task) *data.Table {
	tables := make([]*data.Table, len(tasks))
	for i, t := range tasks {
		tables[i] = t.Train
	}
	t, err := joined(tables)
	if err != nil {
		panic(err) // parts of one table
	}
	return t
}

// joined puts tables of one width after each other.
func joined(tables []*data.Table) (*data.Table, error) {
	_, d := tables[0].Dims()
	var x []float32
	var names []string
	for _, t := range tables {
		n, _ := t.Dims()
		x = append(x, t.X()...)
		for i := range n {
			names = append(names, t.ClassName(i))
		}
	}
	t, err := data.NewTable(len(names), d, x)
	if err == nil {
		t, err = t.WithClassNames(names)
	}
	if err == nil && tables[0].Columns() != nil {
		t, err = t.WithColumns(tables[0].Columns())
	}
	return t, err
}
