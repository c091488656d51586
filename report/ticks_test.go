package report

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// readLabel is the number that a tick label and the factor beside the axis say.
func readLabel(t *testing.T, label string, factor int) float64 {
	t.Helper()
	s := strings.NewReplacer(minusSign, "-", thinSpace, "").Replace(label)
	v, err := strconv.ParseFloat(s+"e"+strconv.Itoa(factor), 64)
	if err != nil {
		t.Fatalf("label %q: %v", label, err)
	}
	return v
}

func TestLinearTicks(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 6000 {
		size := math.Pow(10, r.Float64()*580-290)
		low := (r.Float64() - 0.5) * size
		high := low + math.Pow(10, -8*r.Float64())*size
		if low == high {
			continue
		}
		low, high = widen(low, high, false)
		l := newLadder(low, high, 5, false)
		ticks, factor := l.ticks(l.value(l.first), l.value(l.last))
		if len(ticks) < 3 || len(ticks) > 10 {
			t.Fatalf("[%g, %g] has %d ticks, want 3 to 10", low, high, len(ticks))
		}
		if m := l.mantissa; m != 1 && m != 2 && m != 5 {
			t.Fatalf("[%g, %g] steps by %d·10^%d", low, high, m, l.exponent)
		}
		slack := 1e-12 * (high - low)
		if ticks[0].value > low+slack+1e-15*math.Abs(low) || ticks[len(ticks)-1].value < high-slack-1e-15*math.Abs(high) {
			t.Fatalf("[%g, %g] is not covered by %g … %g", low, high, ticks[0].value, ticks[len(ticks)-1].value)
		}
		for i, tick := range ticks {
			step := float64(l.mantissa) * math.Pow10(l.exponent)
			if got := readLabel(t, tick.label, factor); math.Abs(got-tick.value) > 1e-6*step {
				t.Fatalf("[%g, %g]: label %q×10^%d stands at %g", low, high, tick.label, factor, tick.value)
			}
			if i > 0 && math.Abs(tick.value-ticks[i-1].value-step) > 1e-6*step {
				t.Fatalf("[%g, %g]: steps of %g and not %g", low, high, tick.value-ticks[i-1].value, step)
			}
		}
	}
}

func TestLogTicks(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 6000 {
		low := math.Pow(10, r.Float64()*500-250)
		high := low * math.Pow(10, math.Pow(10, r.Float64()*4.5-2.5))
		if high > largestDrawn || high/low < 1+1e-6 {
			continue
		}
		ticks, from, to := logTicks(low, high, 5)
		if len(ticks) < 3 || len(ticks) > 10 {
			t.Fatalf("[%g, %g] has %d ticks, want 3 to 10", low, high, len(ticks))
		}
		if from > low*(1+1e-9) || to < high*(1-1e-9) || from <= 0 {
			t.Fatalf("[%g, %g] is not covered by %g … %g", low, high, from, to)
		}
		for i := 1; i < len(ticks); i++ {
			if ticks[i].value <= ticks[i-1].value || ticks[i].label == ticks[i-1].label {
				t.Fatalf("[%g, %g]: tick %q after %q", low, high, ticks[i].label, ticks[i-1].label)
			}
		}
	}
}

func labels(ticks []tick) string {
	var out []string
	for _, t := range ticks {
		out = append(out, t.label)
	}
	return strings.Join(out, " ")
}

func TestScaleLabels(t *testing.T) {
	extentOf := func(values ...float64) extent {
		e := newExtent()
		e.add(values...)
		return e
	}
	for _, c := range []struct {
		name   string
		axis   Axis
		e      extent
		fit    fit
		want   string
		factor int
	}{
		{"shares", Axis{}, extentOf(0.03, 0.97), loose, "0.0 0.2 0.4 0.6 0.8 1.0", 0},
		{"percent", Axis{Percent: true}, extentOf(0.03, 0.97), loose, "0 20 40 60 80 100", 0},
		{"whole numbers stay whole", Axis{}, extentOf(1, 3), loose, "1 2 3", 0},
		{"rows, tight", Axis{}, extentOf(0, 10240), tight, "0 2000 4000 6000 8000 10" + thinSpace + "000", 0},
		{"negative", Axis{}, extentOf(-3.5, 2.5), loose, "−4 −3 −2 −1 0 1 2 3", 0},
		{"millions", Axis{}, extentOf(0, 4e6), loose, "0 1 2 3 4", 6},
		{"tiny", Axis{}, extentOf(0, 4e-7), loose, "0 100 200 300 400", -9},
		{"narrow and far", Axis{}, extentOf(1700000000, 1700000040), loose,
			"1" + thinSpace + "700" + thinSpace + "000" + thinSpace + "000 1" + thinSpace + "700" + thinSpace + "000" + thinSpace + "010 1" + thinSpace + "700" + thinSpace + "000" + thinSpace + "020 1" + thinSpace + "700" + thinSpace + "000" + thinSpace + "030 1" + thinSpace + "700" + thinSpace + "000" + thinSpace + "040", 0},
		{"nothing", Axis{}, newExtent(), loose, "0 1", 0},
		{"constant", Axis{}, extentOf(7, 7), loose, "6 7 8", 0},
		{"zero", Axis{}, extentOf(0, 0), loose, "−1 0 1", 0},
		{"covered", Axis{Cover: []float64{0}}, extentOf(3, 8), loose, "0 2 4 6 8", 0},
		{"log", Axis{Log: true}, extentOf(0.5, 20000), loose, "0.1 1 10 100 1000 10" + thinSpace + "000 10⁵", 0},
		{"log, narrow", Axis{Log: true}, extentOf(2, 60), loose, "2 5 10 20 50 100", 0},
		{"log, constant", Axis{Log: true}, extentOf(3, 3), loose, "1 2 5 10", 0},
		{"log, nothing", Axis{Log: true}, newExtent(), loose, "1 2 5 10", 0},
	} {
		s := c.axis.newScale(c.e, 6, c.fit)
		if got := labels(s.ticks); got != c.want || s.factor != c.factor {
			t.Errorf("%s: %q ×10^%d, want %q ×10^%d", c.name, got, s.factor, c.want, c.factor)
		}
	}
}

// Neighbouring labels of a horizontal axis must never touch, however narrow the plot and long the numbers.
func TestHorizontalLabelsKeepApart(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		size := math.Pow(10, r.Float64()*40-20)
		e := newExtent()
		low := size * (r.Float64() - 0.3)
		e.add(low, low+size*math.Pow(10, -7*r.Float64()))
		width := 60 + 640*r.Float64()
		s := Axis{}.horizontalScale(e, fit(r.IntN(2) == 1), 0, width)
		right, named := math.Inf(-1), 0
		for _, tick := range s.ticks {
			if tick.label == "" {
				continue
			}
			named++
			half := textWidth(tick.label, tickSize) / 2
			if x := s.place(tick.value); x-half < right {
				t.Fatalf("labels touch on [%g, %g], %g px: %q", e.low, e.high, width, labels(s.ticks))
			} else {
				right = x + half
			}
		}
		if named == 0 {
			t.Fatalf("no label on [%g, %g], %g px", e.low, e.high, width)
		}
	}
}

func TestScalePlaces(t *testing.T) {
	e := newExtent()
	e.add(0, 10)
	s := Axis{}.newScale(e, 5, tight).over(100, 300)
	for v, want := range map[float64]float64{0: 100, 2.5: 150, 10: 300} {
		if got := s.at(v); got != want {
			t.Errorf("%g stands at %g, want %g", v, got, want)
		}
	}
	e = newExtent()
	e.add(1, 10000)
	s = Axis{Log: true}.newScale(e, 5, tight).over(0, 400)
	for v, want := range map[float64]float64{1: 0, 10: 100, 1000: 300} {
		if got := s.at(v); math.Abs(got-want) > 1e-9 { // one logarithm's rounding on 400 px
			t.Errorf("log: %g stands at %g, want %g", v, got, want)
		}
	}
}
