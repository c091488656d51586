package cli

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

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
