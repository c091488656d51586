package protocol_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/protocol"
)

// stars draws rows of k classes, each around an axis of its own, and groups that shift them all.
func stars(t testing.TB, seed uint64, n, k int, groups ...string) *data.Table {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	x, names, of := make([]float32, n*k), make([]string, n), make([]string, n)
	for i := range n {
		c := i % k
		names[i] = fmt.Sprint(c)
		for j := range k {
			x[i*k+j] = float32(0.2 * r.NormFloat64())
		}
		x[i*k+c] += 2
		if len(groups) > 0 {
			of[i] = groups[i*len(groups)/n]
		}
	}
	in, err := data.NewTable(n, k, x)
	if err == nil {
		in, err = in.WithClassNames(names)
	}
	if err == nil && len(groups) > 0 {
		in, err = in.WithGroups(of)
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func split(t testing.TB, s protocol.Scenario, train, test *data.Table) []protocol.Task {
	t.Helper()
	tasks, err := s.Split(train, test)
	if err != nil {
		t.Fatal(err)
	}
	return tasks
}

func sizes(tasks []protocol.Task) (all []int) {
	for _, t := range tasks {
		all = append(all, len(t.Classes))
	}
	return all
}

func TestClassesOfEveryTask(t *testing.T) {
	train, test := stars(t, 1, 120, 10), stars(t, 2, 60, 10)
	for _, c := range []struct {
		s    protocol.Scenario
		name string
		want []int
	}{
		{protocol.Scenario{}, "B0-Inc2", []int{2, 2, 2, 2, 2}},
		{protocol.Scenario{Increment: 5}, "B0-Inc5", []int{5, 5}},
		{protocol.Scenario{First: 4, Increment: 3}, "B4-Inc3", []int{4, 3, 3}},
		{protocol.Scenario{First: 5, Increment: 2}, "B5-Inc2", []int{5, 2, 2, 1}},
		{protocol.Scenario{Tasks: 3}, "B0-Inc4", []int{4, 4, 2}},
		{protocol.Scenario{First: 2, Tasks: 3}, "B2-Inc4", []int{2, 4, 4}},
	} {
		tasks := split(t, c.s, train, test)
		if got := sizes(tasks); !slices.Equal(got, c.want) || c.s.Name(10) != c.name {
			t.Errorf("%+v: %v %s, want %v %s", c.s, got, c.s.Name(10), c.want, c.name)
		}
		seen := map[string]bool{}
		rows := 0
		for _, task := range tasks {
			for _, part := range []*data.Table{task.Train, task.Test} {
				n, _ := part.Dims()
				rows += n
				for i := range n {
					if !slices.Contains(task.Classes, part.ClassName(i)) {
						t.Fatalf("%+v: a row of class %s in the task of %v", c.s, part.ClassName(i), task.Classes)
					}
				}
			}
			for _, class := range task.Classes {
				if seen[class] {
					t.Errorf("%+v: class %s in two tasks", c.s, class)
				}
				seen[class] = true
			}
		}
		if rows != 180 || len(seen) != 10 {
			t.Errorf("%+v: %d rows of %d classes, want all", c.s, rows, len(seen))
		}
	}
}

func TestOrders(t *testing.T) {
	train := stars(t, 1, 100, 10)
	order := func(s protocol.Scenario, in *data.Table) string {
		var all []string
		for _, task := range split(t, s, in, in) {
			all = append(all, task.Classes...)
		}
		return strings.Join(all, " ")
	}
	n, _ := train.Dims()
	rows := rand.New(rand.NewPCG(7, 7)).Perm(n)
	one, two := order(protocol.Scenario{Seed: 1}, train), order(protocol.Scenario{Seed: 2}, train)
	if one == two || one != order(protocol.Scenario{Seed: 1}, train.Pick(rows)) {
		t.Errorf("shuffled orders %q and %q; the second must differ, and that of rows must not matter", one, two)
	}
	if got := order(protocol.Scenario{Order: protocol.Horizontal}, train); got != "0 1 2 3 4 5 6 7 8 9" {
		t.Errorf("as they come: %s", got)
	}
	few := train.Pick(slices.DeleteFunc(slices.Collect(func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}), func(i int) bool { return i%10 < 3 && i > 50 }))
	if got := order(protocol.Scenario{Order: protocol.Vertical, Increment: 7}, few); got != "3 4 5 6 7 8 9 0 1 2" {
		t.Errorf("largest first: %s", got)
	}
}

func TestDomains(t *testing.T) {
	train, test := stars(t, 1, 120, 4, "shop", "bank", "care"), stars(t, 2, 60, 4, "shop", "bank", "care")
	tasks := split(t, protocol.Scenario{Kind: protocol.DomainIncremental, Order: protocol.Horizontal}, train, test)
	if len(tasks) != 3 || tasks[1].Name != "bank" || len(tasks[1].Classes) != 4 {
		t.Errorf("%d tasks, the second %q", len(tasks), tasks[1].Name)
	}
	if n, _ := tasks[2].Test.Dims(); n != 20 {
		t.Errorf("%d rows to test on", n)
	}
	joined := split(t, protocol.Scenario{Kind: protocol.DomainIncremental, Order: protocol.Horizontal, Tasks: 2}, train, test)
	if len(joined) != 2 || joined[1].Name != "bank, care" {
		t.Errorf("two tasks of three domains: %d, %q", len(joined), joined[1].Name)
	}
	plain, other := stars(t, 1, 100, 4), stars(t, 2, 50, 4)
	pieces := split(t, protocol.Scenario{Kind: protocol.DomainIncremental}, plain, other)
	if len(pieces) != 5 || pieces[1].Name != "rows 21 to 40" || !slices.Equal(pieces[1].Train.X(), plain.X()[80:160]) {
		t.Errorf("%d stretches, the second %q", len(pieces), pieces[1].Name)
	}
}

func TestSplitRefuses(t *testing.T) {
	train, test := stars(t, 1, 40, 4), stars(t, 2, 20, 4)
	free, err := data.NewTable(1, 4, make([]float32, 4))
	if err != nil {
		t.Fatal(err)
	}
	domain := protocol.Scenario{Kind: protocol.DomainIncremental}
	for _, c := range []struct {
		s           protocol.Scenario
		train, test *data.Table
		kind        error
		says        string
	}{
		{protocol.Scenario{Kind: "other"}, train, test, method.ErrConfig, "class, domain, task"},
		{protocol.Scenario{Order: "other"}, train, test, method.ErrConfig, "horizontal"},
		{protocol.Scenario{First: -1}, train, test, method.ErrConfig, "-1"},
		{protocol.Scenario{Kind: protocol.DomainIncremental, Increment: 2}, train, test, method.ErrConfig, "domains"},
		{protocol.Scenario{Increment: 4}, train, test, data.ErrShape, "all 4 classes"},
		{protocol.Scenario{}, free, free, data.ErrLabels, "row 1"},
		{protocol.Scenario{}, train, stars(t, 1, 10, 5), data.ErrShape, "5"},
		{protocol.Scenario{Increment: 2}, train.Pick([]int{0, 1, 2}), test, data.ErrLabels, `"3"`},
		{protocol.Scenario{Increment: 2}, train, test.Pick([]int{0, 4}), data.ErrShape, "no rows to test on"},
		{domain, train, stars(t, 1, 20, 4, "a", "b"), data.ErrShape, "groups"},
		{domain, train.Slice(0, 3), test, data.ErrShape, "stretches"},
		{domain, stars(t, 1, 20, 4, "a"), stars(t, 1, 20, 4, "a"), data.ErrShape, "1 domains"},
	} {
		if _, err := c.s.Split(c.train, c.test); !errors.Is(err, c.kind) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%+v: %v, want %v and %q", c.s, err, c.kind, c.says)
		}
	}
}

func spec(t testing.TB, name string) method.Spec {
	t.Helper()
	all := continual.Methods()
	i := slices.IndexFunc(all, func(s method.Spec) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no method %s", name)
	}
	return all[i]
}

func TestMeasure(t *testing.T) {
	train, test := stars(t, 1, 200, 10), stars(t, 2, 100, 10)
	s := spec(t, "prototypes")
	o, err := protocol.Measure(t.Context(), s, s.Config(), split(t, protocol.Scenario{Seed: 3}, train, test), true)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range o.Accuracy {
		for j, a := range row {
			// Before its task no class of it is known, so nothing can be right; afterwards, these classes are far apart.
			if j > i && a != 0 || j <= i && a != 1 {
				t.Errorf("after task %d, on task %d: %v", i+1, j+1, a)
			}
		}
	}
	if e, err := metric.Intransigence([]metric.ContinualRun{o.ContinualRun}); err != nil || e.Value != 0 {
		t.Errorf("intransigence of a learner to which order is nothing: %v, %v", e, err)
	}
	if o.Untrained != nil {
		t.Errorf("chances %v where every task has classes of its own", o.Untrained)
	}
	domain, err := protocol.Measure(t.Context(), s, s.Config(), split(t, protocol.Scenario{Kind: protocol.DomainIncremental}, train, test), false)
	if err != nil || len(domain.Untrained) != 5 || domain.Untrained[0] != 0.1 {
		t.Errorf("chances %v, %v", domain.Untrained, err)
	}
}

// TestTaskIncremental: told the task, a learner cannot confuse it with others. Two classes of different tasks are the same cloud.
func TestTaskIncremental(t *testing.T) {
	twins := func(seed uint64) *data.Table {
		in := stars(t, seed, 120, 2)
		n, _ := in.Dims()
		names := make([]string, n)
		for i := range n {
			names[i] = []string{"a", "b", "c", "d"}[i%2+2*(i/2%2)] // a and c alike, b and d alike
		}
		in, err := in.WithClassNames(names)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	train, test := twins(1), twins(2)
	s := spec(t, "prototypes")
	last := func(kind string) float64 {
		o, err := protocol.Measure(t.Context(), s, s.Config(), split(t, protocol.Scenario{Kind: kind, Order: protocol.Horizontal, Increment: 2}, train, test), false)
		if err != nil {
			t.Fatal(err)
		}
		e, err := metric.LastAccuracy([]metric.ContinualRun{o.ContinualRun})
		if err != nil {
			t.Fatal(err)
		}
		return e.Value
	}
	if a, b := last(protocol.ClassIncremental), last(protocol.TaskIncremental); a > 0.7 || b != 1 {
		t.Errorf("accuracy %.2f, %.2f when the task is told; want about a half, and 1", a, b)
	}
}
