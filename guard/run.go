package guard

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/report"
)

// Run judges a stream and keeps what a report tells of it, in memory that does not grow with the stream.
type Run struct {
	guard   *Guard
	stream  *Stream
	windows []Window
	every   int // a window kept stands for so many
	scores  thinned
	classes map[string]*classTally
	strange []strangeRow // the most unfamiliar rows, worst first
	rows    int
	refused int
}

type classTally struct{ rows, accepted, right int }

type strangeRow struct {
	row      int
	id       string
	decision Decision
	truth    string
}

const (
	shownStrange = 12
	keptScores   = 20000
	keptWindows  = 400
)

// thinned keeps every stride-th value, doubling the stride when full: a plain, order-respecting sample of a stream.
type thinned struct {
	values []float64
	stride int
	seen   int
}

func (t *thinned) add(v float64) {
	t.stride = max(t.stride, 1)
	if t.seen%t.stride == 0 {
		t.values = append(t.values, v)
	}
	t.seen++
	if len(t.values) == keptScores {
		for i := range keptScores / 2 {
			t.values[i] = t.values[2*i]
		}
		t.values, t.stride = t.values[:keptScores/2], 2*t.stride
	}
}

// NewRun begins a run with windows of so many rows.
func (g *Guard) NewRun(window int) (*Run, error) {
	s, err := g.NewStream(window)
	if err != nil {
		return nil, err
	}
	return &Run{guard: g, stream: s, classes: map[string]*classTally{}}, nil
}

// Guard returns the guard at work.
func (r *Run) Guard() *Guard { return r.guard }

// Stream returns the stream underneath, to save or resume it.
func (r *Run) Stream() *Stream { return r.stream }

// Observe judges rows; see [Stream.Observe].
func (r *Run) Observe(in *data.Table) ([]Decision, []Window, error) {
	ds, windows, err := r.stream.Observe(in)
	if err != nil {
		return nil, nil, err
	}
	for i, d := range ds {
		r.rows++
		r.scores.add(d.Score)
		if !d.Accept {
			r.refused++
		}
		truth := in.ClassName(i)
		name := truth
		if !in.HasLabels() {
			name = d.Label
		}
		t := r.classes[name]
		if t == nil {
			t = &classTally{}
			r.classes[name] = t
		}
		t.rows++
		if d.Accept {
			t.accepted++
			if d.Label == truth {
				t.right++
			}
		}
		if len(r.strange) < shownStrange || d.Score > r.strange[len(r.strange)-1].decision.Score {
			s := strangeRow{row: r.rows, decision: d, truth: truth}
			if ids := in.IDs(); ids != nil {
				s.id = ids[i]
			}
			at, _ := slices.BinarySearchFunc(r.strange, d.Score, func(s strangeRow, v float64) int { return cmp.Compare(v, s.decision.Score) })
			r.strange = slices.Insert(r.strange, at, s)[:min(len(r.strange)+1, shownStrange)]
		}
	}
	r.keep(windows)
	return ds, windows, nil
}

// keep stores windows, every other one once there are too many to plot.
func (r *Run) keep(windows []Window) {
	r.every = max(r.every, 1)
	for _, w := range windows {
		r.windows = append(r.windows, w)
		if len(r.windows) == keptWindows {
			for i := range keptWindows / 2 {
				a, b := r.windows[2*i], r.windows[2*i+1]
				b.First, b.MeanP = a.First, (a.MeanP*float64(a.Rows)+b.MeanP*float64(b.Rows))/float64(a.Rows+b.Rows)
				b.Rows, b.Accepted, b.Labelled, b.Right, b.Judged = a.Rows+b.Rows, a.Accepted+b.Accepted, a.Labelled+b.Labelled, a.Right+b.Right, a.Judged+b.Judged
				r.windows[i] = b
			}
			r.windows = r.windows[:keptWindows/2]
		}
	}
}

// Flush closes the last window, when it holds any rows, and returns it.
func (r *Run) Flush() (Window, bool) {
	w, ok := r.stream.Flush()
	if ok {
		r.keep([]Window{w})
	}
	return w, ok
}

// Refused returns how many of how many rows were not accepted.
func (r *Run) Refused() (refused, rows int) { return r.refused, r.rows }

// Windows returns the windows so far; of a long stream, neighbours are joined. The caller must not change them.
func (r *Run) Windows() []Window { return r.windows }

// About returns a report's section on the guard itself.
func (g *Guard) About() report.Section {
	model, kept := g.Rows()
	figures := report.KeyFigures{
		{Label: "false-alarm rate asked for", Value: percent(g.Alpha()), Note: "at most this share of familiar rows is refused"},
		{Label: "rows learned from", Value: fmt.Sprint(model), Note: fmt.Sprintf("in %d columns", g.Dim())},
		{Label: "rows calibrating the threshold", Value: fmt.Sprint(kept), Note: fmt.Sprintf("rates down to %.2g are possible", 1/float64(kept+1))},
		{Label: "known classes", Value: fmt.Sprint(len(g.classes)), Note: g.methods()},
	}
	return report.Section{
		Title: "The guard",
		Lead:  fmt.Sprintf("A row is refused when its score exceeds %.4g, which a familiar row does with probability at most %s, whatever the distribution.", g.Threshold(), percent(g.Alpha())),
		Blocks: []report.Block{figures, report.Code{
			Title: "Identity", Output: "sha256 " + g.Hash(),
		}},
	}
}

func (g *Guard) methods() string {
	if g.head == nil || g.frame.Head == g.frame.Detector {
		return "by " + g.frame.Detector
	}
	return "by " + g.frame.Detector + " and " + g.frame.Head
}

// Sections returns what a report says of the run so far. Call Flush before.
func (r *Run) Sections() []report.Section {
	if r.rows == 0 {
		return []report.Section{{Title: "The stream", Lead: "No rows came."}}
	}
	refused := float64(r.refused) / float64(r.rows)
	alarm := report.KeyFigure{Label: "drift alarm", Value: "silent", State: report.Good,
		Note: fmt.Sprintf("rings without drift with probability ≤ %s over the whole stream", percent(r.guard.frame.DriftLevel))}
	if at := r.stream.AlarmRow(); at > 0 {
		alarm.Value, alarm.State = fmt.Sprintf("row %d", at), report.Bad
	}
	figures := report.KeyFigures{
		{Label: "rows judged", Value: fmt.Sprint(r.rows)},
		{Label: "refused", Value: percent(refused), Note: fmt.Sprintf("%d rows; at most %s of familiar rows", r.refused, percent(r.guard.Alpha()))},
		alarm,
	}
	right, judged := 0, 0
	for _, w := range r.windows {
		right, judged = right+w.Right, judged+w.Judged
	}
	if judged > 0 {
		figures = append(figures, report.KeyFigure{Label: "accuracy of accepted rows", Value: percent(float64(right) / float64(judged)), Note: fmt.Sprintf("%d rows with a label", judged)})
	}
	return []report.Section{
		{Title: "The stream", Lead: "Each row was judged by itself; the windows below only summarise.", Blocks: []report.Block{figures, r.evidencePlot(), r.acceptPlot()}},
		{Title: "Scores", Blocks: []report.Block{r.scorePlot(), r.strangeTable()}},
		{Title: "Classes", Blocks: []report.Block{r.classTable()}},
	}
}

func (r *Run) evidencePlot() report.Block {
	level := -math.Log10(r.guard.frame.DriftLevel)
	top := 5 * level // beyond it the size says nothing more, and would flatten what lies below
	s := report.Series{Name: "evidence"}
	for _, w := range r.windows {
		s.X, s.Y = append(s.X, float64(w.First+w.Rows-1)), append(s.Y, min(w.Evidence, top))
	}
	p := report.Line{
		Title:      "Evidence for drift",
		Caption:    "Base-10 logarithm of the test martingale: about 0 while the stream looks like the calibration rows. The alarm rings at the dashed line. Drawn up to " + fmt.Sprintf("%.3g.", top),
		X:          report.Axis{Label: "row"},
		Y:          report.Axis{Label: "log₁₀ evidence", Cover: []float64{-level, top}},
		Series:     []report.Series{s},
		Thresholds: []report.Mark{{At: level, Label: "alarm", State: report.Bad}},
	}
	if at := r.stream.AlarmRow(); at > 0 {
		p.Events = []report.Mark{{At: float64(at), Label: fmt.Sprintf("alarm at row %d", at), State: report.Bad}}
	}
	return p
}

func (r *Run) acceptPlot() report.Block {
	accepted, right := report.Series{Name: "accepted"}, report.Series{Name: "right among accepted"}
	for _, w := range r.windows {
		x := float64(w.First + w.Rows - 1)
		accepted.X, accepted.Y = append(accepted.X, x), append(accepted.Y, float64(w.Accepted)/float64(w.Rows))
		if w.Judged > 0 {
			right.X, right.Y = append(right.X, x), append(right.Y, float64(w.Right)/float64(w.Judged))
		}
	}
	p := report.Line{
		Title:      "Accepted rows, window by window",
		X:          report.Axis{Label: "row"},
		Y:          report.Axis{Label: "share", Percent: true, Cover: []float64{0, 1}},
		Series:     []report.Series{accepted},
		Thresholds: []report.Mark{{At: 1 - r.guard.Alpha(), Label: "familiar rows: at least"}},
	}
	if len(right.X) > 0 {
		p.Series = append(p.Series, right)
	}
	return p
}

func (r *Run) scorePlot() report.Block {
	h := report.Histogram{
		Title:   "Scores of the stream beside those of the calibration rows",
		Caption: "Higher = more unfamiliar. Rows to the right of the threshold are refused.",
		X:       report.Axis{Label: "score"},
		Groups:  []report.Group{{Name: "calibration", Values: r.guard.CalibrationScores()}, {Name: "stream", Values: r.scores.values}},
	}
	if t := r.guard.Threshold(); !math.IsInf(t, 0) {
		h.Thresholds = []report.Mark{{At: t, Label: "threshold"}}
	}
	return h
}

func (r *Run) strangeTable() report.Block {
	t := report.Table{Title: "Most unfamiliar rows", Columns: []report.Column{{Title: "row"}, {Title: "score"}, {Title: "p-value", Format: report.Fixed(5)}, {Title: "nearest class"}, {Title: "own label"}}}
	for _, s := range r.strange {
		name := fmt.Sprint(s.row)
		if s.id != "" {
			name = s.id
		}
		t.Rows = append(t.Rows, []report.Cell{report.Words(name), report.Number(s.decision.Score), report.Number(s.decision.PValue), report.Words(s.decision.Label), report.Words(s.truth)})
	}
	return t
}

func (r *Run) classTable() report.Block {
	t := report.Table{Columns: []report.Column{{Title: "class"}, {Title: "rows"}, {Title: "accepted", Format: report.Percent(1)}, {Title: "right among accepted", Format: report.Percent(1)}, {Title: "rows learned from"}}}
	names := make([]string, 0, len(r.classes))
	for name := range r.classes {
		names = append(names, name)
	}
	slices.SortFunc(names, data.CompareClasses)
	for _, name := range names {
		c := r.classes[name]
		shown, learned := name, r.guard.Count(name)
		if name == "" {
			shown = "(no label)"
		}
		right := report.Words("–")
		if c.accepted > 0 && slices.Contains(r.guard.classes, name) && r.labelled() {
			right = report.Number(float64(c.right) / float64(c.accepted))
		}
		t.Rows = append(t.Rows, []report.Cell{report.Words(shown), report.Number(float64(c.rows)), report.Number(float64(c.accepted) / float64(c.rows)), right, report.Number(float64(learned))})
	}
	return t
}

func (r *Run) labelled() bool {
	return slices.ContainsFunc(r.windows, func(w Window) bool { return w.Labelled > 0 })
}

func percent(x float64) string { return fmt.Sprintf("%.4g %%", 100*x) }
