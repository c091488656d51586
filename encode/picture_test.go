package encode

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// resizePattern is the picture of testdata/resize.py.
func resizePattern() *Picture {
	p := &Picture{H: 7, W: 10, C: 3}
	for y := range p.H {
		for x := range p.W {
			for c := range 3 {
				p.Pixels = append(p.Pixels, byte(37*y+53*x+101*c+17*x*y))
			}
		}
	}
	return p
}

// TestResizeGolden: the ways of Pillow to the bit, those in floats to the three digits that are stored (onnxruntime computes its
// weights in float32: 255·2⁻²⁴ times a few).
func TestResizeGolden(t *testing.T) {
	want := map[string][]float64{}
	golden(t, "resize.json", &want)
	p := resizePattern()
	for i, v := range p.converted(1).Pixels {
		if float64(v) != want["gray"][i] {
			t.Fatalf("gray pixel %d: %d, want %v", i, v, want["gray"][i])
		}
	}
	delete(want, "gray")
	for name, values := range want {
		var way string
		var h, w int
		if _, err := fmt.Sscan(name, &way, &h, &w); err != nil {
			t.Fatal(err)
		}
		have, err := p.Resized(h, w, way)
		if err != nil {
			t.Fatal(err)
		}
		tolerance := 0.0
		if !strings.HasPrefix(way, "pillow") && way != "nearest" {
			tolerance = 2e-3
		}
		if len(have) != len(values) {
			t.Fatalf("%s: %d values, want %d", name, len(have), len(values))
		}
		for i, v := range values {
			if math.Abs(float64(have[i])-v) > tolerance {
				t.Errorf("%s: value %d is %v, want %v", name, i, have[i], v)
				break
			}
		}
	}
}

// TestResizeForms: a constant stays one under every way; area is the mean of blocks where sizes divide, and keeps the picture's sum
// where they do not; linear taps and Keys' with a = −0.5 keep a ramp a ramp inside.
func TestResizeForms(t *testing.T) {
	flat := &Picture{H: 9, W: 6, C: 1, Pixels: []byte(strings.Repeat("\x83", 54))}
	for _, way := range Resizes {
		for _, s := range [][2]int{{3, 2}, {9, 6}, {1, 1}, {20, 17}, {4, 5}} {
			have, err := flat.Resized(s[0], s[1], way)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range have {
				if math.Abs(float64(v)-0x83) > 1e-4 {
					t.Fatalf("%s to %v: a constant became %v", way, s, v)
				}
			}
		}
	}
	p := resizePattern()
	area, err := p.Resized(1, 5, "area")
	if err != nil {
		t.Fatal(err)
	}
	for x := range 5 {
		for c := range 3 {
			sum := 0.0
			for y := range p.H {
				sum += float64(p.Pixels[(y*p.W+2*x)*3+c]) + float64(p.Pixels[(y*p.W+2*x+1)*3+c])
			}
			if math.Abs(float64(area[x*3+c])-sum/14) > 1e-4 {
				t.Errorf("area: column %d: %v, want %v", x, area[x*3+c], sum/14)
			}
		}
	}
	for _, s := range [][2]int{{3, 4}, {5, 7}, {13, 11}} {
		have, err := p.Resized(s[0], s[1], "area")
		if err != nil {
			t.Fatal(err)
		}
		sum, want := 0.0, 0.0
		for _, v := range have {
			sum += float64(v) / float64(s[0]*s[1])
		}
		for _, v := range p.Pixels {
			want += float64(v) / float64(p.H*p.W)
		}
		if math.Abs(sum-want) > 1e-3 {
			t.Errorf("area to %v: sum %v, want %v", s, sum, want)
		}
	}
	ramp := &Picture{H: 1, W: 50, C: 1}
	for x := range 50 {
		ramp.Pixels = append(ramp.Pixels, byte(4*x))
	}
	for _, way := range []string{"bilinear", "tensorflow-bicubic"} {
		have, err := ramp.Resized(1, 20, way)
		if err != nil {
			t.Fatal(err)
		}
		for x := 4; x < 16; x++ {
			if want := 4 * ((float64(x)+0.5)*2.5 - 0.5); math.Abs(float64(have[x])-want) > 1e-3 {
				t.Errorf("%s: place %d of a ramp: %v, want %v", way, x, have[x], want)
			}
		}
	}
}

// TestImageInput: shorter side, cut and normalisation, by hand. 6×4 pixels of value 10·row + column; the shorter side (4) stays, the
// middle 4 rows are cut out.
func TestImageInput(t *testing.T) {
	p := &Picture{H: 6, W: 4, C: 1}
	for y := range 6 {
		for x := range 4 {
			p.Pixels = append(p.Pixels, byte(10*y+x))
		}
	}
	in := Input{Kind: KindImage, Channels: "BGR", Height: 4, Width: 4, Shorter: 4, Divisor: 2, Mean: []float64{1, 2, 3}, Std: []float64{1, 2, 4}}
	if err := in.check(); err != nil {
		t.Fatal(err)
	}
	have, err := in.image(p)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		for y := range 4 {
			for x := range 4 {
				want := (float32(10*(y+1)+x)/2 - float32(in.Mean[c])) / float32(in.Std[c])
				if v := have[(c*4+y)*4+x]; v != want {
					t.Fatalf("channel %d, row %d, column %d: %v, want %v", c, y, x, v, want)
				}
			}
		}
	}
	in.Layout = "NHWC"
	last, err := in.image(p)
	if err != nil {
		t.Fatal(err)
	}
	for c := range 3 {
		for i := range 16 {
			if last[i*3+c] != have[c*16+i] {
				t.Fatalf("channels last: pixel %d, channel %d: %v, want %v", i, c, last[i*3+c], have[c*16+i])
			}
		}
	}
}
