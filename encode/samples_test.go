package encode

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// listing reads all samples' ids and labels.
func listing(t *testing.T, from string) (ids, labels []string, err error) {
	t.Helper()
	for s, err := range Images(from) {
		if err != nil {
			return ids, labels, err
		}
		ids, labels = append(ids, s.ID), append(labels, s.Label)
	}
	return ids, labels, nil
}

// TestImages lists the same tree as a folder and as an archive that has it in another order: the same samples in the same order.
func TestImages(t *testing.T) {
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	names := []string{"b/2.PNG", "a/x/1.jpg", "top.gif", "b/10.png", "b/.hidden.png", "__MACOSX/b/2.png", "b/notes.txt"}
	archive, err := os.Create(filepath.Join(dir, "tree.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(archive)
	for _, name := range names {
		path := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		put(t, path, []byte(name))
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), archive.Close()); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{tree, archive.Name()} {
		ids, labels, err := listing(t, from)
		if err != nil || !slices.Equal(ids, []string{"a/x/1.jpg", "b/10.png", "b/2.PNG", "top.gif"}) || !slices.Equal(labels, []string{"x", "b", "b", ""}) {
			t.Errorf("%s: %v %v: %v", from, ids, labels, err)
		}
		for s, err := range Images(from) {
			if err != nil {
				t.Fatal(err)
			}
			if raw, err := s.Read(); err != nil || string(raw) != s.ID {
				t.Errorf("%s holds %q: %v", s.Name, raw, err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "bare"), 0o777); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string][]string{
		filepath.Join(dir, "none"): {"none", "no such file"},
		filepath.Join(dir, "bare"): {"bare", ".png"},
	} {
		_, _, err := listing(t, path)
		for _, w := range words {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v lacks %q", path, err, w)
			}
		}
	}
	put(t, filepath.Join(dir, "cut.zip"), []byte("PK\x03\x04 and no more"))
	if _, _, err := listing(t, filepath.Join(dir, "cut.zip")); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a cut archive: %v", err)
	}
}

func TestIDXImages(t *testing.T) {
	dir := t.TempDir()
	raw := []byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(raw)
	z.Close()
	plain, gz := filepath.Join(dir, "two"), filepath.Join(dir, "two.gz")
	put(t, plain, raw)
	put(t, gz, packed.Bytes())
	for _, from := range []string{plain, gz} {
		n := 0
		for s, err := range Images(from) {
			if err != nil {
				t.Fatal(err)
			}
			if p := s.Picture; p.H != 2 || p.W != 3 || p.C != 1 || !bytes.Equal(p.Pixels, raw[16+6*n:22+6*n]) {
				t.Errorf("%s: %+v", s.Name, p)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%s: %d images", from, n)
		}
	}
	put(t, plain, raw[:25])
	if _, _, err := listing(t, plain); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "image 2 of 2") {
		t.Errorf("cut: %v", err)
	}
	labels := filepath.Join(dir, "labels")
	put(t, labels, []byte{0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 12})
	if have, err := Labels(t.Context(), labels); err != nil || !slices.Equal(have, []string{"7", "0", "12"}) {
		t.Errorf("labels %v: %v", have, err)
	}
	put(t, plain, raw)
	for n, word := range map[int]string{1: "1 labels for more", 3: "3 labels for 2"} {
		var last error
		for _, err := range Labelled(Images(plain), make([]string, n), "labels") {
			last = err
		}
		if !errors.Is(last, data.ErrShape) || !strings.Contains(last.Error(), word) {
			t.Errorf("%d labels: %v", n, last)
		}
	}
}

// TestValues reads a table with ids and labels.
func TestValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.csv")
	put(t, path, []byte("name,a,b,y\nr1,1,2,ant\nr2,3,4,bee\n"))
	var ids, labels []string
	var sum float32
	for s, err := range Values(t.Context(), path, open.Options{ID: "name", Label: "y"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids, labels = append(ids, s.ID), append(labels, s.Label)
		sum += s.Values[0]*10 + s.Values[1]
	}
	if !slices.Equal(ids, []string{"r1", "r2"}) || !slices.Equal(labels, []string{"ant", "bee"}) || sum != 46 {
		t.Errorf("%v %v %v", ids, labels, sum)
	}
}

// TestDecode writes pictures of every kind with the standard library and reads them back.
func TestDecode(t *testing.T) {
	r := image.Rect(0, 0, 4, 3)
	at := func(x, y int) color.NRGBA { return color.NRGBA{byte(60 * x), byte(80 * y), byte(10 * (x + y)), 255} }
	full, half, gray, deep := image.NewNRGBA(r), image.NewNRGBA(r), image.NewGray(r), image.NewGray16(r)
	indexed := image.NewPaletted(r, color.Palette{})
	for y := range 3 {
		for x := range 4 {
			c := at(x, y)
			full.SetNRGBA(x, y, c)
			indexed.Palette = append(indexed.Palette, c)
			indexed.Pix[y*4+x] = byte(y*4 + x)
			gray.SetGray(x, y, color.Gray{c.R})
			deep.SetGray16(x, y, color.Gray16{uint16(c.R)<<8 | 0x7f})
			c.A = 100
			half.SetNRGBA(x, y, c) // its colours stay, transparency is dropped
		}
	}
	for name, c := range map[string]struct {
		im       image.Image
		channels int
		write    func(*bytes.Buffer, image.Image) error
		close    int
	}{
		"PNG":             {full, 3, func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) }, 0},
		"PNG transparent": {half, 3, func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) }, 0},
		"PNG indexed":     {indexed, 3, func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) }, 0},
		"PNG gray":        {gray, 1, func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) }, 0},
		"PNG 16 bits":     {deep, 1, func(b *bytes.Buffer, im image.Image) error { return png.Encode(b, im) }, 0},
		"GIF":             {indexed, 3, func(b *bytes.Buffer, im image.Image) error { return gif.Encode(b, im, nil) }, 0},
		"JPEG gray":       {gray, 1, func(b *bytes.Buffer, im image.Image) error { return jpeg.Encode(b, im, &jpeg.Options{Quality: 100}) }, 3},
	} {
		var b bytes.Buffer
		if err := c.write(&b, c.im); err != nil {
			t.Fatal(err)
		}
		p, err := Decode(b.Bytes())
		if err != nil || p.H != 3 || p.W != 4 || p.C != c.channels {
			t.Errorf("%s: %+v: %v", name, p, err)
			continue
		}
		for y := range 3 {
			for x := range 4 {
				want := []byte{at(x, y).R, at(x, y).G, at(x, y).B}[:c.channels]
				for k, v := range want {
					if d := int(p.Pixels[(y*4+x)*c.channels+k]) - int(v); d > c.close || d < -c.close {
						t.Errorf("%s: pixel %d, %d, channel %d is off by %d", name, y, x, k, d)
					}
				}
			}
		}
		for n := range b.Len() - 1 { // cut anywhere: an answer or an error, never a panic
			if _, err := Decode(b.Bytes()[:n]); err != nil && !errors.Is(err, data.ErrFormat) {
				t.Fatalf("%s cut to %d: %v", name, n, err)
			}
		}
	}
	if _, err := Decode([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\x00\x00\x00")); err == nil {
		t.Error("an image of 2³¹×2³¹ pixels was read")
	}
}

// TestLiteGraph: a graph written by hand, its answer worked out by hand, and what is wrong with others.
func TestLiteGraph(t *testing.T) {
	// A 2×2 image of one channel (zero point 1, scale 0.5: reals 0, 0.5, 1, 1.5), a 1×1 convolution to two channels with byte weights
	// 3 and 1 (zero point 2, scale 0.25: reals 0.25 and −0.25) and relu, flattened with channels last.
	const text = `{"meta": {}, "inputs": [0], "outputs": [4], "tensors": [
{"id": 0, "name": "x", "shape": [1, 2, 2, 1], "type": "U8", "scale": 0.5, "zero_point": 1},
{"id": 1, "name": "w", "shape": [2, 1, 1, 1], "type": "U8", "scale": 0.25, "zero_point": 2, "stored": "U8"},
{"id": 2, "name": "b", "shape": [2], "type": "F32", "stored": "F32"},
{"id": 3, "name": "c", "shape": [1, 2, 2, 2], "type": "U8"}, {"id": 4, "name": "f", "shape": [1, 8], "type": "U8"}],
"ops": [{"op": "CONV_2D", "inputs": [0, 1, 2], "outputs": [3], "padding": "VALID", "stride_w": 1, "stride_h": 1, "act": 1},
{"op": "RESHAPE", "inputs": [3], "outputs": [4]}]}`
	weights, err := data.NewTensor(data.U8, []int{2, 1, 1, 1}, []byte{3, 1})
	if err != nil {
		t.Fatal(err)
	}
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{"t1": weights, "t2": data.Float32Tensor([]float32{0.5, 0.25}, 2)}}
	m, err := loadLite("hand.safetensors", "hand.graph.json", []byte(text), c, Options{Layer: "output"})
	if err != nil {
		t.Fatal(err)
	}
	have := make([]float32, m.Dim)
	if err := m.Encode(have, []Sample{{Name: "x", Picture: &Picture{H: 2, W: 2, C: 1, Pixels: []byte{1, 2, 3, 4}}}}); err != nil {
		t.Fatal(err)
	}
	if want := []float32{0.5, 0.25, 0.625, 0.125, 0.75, 0, 0.875, 0}; !slices.Equal(have, want) {
		t.Errorf("%v, want %v", have, want)
	}
	for _, bad := range []struct {
		old, new string
		want     error
		words    []string
	}{
		{`"op": "RESHAPE"`, `"op": "CUSTOM"`, graph.ErrGraph, []string{"CUSTOM"}},
		{`"act": 1`, `"act": 4`, graph.ErrGraph, []string{"activation code 4"}},
		{`"shape": [2, 1, 1, 1]`, `"shape": [4, 1, 1, 1]`, data.ErrShape, []string{"hand.safetensors", "t1", "[2 1 1 1]", "[4 1 1 1]"}},
		{`"inputs": [0, 1, 2]`, `"inputs": [0, 1, 9]`, data.ErrFormat, []string{"hand.graph.json", "tensor 9"}},
		{`"inputs": [0],`, `"inputs": [0, 1],`, data.ErrFormat, []string{"2 inputs"}},
	} {
		_, err := loadLite("hand.safetensors", "hand.graph.json", []byte(strings.Replace(text, bad.old, bad.new, 1)), c, Options{Layer: "output"})
		if !errors.Is(err, bad.want) {
			t.Errorf("%s: %v", bad.new, err)
			continue
		}
		for _, w := range bad.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v lacks %q", bad.new, err, w)
			}
		}
	}
}

// TestInputCheck: what cannot be meant is refused with what would do.
func TestInputCheck(t *testing.T) {
	good := Input{Kind: KindImage, Channels: "RGB", Height: 8, Width: 8}
	for word, other := range map[string]Input{
		"RGB, BGR, gray":         {Channels: "CMYK"},
		"pillow-bilinear":        {Resize: "smooth"},
		"image, audio, text":     {Kind: "smell"},
		"2 values for 3":         {Mean: []float64{1, 2}},
		"must not be zero":       {Std: []float64{1, 0, 1}},
		"cannot be cut":          {Shorter: 7},
		"NCHW, NHWC":             {Layout: "CHWN"},
		"images of 8×-1":         {Width: -1},
		"needs \"sound\"":        {Kind: KindAudio},
		"waveform, logmel, mfcc": {Kind: KindAudio, Sound: &Sound{Kind: "loud"}},
		"window 0":               {Kind: KindAudio, Sound: &Sound{Kind: "mfcc", Rate: 8000, Samples: 800}},
		"9 bands":                {Kind: KindAudio, Sound: &Sound{Kind: "mfcc", Rate: 8000, Samples: 800, Window: 100, Hop: 50, Bands: 9, High: 5000}},
	} {
		in := good.joined(other)
		if err := in.check(); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: %v lacks %q", other, err, word)
		}
	}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	if _, err := ReadDescription([]byte(`{"name": "x", "inputs": {}}`)); !errors.Is(err, data.ErrFormat) || !strings.Contains(err.Error(), "inputs") {
		t.Errorf("a field that descriptions do not have: %v", err)
	}
	var s Setting
	if err := json.Unmarshal([]byte(`{"a": 1}`), &s); err == nil {
		t.Error("an object became an attribute")
	}
}
