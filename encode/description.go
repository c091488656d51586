package encode

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// Description says in plain JSON how a network computes, and how what it reads is prepared; the weights are named tensors in a file
// of their own. It lies beside them: NAME.safetensors, NAME.json. Beside NAME.onnx it has the input and names of layers only.
type Description struct {
	Name string `json:"name"`
	// Input is how samples become what the node values called "input" hold.
	Input Input `json:"input"`
	// Weights are the tensors that nodes read, with their shapes in the file.
	Weights []Weight `json:"weights"`
	// Nodes are run in this order. A node reads "input", weights, and other nodes by their names.
	Nodes []Layer `json:"nodes"`
	// Layers gives values that can be taken out a name of their own: features, logits. Every node can also be taken by its own.
	Layers map[string]string `json:"layers"`
}

// Weight is a tensor of the weights file.
type Weight struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
	// Order permutes the axes into those of ONNX (convolutions: outputs, inputs, height, width); empty leaves them.
	Order []int `json:"order,omitempty"`
}

// Layer is a node: an ONNX operator (set 13 to 21) with its attributes. Axes, shapes and limits that newer sets take as inputs may
// stand among the attributes.
type Layer struct {
	Name       string             `json:"name"`
	Op         string             `json:"op"`
	Inputs     []string           `json:"inputs"`
	Attributes map[string]Setting `json:"attributes,omitempty"`
}

// Setting is an attribute: a number, a text, or a list of numbers.
type Setting struct{ graph.Attribute }

// UnmarshalJSON reads a number, a text or a list of numbers.
func (s *Setting) UnmarshalJSON(text []byte) error {
	var number float64
	if err := json.Unmarshal(text, &number); err == nil {
		s.Float, s.Int = float32(number), int64(number)
		return nil
	}
	if err := json.Unmarshal(text, &s.Text); err == nil {
		return nil
	}
	var list []float64
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("attribute %s: want a number, a text or a list of numbers", text)
	}
	s.Attribute = numbers(list...)
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s Setting) MarshalJSON() ([]byte, error) {
	switch {
	case s.Text != "":
		return json.Marshal(s.Text)
	case s.Floats != nil:
		return json.Marshal(s.Floats)
	}
	return json.Marshal(s.Float)
}

func numbers(list ...float64) (a graph.Attribute) {
	a.Floats, a.Ints = []float32{}, []int64{}
	for _, v := range list {
		a.Floats = append(a.Floats, float32(v))
		a.Ints = append(a.Ints, int64(v))
	}
	return a
}

// ReadDescription reads a description's JSON. Errors: ErrFormat, also on fields that a description does not have.
func ReadDescription(text []byte) (*Description, error) {
	d := new(Description)
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(d); err != nil {
		return nil, fmt.Errorf("%w as a description of a network: %w", data.ErrFormat, err)
	}
	return d, nil
}

// inputName is what a description's nodes call the sample.
const inputName = "input"

// graph joins the description with its weights. Errors: ErrFormat on a tensor that is missing, ErrShape on one of another shape.
func (d *Description) graph(c *data.Checkpoint) (*graph.Graph, error) {
	g := &graph.Graph{Inputs: []string{inputName}, Constants: map[string]*graph.Tensor{}}
	for _, w := range d.Weights {
		v, _, err := c.Floats(w.Name, w.Shape...)
		if err != nil {
			return nil, err
		}
		t, err := ordered(v, w.Shape, w.Order)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", w.Name, err)
		}
		g.Constants[w.Name] = t
	}
	for _, l := range d.Nodes {
		n := graph.Node{Name: l.Name, Op: l.Op, Inputs: l.Inputs, Outputs: []string{l.Name}, Attributes: map[string]graph.Attribute{}}
		for name, s := range l.Attributes {
			n.Attributes[name] = s.Attribute
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g, nil
}

// fits reports whether a checkpoint has all tensors of a description in their shapes, and no others.
func (d *Description) fits(c *data.Checkpoint) bool {
	for _, w := range d.Weights {
		t, ok := c.Tensors[w.Name]
		if !ok || !slices.Equal(t.Shape, w.Shape) {
			return false
		}
	}
	return len(c.Tensors) == len(d.Weights)
}

// ordered permutes axes.
func ordered(v []float64, shape, order []int) (*graph.Tensor, error) {
	out := make([]float32, len(v))
	for i, x := range v {
		out[i] = float32(x)
	}
	t := graph.Floats(out, shape...)
	if len(order) == 0 {
		return t, nil
	}
	return graph.Transposed(t, order)
}
