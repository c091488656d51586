// Package onnx reads ONNX files (operator sets 13 to 21) into graphs that internal/graph runs.
package onnx

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// Model is a graph with what the file says of its inputs and outputs.
type Model struct {
	Graph   *graph.Graph
	Opset   int
	Inputs  []Value // without those that have a constant value
	Outputs []Value
}

// Value is an input or an output: its sizes, −1 where the file leaves one open. Shape is nil when the file says nothing.
type Value struct {
	Name  string
	Type  graph.Type
	Shape []int
}

// The operator sets that are read.
const oldest, newest = 13, 21

// External fetches bytes of a file beside the model; length −1 is all from offset on.
type External func(name string, offset, length int64) ([]byte, error)

// Read reads a model. external may be nil when all weights stand in the file.
// Errors: ErrFormat on what is no ONNX model or has another operator set; ErrGraph on operators that are not known, all by name.
func Read(raw []byte, external External) (*Model, error) {
	m := &Model{Graph: &graph.Graph{Constants: map[string]*graph.Tensor{}}}
	r := &reader{Model: m, external: external}
	found := false
	err := message(raw, func(f field) error {
		switch f.number {
		case 7:
			found = true
			return r.graph(f.bytes)
		case 8:
			return r.operatorSet(f.bytes)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("as an ONNX model: %w", err)
	}
	if !found || len(m.Graph.Nodes) == 0 {
		return nil, fmt.Errorf("%w as an ONNX model: it has no graph", data.ErrFormat)
	}
	if m.Opset < oldest || m.Opset > newest {
		return nil, fmt.Errorf("%w as an ONNX model: operator set %d, want %d to %d", data.ErrFormat, m.Opset, oldest, newest)
	}
	if unknown := m.Graph.Unknown(); len(unknown) > 0 {
		return nil, fmt.Errorf("%w: unknown operators: %s", graph.ErrGraph, strings.Join(unknown, ", "))
	}
	m.Inputs = slices.DeleteFunc(m.Inputs, func(v Value) bool { return m.Graph.Constants[v.Name] != nil })
	for _, v := range m.Inputs {
		m.Graph.Inputs = append(m.Graph.Inputs, v.Name)
	}
	for _, v := range m.Outputs {
		m.Graph.Outputs = append(m.Graph.Outputs, v.Name)
	}
	return m, nil
}

type reader struct {
	*Model
	external External
}

func (r *reader) operatorSet(b []byte) error {
	domain, version := "", 0
	err := message(b, func(f field) error {
		switch f.number {
		case 1:
			domain = string(f.bytes)
		case 2:
			version = int(f.bits)
		}
		return nil
	})
	if domain == "" || domain == "ai.onnx" {
		r.Opset = version
	}
	return err
}

func (r *reader) graph(b []byte) error {
	return message(b, func(f field) error {
		switch f.number {
		case 1:
			n, err := r.node(f.bytes)
			r.Graph.Nodes = append(r.Graph.Nodes, n)
			return err
		case 5:
			name, t, err := r.tensor(f.bytes)
			r.Graph.Constants[name] = t
			return err
		case 11, 12:
			v, err := value(f.bytes)
			if f.number == 11 {
				r.Inputs = append(r.Inputs, v)
			} else {
				r.Outputs = append(r.Outputs, v)
			}
			return err
		case 15:
			return fmt.Errorf("has sparse weights: %w", data.ErrFormat)
		}
		return nil
	})
}

func (r *reader) node(b []byte) (graph.Node, error) {
	n := graph.Node{Attributes: map[string]graph.Attribute{}}
	domain := ""
	err := message(b, func(f field) error {
		switch f.number {
		case 1:
			n.Inputs = append(n.Inputs, string(f.bytes))
		case 2:
			n.Outputs = append(n.Outputs, string(f.bytes))
		case 3:
			n.Name = string(f.bytes)
		case 4:
			n.Op = string(f.bytes)
		case 5:
			name, a, err := r.attribute(f.bytes)
			n.Attributes[name] = a
			return err
		case 7:
			domain = string(f.bytes)
		}
		return nil
	})
	if domain != "" && domain != "ai.onnx" {
		n.Op = domain + "." + n.Op // of another vocabulary: unknown by this name
	}
	for len(n.Inputs) > 0 && n.Inputs[len(n.Inputs)-1] == "" {
		n.Inputs = n.Inputs[:len(n.Inputs)-1]
	}
	return n, err
}

func (r *reader) attribute(b []byte) (name string, a graph.Attribute, err error) {
	err = message(b, func(f field) error {
		var err error
		switch f.number {
		case 1:
			name = string(f.bytes)
		case 2:
			a.Float = math.Float32frombits(uint32(f.bits))
		case 3:
			a.Int = int64(f.bits)
		case 4:
			a.Text = string(f.bytes)
		case 5:
			_, a.Tensor, err = r.tensor(f.bytes)
		case 7:
			a.Floats, err = f.floats(a.Floats)
		case 8:
			a.Ints, err = f.whole(a.Ints)
		}
		return err
	})
	return name, a, err
}

func value(b []byte) (v Value, err error) {
	err = message(b, func(f field) error {
		switch f.number {
		case 1:
			v.Name = string(f.bytes)
		case 2: // type
			return message(f.bytes, func(f field) error {
				if f.number != 1 {
					return nil
				}
				return message(f.bytes, func(f field) error { // of a tensor
					switch f.number {
					case 1:
						_, v.Type, _ = convert(int(f.bits), nil)
					case 2:
						v.Shape = []int{}
						return message(f.bytes, func(f field) error {
							size := -1
							err := message(f.bytes, func(f field) error {
								if f.number == 1 {
									size = int(f.bits)
								}
								return nil
							})
							v.Shape = append(v.Shape, size)
							return err
						})
					}
					return nil
				})
			})
		}
		return nil
	})
	return v, err
}

// dtypes are ONNX's element types as data names them.
var dtypes = map[int]data.DType{1: data.F32, 2: data.U8, 3: data.I8, 4: data.U16, 5: data.I16, 6: data.I32, 7: data.I64, 9: data.Bool, 10: data.F16, 11: data.F64, 12: data.U32, 13: data.U64, 16: data.BF16}

// convert turns raw little-endian elements into values of the graph's types.
func convert(onnx int, t *data.Tensor) (*graph.Tensor, graph.Type, error) {
	dtype, ok := dtypes[onnx]
	if !ok {
		return nil, 0, fmt.Errorf("element type %d is not known here: %w", onnx, data.ErrFormat)
	}
	kind := graph.Int
	if dtype.Float() {
		kind = graph.Float
	} else if dtype == data.Bool {
		kind = graph.Bool
	}
	if t == nil {
		return nil, kind, nil
	}
	out := &graph.Tensor{Type: kind, Shape: t.Shape}
	if dtype == data.I64 || dtype == data.U64 {
		v, err := t.Int64s()
		out.Ints = v
		return out, kind, err
	}
	v, err := t.Float64s()
	if err != nil {
		return nil, 0, err
	}
	for _, x := range v {
		if kind == graph.Float {
			out.Floats = append(out.Floats, float32(x))
		} else {
			out.Ints = append(out.Ints, int64(x))
		}
	}
	return out, kind, nil
}

// tensor reads a constant; its elements stand raw, in lists, or in another file.
func (r *reader) tensor(b []byte) (name string, t *graph.Tensor, err error) {
	var dims, whole []int64
	var floats []float32
	var doubles, raw []byte
	var elements int
	hasRaw, elsewhere := false, map[string]string{}
	err = message(b, func(f field) error {
		var err error
		switch f.number {
		case 1:
			dims, err = f.whole(dims)
		case 2:
			elements = int(f.bits)
		case 4:
			floats, err = f.floats(floats)
		case 5, 7, 11:
			whole, err = f.whole(whole)
		case 8:
			name = string(f.bytes)
		case 9:
			raw, hasRaw = f.bytes, true
		case 10:
			doubles = append(doubles, f.bytes...)
		case 13:
			key, value := "", ""
			err = message(f.bytes, func(f field) error {
				if f.number == 1 {
					key = string(f.bytes)
				} else if f.number == 2 {
					value = string(f.bytes)
				}
				return nil
			})
			elsewhere[key] = value
		}
		return err
	})
	if err != nil {
		return name, nil, err
	}
	shape := make([]int, len(dims))
	count := 1
	for i, d := range dims {
		if d < 0 || d > 0 && count > math.MaxInt32/int(min(d, math.MaxInt32)) {
			return name, nil, fmt.Errorf("tensor %q: %w: %v", name, data.ErrShape, dims)
		}
		shape[i] = int(d)
		count *= int(d)
	}
	if location, ok := elsewhere["location"]; ok {
		if raw, err = r.fetch(location, elsewhere); err != nil {
			return name, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		hasRaw = true
	}
	dtype := dtypes[elements]
	switch {
	case hasRaw:
	case elements == 11:
		raw = doubles
	case dtype == data.F32:
		if len(floats) != count {
			return name, nil, fmt.Errorf("tensor %q: %w: %d values for %v", name, data.ErrShape, len(floats), shape)
		}
		return name, graph.Floats(floats, shape...), nil
	case dtype.Float(): // halves, in the bits of whole numbers
		for _, v := range whole {
			raw = append(raw, byte(v), byte(v>>8))
		}
	default:
		_, kind, err := convert(elements, nil)
		if err == nil && len(whole) != count {
			err = fmt.Errorf("%w: %d values for %v", data.ErrShape, len(whole), shape)
		}
		if err != nil {
			return name, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		return name, &graph.Tensor{Type: kind, Shape: shape, Ints: whole}, nil
	}
	if dtype == "" {
		return name, nil, fmt.Errorf("tensor %q: element type %d is not known here: %w", name, elements, data.ErrFormat)
	}
	stored, err := data.NewTensor(dtype, shape, raw)
	if err == nil {
		t, _, err = convert(elements, &stored)
	}
	if err != nil {
		return name, nil, fmt.Errorf("tensor %q: %w", name, err)
	}
	return name, t, nil
}

// fetch reads a constant's bytes from the file that its entries name.
func (r *reader) fetch(location string, entries map[string]string) ([]byte, error) {
	if r.external == nil {
		return nil, fmt.Errorf("its values lie in %q, which is not at hand: %w", location, data.ErrFormat)
	}
	offset, length := int64(0), int64(-1)
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		to := map[string]*int64{"offset": &offset, "length": &length}[key]
		if to == nil {
			continue
		}
		if _, err := fmt.Sscan(entries[key], to); err != nil || *to < 0 {
			return nil, fmt.Errorf("%s %q: %w", key, entries[key], data.ErrFormat)
		}
	}
	return r.external(location, offset, length)
}
