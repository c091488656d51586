package report

import "math"

// Axis describes one direction of a plot. The zero value is a linear axis that fits the data.
type Axis struct {
	// Label and Unit are printed beside the axis: "latency (ms)".
	Label, Unit string
	// Log makes the axis logarithmic; values must then be above zero.
	Log bool
	// Percent prints fractions times 100; the unit becomes %.
	Percent bool
	// Cover lists values that the axis reaches, whatever the data: {0}, or {0, 1} for shares.
	Cover []float64
}

// caption is label and unit, with the power of ten that was taken out of the tick labels.
func (a Axis) caption(factor int) string {
	unit := clean(a.Unit)
	if a.Percent {
		unit = "%"
	}
	if factor != 0 {
		power := "×10" + superscript(factor)
		if unit == "" {
			unit = power
		} else {
			unit = power + " " + unit
		}
	}
	label := clean(a.Label)
	switch {
	case unit == "":
		return label
	case label == "":
		return unit
	}
	return label + " (" + unit + ")"
}

// name is the label for sentences.
func (a Axis) name(otherwise string) string {
	if a.Label == "" {
		return otherwise
	}
	return clean(a.Label)
}

// print is a value of this axis with its unit, for sentences and tooltips.
func (a Axis) print(v float64) string {
	switch {
	case a.Percent:
		return printNumber(v*100) + thinSpace + "%"
	case a.Unit == "%":
		return printNumber(v) + thinSpace + "%"
	case a.Unit != "":
		return printNumber(v) + "\u00a0" + clean(a.Unit)
	}
	return printNumber(v)
}

// scale maps values to pixels.
type scale struct {
	low, high  float64 // the range shown, after mul and, on a log axis, before the logarithm
	log        bool
	mul        float64
	start, end float64 // pixels of low and high
	ticks      []tick
	factor     int
}

// extent is the range of what an axis must show.
type extent struct {
	low, high float64
	whole     bool // all values are whole numbers
	empty     bool
}

func newExtent() extent {
	return extent{low: math.Inf(1), high: math.Inf(-1), whole: true, empty: true}
}

func (e *extent) add(values ...float64) {
	for _, v := range values {
		e.low, e.high, e.empty = min(e.low, v), max(e.high, v), false
		e.whole = e.whole && v == math.Trunc(v)
	}
}

// fit says how an axis meets the ends of its data.
type fit bool

const (
	loose fit = false // out to the next tick: values
	tight fit = true  // exactly the data: time, rows
)

// newScale fits an axis to its data with about wanted labels, at least two.
func (a Axis) newScale(e extent, wanted int, f fit) scale {
	e.add(a.Cover...)
	switch {
	case e.empty && a.Log:
		e.add(1, 10)
	case e.empty:
		e.add(0, 1)
	}
	s := scale{mul: 1, log: a.Log}
	if a.Percent {
		s.mul, e.whole = 100, false
	}
	low, high := e.low*s.mul, e.high*s.mul
	if a.Log {
		if high/low < 1+axisResolution {
			low, high = low/2, high*2
		}
		ticks, from, to := logTicks(low, high, wanted)
		s.ticks, s.low, s.high = ticks, from, to
		if f == tight {
			s.low, s.high = low, high
			s.ticks = inside(ticks, low, high)
		}
		return s
	}
	low, high = widen(low, high, e.whole)
	l := newLadder(low, high, wanted, e.whole)
	if f == loose {
		s.low, s.high = l.value(l.first), l.value(l.last)
		s.ticks, s.factor = l.ticks(s.low, s.high)
		return s
	}
	s.low, s.high = low, high
	for n := wanted; ; n++ {
		l = newLadder(low, high, n, e.whole)
		s.ticks, s.factor = l.ticks(low, high)
		if len(s.ticks) >= 3 || n >= 2*wanted+2 {
			return s
		}
	}
}

// inside keeps the ticks within a range.
func inside(ticks []tick, low, high float64) []tick {
	var kept []tick
	for _, t := range ticks {
		if t.value >= low*(1-1e-12) && t.value <= high*(1+1e-12) {
			kept = append(kept, t)
		}
	}
	return kept
}

// over places the scale between two pixels.
func (s scale) over(start, end float64) scale {
	s.start, s.end = start, end
	return s
}

// at is the pixel of a value in the caller's units.
func (s scale) at(v float64) float64 { return s.place(v * s.mul) }

// place is the pixel of a value in the units of the ticks.
func (s scale) place(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		v, low, high = math.Log10(v), math.Log10(low), math.Log10(high)
	}
	return s.start + float64((s.end-s.start)*((v-low)/(high-low))) // converted: never fused, so the same pixels on every processor
}

// horizontalScale fits an axis along the bottom: as many labels as have room without touching.
func (a Axis) horizontalScale(e extent, f fit, start, end float64) scale {
	for wanted := clampInt(int((end-start)/70), 2, 9); ; wanted-- {
		s := a.newScale(e, wanted, f).over(start, end)
		if wanted <= 2 || s.labelsFit() {
			return s.thinned()
		}
	}
}

// labelsFit reports whether neighbouring tick labels keep a distance.
func (s scale) labelsFit() bool {
	for i := 1; i < len(s.ticks); i++ {
		gap := s.place(s.ticks[i].value) - s.place(s.ticks[i-1].value)
		if gap < (textWidth(s.ticks[i].label, tickSize)+textWidth(s.ticks[i-1].label, tickSize))/2+labelGap {
			return false
		}
	}
	return true
}

// thinned drops labels that would still touch: very long numbers on a narrow plot.
func (s scale) thinned() scale {
	if s.labelsFit() {
		return s
	}
	ticks := append([]tick(nil), s.ticks...)
	right := math.Inf(-1)
	for i, t := range ticks {
		half := textWidth(t.label, tickSize) / 2
		if s.place(t.value)-half < right+labelGap {
			ticks[i].label = ""
			continue
		}
		right = s.place(t.value) + half
	}
	s.ticks = ticks
	return s
}
