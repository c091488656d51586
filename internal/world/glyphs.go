// Package world makes seeded data of the project's own: what the demo, the tests and the claims run on where no public data
// is at hand. Every row depends on its seed and its number alone, never on how many are drawn at once or on threads.
package world

import (
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/internal/part"
)

// random is the generator of one item of a seeded collection.
func random(seed uint64, path ...uint64) *rand.Rand {
	h := part.Mix(seed)
	for _, p := range path {
		h = part.Mix(h ^ part.Mix(p))
	}
	return rand.New(rand.NewPCG(h, part.Mix(h)))
}

// Glyphs draws images of an invented script. A class is a design of a few curved strokes; an image is the design written
// once by an unsteady hand: its points, slant, size, place, thickness and ink vary.
type Glyphs struct {
	// Seed moves the designs. Size is the side of the square images in pixels, default 20.
	Seed uint64
	Size int
}

type point struct{ x, y float64 }

// design returns a class's strokes, each by three control points in the unit square.
func (g Glyphs) design(class int) [][3]point {
	r := random(g.Seed, 1, uint64(class))
	strokes := make([][3]point, 3+r.IntN(2))
	pen := point{0.2 + 0.6*r.Float64(), 0.2 + 0.6*r.Float64()}
	for s := range strokes {
		if r.IntN(3) == 0 { // lift the pen
			pen = point{0.2 + 0.6*r.Float64(), 0.2 + 0.6*r.Float64()}
		}
		strokes[s][0] = pen
		for k := 1; k < 3; k++ {
			strokes[s][k] = point{0.15 + 0.7*r.Float64(), 0.15 + 0.7*r.Float64()}
		}
		pen = strokes[s][2]
	}
	return strokes
}

// Pixels returns the number of pixels of an image.
func (g Glyphs) Pixels() int {
	if g.Size == 0 {
		return 400
	}
	return g.Size * g.Size
}

// Draw returns n images of a class as n×Pixels values in [0,1], row by row from the top.
func (g Glyphs) Draw(class, n int, seed uint64) []float32 {
	size := int(math.Sqrt(float64(g.Pixels())))
	out := make([]float32, n*size*size)
	design := g.design(class)
	num.Parallel(n, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			write(out[i*size*size:(i+1)*size*size], size, design, random(seed, 2, uint64(class), uint64(i)))
		}
	})
	return out
}

const segments = 8 // straight pieces that stand for a curve

func write(image []float32, size int, design [][3]point, r *rand.Rand) {
	turn, slant, scale := 0.12*r.NormFloat64(), 0.12*r.NormFloat64(), 1+0.08*r.NormFloat64()
	shift := point{0.03 * r.NormFloat64(), 0.03 * r.NormFloat64()}
	thick, ink := 0.05+0.012*r.NormFloat64(), 0.75+0.25*r.Float64()
	sin, cos := math.Sincos(turn)
	place := func(p point) point {
		x, y := p.x-0.5+0.025*r.NormFloat64(), p.y-0.5+0.025*r.NormFloat64()
		x += slant * y
		return point{0.5 + scale*(cos*x-sin*y) + shift.x, 0.5 + scale*(sin*x+cos*y) + shift.y}
	}
	var line []point // pairs of ends
	for _, s := range design {
		a, b, c := place(s[0]), place(s[1]), place(s[2])
		last := a
		for k := 1; k <= segments; k++ {
			t := float64(k) / segments
			u := 1 - t
			p := point{u*u*a.x + 2*u*t*b.x + t*t*c.x, u*u*a.y + 2*u*t*b.y + t*t*c.y}
			line = append(line, last, p)
			last = p
		}
	}
	soft := 0.8 / float64(size)
	thick = max(thick, 0.02)
	for i := range image {
		at := point{(float64(i%size) + 0.5) / float64(size), (float64(i/size) + 0.5) / float64(size)}
		v := (thick-math.Sqrt(nearest(line, at, thick+soft)))/soft + 0.5
		image[i] = float32(ink * min(max(v, 0), 1))
	}
}

// nearest is the squared distance of a point from the nearest segment, pairs of ends, or that of reach where none is nearer.
func nearest(line []point, at point, reach float64) float64 {
	near := reach * reach
	for k := 0; k < len(line); k += 2 {
		a, b := line[k], line[k+1]
		if at.x < min(a.x, b.x)-reach || at.x > max(a.x, b.x)+reach || at.y < min(a.y, b.y)-reach || at.y > max(a.y, b.y)+reach {
			continue
		}
		near = min(near, squaredDistance(at, a, b))
	}
	return near
}

// squaredDistance is that of p from the segment a–b.
func squaredDistance(p, a, b point) float64 {
	dx, dy := b.x-a.x, b.y-a.y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((p.x-a.x)*dx+(p.y-a.y)*dy)/l, 0), 1)
	}
	x, y := p.x-a.x-t*dx, p.y-a.y-t*dy
	return x*x + y*y
}
