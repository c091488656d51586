package world

import (
	"math"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Fractals draws attractors of random iterated function systems: black pictures with self-similar white shapes. A class is a
// system; an image is its attractor, one map of it scaled a little, mirrored and placed, in half of the images under noise.
// Source: Anderson and Farrell (2022).
//
// Every value is the same bits on every machine: positions and brightness come from uniform random numbers by sums, products,
// quotients and square roots alone, each rounded on its own.
type Fractals struct {
	// Seed moves the systems. Size is the side of the square images in pixels.
	Seed uint64
	Size int
	// Unconstrained draws singular values evenly below one, without a sum to keep: many attractors are then dust or a line.
	Unconstrained bool
	// Single draws one system over the whole image; otherwise one to three of them stand in it, each smaller.
	Single bool
}

// affine is a contraction of the plane: (x, y) ↦ (a·x + b·y + e, c·x + d·y + f).
type affine struct {
	a, b, c, d, e, f float64
	singular         [2]float64 // of its linear part, the larger first
}

// at maps a point. The conversions keep compilers from fusing a product with a sum.
func (m affine) at(p point) point {
	return point{float64(m.a*p.x) + float64(m.b*p.y) + m.e, float64(m.c*p.x) + float64(m.d*p.y) + m.f}
}

// fixed is the point that the map leaves where it is.
func (m affine) fixed() point {
	p, q := 1-m.a, 1-m.d
	det := float64(p*q) - float64(m.b*m.c)
	return point{(float64(m.e*q) + float64(m.b*m.f)) / det, (float64(p*m.f) + float64(m.c*m.e)) / det}
}

// Dimensions of systems and images.
const (
	fewestMaps, mostMaps = 2, 7
	fractalPoints        = 1200 // of a whole image; smaller attractors get as many as their area asks for, and fewestPoints at least
	fewestPoints         = 300
	mostFractals         = 3
	smallestShare        = 0.5 // of the image's side
	largestShare         = 1
	noisiest             = 0.5 // the most that is added to a pixel or taken from it
)

// system returns a class's maps.
func (f Fractals) system(class int) []affine {
	r := random(f.Seed, 5, uint64(class))
	maps := make([]affine, fewestMaps+r.IntN(mostMaps-fewestMaps+1))
	var values [][2]float64
	if f.Unconstrained {
		for range maps {
			s, t := r.Float64(), r.Float64()
			values = append(values, [2]float64{max(s, t), min(s, t)})
		}
	} else {
		n := float64(len(maps))
		values = singularValues(r, len(maps), (5+n+r.Float64())/2)
	}
	for i, s := range values {
		cosU, sinU := direction(r)
		cosV, sinV := direction(r)
		// U·diag(s)·V with rotations U and V, and a random sign for each column.
		m := affine{singular: s}
		m.a = float64(float64(cosU*s[0])*cosV) - float64(float64(sinU*s[1])*sinV)
		m.b = -float64(float64(cosU*s[0])*sinV) - float64(float64(sinU*s[1])*cosV)
		m.c = float64(float64(sinU*s[0])*cosV) + float64(float64(cosU*s[1])*sinV)
		m.d = float64(float64(cosU*s[1])*cosV) - float64(float64(sinU*s[0])*sinV)
		if r.IntN(2) == 0 {
			m.a, m.c = -m.a, -m.c
		}
		if r.IntN(2) == 0 {
			m.b, m.d = -m.b, -m.d
		}
		m.e, m.f = 2*r.Float64()-1, 2*r.Float64()-1
		maps[i] = m
	}
	return maps
}

// singularValues draws n pairs in [0, 1), the larger first, with Σ(first + 2·second) = factor. Each number is even over what
// the ones to come can still make up for; the pairs are then shuffled.
func singularValues(r *rand.Rand, n int, factor float64) [][2]float64 {
	pairs, left := make([][2]float64, n), factor
	between := func(lo, hi float64) float64 { return lo + float64((hi-lo)*r.Float64()) }
	for i := range pairs {
		rest := float64(3 * (n - 1 - i)) // what the others can take at most
		first := between(max(0, (left-rest)/3), min(1, left))
		second := (left - first) / 2
		if rest > 0 {
			second = between(max(0, (left-first-rest)/2), min(first, second))
		}
		pairs[i] = [2]float64{first, second}
		left -= first + 2*second
	}
	r.Shuffle(n, func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return pairs
}

// direction is a point on the unit circle, even over the angle: one in the disc, brought to length one.
func direction(r *rand.Rand) (cos, sin float64) {
	for {
		x, y := 2*r.Float64()-1, 2*r.Float64()-1
		if l := float64(x*x) + float64(y*y); l > 1e-4 && l <= 1 {
			l = math.Sqrt(l)
			return x / l, y / l
		}
	}
}

// Pixels returns the number of pixels of an image.
func (f Fractals) Pixels() int { return f.Size * f.Size }

// Draw writes an image of Pixels values in [0, 1], row by row from the top, and marks the classes in it, of len(present), by one
// in place of zero. The same number of the same seed is the same image.
func (f Fractals) Draw(image, present []float32, number, seed uint64) {
	r := random(seed, 6, number)
	clear(image)
	clear(present)
	count := 1
	if !f.Single {
		count += r.IntN(mostFractals)
	}
	for range count {
		class := r.IntN(len(present))
		present[class] = 1
		maps := f.system(class)
		// One map is scaled: images of a class differ, and none is drawn twice.
		k, by := r.IntN(len(maps)), 0.8+float64(0.3*r.Float64())
		m := &maps[k]
		by = min(by, 1/max(m.singular[0], 0.5)) // it stays a contraction
		m.a, m.b, m.c, m.d = m.a*by, m.b*by, m.c*by, m.d*by
		side := f.Size
		if !f.Single {
			share := smallestShare + float64((largestShare-smallestShare)*r.Float64())
			side = max(int(share*float64(f.Size)), 1)
		}
		left, top := r.IntN(f.Size-side+1), r.IntN(f.Size-side+1)
		points := max(fractalPoints*side*side/f.Pixels(), fewestPoints)
		picture := attractor(maps, side, points, r)
		flip := r.IntN(4)
		for y := range side {
			for x := range side {
				fromX, fromY := x, y
				if flip&1 != 0 {
					fromX = side - 1 - x
				}
				if flip&2 != 0 {
					fromY = side - 1 - y
				}
				to := &image[(top+y)*f.Size+left+x]
				*to = max(*to, picture[fromY*side+fromX])
			}
		}
	}
	if r.IntN(2) == 0 { // half of the images are noisy: an encoder should look past that
		most := noisiest * r.Float64()
		for i, v := range image {
			image[i] = clamp(float64(v) + float64(most*(2*r.Float64()-1)))
		}
	}
}

// attractor plays the chaos game for a number of points, stretches them over side×side pixels, and returns the square root of
// the hits of each pixel over the most. Maps are chosen in proportion to how much area they keep.
func attractor(maps []affine, side, points int, r *rand.Rand) []float32 {
	upTo, sum := make([]float64, len(maps)), 0.0
	for i, m := range maps {
		sum += max(math.Abs(float64(m.a*m.d)-float64(m.b*m.c)), 0.01)
		upTo[i] = sum
	}
	p := maps[0].fixed() // it belongs to the attractor
	low, high := p, p
	path := make([]point, points)
	for i := range path {
		u, k := sum*r.Float64(), 0
		for k < len(maps)-1 && u >= upTo[k] {
			k++
		}
		p = maps[k].at(p)
		path[i] = p
		low, high = point{min(low.x, p.x), min(low.y, p.y)}, point{max(high.x, p.x), max(high.y, p.y)}
	}
	hits, most := make([]int, side*side), 1
	for _, p := range path {
		at := cell(p.y, low.y, high.y, side)*side + cell(p.x, low.x, high.x, side)
		hits[at]++
		most = max(most, hits[at])
	}
	picture := make([]float32, side*side)
	for i, n := range hits {
		picture[i] = float32(math.Sqrt(float64(n) / float64(most)))
	}
	return picture
}

// cell says in which of n equal parts of [low, high] a value lies.
func cell(v, low, high float64, n int) int {
	if high <= low {
		return n / 2
	}
	return min(int((v-low)/(high-low)*float64(n)), n-1)
}

// Batch draws the images of the given numbers side by side, with what is present in each of k classes.
func (f Fractals) Batch(images, present []float32, k int, numbers []int, seed uint64) {
	num.Parallel(len(numbers), 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			f.Draw(images[i*f.Pixels():(i+1)*f.Pixels()], present[i*k:(i+1)*k], uint64(numbers[i]), seed)
		}
	})
}
