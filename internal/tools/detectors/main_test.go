package main

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

func marked(t *testing.T, n int) *data.Table {
	t.Helper()
	x, labels := make([]float32, 2*n), make([]int, n)
	for i := range n {
		x[2*i], x[2*i+1] = float32(i), 5
		if i%10 == 0 {
			labels[i] = 1
		}
	}
	in, err := data.NewTable(n, 2, x)
	if err == nil {
		in, err = in.WithLabels(labels, []string{"0", "1"})
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestSplit(t *testing.T) {
	s, err := newSplit(marked(t, 200), 3, 1)
	if err != nil {
		t.Fatal(err)
	}
	n, _ := s.train.Dims()
	m, _ := s.test.Dims()
	if n != 126 || s.normal != 54 || m != 74 {
		t.Errorf("%d rows learned, %d of %d asked about are normal; want 70 %% of 180, the rest and 20 odd ones", n, s.normal, m)
	}
	low, high := s.train.Row(0)[0], s.train.Row(0)[0]
	for i := range n {
		low, high = min(low, s.train.Row(i)[0]), max(high, s.train.Row(i)[0])
	}
	if low != 0 || high != 1 || s.train.Row(5)[1] != 0 {
		t.Errorf("learned columns reach from %g to %g and hold %g where they are constant; want 0 to 1, and 0", low, high, s.train.Row(5)[1])
	}
	again, _ := newSplit(marked(t, 200), 3, 1)
	other, _ := newSplit(marked(t, 200), 3, 2)
	if again.test.Row(0)[0] != s.test.Row(0)[0] || other.test.Row(0)[0] == s.test.Row(0)[0] && other.test.Row(1)[0] == s.test.Row(1)[0] {
		t.Error("a split must depend on its seed alone")
	}
	if s, _ := newSplit(marked(t, 20_000), 1, 1); s != nil {
		n, _ := s.train.Dims()
		m, _ := s.test.Dims()
		if n+m != mostRows {
			t.Errorf("%d rows of 20,000 used, want %d", n+m, mostRows)
		}
	}
}

func TestMeanRanks(t *testing.T) {
	of := func(name, peer string, areas map[string]float64) *pair {
		x := &pair{name: name, peer: peer}
		for _, file := range []string{"a", "b", "c"} {
			if v, ok := areas[file]; ok {
				x.results = append(x.results, result{file: file, auroc: [2]float64{v, 0}})
			}
		}
		return x
	}
	ranks := meanRanks([]*pair{
		of("one", "few files", map[string]float64{"a": 0.9}),
		of("one", "all files", map[string]float64{"a": 0.9, "b": 0.5, "c": 1}),
		of("two", "", map[string]float64{"a": 0.8, "b": 0.5}),
	})
	// Both ran on a and b: ranks 1 and 2 on a, 1.5 each on b.
	for k, want := range []float64{1.25, 1.25, 1.75} {
		if math.Abs(ranks[k]-want) > 1e-12 {
			t.Errorf("pair %d has the mean rank %g, want %g", k, ranks[k], want)
		}
	}
}

func TestSpecOf(t *testing.T) {
	s, config, err := specOf("detect/knn --no-normalize=true")
	if err != nil || s.ID() != "detect/knn" {
		t.Fatalf("%v, %v", s.ID(), err)
	}
	if text, err := s.MarshalConfig(config); err != nil || string(text) == "{}" {
		t.Errorf("configuration %s, %v", text, err)
	}
	if _, _, err := specOf("detect/none"); err == nil {
		t.Error("an unknown method is accepted")
	}
}

func TestRegrets(t *testing.T) {
	var list []regret
	for k, v := range []struct{ best, chosen, knn float64 }{{0.9, 0.9, 0.8}, {0.8, 0.76, 0.8}, {1, 0.98, 0.7}} {
		set, kind := string(rune('a'+k)), []string{"table", "features", "table"}[k]
		list = append(list, regret{set, kind, "oracle", "x", v.best, v.best}, regret{set, kind, "chosen", "x", v.chosen, v.best}, regret{set, kind, "always knn", "x", v.knn, v.best})
	}
	path := filepath.Join(t.TempDir(), "raw.tsv")
	if err := writeRegretsRaw(path, list); err != nil {
		t.Fatal(err)
	}
	again, err := readRegrets(path)
	if err != nil || !slices.Equal(again, list) {
		t.Fatalf("%v, %v", again, err)
	}
	var page strings.Builder
	if err := writeRegrets(&page, again); err != nil {
		t.Fatal(err)
	}
	// By hand: the choice falls 0, 4 and 2 points short, knn 10, 0 and 30; the difference is 10, −4 and 28 points.
	for _, want := range []string{
		"| chosen | 3 | 88.00 | 2.00 [", "| 4.00 | 33 % | +0.00 [+0.00, +0.00] | 1.00 | 4.00 | – |",
		"| always knn | 3 | 76.67 | 13.33 [", "| 30.00 | 33 % | +11.33 [", "| 20.00 | 0.00 | – |",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
}
