package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Line draws series over a common horizontal axis: scores over time, accuracy over tasks, loss over steps.
type Line struct {
	Title string
	// Caption says in a sentence what is to be seen. It may hold the inline markup of [Text].
	Caption string
	X, Y    Axis
	Series  []Series
	// Thresholds are horizontal lines, Events vertical ones, Phases shaded stretches of the horizontal axis.
	Thresholds, Events []Mark
	Phases             []Phase
}

// Series is one line: N points from left to right.
type Series struct {
	Name string
	// X does not decrease. Y has one value for each X.
	X, Y []float64
	// Low and High bound a band around the line, N values each; nil for none.
	Low, High []float64
	// Step holds each value until the next point instead of sloping towards it.
	Step bool
}

// Phase is a named stretch of the horizontal axis: training, calibration, after a change.
type Phase struct {
	From, To float64
	Label    string
	State    State
}

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming the series and the point.
func (l Line) SVG(w io.Writer) error { return writeSVG(w, l) }

func (l Line) heading() (string, string) { return l.Title, l.Caption }

func (l Line) html(ids *counter) (template.HTML, error) { return figureHTML(l, ids) }

func (l Line) check() error {
	c := newChecker("line plot", l.Title)
	c.axis("horizontal", l.X)
	c.axis("vertical", l.Y)
	for _, s := range l.Series {
		s.check(c, l.X.Log, l.Y.Log)
	}
	c.marks("threshold", l.Thresholds, l.Y.Log)
	c.marks("event", l.Events, l.X.Log)
	for _, f := range l.Phases {
		where := fmt.Sprintf("phase %q", f.Label)
		c.number(where, "start", 0, f.From, l.X.Log)
		c.number(where, "end", 0, f.To, l.X.Log)
		c.state(where, 0, f.State)
		if f.To < f.From {
			c.fail(where, ErrShape, "it ends at %g, before its start at %g", f.To, f.From)
		}
	}
	return c.err
}

func (s Series) check(c *checker, logX, logY bool) {
	where := series(s.Name)
	if len(s.X) != len(s.Y) {
		c.fail(where, ErrShape, "%d values of x, %d of y", len(s.X), len(s.Y))
	}
	c.numbers(where, "x", s.X, logX)
	c.numbers(where, "y", s.Y, logY)
	for i := 1; i < len(s.X); i++ {
		if s.X[i] < s.X[i-1] {
			c.fail(where, ErrShape, "x falls from %g to %g at %d, sort the points first", s.X[i-1], s.X[i], i+1)
		}
	}
	if s.Low == nil && s.High == nil {
		return
	}
	if len(s.Low) != len(s.Y) || len(s.High) != len(s.Y) {
		c.fail(where, ErrShape, "%d values of y, its band has %d below and %d above", len(s.Y), len(s.Low), len(s.High))
		return
	}
	c.numbers(where, "low", s.Low, logY)
	c.numbers(where, "high", s.High, logY)
	for i := range s.Low {
		if s.Low[i] > s.High[i] {
			c.fail(where, ErrShape, "band is upside down at %d: low %g, high %g", i+1, s.Low[i], s.High[i])
		}
	}
}

func (l Line) extents() (x, y extent) {
	x, y = newExtent(), newExtent()
	for _, s := range l.Series {
		x.add(s.X...)
		y.add(s.Y...)
		y.add(s.Low...)
		y.add(s.High...)
	}
	for _, m := range l.Thresholds {
		y.add(m.At)
	}
	for _, m := range l.Events {
		x.add(m.At)
	}
	for _, f := range l.Phases {
		x.add(f.From, f.To)
	}
	return x, y
}

// markedPoints is how many points a series may have for each to get a marker.
const markedPoints = 30

func (l Line) draw(width float64) drawing {
	p := newPanel(width)
	ex, ey := l.extents()
	p.yAxis(l.Y, ey, 5)
	labels, legend := l.names(p)
	p.x = l.X.horizontalScale(ex, tight, p.left, p.right)
	p.legend(legend)
	p.caption(l.Y.caption(p.y.factor))
	events, rows := p.markRows(l.Events)
	phaseRow := l.phaseRow()
	p.cursor += float64(rows)*rowHeight + phaseRow
	base := p.cursor - phaseRow
	height := 280.0
	if p.narrow {
		height = 230
	}
	// Phases lie under the grid, so they are drawn before the area.
	l.shade(p, p.cursor+8, height)
	xName := l.X.caption(p.x.factor)
	p.area(height, xName)
	for i, s := range l.Series {
		s.band(p, i)
	}
	for _, m := range l.Thresholds {
		y := p.y.at(m.At)
		p.line("threshold "+m.State.class(), p.left, y, p.right, y)
	}
	for i, s := range l.Series {
		s.trace(p, i)
	}
	p.markLines(events, base)
	for i := range labels {
		labels[i].y = p.y.at(labels[i].y)
	}
	spread(labels, p.top, p.bottom)
	for _, e := range labels {
		p.fitted(e.class, "start", p.right+10, e.y+4.5, labelSize, p.width-p.right-10, e.text)
	}
	if ex.empty && len(l.Series)+len(l.Thresholds) > 0 || len(l.Series) == 0 {
		p.text("empty", "middle", (p.left+p.right)/2, (p.top+p.bottom)/2, "no data")
	}
	return p.finish(xName)
}

// names decides how lines are named: at their right ends where there is room, in a legend otherwise.
// The y of the labels is still a value, not a pixel, for the scale has no place yet.
func (l Line) names(p *panel) (labels []endLabel, legend []legendItem) {
	longest := 0.0
	for i, s := range l.Series {
		label := clean(s.Name)
		if len(s.X) == 0 {
			label = strings.TrimSpace(label + " (no data)")
		} else if label != "" {
			labels = append(labels, endLabel{label, "label " + colorClass(i), s.Y[len(s.Y)-1]})
		}
		if label != "" {
			legend = append(legend, legendItem{label, func(p *pen, x, y float64) {
				p.line("line "+seriesClass(i), x, y, x+sampleWidth, y)
				p.marker(i, "", "", x+sampleWidth/2, y, 3.5)
			}})
		}
		longest = max(longest, textWidth(label, labelSize))
	}
	complete := len(labels) == len(legend)
	for _, m := range l.Thresholds {
		label := markLabel(m)
		if label == "" {
			continue
		}
		labels = append(labels, endLabel{label, "label " + m.State.class(), m.At})
		legend = append(legend, legendItem{label, func(p *pen, x, y float64) { p.line("threshold "+m.State.class(), x, y, x+sampleWidth, y) }})
		longest = max(longest, textWidth(label, labelSize))
	}
	if p.narrow || !complete || len(labels) > 10 || longest > 0.3*p.width {
		return nil, legend
	}
	if len(labels) > 0 {
		p.right = p.width - longest - 14
	}
	return labels, nil
}

func (l Line) phaseRow() float64 {
	for _, f := range l.Phases {
		if f.Label != "" {
			return rowHeight
		}
	}
	return 0
}

// shade draws the phases and writes their names above them.
func (l Line) shade(p *panel, top, height float64) {
	for i, f := range l.Phases {
		from, to := p.x.at(f.From), p.x.at(f.To)
		class := "phase " + f.State.class()
		if i%2 == 1 {
			class += " odd"
		}
		p.rect(class, f.Label, from, top, to-from, height)
		if label := markLabel(Mark{Label: f.Label, State: f.State}); label != "" && to-from > 24 {
			p.fitted("label "+f.State.class(), "middle", (from+to)/2, top-7, tickSize, to-from-4, label)
		}
	}
}

// pixels are the points of a series on the panel.
func (s Series) pixels(p *panel, values []float64) (x, y []float64) {
	x, y = make([]float64, len(values)), make([]float64, len(values))
	for i, v := range values {
		x[i], y[i] = p.x.at(s.X[i]), p.y.at(v)
	}
	return x, y
}

func (s Series) band(p *panel, i int) {
	if len(s.Low) == 0 {
		return
	}
	x, low := s.pixels(p, s.Low)
	_, high := s.pixels(p, s.High)
	upX, up := thinned(x, high, math.Min) // up is a small y
	downX, down := thinned(x, low, math.Max)
	if s.Step {
		upX, up = steps(upX, up)
		downX, down = steps(downX, down)
	}
	var t track
	for k := range upX {
		if k == 0 {
			t.move(upX[k], up[k])
			continue
		}
		t.to(upX[k], up[k])
	}
	for k := len(downX) - 1; k >= 0; k-- {
		t.to(downX[k], down[k])
	}
	p.path("band "+colorClass(i), "", t.close())
}

// thinned keeps one extreme point a pixel column.
func thinned(x, y []float64, extreme func(a, b float64) float64) (tx, ty []float64) {
	for i := range x {
		if n := len(tx); n > 0 && math.Round(tx[n-1]) == math.Round(x[i]) && i+1 < len(x) {
			ty[n-1] = extreme(ty[n-1], y[i])
			continue
		}
		tx, ty = append(tx, x[i]), append(ty, y[i])
	}
	return tx, ty
}

// steps inserts the corners of a staircase.
func steps(x, y []float64) (sx, sy []float64) {
	for i := range x {
		if i > 0 {
			sx, sy = append(sx, x[i]), append(sy, y[i-1])
		}
		sx, sy = append(sx, x[i]), append(sy, y[i])
	}
	return sx, sy
}

func (s Series) trace(p *panel, i int) {
	if len(s.X) == 0 {
		return
	}
	x, y := s.pixels(p, s.Y)
	if len(x) > 1 {
		lineX, lineY := x, y
		if s.Step {
			lineX, lineY = steps(x, y)
		}
		p.path("line "+seriesClass(i), "", lineTrack(lineX, lineY))
	}
	if len(x) > markedPoints { // one sign at the end tells the lines apart
		x, y = x[len(x)-1:], y[len(y)-1:]
		p.marker(i, "", "", x[0], y[0], 3.5)
		return
	}
	for k := range x {
		p.marker(i, "", s.Name+" at "+printNumber(s.X[k])+": "+printNumber(s.Y[k]), x[k], y[k], 3.5)
	}
}

// lineTrack draws a line through the points; of many points in one pixel column it keeps first, lowest, highest and last,
// which paints the same pixels.
func lineTrack(x, y []float64) string {
	var t track
	t.move(x[0], y[0])
	if len(x) < 3*narrowWidth {
		for i := 1; i < len(x); i++ {
			t.to(x[i], y[i])
		}
		return t.String()
	}
	for i := 0; i < len(x); {
		j, low, high := i, i, i
		for ; j < len(x) && math.Round(x[j]) == math.Round(x[i]); j++ {
			if y[j] < y[low] {
				low = j
			}
			if y[j] > y[high] {
				high = j
			}
		}
		last := -1
		for _, k := range []int{i, min(low, high), max(low, high), j - 1} {
			if k > last {
				t.to(x[k], y[k])
				last = k
			}
		}
		i = j
	}
	return t.String()
}
