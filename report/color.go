package report

import (
	"fmt"
	"strings"
)

// color is one entry of the palette: a CSS variable with its value on light and on dark paper.
type color struct{ name, light, dark string }

// palette holds every colour of the package. The tests compute what it promises: text reaches a contrast of 4.5 to 1 on paper and
// surface, lines and markers 3 to 1, in both schemes; the six series stay apart for the three kinds of colour blindness.
var palette = []color{
	{"paper", "#fcfbf9", "#131619"},
	{"surface", "#f4f2ee", "#1b1f24"},
	{"ink", "#1c1e21", "#e8e6e1"},
	{"muted", "#5a5f66", "#a2a8b0"},
	{"rule", "#dcd8d0", "#343a41"},
	{"grid", "#e9e6e0", "#262b31"},
	{"axis", "#83888f", "#767d86"},
	{"link", "#0b5cad", "#7db7f5"},
	// Series.
	{"s0", "#0b69be", "#74c3ff"},
	{"s1", "#98290d", "#f4874b"},
	{"s2", "#00764f", "#35b27f"},
	{"s3", "#6d1f7c", "#bf7fd6"},
	{"s4", "#8a6800", "#f0d878"},
	{"s5", "#36414c", "#8d98a4"},
	// States.
	{"good", "#1a7046", "#5fcf8f"},
	{"warn", "#8a5a00", "#e2b14a"},
	{"bad", "#b3261e", "#ff8a80"},
	// One-sided ramp h0…h8 with the text colour p0…p8 that is readable on it; no step lies where neither ink nor white is.
	{"h0", "#eef3f9", "#1d2835"}, {"p0", "#101214", "#ffffff"},
	{"h1", "#d2e2f2", "#23384f"}, {"p1", "#101214", "#ffffff"},
	{"h2", "#b7d2ec", "#28496b"}, {"p2", "#101214", "#ffffff"},
	{"h3", "#9bc1e4", "#2c5a88"}, {"p3", "#101214", "#ffffff"},
	{"h4", "#7fb0dd", "#2f6ca6"}, {"p4", "#101214", "#ffffff"},
	{"h5", "#6191c1", "#598abc"}, {"p5", "#101214", "#101214"},
	{"h6", "#4573a5", "#81a9d3"}, {"p6", "#ffffff", "#101214"},
	{"h7", "#29568a", "#aac8e9"}, {"p7", "#ffffff", "#101214"},
	{"h8", "#0b3a6f", "#d3e8ff"}, {"p8", "#ffffff", "#101214"},
	// Two-sided ramp d0…d8 (below, neutral, above) with its text colour q0…q8.
	{"d0", "#0b3a6f", "#a9d3ff"}, {"q0", "#ffffff", "#101214"},
	{"d1", "#3c6da1", "#6c9ed2"}, {"q1", "#ffffff", "#101214"},
	{"d2", "#6ea3d6", "#2f6ca6"}, {"q2", "#101214", "#ffffff"},
	{"d3", "#b1cae2", "#2b4866"}, {"q3", "#101214", "#ffffff"},
	{"d4", "#f3f1ec", "#22262c"}, {"q4", "#101214", "#ffffff"},
	{"d5", "#edc6ac", "#633f30"}, {"q5", "#101214", "#ffffff"},
	{"d6", "#e39a6a", "#a8562a"}, {"q6", "#101214", "#ffffff"},
	{"d7", "#ab5e35", "#d48f67"}, {"q7", "#ffffff", "#101214"},
	{"d8", "#7a2a00", "#ffc9a3"}, {"q8", "#ffffff", "#101214"},
}

const (
	seriesColors = 6 // s0…s5
	rampSteps    = 9 // h0…h8, d0…d8
)

// paletteCSS declares the palette as CSS variables. Paper is always light, so a dark screen still prints well.
func paletteCSS() string {
	var light, dark strings.Builder
	for _, c := range palette {
		fmt.Fprintf(&light, "--%s:%s;", c.name, c.light)
		fmt.Fprintf(&dark, "--%s:%s;", c.name, c.dark)
	}
	return ":root{color-scheme:light dark;" + light.String() + "}\n@media screen and (prefers-color-scheme:dark){:root{" + dark.String() + "}}\n"
}

// resolveCSS replaces the variables of a style sheet by plain colours, for programs that read SVG but know no variables.
func resolveCSS(css string) string {
	var light, dark []string
	for _, c := range palette {
		name := "var(--" + c.name + ")"
		light = append(light, name, c.light)
		dark = append(dark, name, c.dark)
	}
	return strings.NewReplacer(light...).Replace(css) +
		"@media (prefers-color-scheme:dark){" + strings.NewReplacer(dark...).Replace(css) + "}"
}

// State says how a result is to be read. It is always shown by a shape or a word beside the colour.
type State int

// The states. The zero value makes no statement.
const (
	Neutral State = iota
	Good
	Warn
	Bad
)

// String is the word for the state, empty for Neutral.
func (s State) String() string {
	switch s {
	case Good:
		return "good"
	case Warn:
		return "warning"
	case Bad:
		return "bad"
	}
	return ""
}

// class is the CSS class of the state.
func (s State) class() string {
	switch s {
	case Good:
		return "good"
	case Warn:
		return "warn"
	case Bad:
		return "bad"
	}
	return "plain"
}

// mark is the sign for the state in text.
func (s State) mark() string {
	switch s {
	case Good:
		return "✓"
	case Warn:
		return "!"
	case Bad:
		return "✗"
	}
	return ""
}
