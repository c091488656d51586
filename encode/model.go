package encode

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/data/open"
	"github.com/gimbal-ml/gimbal/data/safetensors"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// ErrOption is a layer, a way or a name that is asked for and is not there.
var ErrOption = errors.New("not a choice here")

// Options say how to load a network. The zero value takes all from the files.
type Options struct {
	Weights string // the weights of a network known by name
	Layer   string // the value to take out; features by default, or the network's first output
	Pool    string // one of [Pools], for layers with a value a place or a token; mean by default
	Batch   int    // samples that one run takes at most; it changes speed and memory, never results
	Input   Input  // what is set replaces what the network says
}

// defaultBatch is how many samples one run takes where the graph allows it.
const defaultBatch = 8

// Load opens a network: the name of one that the program knows (with Options.Weights, but for those that it has weights of), a .safetensors file with NAME.json or
// NAME.graph.json beside it or with the tensors of a known network, an .onnx file, or a tokenizer.json for token numbers. A trial run with a sample of zeros finds what does not fit.
//
// Errors: ErrFormat on files that cannot be read; ErrOption on what is asked for and not there; ErrShape where weights do not fit their
// description, with both shapes; unknown operators, all by name.
func Load(path string, o Options) (*Model, error) {
	if d, ok := Network(path); ok {
		if own := ownWeights(path); o.Weights == "" && own != nil {
			c, err := safetensors.Read(bytes.NewReader(own), int64(len(own)))
			if err != nil {
				return nil, named(path, err)
			}
			return described(path, c, d, o)
		}
		if o.Weights == "" {
			return nil, fmt.Errorf("%w: %s is a network's name and needs its weights, a .safetensors file", ErrOption, path)
		}
		return loadWeights(o.Weights, d, o)
	}
	if o.Weights != "" {
		return nil, fmt.Errorf("%w: no network is called %q; known are %s", ErrOption, path, strings.Join(NetworkNames(), ", "))
	}
	if strings.HasSuffix(path, ".onnx") {
		return loadONNX(path, o)
	}
	if strings.HasSuffix(path, ".json") {
		return loadTokens(path, o)
	}
	return loadWeights(path, nil, o)
}

// ownWeights returns the weights of a network that the program brings along.
func ownWeights(name string) []byte {
	i := slices.IndexFunc(Networks, func(n network) bool { return n.Name == name })
	return Networks[i].own
}

// NetworkNames lists the networks known by name.
func NetworkNames() (names []string) {
	for _, n := range Networks {
		names = append(names, n.Name)
	}
	return names
}

// loadWeights joins weights with their description: the given one, that beside them, or the known one that fits.
func loadWeights(path string, d *Description, o Options) (*Model, error) {
	c, file, err := open.Checkpoint(path)
	if err != nil {
		if _, missing := os.Stat(path); errors.Is(missing, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w; a network's name is one of %s", err, strings.Join(NetworkNames(), ", "))
		}
		return nil, err
	}
	defer file.Close() // weights are read before the network is made
	stem := strings.TrimSuffix(path, ".safetensors")
	if d == nil {
		text, err := os.ReadFile(stem + ".graph.json")
		if err == nil {
			return loadLite(path, stem+".graph.json", text, c, o)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if text, err = os.ReadFile(stem + ".json"); err == nil {
			if d, err = ReadDescription(text); err != nil {
				return nil, fmt.Errorf("%s.json: %w", stem, err)
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if d == nil {
		for _, n := range Networks {
			if known := n.Describe(); known.fits(c) {
				d = known
				break
			}
		}
	}
	if d == nil {
		return nil, fmt.Errorf("%s: %w as a network: there is neither %s.json nor %s.graph.json, and the tensors are not those of %s", path, data.ErrFormat, stem, stem, strings.Join(NetworkNames(), ", "))
	}
	return described(path, c, d, o)
}

// described joins a description with its weights.
func described(path string, c *data.Checkpoint, d *Description, o Options) (*Model, error) {
	g, err := d.graph(c)
	if err != nil {
		return nil, fmt.Errorf("%s as %s: %w", path, d.Name, err)
	}
	m, err := newModel(d.Name, g, d.Input.joined(o.Input), d.Layers, o)
	return m, named(path, err)
}

func loadLite(path, beside string, text []byte, c *data.Checkpoint, o Options) (*Model, error) {
	l, err := readLite(text)
	if err != nil {
		return nil, named(beside, err)
	}
	in, err := l.input()
	if err != nil {
		return nil, named(beside, err)
	}
	g, layers, err := l.graph(c)
	if err != nil {
		return nil, named(path, err)
	}
	if len(l.Outputs) == 1 {
		layers["output"] = l.byID[l.Outputs[0]].value()
	}
	m, err := newModel(strings.TrimSuffix(filepath.Base(path), ".safetensors"), g, in.joined(o.Input), layers, o)
	return m, named(path, err)
}

func named(path string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// newModel compiles a graph with one input of samples and tries it out.
func newModel(name string, g *graph.Graph, in Input, layers map[string]string, o Options) (*Model, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	m := &Model{Name: name, Input: in, pool: o.Pool, memory: sync.Pool{New: func() any { return new(graph.Memory) }}}
	m.feeds = []feed{m.feedValues}
	return m, m.finish(g, layers, o)
}

// finish chooses the layer, compiles, and runs samples of zeros.
func (m *Model) finish(g *graph.Graph, layers map[string]string, o Options) error {
	if o.Pool != "" && !slices.Contains(Pools, o.Pool) {
		return fmt.Errorf("%w: pool %q, want one of %s", ErrOption, o.Pool, strings.Join(Pools, ", "))
	}
	if m.Input.Kind == KindAudio && m.Input.Sound.Kind != "waveform" {
		m.sound = m.Input.Sound.tables()
	}
	value, err := m.choose(g, layers, o.Layer)
	if err != nil {
		return err
	}
	g.Outputs = []string{value}
	if m.program, err = graph.Compile(g); err != nil {
		return err
	}
	first, err := m.run(m.zeros(1), new(graph.Memory))
	if err != nil {
		return err
	}
	m.Dim, m.batch = len(first), 1
	if m.Dim == 0 {
		return fmt.Errorf("%w: %s has no values", data.ErrShape, m.Layer)
	}
	if m.Input.Kind == KindText { // texts have lengths of their own
		return nil
	}
	// A graph whose shapes are written out for one sample takes one at a time.
	if both, err := m.run(m.zeros(2), new(graph.Memory)); err == nil && len(both) == 2*m.Dim {
		m.batch = defaultBatch
		if o.Batch > 0 {
			m.batch = o.Batch
		}
	}
	return nil
}

// choose finds the value of a layer: by its name in the description, or by a node's output.
func (m *Model) choose(g *graph.Graph, layers map[string]string, layer string) (string, error) {
	if layer == "" {
		layer = "features"
		if _, ok := layers[layer]; !ok {
			names := slices.Sorted(maps.Keys(layers))
			if len(names) != 1 {
				return "", fmt.Errorf("%w: which layer to take out must be said: %s, or a node's", ErrOption, strings.Join(names, ", "))
			}
			layer = names[0]
		}
	}
	m.Layer = layer
	if value, ok := layers[layer]; ok {
		return value, nil
	}
	for _, n := range g.Nodes {
		if slices.Contains(n.Outputs, layer) && layer != "" {
			return layer, nil
		}
	}
	const most = 8
	var last []string
	for _, n := range slices.Backward(g.Nodes) {
		if len(n.Outputs) > 0 && len(last) < most {
			last = append(last, n.Outputs[0])
		}
	}
	return "", fmt.Errorf("%w: layer %q; there are %s, and %d nodes, the last ones %s", ErrOption, layer, strings.Join(slices.Sorted(maps.Keys(layers)), ", "), len(g.Nodes), strings.Join(last, ", "))
}

// zeros are n samples for a trial run.
func (m *Model) zeros(n int) []prepared {
	ready := make([]prepared, n)
	for i := range ready {
		if m.Input.Kind == KindText {
			ready[i].tokens = []int32{0, 0, 0}
			continue
		}
		ready[i].values = make([]float32, product(m.Input.size()))
	}
	return ready
}

func product(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// feedValues puts samples side by side.
func (m *Model) feedValues(ready []prepared) *graph.Tensor {
	shape := append([]int{len(ready)}, m.Input.size()...)
	if len(ready) == 1 {
		return graph.Floats(ready[0].values, shape...)
	}
	var x []float32
	for _, p := range ready {
		x = append(x, p.values...)
	}
	return graph.Floats(x, shape...)
}
