package methodtest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/moments"
)

// checkDeterministic: the same input gives the same bits, again, on any number of threads, and from a stream of blocks.
func checkDeterministic(t *T) {
	small := toys(t.Spec)[1]
	large := toyOf(t.Spec, "2000 rows", recipe{seed: 4, d: 6, classes: uneven.classes, counts: []int{1200, 600, 200}, apart: 2, stretch: 0.3})
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, y := range []toy{small, large} {
		runtime.GOMAXPROCS(1)
		want := t.observe(t.Spec.Config(), y)
		for range 3 { // iteration over a map differs from run to run
			if d := difference(t.observe(t.Spec.Config(), y), want, 0); d != "" {
				t.Errorf("%s: done again: %s", y.name, d)
				return
			}
		}
		runtime.GOMAXPROCS(8)
		if d := difference(t.observe(t.Spec.Config(), y), want, 0); d != "" {
			t.Errorf("%s: on 8 threads instead of 1: %s", y.name, d)
			return
		}
		if !learnsTables(t.Spec) || len(t.Spec.Inputs) != 1 {
			continue
		}
		train := y.in[t.Spec.Inputs[0].Name].(*data.Table)
		m, err := t.Spec.FitSource(t.ctx, t.Spec.Config(), blocks{train, 37})
		if err != nil {
			t.Errorf("%s: from a stream: %v", y.name, err)
		} else if d := difference(t.use(m, y), want, 0); d != "" {
			t.Errorf("%s: from a stream of blocks instead of a table: %s", y.name, d)
		}
	}
}

// blocks is a table handed out in blocks of a few rows; each knows only the classes met so far, as a file's would.
type blocks struct {
	t    *data.Table
	rows int
}

// Blocks hands out the rows.
func (b blocks) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		n, _ := b.t.Dims()
		known := 0
		for i := 0; i < n; i += b.rows {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			block := b.t.Slice(i, min(i+b.rows, n))
			if block.HasLabels() {
				labels := must(block.Labels())
				known = max(known, slices.Max(labels)+1)
				block = must(block.WithLabels(labels, b.t.Classes()[:known]))
			}
			if !yield(block, nil) {
				return
			}
		}
	}
}

// Replayable is true.
func (b blocks) Replayable() bool { return true }

// checkInputUntouched: nothing that is handed to the method is changed, and its State is a copy.
func checkInputUntouched(t *T) {
	for _, y := range toys(t.Spec) {
		before := map[string]string{}
		each := func(f func(name string, v data.Value)) {
			for name, v := range y.in {
				f("input "+name, v)
			}
			if t.Spec.Learns() {
				f("the asked rows", y.query)
				f("the new task", y.task)
			}
		}
		each(func(name string, v data.Value) { before[name] = digest(v) })
		t.observe(t.Spec.Config(), y)
		each(func(name string, v data.Value) {
			if digest(v) != before[name] {
				t.Errorf("%s: %s was changed", y.name, name)
			}
		})
		if t.Spec.FitsMoments() {
			st := t.momentsOf(y.in, nil)
			hash := st.Hash()
			if _, err := t.Spec.FitMoments(t.Spec.Config(), st); err == nil && st.Hash() != hash {
				t.Errorf("%s: the moments state was changed", y.name)
			}
		}
	}
	if !t.Spec.Learns() {
		return
	}
	m := t.mustFit(toys(t.Spec)[0].in)
	before := t.stateOf(m)
	st := m.State()
	clear(st.Tensors)
	clear(st.Meta)
	if d := t.stateOf(m).differs(before, 0); d != "" {
		t.Errorf("State hands out the model's own maps: after they are emptied: %s", d)
	}
}

// checkConfigUntouched: the configuration is the same after use. It is passed by value, but a list in it is shared.
func checkConfigUntouched(t *T) {
	flags := map[string]string{}
	for _, p := range t.Spec.Params {
		for _, text := range alternatives(t.Spec, p) {
			if strings.HasPrefix(p.Type, "[]") {
				flags[p.Name] = text // the last one that is legal: unsorted where any is
			}
		}
	}
	cfg, err := t.Spec.Configure(flags)
	if err != nil {
		t.Fatalf("configuration %v: %v", flags, err)
	}
	before := must(t.Spec.MarshalConfig(cfg))
	for _, y := range toys(t.Spec) {
		t.observe(cfg, y)
		if after := must(t.Spec.MarshalConfig(cfg)); string(after) != string(before) {
			t.Errorf("%s: the configuration was %s and is %s", y.name, before, after)
			return
		}
	}
}

// checkRowsIndependent: a row's answer does not depend on the rows beside it.
func checkRowsIndependent(t *T) {
	ask := t.answerRows(t.queries(uneven.of(t.Spec)))
	in := t.queries(uneven.of(t.Spec).with(9, 200)) // 600 rows: more than the blocks that kernels work in
	whole := ask(in)
	for _, a := range whole {
		if a.err != nil {
			t.Errorf("%s: %v", a.verb, a.err)
			return
		}
	}
	n := whole[0].rows
	var backwards []int
	for i := n - 1; i >= 0; i-- {
		backwards = append(backwards, i)
	}
	compare := func(what string, rows []int) bool {
		some := ask(eachTable(in, func(x *data.Table) *data.Table { return x.Pick(rows) }))
		for k, a := range some {
			want := whole[k]
			want.rows, want.values = len(rows), nil
			for _, i := range rows {
				want.values = append(want.values, whole[k].row(i)...)
			}
			// Another batch may take another path through the kernels: the last bits may differ, nothing more.
			if d := a.differs(want, 1e-12); d != "" {
				t.Errorf("%s: %s: %s", what, a.verb, d)
				return false
			}
		}
		return true
	}
	ok := compare("rows in reverse", backwards) && compare("the first 7 rows of 600", backwards[n-7:]) && compare("257 rows of 600", backwards[100:357])
	for i := 0; ok && i < n; i += 29 {
		ok = compare(fmt.Sprintf("row %d of 600 alone", i+1), []int{i})
	}
}

// checkRowOrder: the order of the training rows changes nothing: no bit where moments are all that is kept, rounding elsewhere.
func checkRowOrder(t *T) {
	for _, y := range toys(t.Spec) {
		want := t.observe(t.Spec.Config(), y)
		shuffled := y
		shuffled.in = eachTable(y.in, func(x *data.Table) *data.Table {
			n, _ := x.Dims()
			return x.Pick(rand.New(rand.NewPCG(uint64(n), 5)).Perm(n)) // the same order for all inputs of a bundle
		})
		have := t.observe(t.Spec.Config(), shuffled)
		tolerance := 0.0
		if !t.Spec.FitsMoments() {
			have, want, tolerance = withoutStates(have), withoutStates(want), 1e-9
		}
		if t.Spec.Can("forget") { // what is forgotten must be the same rows
			have, want = without(have, "forget"), without(want, "forget")
		}
		if d := difference(have, want, tolerance); d != "" {
			t.Errorf("%s: training rows shuffled: %s", y.name, d)
		}
	}
}

// checkClassNames: classes are known by their names, not by the numbers that a table happens to give them.
func checkClassNames(t *T) {
	for _, y := range toys(t.Spec) {
		other := y
		other.in = eachTable(y.in, renumber)
		other.query, other.task = renumber(y.query), renumber(y.task)
		have, want := withoutStates(t.observe(t.Spec.Config(), other)), withoutStates(t.observe(t.Spec.Config(), y))
		if d := difference(byName(have), byName(want), 1e-9); d != "" {
			t.Errorf("%s: classes numbered in another order: %s", y.name, d)
		}
	}
}

// renumber gives a table's classes other numbers, and numbers one more class that no row has.
func renumber(x *data.Table) *data.Table {
	if !x.HasLabels() {
		return x
	}
	classes := x.Classes()
	k := len(classes)
	names := []string{"yak"}
	for c := range k {
		names = append(names, classes[k-1-c])
	}
	labels := slices.Clone(must(x.Labels()))
	for i, c := range labels {
		if c != data.Unknown {
			labels[i] = k - c
		}
	}
	return must(x.WithLabels(labels, names))
}

// byName sorts the columns of answers by their names.
func byName(as []answer) []answer {
	as = slices.Clone(as)
	for k, a := range as {
		if a.columns == nil {
			continue
		}
		names := slices.Clone(a.columns)
		slices.Sort(names)
		values := make([]float64, 0, len(a.values))
		for i := range a.rows {
			for _, name := range names {
				values = append(values, a.row(i)[slices.Index(a.columns, name)])
			}
		}
		as[k].columns, as[k].values = names, values
	}
	return as
}

// checkFarFromZero: with a million added to every value the answers stay. All values are multiples of 1/16, which float32 holds
// exactly there, so nothing but the method's own arithmetic can differ.
func checkFarFromZero(t *T) {
	for _, r := range []recipe{separable, uneven} {
		near := withoutStates(t.observe(t.Spec.Config(), toyOf(t.Spec, "", r)))
		r.shift = far
		away := withoutStates(t.observe(t.Spec.Config(), toyOf(t.Spec, "", r)))
		// 1e-6: a million of float64's roundings, where naive sums of squares lose all digits.
		if d := difference(away, near, 1e-6); d != "" {
			t.Errorf("after adding %g to every value: %s", float64(far), d)
			return
		}
	}
}

// momentsOf is the moments state of a bundle's table.
func (t *T) momentsOf(in data.Bundle, like *moments.State) *moments.State {
	o := t.Spec.Needs.Options()
	o.Like = like
	st, err := moments.FromSource(t.ctx, in[t.Spec.Inputs[0].Name].(*data.Table), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return st
}

// checkMerge: shards merged in any order, and rows added and forgotten again, give the bits of one pass.
func checkMerge(t *T) { mergeLaw(t, (*moments.State).Merge) }

func mergeLaw(t *T, merge func(into, from *moments.State) error) {
	for _, y := range toys(t.Spec) {
		whole := t.momentsOf(y.in, nil)
		fitted := func(what string, st *moments.State) []answer {
			m, err := t.Spec.FitMoments(t.Spec.Config(), st)
			if err != nil {
				t.Fatalf("%s: %s: %v", y.name, what, err)
			}
			return append([]answer{t.stateOf(m)}, t.ask(m, y.query)...)
		}
		want := fitted("whole", whole.Clone())
		train := y.in[t.Spec.Inputs[0].Name].(*data.Table)
		n, _ := train.Dims()
		cuts := []int{0, 1, n / 4, n/4 + 2, n}
		for _, order := range [][]int{{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 3, 1}} {
			sum := whole.Empty()
			for _, k := range order {
				shard := train.Slice(cuts[k], cuts[k+1])
				st := t.momentsOf(data.Bundle{t.Spec.Inputs[0].Name: shard}, whole)
				for _, other := range []*moments.State{st, whole.Empty()} { // an empty state is neutral
					if err := merge(sum, other); err != nil {
						t.Fatalf("%s: merge: %v", y.name, err)
					}
				}
			}
			if d := difference(fitted("merged", sum), want, 0); d != "" {
				t.Errorf("%s: shards merged in the order %v: %s", y.name, order, d)
			}
		}
		again := whole.Clone()
		if err := again.Observe(y.task); err != nil {
			t.Fatalf("%s: more rows: %v", y.name, err)
		}
		if err := again.Forget(y.task); err != nil {
			t.Fatalf("%s: forget them: %v", y.name, err)
		}
		if d := difference(fitted("forgotten", again), want, 0); d != "" {
			t.Errorf("%s: rows added and forgotten: %s", y.name, d)
		}
	}
}

// without drops the answers of a verb and of what came after it.
func without(as []answer, verb string) []answer {
	return slices.DeleteFunc(slices.Clone(as), func(a answer) bool { return len(a.verb) >= len(verb) && a.verb[:len(verb)] == verb })
}
