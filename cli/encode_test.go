package cli

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/atomic"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/encode"
)

// writeNetwork writes STEM.safetensors and STEM.json: one convolution on 8×8 pixels, four features, two logits.
func writeNetwork(stem string) error {
	shapes := map[string][]int{"conv.weight": {4, 3, 3, 3}, "conv.bias": {4}, "head.weight": {2, 4}, "head.bias": {2}}
	d := encode.Description{
		Name:  "net",
		Input: encode.Input{Kind: encode.KindImage, Channels: "RGB", Height: 8, Width: 8, Divisor: 255},
		Nodes: []encode.Layer{
			{Name: "conv", Op: "Conv", Inputs: []string{"input", "conv.weight", "conv.bias"}},
			{Name: "relu", Op: "Relu", Inputs: []string{"conv"}},
			{Name: "average", Op: "GlobalAveragePool", Inputs: []string{"relu"}},
			{Name: "flat", Op: "Flatten", Inputs: []string{"average"}},
			{Name: "wide", Op: "Gemm", Inputs: []string{"flat", "head.weight", "head.bias"}, Attributes: map[string]encode.Setting{}},
		},
		Layers: map[string]string{"features": "flat", "logits": "wide"},
	}
	transposed := encode.Setting{}
	if err := transposed.UnmarshalJSON([]byte("1")); err != nil {
		return err
	}
	d.Nodes[4].Attributes["transB"] = transposed
	c := &data.Checkpoint{Tensors: map[string]data.Tensor{}}
	r := rand.New(rand.NewPCG(7, 7))
	for _, name := range []string{"conv.bias", "conv.weight", "head.bias", "head.weight"} {
		n := 1
		for _, s := range shapes[name] {
			n *= s
		}
		v := make([]float64, n)
		for i := range v {
			v[i] = r.NormFloat64()
		}
		c.Tensors[name] = data.CastTensor(data.F32, v, shapes[name]...)
		d.Weights = append(d.Weights, encode.Weight{Name: name, Shape: shapes[name]})
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if err := os.WriteFile(stem+".json", text, 0o666); err != nil {
		return err
	}
	return atomic.Write(stem+".safetensors", func(w io.Writer) error { return safetensors.Write(w, c) })
}

// writeImages writes a folder of PNG images: reddish ones in ant, bluish ones in bee.
func writeImages(dir string) error {
	r := rand.New(rand.NewPCG(8, 8))
	for c, class := range []string{"ant", "bee"} {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			return err
		}
		for k := range 20 {
			im := image.NewRGBA(image.Rect(0, 0, 11+k%3, 9))
			for y := range 9 {
				for x := range 11 + k%3 {
					v := uint8(r.IntN(100))
					pixel := color.RGBA{R: 155 + v, G: v, B: v, A: 255}
					if c == 1 {
						pixel.R, pixel.B = pixel.B, pixel.R
					}
					im.SetRGBA(x, y, pixel)
				}
			}
			f, err := os.Create(filepath.Join(dir, class, fmt.Sprint(k, ".png")))
			if err != nil {
				return err
			}
			if err := png.Encode(f, im); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestEncode goes the whole way: images, features, a head, its answers.
func TestEncode(t *testing.T) {
	fixture(t)
	must(t, "encode", "--model", "net.safetensors", "--in", "images", "--labels-from", "folder", "-o", "f.parquet")
	must(t, "fit", "probe/ridge", "--train", "f.parquet", "--label", "label", "--id", "id", "-o", "m.gimbal")
	out := must(t, "predict", "m.gimbal", "--in", "f.parquet", "--label", "label", "--id", "id", "-o", "-")
	lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
	right := 0
	for _, line := range lines {
		cells := strings.Split(line, "\t")
		right += strings.Count(cells[0], cells[1]+"/")
	}
	if len(lines) != 40 || right != 40 {
		t.Errorf("%d of %d rows right:\n%s", right, len(lines), out)
	}
	// Neither the batch nor the threads change a bit; a sample alone is what it is among others.
	for _, more := range [][]string{{"--batch", "1"}, {"--batch", "7"}, {"--threads", "1"}, {"--threads", "3"}} {
		must(t, append([]string{"encode", "--model", "net.safetensors", "--in", "images", "--labels-from", "folder", "-o", "g.parquet"}, more...)...)
		sameFile(t, "f.parquet", "g.parquet")
	}
	all := must(t, "encode", "--model", "net.safetensors", "--in", "images")
	one := must(t, "encode", "--model", "net.safetensors", "--in", "images/bee/3.png")
	_, values, _ := strings.Cut(strings.Split(one, "\n")[1], "\t")
	if !strings.Contains(all, "bee/3.png\t"+values+"\n") {
		t.Errorf("alone: %s\nall:\n%s", one, all)
	}
	must(t, "encode", "--model", "net.safetensors", "--in", "images", "-o", "f.npy")
	must(t, "encode", "--model", "fractal", "--in", "images", "-o", "f.npy") // the weights are in the program
	for _, name := range encode.NetworkNames() {
		write(t, "d.json", must(t, "encode", "--describe", name))
	}
}

// smallTokenizer knows five words.
const smallTokenizer = `{"model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0, "the": 1, "dog": 2, "a": 3, "cat": 4, "runs": 5}}, "pre_tokenizer": {"type": "Whitespace"}}`

// writeTexts writes texts.jsonl and tokenizer.json.
func writeTexts(dir string) error {
	texts := `{"text": "the dog runs", "y": "dog", "name": "one"}` + "\n" + `{"text": "a zebra", "y": "cat", "name": "two"}` + "\n"
	return errors.Join(os.WriteFile(filepath.Join(dir, "texts.jsonl"), []byte(texts), 0o666), os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(smallTokenizer), 0o666))
}

func TestEncodeTokens(t *testing.T) {
	fixture(t)
	out := must(t, "encode", "--model", "tokenizer.json", "--in", "texts.jsonl", "--length", "4", "--label", "y", "--id", "name")
	if want := "id\tlabel\tx1\tx2\tx3\tx4\none\tdog\t1\t2\t5\t-1\ntwo\tcat\t3\t0\t-1\t-1\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	if out := must(t, "encode", "--model", "tokenizer.json", "--in", "texts.jsonl", "--length", "2"); !strings.Contains(out, "1\t2\n") {
		t.Errorf("cut to two tokens: %q", out)
	}
	refused(t, 2, []string{"tokenizer.json", "--length"}, "encode", "--model", "tokenizer.json", "--in", "texts.jsonl", "-o", "x.csv")
	refused(t, 2, []string{"tokenizer.json", "tokens"}, "encode", "--model", "tokenizer.json", "--length", "4", "--layer", "logits", "--in", "texts.jsonl", "-o", "x.csv")
	refused(t, 1, []string{"net.json", "tokenizer"}, "encode", "--model", "net.json", "--length", "4", "--in", "texts.jsonl", "-o", "x.csv")
}

// TestEncodeTexts runs an ONNX text encoder of the tests of internal/onnx, from a file and from a pipe.
func TestEncodeTexts(t *testing.T) {
	file, err := os.Open(filepath.Join("..", "internal", "onnx", "testdata", "nodes.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	packed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(packed)
	for name := ""; name != "whole_encoder/model.onnx"; {
		h, err := archive.Next()
		if err != nil {
			t.Fatal(err)
		}
		name = h.Name
	}
	raw, err := io.ReadAll(archive)
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	write(t, "text.onnx", string(raw))
	write(t, "t.jsonl", `{"text": "the dog runs", "y": "dog", "name": "one"}`+"\n"+`{"text": "a cat", "y": "cat", "name": "two"}`+"\n")
	refused(t, 1, []string{"text.onnx", "tokenizer.json", "no such file"}, "encode", "--model", "text.onnx", "--in", "t.jsonl", "-o", "x.csv")
	write(t, "tokenizer.json", smallTokenizer)
	lines := strings.Split(must(t, "encode", "--model", "text.onnx", "--in", "t.jsonl", "--label", "y", "--id", "name"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], "one\tdog\t") || !strings.HasPrefix(lines[2], "two\tcat\t") || strings.Count(lines[0], "\tx") != 16 {
		t.Errorf("%q", lines)
	}
	piped := gimbalIn(t.Context(), strings.NewReader("a cat\n"), "encode", "--model", "text.onnx", "--in", "-")
	_, want, _ := strings.Cut(lines[2], "cat\t")
	if have := strings.TrimPrefix(strings.Split(piped.out, "\n")[1], "0\t"); have != want {
		t.Errorf("from a pipe %q, from a file %q: %s", have, want, piped.errOut)
	}
	refused(t, 2, []string{"--labels-from"}, "encode", "--model", "text.onnx", "--in", "t.jsonl", "--labels-from", "folder", "-o", "x.csv")
	write(t, "tokenizer.json", `{"model": {"type": "Unigram"}, "normalizer": {"type": "Precompiled"}}`)
	refused(t, 1, []string{"tokenizer.json", "Unigram", "Precompiled"}, "encode", "--model", "text.onnx", "--in", "t.jsonl", "-o", "x.csv")
}

func TestEncodeRefusals(t *testing.T) {
	fixture(t)
	raw := read(t, "images/ant/0.png")
	write(t, "half.png", raw[:len(raw)/2])
	write(t, "words.jpg", "not an image")
	write(t, "short.txt", "ant\nbee\n")
	write(t, "other.json", strings.Replace(read(t, "net.json"), "[4,3,3,3]", "[5,3,3,3]", 1))
	write(t, "other.safetensors", read(t, "net.safetensors"))
	write(t, "strange.json", strings.Replace(read(t, "net.json"), `"Relu"`, `"Wobble"`, 1))
	write(t, "strange.safetensors", read(t, "net.safetensors"))
	write(t, "lone.safetensors", read(t, "net.safetensors"))
	net := func(more ...string) []string {
		return append([]string{"encode", "--model", "net.safetensors", "-o", "x.parquet"}, more...)
	}
	refused(t, 1, []string{"half.png", "damaged"}, net("--in", "half.png")...)
	refused(t, 1, []string{"words.jpg", "no JPEG, PNG or GIF"}, net("--in", "words.jpg")...)
	refused(t, 1, []string{"none", "no such file"}, net("--in", "none")...)
	refused(t, 1, []string{"tasks", ".png"}, net("--in", "tasks")...)
	refused(t, 1, []string{"short.txt", "2 labels"}, net("--in", "images", "--labels-from", "short.txt")...)
	refused(t, 2, []string{`"pool5"`, "features, logits", "relu"}, net("--in", "images", "--layer", "pool5")...)
	refused(t, 2, []string{"resize", "bilinear"}, net("--in", "images", "--resize", "smooth")...)
	refused(t, 2, []string{"--size", "224x224"}, net("--in", "images", "--size", "8")...)
	refused(t, 1, []string{"other.safetensors", "conv.weight", "[4 3 3 3]", "[5 3 3 3]"}, "encode", "--model", "other.safetensors", "--in", "images", "-o", "x.csv")
	refused(t, 1, []string{"strange.safetensors", "Wobble"}, "encode", "--model", "strange.safetensors", "--in", "images", "-o", "x.csv")
	refused(t, 1, []string{"lone.safetensors", "lone.json", "squeezenet1.1"}, "encode", "--model", "lone.safetensors", "--in", "images", "-o", "x.csv")
	refused(t, 1, []string{"nonet", "no such file", "squeezenet1.1"}, "encode", "--model", "nonet", "--in", "images", "-o", "x.csv")
	refused(t, 2, []string{"cifar-resnet20", "weights"}, "encode", "--model", "cifar-resnet20", "--in", "images", "-o", "x.csv")
	refused(t, 1, []string{"net.safetensors", "cifar-resnet20", "conv1.weight"}, "encode", "--model", "cifar-resnet20", "--weights", "net.safetensors", "--in", "images", "-o", "x.csv")
	refused(t, 1, []string{"labels"}, "encode", "--model", "net.safetensors", "--in", "images", "--labels-from", "folder", "-o", "x.npy")
}
