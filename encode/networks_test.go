package encode

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
)

// golden reads a file of named numbers that the script of the same name made.
func golden(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	delete(all, "made by")
	rest, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(rest, to); err != nil {
		t.Fatal(err)
	}
}

// patterned is the image that testdata/networks.py feeds: number k of h×w pixels.
func patterned(k, h, w int) Sample {
	p := &Picture{H: h, W: w, C: 3}
	for y := range h {
		for x := range w {
			for c := range 3 {
				p.Pixels = append(p.Pixels, byte(7*y+13*x+29*c+31*k+x*y%11))
			}
		}
	}
	return Sample{Name: "pattern", Picture: p}
}

// TestNetworks compares real networks with a NumPy forward pass in float64: within 1e-3 of the largest value, which leaves room for
// 56 layers of float32 sums (depth of sums up to 1152, values up to 30).
func TestNetworks(t *testing.T) {
	var want map[string][][]float64
	golden(t, "networks.json", &want)
	for name, rows := range want {
		file, layer, _ := strings.Cut(name, " ")
		t.Run(file, func(t *testing.T) {
			if raceEnabled && file != "cifar10_resnet20" {
				t.Skip("too slow under the race detector, which has nothing more to find here")
			}
			m := load(t, real(t, "weights", file+".safetensors"), Options{Layer: layer})
			var samples []Sample
			for k := range rows {
				if len(rows) == 1 && m.Input.Divisor != 0 || file != "squeezenet_v1_1_imagenet_notop" && len(rows) == 1 {
					k = 1
				}
				samples = append(samples, patterned(k, m.Input.Height, m.Input.Width))
			}
			have := make([]float32, len(samples)*m.Dim)
			if err := m.Encode(have, samples); err != nil {
				t.Fatal(err)
			}
			for k, row := range rows {
				top := 0.0
				for _, v := range row {
					top = max(top, math.Abs(v))
				}
				for i, v := range row {
					if d := math.Abs(float64(have[k*m.Dim+i]) - v); d > 1e-3*top {
						t.Fatalf("image %d, value %d: %v, want %v", k, i, have[k*m.Dim+i], v)
					}
				}
			}
			alone := make([]float32, m.Dim)
			if err := m.Encode(alone, samples[len(samples)-1:]); err != nil {
				t.Fatal(err)
			}
			for i, v := range alone {
				if v != have[len(have)-m.Dim+i] {
					t.Fatalf("value %d is %v alone and %v among others", i, v, have[len(have)-m.Dim+i])
				}
			}
		})
	}
}

// blank is a checkpoint of zeros in a description's shapes.
func blank(d *Description) *data.Checkpoint {
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	for _, w := range d.Weights {
		c.Tensors[w.Name] = data.Float32Tensor(make([]float32, product(w.Shape)), w.Shape...)
	}
	return c
}

// TestDescriptions holds the JSON of every known network to what it is made from.
func TestDescriptions(t *testing.T) {
	for _, n := range Networks {
		d := n.Describe()
		text, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadDescription(text)
		if err != nil {
			t.Fatalf("%s: %v", n.Name, err)
		}
		second, err := json.Marshal(again)
		if err != nil || string(second) != string(text) {
			t.Errorf("%s: read and written again it differs: %v", n.Name, err)
		}
		if !again.fits(blank(d)) || d.Name != n.Name {
			t.Errorf("%s does not fit itself", n.Name)
		}
	}
}
