package report

import (
	"math"
	"strings"
)

// canvas is a drawing in braille dots, two wide and four high in each character.
type canvas struct {
	width, height int // characters
	dots          [][]uint8
}

func newCanvas(width, height int) *canvas {
	c := &canvas{width: width, height: height, dots: make([][]uint8, height)}
	for i := range c.dots {
		c.dots[i] = make([]uint8, width)
	}
	return c
}

// The bits of a braille character, by column and row.
var brailleBits = [2][4]uint8{{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}}

func (c *canvas) set(x, y int) {
	if x >= 0 && y >= 0 && x < 2*c.width && y < 4*c.height {
		c.dots[y/4][x/2] |= brailleBits[x%2][y%4]
	}
}

// segment draws a straight run of dots.
func (c *canvas) segment(x0, y0, x1, y1 float64) {
	n := int(math.Ceil(max(math.Abs(x1-x0), math.Abs(y1-y0), 1)))
	for i := range n + 1 {
		f := float64(i) / float64(n)
		c.set(int(math.Round(x0+(x1-x0)*f)), int(math.Round(y0+(y1-y0)*f)))
	}
}

func (c *canvas) line(row int) string {
	var b strings.Builder
	for _, bits := range c.dots[row] {
		if bits == 0 {
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(0x2800 + rune(bits))
	}
	return b.String()
}

// chart writes a canvas with the labels of its scale on the left.
func (t *terminal) chart(c *canvas, y scale, code string) (indent string) {
	size := 0
	labels := make([]string, c.height)
	for _, k := range y.ticks {
		row := clampInt(int(y.place(k.value))/4, 0, c.height-1)
		labels[row] = asciiValue(k.value)
		size = max(size, cellWidth(labels[row]))
	}
	for row := range c.height {
		edge := "│"
		if labels[row] != "" {
			edge = "┤"
		}
		t.line(t.paint(dim, pad(labels[row], size, AlignRight)+" "+edge) + t.paint(code, c.line(row)))
	}
	return strings.Repeat(" ", size+2)
}
