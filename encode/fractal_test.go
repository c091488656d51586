package encode

import (
	"math"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/net"
)

// TestFractal compares the network that the program brings along with plain loops in float64. 1e-4 of the largest value leaves
// room for three layers of float32 sums of up to 1024 terms.
func TestFractal(t *testing.T) {
	c, file, err := open.Checkpoint("fractal.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	read := func(name string, shape ...int) []float64 {
		t.Helper()
		v, _, err := c.Floats(name, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	m, err := Load("fractal", Options{})
	if err != nil {
		t.Fatal(err)
	}
	var samples []Sample
	for k := range 3 {
		p := patterned(k, 28, 28).Picture.converted(1)
		samples = append(samples, Sample{Name: "pattern", Picture: p})
	}
	have := make([]float32, 3*m.Dim)
	if err := m.Encode(have, samples); err != nil {
		t.Fatal(err)
	}
	trained := trainedNetwork(t, c, samples)
	for k, s := range samples {
		x, side, in := make([]float64, 784), 28, 1
		for i, v := range s.Picture.Pixels {
			x[i] = float64(v) / 255
		}
		for layer, out := range []int{16, 32, 64} {
			size := []int{5, 3, 3}[layer]
			at := []string{"encoder.0", "encoder.1", "encoder.2"}[layer]
			w := read(at+".conv.weight", out, size, size, in)
			gain, bias, mean, variance := read(at+".norm.weight", out), read(at+".norm.bias", out), read(at+".norm.running_mean", out), read(at+".norm.running_var", out)
			next := (side + 1) / 2
			y := make([]float64, next*next*out)
			for i := range y {
				o, column, row, sum := i%out, i/out%next, i/out/next, 0.0
				for dy := range size {
					for dx := range size {
						fromY, fromX := 2*row+dy-size/2, 2*column+dx-size/2
						if fromY < 0 || fromX < 0 || fromY >= side || fromX >= side {
							continue
						}
						for ch := range in {
							sum += w[((o*size+dy)*size+dx)*in+ch] * x[(fromY*side+fromX)*in+ch]
						}
					}
				}
				y[i] = max((sum-mean[o])/math.Sqrt(variance[o]+1e-5)*gain[o]+bias[o], 0)
			}
			x, side, in = y, next, out
		}
		w, bias := read("encoder.features.weight", 64, 1024), read("encoder.features.bias", 64)
		want, top := make([]float64, 64), 0.0
		for o := range want {
			want[o] = bias[o]
			for i, v := range x {
				want[o] += w[o*1024+i] * v
			}
			top = max(top, math.Abs(want[o]))
		}
		for o, v := range want {
			if d := max(math.Abs(float64(have[k*64+o])-v), math.Abs(float64(trained[k*64+o])-v)); d > 1e-4*top {
				t.Fatalf("image %d, feature %d: %v, and %v where it is trained, want %v", k, o, have[k*64+o], trained[k*64+o], v)
			}
		}
	}
}

// trainedNetwork runs the network as it is trained.
func trainedNetwork(t *testing.T, c *data.Checkpoint, samples []Sample) []float32 {
	t.Helper()
	ps, r := net.NewParams(0), c.Read()
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		if err := ps.Put(net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	g := net.NewGraph(ps)
	g.Training = false
	x := g.Input(len(samples), 28, 28, 1)
	y := g.StridedConvNet("encoder", x, 64, 16, 32, 64)
	p, err := g.Infer(y)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range samples {
		for j, v := range s.Picture.Pixels {
			x.Value()[i*784+j] = float32(v) / 255
		}
	}
	p.Forward()
	return y.Value()
}
