// Package protocol is the evaluation of continual learning as software: a [Scenario] cuts any labelled table into tasks, [Measure]
// takes a method through them and keeps the accuracy matrix, and a [Run] is the same over months, in a file that waits for the
// next task. It is composed from the registry and knows no method by name.
//
// Sources: van de Ven and Tolias (2019) for the scenarios, Rebuffi et al. (2017) for B{m}-Inc{n}, Wu et al. (2024) and Shi et al.
// (2024) for vertical and horizontal continuity. The metrics are in package metric.
package protocol

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// The kinds of scenario.
const (
	ClassIncremental  = "class"  // every task brings classes of its own, and a row may be of any class so far
	DomainIncremental = "domain" // every task is a domain: a group, or a stretch of the rows; classes may come again
	TaskIncremental   = "task"   // as class-incremental, but whoever asks says which task a row belongs to
)

// The orders of classes and domains.
const (
	Shuffled   = "shuffled"   // at random, by the seed
	Horizontal = "horizontal" // as they first occur in the training rows: as time, or the file, brings them
	Vertical   = "vertical"   // from the general to the special: those with most classes, then most rows, come first
)

// Kinds and Orders list what a scenario may be.
var (
	Kinds  = []string{ClassIncremental, DomainIncremental, TaskIncremental}
	Orders = []string{Shuffled, Horizontal, Vertical}
)

// Scenario says how a table becomes tasks. The zero value is five class-incremental tasks in random order.
type Scenario struct {
	Kind  string // one of Kinds; class by default
	Order string // one of Orders; shuffled by default
	// First is how many classes the first task has, Increment how many each one after it: B{First}-Inc{Increment}, with
	// B0 for a first task like the others. Without Increment the classes are spread over Tasks.
	First, Increment int
	// Tasks is the number of tasks: of class-incremental ones when there is no Increment, by default 5; of domains, where
	// neighbouring groups or stretches of rows are joined into that many, by default one for each group or 5 stretches.
	Tasks int
	Seed  uint64 // of the random order
}

const defaultTasks = 5

// Task is one stage: rows to learn from, and rows of the same kind to measure on.
type Task struct {
	Name        string
	Classes     []string // of the training rows, in the scenario's order
	Train, Test *data.Table
	asked       bool // whoever asks names the task: only its classes are possible
}

// Name says what protocol a table of k classes gets: B0-Inc2, or its kind.
func (s Scenario) Name(k int) string {
	if s.Kind == DomainIncremental {
		return DomainIncremental
	}
	first, increment := s.sizes(k)
	if first == increment {
		first = 0
	}
	return fmt.Sprintf("B%d-Inc%d", first, increment)
}

// sizes are the classes of the first task and of those after it.
func (s Scenario) sizes(k int) (first, increment int) {
	increment = s.Increment
	if increment == 0 {
		tasks := cmp.Or(s.Tasks, defaultTasks)
		if s.First > 0 {
			increment = (k - s.First + max(tasks-1, 1) - 1) / max(tasks-1, 1)
		} else {
			increment = (k + tasks - 1) / tasks
		}
	}
	return cmp.Or(s.First, increment), increment
}

func (s *Scenario) ready() error {
	s.Kind, s.Order = cmp.Or(s.Kind, ClassIncremental), cmp.Or(s.Order, Shuffled)
	switch {
	case !slices.Contains(Kinds, s.Kind):
		return fmt.Errorf("protocol: %w: scenario %q, have %s", method.ErrConfig, s.Kind, strings.Join(Kinds, ", "))
	case !slices.Contains(Orders, s.Order):
		return fmt.Errorf("protocol: %w: order %q, have %s", method.ErrConfig, s.Order, strings.Join(Orders, ", "))
	case s.First < 0 || s.Increment < 0 || s.Tasks < 0:
		return fmt.Errorf("protocol: %w: %d classes first, then %d, %d tasks: want counts", method.ErrConfig, s.First, s.Increment, s.Tasks)
	case s.Kind == DomainIncremental && (s.First > 0 || s.Increment > 0):
		return fmt.Errorf("protocol: %w: tasks of the scenario %s are domains, not numbers of classes", method.ErrConfig, s.Kind)
	}
	return nil
}

// Split cuts training and test rows into the same tasks, at least two. The order of rows within a task is the table's.
// Errors: ErrConfig; ErrLabels for rows without a class; ErrShape for other widths, too few classes or domains for two
// tasks, and for a task without test rows, naming it.
func (s Scenario) Split(train, test *data.Table) ([]Task, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	_, d := train.Dims()
	if _, other := test.Dims(); d != other {
		return nil, fmt.Errorf("protocol: %w: %d columns to learn from, %d to test on", data.ErrShape, d, other)
	}
	for _, t := range []*data.Table{train, test} {
		n, _ := t.Dims()
		for i := range n {
			if t.ClassName(i) == "" {
				return nil, fmt.Errorf("protocol: %w: row %d has none, and tasks are made of classes", data.ErrLabels, i+1)
			}
		}
	}
	var tasks []Task
	var err error
	if s.Kind == DomainIncremental {
		tasks, err = s.domains(train, test)
	} else {
		tasks, err = s.classes(train, test)
	}
	if err != nil {
		return nil, err
	}
	for i := range tasks {
		tasks[i].asked = s.Kind == TaskIncremental
		for _, part := range []struct {
			rows *data.Table
			what string
		}{{tasks[i].Train, "learn from"}, {tasks[i].Test, "test on"}} {
			if n, _ := part.rows.Dims(); n == 0 {
				return nil, fmt.Errorf("protocol: %w: task %d (%s) has no rows to %s", data.ErrShape, i+1, tasks[i].Name, part.what)
			}
		}
	}
	return tasks, nil
}

// kinds of things that come one after the other: classes or groups, with what orders them.
type arrivals struct {
	names   []string // as they first occur
	rows    map[string]int
	classes map[string]map[string]bool
}

func arrivalsOf(t *data.Table, name func(i int) string) arrivals {
	a := arrivals{rows: map[string]int{}, classes: map[string]map[string]bool{}}
	n, _ := t.Dims()
	for i := range n {
		who := name(i)
		if a.rows[who]++; a.rows[who] == 1 {
			a.names, a.classes[who] = append(a.names, who), map[string]bool{}
		}
		a.classes[who][t.ClassName(i)] = true
	}
	return a
}

// ordered brings them into the scenario's order.
func (s Scenario) ordered(a arrivals) []string {
	names := slices.Clone(a.names)
	switch s.Order {
	case Shuffled: // from an order that does not depend on that of the rows
		slices.SortFunc(names, data.CompareClasses)
		rand.New(rand.NewPCG(s.Seed, 1993)).Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	case Vertical:
		slices.SortStableFunc(names, func(x, y string) int {
			return cmp.Or(cmp.Compare(len(a.classes[y]), len(a.classes[x])), cmp.Compare(a.rows[y], a.rows[x]), data.CompareClasses(x, y))
		})
	}
	return names
}

func (s Scenario) classes(train, test *data.Table) ([]Task, error) {
	order := s.ordered(arrivalsOf(train, train.ClassName))
	k := len(order)
	first, increment := s.sizes(k)
	if first >= k {
		return nil, fmt.Errorf("protocol: %w: the first task takes all %d classes (%d first, then %d each), want classes for two tasks", data.ErrShape, k, first, increment)
	}
	n, _ := test.Dims()
	for i := range n {
		if !slices.Contains(order, test.ClassName(i)) {
			return nil, fmt.Errorf("protocol: %w: row %d to test on is of class %q, which no row to learn from has", data.ErrLabels, i+1, test.ClassName(i))
		}
	}
	var tasks []Task
	for at := 0; at < k; {
		size := increment
		if at == 0 {
			size = first
		}
		own := order[at:min(at+size, k)]
		at += len(own)
		tasks = append(tasks, Task{Name: some(own), Classes: own, Train: pick(train, train.ClassName, own), Test: pick(test, test.ClassName, own)})
	}
	return tasks, nil
}

func (s Scenario) domains(train, test *data.Table) ([]Task, error) {
	if (train.Groups() == nil) != (test.Groups() == nil) {
		return nil, fmt.Errorf("protocol: %w: only one of the tables has groups to be domains", data.ErrShape)
	}
	var tasks []Task
	if train.Groups() == nil {
		n, _ := train.Dims()
		m, _ := test.Dims()
		t := cmp.Or(s.Tasks, defaultTasks)
		if s.Order == Vertical || t < 2 || n < t || m < t {
			return nil, fmt.Errorf("protocol: %w: %d and %d rows without groups are cut into %d stretches in their own order; want two at least, each with rows, and no order %q", data.ErrShape, n, m, t, Vertical)
		}
		for i := range t {
			lo, hi := i*n/t, (i+1)*n/t
			tasks = append(tasks, Task{Name: fmt.Sprintf("rows %d to %d", lo+1, hi), Train: train.Slice(lo, hi), Test: test.Slice(i*m/t, (i+1)*m/t)})
		}
		if s.Order == Shuffled && s.Seed > 0 { // seed 0 keeps time's order
			rand.New(rand.NewPCG(s.Seed, 1993)).Shuffle(t, func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		}
	} else {
		order := s.ordered(arrivalsOf(train, func(i int) string { return train.Groups()[i] }))
		g := len(order)
		t := cmp.Or(s.Tasks, g)
		if t < 2 || t > g {
			return nil, fmt.Errorf("protocol: %w: %d domains for %d tasks, want at least two and no more than domains", data.ErrShape, g, t)
		}
		for i := range t {
			own := order[i*g/t : (i+1)*g/t]
			group := func(x *data.Table) func(int) string { return func(i int) string { return x.Groups()[i] } }
			tasks = append(tasks, Task{Name: some(own), Train: pick(train, group(train), own), Test: pick(test, group(test), own)})
		}
	}
	for i := range tasks {
		tasks[i].Classes = arrivalsOf(tasks[i].Train, tasks[i].Train.ClassName).names
	}
	return tasks, nil
}

// pick returns the rows whose name is one of some.
func pick(t *data.Table, name func(i int) string, own []string) *data.Table {
	wanted := map[string]bool{}
	for _, o := range own {
		wanted[o] = true
	}
	n, _ := t.Dims()
	var rows []int
	for i := range n {
		if wanted[name(i)] {
			rows = append(rows, i)
		}
	}
	return t.Pick(rows)
}

// some names a task by what is in it.
func some(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most-1], ", ") + fmt.Sprintf(" and %d more", len(names)-most+1)
}
