package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// hostile is text that breaks out of HTML, SVG, style, script, markup or terminal wherever it is not escaped.
const hostile = "</title></svg></script></style>\"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;&#0;{{.}}]]>-->\x1b[31m\x00\u202e\xff javascript:x `a` **b**"

// samplePlots are all plots of the sample page.
func samplePlots() []Plot {
	var plots []Plot
	for _, s := range samplePage().Sections {
		for _, b := range s.Blocks {
			if p, ok := b.(Plot); ok {
				plots = append(plots, p)
			}
		}
	}
	return plots
}

// hostilePlots have hostile text in every field that takes text.
func hostilePlots() []Plot {
	marks := []Mark{{0.5, hostile, Bad}}
	axis := Axis{Label: hostile, Unit: hostile}
	return []Plot{
		Line{Title: hostile, Caption: hostile, X: axis, Y: axis, Thresholds: marks, Events: marks, Phases: []Phase{{0, 1, hostile, Good}},
			Series: []Series{{Name: hostile, X: []float64{0, 1}, Y: []float64{0, 1}}}},
		Histogram{Title: hostile, Caption: hostile, X: axis, Thresholds: marks, Groups: []Group{{hostile, []float64{1, 2, 3}}}},
		Intervals{Title: hostile, Caption: hostile, X: axis, References: marks, Values: []Interval{{hostile, hostile, 1, 0, 2}, {hostile, "b", 1, 0, 2}}},
		Bars{Title: hostile, Caption: hostile, X: axis, References: marks, Values: []Bar{{hostile, hostile, 1, Good}, {hostile, "b", 2, Bad}}},
		Heatmap{Title: hostile, Caption: hostile, RowName: hostile, ColumnName: hostile, Value: axis, Rows: []string{hostile}, Columns: []string{hostile, "b"}, Values: [][]float64{{1}}},
		Scatter{Title: hostile, Caption: hostile, X: axis, Y: axis, Diagonal: hostile, Clouds: []Cloud{{hostile, []Point{{X: 1, Y: 1, Label: hostile}}}}},
	}
}

// extremePlots are drawings at the edge of what numbers and sizes can be.
func extremePlots(r *rand.Rand) []Plot {
	var plots []Plot
	values := func(n int, size float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = size * r.NormFloat64()
		}
		return out
	}
	rising := func(n int) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = float64(i)
		}
		return out
	}
	for _, size := range []float64{0, 5e-324, 1e-300, 1e-9, 1, 123456, 1e12, 1e299} {
		y := values(40, size)
		plots = append(plots,
			Line{Title: fmt.Sprint("line of size ", size), Series: []Series{{Name: "a", X: rising(40), Y: y}, {Name: "b", X: y[:1], Y: y[:1]}, {}}},
			Histogram{Title: fmt.Sprint("histogram of size ", size), Groups: []Group{{"a", y}, {"b", y[:1]}, {"c", nil}}},
			Intervals{Title: fmt.Sprint("intervals of size ", size), Values: []Interval{{"a", "", y[0], min(y[0], 0), max(y[0], 0)}, {"b", "", y[1], math.Inf(-1), math.Inf(1)}}},
			Bars{Title: fmt.Sprint("bars of size ", size), Values: []Bar{{"a", "", y[0], Neutral}, {"b", "", y[1], Good}}},
			Heatmap{Title: fmt.Sprint("heatmap of size ", size), Rows: []string{"a", "b"}, Columns: []string{"c", "d"}, Values: [][]float64{y[:2], y[2:3]}, Diverging: size > 1},
			Scatter{Title: fmt.Sprint("scatter of size ", size), Clouds: []Cloud{{"a", []Point{{X: y[0], Y: y[1]}}}}, Diagonal: "equal"},
		)
	}
	plots = append(plots, Line{Title: "constant far from zero", Series: []Series{{Name: "a", X: []float64{1e9, 1e9 + 1}, Y: []float64{1e15, 1e15}}}},
		Line{Title: "log of everything", Y: Axis{Log: true}, X: Axis{Log: true}, Series: []Series{{Name: "a", X: []float64{1e-299, 1e299}, Y: []float64{1e299, 1e-299}}}},
		Histogram{Title: "log", X: Axis{Log: true}, Groups: []Group{{"a", []float64{1e-200, 1, 1e200}}, {"b", []float64{3, 3}}}},
		Line{Title: "no series"}, Histogram{Title: "no groups"}, Intervals{Title: "no values"}, Bars{Title: "no values"}, Heatmap{Title: "no cells"}, Scatter{Title: "no clouds"})
	var many Line
	many.Title = "forty series and forty events"
	for i := range 40 {
		many.Series = append(many.Series, Series{Name: fmt.Sprint("series number ", i), X: rising(50), Y: values(50, 1)})
		many.Events = append(many.Events, Mark{At: float64(i), Label: fmt.Sprint("event number ", i), State: State(i % 4)})
		many.Phases = append(many.Phases, Phase{From: float64(i), To: float64(i + 1), Label: "phase"})
	}
	big := Heatmap{Title: "many classes", Value: Axis{Label: "a label that is far too long to stand beside the ramp of a heatmap on a phone"}}
	for i := range 256 {
		big.Rows, big.Columns = append(big.Rows, fmt.Sprint("class ", i)), append(big.Columns, fmt.Sprint("class ", i))
		big.Values = append(big.Values, values(256, 1))
	}
	close := Line{Title: "lines that end together", Y: Axis{Label: "y"}, Thresholds: []Mark{{1, "threshold one", Bad}, {1.001, "threshold two", Warn}}}
	for i := range 6 {
		close.Series = append(close.Series, Series{Name: fmt.Sprint("close ", i), X: []float64{0, 1}, Y: []float64{float64(i), 1 + float64(i)*1e-3}})
	}
	return append(plots, many, big, close)
}

var forbiddenNumber = regexp.MustCompile(`NaN|[-+" ,>]Inf\b|∞`)

// walkSVG parses a picture and calls visit for every element with its attributes and the text directly inside it.
func walkSVG(t *testing.T, name string, r io.Reader, visit func(element string, attributes map[string]string)) {
	t.Helper()
	d := xml.NewDecoder(r)
	depth := 0
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%s: not well-formed: %v", name, err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			attributes := map[string]string{}
			for _, a := range token.Attr {
				if _, twice := attributes[a.Name.Local]; twice {
					t.Errorf("%s: %s has %s twice", name, token.Name.Local, a.Name.Local)
				}
				attributes[a.Name.Local] = a.Value
			}
			visit(token.Name.Local, attributes)
		case xml.EndElement:
			depth--
		}
	}
	if depth != 0 {
		t.Errorf("%s: %d elements are left open", name, depth)
	}
}

// Every picture, also of hostile text and extreme numbers, is well-formed, says what it shows, and stays on its paper.
func TestSVG(t *testing.T) {
	allowed := map[string]bool{"svg": true, "title": true, "desc": true, "style": true, "rect": true, "line": true, "path": true, "circle": true, "text": true, "g": true}
	plots := append(append(samplePlots(), hostilePlots()...), extremePlots(rand.New(rand.NewPCG(9, 10)))...)
	for i, p := range plots {
		title, _ := p.heading()
		name := fmt.Sprintf("plot %d, %.40q", i, title)
		var b bytes.Buffer
		if err := p.SVG(&b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if bad := forbiddenNumber.FindString(b.String()); bad != "" {
			t.Errorf("%s: holds %q", name, bad)
		}
		counts := map[string]int{}
		walkSVG(t, name, &b, func(element string, attributes map[string]string) {
			counts[element]++
			if !allowed[element] {
				t.Errorf("%s: element %s", name, element)
			}
			for key := range attributes {
				if strings.HasPrefix(key, "on") || key == "href" || key == "style" {
					t.Errorf("%s: %s has the attribute %s", name, element, key)
				}
			}
		})
		if counts["desc"] != 1 || counts["style"] != 1 || counts["title"] < 1 {
			t.Errorf("%s: %d descriptions, %d styles, %d titles", name, counts["desc"], counts["style"], counts["title"])
		}
		for _, width := range []float64{wideWidth, narrowWidth} {
			d := p.draw(width)
			walkSVG(t, name, strings.NewReader("<g>"+d.body+"</g>"), func(element string, attributes map[string]string) {
				for key, limit := range map[string]float64{"x": d.width, "x1": d.width, "x2": d.width, "cx": d.width, "y": d.height, "y1": d.height, "y2": d.height, "cy": d.height} {
					if v, err := strconv.ParseFloat(attributes[key], 64); attributes[key] != "" && (err != nil || v < -1 || v > limit+1) {
						t.Errorf("%s, %g wide: %s has %s=%q outside 0…%g", name, width, element, key, attributes[key], limit)
					}
				}
			})
			if d.width != width || d.height < 30 || d.height > 30000 {
				t.Errorf("%s: %g×%g for a width of %g", name, d.width, d.height, width)
			}
		}
	}
}

// A long series must paint what all its points would paint: in each pixel column the same lowest and highest place.
func TestLongLineKeepsItsExtremes(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	n := 50000
	x, y := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], y[i] = float64(700*i/n), 100+30*r.NormFloat64()
	}
	column := func(x, y []float64) map[int][2]float64 {
		out := map[int][2]float64{}
		for i := range x {
			c := int(math.Round(x[i]))
			v, seen := out[c]
			if !seen {
				v = [2]float64{y[i], y[i]}
			}
			out[c] = [2]float64{min(v[0], y[i]), max(v[1], y[i])}
		}
		return out
	}
	track := lineTrack(x, y)
	if len(track) > 50000 {
		t.Errorf("the path has %d bytes", len(track))
	}
	var px, py []float64
	for _, part := range strings.FieldsFunc(track, func(r rune) bool { return r == 'M' || r == 'L' }) {
		var a, b float64
		if _, err := fmt.Sscan(part, &a, &b); err != nil {
			t.Fatal(err)
		}
		px, py = append(px, a), append(py, b)
	}
	want, got := column(x, y), column(px, py)
	for c, w := range want {
		if g := got[c]; math.Abs(g[0]-w[0]) > 0.051 || math.Abs(g[1]-w[1]) > 0.051 { // half of the printed tenth
			t.Errorf("column %d reaches from %g to %g, want %g to %g", c, g[0], g[1], w[0], w[1])
		}
	}
}

func TestSpread(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 2000 {
		n := 1 + r.IntN(12)
		labels := make([]endLabel, n)
		for i := range labels {
			labels[i].y = 20 + 260*r.Float64()*r.Float64()
		}
		if fits := spread(labels, 20, 280); fits != (float64(n-1)*endLabelStep <= 260) {
			t.Fatalf("%d labels: fits is %v", n, fits)
		}
		for i := range labels {
			if labels[i].y < 20-1e-9 || labels[i].y > 280+1e-9 {
				t.Fatalf("label at %g leaves 20…280", labels[i].y)
			}
			if i > 0 && labels[i].y-labels[i-1].y < endLabelStep-1e-9 {
				t.Fatalf("labels at %g and %g are too near", labels[i-1].y, labels[i].y)
			}
		}
	}
	far := []endLabel{{y: 100}, {y: 50}}
	spread(far, 20, 280)
	if far[0].y != 50 || far[1].y != 100 {
		t.Errorf("labels with room moved to %g and %g", far[0].y, far[1].y)
	}
}

// failing is a writer that fails.
type failing struct{}

var errFull = errors.New("disk full")

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteErrorsComeBack(t *testing.T) {
	p := samplePage()
	for name, err := range map[string]error{
		"HTML": p.HTML(failing{}), "Text": p.Text(failing{}, 80), "ColorText": p.ColorText(failing{}, 80), "SVG": samplePlots()[0].SVG(failing{}),
	} {
		if !errors.Is(err, errFull) {
			t.Errorf("%s returns %v, want %v", name, err, errFull)
		}
	}
}
