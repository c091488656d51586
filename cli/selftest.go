package cli

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

func newSelftestCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "selftest",
		Short: "Check on this machine, in seconds, that sums are exact and that saved models are what was fitted",
		Long: `Selftest checks the laws that everything else stands on, on data that it makes itself: a state does not depend on the order
of rows, on shards or on threads; what is forgotten leaves no trace; covariances agree with a plain computation, also far
from zero; every method that fits from moments survives saving and loading unchanged. It fails with exit code 1.`,
		Example: `  gimbal selftest`,
		Args:    exactly(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return runSelftest(e, cmd.Context()) },
	}
}

func runSelftest(e *env, ctx context.Context) error {
	checks := []struct {
		name string
		run  func(context.Context) error
	}{
		{"order of rows", checkOrder},
		{"shards, merged", checkShards},
		{"rows, forgotten", checkForgotten},
		{"covariance far from zero", checkCovariance},
	}
	for _, s := range e.specs {
		if s.FitsMoments() && s.Needs&moments.Targets == 0 {
			checks = append(checks, struct {
				name string
				run  func(context.Context) error
			}{s.ID() + ", saved and loaded", func(ctx context.Context) error { return checkSaved(ctx, e.specs, s) }})
		}
	}
	l := &listing{columns: columns("check", "result", "seconds")}
	failed := 0
	for _, c := range checks {
		start := time.Now()
		result := "ok"
		if err := c.run(ctx); err != nil {
			if ctx.Err() != nil {
				return err
			}
			result = oneLine(err)
			failed++
		}
		l.add(c.name, result, math.Round(1e3*time.Since(start).Seconds())/1e3)
	}
	if e.json {
		var list []object
		for _, r := range l.rows {
			list = append(list, object{{"check", r[0]}, {"result", r[1]}, {"seconds", r[2]}})
		}
		if err := e.printObject(append(versions(), field{"checks", list})); err != nil {
			return err
		}
	} else {
		var words []string
		for _, f := range versions() {
			words = append(words, f.name+" "+plain(f.value))
		}
		e.say("%s", strings.Join(words, ", "))
		if err := e.print(l); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d checks failed on this machine: do not trust results made here, and please report it", failed, len(checks))
	}
	return nil
}

// selftestRows and selftestColumns are the size of the data: several blocks of the kernels, and a few columns more than a multiple of any vector.
const selftestRows, selftestColumns = 3001, 37

// selftestTable makes rows of three overlapping classes around an offset.
func selftestTable(offset float64) *data.Table {
	r := rand.New(rand.NewPCG(2, 7))
	x, names := make([]float32, selftestRows*selftestColumns), make([]string, selftestRows)
	for i := range names {
		c := r.IntN(3)
		names[i] = fmt.Sprint(c)
		common := r.NormFloat64()
		for j := range selftestColumns {
			x[i*selftestColumns+j] = float32(offset + common + r.NormFloat64() + float64((c*j)%5))
		}
	}
	t, err := data.NewTable(selftestRows, selftestColumns, x)
	if err == nil {
		t, err = t.WithClassNames(names)
	}
	if err != nil {
		panic(err) // finite by construction
	}
	return t
}

func checkOrder(ctx context.Context) error {
	t := selftestTable(0)
	order := rand.New(rand.NewPCG(3, 3)).Perm(selftestRows)
	a, err := moments.FromSource(ctx, t, moments.Options{})
	if err != nil {
		return err
	}
	b, err := moments.FromSource(ctx, t.Pick(order), moments.Options{})
	if err != nil {
		return err
	}
	return sameHash(a, b)
}

func checkShards(ctx context.Context) error {
	t := selftestTable(0)
	whole, err := moments.FromSource(ctx, t, moments.Options{PerClass: true})
	if err != nil {
		return err
	}
	sum := whole.Empty()
	for _, cut := range [][2]int{{1000, 3001}, {0, 7}, {7, 1000}} {
		part := whole.Empty()
		if err := part.Observe(t.Slice(cut[0], cut[1])); err != nil {
			return err
		}
		if err := sum.Merge(part); err != nil {
			return err
		}
	}
	return sameHash(whole, sum)
}

func checkForgotten(ctx context.Context) error {
	t := selftestTable(0)
	whole, err := moments.FromSource(ctx, t, moments.Options{})
	if err != nil {
		return err
	}
	kept := whole.Empty()
	if err := kept.Observe(t.Slice(500, selftestRows)); err != nil {
		return err
	}
	if err := whole.Forget(t.Slice(0, 500)); err != nil {
		return err
	}
	return sameHash(kept, whole)
}

func sameHash(a, b *moments.State) error {
	if x, y := a.Hash(), b.Hash(); x != y {
		return fmt.Errorf("states differ: %.12s… and %.12s…", x, y)
	}
	return nil
}

func checkCovariance(ctx context.Context) error {
	const d = selftestColumns
	t := selftestTable(1e6)
	st, err := moments.FromSource(ctx, t, moments.Options{})
	if err != nil {
		return err
	}
	mean := make([]float64, d)
	for i := range selftestRows {
		for j, v := range t.Row(i) {
			mean[j] += float64(v) / selftestRows
		}
	}
	want := make([]float64, d*d)
	for i := range selftestRows {
		row := t.Row(i)
		for a := range d {
			for b := range d {
				want[a*d+b] += (float64(row[a]) - mean[a]) * (float64(row[b]) - mean[b]) / selftestRows
			}
		}
	}
	for k, v := range st.Covariance() {
		// float32 is spaced by 1/16 at 1e6 and the grid holds those values exactly; the plain sum is good to about 1e-9.
		if math.Abs(v-want[k]) > 1e-7 {
			return fmt.Errorf("covariance of columns %d and %d is %g, plainly computed %g", k/d+1, k%d+1, v, want[k])
		}
	}
	return nil
}

// checkSaved fits, saves, loads and compares all answers, bit by bit.
func checkSaved(ctx context.Context, specs []method.Spec, s method.Spec) error {
	t := selftestTable(0)
	cfg, err := s.Configure(nil)
	if err != nil {
		return err
	}
	m, err := s.FitSource(ctx, cfg, t)
	if err != nil {
		return err
	}
	c, err := method.Save(s, cfg, m)
	if err != nil {
		return err
	}
	_, _, again, err := method.Load(specs, c)
	if err != nil {
		return err
	}
	a, err := answers(m, t)
	if err != nil {
		return err
	}
	b, err := answers(again, t)
	if err != nil {
		return err
	}
	if !slices.Equal(a, b) {
		return fmt.Errorf("the loaded model answers differently")
	}
	return nil
}

// answers are all numbers that a model gives for a table.
func answers(m method.Model, t *data.Table) (all []float64, err error) {
	if v, ok := m.(method.Scorer); ok {
		if all, err = v.Score(t); err != nil {
			return nil, err
		}
	}
	if v, ok := m.(method.Predictor); ok {
		p, err := v.Predict(t)
		if err != nil {
			return nil, err
		}
		for _, x := range p.X() {
			all = append(all, float64(x))
		}
	}
	return all, nil
}
