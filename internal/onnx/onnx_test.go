package onnx

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// cases reads the tests that testdata/nodes.py collected.
func cases(t testing.TB) (fs.FS, []string) {
	t.Helper()
	file, err := os.Open("testdata/nodes.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files, names := fstest.MapFS{}, []string(nil)
	for archive := tar.NewReader(packed); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return files, names
		}
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[h.Name] = &fstest.MapFile{Data: raw}
		if dir, base := path.Split(h.Name); base == "model.onnx" {
			names = append(names, strings.TrimSuffix(dir, "/"))
		}
	}
}

func content(t testing.TB, folder fs.FS, name string) []byte {
	t.Helper()
	raw, err := fs.ReadFile(folder, name)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// tensors reads NAME/KIND_0.pb, NAME/KIND_1.pb …
func tensors(t testing.TB, folder fs.FS, name, kind string) (list []*graph.Tensor) {
	t.Helper()
	for i := 0; ; i++ {
		raw, err := fs.ReadFile(folder, fmt.Sprintf("%s/%s_%d.pb", name, kind, i))
		if errors.Is(err, fs.ErrNotExist) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		_, x, err := new(reader).tensor(raw)
		if err != nil {
			t.Fatalf("%s: %s %d: %v", name, kind, i, err)
		}
		list = append(list, x)
	}
}

// refusedNodes are tests of what is not done here, by the beginning of the name and a word of the refusal.
var refusedNodes = []struct{ name, word string }{
	{"test_lstm_with_peepholes", "peepholes"},
	{"test_lstm_batchwise", "layout"},
	{"test_averagepool_3d", "N×C×H×W"},
	{"test_maxpool_3d", "N×C×H×W"},
	{"test_maxpool_with_argmax", "output 2"},
	{"test_maxpool_2d_uint8", "want floats"},
	{"test_batchnorm_epsilon_training_mode", "training_mode"},
	{"test_batchnorm_example_training_mode", "training_mode"},
	{"test_training_dropout", "training_mode"},
	{"test_reduce_max_empty_set", "nothing to reduce"},
	{"test_reduce_min_empty_set", "nothing to reduce"},
}

func refusal(name string) string {
	for _, r := range refusedNodes {
		if strings.HasPrefix(name, r.name) {
			return r.word
		}
	}
	return ""
}

// TestNodes runs the ONNX project's node tests. Its own tolerance is 1e-3 relative; 2e-5 is what sums of a few hundred float32
// products leave.
func TestNodes(t *testing.T) {
	archive, names := cases(t)
	if len(names) < 300 {
		t.Fatalf("only %d tests", len(names))
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			m, err := Read(content(t, archive, name+"/model.onnx"), nil)
			if err != nil {
				t.Fatal(err)
			}
			inputs, want := tensors(t, archive, name, "input"), tensors(t, archive, name, "output")
			p, err := graph.Compile(m.Graph)
			var have []*graph.Tensor
			if err == nil {
				have, err = p.Run(new(graph.Memory), inputs...)
			}
			if word := refusal(name); word != "" {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Fatalf("want a refusal with %q, have %v", word, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			tolerance := 2e-5
			if name == "test_averagepool_2d_ceil_last_window_starts_on_pad" {
				tolerance = 2e-4 // written with four digits
			}
			compareAll(t, have, want, tolerance)
		})
	}
}

func compareAll(t *testing.T, have, want []*graph.Tensor, tolerance float64) {
	t.Helper()
	if len(have) != len(want) {
		t.Fatalf("%d outputs, want %d", len(have), len(want))
	}
	for k, w := range want {
		h := have[k]
		if !slices.Equal(h.Shape, w.Shape) || h.Type != w.Type {
			t.Fatalf("output %d is a %s %v, want %s %v", k, h.Type, h.Shape, w.Type, w.Shape)
		}
		for i := range h.Len() {
			if w.Type != graph.Float {
				if h.Ints[i] != w.Ints[i] {
					t.Fatalf("output %d, value %d: %d, want %d", k, i, h.Ints[i], w.Ints[i])
				}
				continue
			}
			a, b := float64(h.Floats[i]), float64(w.Floats[i])
			if a != b && !(math.IsNaN(a) && math.IsNaN(b)) && !(math.Abs(a-b) <= tolerance*max(1, math.Abs(b))) {
				t.Fatalf("output %d, value %d: %v, want %v", k, i, a, b)
			}
		}
	}
}

// TestDamaged cuts and flips the bytes of every model: an error or an answer, never a panic, never a huge allocation.
func TestDamaged(t *testing.T) {
	archive, names := cases(t)
	for k, name := range names {
		raw := content(t, archive, name+"/model.onnx")
		inputs := tensors(t, archive, name, "input")
		for i := k % 7; i < len(raw); i += 1 + len(raw)/40 {
			Read(raw[:i], nil)
			bad := slices.Clone(raw)
			bad[i] ^= byte(1 << (i % 8))
			m, err := Read(bad, nil)
			if err != nil {
				if !errors.Is(err, data.ErrFormat) && !errors.Is(err, data.ErrShape) && !errors.Is(err, graph.ErrGraph) {
					t.Errorf("%s, byte %d: %v wraps no sentinel", name, i, err)
				}
				continue
			}
			if p, err := graph.Compile(m.Graph); err == nil {
				p.Run(new(graph.Memory), inputs...)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	archive, _ := cases(t)
	raw := content(t, archive, "test_relu/model.onnx")
	for _, c := range []struct {
		what, old, new string
		words          []string
	}{
		{"two unknown operators", "Relu", "Wobb", []string{"unknown operators", "Wobb"}},
	} {
		bad := []byte(strings.ReplaceAll(string(raw), c.old, c.new))
		_, err := Read(bad, nil)
		if !errors.Is(err, graph.ErrGraph) {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		for _, w := range c.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v lacks %q", c.what, err, w)
			}
		}
	}
	if _, err := Read([]byte("not a model"), nil); !errors.Is(err, data.ErrFormat) {
		t.Errorf("text: %v", err)
	}
	if _, err := Read(nil, nil); !errors.Is(err, data.ErrFormat) {
		t.Errorf("nothing: %v", err)
	}
}
