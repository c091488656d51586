package report

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	xy := []float64{1, 2}
	for _, c := range []struct {
		block Block
		err   error
		says  string
	}{
		{Line{Title: "loss", Series: []Series{{Name: "a", X: xy, Y: []float64{1, nan}}}}, ErrFinite, `line plot "loss": series "a": y is NaN at 2`},
		{Line{Title: "loss", Series: []Series{{Name: "a", X: []float64{-inf, 0}, Y: xy}}}, ErrFinite, `series "a": x is -Inf at 1`},
		{Line{Series: []Series{{X: xy, Y: xy, Low: []float64{0, nan}, High: xy}}}, ErrFinite, "line plot: series: low is NaN at 2"},
		{Line{Series: []Series{{X: xy, Y: xy, Low: []float64{0}, High: xy}}}, ErrShape, "its band has 1 below and 2 above"},
		{Line{Series: []Series{{X: xy, Y: xy, Low: []float64{9, 9}, High: xy}}}, ErrShape, "upside down at 1"},
		{Line{Series: []Series{{Name: "a", X: xy, Y: xy[:1]}}}, ErrShape, `series "a": 2 values of x, 1 of y`},
		{Line{Series: []Series{{Name: "a", X: []float64{2, 1}, Y: xy}}}, ErrShape, "x falls from 2 to 1 at 2"},
		{Line{Y: Axis{Log: true}, Series: []Series{{Name: "a", X: xy, Y: []float64{1, 0}}}}, ErrAxis, "y is 0 at 2, a logarithmic axis"},
		{Line{Series: []Series{{Name: "a", X: xy, Y: []float64{1, 1e301}}}}, ErrAxis, "y is 1e+301 at 2"},
		{Line{Y: Axis{Cover: []float64{nan}}}, ErrFinite, "vertical axis: covered value is NaN"},
		{Line{Thresholds: []Mark{{inf, "alarm", Bad}}}, ErrFinite, `threshold "alarm": place is +Inf`},
		{Line{Events: []Mark{{0, "e", State(9)}}}, ErrShape, "state is 9"},
		{Line{Phases: []Phase{{2, 1, "p", Neutral}}}, ErrShape, `phase "p": it ends at 1, before its start at 2`},
		{Histogram{Title: "h", Groups: []Group{{"g", []float64{1, nan}}}}, ErrFinite, `histogram "h": group "g": value is NaN at 2`},
		{Histogram{Bins: 1000}, ErrShape, "1000 bins"},
		{Intervals{Values: []Interval{{"r", "s", nan, 0, 1}}}, ErrFinite, `row "r": series "s": value is NaN`},
		{Intervals{Values: []Interval{{"r", "", 1, nan, 1}}}, ErrFinite, `row "r": low end is NaN`},
		{Intervals{Values: []Interval{{"r", "", 1, inf, inf}}}, ErrFinite, "low end is +Inf"},
		{Intervals{Values: []Interval{{"r", "", 1, 2, 1}}}, ErrShape, "upside down"},
		{Intervals{Values: []Interval{{"r", "", 1, 0, 2}, {"r", "", 1, 0, 2}}}, ErrShape, `row "r": there are two values`},
		{Bars{Values: []Bar{{"r", "", nan, Neutral}}}, ErrFinite, `row "r": value is NaN`},
		{Bars{X: Axis{Log: true}}, ErrAxis, "bars start at zero"},
		{Heatmap{Title: "m", Rows: []string{"r"}, Columns: []string{"c"}, Values: [][]float64{{nan}}}, ErrFinite, `heatmap "m": row "r": value is NaN at 1`},
		{Heatmap{Rows: []string{"r"}, Columns: []string{"c"}, Values: [][]float64{{1, 2}}}, ErrShape, "2 values, 1 columns"},
		{Heatmap{Rows: []string{"r"}}, ErrShape, "0 rows of values, 1 row labels"},
		{Heatmap{Rows: make([]string, 300), Values: make([][]float64, 300)}, ErrShape, "300×0 cells"},
		{Heatmap{Value: Axis{Log: true}}, ErrAxis, "colours are linear"},
		{Scatter{Title: "s", Clouds: []Cloud{{"c", []Point{{X: 1, Y: nan}}}}}, ErrFinite, `scatter plot "s": cloud "c": y is NaN at 1`},
		{Scatter{Clouds: []Cloud{{"c", []Point{{Weight: -1}}}}}, ErrShape, "weight is -1 at 1"},
		{Scatter{Diagonal: "equal", X: Axis{Log: true}}, ErrAxis, "two axes of one kind"},
		{Table{Title: "t", Columns: []Column{{Title: "c"}}, Rows: [][]Cell{{Number(nan)}}}, ErrFinite, `table "t": column "c": row 1: value is NaN`},
		{Table{Columns: []Column{{Title: "c"}}, Rows: [][]Cell{{}}}, ErrShape, "row 1 has 0 cells, the table has 1 columns"},
		{Table{Columns: []Column{{Title: "c"}}, Rows: [][]Cell{{Estimate(1, nan, 2)}}}, ErrFinite, "low end is NaN"},
		{Table{Columns: []Column{{Title: "c", Align: 9}}}, ErrShape, "alignment is 9"},
		{Table{Columns: []Column{{Title: "c", Best: 9}}}, ErrShape, "best is 9"},
		{Notice{State(-1), "n"}, ErrShape, "state is -1"},
		{KeyFigures{{State: State(7)}}, ErrShape, "state is 7"},
		{nil, ErrShape, "block 1 is nil"},
		{(*Line)(nil), ErrShape, "block 1 is nil"},
	} {
		p := &Page{Sections: []Section{{Title: "Part", Blocks: []Block{c.block}}}}
		var b bytes.Buffer
		for form, err := range map[string]error{"HTML": p.HTML(&b), "Text": p.Text(&b, 80)} {
			switch {
			case !errors.Is(err, c.err):
				t.Errorf("%T, %s: error %v, want one of %v", c.block, form, err, c.err)
			case !strings.HasPrefix(err.Error(), `report: section "Part": `) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n"):
				t.Errorf("%T, %s: %q does not say %q", c.block, form, err, c.says)
			}
		}
		if plot, ok := c.block.(Plot); ok && !isNil(plot) {
			if err := plot.SVG(&b); !errors.Is(err, c.err) {
				t.Errorf("%T: SVG returns %v", c.block, err)
			}
		}
		if b.Len() > 0 {
			t.Errorf("%T: %d bytes were written", c.block, b.Len())
		}
	}
}

// Pointers to blocks are blocks too.
func TestPointersAreBlocks(t *testing.T) {
	p := &Page{Sections: []Section{{Blocks: []Block{&Line{Title: "l"}, &Table{}}}}}
	render(t, p)
}
