package continual_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

func ExampleACIL() {
	ctx := context.Background()
	day1, _ := data.NewTable(4, 2, []float32{1, 0, 3, 1, 0, 1, 1, 5})
	day1, _ = day1.WithClassNames([]string{"apple", "apple", "pear", "pear"})
	day2, _ := data.NewTable(2, 2, []float32{-2, 0, -3, 1})
	day2, _ = day2.WithClassNames([]string{"plum", "plum"})
	m, err := continual.ACIL{}.Fit(ctx, day1)
	if err != nil {
		panic(err)
	}
	updated, err := m.Update(ctx, day2)
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(3, 2, []float32{4, 0, 0, 4, -3, 0})
	p, _ := updated.(method.Predictor).Predict(query)
	for i := range 3 {
		fmt.Printf("%.2f\n", p.Row(i))
	}
	// Output:
	// [1.00 0.00 0.00]
	// [0.00 1.00 0.00]
	// [0.00 0.00 1.00]
}

// normalEquations solves (XᵀX/N + λI)·W = XᵀY/N about the means by elimination, and returns fitted values of query rows: N×K.
func normalEquations(x [][]float64, labels []int, k int, share float64, query [][]float64) [][]float64 {
	n, d := len(x), len(x[0])
	mean := make([]float64, d)
	for _, row := range x {
		for j, v := range row {
			mean[j] += v / float64(n)
		}
	}
	prior := make([]float64, k)
	for _, c := range labels {
		prior[c] += 1 / float64(n)
	}
	a := make([][]float64, d) // D×(D+K)
	trace := 0.0
	for i := range a {
		a[i] = make([]float64, d+k)
		for r, row := range x {
			for j := range d {
				a[i][j] += (row[i] - mean[i]) * (row[j] - mean[j]) / float64(n)
			}
			for c := range k {
				y := -prior[c]
				if labels[r] == c {
					y++
				}
				a[i][d+c] += (row[i] - mean[i]) * y / float64(n)
			}
		}
		trace += a[i][i]
	}
	for i := range a {
		a[i][i] += share * trace / float64(d)
	}
	for i := range a {
		for r := range a {
			if r == i {
				continue
			}
			f := a[r][i] / a[i][i]
			for j := range a[r] {
				a[r][j] -= f * a[i][j]
			}
		}
	}
	var out [][]float64
	for _, row := range query {
		z := append([]float64(nil), prior...)
		for j, v := range row {
			for c := range k {
				z[c] += (v - mean[j]) * a[j][d+c] / a[j][j]
			}
		}
		out = append(out, z)
	}
	return out
}

// gridded returns a table whose values are multiples of 2^-8, which every grid here holds exactly.
func gridded(t testing.TB, in *data.Table) *data.Table {
	n, d := in.Dims()
	x, names := make([]float32, n*d), make([]string, n)
	for i, v := range in.X() {
		x[i] = float32(math.Round(float64(v)*256) / 256)
	}
	for i := range n {
		names[i] = in.ClassName(i)
	}
	return table(t, names, x...)
}

func wide(in *data.Table) (x [][]float64) {
	n, _ := in.Dims()
	for i := range n {
		var row []float64
		for _, v := range in.Row(i) {
			row = append(row, float64(v))
		}
		x = append(x, row)
	}
	return x
}

func TestACILEqualsTheJointSolutionInAnyOrder(t *testing.T) {
	all, query := gridded(t, rows(t, 1, 400, 9, 5)), gridded(t, rows(t, 2, 100, 9, 5))
	labels, err := all.Labels()
	if err != nil {
		t.Fatal(err)
	}
	want := normalEquations(wide(all), labels, 5, 0.01, wide(query))
	whole, err := moments.FromSource(t.Context(), all, moments.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(4, 4))
	hashes := map[string]bool{}
	for range 5 {
		tasks := []*data.Table{byClass(all, "0", "2"), byClass(all, "1"), byClass(all, "3").Slice(0, 9), byClass(all, "4"), byClass(all, "3")}
		n, _ := tasks[4].Dims()
		tasks[4] = tasks[4].Slice(9, n)
		r.Shuffle(len(tasks), func(i, j int) { tasks[i], tasks[j] = tasks[j], tasks[i] })
		first, err := moments.FromSource(t.Context(), tasks[0], moments.Options{Like: whole})
		if err != nil {
			t.Fatal(err)
		}
		var m method.Model
		if m, err = (continual.ACIL{Ridge: 0.01, Temperature: 1}).FitMoments(first); err != nil {
			t.Fatal(err)
		}
		for _, task := range tasks[1:] {
			if m, err = m.(method.Updater).Update(t.Context(), task); err != nil {
				t.Fatal(err)
			}
		}
		hashes[hash(t, m)] = true
		z, err := m.(method.Logiter).Logits(query)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			for c, v := range z.Row(i) { // a float32 near 1 has steps of 6e-8; before that step both agree to 1e-8
				if math.Abs(float64(v)-want[i][c]) > 1e-8+math.Abs(want[i][c])*0x1p-24 {
					t.Fatalf("row %d, class %d: %.10f, the joint solution %.10f", i, c, v, want[i][c])
				}
			}
		}
	}
	if len(hashes) != 1 {
		t.Errorf("%d different states of the same rows", len(hashes))
	}
}

// forgets checks that rows that were learned and forgotten leave the bytes of a fit that never saw them.
func forgets(t *testing.T, fit func(*data.Table) (method.Model, error)) {
	t.Helper()
	old, more := rows(t, 4, 200, 5, 3), rows(t, 5, 60, 5, 6)
	m, err := fit(old)
	if err != nil {
		t.Fatal(err)
	}
	next, err := m.(method.Updater).Update(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	if hash(t, next) == hash(t, m) {
		t.Error("an update changes nothing")
	}
	back, err := next.(method.Forgetter).Forget(t.Context(), more)
	if err != nil {
		t.Fatal(err)
	}
	if hash(t, back) != hash(t, m) {
		t.Error("rows leave a trace after they are forgotten")
	}
	a, b := predict(t, m.(method.Predictor), more), predict(t, back.(method.Predictor), more)
	for i, v := range a.X() {
		if v != b.X()[i] {
			t.Fatal("what forgot predicts otherwise than what never saw")
		}
	}
}

func TestACILForgets(t *testing.T) {
	forgets(t, func(in *data.Table) (method.Model, error) { return continual.ACIL{}.Fit(t.Context(), in) })
}
