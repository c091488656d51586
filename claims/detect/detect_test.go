package detect

import (
	"math"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/claims/claim"
	"github.com/gimbal-ml/gimbal/data"
)

func table(t *testing.T, n, d int, x []float32, labels []int, k int) *data.Table {
	t.Helper()
	in, err := data.NewTable(n, d, x)
	if err == nil && labels != nil {
		in, err = in.WithLabels(labels, claim.Numbers(k))
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestMislabelled(t *testing.T) {
	const n, k = 20000, 8
	labels := make([]int, n)
	for i := range labels {
		labels[i] = i % k
	}
	in := table(t, n, 1, make([]float32, n), labels, k)
	out, err := mislabelled(in, 0.4, claim.Random(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	noisy, _ := out.Labels()
	wrong := 0
	to := make([]int, k) // how far from the truth
	for i, c := range noisy {
		if c != labels[i] {
			wrong++
		}
		to[(c-labels[i]+k)%k]++
	}
	// Binomial: 0.4 of 20,000 has the standard deviation 69, a seventh of that 33.
	if math.Abs(float64(wrong)-0.4*n) > 5*69 {
		t.Errorf("%d of %d labels are wrong, want 40 %%", wrong, n)
	}
	for shift, count := range to[1:] {
		if math.Abs(float64(count)-0.4*n/7) > 5*33 {
			t.Errorf("%d labels moved by %d, want a seventh of 8000", count, shift+1)
		}
	}
	if same, err := mislabelled(in, 0, claim.Random(1, 2)); err != nil || same != in {
		t.Errorf("no wrong labels: %v", err)
	}
}

func TestKNNTurned(t *testing.T) {
	const side = 28
	x := make([]float32, side*side)
	x[2*side+5] = 1 // row 2, column 5
	out, err := knnTurned(table(t, 1, side*side, x, nil, 0))
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := out.Labels()
	if !slices.Equal(labels, []int{0, 1, 2, 3}) {
		t.Errorf("classes %v", labels)
	}
	for turn, want := range []int{2*side + 5, 5*side + 25, 25*side + 22, 22*side + 2} { // clockwise
		if at := slices.Index(out.Row(turn), 1); at != want {
			t.Errorf("after %d quarter turns the pixel is at %d, %d, want %d, %d", turn, at/side, at%side, want/side, want%side)
		}
	}
}

func TestGaussianADBaselines(t *testing.T) {
	in := table(t, 4, 2, []float32{1, 0, 3, 4, 1, 4, 3, 0}, nil, 0)
	mean, deviation := gaussianADColumns(in)
	if !slices.Equal(mean, []float64{2, 2}) || !slices.Equal(deviation, []float64{1, 2}) {
		t.Errorf("means %v, deviations %v", mean, deviation)
	}
	far := table(t, 1, 2, []float32{5, 10}, nil, 0)
	for _, c := range []struct {
		unit []float64
		want float64
	}{{[]float64{1, 2}, 5}, {[]float64{1, 1}, math.Sqrt(73)}} {
		if got, err := (gaussianADDistance{mean, c.unit}).Score(far); err != nil || math.Abs(got[0]-c.want) > 1e-12 {
			t.Errorf("units %v: %v, want %v (%v)", c.unit, got, c.want, err)
		}
	}
}

func TestMeanOverNovelties(t *testing.T) {
	s := &setting{novel: []novelty{{name: "a"}, {name: "b"}}}
	extra := map[string]float64{}
	// 3 of 4 pairs in order; all 4.
	got, err := s.auroc(&scores{familiar: []float64{1, 3}, novel: [][]float64{{2, 4}, {5, 6}}}, "x", extra)
	if err != nil || got != 0.875 || extra["x AUROC, a"] != 0.75 || extra["x AUROC, b"] != 1 {
		t.Errorf("%v, %v, %v", got, extra, err)
	}
}

func TestTablesSplit(t *testing.T) {
	const n = 200
	x, labels := make([]float32, 2*n), make([]int, n)
	for i := range n {
		x[2*i], x[2*i+1] = float32(i), 7
		if i%10 == 0 {
			labels[i] = 1
		}
	}
	in := table(t, n, 2, x, labels, 2)
	for _, normalOnly := range []bool{false, true} {
		train, normal, odd, err := tablesSplit(in, claim.Random(1, 2), normalOnly)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := train.Dims()
		b, _ := normal.Dims()
		c, _ := odd.Dims()
		if a+b+c != n || normalOnly && c != 20 || !normalOnly && a != 120 {
			t.Errorf("normal only %v: %d learned, %d normal, %d odd of 200, 20 of them odd", normalOnly, a, b, c)
		}
		low, high := train.Row(0)[0], train.Row(0)[0]
		for i := range a {
			low, high = min(low, train.Row(i)[0]), max(high, train.Row(i)[0])
			if train.Row(i)[1] != 0 {
				t.Fatalf("a constant column holds %g", train.Row(i)[1])
			}
		}
		if low != 0 || high != 1 {
			t.Errorf("learned rows reach from %g to %g, want 0 to 1", low, high)
		}
	}
}

func TestLOFClusters(t *testing.T) {
	in, err := lofClusters(3)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	for i, c := range labels {
		x, y := float64(in.Row(i)[0]), float64(in.Row(i)[1])
		wide, small := math.Hypot(x, y), math.Hypot(x-15, y)
		if c == 1 && (small < 0.749 || small > 1.501) || c == 0 && wide > 10.001 && small > 0.501 {
			t.Errorf("row %d of class %d at %g, %g", i+1, c, x, y)
		}
	}
	if len(labels) != 840 {
		t.Errorf("%d rows", len(labels))
	}
}

func TestKNNFacts(t *testing.T) {
	facts := knnFacts([]claim.Outcome{
		{Extra: map[string]float64{"AUROC, encoder x, seen before, KNN": 0.96, "AUROC, encoder y, seen before, KNN": 0.9, "AUROC, encoder y, seen before, KNN on raw rows": 1}},
		{Extra: map[string]float64{"AUROC, encoder x, seen before, KNN": 0.9, "AUROC, encoder y, seen before, KNN": 0.94, "AUROC, encoder y, seen before, KNN on raw rows": 1}},
	})
	if last := facts[len(facts)-1]; last.Value != 0.25 {
		t.Errorf("%v, want 1 of 4", last)
	}
}
