package report

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

// Every value must be counted once, in the bin whose edges hold it: counted again the slow way.
func TestHistogramCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 18))
	for round := range 300 {
		h := Histogram{Bins: r.IntN(40), X: Axis{Log: round%3 == 2}}
		for range 1 + r.IntN(3) {
			var g Group
			for range r.IntN(400) {
				v := math.Exp(3 * r.NormFloat64())
				switch round % 3 {
				case 0:
					v = math.Round(v)
				case 1:
					v = r.NormFloat64()
				}
				g.Values = append(g.Values, v)
			}
			h.Groups = append(h.Groups, g)
		}
		b := h.count()
		below, above := 0, 0
		for i, g := range h.Groups {
			if len(g.Values) == 0 {
				continue
			}
			counts := make([]float64, len(b.edges)-1)
			for _, v := range g.Values {
				bin := -1
				for k := range counts {
					if v >= b.edges[k] && v < b.edges[k+1] {
						bin = k
					}
				}
				if v < b.edges[0] {
					bin, below = 0, below+1
				}
				if last := len(counts) - 1; v >= b.edges[last+1] {
					bin = last
					if v > b.edges[last+1] {
						above++
					}
				}
				counts[bin]++
			}
			for k, n := range counts {
				if want := n / float64(len(g.Values)); b.shares[i][k] != want {
					t.Fatalf("round %d: bin %d of group %d holds %g, want %g", round, k, i, b.shares[i][k], want)
				}
			}
		}
		if b.below != below || b.above != above {
			t.Fatalf("round %d: %d below and %d above, want %d and %d", round, b.below, b.above, below, above)
		}
	}
}

// Far tails are gathered and said; near ones and small groups are not touched.
func TestHistogramTails(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	values := normals(r, 1000, 0, 1)
	far := append(append([]float64(nil), values...), 1e6, 2e6)
	b := Histogram{Groups: []Group{{"a", far}}}.count()
	if b.above != 2 || b.edges[len(b.edges)-1] > 10 {
		t.Errorf("two far values: %d gathered, edges reach %g", b.above, b.edges[len(b.edges)-1])
	}
	if note := b.note(Axis{}); !strings.Contains(note, "the last bin also holds 2 rows above") {
		t.Errorf("note %q", note)
	}
	if b := (Histogram{Groups: []Group{{"a", values}}}).count(); b.above+b.below != 0 {
		t.Errorf("a bell has %d rows beyond its bins", b.above+b.below)
	}
	if b := (Histogram{Groups: []Group{{"a", values}, {"b", []float64{1e6, 1.1e6}}}}).count(); b.above+b.below != 0 {
		t.Errorf("a small far group is gathered: %d rows", b.above+b.below)
	}
	if b := (Histogram{Groups: []Group{{"a", values}}, Thresholds: []Mark{{At: 500}}}).count(); b.edges[len(b.edges)-1] < 500 {
		t.Error("a threshold lies beyond the bins")
	}
}

func TestHeatmapSteps(t *testing.T) {
	one, two := Heatmap{}, Heatmap{Diverging: true}
	for _, c := range []struct {
		h            Heatmap
		v, low, high float64
		want         int
	}{
		{one, 0, 0, 1, 0}, {one, 1, 0, 1, 8}, {one, 0.5, 0, 1, 4}, {one, 0.12, 0, 1, 1}, {one, 3, 3, 3, 4},
		{two, 0, -2, 2, 4}, {two, -2, -2, 2, 0}, {two, 2, -2, 2, 8}, {two, 0.1, -2, 2, 4}, {two, 1, -2, 2, 6},
	} {
		if got := c.h.step(c.v, c.low, c.high); got != c.want {
			t.Errorf("%g in [%g, %g] has step %d, want %d", c.v, c.low, c.high, got, c.want)
		}
	}
}

func TestCrossing(t *testing.T) {
	for _, c := range []struct {
		values    []float64
		threshold float64
		want      int
	}{{[]float64{1, 2, 3, 1, 4}, 2.5, 2}, {[]float64{3, 2, 1}, 2.5, 1}, {[]float64{1, 1}, 2, 0}, {nil, 1, 0}, {[]float64{5, 6}, 1, 0}} {
		if got := crossing(c.values, c.threshold); got != c.want {
			t.Errorf("%v crosses %g at %d, want %d", c.values, c.threshold, got, c.want)
		}
	}
}

// The words of a figure must say its numbers.
func TestSummaries(t *testing.T) {
	for _, c := range []struct {
		plot Plot
		want string
	}{
		{Line{X: Axis{Label: "row"}, Series: []Series{{Name: "e", X: []float64{0, 10, 20}, Y: []float64{1, 5, 3}}}, Thresholds: []Mark{{4, "alarm", Bad}}, Events: []Mark{{10, "change", Neutral}}},
			"Line plot of 1 series over row from 0 to 20. e: 1 to 5, last 3. It first crosses alarm (4) at 10. Threshold alarm (4). Event change (10)."},
		{Histogram{X: Axis{Label: "score"}, Groups: []Group{{"in", []float64{1, 2, 3, 4}}}, Thresholds: []Mark{{3.5, "t", Neutral}}},
			"Histogram of score for 1 group. in: 4 rows, median 3, from 1 to 4. 25" + thinSpace + "% above t (3.5)."},
		{Bars{Values: []Bar{{"a", "", 0.5, Good}, {"b", "", 2, Neutral}}}, "Bars of a value for 2 rows. a: ✓ 0.5. b: 2.0."},
		{Intervals{Values: []Interval{{"a", "near", 0.5, 0.25, 0.75}, {"b", "", 1, math.Inf(-1), math.Inf(1)}}}, "Estimates with intervals of a value for 2 rows. a near: 0.50 [0.25, 0.75]. b: 1.00."},
		{Heatmap{Rows: []string{"a", "b"}, Columns: []string{"c", "d"}, Values: [][]float64{{1}, {2, 3}}}, "Heatmap of values, 2 rows by 2 columns. Least 1 at a × c, greatest 3 at b × d."},
		{Scatter{Diagonal: "equal", Clouds: []Cloud{{"h", []Point{{X: 1, Y: 0.5}, {X: 2, Y: 3}}}}}, "Scatter plot of y against x. h: 2 points, x from 1 to 2, y from 0.5 to 3. 1 of them below the line of equal."},
	} {
		if got := c.plot.summary(); got != c.want {
			t.Errorf("%T says\n%q, want\n%q", c.plot, got, c.want)
		}
	}
}

// Labels of vertical lines must not lie on each other, and no line may cross a label of a lower row.
func TestMarkRows(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 500 {
		e := newExtent()
		e.add(0, 100)
		p := newPanel(wideWidth)
		p.x = Axis{}.newScale(e, 5, tight).over(40, 600)
		var marks []Mark
		for range 1 + r.IntN(12) {
			marks = append(marks, Mark{At: 100 * r.Float64(), Label: strings.Repeat("event ", 1+r.IntN(3))})
		}
		placed, rows := p.markRows(marks)
		if rows < 1 || rows > maxMarkRows {
			t.Fatalf("%d rows", rows)
		}
		for i, a := range placed {
			for _, b := range placed[i+1:] {
				if a.row < 0 || b.row < 0 || a.end || b.end {
					continue
				}
				right := a.x + 5 + textWidth(a.short, tickSize)
				if a.row == b.row && right > b.x || b.row > a.row && right > b.x {
					t.Fatalf("label of %g in row %d reaches %g, the line at %g rises to row %d", a.At, a.row, right, b.x, b.row)
				}
			}
		}
	}
}

func TestStepsAndThinned(t *testing.T) {
	x, y := steps([]float64{0, 1, 3}, []float64{5, 6, 7})
	if len(x) != 5 || x[1] != 1 || y[1] != 5 || x[3] != 3 || y[3] != 6 {
		t.Errorf("staircase %v %v", x, y)
	}
	tx, ty := thinned([]float64{0, 0.2, 0.4, 1, 2}, []float64{3, 1, 2, 9, 8}, math.Min)
	if len(tx) != 3 || ty[0] != 1 || ty[1] != 9 || ty[2] != 8 {
		t.Errorf("thinned %v %v", tx, ty)
	}
}
