package protocol

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

// recaller is a model that is made of exact sums alone, over rows as a fixed map shows them.
type recaller interface {
	Memory() *moments.State
	Lift(in *data.Table) (*data.Table, error)
	Recall(sums *moments.State) (method.Model, error)
}

// entry is what a ledger keeps apart: "" where it does not.
type entry struct {
	Class string `json:"class"`
	Group string `json:"group"`
}

// ledger holds the sums of every class or group by itself: they add up to the model's.
type ledger map[entry]*moments.State

func (l ledger) clone() ledger {
	return maps.Clone(l) // sums are never changed, only replaced
}

// add puts a task's rows into their entries.
func (l ledger) add(m recaller, by []string, task *data.Table) error {
	n, _ := task.Dims()
	if slices.Contains(by, "group") && task.Groups() == nil {
		return fmt.Errorf("protocol: %w: the ledger is by group, and the rows have none (name the column with --group)", data.ErrShape)
	}
	rows := map[entry][]int{}
	for i := range n {
		e := entry{}
		if slices.Contains(by, "class") {
			e.Class = task.ClassName(i)
		}
		if slices.Contains(by, "group") {
			e.Group = task.Groups()[i]
		}
		rows[e] = append(rows[e], i)
	}
	frame := m.Memory()
	for _, e := range sortedEntries(rows) {
		own, err := m.Lift(task.Pick(rows[e]))
		if err != nil {
			return err
		}
		sums := frame.Empty()
		if err := sums.Observe(own); err != nil {
			return err
		}
		if old := l[e]; old != nil {
			if err := sums.Merge(old); err != nil {
				return err
			}
		}
		l[e] = sums
	}
	return nil
}

func sortedEntries[V any](m map[entry]V) []entry {
	return slices.SortedFunc(maps.Keys(m), func(a, b entry) int {
		return slices.CompareFunc([]string{a.Class, a.Group}, []string{b.Class, b.Group}, data.CompareClasses)
	})
}

// without parts entries into those that are to go and those that stay.
func (l ledger) without(gone func(entry) bool) (stay ledger, sums []*moments.State) {
	stay = ledger{}
	for _, e := range sortedEntries(l) {
		if gone(e) {
			sums = append(sums, l[e])
		} else {
			stay[e] = l[e]
		}
	}
	return stay, sums
}

// ForgetRows returns the run whose model never saw the given rows, to the byte. Copies of them among the test rows go too.
// With a ledger, its entries forget them as well. Errors: ErrForget with the method's reason; ErrShape for rows that were never learned.
func (r *Run) ForgetRows(ctx context.Context, rows *data.Table) (*Run, error) {
	if err := r.check(rows, nil); err != nil {
		return nil, err
	}
	f, ok := r.model.(method.Forgetter)
	if !ok {
		return nil, fmt.Errorf("%s: %w: %s", r.spec.ID(), ErrForget, WhyNot(r.spec))
	}
	m, err := f.Forget(ctx, rows)
	if err != nil {
		return nil, r.spec.Wrap(err)
	}
	next := r.clone(m)
	n, _ := rows.Dims()
	if next.ledger != nil {
		only := ledger{}
		if err := only.add(r.model.(recaller), r.options.Ledger, rows); err != nil {
			return nil, err
		}
		for _, e := range sortedEntries(only) {
			if r.ledger[e] == nil {
				return nil, fmt.Errorf("protocol: %w: rows of class %q, group %q were never learned", data.ErrShape, e.Class, e.Group)
			}
			left := r.ledger[e].Clone()
			if err := left.Subtract(only[e]); err != nil {
				return nil, err
			}
			if next.ledger[e] = left; left.Rows() == 0 {
				delete(next.ledger, e)
			}
		}
	}
	gone := map[string]bool{}
	key := func(t *data.Table, i int) string { return fmt.Sprintf("%q %x", t.ClassName(i), t.Row(i)) }
	for i := range n {
		gone[key(rows, i)] = true
	}
	return next.forgotten(ctx, r, Stage{Name: "rows", Rows: n}, func(t *data.Table, i int) bool { return gone[key(t, i)] })
}

// ForgetClass returns the run whose model never saw a class, to the byte; its test rows go too. It needs sums for each class:
// those of the method, or a ledger. Errors: ErrForget with what to do instead; ErrLabels for a class that is not known.
func (r *Run) ForgetClass(ctx context.Context, name string) (*Run, error) {
	if !slices.Contains(r.Classes(), name) {
		return nil, fmt.Errorf("protocol: class %q: %w that the run knows, have %s", name, data.ErrLabels, some(r.Classes()))
	}
	return r.forgetNamed(ctx, "class", name, func(t *data.Table, i int) bool { return t.ClassName(i) == name }, func(e entry) bool { return e.Class == name })
}

// ForgetGroup returns the run whose model never saw the rows of a group, a customer's say, to the byte; its test rows go too where they
// have groups. It needs a ledger by group. Errors: ErrForget with what to do instead.
func (r *Run) ForgetGroup(ctx context.Context, name string) (*Run, error) {
	return r.forgetNamed(ctx, "group", name, func(t *data.Table, i int) bool { return t.Groups() != nil && t.Groups()[i] == name }, func(e entry) bool { return e.Group == name })
}

func (r *Run) forgetNamed(ctx context.Context, by, name string, test func(*data.Table, int) bool, gone func(entry) bool) (*Run, error) {
	m, ok := r.model.(recaller)
	if !ok {
		why := WhyNot(r.spec)
		if r.spec.Can("forget") {
			why = fmt.Sprintf("it keeps no sums of a %s by itself; give the rows with --rows", by)
		}
		return nil, fmt.Errorf("%s: %w: %s", r.spec.ID(), ErrForget, why)
	}
	sums := m.Memory()
	stay := r.ledger
	var parts []*moments.State
	switch {
	case r.ledger != nil && slices.Contains(r.options.Ledger, by):
		if stay, parts = r.ledger.without(gone); len(parts) == 0 {
			return nil, fmt.Errorf("protocol: %w: no row of the %s %q was learned", data.ErrShape, by, name)
		}
	case by == "class" && sums.PerClass() && r.ledger == nil:
		own, err := sums.Only(name)
		if err != nil {
			return nil, err
		}
		parts = []*moments.State{own}
	default:
		return nil, fmt.Errorf("%s: %w: the run keeps no sums for each %s; give the rows with --rows, or begin a run with --ledger %s", r.spec.ID(), ErrForget, by, by)
	}
	for _, p := range parts {
		if err := sums.Subtract(p); err != nil {
			return nil, err
		}
	}
	if sums.Rows() == 0 {
		return nil, fmt.Errorf("protocol: %w: no row is left without the %s %q; remove the state instead", data.ErrShape, by, name)
	}
	after, err := m.Recall(sums)
	if err != nil {
		return nil, err
	}
	next := r.clone(after)
	next.ledger = stay
	return next.forgotten(ctx, r, Stage{Name: by + " " + name}, test)
}

// forgotten ends a forgetting: what is to go of the test rows goes, with those of classes that no row is left of.
func (r *Run) forgotten(ctx context.Context, before *Run, s Stage, gone func(t *data.Table, i int) bool) (*Run, error) {
	s.Forgot = true
	left := r.Classes()
	for _, c := range before.Classes() {
		if !slices.Contains(left, c) {
			s.Gone = append(s.Gone, c)
		}
	}
	for i, t := range r.tests {
		n, _ := t.Dims()
		var keep []int
		for k := range n {
			if !gone(t, k) && !slices.Contains(s.Gone, t.ClassName(k)) {
				keep = append(keep, k)
			}
		}
		switch len(keep) {
		case n:
		case 0:
			delete(r.tests, i)
		default:
			r.tests[i] = t.Pick(keep)
		}
	}
	r.history = append(r.history, s)
	return r, r.measure(ctx)
}

// WhyNot says why a method has no verb forget: what its documentation gives as the reason.
func WhyNot(s method.Spec) string {
	h, err := s.Help()
	if err == nil {
		for line := range strings.Lines(h.Doc) {
			if why, ok := strings.CutPrefix(line, "Forget:"); ok {
				if why, ok = strings.CutPrefix(strings.TrimSpace(why), "no: "); ok {
					return strings.TrimSuffix(why, ".")
				}
			}
		}
	}
	return "its model does not say which row left what in it"
}
