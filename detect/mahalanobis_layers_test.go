package detect_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/detect"
	"github.com/gimbal-ml/gimbal/method"
)

func fitMahalanobis(t testing.TB, c detect.Mahalanobis, train *data.Table) *detect.MahalanobisModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// columns cuts columns from to to−1 out of a table.
func columns(t testing.TB, in *data.Table, from, to int) *data.Table {
	t.Helper()
	n, _ := in.Dims()
	var x []float32
	for i := range n {
		x = append(x, in.Row(i)[from:to]...)
	}
	out := mustTable(t, n, to-from, x)
	if labels, err := in.Labels(); err == nil {
		if out, err = out.WithLabels(labels, in.Classes()); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestMahalanobisLayersAreModelsOfTheirOwn(t *testing.T) {
	train, query := gaussianClasses(21, 300, 7, 3), gaussianClasses(22, 60, 7, 3)
	m := fitMahalanobis(t, detect.Mahalanobis{Layers: []int{3, 4}}, train)
	first := fitMahalanobis(t, detect.Mahalanobis{}, columns(t, train, 0, 3))
	last := fitMahalanobis(t, detect.Mahalanobis{}, columns(t, train, 3, 7))
	want := scores(t, first, columns(t, query, 0, 3))
	for i, v := range scores(t, last, columns(t, query, 3, 7)) {
		want[i] = want[i]/math.Sqrt(6) + v/math.Sqrt(8)
	}
	near(t, "sum of layers", scores(t, m, query), want, 1e-9)
	p, err := m.Predict(query)
	if err != nil {
		t.Fatal(err)
	}
	q, err := last.Predict(columns(t, query, 3, 7))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range p.X() {
		if math.Abs(float64(v-q.X()[i])) > 1e-6 {
			t.Fatalf("probability %d is %g, the last layer's %g", i, v, q.X()[i])
		}
	}
	for _, widths := range [][]int{{3, 3}, {8}, {1, 2, 3}} {
		_, err := detect.Mahalanobis{Layers: widths}.Fit(t.Context(), train)
		if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "7") {
			t.Errorf("layers of %v columns on a table of 7: %v", widths, err)
		}
	}
}

// TestMahalanobisCombine plants the difference in the second of three layers: it must get the weight, and the log odds must
// be those of the two normal distributions that the layer's distances hardly differ from.
func TestMahalanobisCombine(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 1))
	const n, d = 1500, 9
	draw := func(shift float32) *data.Table {
		x := gaussian(t, r, n, d, nil).X()
		for i := range x {
			if j := i % d; j >= 3 && j < 6 {
				x[i] += shift
			}
		}
		return mustTable(t, n, d, x)
	}
	m := fitMahalanobis(t, detect.Mahalanobis{Layers: []int{3, 3, 3}}, draw(0))
	familiar, unfamiliar := draw(0), draw(2)
	combined, err := m.Combine(t.Context(), detect.MahalanobisInput{Familiar: familiar, Unfamiliar: unfamiliar})
	if err != nil {
		t.Fatal(err)
	}
	w, _ := combined.Weights()
	if !(w[1] > 20*w[0] && w[1] > 20*w[2] && w[0] >= 0 && w[2] >= 0) {
		t.Errorf("weights %v, want the second layer's alone", w)
	}
	if alike, bias := m.Weights(); alike[0] != alike[1] || bias != 0 {
		t.Errorf("Combine changed the model that it came from: %v, %g", alike, bias)
	}
	wrong := func(m *detect.MahalanobisModel, limit float64) (share float64) {
		for _, v := range scores(t, m, draw(0)) {
			if v > limit {
				share += 0.5 / n
			}
		}
		for _, v := range scores(t, m, draw(2)) {
			if v <= limit {
				share += 0.5 / n
			}
		}
		return share
	}
	// Twelve of squared distance against three: few rows on the wrong side of even odds. The plain sum has no such point.
	if e := wrong(combined, 0); e > 0.12 {
		t.Errorf("%.3f of rows lie on the wrong side of even odds", e)
	}
	if _, err := fitMahalanobis(t, detect.Mahalanobis{}, draw(0)).Combine(t.Context(), detect.MahalanobisInput{Familiar: unfamiliar, Unfamiliar: familiar}); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("unfamiliar rows that lie nearer: %v", err)
	}
	if _, err := m.Combine(t.Context(), detect.MahalanobisInput{Familiar: familiar, Unfamiliar: familiar.Slice(0, 0)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("no unfamiliar rows: %v", err)
	}
	c := detect.Mahalanobis{Layers: []int{3, 3, 3}}
	for _, s := range detect.Methods() {
		if s.Name != "mahalanobis" {
			continue
		}
		saved, err := method.Save(s, &c, combined)
		if err != nil {
			t.Fatal(err)
		}
		_, _, back, err := method.Load(detect.Methods(), saved)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "loaded", scores(t, back.(method.Scorer), unfamiliar), scores(t, combined, unfamiliar), 0)
	}
}

func TestMahalanobisGradient(t *testing.T) {
	train, query := gaussianClasses(24, 200, 5, 3), gaussianClasses(25, 30, 5, 3)
	for _, c := range []detect.Mahalanobis{{}, {Layers: []int{2, 3}}, {Predictive: true, Ridge: 0.1}} {
		m := fitMahalanobis(t, c, train)
		g, err := m.Gradient(query)
		if err != nil {
			t.Fatal(err)
		}
		const step = 1.0 / 64 // exact in float32 beside these values; a quadratic's central difference is its derivative
		for j := range 5 {
			move := func(by float32) []float64 {
				x := append([]float32(nil), query.X()...)
				for i := j; i < len(x); i += 5 {
					x[i] = float32(math.Round(float64(x[i])*1024)/1024) + by
				}
				return scores(t, m, mustTable(t, 30, 5, x))
			}
			up, down := move(step), move(-step)
			for i := range up {
				want, have := (up[i]-down[i])/(2*step), float64(g.Row(i)[j])
				if math.Abs(have-want) > 0.01*math.Abs(want)+0.05 { // the row was rounded to 1/1024 before
					t.Errorf("%+v, row %d, column %d: derivative %g, by differences %g", c, i, j, have, want)
				}
			}
		}
	}
}

// linearNetwork doubles its inputs and turns their order round.
type linearNetwork struct{ t *testing.T }

func (l linearNetwork) Features(in *data.Table) (*data.Table, error) {
	n, d := in.Dims()
	x := make([]float32, n*d)
	for i := range x {
		x[i] = 2 * in.Row(i / d)[d-1-i%d]
	}
	return data.NewTable(n, d, x)
}

func (l linearNetwork) Pullback(_, gradient *data.Table) (*data.Table, error) {
	return l.Features(gradient)
}

func TestMahalanobisScorePerturbed(t *testing.T) {
	// Independent columns of deviation one about zero: the score is 4‖x‖², and every value moves towards zero.
	x := []float32{}
	for i := range 16 {
		for j := range 4 {
			x = append(x, float32(1-2*(i>>j&1)))
		}
	}
	m := fitMahalanobis(t, detect.Mahalanobis{Ridge: 1e-12}, mustTable(t, 16, 4, x))
	in := mustTable(t, 2, 4, []float32{1, -2, 3, 0, 0.25, 0, 0, -0.25})
	for _, k := range []struct {
		step float64
		want []float64
	}{{0, []float64{56, 0.5}}, {0.5, []float64{4 * (0.25 + 2.25 + 6.25), 4 * 2 * 0.0625}}} {
		have, err := m.ScorePerturbed(linearNetwork{t}, in, k.step)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "perturbed", have, k.want, 1e-6)
	}
	for _, step := range []float64{-1, math.NaN(), math.Inf(1)} {
		if _, err := m.ScorePerturbed(linearNetwork{t}, in, step); !errors.Is(err, method.ErrConfig) {
			t.Errorf("step %v: %v", step, err)
		}
	}
}

// TestMahalanobisUpdateIsAFitOnAllRows splits rows by class and across classes: what was learned in parts must be what a fit
// on all rows learns.
func TestMahalanobisUpdateIsAFitOnAllRows(t *testing.T) {
	all, query := gaussianClasses(26, 400, 6, 4), gaussianClasses(27, 50, 6, 4)
	labels, err := all.Labels()
	if err != nil {
		t.Fatal(err)
	}
	splits := map[string]func(i int) bool{
		"two classes each":   func(i int) bool { return labels[i] < 2 },
		"a class in parts":   func(i int) bool { return i%3 == 0 },
		"one class and rest": func(i int) bool { return labels[i] == 2 || i < 50 },
	}
	for name, early := range splits {
		for _, c := range []detect.Mahalanobis{{}, {Layers: []int{2, 4}, Predictive: true, Ridge: 0.01}} {
			var before, after []int
			for i := range labels {
				if early(i) {
					before = append(before, i)
				} else {
					after = append(after, i)
				}
			}
			pick := func(rows []int) *data.Table {
				var names []string
				for _, i := range rows {
					names = append(names, all.ClassName(i))
				}
				part, err := all.Pick(rows).WithClassNames(names)
				if err != nil {
					t.Fatal(err)
				}
				return part
			}
			m, err := fitMahalanobis(t, c, pick(before)).Update(t.Context(), pick(after))
			if err != nil {
				t.Fatal(err)
			}
			want := fitMahalanobis(t, c, all)
			// Grids of parts and of all rows differ by 2^-23 of a column's range.
			near(t, name, scores(t, m.(*detect.MahalanobisModel), query), scores(t, want, query), 1e-5)
			p, err := m.(*detect.MahalanobisModel).Logits(query)
			if err != nil {
				t.Fatal(err)
			}
			q, _ := want.Logits(query)
			for i, v := range p.X() {
				if math.Abs(float64(v-q.X()[i])) > 1e-4*max(1, math.Abs(float64(v))) {
					t.Fatalf("%s: logit %d is %g, of a fit on all rows %g", name, i, v, q.X()[i])
				}
			}
		}
	}
	plain := mustTable(t, 400, 6, all.X())
	if _, err := fitMahalanobis(t, detect.Mahalanobis{}, all).Update(t.Context(), plain); !errors.Is(err, data.ErrLabels) {
		t.Errorf("a task without labels: %v", err)
	}
	m, err := fitMahalanobis(t, detect.Mahalanobis{}, plain.Slice(0, 150)).Update(t.Context(), plain.Slice(150, 400))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "without labels", scores(t, m.(*detect.MahalanobisModel), query), scores(t, fitMahalanobis(t, detect.Mahalanobis{}, plain), query), 1e-5)
}

func TestMahalanobisIsRefinedThroughItsSpec(t *testing.T) {
	train := gaussianClasses(28, 200, 6, 2)
	specs := map[string]method.Spec{}
	for _, s := range detect.Methods() {
		specs[s.Name] = s
	}
	s := specs["mahalanobis"]
	m, err := s.Fit(t.Context(), &detect.Mahalanobis{Layers: []int{2, 4}}, data.Bundle{"in": train})
	if err != nil {
		t.Fatal(err)
	}
	far := append([]float32(nil), train.X()...)
	for i := range far {
		far[i] += 30
	}
	in := data.Bundle{"familiar": train, "unfamiliar": mustTable(t, 200, 6, far)}
	next, err := s.Refine(t.Context(), m, in)
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.(*detect.MahalanobisModel).Combine(t.Context(), detect.MahalanobisInput{Familiar: train, Unfamiliar: mustTable(t, 200, 6, far)})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "through the spec", scores(t, next.(method.Scorer), train), scores(t, want, train), 0)
	delete(in, "familiar")
	if _, err := s.Refine(t.Context(), m, in); !errors.Is(err, method.ErrInput) || !strings.Contains(err.Error(), "familiar") {
		t.Errorf("without familiar rows: %v", err)
	}
	other, err := specs["gaussianad"].Fit(t.Context(), &detect.GaussianAD{}, data.Bundle{"in": train})
	if err != nil {
		t.Fatal(err)
	}
	in["familiar"] = train
	if _, err := s.Refine(t.Context(), other, in); !errors.Is(err, method.ErrInput) {
		t.Errorf("another method's model: %v", err)
	}
	if _, err := specs["gaussianad"].Refine(t.Context(), other, in); !errors.Is(err, method.ErrInput) {
		t.Errorf("a method whose models nothing refines: %v", err)
	}
}
