package report_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/gimbal-ml/gimbal/report"
)

func Example() {
	page := &report.Page{
		Title: "Drift report",
		Sections: []report.Section{{
			Title: "Verdict",
			Blocks: []report.Block{
				report.Notice{State: report.Bad, Body: "**Drift found** at row 5 296."},
				report.KeyFigures{
					{Label: "Rows seen", Value: "10 240"},
					{Label: "Flagged", Value: "18.4 %", Note: "5.0 % promised", State: report.Bad},
				},
			},
		}},
		Generated: "gimbal 0.1, seed 1",
	}
	if err := page.Text(os.Stdout, 60); err != nil {
		fmt.Println(err)
	}
	// Output:
	// Drift report
	// ════════════
	//
	// Verdict
	// ───────
	//
	// │ ✗ Drift found at row 5 296.
	//
	// Rows seen    10 240
	// Flagged    ✗ 18.4 %  5.0 % promised
	//
	// gimbal 0.1, seed 1
}

func ExamplePage_HTML() {
	page := &report.Page{Title: "Scores <of today>", Sections: []report.Section{{
		Title: "Losses",
		Blocks: []report.Block{report.Line{
			Title:  "Training",
			X:      report.Axis{Label: "step"},
			Series: []report.Series{{Name: "loss", X: []float64{1, 2, 3}, Y: []float64{0.9, 0.4, math.NaN()}}},
		}},
	}}}
	var file bytes.Buffer
	fmt.Println(page.HTML(&file)) // a number that is none is refused, and nothing is written
	page.Sections[0].Blocks = nil
	fmt.Println(page.HTML(&file))
	_, title, _ := strings.Cut(file.String(), "<h1>")
	title, _, _ = strings.Cut(title, "</h1>")
	fmt.Println(title)
	// Output:
	// report: section "Losses": line plot "Training": series "loss": y is NaN at 3: not a finite number
	// <nil>
	// Scores &lt;of today&gt;
}

func ExampleTable() {
	page := &report.Page{Sections: []report.Section{{Blocks: []report.Block{report.Table{
		Columns: []report.Column{
			{Title: "method"},
			{Title: "AUROC", Format: report.Percent(1), Best: report.Highest},
			{Title: "fit", Unit: "ms"},
			{Title: "claim"},
		},
		Rows: [][]report.Cell{
			{report.Words("detect/knn"), report.Estimate(0.906, 0.897, 0.914), report.Number(62.5), report.Words("holds").Marked(report.Good)},
			{report.Words("detect/msp"), report.Estimate(0.880, math.Inf(-1), math.Inf(1)), report.Number(3), report.Words("open").Marked(report.Warn)},
		},
	}}}}}
	if err := page.Text(os.Stdout, 80); err != nil {
		fmt.Println(err)
	}
	// Output:
	// method              AUROC (%)  fit (ms)  claim
	// ────────────────────────────────────────────────
	// detect/knn  90.6 [89.7, 91.4]      62.5  ✓ holds
	// detect/msp               88.0       3.0  ! open
}

func ExampleIntervals() {
	plot := report.Intervals{X: report.Axis{Label: "AUROC", Percent: true}, Values: []report.Interval{
		{Row: "knn", Value: 0.906, Low: 0.897, High: 0.914},
		{Row: "msp", Value: 0.880, Low: 0.871, High: 0.888},
		{Row: "one seed", Value: 0.893, Low: math.Inf(-1), High: math.Inf(1)},
	}}
	page := &report.Page{Sections: []report.Section{{Blocks: []report.Block{plot}}}}
	if err := page.Text(os.Stdout, 64); err != nil {
		fmt.Println(err)
	}
	// Output:
	// knn                          ├────●───┤     90.60 [89.70, 91.40]
	// msp             ├───●───┤                   88.00 [87.10, 88.80]
	// one seed                   ●                               89.30
	//           86                            92
}
