package report

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Scatter draws points. With a Diagonal it is a reliability diagram: confidence against accuracy, points sized by their rows,
// whiskers for the intervals, and the line on which the two agree.
type Scatter struct {
	Title string
	// Caption may hold the inline markup of [Text].
	Caption string
	X, Y    Axis
	Clouds  []Cloud
	// Diagonal names the line x = y; empty for none. With it the plot is square and both axes cover the same range.
	Diagonal string
}

// Cloud is a group of points with one sign.
type Cloud struct {
	Name   string
	Points []Point
}

// Point is one of them.
type Point struct {
	X, Y float64
	// Low and High are the ends of a vertical whisker, drawn when Low < High.
	Low, High float64
	// Weight sets the area of the sign against the heaviest point of the cloud: the rows of a bin. All zero: equal signs.
	Weight float64
	// Label is told on hovering.
	Label string
}

func (p Point) whisker() bool { return p.Low < p.High }

// SVG writes the plot alone. Errors: ErrFinite, ErrShape and ErrAxis, naming the cloud and the point.
func (s Scatter) SVG(w io.Writer) error { return writeSVG(w, s) }

func (s Scatter) heading() (string, string) { return s.Title, s.Caption }

func (s Scatter) html(ids *counter) (template.HTML, error) { return figureHTML(s, ids) }

func (s Scatter) check() error {
	c := newChecker("scatter plot", s.Title)
	c.axis("horizontal", s.X)
	c.axis("vertical", s.Y)
	if s.Diagonal != "" && (s.X.Log != s.Y.Log || s.X.Percent != s.Y.Percent) {
		c.fail("", ErrAxis, "a diagonal needs two axes of one kind")
	}
	for _, cloud := range s.Clouds {
		where := "cloud"
		if cloud.Name != "" {
			where = fmt.Sprintf("cloud %q", cloud.Name)
		}
		for i, p := range cloud.Points {
			c.number(where, "x", i+1, p.X, s.X.Log)
			c.number(where, "y", i+1, p.Y, s.Y.Log)
			c.number(where, "weight", i+1, p.Weight, false)
			c.number(where, "low", i+1, p.Low, s.Y.Log && p.whisker())
			c.number(where, "high", i+1, p.High, s.Y.Log && p.whisker())
			if p.Weight < 0 {
				c.fail(where, ErrShape, "weight is %g at %d, it must not be negative", p.Weight, i+1)
			}
		}
	}
	return c.err
}

func (s Scatter) extents() (x, y extent) {
	x, y = newExtent(), newExtent()
	for _, c := range s.Clouds {
		for _, p := range c.Points {
			x.add(p.X)
			y.add(p.Y)
			if p.whisker() {
				y.add(p.Low, p.High)
			}
		}
	}
	if s.Diagonal != "" {
		both := x
		if !y.empty {
			both.add(y.low, y.high)
		}
		both.add(s.X.Cover...)
		both.add(s.Y.Cover...)
		both.whole = x.whole && y.whole
		return both, both
	}
	return x, y
}

// Clouds up to this size get a sign for each point that tells its values on hovering; larger ones are one path of dots.
const hoverPoints = 300

func (s Scatter) draw(width float64) drawing {
	p := newPanel(width)
	ex, ey := s.extents()
	p.yAxis(s.Y, ey, 5)
	height := 320.0
	if p.narrow {
		height = 260
	}
	if s.Diagonal != "" {
		height = min(p.right-p.left, 400)
		p.right = p.left + height
	}
	p.x = s.X.horizontalScale(ex, loose, p.left, p.right)
	if s.Diagonal != "" { // equal ranges, as drawn, not only as data
		p.x.low, p.x.high, p.x.ticks, p.x.factor = p.y.low, p.y.high, p.y.ticks, p.y.factor
		p.x = p.x.thinned()
	}
	p.legend(s.legend())
	p.caption(s.Y.caption(p.y.factor))
	xName := s.X.caption(p.x.factor)
	p.area(height, xName)
	if s.Diagonal != "" {
		p.line("diagonal", p.left, p.bottom, p.right, p.top)
	}
	points := 0
	for i, c := range s.Clouds {
		s.cloud(p, i, c)
		points += len(c.Points)
	}
	if points == 0 {
		p.text("empty", "middle", (p.left+p.right)/2, (p.top+p.bottom)/2, "no data")
	}
	return p.finish(xName)
}

func (s Scatter) legend() []legendItem {
	var legend []legendItem
	for i, c := range s.Clouds {
		label := clean(c.Name)
		if len(c.Points) == 0 {
			label = seriesName(c.Name, i) + " (no data)"
		}
		if label == "" {
			continue
		}
		legend = append(legend, legendItem{label, func(p *pen, x, y float64) { p.marker(i, "", "", x+sampleWidth/2, y, 4.5) }})
	}
	if s.Diagonal != "" {
		legend = append(legend, legendItem{s.Diagonal, func(p *pen, x, y float64) { p.line("diagonal", x, y+5, x+sampleWidth, y-5) }})
	}
	return legend
}

func (s Scatter) cloud(p *panel, i int, c Cloud) {
	heaviest := 0.0
	for _, pt := range c.Points {
		heaviest = max(heaviest, pt.Weight)
		if pt.whisker() {
			x := p.x.at(pt.X)
			p.line("whisker "+colorClass(i), x, p.y.at(pt.Low), x, p.y.at(pt.High))
		}
	}
	if len(c.Points) > hoverPoints {
		p.path("dots "+colorClass(i), "", s.dots(p, c))
		return
	}
	for _, pt := range c.Points {
		r := 4.5
		if heaviest > 0 {
			r = 2.5 + 7*math.Sqrt(pt.Weight/heaviest)
		}
		title := s.X.name("x") + " " + s.X.print(pt.X) + ", " + s.Y.name("y") + " " + s.Y.print(pt.Y)
		if pt.Label != "" {
			title = pt.Label + ": " + title
		}
		class := "soft"
		if pt.whisker() {
			class = ""
		}
		p.marker(i, class, title, p.x.at(pt.X), p.y.at(pt.Y), r)
	}
}

// dots is a path of points, one for each pixel that has any.
func (s Scatter) dots(p *panel, c Cloud) string {
	var t track
	seen := map[[2]int]bool{}
	for _, pt := range c.Points {
		x, y := p.x.at(pt.X), p.y.at(pt.Y)
		pixel := [2]int{int(math.Round(x)), int(math.Round(y))}
		if seen[pixel] {
			continue
		}
		seen[pixel] = true
		t.move(x, y)
		t.b.WriteString("h0")
	}
	return t.String()
}

func (s Scatter) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Scatter plot of %s against %s.", s.Y.name("y"), s.X.name("x"))
	for i, c := range s.Clouds {
		name := seriesName(c.Name, i)
		if len(c.Points) == 0 {
			fmt.Fprintf(&b, " %s: no data.", name)
			continue
		}
		x, y := newExtent(), newExtent()
		below := 0
		for _, p := range c.Points {
			x.add(p.X)
			y.add(p.Y)
			if p.Y < p.X {
				below++
			}
		}
		fmt.Fprintf(&b, " %s: %s, %s from %s to %s, %s from %s to %s.", name, count(len(c.Points), "point", "points"),
			s.X.name("x"), s.X.print(x.low), s.X.print(x.high), s.Y.name("y"), s.Y.print(y.low), s.Y.print(y.high))
		if s.Diagonal != "" {
			fmt.Fprintf(&b, " %s of them below the line of %s.", groupDigits(fmt.Sprint(below)), clean(s.Diagonal))
		}
	}
	return b.String()
}

func (s Scatter) data() Table {
	total, whiskers, weights := 0, false, false
	for _, c := range s.Clouds {
		total += len(c.Points)
		for _, p := range c.Points {
			whiskers, weights = whiskers || p.whisker(), weights || p.Weight > 0
		}
	}
	x, y := s.X.column("x"), s.Y.column("y")
	if total > tabledPoints {
		t := Table{Columns: []Column{{Title: "cloud"}, {Title: "points"}, x.titled("mean " + x.Title), y.titled("mean " + y.Title)}}
		for i, c := range s.Clouds {
			row := []Cell{Words(seriesName(c.Name, i)), Number(float64(len(c.Points))), {}, {}}
			if len(c.Points) > 0 {
				var xs, ys []float64
				for _, p := range c.Points {
					xs, ys = append(xs, p.X), append(ys, p.Y)
				}
				row[2], row[3] = Number(newTally(xs).mean), Number(newTally(ys).mean)
			}
			t.Rows = append(t.Rows, row)
		}
		return t
	}
	t := Table{Columns: []Column{{Title: "cloud"}, x, y}}
	if whiskers {
		t.Columns = append(t.Columns, y.titled("low"), y.titled("high"))
	}
	if weights {
		t.Columns = append(t.Columns, Column{Title: "weight"})
	}
	for i, c := range s.Clouds {
		for _, p := range c.Points {
			row := []Cell{Words(seriesName(c.Name, i)), Number(p.X), Number(p.Y)}
			if whiskers && p.whisker() {
				row = append(row, Number(p.Low), Number(p.High))
			} else if whiskers {
				row = append(row, Cell{}, Cell{})
			}
			if weights {
				row = append(row, Number(p.Weight))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}
