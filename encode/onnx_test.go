package encode

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/internal/graph"
	"github.com/gimbal-ml/gimbal/internal/onnx"
)

// whole writes a whole graph of internal/onnx's tests to a folder.
func whole(t *testing.T, dir, name string) string {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "internal", "onnx", "testdata", "nodes.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(packed); ; {
		h, err := archive.Next()
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != name+"/model.onnx" {
			continue
		}
		raw, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name+".onnx")
		put(t, path, raw)
		return path
	}
}

func put(t *testing.T, path string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(path, raw, 0o666); err != nil {
		t.Fatal(err)
	}
}

// smallTokenizer has 12 word pieces.
const smallTokenizer = `{"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4, "c": 5, "the": 6, "dog": 7, "##s": 8, ".": 9, "run": 10, "cat": 11}},
"normalizer": {"type": "BertNormalizer"}, "pre_tokenizer": {"type": "BertPreTokenizer"},
"post_processor": {"type": "BertProcessing", "cls": ["[CLS]", 1], "sep": ["[SEP]", 2]}}`

// TestTextEncoder runs texts through a graph with a tokenizer beside it: the mean over tokens is what the graph itself gives for the
// numbers, and no text changes another's row.
func TestTextEncoder(t *testing.T) {
	dir := t.TempDir()
	path := whole(t, dir, "whole_encoder")
	if _, err := Load(path, Options{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "tokenizer.json") {
		t.Errorf("without a tokenizer: %v", err)
	}
	put(t, filepath.Join(dir, "tokenizer.json"), []byte(smallTokenizer))
	m := load(t, path, Options{})
	samples := []Sample{{Name: "0", Text: "The dogs run."}, {Name: "1", Text: "ab"}, {Name: "2", Text: "Unknown words, a cat."}}
	have := make([]float32, len(samples)*m.Dim)
	if err := m.Encode(have, samples); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := onnx.Read(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := graph.Compile(file.Graph)
	if err != nil {
		t.Fatal(err)
	}
	ids := []int64{1, 6, 7, 8, 10, 9, 2}
	out, err := p.Run(new(graph.Memory), graph.Ints(ids, 1, 7), graph.Ints(slices.Repeat([]int64{1}, 7), 1, 7))
	if err != nil {
		t.Fatal(err)
	}
	for c := range m.Dim {
		sum := 0.0
		for i := range ids {
			sum += float64(out[0].Floats[i*m.Dim+c])
		}
		if math.Abs(float64(have[c])-sum/7) > 1e-6 {
			t.Errorf("column %d: %v, want %v", c, have[c], sum/7)
		}
	}
	alone := make([]float32, m.Dim)
	if err := m.Encode(alone, samples[1:2]); err != nil || !slices.Equal(alone, have[m.Dim:2*m.Dim]) {
		t.Errorf("alone %v, among others %v: %v", alone, have[m.Dim:2*m.Dim], err)
	}
	first := load(t, path, Options{Pool: PoolFirst})
	if err := first.Encode(alone, samples[:1]); err != nil || !slices.Equal(alone, out[0].Floats[:m.Dim]) {
		t.Errorf("first token %v, want %v: %v", alone, out[0].Floats[:m.Dim], err)
	}
	long := Sample{Name: "long.txt, text 9", Text: strings.Repeat("dog ", 40)}
	if err := m.Encode(alone, []Sample{long}); err == nil || !strings.Contains(err.Error(), "long.txt, text 9") {
		t.Errorf("more tokens than places: %v", err)
	}
	if err := load(t, path, Options{Input: Input{Length: 12}}).Encode(alone, []Sample{long}); err != nil {
		t.Errorf("cut to 12 tokens: %v", err)
	}
}

func TestImageONNX(t *testing.T) {
	dir := t.TempDir()
	path := whole(t, dir, "whole_images")
	if _, err := Load(path, Options{}); !errors.Is(err, ErrOption) || !strings.Contains(err.Error(), "--divisor") {
		t.Errorf("without normalisation: %v", err)
	}
	m := load(t, path, Options{Input: Input{Divisor: 255}})
	if m.Dim != 5 || m.Layer != "out" || m.Input.Height != 15 || m.Input.Width != 18 || m.Input.Channels != "RGB" {
		t.Errorf("%s of %d, input %+v", m.Layer, m.Dim, m.Input)
	}
	if m := load(t, path, Options{Input: Input{Divisor: 255}, Layer: "r3"}); m.Dim != 8 {
		t.Errorf("a layer of 8 channels has %d features", m.Dim)
	}
	if m := load(t, path, Options{Input: Input{Divisor: 255}, Layer: "r3", Pool: PoolFlat}); m.Dim != 8*8*9 {
		t.Errorf("a layer of 8 channels, 8×9 pixels has %d values", m.Dim)
	}
	put(t, filepath.Join(dir, "whole_images.json"), []byte(`{"name": "mine", "input": {"kind": "image", "divisor": 255, "mean": [0.5, 0.5, 0.5]}, "layers": {"logits": "out", "features": "f"}}`))
	if m := load(t, path, Options{}); m.Name != "mine" || m.Dim != 8 || m.Input.Mean[0] != 0.5 {
		t.Errorf("with a description: %+v", m.Input)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad.onnx")
	put(t, bad, []byte(strings.ReplaceAll(strings.ReplaceAll(string(raw), "HardSwish", "SoftSwish"), "Relu", "Rolu")))
	if _, err := Load(bad, Options{}); !errors.Is(err, graph.ErrGraph) || !strings.Contains(err.Error(), "bad.onnx") || !strings.Contains(err.Error(), "Rolu, SoftSwish") {
		t.Errorf("two unknown operators: %v", err)
	}
	put(t, bad, raw[:len(raw)/3])
	if _, err := Load(bad, Options{}); !errors.Is(err, data.ErrFormat) {
		t.Errorf("a third of a file: %v", err)
	}
}

// TestSoundEncoder goes from an archive of WAV files to features: a dense layer that picks one band of one frame gives its log-mel.
func TestSoundEncoder(t *testing.T) {
	dir := t.TempDir()
	s := &Sound{Rate: 8000, Samples: 800, Kind: "logmel", Window: 200, Hop: 100, Bands: 8}
	if err := s.check(); err != nil {
		t.Fatal(err)
	}
	weight := make([]float32, s.frames()*s.Bands)
	weight[2*s.Bands+5] = 1
	d := Description{Name: "ear", Input: Input{Kind: KindAudio, Sound: s}, Weights: []Weight{{Name: "w", Shape: []int{len(weight), 1}}},
		Nodes:  []Layer{{Name: "flat", Op: "Flatten", Inputs: []string{"input"}}, {Name: "pick", Op: "Gemm", Inputs: []string{"flat", "w"}}},
		Layers: map[string]string{"features": "pick"}}
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "ear.json"), text)
	var raw strings.Builder
	if err := safetensors.Write(&raw, &data.Checkpoint{Tensors: map[string]data.Tensor{"w": data.Float32Tensor(weight, len(weight), 1)}}); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "ear.safetensors"), []byte(raw.String()))

	var body []byte
	wave := chirp(700)
	for _, v := range wave {
		body = append(body, 0, 0)
		q := int16(v * 32768)
		body[len(body)-2], body[len(body)-1] = byte(q), byte(q>>8)
	}
	archive, err := os.Create(filepath.Join(dir, "sounds.zip"))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(archive)
	for _, name := range []string{"no/b.wav", "yes/a.wav", "notes.txt"} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(wav(1, 1, 8000, 16, body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), archive.Close()); err != nil {
		t.Fatal(err)
	}
	m := load(t, filepath.Join(dir, "ear.safetensors"), Options{})
	table := collect(t, m.Source(Sounds(filepath.Join(dir, "sounds.zip")), true))
	if n, d := table.Dims(); n != 2 || d != 1 || !slices.Equal(table.IDs(), []string{"no/b.wav", "yes/a.wav"}) || table.ClassName(1) != "yes" {
		t.Fatalf("%d×%d, ids %v", n, d, table.IDs())
	}
	for i := range wave {
		wave[i] = float64(int16(wave[i]*32768)) / 32768
	}
	want := s.features(append(wave, make([]float64, 100)...), s.tables())[2*s.Bands+5]
	if table.Row(0)[0] != want || table.Row(1)[0] != want {
		t.Errorf("%v and %v, want %v", table.Row(0), table.Row(1), want)
	}
	put(t, filepath.Join(dir, "fast.wav"), wav(1, 1, 44100, 16, body))
	for _, err := range m.Source(Sounds(filepath.Join(dir, "fast.wav")), false).Blocks(t.Context()) {
		if !errors.Is(err, data.ErrShape) || !strings.Contains(err.Error(), "fast.wav: wrong shape: 44100 samples a second, want 8000") {
			t.Errorf("another rate: %v", err)
		}
	}
}
