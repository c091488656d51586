package cli

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// redraw is how often a progress line changes at most.
const redraw = 100 * time.Millisecond

// progress is one line on a terminal's standard error that says how far the work is. Everywhere else it says nothing.
type progress struct {
	e     *env
	what  string
	unit  string
	total int // of the unit, 0 when not known
	done  int
	start time.Time
	drawn time.Time
	shown bool
}

// track starts a progress line, in place of the one before. total 0 means not known.
func (e *env) track(what, unit string, total int) *progress {
	e.clearProgress()
	p := &progress{e: e, what: what, unit: unit, total: max(total, 0), start: time.Now()}
	e.line = p
	return p
}

// add counts n more.
func (p *progress) add(n int) { p.set(p.done+n, p.total) }

// set says that done of total are over, as [method.Progress] does.
func (p *progress) set(done, total int) {
	p.done, p.total = done, total
	if p.e.line == nil {
		p.e.line = p // again, after other lines
	}
	if now := time.Now(); p.e.errTerminal && !p.e.quiet && p.e.line == p && now.Sub(p.drawn) >= redraw {
		p.drawn, p.shown = now, true
		fmt.Fprint(p.e.stderr, "\r\x1b[K"+cut(p.text(now.Sub(p.start)), p.e.width-1))
	}
}

// text is the line: what, how many, how fast, which share, how long yet.
func (p *progress) text(elapsed time.Duration) string {
	parts := []string{p.what, count(p.done) + " " + p.unit}
	rate := float64(p.done) / max(elapsed.Seconds(), 1e-9)
	if elapsed > time.Second/2 {
		parts = append(parts, count(int(rate))+" "+p.unit+"/s")
	}
	if p.total > 0 && p.done <= p.total {
		parts = append(parts, fmt.Sprintf("%d %%", 100*p.done/p.total))
		if elapsed > time.Second/2 && p.done > 0 {
			left := time.Duration(float64(p.total-p.done) / rate * float64(time.Second))
			parts = append(parts, "ready in "+left.Round(time.Second).String())
		}
	}
	return strings.Join(parts, "  ")
}

// clearProgress takes the line off the terminal: before other text, and at the end.
func (e *env) clearProgress() {
	if e.line != nil && e.line.shown {
		fmt.Fprint(e.stderr, "\r\x1b[K")
	}
	e.line = nil
}

// count writes a number in groups of three digits.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return s
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	if strings.HasSuffix(noun, "s") {
		return count(n) + " " + noun + "es"
	}
	return count(n) + " " + noun + "s"
}

// watched is a source whose rows move a progress line.
type watched struct {
	data.Source
	e     *env
	what  string
	total int // rows of one pass, 0 when not known
	rows  int // of the last pass

	paths   []string
	idName  string   // column of the rows' names
	columns []string // names of the features, once the first block was read
}

// watch shows on the terminal how far reading a source is. total 0 means not known.
func (e *env) watch(what string, src data.Source, total int) *watched {
	return &watched{Source: src, e: e, what: what, total: total}
}

// Blocks is that of the source underneath. After a whole pass the number of rows is known for the next one; no rows at all
// are an error.
func (w *watched) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		line := w.e.track(w.what, "rows", w.total)
		w.rows = 0
		for b, err := range w.Source.Blocks(ctx) {
			if b != nil {
				n, _ := b.Dims()
				w.rows += n
				if w.columns == nil {
					w.columns = b.Columns()
				}
				line.set(w.rows, w.total)
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
		w.total = w.rows
		if w.e.line == line {
			w.e.clearProgress()
		}
		if w.rows == 0 {
			yield(nil, named(w.paths, errNoRows))
		}
	}
}

// steps returns a context under which a method's own progress is shown.
func (e *env) steps(ctx context.Context, what string) context.Context {
	line := e.track(what, "steps", 0)
	return method.WithProgress(ctx, line.set)
}
