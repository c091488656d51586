package report

import (
	"math"
	"testing"
)

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		format Format
		values []float64
		want   []string // plain form of each
		set    string   // typeset form of the last
	}{
		{Format{}, []float64{1, 20, 12345}, []string{"1", "20", "12345"}, "12" + thinSpace + "345"},
		{Format{}, []float64{0.5, 12.25, -3}, []string{"0.50", "12.25", "-3.00"}, "−3.00"},
		{Format{}, []float64{0.71, 0.68}, []string{"0.71", "0.68"}, "0.68"},
		{Format{}, []float64{1234.56789}, []string{"1235"}, "1235"},
		{Format{}, []float64{1, 0.1, 0.00001}, []string{"1.0", "0.1", "1e-05"}, "1×10⁻⁵"},
		{Format{}, []float64{2.5e-9, 1e-12}, []string{"2.50e-09", "1.00e-12"}, "1.00×10⁻¹²"},
		{Format{}, []float64{1.5e300}, []string{"1.50e+300"}, "1.50×10³⁰⁰"},
		{Format{}, []float64{0, 0}, []string{"0", "0"}, "0"},
		{Fixed(2), []float64{-0.001, 3}, []string{"0.00", "3.00"}, "3.00"},
		{Fixed(1), []float64{1e20}, []string{"1.00e+20"}, "1.00×10²⁰"},
		{Percent(1), []float64{0.5, 1, -0.0001}, []string{"50.0", "100.0", "0.0"}, "0.0"},
		{Scientific(1), []float64{12345}, []string{"1.2e+04"}, "1.2×10⁴"},
	} {
		f := c.format.resolve(c.values)
		for i, v := range c.values {
			if got := f.text(v); got != c.want[i] {
				t.Errorf("%+v of %v: %g is printed as %q, want %q", c.format, c.values, v, got, c.want[i])
			}
		}
		if got := typeset(f.text(c.values[len(c.values)-1])); got != c.set {
			t.Errorf("%v typeset: %q, want %q", c.values, got, c.set)
		}
	}
}

func TestShortNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 3: "3", -42: "-42", 123456789: "123456789", 2.5: "2.5", 0.12345: "0.1235", 38.2: "38.2",
		1e9: "1e+09", 1.5e20: "1.5e+20", 1234.5678: "1235", 0.00001234: "1.234e-05", -0.5: "-0.5", 0.1 + 0.2: "0.3",
	} {
		if got := shortNumber(v); got != want {
			t.Errorf("%g is printed as %q, want %q", v, got, want)
		}
	}
}

func TestAxisCaption(t *testing.T) {
	for _, c := range []struct {
		axis   Axis
		factor int
		want   string
	}{
		{Axis{}, 0, ""},
		{Axis{Label: "rows"}, 0, "rows"},
		{Axis{Label: "rows"}, 6, "rows (×10⁶)"},
		{Axis{Label: "size", Unit: "bytes"}, 9, "size (×10⁹ bytes)"},
		{Axis{Label: "accuracy", Percent: true}, 0, "accuracy (%)"},
		{Axis{Unit: "ms"}, 0, "ms"},
	} {
		if got := c.axis.caption(c.factor); got != c.want {
			t.Errorf("%+v: %q, want %q", c.axis, got, c.want)
		}
	}
}
