package report

import (
	"strings"
	"unicode"
)

// glyphWidths are about the widest advances of common sans-serif faces for ' ' to '~', in thousandths of the font size and before the allowance.
var glyphWidths = [95]int{
	278, 355, 407, 742, 556, 889, 690, 243, 345, 345, 442, 742, 281, 333, 281, 298, 556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 298, 298, 742, 742, 742, 556,
	1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 345, 298, 345, 742, 556,
	333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 563, 298, 563, 742,
}

// widthAllowance covers system fonts that run wider than the measured one.
const widthAllowance = 1.13

// textWidth estimates the width of s at a font size. It is used to keep labels apart, so it errs on the wide side.
func textWidth(s string, size float64) float64 {
	total := 0
	for _, r := range s {
		switch {
		case r >= ' ' && r <= '~':
			total += glyphWidths[r-' ']
		case r == '\u202f':
			total += 200
		case runeCells(r) == 2, r == '\uFFFD':
			total += 1000
		case unicode.Is(unicode.Mn, r):
		case r >= '⁰' && r <= '⁹', r == '¹', r == '²', r == '³', r == '⁻':
			total += 360
		default:
			total += 620
		}
	}
	return float64(total) * size / 1000 * widthAllowance
}

// fitText shortens s to a width with an ellipsis; the second result says whether it had to.
func fitText(s string, size, width float64) (string, bool) {
	if textWidth(s, size) <= width {
		return s, false
	}
	runes := []rune(s)
	for n := len(runes) - 1; n > 0; n-- {
		if short := strings.TrimRight(string(runes[:n]), " ") + "…"; textWidth(short, size) <= width {
			return short, true
		}
	}
	return "…", true
}

// runeCells is the number of terminal columns a rune takes: 0 for marks that sit on others, 2 for East Asian and emoji, else 1.
func runeCells(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0x303e, r >= 0x3041 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6,
		r >= 0x1f300 && r <= 0x1f64f, r >= 0x1f680 && r <= 0x1f6ff, r >= 0x1f900 && r <= 0x1f9ff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cellWidth is the number of terminal columns that s takes.
func cellWidth(s string) int {
	total := 0
	for _, r := range s {
		total += runeCells(r)
	}
	return total
}

// clean makes text one harmless line: control characters, line breaks, direction overrides and broken UTF-8 become spaces or �.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029,
			r >= 0xfdd0 && r <= 0xfdef, r&0xfffe == 0xfffe:
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// cleanLines is clean for text that keeps its line breaks; tabs become four spaces.
func cleanLines(s string) string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\t", "    ")
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
