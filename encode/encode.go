// Package encode turns images, sounds and texts into tables of features, by real pre-trained networks: it decodes and prepares the
// samples as a network's weights want them, runs the network on the kernels of internal/num, and takes out a layer.
//
// [Load] opens a network: weights (.safetensors) with a [Description] beside them or with one that the program knows, a graph of
// TensorFlow Lite written as JSON, an ONNX file, or a tokenizer alone, for token numbers. [Images], [Sounds], [Texts] and [Values] list samples; [Model.Source] makes
// their features a [data.Source]. A sample's features never depend on the samples beside it, nor on the number of threads.
package encode

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
	"github.com/gimbal-ml/gimbal/internal/num"
)

// Sample is one thing to encode. Exactly one of Read, Picture, Text and Values is set.
type Sample struct {
	Name  string // where it came from, for messages
	ID    string
	Label string // "" is no class

	Read    func() ([]byte, error) // an encoded image or sound
	Picture *Picture
	Text    string
	Values  []float32
}

// Model is a network with its way to prepare samples. It is safe for concurrent use.
type Model struct {
	Name  string
	Layer string // the value that is taken out
	// Input is how samples are prepared.
	Input Input
	// Dim is D, the number of features.
	Dim int

	program *graph.Program // nil: a tokenizer alone
	feeds   []feed
	pool    string
	batch   int // samples that one run takes at most
	memory  sync.Pool
	text    *Tokenizer
	sound   *bank
}

// feed fills one of the graph's inputs from n prepared samples.
type feed func(samples []prepared) *graph.Tensor

// prepared is a sample as numbers.
type prepared struct {
	values []float32
	tokens []int32
}

// Kind is what the model reads: image, audio, text or values.
func (m *Model) Kind() string { return m.Input.Kind }

// Encode writes the features of samples, len(samples)×Dim, to dst. Errors name the sample.
func (m *Model) Encode(dst []float32, samples []Sample) error {
	memory := m.memory.Get().(*graph.Memory)
	defer m.memory.Put(memory)
	for lo := 0; lo < len(samples); lo += m.batch {
		hi := min(lo+m.batch, len(samples))
		if err := m.encode(dst[lo*m.Dim:hi*m.Dim], samples[lo:hi], memory); err != nil {
			return err
		}
	}
	return nil
}

// encode runs the network once.
func (m *Model) encode(dst []float32, samples []Sample, memory *graph.Memory) error {
	ready := make([]prepared, len(samples))
	for i := range samples {
		var err error
		if ready[i], err = m.prepare(&samples[i]); err != nil {
			return fmt.Errorf("%s: %w", samples[i].Name, err)
		}
	}
	if m.program == nil {
		copy(dst, m.tokens(ready))
		return nil
	}
	y, err := m.run(ready, memory)
	if err != nil {
		return fmt.Errorf("%s: %w", samples[0].Name, err)
	}
	if len(y) != len(dst) {
		return fmt.Errorf("%s: %w: %s of %s has %d values, %d for other samples", samples[0].Name, data.ErrShape, m.Layer, m.Name, len(y)/len(samples), m.Dim)
	}
	for i, v := range y {
		if v-v != 0 {
			return fmt.Errorf("%s: %s of %s, column %d: %v is %w", samples[i/m.Dim].Name, m.Layer, m.Name, i%m.Dim+1, v, data.ErrFinite)
		}
	}
	copy(dst, y)
	return nil
}

// run returns n rows of features.
func (m *Model) run(ready []prepared, memory *graph.Memory) ([]float32, error) {
	var inputs []*graph.Tensor
	for _, f := range m.feeds {
		inputs = append(inputs, f(ready))
	}
	out, err := m.program.Run(memory, inputs...)
	if err != nil {
		return nil, err
	}
	y := out[0]
	if y.Type != graph.Float || len(y.Shape) == 0 || y.Shape[0] != len(ready) {
		return nil, fmt.Errorf("%w: %s has shape %v for %d samples", data.ErrShape, m.Layer, y.Shape, len(ready))
	}
	return pooled(y, m.pool, len(ready), ready)
}

// The ways to make one row of a sample's values.
const (
	PoolMean  = "mean"  // over positions of an image, over tokens of a text
	PoolFirst = "first" // the first position or token
	PoolFlat  = "flat"  // all values
)

// Pools are the ways that are known.
var Pools = []string{PoolMean, PoolFirst, PoolFlat}

// pooled makes rows: of N×C×… images the channels, of N×T×D texts and sounds the columns. Rows stay as they are.
func pooled(y *graph.Tensor, pool string, n int, ready []prepared) ([]float32, error) {
	if len(y.Shape) <= 2 || pool == PoolFlat {
		return y.Floats, nil
	}
	each := y.Len() / n
	channels, places := y.Shape[1], each/max(1, y.Shape[1])
	step, stride := 1, places // from place to place, from channel to channel
	if len(y.Shape) == 3 {
		places, channels = channels, places
		step, stride = channels, 1
	}
	if places == 0 {
		return nil, fmt.Errorf("%w: nothing to pool in shape %v", data.ErrShape, y.Shape)
	}
	out := make([]float32, 0, n*channels)
	for i := range n {
		x := y.Floats[i*each : (i+1)*each]
		count := places
		if pool == PoolFirst {
			count = 1
		}
		for c := range channels {
			sum := 0.0
			for p := range count {
				sum += float64(x[c*stride+p*step])
			}
			out = append(out, float32(sum/float64(count)))
		}
	}
	return out, nil
}

// blockRows is how many samples are encoded between two writes.
const blockRows = 256

// Source makes the features of samples a table that is read block by block, with ids, and with labels when labelled says that
// samples have them. total is the number of samples, −1 when it is not known.
func (m *Model) Source(samples iter.Seq2[Sample, error], labelled bool) data.Source {
	return &source{m, samples, labelled}
}

type source struct {
	m        *Model
	samples  iter.Seq2[Sample, error]
	labelled bool
}

// Replayable says that samples are read once.
func (s *source) Replayable() bool { return false }

// Blocks encodes. Errors: those of the samples, of [Model.Encode], and the context's.
func (s *source) Blocks(ctx context.Context) iter.Seq2[*data.Table, error] {
	return func(yield func(*data.Table, error) bool) {
		classes, index := []string(nil), map[string]int{}
		var block []Sample
		flush := func() bool {
			t, err := s.m.table(ctx, block)
			if err == nil && s.labelled {
				labels := make([]int, len(block))
				for i, b := range block {
					labels[i] = data.Unknown
					if b.Label == "" {
						continue
					}
					c, ok := index[b.Label]
					if !ok {
						c = len(classes)
						index[b.Label], classes = c, append(classes, b.Label)
					}
					labels[i] = c
				}
				t, err = t.WithLabels(labels, slices.Clone(classes))
			}
			block = block[:0]
			return yield(t, err) && err == nil
		}
		for sample, err := range s.samples {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if block = append(block, sample); len(block) == blockRows && !flush() {
				return
			}
		}
		if len(block) > 0 {
			flush()
		}
	}
}

// table encodes a block on all threads.
func (m *Model) table(ctx context.Context, block []Sample) (*data.Table, error) {
	x := make([]float32, len(block)*m.Dim)
	runs := (len(block) + m.batch - 1) / m.batch
	errs := make([]error, runs)
	num.Parallel(runs, 1, func(lo, hi int) {
		for r := lo; r < hi; r++ {
			if errs[r] = ctx.Err(); errs[r] != nil {
				return
			}
			from, to := r*m.batch, min((r+1)*m.batch, len(block))
			errs[r] = m.Encode(x[from*m.Dim:to*m.Dim], block[from:to])
		}
	})
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	t, err := data.NewTable(len(block), m.Dim, x)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(block))
	for i, s := range block {
		ids[i] = s.ID
	}
	return t.WithIDs(ids)
}
