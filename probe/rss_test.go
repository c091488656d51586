package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleRSS() {
	// Two labels, and six rows without: the classes part along the second column, as the rows show.
	train, _ := data.NewTable(2, 2, []float32{-1, -1, 1, 1})
	train, _ = train.WithLabels([]int{0, 1}, []string{"low", "high"})
	rows, _ := data.NewTable(6, 2, []float32{-1, -2, 0, -2, 1, -2, -1, 2, 0, 2, 1, 2})
	m, err := probe.RSS{}.Fit(context.Background(), probe.RSSInput{Train: train, Unlabelled: rows})
	if err != nil {
		panic(err)
	}
	_, weights, _ := m.Linear()
	fmt.Println(math.Abs(weights[1]) < math.Abs(weights[3]))
	// Output:
	// true
}

// clouds are rows of two Gaussians with means ±mean, deviation one, the classes in turn.
func clouds(t testing.TB, r *rand.Rand, n int, mean, shift []float64) *data.Table {
	t.Helper()
	d := len(mean)
	x, labels := make([]float32, n*d), make([]int, n)
	for i := range n {
		labels[i] = i % 2
		for j := range d {
			x[i*d+j] = float32(float64(2*labels[i]-1)*(mean[j]+shift[j]) + r.NormFloat64())
		}
	}
	table, err := data.NewTable(n, d, x)
	if err == nil {
		table, err = table.WithLabels(labels, []string{"a", "b"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// accuracyOf is how often a plane through the middle is right on those Gaussians, by its angle to the mean.
func accuracyOf(m *probe.RSSModel, mean []float64) float64 {
	center, w, bias := m.Linear()
	along, length, offset := 0.0, 0.0, -bias[1]
	for j := range mean {
		v := w[2*j+1]
		along, length, offset = along+v*mean[j], length+v*v, offset+v*center[j]
	}
	length = math.Sqrt(length)
	phi := func(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }
	return (phi((along-offset)/length) + phi((along+offset)/length)) / 2
}

func fitRSS(t testing.TB, c probe.RSS, train, unlabelled *data.Table) *probe.RSSModel {
	t.Helper()
	m, err := c.Fit(t.Context(), probe.RSSInput{Train: train, Unlabelled: unlabelled})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// In the paper's simulation unlabelled rows help, also shifted ones. Before any step the plane is that of the class means, whose accuracy is
// Φ(1/√(1+d/m)) for a mean of length one.
func TestRSSUnlabelledRowsHelp(t *testing.T) {
	const d, labels = 200, 20
	mean, shift := make([]float64, d), make([]float64, d)
	mean[0], shift[1] = 1, 0.5
	var before, after, moved float64
	const seeds = 6
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 9))
		train := clouds(t, r, labels, mean, make([]float64, d))
		before += accuracyOf(fitRSS(t, probe.RSS{Steps: 1, Weight: 1e-9}, train, nil), mean) / seeds
		after += accuracyOf(fitRSS(t, probe.RSS{}, train, clouds(t, r, 3000, mean, make([]float64, d))), mean) / seeds
		moved += accuracyOf(fitRSS(t, probe.RSS{}, train, clouds(t, r, 3000, mean, shift)), mean) / seeds
	}
	want := math.Erfc(-1/math.Sqrt(1+d/float64(labels))/math.Sqrt2) / 2
	if math.Abs(before-want) > 0.03 {
		t.Errorf("from %d labels: accuracy %.3f, want about %.3f", labels, before, want)
	}
	if after < before+0.1 || moved < before+0.08 {
		t.Errorf("accuracy %.3f with labels alone, %.3f with unlabelled rows, %.3f with shifted ones", before, after, moved)
	}
	t.Logf("accuracy %.3f with labels alone (theory %.3f), %.3f with unlabelled rows, %.3f with shifted ones", before, want, after, moved)
}

// The loss that is reported is the mean over rows of the worst that moving them can do: the largest error less cost times distance, by a
// search over places along the plane's normal.
func TestRSSLossIsTheWorstWithinReach(t *testing.T) {
	mean := []float64{1.5, 0, 0}
	r := rand.New(rand.NewPCG(4, 4))
	train, rows := clouds(t, r, 30, mean, make([]float64, 3)), clouds(t, r, 50, mean, make([]float64, 3))
	const cost = 0.4
	m := fitRSS(t, probe.RSS{Cost: cost}, train, rows)
	center, w, bias := m.Linear()
	length := math.Sqrt(w[1]*w[1] + w[3]*w[3] + w[5]*w[5])
	deviation := 0.0
	for j := range 3 {
		var s, ss float64
		for i := range 50 {
			v := float64(rows.Row(i)[j])
			s, ss = s+v, ss+v*v
		}
		deviation += (ss/50 - s/50*s/50) / 3
	}
	deviation = math.Sqrt(deviation)
	worst := func(side, z float64) (most float64) {
		for u := -10.0; u <= 10; u += 1e-4 { // where the row may be moved to
			if side*u <= 0 {
				most = max(most, 1-cost*math.Abs(u-z))
			}
		}
		return max(most, 0)
	}
	sum := [2]float64{}
	for k, table := range []*data.Table{train, rows} {
		n, _ := table.Dims()
		labels, _ := train.Labels()
		for i := range n {
			z := 0.0
			for j, v := range table.Row(i) {
				z += (float64(v) - center[j]) * w[2*j+1] / length / deviation
			}
			z += bias[1] / length / deviation
			side := math.Copysign(1, z)
			if k == 0 {
				side = float64(2*labels[i] - 1)
			}
			sum[k] += worst(side, z) / float64(n)
		}
	}
	if got := m.Report(); math.Abs(got["labelled_loss"]-sum[0]) > 1e-3 || math.Abs(got["unlabelled_loss"]-sum[1]) > 1e-3 {
		t.Errorf("losses %v, by search %v", got, sum)
	}
}

// Turning all rows turns the plane; naming the classes the other way turns the probabilities round.
func TestRSSFollowsRotationsAndNames(t *testing.T) {
	mean := []float64{1, 0.5}
	r := rand.New(rand.NewPCG(7, 7))
	train, rows := clouds(t, r, 20, mean, make([]float64, 2)), clouds(t, r, 200, mean, make([]float64, 2))
	turned := func(in *data.Table) *data.Table { // a quarter: exact in float32
		n, _ := in.Dims()
		x := make([]float32, 2*n)
		for i := range n {
			x[2*i], x[2*i+1] = -in.Row(i)[1], in.Row(i)[0]
		}
		out, _ := data.NewTable(n, 2, x)
		labels, _ := in.Labels()
		out, _ = out.WithLabels(labels, in.Classes())
		return out
	}
	a, b := fitRSS(t, probe.RSS{}, train, rows), fitRSS(t, probe.RSS{}, turned(train), turned(rows))
	pa, _ := a.Predict(rows)
	pb, _ := b.Predict(turned(rows))
	labels, _ := train.Labels()
	other := make([]int, len(labels))
	for i, l := range labels {
		other[i] = 1 - l
	}
	swapped, _ := train.WithLabels(other, []string{"a", "b"})
	pc, _ := fitRSS(t, probe.RSS{}, swapped, rows).Predict(rows)
	for i := range 200 {
		if math.Abs(float64(pa.Row(i)[0]-pb.Row(i)[0])) > 1e-5 || math.Abs(float64(pa.Row(i)[0]-pc.Row(i)[1])) > 1e-5 {
			t.Fatalf("row %d: %v, turned %v, renamed %v", i, pa.Row(i), pb.Row(i), pc.Row(i))
		}
	}
	if got := a.Report()["unlabelled_rows"]; got != 200 {
		t.Errorf("%v unlabelled rows", got)
	}
}

func TestRSSRefuses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	good := clouds(t, r, 10, []float64{1, 0}, []float64{0, 0})
	same, _ := data.NewTable(4, 2, []float32{1, 2, 1, 2, 3, 4, 3, 4})
	same, _ = same.WithLabels([]int{0, 1, 0, 1}, []string{"a", "b"})
	flat, _ := data.NewTable(4, 2, make([]float32, 8))
	flat, _ = flat.WithLabels([]int{0, 1, 0, 1}, []string{"a", "b"})
	wide, _ := data.NewTable(3, 3, make([]float32, 9))
	none, _ := data.NewTable(0, 2, nil)
	three, _ := good.WithLabels([]int{0, 1, 2, 0, 1, 2, 0, 1, 2, 0}, []string{"a", "b", "c"})
	for name, c := range map[string]struct {
		in   probe.RSSInput
		want error
	}{
		"one mean":      {probe.RSSInput{Train: same}, method.ErrDegenerate},
		"equal rows":    {probe.RSSInput{Train: flat}, method.ErrDegenerate},
		"three classes": {probe.RSSInput{Train: three}, data.ErrLabels},
		"other width":   {probe.RSSInput{Train: good, Unlabelled: wide}, data.ErrShape},
		"no unlabelled": {probe.RSSInput{Train: good, Unlabelled: none}, data.ErrShape},
		"nothing":       {probe.RSSInput{}, method.ErrInput},
	} {
		if _, err := (probe.RSS{}).Fit(t.Context(), c.in); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
