package world

import (
	"fmt"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Corruptions lists the kinds that [Corrupt] knows.
var Corruptions = []string{"noise", "blur", "contrast", "occlusion", "brightness", "pixelate", "rotation"}

// Corrupt returns damaged copies of n square images (size×size values in [0,1] each). Severity 0 changes nothing and 5 a lot;
// in between, more severity is more damage. Errors: an unknown kind, or a severity outside 0 to 5.
func Corrupt(kind string, severity float64, seed uint64, images []float32, size int) ([]float32, error) {
	k := slices.Index(Corruptions, kind)
	if k < 0 {
		return nil, fmt.Errorf("corruption %q is not one of %v", kind, Corruptions)
	}
	if !(severity >= 0 && severity <= 5) {
		return nil, fmt.Errorf("severity %v of %s is not between 0 and 5", severity, kind)
	}
	out := slices.Clone(images)
	if severity == 0 {
		return out, nil
	}
	pixels := size * size
	num.Parallel(len(images)/pixels, 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			damage(kind, severity/5, out[i*pixels:(i+1)*pixels], size, seed, uint64(i))
		}
	})
	return out, nil
}

func damage(kind string, amount float64, x []float32, size int, seed, number uint64) {
	r := random(seed, 3, number)
	switch kind {
	case "noise":
		for i, v := range x {
			x[i] = clamp(float64(v) + 0.5*amount*r.NormFloat64())
		}
	case "blur":
		blur(x, size, 2.2*amount)
	case "contrast":
		mean := 0.0
		for _, v := range x {
			mean += float64(v) / float64(len(x))
		}
		for i, v := range x {
			x[i] = clamp(mean + (float64(v)-mean)*(1-0.9*amount))
		}
	case "occlusion":
		side := int(math.Round(0.6 * amount * float64(size)))
		left, top := r.IntN(size-side+1), r.IntN(size-side+1)
		for y := range side {
			for c := range side {
				x[(top+y)*size+left+c] = 0.5
			}
		}
	case "brightness":
		for i, v := range x {
			x[i] = clamp(float64(v) + 0.7*amount)
		}
	case "pixelate":
		side := 1 + amount*float64(size)/4
		src := slices.Clone(x)
		for i := range x {
			a, b := span(i%size, side, size)
			c, d := span(i/size, side, size)
			sum := 0.0
			for yy := c; yy < d; yy++ {
				for xx := a; xx < b; xx++ {
					sum += float64(src[yy*size+xx])
				}
			}
			x[i] = float32(sum / float64((b-a)*(d-c)))
		}
	case "rotation": // up to 60°, either way
		angle := math.Copysign(amount*math.Pi/3, r.Float64()-0.5)
		rotate(x, size, angle)
	}
}

// rotate turns an image about its middle, bilinear between pixels; outside lies darkness.
func rotate(x []float32, size int, angle float64) {
	src := slices.Clone(x)
	sin, cos := math.Sincos(angle)
	middle := float64(size-1) / 2
	for i := range x {
		across, down := float64(i%size)-middle, float64(i/size)-middle
		from := point{middle + cos*across + sin*down, middle - sin*across + cos*down}
		left, top, v := math.Floor(from.x), math.Floor(from.y), 0.0
		for _, p := range [4]point{{left, top}, {left + 1, top}, {left, top + 1}, {left + 1, top + 1}} {
			if p.x >= 0 && p.y >= 0 && p.x < float64(size) && p.y < float64(size) {
				v += (1 - math.Abs(from.x-p.x)) * (1 - math.Abs(from.y-p.y)) * float64(src[int(p.y)*size+int(p.x)])
			}
		}
		x[i] = clamp(v)
	}
}

// span is the block of pixels that pixel i falls into.
func span(i int, side float64, size int) (from, to int) {
	k := math.Floor(float64(i) / side)
	from = int(math.Ceil(k * side))
	to = min(int(math.Ceil((k+1)*side)), size)
	return from, to
}

func clamp(v float64) float32 { return float32(min(max(v, 0), 1)) }

// blur smooths by a Gaussian of so many pixels' standard deviation, edges mirrored.
func blur(x []float32, size int, sigma float64) {
	reach := int(math.Ceil(3 * sigma))
	kernel, sum := make([]float64, 2*reach+1), 0.0
	for k := range kernel {
		kernel[k] = math.Exp(-float64((k-reach)*(k-reach)) / (2 * sigma * sigma))
		sum += kernel[k]
	}
	mirror := func(i int) int {
		for i < 0 || i >= size {
			if i < 0 {
				i = -i - 1
			} else {
				i = 2*size - i - 1
			}
		}
		return i
	}
	for _, step := range []struct{ along, across int }{{1, size}, {size, 1}} {
		src := slices.Clone(x)
		for a := range size {
			for c := range size {
				v := 0.0
				for k, w := range kernel {
					v += w / sum * float64(src[mirror(a+k-reach)*step.along+c*step.across])
				}
				x[a*step.along+c*step.across] = float32(v)
			}
		}
	}
}
