package encode

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
)

// Picture is H×W pixels of C bytes each: 1 for gray, 3 for red, green, blue.
type Picture struct {
	H, W, C int
	Pixels  []byte
}

// formats are the image files that are read, by their first bytes.
var formats = []struct {
	name, mark string
	decode     func(io.Reader) (image.Image, error)
	config     func(io.Reader) (image.Config, error)
}{
	{"JPEG", "\xff\xd8\xff", jpeg.Decode, jpeg.DecodeConfig},
	{"PNG", "\x89PNG\r\n\x1a\n", png.Decode, png.DecodeConfig},
	{"GIF", "GIF8", gif.Decode, gif.DecodeConfig},
}

// mostPixels is the largest image that is decoded.
const mostPixels = 1 << 28

// Decode reads a JPEG, PNG or GIF (its first picture). Transparency is dropped and orientation tags are not followed, as Pillow's
// convert and torchvision do. Chroma of a JPEG is repeated, not interpolated as libjpeg does: single pixels beside sharp edges differ
// by a few levels from what libraries on libjpeg see. Errors: ErrFormat.
func Decode(raw []byte) (*Picture, error) {
	for _, f := range formats {
		if !bytes.HasPrefix(raw, []byte(f.mark)) {
			continue
		}
		size, err := f.config(bytes.NewReader(raw))
		if err != nil {
			return nil, damaged(f.name, err)
		}
		if size.Width < 1 || size.Height < 1 || size.Width > mostPixels/size.Height {
			return nil, fmt.Errorf("%w: a %s image of %d×%d pixels", data.ErrShape, f.name, size.Width, size.Height)
		}
		im, err := f.decode(bytes.NewReader(raw))
		if err != nil {
			return nil, damaged(f.name, err)
		}
		return pictureOf(im), nil
	}
	return nil, fmt.Errorf("begins with % x: no JPEG, PNG or GIF image: %w", raw[:min(8, len(raw))], data.ErrFormat)
}

func damaged(format string, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the %s image ends early: %w", format, data.ErrFormat)
	}
	return fmt.Errorf("the %s image is damaged (%w): %w", format, err, data.ErrFormat)
}

// pictureOf copies pixels: one channel of gray images, three of all others.
func pictureOf(im image.Image) *Picture {
	r := im.Bounds()
	p := &Picture{H: r.Dy(), W: r.Dx(), C: 3}
	switch im := im.(type) {
	case *image.Gray:
		p.C = 1
		for y := range p.H {
			p.Pixels = append(p.Pixels, im.Pix[y*im.Stride:y*im.Stride+p.W]...)
		}
		return p
	case *image.Gray16:
		p.C = 1
		for y := range p.H {
			for x := range p.W {
				p.Pixels = append(p.Pixels, im.Pix[y*im.Stride+2*x]) // the high byte
			}
		}
		return p
	}
	p.Pixels = make([]byte, 0, 3*p.H*p.W)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			var c color.NRGBA
			switch im := im.(type) {
			case *image.YCbCr:
				i, j := im.YOffset(x, y), im.COffset(x, y)
				c.R, c.G, c.B = color.YCbCrToRGB(im.Y[i], im.Cb[j], im.Cr[j])
			case *image.NRGBA:
				c = im.NRGBAAt(x, y)
			default:
				c = color.NRGBAModel.Convert(im.At(x, y)).(color.NRGBA)
			}
			p.Pixels = append(p.Pixels, c.R, c.G, c.B)
		}
	}
	return p
}

// converted returns the picture with 1 or 3 channels. Gray is the luma of ITU-R 601-2 in Pillow's integers.
func (p *Picture) converted(channels int) *Picture {
	if p.C == channels {
		return p
	}
	q := &Picture{H: p.H, W: p.W, C: channels, Pixels: make([]byte, 0, p.H*p.W*channels)}
	for i := range p.H * p.W {
		if channels == 3 {
			v := p.Pixels[i]
			q.Pixels = append(q.Pixels, v, v, v)
			continue
		}
		r, g, b := uint32(p.Pixels[3*i]), uint32(p.Pixels[3*i+1]), uint32(p.Pixels[3*i+2])
		q.Pixels = append(q.Pixels, byte((r*19595+g*38470+b*7471+1<<15)>>16))
	}
	return q
}

// Resizes are the ways to change an image's size, by the library whose numbers they give.
//
//   - pillow-box, pillow-bilinear, pillow-bicubic, pillow-lanczos: Pillow's resize of bytes, and with it torchvision's of Pillow images:
//     the filter grows with the reduction, weights have 22 bits, and both passes round to bytes. The same bits as Pillow.
//   - bilinear: TensorFlow's and PyTorch's without antialiasing: half-pixel centres, the edge repeated, floats.
//   - bicubic: PyTorch's without antialiasing: a = −0.75, the edge repeated.
//   - tensorflow-bicubic: TensorFlow's without antialiasing: a = −0.5, weights outside the image dropped.
//   - bilinear-antialias, bicubic-antialias: PyTorch's and TensorFlow's with antialiasing: as Pillow's, in floats, never rounded.
//   - area: the mean over the pixel's share of the image, by TensorFlow's area, OpenCV's INTER_AREA and PyTorch's adaptive pooling where
//     sizes divide.
//   - nearest: the pixel under the centre, as Pillow and TensorFlow.
var Resizes = []string{"pillow-bilinear", "pillow-bicubic", "pillow-box", "pillow-lanczos", "bilinear", "bicubic", "tensorflow-bicubic",
	"bilinear-antialias", "bicubic-antialias", "area", "nearest"}

// Resized returns h×w pixels of C values each, not rounded but for the ways of Pillow. Errors: ErrOption on a way that is not known.
func (p *Picture) Resized(h, w int, way string) ([]float32, error) {
	if p.H < 1 || p.W < 1 || h < 1 || w < 1 || len(p.Pixels) != p.H*p.W*p.C {
		return nil, fmt.Errorf("%w: from %d×%d pixels to %d×%d", data.ErrShape, p.H, p.W, h, w)
	}
	rows, ok := tapsOf(way, p.H, h)
	columns, _ := tapsOf(way, p.W, w)
	if !ok {
		return nil, fmt.Errorf("%w: resize %q", ErrOption, way)
	}
	x := make([]float32, len(p.Pixels))
	for i, v := range p.Pixels {
		x[i] = float32(v)
	}
	bytes := strings.HasPrefix(way, "pillow")
	// Pillow 13 takes the rows first where that is the larger reduction, by half the difference (found by trying
	// sizes up to 200×300); earlier ones always take the columns first. Only rounding to bytes between the passes tells them apart.
	rowsFirst := bytes && h < p.H && 2*(p.W-w) < p.H-h
	if rowsFirst {
		x = pass(x, 1, p.H, p.W*p.C, rows, bytes)
	}
	if w != p.W {
		height := p.H
		if rowsFirst {
			height = h
		}
		x = pass(x, height, p.W, p.C, columns, bytes)
	}
	if h != p.H && !rowsFirst { // rows lie a whole row apart
		x = pass(x, 1, p.H, w*p.C, rows, bytes)
	}
	return x, nil
}

// taps are the weights with which one output is summed up.
type taps struct {
	from    int
	weights []float64
	whole   []int64 // the weights in units of 2^-precision, for bytes
}

// precision is the bits behind the point of Pillow's weights.
const precision = 22

// pass sums along the middle axis of outer×n×inner.
func pass(x []float32, outer, n, inner int, all []taps, bytes bool) []float32 {
	out := make([]float32, 0, outer*len(all)*inner)
	for i := range all {
		for _, w := range all[i].weights {
			all[i].whole = append(all[i].whole, int64(math.Trunc(w*(1<<precision)+math.Copysign(0.5, w))))
		}
	}
	for o := range outer {
		line := x[o*n*inner : (o+1)*n*inner]
		for _, t := range all {
			for c := range inner {
				if bytes {
					sum := int64(1) << (precision - 1)
					for k, w := range t.whole {
						sum += int64(line[(t.from+k)*inner+c]) * w
					}
					out = append(out, float32(min(max(sum>>precision, 0), 255)))
					continue
				}
				sum := 0.0
				for k, w := range t.weights {
					sum += float64(line[(t.from+k)*inner+c]) * w
				}
				out = append(out, float32(sum))
			}
		}
	}
	return out
}

// cubic is Keys' kernel.
func cubic(a float64) func(x float64) float64 {
	return func(x float64) float64 {
		x = math.Abs(x)
		switch {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
		return 0
	}
}

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func lanczos(x float64) float64 {
	if x == 0 {
		return 1
	}
	if math.Abs(x) >= 3 {
		return 0
	}
	return math.Sin(math.Pi*x) / (math.Pi * x) * math.Sin(math.Pi*x/3) / (math.Pi * x / 3)
}

// tapsOf returns the weights for outputs 0..out of a line of in values.
func tapsOf(way string, in, out int) ([]taps, bool) {
	scale := float64(in) / float64(out)
	all := make([]taps, out)
	grown := func(filter func(float64) float64, support float64) {
		stretch := max(scale, 1)
		for i := range all {
			middle := (float64(i) + 0.5) * scale
			from := max(0, int(middle-support*stretch+0.5))
			to := min(in, int(middle+support*stretch+0.5))
			t, sum := taps{from: from}, 0.0
			for k := from; k < to; k++ {
				w := filter((float64(k) - middle + 0.5) * (1 / stretch))
				t.weights = append(t.weights, w)
				sum += w
			}
			for k := range t.weights {
				if sum != 0 {
					t.weights[k] *= 1 / sum
				}
			}
			all[i] = t
		}
	}
	// fixed takes the taps around a place, and gives those outside to the edge or drops them.
	fixed := func(filter func(float64) float64, reach int, drop bool) {
		for i := range all {
			at := (float64(i)+0.5)*scale - 0.5
			base := int(math.Floor(at))
			lo, hi := min(max(base-reach+1, 0), in-1), min(max(base+reach, 0), in-1)
			t, sum := taps{from: lo, weights: make([]float64, hi-lo+1)}, 0.0
			for k := base - reach + 1; k <= base+reach; k++ {
				if drop && (k < 0 || k >= in) {
					continue
				}
				w := filter(at - float64(k))
				t.weights[min(max(k, 0), in-1)-lo] += w
				sum += w
			}
			for k := range t.weights {
				t.weights[k] /= sum
			}
			all[i] = t
		}
	}
	switch way {
	case "pillow-box":
		grown(box, 0.5)
	case "pillow-bilinear", "bilinear-antialias":
		grown(triangle, 1)
	case "pillow-bicubic", "bicubic-antialias":
		grown(cubic(-0.5), 2)
	case "pillow-lanczos":
		grown(lanczos, 3)
	case "bilinear":
		fixed(triangle, 1, false)
	case "bicubic":
		fixed(cubic(-0.75), 2, false)
	case "tensorflow-bicubic":
		fixed(cubic(-0.5), 2, true)
	case "nearest":
		for i := range all {
			all[i] = taps{from: min(in-1, int((float64(i)+0.5)*scale)), weights: []float64{1}}
		}
	case "area":
		for i := range all {
			from, to := float64(i)*scale, float64(i+1)*scale
			t := taps{from: int(from)}
			for k := t.from; k < in && float64(k) < to; k++ {
				if share := min(to, float64(k+1)) - max(from, float64(k)); share > 1e-9*scale || len(t.weights) == 0 {
					t.weights = append(t.weights, share/scale)
				}
			}
			all[i] = t
		}
	default:
		return nil, false
	}
	return all, true
}
