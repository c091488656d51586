package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/metric"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleDiffProbe() {
	// Six labelled rows, and sixty without labels that show where the classes lie.
	train, _ := data.NewTable(6, 1, []float32{0, 1, 2, 10, 11, 12})
	train, _ = train.WithClassNames([]string{"low", "low", "low", "high", "high", "high"})
	var x []float32
	for i := range 60 {
		x = append(x, float32(10*(i%2)+i%3))
	}
	rows, _ := data.NewTable(60, 1, x)
	m, err := probe.DiffProbe{Width: 16, Epochs: 1}.Fit(context.Background(), probe.DiffProbeInput{Train: train, Unlabelled: rows})
	if err != nil {
		panic(err)
	}
	query, _ := data.NewTable(2, 1, []float32{-1, 13})
	p, _ := m.Predict(query)
	for i := range 2 {
		fmt.Println(p.Columns()[1], p.Row(i)[1] > 0.5)
	}
	// Output:
	// low true
	// low false
}

func fitDiffProbe(t testing.TB, c probe.DiffProbe, in probe.DiffProbeInput) *probe.DiffProbeModel {
	t.Helper()
	m, err := c.Fit(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestDiffProbeOfPureNoise: at the end of the schedule nothing of the row is left, so all features are equal.
func TestDiffProbeOfPureNoise(t *testing.T) {
	train := toy(t, 1, 60, 4, 2)
	if _, err := (probe.DiffProbe{Time: 1, Width: 16}).Fit(t.Context(), probe.DiffProbeInput{Train: train}); !errors.Is(err, method.ErrDegenerate) {
		t.Errorf("pure noise: %v", err)
	}
}

// TestDiffProbeChooses the block and level with the least error among all that it tried, and takes the ones that it is told.
func TestDiffProbeChooses(t *testing.T) {
	train := rings(t, 1, 150)
	m := fitDiffProbe(t, probe.DiffProbe{Width: 64}, probe.DiffProbeInput{Train: train})
	grid, r := m.Grid(), m.Report()
	if len(grid) != 9 {
		t.Fatalf("%d choices, want 3 blocks at 3 levels", len(grid))
	}
	for _, g := range grid {
		if g.Error < r["left_out_error"] {
			t.Errorf("%+v has less error than the chosen %v", g, r)
		}
		if g.Block == 2 && g.Time == 0.1 {
			told := fitDiffProbe(t, probe.DiffProbe{Width: 64, Block: 2, Time: 0.1}, probe.DiffProbeInput{Train: train})
			if len(told.Grid()) != 1 || told.Grid()[0] != g {
				t.Errorf("told block 2 at 0.1: %+v, in the grid %+v", told.Grid(), g)
			}
		}
	}
	// No plane parts the rings, a denoiser's blocks do.
	query := rings(t, 2, 500)
	p, _ := asked(t, m, query)
	if a := accuracy(t, p, query, []string{"inner", "outer"}); a < 0.95 {
		t.Errorf("accuracy %.3f on rings", a)
	}
}

// TestDiffProbeImages: two kinds of stripes, by a U-Net.
func TestDiffProbeImages(t *testing.T) {
	train, query := stripes(1, 100), stripes(2, 200)
	m := fitDiffProbe(t, probe.DiffProbe{Images: true, Width: 64, Epochs: 40, Places: 1, Time: 0.1, Rate: 0.005}, probe.DiffProbeInput{Train: train})
	p, _ := asked(t, m, query)
	plain, _ := asked(t, fitRidgePath(t, probe.RidgePath{}, train), query)
	columns := []string{"lying", "standing"}
	a, b := accuracy(t, plain, query, columns), accuracy(t, p, query, columns)
	t.Logf("accuracy %.3f by pixels, %.3f by a denoiser's blocks", a, b)
	if b < 0.95 || b < a+0.2 {
		t.Errorf("accuracy %.3f by pixels, %.3f by a denoiser's blocks", a, b)
	}
}

func TestDiffProbeRefuses(t *testing.T) {
	train := toy(t, 1, 20, 6, 2)
	if _, err := (probe.DiffProbe{Images: true}).Fit(t.Context(), probe.DiffProbeInput{Train: train}); !errors.Is(err, data.ErrShape) {
		t.Errorf("6 columns as an image: %v", err)
	}
	if _, err := (probe.DiffProbe{Block: 7, Width: 8}).Fit(t.Context(), probe.DiffProbeInput{Train: train}); !errors.Is(err, method.ErrConfig) {
		t.Errorf("block 7 of 3: %v", err)
	}
	if _, err := (probe.DiffProbe{}).Fit(t.Context(), probe.DiffProbeInput{Train: train, Unlabelled: toy(t, 1, 20, 5, 2)}); !errors.Is(err, data.ErrShape) {
		t.Errorf("unlabelled rows of another width: %v", err)
	}
}

// stripes are square images of side 8: stripes that lie or stand.
func stripes(seed uint64, n int) *data.Table {
	const side = 8
	r := rand.New(rand.NewPCG(seed, 5))
	var x []float32
	var names []string
	for i := range n {
		phase := 2 * math.Pi * r.Float64()
		for j := range side * side {
			at := j / side
			if i%2 == 1 {
				at = j % side
			}
			x = append(x, float32(math.Sin(math.Pi/2*float64(at)+phase)+0.3*r.NormFloat64()))
		}
		names = append(names, []string{"lying", "standing"}[i%2])
	}
	t, err := data.NewTable(n, side*side, x)
	if err == nil {
		t, err = t.WithClassNames(names)
	}
	if err != nil {
		panic(err)
	}
	return t
}

// TestDiffProbeHeads: the linear head is ridge on the features; a head put on afterwards is the one that Fit puts on; all of
// them tell stripes apart and come out of a file as they were.
func TestDiffProbeHeads(t *testing.T) {
	train, query := stripes(1, 100), stripes(2, 200)
	c := probe.DiffProbe{Images: true, Width: 16, Epochs: 1, Places: 2, Block: 2, Time: 0.1, Rate: 0.005}
	linear := fitDiffProbe(t, c, probe.DiffProbeInput{Train: train})
	labelled := func(m *probe.DiffProbeModel, in *data.Table) *data.Table {
		x, err := m.Features(in)
		if err != nil {
			t.Fatal(err)
		}
		labels, _ := in.Labels()
		if x, err = x.WithLabels(labels, in.Classes()); err != nil {
			t.Fatal(err)
		}
		return x
	}
	_, have := asked(t, linear, query)
	_, want := asked(t, fitRidgePath(t, probe.RidgePath{}, labelled(linear, train)), labelled(linear, query))
	near(t, "logits of the linear head and of ridge", have, want, 1e-4) // features in float32, rows summed in another order
	for _, head := range []string{"perceptron", "convolutions", "attention"} {
		m, err := linear.WithHead(t.Context(), train, head)
		if err != nil {
			t.Fatal(err)
		}
		p, logits := asked(t, m, query)
		a := accuracy(t, p, query, []string{"lying", "standing"})
		t.Logf("%s: accuracy %.3f", head, a)
		if a < 0.8 { // chance is 0.5
			t.Errorf("%s: accuracy %.3f", head, a)
		}
		if head == "perceptron" {
			c.Head = head
			_, fitted := asked(t, fitDiffProbe(t, c, probe.DiffProbeInput{Train: train}), query)
			near(t, head+" put on afterwards", logits, fitted, 0)
		}
	}
	if _, plain := asked(t, linear, query); !slices.Equal(plain, have) {
		t.Error("heads put on afterwards changed the model that they were put on")
	}
	back, err := linear.WithHead(t.Context(), train, "linear")
	if err != nil {
		t.Fatal(err)
	}
	_, again := asked(t, back, query)
	near(t, "linear head put back", again, have, 0)
	for _, head := range []string{"attention", "nothing"} {
		rows := fitDiffProbe(t, probe.DiffProbe{Width: 8, Epochs: 1}, probe.DiffProbeInput{Train: toy(t, 1, 20, 4, 2)})
		if _, err := rows.WithHead(t.Context(), toy(t, 1, 20, 4, 2), head); !errors.Is(err, method.ErrConfig) {
			t.Errorf("head %s on rows that are no images: %v", head, err)
		}
	}
}

// TestDiffProbeSimilarity: blocks are as alike as their features are by linear CKA.
func TestDiffProbeSimilarity(t *testing.T) {
	train := rings(t, 1, 120)
	c := probe.DiffProbe{Width: 32, Epochs: 5, Time: 0.1}
	var features [][]float32
	var m *probe.DiffProbeModel
	for block := 1; block <= 3; block++ {
		c.Block = block
		m = fitDiffProbe(t, c, probe.DiffProbeInput{Train: train})
		x, err := m.Features(train)
		if err != nil {
			t.Fatal(err)
		}
		features = append(features, x.X())
	}
	said := m.Report()
	for a, x := range features {
		for b, y := range features {
			e, err := metric.LinearCKA(x, 32, y, 32, metric.Interval{ValueOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			have, err := m.Similarity(a+1, b+1)
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("blocks %d and %d", a+1, b+1), []float64{have}, []float64{e.Value}, 1e-9)
			if a < b && said[fmt.Sprintf("cka_%d_%d", a+1, b+1)] != have {
				t.Errorf("blocks %d and %d: the report says %v", a+1, b+1, said)
			}
		}
	}
	if _, err := m.Similarity(0, 4); !errors.Is(err, method.ErrConfig) {
		t.Errorf("block 0: %v", err)
	}
}
