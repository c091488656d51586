package methodtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

func canTest(s method.Spec) bool  { return s.Can("test") && takesTables(s) }
func canWatch(s method.Spec) bool { return s.Can("watch") && takesTables(s) }

// compare fits on one table and tests another; a refusal is for other checks to judge.
func (t *T) compare(in data.Bundle, window *data.Table) (*method.Comparison, bool) {
	m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), in)
	if err != nil {
		return nil, false
	}
	c, err := m.(method.Tester).Test(t.ctx, window)
	return c, err == nil && c != nil
}

// checkComparison: a p-value lies in (0, 1] and decides; an interval holds its value; parts keep to the same.
func checkComparison(t *T) {
	for _, y := range toys(t.Spec) {
		strange := separable.strange(t.Spec.Inputs[0].Name, 40)
		for _, window := range []*data.Table{y.query, strange, y.query.Slice(0, 2)} {
			c, ok := t.compare(y.in, window)
			if !ok {
				continue
			}
			if !(c.PValue > 0 && c.PValue <= 1) || !(c.Level > 0 && c.Level < 1) || c.Drift != (c.PValue <= c.Level) {
				t.Errorf("%s: p-value %v at level %v, drift %v", y.name, c.PValue, c.Level, c.Drift)
			}
			if c.Name == "" || c.Unit == "" {
				t.Errorf("%s: statistic %q in the unit %q: both must have a name", y.name, c.Name, c.Unit)
			}
			for _, p := range append([]method.Part{{Name: "all", PValue: c.PValue, Corrected: c.PValue, Drift: c.Drift, Effect: c.Effect}}, c.Parts...) {
				if !(p.PValue > 0 && p.PValue <= p.Corrected && p.Corrected <= 1) || p.Drift != (p.Corrected <= c.Level) || !p.Effect.Contains(p.Effect.Value) || p.Name == "" {
					t.Errorf("%s: part %q: p-value %v, corrected %v at level %v, drift %v, effect %v", y.name, p.Name, p.PValue, p.Corrected, c.Level, p.Drift, p.Effect)
				}
			}
		}
	}
}

// checkWindowOrder: the order of a window's rows changes nothing.
func checkWindowOrder(t *T) {
	for _, y := range toys(t.Spec) {
		m := t.mustFit(y.in)
		n, _ := y.query.Dims()
		c, err := m.(method.Tester).Test(t.ctx, y.query)
		want := t.comparison(c, err)
		c, err = m.(method.Tester).Test(t.ctx, y.query.Pick(rand.New(rand.NewPCG(8, 8)).Perm(n)))
		if d := t.comparison(c, err).differs(want, 1e-9); d != "" {
			t.Errorf("%s: window shuffled: %s", y.name, d)
		}
	}
}

// checkExchange: reference and window may be exchanged: the p-value and the statistic stay.
func checkExchange(t *T) {
	slot := t.Spec.Inputs[0].Name
	for _, y := range toys(t.Spec) {
		reference := y.in[slot].(*data.Table)
		for _, window := range []*data.Table{y.query, reference.Slice(0, 1), y.query.Slice(0, 7), separable.strange(slot, 25)} {
			if _, d := window.Dims(); d != columns(reference.Dims()) {
				continue
			}
			there, ok := t.compare(y.in, window)
			back, ok2 := t.compare(data.Bundle{slot: window}, reference)
			if ok != ok2 {
				t.Errorf("%s: answered in one direction alone", y.name)
				continue
			}
			if !ok {
				continue
			}
			if near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*math.Max(math.Abs(a), math.Abs(b)) }; !near(there.PValue, back.PValue) || !near(there.Statistic, back.Statistic) {
				t.Errorf("%s: p-value %v, statistic %v; exchanged %v, %v", y.name, there.PValue, there.Statistic, back.PValue, back.Statistic)
			}
		}
	}
}

// columns picks the second of what Dims returns.
func columns(_, d int) int { return d }

// tooMany says whether so many alarms in so many trials are beyond what a rate explains: by four standard deviations, and two.
func tooMany(alarms, trials int, rate float64) bool {
	n := float64(trials)
	return float64(alarms) > rate*n+4*math.Sqrt(rate*(1-rate)*n)+2
}

// null draws a reference and a window, or a stream, of one distribution.
func (t *T) null(seed uint64, reference, window int) (data.Bundle, *data.Table) {
	slot := t.Spec.Inputs[0].Name
	r := uneven.with(seed, reference)
	return bundle(t.Spec, r, r.table), uneven.with(seed+1, window).table(slot)
}

// checkNullRate: without drift the p-value is at or below a level no more often than the level says, up to chance.
func checkNullRate(t *T) {
	const trials = 120
	below := map[float64]int{0.05: 0, 0.2: 0, 0.5: 0}
	for k := range uint64(trials) {
		in, window := t.null(1000+2*k, 15, 10)
		c, ok := t.compare(in, window)
		if !ok {
			continue
		}
		for level := range below {
			if c.PValue <= level {
				below[level]++
			}
		}
	}
	for level, n := range below {
		if tooMany(n, trials, level) {
			t.Errorf("without drift %d of %d p-values are at or below %g", n, trials, level)
		}
	}
}

// checkPlantedDrift: rows that are like none of the reference's are drift, and a stream of them rings.
func checkPlantedDrift(t *T) {
	slot := t.Spec.Inputs[0].Name
	y := toyOf(t.Spec, "uneven", uneven.with(77, 40))
	m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), y.in)
	if err != nil {
		t.Fatalf("fit: %v", err)
	}
	strange := uneven.strange(slot, 200)
	if c, ok := m.(method.Tester); ok {
		have, err := c.Test(t.ctx, strange)
		if err != nil {
			t.Fatalf("test: %v", err)
		}
		if !have.Drift {
			t.Errorf("rows unlike all of the reference: p-value %v, no drift", have.PValue)
		}
		if have.Visible <= 0 {
			t.Errorf("the smallest visible drift is %v", have.Visible)
		}
	}
	if w, ok := m.(method.Watcher); ok {
		s := w.Watch()
		if err := errors.Join(s.Observe(t.ctx, y.query), s.Observe(t.ctx, strange)); err != nil {
			t.Fatalf("watch: %v", err)
		}
		before, _ := y.query.Dims()
		if have := s.Watched(); have.AlarmRow == 0 || have.Visible <= 0 || have.Within < 1 || have.Threshold < 0 {
			t.Errorf("after %d rows unlike all of the reference, which began at row %d: %+v", 200, before+1, have)
		}
	}
}

// checkFalseAlarms: streams without drift ring no more often than promised, up to chance.
func checkFalseAlarms(t *T) {
	const trials = 25
	alarms, level := 0, 0.0
	for k := range uint64(trials) {
		in, stream := t.null(5000+2*k, 40, 100)
		m, err := t.Spec.Fit(t.ctx, t.Spec.Config(), in)
		if err != nil {
			t.Fatalf("fit: %v", err)
		}
		s := m.(method.Watcher).Watch()
		if err := s.Observe(t.ctx, stream); err != nil {
			t.Fatalf("watch: %v", err)
		}
		w := s.Watched()
		if level = w.Level; w.AlarmRow > 0 {
			alarms++
		}
	}
	if !(level > 0 && level < 1) || tooMany(alarms, trials, level) {
		t.Errorf("%d of %d streams without drift rang at level %v", alarms, trials, level)
	}
}

// checkPieces: a stream in pieces of any size, saved and resumed between them, is the stream in one piece, to the bit.
func checkPieces(t *T) {
	for _, y := range toys(t.Spec) {
		m := t.mustFit(y.in)
		w := m.(method.Watcher)
		whole := w.Watch()
		slot := t.Spec.Inputs[0].Name
		var rows []*data.Table
		for k := range uint64(4) {
			rows = append(rows, toyOf(t.Spec, "", recipeOf(y).with(900+k, 11)).query)
		}
		rows = append(rows, separable.strange(slot, 9))
		if _, d := rows[0].Dims(); d != columns(rows[4].Dims()) {
			rows = rows[:4]
		}
		pieces := w.Watch()
		for _, r := range rows {
			n, _ := r.Dims()
			if err := whole.Observe(t.ctx, r); err != nil {
				t.Fatalf("%s: watch: %v", y.name, err)
			}
			for i := 0; i < n; {
				next := min(n, i+1+i%5)
				if err := pieces.Observe(t.ctx, r.Slice(i, next)); err != nil {
					t.Fatalf("%s: watch: %v", y.name, err)
				}
				i = next
				saved, err := json.Marshal(pieces)
				if err != nil {
					t.Fatalf("%s: save: %v", y.name, err)
				}
				pieces = w.Watch()
				if err := pieces.Resume(saved); err != nil {
					t.Fatalf("%s: resume: %v", y.name, err)
				}
			}
		}
		if d := watched(pieces, nil).differs(watched(whole, nil), 0); d != "" {
			t.Errorf("%s: in pieces, saved and resumed: %s", y.name, d)
		}
		a, b := must(json.Marshal(pieces)), must(json.Marshal(whole))
		if string(a) != string(b) {
			t.Errorf("%s: in pieces, saved and resumed: saved as %.200s instead of %.200s", y.name, a, b)
		}
		for _, damaged := range []string{"", "{}", "null", "[]", fmt.Sprintf("%.*s", len(b)/2, b), `{"gimbal":"stream"}`} {
			t.try("resume "+damaged, func() {
				if err := w.Watch().Resume([]byte(damaged)); !errors.Is(err, method.ErrState) {
					t.Errorf("%s: resume %.40q: have error %v, want one that wraps %q", y.name, damaged, err, method.ErrState)
				}
			})
		}
		other := toyOf(t.Spec, "", recipeOf(y).with(31, 20))
		if n, err := t.Spec.Fit(t.ctx, t.Spec.Config(), other.in); err == nil {
			if err := n.(method.Watcher).Watch().Resume(b); !errors.Is(err, method.ErrState) {
				t.Errorf("%s: another model's stream: have error %v, want one that wraps %q", y.name, err, method.ErrState)
			}
		}
	}
}

// recipeOf is the recipe that a toy was drawn by.
func recipeOf(y toy) recipe {
	for _, r := range []recipe{separable, uneven, wide} {
		if r.d == columns(y.query.Dims()) {
			return r
		}
	}
	return wide
}
