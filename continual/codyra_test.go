package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func ExampleCoDyRA() {
	// Embeddings of three words, and images of the first two, all of which the untuned model takes for pears.
	names := labelledRows(3, []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}, "fig", "pear", "plum")
	images := labelledRows(3, []float32{4, 6, 0, 5, 6, 0, 1, 6, 0, 1, 5, 0}, "fig", "fig", "pear", "pear")
	m, err := continual.CoDyRA{Rank: 2, Rate: 0.01}.Fit(context.Background(), continual.CoDyRAInput{Train: images, Names: names})
	if err != nil {
		panic(err)
	}
	p, _ := m.Predict(labelledRows(3, []float32{9, 13, 0, 1, 2, 8}, "fig", "plum"))
	fmt.Printf("taught: %s %.2f\n", p.Columns()[0], p.Row(0)[0])
	fmt.Printf("never taught: %s %.2f\n", p.Columns()[2], p.Row(1)[2])
	// Output:
	// taught: fig 1.00
	// never taught: plum 1.00
}

// planted are rows of two classes that the untuned model tells apart the wrong way round, by the first two of d columns; the others are noise.
func planted(d int) (names, rows *data.Table) {
	word, x := make([]float32, 2*d), make([]float32, 40*d)
	word[0], word[d+1] = 1, 1
	classes := make([]string, 40)
	for i := range classes {
		row := x[i*d : (i+1)*d]
		for j := range row {
			row[j] = 0.2 * float32(math.Sin(float64(7*i+13*j)))
		}
		row[i%2] += 1
		classes[i] = []string{"b", "a"}[i%2]
	}
	return labelledRows(d, word, "a", "b"), labelledRows(d, x, classes...)
}

func fitCoDyRA(t *testing.T, c continual.CoDyRA, names, rows *data.Table) *continual.CoDyRAModel {
	t.Helper()
	m, err := c.Fit(t.Context(), continual.CoDyRAInput{Train: rows, Names: names})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCoDyRASparsity: a pull that outweighs everything leaves the zero-shot head, bit for bit; none leaves every direction; between them the
// rank falls while the task is still learned.
func TestCoDyRASparsity(t *testing.T) {
	names, rows := planted(8)
	c := continual.CoDyRA{Rank: 6, Rate: 0.02, Temperature: 0.1, Steps: 300}
	c.Sparsity, c.Start = 1e6, 1e-9
	still := fitCoDyRA(t, c, names, rows)
	if got := still.Ranks(); !slices.Equal(got, [][2]int{{0, 0}}) {
		t.Errorf("ranks %v under a pull of 1e6", got)
	}
	for name, w := range map[string][]float32{"image": nil, "text": nil} {
		w = still.State().Read().Float32s(name, 8, 8)
		for i, v := range w {
			if want := float32(map[bool]int{true: 1}[i%9 == 0]); v != want {
				t.Fatalf("%s: weight %d is %g, want that of the identity, %g", name, i, v, want)
			}
		}
	}
	right := func(m *continual.CoDyRAModel) (n int) {
		p, err := m.Predict(rows)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if best := slices.Index(p.Row(i), slices.Max(p.Row(i))); p.Columns()[best] == rows.ClassName(i) {
				n++
			}
		}
		return n
	}
	if n := right(still); n > 5 {
		t.Errorf("the untuned model has %d of 40 right", n)
	}
	c.Sparsity, c.Start = 1e-30, 0.5
	full := fitCoDyRA(t, c, names, rows)
	if got := full.Ranks(); !slices.Equal(got, [][2]int{{6, 6}}) || right(full) != 40 {
		t.Errorf("without a pull: ranks %v, %d of 40 right", got, right(full))
	}
	c.Sparsity = 0.009
	some := fitCoDyRA(t, c, names, rows)
	if r := some.Ranks()[0]; r[0]+r[1] >= 12 || r[0]+r[1] == 0 || right(some) != 40 {
		t.Errorf("with a pull: ranks %v, %d of 40 right", r, right(some))
	}
	if got := some.Report(); got["image_rank"] != float64(some.Ranks()[0][0]) {
		t.Errorf("report %v, ranks %v", got, some.Ranks())
	}
}

// TestCoDyRARank: what a task adds to a map is a matrix of no higher rank than Ranks says, and Update goes on from it.
func TestCoDyRARank(t *testing.T) {
	names, rows := planted(8)
	first := fitCoDyRA(t, continual.CoDyRA{Rank: 1, Rate: 0.02, Temperature: 0.1}, names, rows)
	next, err := first.Update(t.Context(), labelledRows(8, rows.Row(0), "new"))
	if err != nil {
		t.Fatal(err)
	}
	m := next.(*continual.CoDyRAModel)
	if len(m.Ranks()) != 2 {
		t.Fatalf("ranks %v after two tasks", m.Ranks())
	}
	w := first.State().Read().Float32s("image", 8, 8)
	after := m.State().Read().Float32s("image", 8, 8)
	for _, change := range [][2][]float32{{nil, w}, {w, after}} {
		at := func(i, j int) float64 {
			v := float64(change[1][i*8+j])
			if change[0] != nil {
				return v - float64(change[0][i*8+j])
			}
			if i == j {
				v--
			}
			return v
		}
		for i := range 8 {
			for j := range 8 {
				for k := range 8 {
					for l := range 8 { // all minors of order two
						if minor := at(i, j)*at(k, l) - at(i, l)*at(k, j); math.Abs(minor) > 1e-5 {
							t.Fatalf("a change of rank one has a minor of %g", minor)
						}
					}
				}
			}
		}
	}
}

func TestCoDyRARefuses(t *testing.T) {
	good := labelledRows(2, []float32{1, 0, 0, 1}, "a", "b")
	for what, c := range map[string]struct {
		in   continual.CoDyRAInput
		want error
	}{
		"nothing":        {continual.CoDyRAInput{}, method.ErrInput},
		"a row of zeros": {continual.CoDyRAInput{Train: labelledRows(2, []float32{0, 0, 1, 0}, "a", "b")}, method.ErrDegenerate},
		"wide names":     {continual.CoDyRAInput{Train: good, Names: labelledRows(3, []float32{1, 0, 0}, "a")}, data.ErrShape},
	} {
		if _, err := (continual.CoDyRA{}).Fit(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", what, err, c.want)
		}
	}
}
