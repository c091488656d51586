package report

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"
)

var sampleFile = flag.String("sample", "", "also write the sample page to this file, to look at it")

// samplePage uses every block, the way a guard report does, and every edge that a drawing has: gaps, single points, constants, huge numbers.
func samplePage() *Page {
	r := rand.New(rand.NewPCG(1, 2))
	return &Page{
		Title:     "Guard report for the intake classifier",
		Subtitle:  "Is what the model sees today still what it was trained on? 10 240 rows of the incoming stream against the state fitted on 60 000.",
		Generated: "gimbal 0.1 · seed 1 · made for the tests of package report",
		Sections: []Section{
			sampleVerdict(), sampleDrift(r), sampleScores(r), sampleCompare(), sampleLearning(), sampleEdges(r),
		},
	}
}

func sampleVerdict() Section {
	return Section{
		Title: "Verdict",
		Lead:  "The stream changed at about row **5 120**. Since then, one row in three is unlike anything the model was trained on.",
		Blocks: []Block{
			Notice{Bad, "**Drift found.** The e-process passed its threshold `1/α = 1000` at row 5 296, 176 rows after the change. False alarms at this threshold: at most 1 in 1 000 streams, ever."},
			KeyFigures{
				{"Rows seen", "10 240", "since 1 March", Neutral},
				{"Flagged", "18.4 %", "5.0 % promised on clean rows", Bad},
				{"False alarms, clean half", "4.8 %", "promise **holds**: ≤ 5 %", Good},
				{"Delay", "176 rows", "from change to alarm", Good},
				{"Accuracy on kept rows", "93.4 %", "[92.8, 94.0]", Neutral},
				{"Rows without label", "1 204", "not counted in accuracy", Warn},
			},
			Text("The guard scores each row with `detect/mahalanobis` on frozen features, flags rows above a conformal threshold, and bets against “no change” with an e-process; see [the source](https://example.org/guard).\n\n- A flagged row is kept back and never updates the head.\n- An alarm is raised once; `gimbal guard update` clears it."),
		},
	}
}

func sampleDrift(r *rand.Rand) Section {
	n := 10240
	var x, wealth, rate, low, high []float64
	logWealth, smooth := 0.0, 0.05
	for i := 0; i < n; i += 16 {
		step := -0.004
		target := 0.05
		if i > 5120 {
			step, target = 0.35, 0.33
		}
		logWealth = math.Min(math.Max(logWealth+step+0.12*r.NormFloat64(), -3), 9.5)
		smooth += 0.06 * (target + 0.03*r.NormFloat64() - smooth)
		half := 1.96 * math.Sqrt(math.Max(smooth*(1-smooth), 0)/400)
		x = append(x, float64(i))
		wealth = append(wealth, math.Pow(10, logWealth/2))
		rate, low, high = append(rate, smooth), append(low, math.Max(smooth-half, 0)), append(high, smooth+half)
	}
	constant := make([]float64, len(x))
	for i := range constant {
		constant[i] = 0.05
	}
	return Section{
		Title: "Drift over time",
		Lead:  "Two views of one stream: the evidence against “no change”, and the share of rows that the detector flags.",
		Blocks: []Block{
			Line{
				Title: "Evidence against no change", Caption: "Wealth of the e-process; above the dashed line the chance of a false alarm is below 1 in 1 000.",
				X: Axis{Label: "row of the stream"}, Y: Axis{Label: "wealth", Log: true},
				Series:     []Series{{Name: "e-process", X: x, Y: wealth}},
				Thresholds: []Mark{{1000, "alarm", Bad}},
				Events:     []Mark{{5120, "camera replaced", Neutral}, {5296, "alarm raised", Bad}},
				Phases:     []Phase{{0, 5120, "as trained", Good}, {5120, 10224, "after the change", Warn}},
			},
			Line{
				Title: "Share of rows flagged", Caption: "Moving share with a 95 % band.",
				X: Axis{Label: "row of the stream"}, Y: Axis{Label: "share flagged", Percent: true, Cover: []float64{0}},
				Series: []Series{
					{Name: "flagged", X: x, Y: rate, Low: low, High: high},
					{Name: "promised", X: x, Y: constant},
				},
				Events: []Mark{{5120, "camera replaced", Neutral}},
			},
		},
	}
}

func normals(r *rand.Rand, n int, mean, spread float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = mean + spread*r.NormFloat64()
	}
	return out
}

func sampleScores(r *rand.Rand) Section {
	tail := normals(r, 2000, 46, 9)
	for i := range 12 {
		tail = append(tail, 400+float64(i)*30)
	}
	var bins []Point
	for i := range 10 {
		c := 0.05 + 0.1*float64(i)
		a := c - 0.11*c*(1-c)*3
		bins = append(bins, Point{X: c, Y: a, Low: math.Max(a-0.04-0.05*(1-c), 0), High: math.Min(a+0.04+0.05*(1-c), 1), Weight: 20 + 900*c*c, Label: fmt.Sprintf("bin %d", i+1)})
	}
	var first, second Cloud
	first.Name, second.Name = "as trained", "after the change"
	for range 1200 {
		first.Points = append(first.Points, Point{X: r.NormFloat64(), Y: 0.4 * r.NormFloat64()})
	}
	for range 120 {
		second.Points = append(second.Points, Point{X: 2.5 + 0.5*r.NormFloat64(), Y: 1.4 + 0.3*r.NormFloat64()})
	}
	return Section{
		Title: "Scores",
		Blocks: []Block{
			Histogram{
				Title: "Distance to the training data", Caption: "Each group as shares of its own rows.",
				X:          Axis{Label: "squared Mahalanobis distance"},
				Groups:     []Group{{"clean rows", normals(r, 5000, 30, 5)}, {"after the change", tail}, {"known outliers", normals(r, 400, 70, 8)}},
				Thresholds: []Mark{{38.2, "threshold for 5 %", Bad}},
			},
			Scatter{
				Title: "Reliability", Caption: "Area of a dot: rows in its bin.", Diagonal: "perfect calibration",
				X: Axis{Label: "confidence", Percent: true, Cover: []float64{0, 1}}, Y: Axis{Label: "accuracy", Percent: true},
				Clouds: []Cloud{{"head", bins}},
			},
			Scatter{
				Title: "First two whitened directions",
				X:     Axis{Label: "direction 1", Unit: "σ"}, Y: Axis{Label: "direction 2", Unit: "σ"},
				Clouds: []Cloud{first, second},
			},
		},
	}
}

func sampleCompare() Section {
	methods := []string{"detect/mahalanobis", "detect/relative-mahalanobis", "detect/knn", "detect/vim", "detect/energy", "detect/maxlogit", "detect/msp"}
	near := []float64{0.842, 0.898, 0.9064, 0.8868, 0.8758, 0.8713, 0.8803}
	far := []float64{0.8972, 0.922, 0.9296, 0.9348, 0.9121, 0.9171, 0.9073}
	t := Table{Title: "All detectors", Caption: "Best in **bold**. Click a heading to sort.", Columns: []Column{
		{Title: "method"}, {Title: "AUROC near", Format: Percent(2), Best: Highest}, {Title: "AUROC far", Format: Percent(2), Best: Highest},
		{Title: "FPR95", Format: Percent(1), Best: Lowest}, {Title: "fit", Unit: "ms"}, {Title: "rows/s"}, {Title: "verdict"}, {Title: "note"},
	}}
	var iv Intervals
	iv.Title, iv.Caption = "Area under the ROC curve", "Dot: estimate. Whisker: 95 % interval. Chance is 50 %."
	iv.X = Axis{Label: "AUROC", Percent: true}
	for i, m := range methods {
		iv.Values = append(iv.Values, Interval{m, "near", near[i], near[i] - 0.009, near[i] + 0.008}, Interval{m, "far", far[i], far[i] - 0.006, far[i] + 0.006})
		state, word := Good, "holds"
		switch i {
		case 0:
			state, word = Bad, "fails"
		case 4:
			state, word = Warn, "open"
		}
		note := ""
		if i == 2 {
			note = "keeps all training rows, so it forgets a customer by dropping rows"
		}
		t.Rows = append(t.Rows, []Cell{Words(m).Linked("#compare"), Estimate(near[i], near[i]-0.009, near[i]+0.008), Estimate(far[i], math.Inf(-1), math.Inf(1)),
			Number(0.61 - 0.05*float64(i%4)), Number(12.5 * float64(i*i+1)), Number(120000 / float64(i+1)), Words(word).Marked(state), Words(note)})
	}
	iv.References = []Mark{{0.9, "published", Neutral}}
	return Section{
		Title:  "Compare",
		Blocks: []Block{iv, t, Code{"How to get this", "gimbal compare detect --train train.parquet \\\n  --in test.parquet --ood near.parquet\ngimbal guard report g.gimbal -o report.html", "7 methods, one pass, 4.1 s\nwrote report.html"}},
	}
}

func sampleLearning() Section {
	h := Heatmap{Title: "Accuracy by task", Caption: "Row: after learning that task. Column: accuracy on it.", RowName: "after task", ColumnName: "accuracy on task", Value: Axis{Label: "accuracy", Percent: true, Cover: []float64{0.5, 1}}}
	for i := range 10 {
		h.Rows, h.Columns = append(h.Rows, fmt.Sprint(i+1)), append(h.Columns, fmt.Sprint(i+1))
		var row []float64
		for j := range i + 1 {
			row = append(row, 0.97-0.035*float64(i-j)-0.01*float64(j%3))
		}
		h.Values = append(h.Values, row)
	}
	confusion := Heatmap{Title: "Confusion", RowName: "true class", ColumnName: "predicted", Value: Axis{Label: "rows"},
		Rows:    []string{"T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
		Columns: []string{"T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}}
	difference := Heatmap{Title: "Transfer between tasks", Value: Axis{Label: "gain", Percent: true}, Diverging: true}
	for i := range 10 {
		var row []float64
		for j := range 10 {
			v := float64((i*7 + j*13) % 11)
			if i == j {
				v = 900 - float64(i*10)
			}
			row = append(row, v)
		}
		confusion.Values = append(confusion.Values, row)
	}
	for i := range 30 {
		var row []float64
		difference.Rows, difference.Columns = append(difference.Rows, fmt.Sprintf("task %d", i+1)), append(difference.Columns, fmt.Sprintf("task %d", i+1))
		for j := range 30 {
			row = append(row, 0.1*math.Sin(float64(i)/4)*math.Cos(float64(j)/5))
		}
		difference.Values = append(difference.Values, row)
	}
	var tasks []float64
	curves := []Series{{Name: "moments head"}, {Name: "ridge"}, {Name: "prototypes"}, {Name: "fine-tuning"}}
	for i := range 10 {
		tasks = append(tasks, float64(i+1))
		for k := range curves {
			curves[k].X = tasks
			curves[k].Y = append(curves[k].Y, 0.98-0.008*float64(i*(k*k+1)))
		}
	}
	return Section{
		Title: "Learning without forgetting",
		Blocks: []Block{
			Line{Title: "Average accuracy", X: Axis{Label: "tasks learned"}, Y: Axis{Label: "accuracy", Percent: true}, Series: curves},
			h, confusion, difference,
			Bars{Title: "Forgetting", Caption: "Accuracy lost since each task was learned; below zero means that later tasks helped.", X: Axis{Label: "forgetting", Percent: true},
				Values: []Bar{{"moments head", "", -0.004, Good}, {"ridge", "", 0.031, Neutral}, {"prototypes", "", 0.052, Neutral}, {"fine-tuning", "", 0.418, Bad}}},
			Bars{Title: "Memory", X: Axis{Label: "state", Unit: "MB"}, Values: []Bar{
				{Row: "moments head", Series: "float32", Value: 2.4}, {Row: "moments head", Series: "int8", Value: 0.7}, {Row: "replay buffer", Series: "float32", Value: 61}, {Row: "replay buffer", Series: "int8", Value: 15.2}}},
		},
	}
}

func sampleEdges(r *rand.Rand) Section {
	long := Table{Title: "A long table", Columns: []Column{{Title: "row"}, {Title: "p-value"}, {Title: "score"}}}
	for i := range 150 {
		long.Rows = append(long.Rows, []Cell{Number(float64(i + 1)), Number(math.Pow(10, -float64(i%12))), Number(r.NormFloat64())})
	}
	return Section{
		Title: "Edges",
		Lead:  "What plots must survive.",
		Blocks: []Block{
			Line{Title: "Nothing", X: Axis{Label: "x"}, Y: Axis{Label: "y"}, Series: []Series{{Name: "empty"}}},
			Line{Title: "One point", X: Axis{Label: "x"}, Y: Axis{Label: "y"}, Series: []Series{{Name: "alone", X: []float64{3}, Y: []float64{7}}}},
			Line{Title: "Constant, huge, negative", X: Axis{Label: "rows"}, Y: Axis{Label: "amount", Unit: "bytes"},
				Series: []Series{{Name: "constant", X: []float64{0, 2e6}, Y: []float64{-3.2e12, -3.2e12}}, {Name: "rising", X: []float64{0, 1e6, 2e6}, Y: []float64{-4e12, 0, 5e12}, Step: true}}},
			Histogram{Title: "All equal", X: Axis{Label: "value"}, Groups: []Group{{"same", []float64{2, 2, 2, 2}}, {"none", nil}}},
			Intervals{Title: "No spread", X: Axis{Label: "value"}, Values: []Interval{{"one seed", "", 0.71, math.Inf(-1), math.Inf(1)}, {"lower bound only", "", 0.68, 0.6, math.Inf(1)}, {"a method with a very long name that cannot be drawn in full here", "", 0.74, 0.7, 0.78}}},
			long,
		},
	}
}

func render(t testing.TB, p *Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := p.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSampleRenders(t *testing.T) {
	page := render(t, samplePage())
	if *sampleFile != "" {
		if err := os.WriteFile(*sampleFile, []byte(page), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if len(page) < 50_000 || len(page) > 600_000 {
		t.Errorf("the sample page has %d bytes", len(page))
	}
}

func TestSampleText(t *testing.T) {
	var b bytes.Buffer
	if err := samplePage().Text(&b, 80); err != nil {
		t.Fatal(err)
	}
	if *sampleFile != "" {
		if err := os.WriteFile(*sampleFile+".txt", b.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
