package methodtest

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// checkConcurrent: many goroutines may use one model, or one map, at once: each gets what it would get alone, and the
// model stays what it was.
func checkConcurrent(t *T) {
	const users, rounds = 8, 25
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0))))
	worlds := make([]toy, users)
	for k := range worlds {
		worlds[k] = toyOf(t.Spec, fmt.Sprint("user ", k+1), uneven.with(uint64(50+k), 20))
	}
	cfg := t.Spec.Config()
	ask := func(t *T, y toy) []answer { return t.apply(cfg, y.in) }
	check := func() {}
	if t.Spec.Learns() {
		m := t.mustFit(toys(t.Spec)[1].in)
		before := t.stateOf(m)
		ask = func(t *T, y toy) []answer {
			if !learnsTables(t.Spec) {
				return []answer{t.stateOf(m)}
			}
			return append(t.ask(m, y.query), t.stateOf(m))
		}
		check = func() {
			if d := t.stateOf(m).differs(before, 0); d != "" {
				t.Errorf("the model's state changed by use: %s", d)
			}
		}
	}
	want := make([][]answer, users)
	for k, y := range worlds {
		want[k] = ask(t, y)
	}
	var all sync.WaitGroup
	found := make([]*T, users)
	for k, y := range worlds {
		found[k] = newT(t.Spec)
		all.Go(func() {
			found[k].guard(func(t *T) {
				for range rounds {
					if d := difference(ask(t, y), want[k], 0); d != "" {
						t.Errorf("one of %d goroutines that use it at once: %s", users, d)
						return
					}
				}
			})
		})
	}
	all.Wait()
	for _, f := range found {
		if len(f.failures) > 0 {
			t.Errorf("%s", f.failures[0])
			break
		}
	}
	check()
}

// checkUpdate: a new task makes a new model that knows it, beside the old classes; the old model stays what it was.
func checkUpdate(t *T) {
	for k, y := range toys(t.Spec) {
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), y.in)
		if err != nil {
			continue
		}
		before := append([]answer{t.stateOf(m)}, t.ask(m, y.query)...)
		next, err := m.(method.Updater).Update(t.ctx, y.task)
		if err != nil {
			t.Errorf("%s: update: %v", y.name, err)
			continue
		}
		if d := difference(append([]answer{t.stateOf(m)}, t.ask(m, y.query)...), before, 0); d != "" {
			t.Errorf("%s: update changed the old model: %s", y.name, d)
		}
		if t.stateOf(next).text == before[0].text {
			t.Errorf("%s: update learned nothing: the state is the same", y.name)
		}
		p, ok := next.(method.Predictor)
		if !ok {
			continue
		}
		classes := append(append([]string{}, y.query.Classes()...), y.task.Classes()...)
		t.checkProbabilities(y.name+": after update", p, y.query, classes)
		if k > 0 { // only the first toy's classes lie apart
			continue
		}
		for i, q := range []*data.Table{y.query, y.task} {
			what := []string{"old", "new"}[i]
			n, _ := q.Dims()
			out, err := p.Predict(q)
			a := t.tableAnswer("predict", n, out, err)
			if err != nil {
				t.Errorf("%s: after update: predict: %v", y.name, err)
			} else if acc := accuracy(a, must(q.Labels()), q.Classes()); acc < 0.9 {
				t.Errorf("%s: after update: accuracy %.2f on the %s classes, want 0.9", y.name, acc, what)
			}
		}
	}
}

// checkForget: forgetting what an update taught gives the state before it, to the bit; the old model stays what it was;
// what was never learned cannot be forgotten.
func checkForget(t *T) {
	for _, y := range toys(t.Spec) {
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), y.in)
		if err != nil {
			continue
		}
		before := append([]answer{t.stateOf(m)}, t.ask(m, y.query)...)
		_, err = m.(method.Forgetter).Forget(t.ctx, y.task)
		if err == nil {
			t.Errorf("%s: rows of classes that were never learned were forgotten without an error", y.name)
		} else if bad := unlawfulError(err); bad != "" {
			t.Errorf("%s: forget rows of classes that were never learned: %s", y.name, bad)
		}
		gone, err := m.(method.Forgetter).Forget(t.ctx, part(y))
		if err != nil {
			t.Errorf("%s: forget some of the rows: %v", y.name, err)
		} else if t.stateOf(gone).text == before[0].text {
			t.Errorf("%s: forget changed nothing: the state is the same", y.name)
		}
		if d := difference(append([]answer{t.stateOf(m)}, t.ask(m, y.query)...), before, 0); d != "" {
			t.Errorf("%s: forget changed the old model: %s", y.name, d)
		}
		u, ok := m.(method.Updater)
		if !ok {
			continue
		}
		for i, task := range []*data.Table{y.task, y.query} {
			what := []string{"a task of new classes", "more rows of the old classes"}[i]
			next, err := u.Update(t.ctx, task)
			if err != nil {
				t.Errorf("%s: update with %s: %v", y.name, what, err)
				continue
			}
			back, err := next.(method.Forgetter).Forget(t.ctx, task)
			if err != nil {
				t.Errorf("%s: forget %s after update: %v", y.name, what, err)
			} else if d := difference(append([]answer{t.stateOf(back)}, t.ask(back, y.query)...), before, 0); d != "" {
				t.Errorf("%s: update with %s, then forget: %s", y.name, what, d)
			}
		}
	}
}
