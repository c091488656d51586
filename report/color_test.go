package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
)

// linear are the linear-light red, green and blue of "#rrggbb" (IEC 61966-2-1).
func linear(t *testing.T, hex string) [3]float64 {
	t.Helper()
	var out [3]float64
	for i := range out {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil || len(hex) != 7 {
			t.Fatalf("colour %q: want #rrggbb", hex)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			out[i] = c / 12.92
		} else {
			out[i] = math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return out
}

// contrast is the ratio of WCAG 2.2, section 1.4.3.
func contrast(t *testing.T, a, b string) float64 {
	luminance := func(hex string) float64 {
		c := linear(t, hex)
		return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
	}
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// schemes are the palette by name, light and dark.
func schemes() map[string]map[string]string {
	light, dark := map[string]string{}, map[string]string{}
	for _, c := range palette {
		light[c.name], dark[c.name] = c.light, c.dark
	}
	return map[string]map[string]string{"light": light, "dark": dark}
}

func TestPaletteContrast(t *testing.T) {
	if got := contrast(t, "#000000", "#ffffff"); math.Abs(got-21) > 1e-9 { // the ratio's definition
		t.Fatalf("black on white is %g to 1, want 21", got)
	}
	for scheme, colors := range schemes() {
		demand := func(front, back string, least float64) {
			if got := contrast(t, colors[front], colors[back]); got < least {
				t.Errorf("%s: %s on %s is %.2f to 1, want %.1f", scheme, front, back, got, least)
			}
		}
		text := []string{"ink", "muted", "link", "good", "warn", "bad"}
		for i := range seriesColors {
			text = append(text, fmt.Sprint("s", i))
		}
		for _, name := range text {
			demand(name, "paper", 4.5)
			demand(name, "surface", 4.5)
		}
		demand("axis", "paper", 3)
		for i := range rampSteps {
			demand(fmt.Sprint("p", i), fmt.Sprint("h", i), 4.5)
			demand(fmt.Sprint("q", i), fmt.Sprint("d", i), 4.5)
		}
	}
}

// lab is CIE L*a*b* under D65, of what an eye sees through the matrix of a colour blindness.
func lab(c [3]float64, eye [3][3]float64) [3]float64 {
	var seen [3]float64
	for i := range seen {
		seen[i] = clamp(eye[i][0]*c[0]+eye[i][1]*c[1]+eye[i][2]*c[2], 0, 1)
	}
	f := func(t float64) float64 {
		if t > 0.008856 {
			return math.Cbrt(t)
		}
		return 7.787*t + 16.0/116
	}
	x := f((0.4124*seen[0] + 0.3576*seen[1] + 0.1805*seen[2]) / 0.9505)
	y := f(0.2126*seen[0] + 0.7152*seen[1] + 0.0722*seen[2])
	z := f((0.0193*seen[0] + 0.1192*seen[1] + 0.9505*seen[2]) / 1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}

// Series colours must differ by ΔE 9 or more, four times what is just noticeable, for every kind of full colour blindness
// (matrices of Machado, Oliveira and Fernandes, 2009, severity 1).
func TestPaletteForColorBlindness(t *testing.T) {
	eyes := map[string][3][3]float64{
		"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
		"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
		"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
		"tritanopia":   {{1.255528, -0.076749, -0.178779}, {-0.078411, 0.930809, 0.147602}, {0.004733, 0.691367, 0.303900}},
	}
	for scheme, colors := range schemes() {
		for name, eye := range eyes {
			for i := range seriesColors {
				for j := range i {
					a, b := lab(linear(t, colors[fmt.Sprint("s", i)]), eye), lab(linear(t, colors[fmt.Sprint("s", j)]), eye)
					if d := math.Sqrt((a[0]-b[0])*(a[0]-b[0]) + (a[1]-b[1])*(a[1]-b[1]) + (a[2]-b[2])*(a[2]-b[2])); d < 9 {
						t.Errorf("%s, %s: series %d and %d differ by ΔE %.1f, want 9", scheme, name, j, i, d)
					}
				}
			}
		}
	}
}

// The one-sided ramp must run from paper to far from it without turning back.
func TestRampIsMonotone(t *testing.T) {
	for scheme, colors := range schemes() {
		for i := 1; i < rampSteps; i++ {
			before, after := contrast(t, colors[fmt.Sprint("h", i-1)], colors["paper"]), contrast(t, colors[fmt.Sprint("h", i)], colors["paper"])
			if after <= before {
				t.Errorf("%s: step %d of the ramp is nearer to paper than step %d", scheme, i, i-1)
			}
		}
	}
}

// Every variable that the style sheets use must be in the palette, and a picture on its own must have none left.
func TestVariablesAreDefined(t *testing.T) {
	known := schemes()["light"]
	for _, css := range []string{styleCSS, plotCSS} {
		for _, part := range strings.Split(css, "var(--")[1:] {
			name, _, _ := strings.Cut(part, ")")
			if known[name] == "" {
				t.Errorf("the style sheet uses --%s, which the palette does not have", name)
			}
		}
	}
	if strings.Contains(resolveCSS(plotCSS), "var(") {
		t.Error("a variable is left in the style of a lone picture")
	}
}

func TestSeriesSignsDiffer(t *testing.T) {
	seen := map[string]int{}
	for i := range 24 {
		if j, twice := seen[seriesClass(i)]; twice {
			t.Errorf("series %d and %d look the same", j, i)
		}
		seen[seriesClass(i)] = i
	}
	shapes := map[string]int{}
	for i := range 36 {
		var p pen
		p.marker(i, "", "", 0, 0, 10)
		if j, twice := shapes[p.b.String()]; twice {
			t.Errorf("markers of series %d and %d look the same", j, i)
		}
		shapes[p.b.String()] = i
	}
}
