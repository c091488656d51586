package encode

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
	"github.com/gimbal-ml/gimbal/internal/onnx"
)

// loadONNX opens an ONNX file. How its samples are prepared, and names for layers, stand in NAME.json beside it (a [Description]
// without nodes and weights), or in Options.Input.
func loadONNX(path string, o Options) (*Model, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := onnx.Read(raw, beside(filepath.Dir(path)))
	if err != nil {
		return nil, named(path, err)
	}
	stem := strings.TrimSuffix(path, ".onnx")
	d := &Description{Name: filepath.Base(stem)}
	text, err := os.ReadFile(stem + ".json")
	described := err == nil
	switch {
	case described:
		if d, err = ReadDescription(text); err != nil {
			return nil, named(stem+".json", err)
		}
		if len(d.Nodes) > 0 || len(d.Weights) > 0 {
			return nil, fmt.Errorf("%s.json: %w: nodes and weights are those of %s; want the input and names of layers", stem, data.ErrFormat, path)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	m := &Model{Name: d.Name, Input: d.Input.joined(o.Input), pool: o.Pool, memory: sync.Pool{New: func() any { return new(graph.Memory) }}}
	if err := m.guess(file.Inputs, stem, described || given(o.Input)); err != nil {
		return nil, named(path, err)
	}
	if err := m.Input.check(); err != nil {
		return nil, named(path, err)
	}
	if m.Input.Kind == KindText {
		beside := filepath.Join(filepath.Dir(path), m.Input.tokenizer())
		text, err := os.ReadFile(beside)
		if err != nil {
			return nil, fmt.Errorf("%s reads texts and needs its tokenizer: %w", path, err)
		}
		if m.text, err = ReadTokenizer(text); err != nil {
			return nil, named(beside, err)
		}
	}
	layers := d.Layers
	if len(layers) == 0 { // outputs have their own names; the first is taken when none is asked for
		layers = map[string]string{}
		for _, v := range file.Outputs {
			layers[v.Name] = v.Name
		}
		if o.Layer == "" && len(file.Outputs) > 0 && layers["features"] == "" {
			o.Layer = file.Outputs[0].Name
		}
	}
	return m, named(path, m.finish(file.Graph, layers, o))
}

// given reports whether a caller said how pixels become numbers.
func given(in Input) bool { return in.Divisor != 0 || in.Mean != nil || in.Std != nil }

// beside reads the files that hold a model's weights apart from it. They lie in the model's folder, or below it.
func beside(dir string) onnx.External {
	return func(name string, offset, length int64) ([]byte, error) {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("its values lie in %q, outside the model's folder: %w", name, data.ErrFormat)
		}
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, err
		}
		if length < 0 {
			length = info.Size() - offset
		}
		if offset > info.Size() || length < 0 || length > info.Size()-offset {
			return nil, fmt.Errorf("%s: %w: bytes %d to %d of %d", name, data.ErrFormat, offset, offset+length, info.Size())
		}
		raw := make([]byte, length)
		if _, err := io.ReadFull(io.NewSectionReader(f, offset, length), raw); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return raw, nil
	}
}

// guess completes the input from the shapes that the graph declares: one input of images or of plain values.
func (m *Model) guess(inputs []onnx.Value, stem string, said bool) error {
	in := &m.Input
	if m.guessText(inputs) {
		return nil
	}
	if len(inputs) != 1 {
		var names []string
		for _, v := range inputs {
			names = append(names, v.Name)
		}
		return fmt.Errorf("%w: the graph has inputs %s, want one", data.ErrFormat, strings.Join(names, ", "))
	}
	shape := inputs[0].Shape
	if inputs[0].Type != graph.Float || len(shape) < 1 {
		return fmt.Errorf("%w: input %q is a %s of shape %v", data.ErrFormat, inputs[0].Name, inputs[0].Type, shape)
	}
	m.feeds = []feed{m.feedValues}
	if in.Kind == "" {
		in.Kind = KindValues
		if len(shape) == 4 && (channelsOf(shape[1]) != "" || channelsOf(shape[3]) != "") {
			in.Kind = KindImage
		}
	}
	switch in.Kind {
	case KindText:
		return fmt.Errorf("%w: inputs %v are not those of a text encoder", data.ErrFormat, inputs)
	case KindValues:
		if in.Shape == nil {
			in.Shape = slices.Clone(shape[1:])
		}
		if slices.Contains(in.Shape, -1) {
			return fmt.Errorf("%w: input %q has shape %v, with open sizes; say \"shape\" in %s.json", data.ErrShape, inputs[0].Name, shape, stem)
		}
	case KindImage:
		if len(shape) != 4 {
			return fmt.Errorf("%w: input %q has shape %v, want images", data.ErrShape, inputs[0].Name, shape)
		}
		if !said {
			return fmt.Errorf("%w: images, as the file does not say how pixels become numbers; give --divisor, --mean or --std, or lay %s.json beside it", ErrOption, stem)
		}
		c, h, w := shape[1], shape[2], shape[3]
		if in.Layout == "NHWC" || in.Layout == "" && channelsOf(shape[1]) == "" {
			in.Layout = "NHWC"
			h, w, c = shape[1], shape[2], shape[3]
		}
		if in.Channels == "" {
			in.Channels = channelsOf(c)
		}
		if in.Height == 0 && in.Width == 0 {
			in.Height, in.Width = h, w
		}
		if in.Height < 1 || in.Width < 1 {
			return fmt.Errorf("%w: input %q has shape %v, with open sizes; say --size", data.ErrShape, inputs[0].Name, shape)
		}
	}
	return nil
}

// guessText recognises the inputs of a text encoder by their names, and fills them: token numbers, a mask of ones, types of zeros.
func (m *Model) guessText(inputs []onnx.Value) bool {
	var feeds []feed
	numbers := false
	for _, v := range inputs {
		if v.Type != graph.Int {
			return false
		}
		fill := int64(0)
		switch v.Name {
		case "input_ids":
			numbers = true
			feeds = append(feeds, func(ready []prepared) *graph.Tensor {
				ids := make([]int64, len(ready[0].tokens))
				for i, id := range ready[0].tokens {
					ids[i] = int64(id)
				}
				return graph.Ints(ids, 1, len(ids))
			})
			continue
		case "attention_mask":
			fill = 1
		case "token_type_ids":
		default:
			return false
		}
		feeds = append(feeds, func(ready []prepared) *graph.Tensor {
			n := len(ready[0].tokens)
			return graph.Ints(slices.Repeat([]int64{fill}, n), 1, n)
		})
	}
	if numbers {
		m.feeds, m.Input.Kind = feeds, KindText
	}
	return numbers
}

func (in *Input) tokenizer() string {
	if in.Tokenizer == "" {
		return "tokenizer.json"
	}
	return in.Tokenizer
}

// channelsOf is what a number of channels means.
func channelsOf(n int) string {
	return map[int]string{1: "gray", 3: "RGB"}[n]
}
