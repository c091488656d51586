package guard

import (
	"context"
	"errors"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
)

// Change is one change to a guard: of its false-alarm rate, or by rows that it learns or forgets.
type Change struct {
	Rows   *data.Table // labelled as they are to be learned, or as they were
	Teach  bool        // learn them all: none is spared for calibration
	Forget bool        // forget them instead
	Alpha  float64     // not 0: the new false-alarm rate
}

// Update learns more labelled rows, of known classes or of new ones, and returns the new guard. Rows are split as in Fit, but
// a class that has fewer than 20 rows so far spares none for calibration, and with teach no class does.
func (g *Guard) Update(ctx context.Context, rows *data.Table, teach bool) (*Guard, error) {
	u, errs := g.Apply(ctx, []Change{{Rows: rows, Teach: teach}})
	return u, errs[0]
}

// Forget returns the guard that never saw the given rows, with their labels: its hash is that of a fit like this one on what is left.
// Errors: ErrShape, with nothing changed, when the rows were never learned.
func (g *Guard) Forget(ctx context.Context, rows *data.Table) (*Guard, error) {
	u, errs := g.Apply(ctx, []Change{{Rows: rows, Forget: true}})
	return u, errs[0]
}

// Apply makes the changes in their order and returns the new guard: what one change after the other gives, fitted once for all of
// them, which for many small changes is most of the work. A change that is refused leaves no trace, and its error, those of Update,
// Forget and WithAlpha, stands at its place; the guard is nil when all were refused.
func (g *Guard) Apply(ctx context.Context, changes []Change) (*Guard, []error) {
	u, errs := g.clone(), make([]error, len(changes))
	made := 0
	for i, c := range changes {
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = u.change(c)
		}
		if errs[i] == nil {
			made++
		} else {
			errs[i] = fmt.Errorf("guard: %w", errs[i])
		}
	}
	if made == 0 {
		return nil, errs
	}
	err := u.refit()
	switch {
	case err == nil:
		return u, errs
	case len(changes) == 1:
		return nil, []error{fmt.Errorf("guard: %w", err)}
	}
	last := g // one of them cannot be fitted: find out which
	for i := range changes {
		next, one := last.Apply(ctx, changes[i:i+1])
		if errs[i] = one[0]; next != nil {
			last = next
		}
	}
	if last == g {
		return nil, errs
	}
	return last, errs
}

// change makes one change on g itself, all of it or nothing, and leaves the fit to be done.
func (g *Guard) change(c Change) error {
	before := g.frame.Alpha
	if c.Alpha != 0 {
		if err := enough(g.kept.rows(), c.Alpha); err != nil {
			return err
		}
		g.frame.Alpha = c.Alpha
	}
	var err error
	switch {
	case c.Rows == nil:
	case c.Forget:
		err = g.forgetRows(c.Rows)
	default:
		err = g.learnRows(c.Rows, c.Teach)
	}
	if err != nil {
		g.frame.Alpha = before
	}
	return err
}

func (g *Guard) learnRows(rows *data.Table, teach bool) error {
	counts := map[string]int{}
	n, _ := rows.Dims()
	for i := range n {
		counts[rows.ClassName(i)]++
	}
	taught := map[string]bool{}
	for name, count := range counts {
		taught[name] = teach || count+g.state.Count(name) < taughtBelow
	}
	if g.kept.rows()+n <= calibrationMost {
		return g.learn(rows, taught)
	}
	u := g.clone() // settling may fail half-way
	if err := u.learn(rows, taught); err != nil {
		return err
	}
	if err := u.settle(); err != nil {
		return err
	}
	*g = *u
	return nil
}

func (g *Guard) forgetRows(rows *data.Table) error {
	kept := g.kept.clone()
	n, _ := rows.Dims()
	var model []int
	for i := range n {
		if !kept.remove(rows.Row(i), rows.ClassName(i)) {
			model = append(model, i)
		}
	}
	gone := rows.Pick(model)
	if err := g.state.Forget(gone); err != nil { // rows that are not there: said first, for it is the plainer reason
		return err
	}
	if err := enough(kept.rows(), g.frame.Alpha); err != nil {
		return errors.Join(err, g.state.Observe(gone)) // which leads back to the byte
	}
	g.kept = kept
	return nil
}
