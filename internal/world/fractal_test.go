package world

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"runtime"
	"slices"
	"testing"
)

// sierpinski halves the way to each of three corners.
var sierpinski = []affine{{a: 0.5, d: 0.5}, {a: 0.5, d: 0.5, e: 0.5}, {a: 0.5, d: 0.5, f: 0.5}}

// TestSierpinski: of 2^k × 2^k boxes the attractor meets 3^k: those whose column and row share no binary digit, Pascal's
// triangle modulo 2. Its dimension is log 3 / log 2.
func TestSierpinski(t *testing.T) {
	var boxes [2]float64
	for i, side := range []int{16, 64} {
		picture := attractor(sierpinski, side, 400000, random(1))
		met := 0
		for at, v := range picture {
			want := at/side&(at%side) == 0
			// All boxes of the attractor hold equally much. Far fewer hits spill over an edge, as the outermost points are never reached.
			if lit := v > 0.5; lit != want {
				t.Fatalf("side %d: box %d, %d: brightness %v", side, at%side, at/side, v)
			}
			if v > 0.5 {
				met++
			}
		}
		boxes[i] = float64(met)
	}
	if d := math.Log(boxes[1]/boxes[0]) / math.Log(4); math.Abs(d-math.Log(3)/math.Log(2)) > 0.05 {
		t.Errorf("dimension %.3f, want %.3f", d, math.Log(3)/math.Log(2))
	}
}

func TestSystems(t *testing.T) {
	counts := map[int]int{}
	for class := range 500 {
		maps := Fractals{Seed: 3}.system(class)
		counts[len(maps)]++
		n, factor := float64(len(maps)), 0.0
		for _, m := range maps {
			// Singular values from the trace and the determinant of AᵀA.
			trace := m.a*m.a + m.b*m.b + m.c*m.c + m.d*m.d
			det := math.Abs(m.a*m.d - m.b*m.c)
			wide := math.Sqrt((trace + math.Sqrt(max(trace*trace-4*det*det, 0))) / 2)
			if math.Abs(wide-m.singular[0]) > 1e-7 || math.Abs(det-m.singular[0]*m.singular[1]) > 1e-12 || wide >= 1+1e-12 || m.singular[0] >= 1 || m.singular[1] < 0 {
				t.Fatalf("class %d: singular values %v, the matrix has %v and a determinant of %v", class, m.singular, wide, det)
			}
			factor += m.singular[0] + 2*m.singular[1]
			p := m.fixed()
			if q := m.at(p); math.Abs(p.x-q.x)+math.Abs(p.y-q.y) > 1e-9*(1+math.Abs(p.x)+math.Abs(p.y)) {
				t.Fatalf("class %d: the fixed point %v goes to %v", class, p, q)
			}
		}
		if factor < (5+n)/2-1e-9 || factor > (6+n)/2+1e-9 {
			t.Fatalf("class %d of %d maps: factor %v", class, len(maps), factor)
		}
	}
	for n := fewestMaps; n <= mostMaps; n++ {
		if counts[n] < 40 {
			t.Errorf("%d of 500 systems have %d maps", counts[n], n)
		}
	}
	for _, factor := range []float64{3.5, 4} {
		sum := 0.0
		for _, s := range singularValues(random(9), 2, factor) {
			sum += s[0] + 2*s[1]
		}
		if math.Abs(sum-factor) > 1e-12 {
			t.Errorf("factor %v, want %v", sum, factor)
		}
	}
}

// filled is the share of systems whose attractor meets a fifth of 32×32 boxes or more.
func filled(f Fractals) float64 {
	good := 0
	for class := range 1000 {
		met := 0
		for _, v := range attractor(f.system(class), 32, 5000, random(7, uint64(class))) {
			if v > 0 {
				met++
			}
		}
		if met >= 32*32/5 {
			good++
		}
	}
	return float64(good) / 1000
}

// TestConstrainedSystemsFillTheirImage: what the sum of singular values is there for.
func TestConstrainedSystemsFillTheirImage(t *testing.T) {
	constrained, free := filled(Fractals{Seed: 1}), filled(Fractals{Seed: 1, Unconstrained: true})
	t.Logf("share of systems that fill a fifth of the image: %.3f, without the sum %.3f", constrained, free)
	if constrained < 0.9 || free > constrained-0.15 {
		t.Errorf("%.3f of the systems fill a fifth of the image, without the sum %.3f", constrained, free)
	}
}

func TestFractalImages(t *testing.T) {
	const n, k = 40, 10
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = 100 + i
	}
	for _, f := range []Fractals{{Seed: 1, Size: 28}, {Seed: 1, Size: 28, Single: true}} {
		draw := func(f Fractals, numbers []int, seed uint64) ([]float32, []float32) {
			images, present := make([]float32, len(numbers)*f.Pixels()), make([]float32, len(numbers)*k)
			f.Batch(images, present, k, numbers, seed)
			return images, present
		}
		images, present := draw(f, numbers, 5)
		old := runtime.GOMAXPROCS(1)
		again, _ := draw(f, numbers, 5)
		runtime.GOMAXPROCS(old)
		alone, _ := draw(f, numbers[7:8], 5)
		other, _ := draw(f, numbers, 6)
		systems := f
		systems.Seed++
		moved, _ := draw(systems, numbers, 5)
		if !slices.Equal(images, again) || !slices.Equal(alone, images[7*784:8*784]) {
			t.Error("an image depends on threads or on the batch")
		}
		if slices.Equal(images, other) || slices.Equal(images, moved) {
			t.Error("a seed changes nothing")
		}
		seen := map[int]bool{}
		for i := range n {
			here, light := 0, float32(0)
			for _, v := range present[i*k : (i+1)*k] {
				here += int(v)
			}
			for _, v := range images[i*784 : (i+1)*784] {
				if !(v >= 0 && v <= 1) {
					t.Fatalf("brightness %v", v)
				}
				light = max(light, v)
			}
			if here < 1 || here > mostFractals || f.Single && here != 1 || light < 0.5 {
				t.Errorf("image %d: %d classes, brightest pixel %v", i, here, light)
			}
			seen[here] = true
		}
		if !f.Single && len(seen) < 3 {
			t.Errorf("numbers of classes in an image: %v", seen)
		}
	}
}

// TestFractalBytes: the images are the same bytes on every machine. The hash is of what linux/amd64 drew.
func TestFractalBytes(t *testing.T) {
	f := Fractals{Seed: 1, Size: 28}
	image, present := make([]float32, 784), make([]float32, 50)
	h := sha256.New()
	for number := range uint64(300) {
		f.Draw(image, present, number, 2)
		binary.Write(h, binary.LittleEndian, image)
		binary.Write(h, binary.LittleEndian, present)
	}
	if have := hex.EncodeToString(h.Sum(nil)); have != fractalHash {
		t.Errorf("300 images have hash %s, want %s", have, fractalHash)
	}
}

const fractalHash = "9ebffc9f8410292395431bd7c79e96a7ce5c64d574e78bca830aa469ba13ba73"

func BenchmarkFractalDraw(b *testing.B) {
	f := Fractals{Seed: 1, Size: 28}
	image, present := make([]float32, 784), make([]float32, 50)
	for i := range b.N {
		f.Draw(image, present, uint64(i), 2)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "images/s")
}
