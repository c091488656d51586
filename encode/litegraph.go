package encode

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/graph"
)

// liteGraph is a network as a TensorFlow Lite file lists it, in JSON (NAME.graph.json beside NAME.safetensors): images are
// N×H×W×C, kernels outputs×H×W×inputs, depthwise ones 1×H×W×outputs, dense ones outputs×inputs. Tensor t7 of the file is number 7.
// Whole-numbered weights with a scale hold real/scale + zero point.
type liteGraph struct {
	Meta    map[string]string `json:"meta"`
	Inputs  []int             `json:"inputs"`
	Outputs []int             `json:"outputs"`
	Tensors []liteTensor      `json:"tensors"`
	Ops     []liteOp          `json:"ops"`

	byID map[int]*liteTensor
}

type liteTensor struct {
	ID        int     `json:"id"`
	Name      string  `json:"name"`
	Shape     []int   `json:"shape"`
	Type      string  `json:"type"`
	Stored    string  `json:"stored"`
	Scale     float64 `json:"scale"`
	ZeroPoint float64 `json:"zero_point"`
}

type liteOp struct {
	Op        string `json:"op"`
	Inputs    []int  `json:"inputs"`
	Outputs   []int  `json:"outputs"`
	Padding   string `json:"padding"`
	StrideW   int    `json:"stride_w"`
	StrideH   int    `json:"stride_h"`
	FilterW   int    `json:"filter_w"`
	FilterH   int    `json:"filter_h"`
	DilationW int    `json:"dilation_w"`
	DilationH int    `json:"dilation_h"`
	Act       int    `json:"act"`
	Axis      int    `json:"axis"`
}

// liteInputs are how the inputs of networks are prepared whose files do not say so in a form that can be read, by the SHA-256 of the
// .tflite file that their meta data name.
var liteInputs = map[string]func(in *Input){
	"115bbc094d2119561320a21f01b6500a18bea8cc8589282ab007097bec8af38c": func(in *Input) { in.Divisor = 255 }, // MLPerf Tiny visual wake words
	"b5c0046d6e0328b4956afd6baa29555a29b1f1c65bdd45aaed75b7cd484d9f79": func(in *Input) {},                   // MLPerf Tiny image classification: 0..255
	"e5004c6f1012246e33fa068d8488325538e0444073cd361f5a7edb40c73f12d2": func(in *Input) { // MLPerf Tiny key words: MFCC of one second
		*in = Input{Kind: KindValues, Shape: in.Shape}
	},
}

// readLite reads a graph. Errors: ErrFormat.
func readLite(text []byte) (*liteGraph, error) {
	l := &liteGraph{byID: map[int]*liteTensor{}}
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%w as a graph of TensorFlow Lite: %w", data.ErrFormat, err)
	}
	for i := range l.Tensors {
		l.byID[l.Tensors[i].ID] = &l.Tensors[i]
	}
	if len(l.Inputs) != 1 || len(l.Ops) == 0 {
		return nil, fmt.Errorf("%w: %d inputs and %d operators, want one input", data.ErrFormat, len(l.Inputs), len(l.Ops))
	}
	for _, o := range l.Ops {
		for _, id := range slices.Concat(o.Inputs, o.Outputs, l.Inputs) {
			if l.byID[id] == nil && id >= 0 {
				return nil, fmt.Errorf("%w: %s uses tensor %d, which is not listed", data.ErrFormat, o.Op, id)
			}
		}
		if len(o.Outputs) != 1 || len(o.Inputs) == 0 {
			return nil, fmt.Errorf("%w: %s has %d inputs and %d outputs", data.ErrFormat, o.Op, len(o.Inputs), len(o.Outputs))
		}
	}
	return l, nil
}

// input says how samples are prepared: pixel values as they are, or as the quantisation of a byte input says.
func (l *liteGraph) input() (Input, error) {
	t := l.byID[l.Inputs[0]]
	if len(t.Shape) != 4 {
		return Input{Kind: KindValues, Shape: t.Shape[min(1, len(t.Shape)):]}, nil
	}
	in := Input{Kind: KindImage, Channels: "RGB", Height: t.Shape[1], Width: t.Shape[2], Shape: []int{t.Shape[3], t.Shape[1], t.Shape[2]}}
	switch t.Shape[3] {
	case 1:
		in.Channels = "gray"
	case 3:
	default:
		return in, fmt.Errorf("%w: input %v has %d channels", data.ErrShape, t.Shape, t.Shape[3])
	}
	if t.Scale > 0 { // (q − zero point)·scale
		in.Mean, in.Std = slices.Repeat([]float64{t.ZeroPoint}, t.Shape[3]), slices.Repeat([]float64{1 / t.Scale}, t.Shape[3])
	}
	if set := liteInputs[l.Meta["source_sha256"]]; set != nil {
		set(&in)
	}
	if in.Kind == KindImage {
		in.Shape = nil
	}
	return in, nil
}

func (t *liteTensor) value() string { return fmt.Sprint("t", t.ID) }

// liteWriter turns operators into nodes.
type liteWriter struct {
	*liteGraph
	c      *data.Checkpoint
	g      *graph.Graph
	layers map[string]string
}

// graph joins the graph with its weights. Errors: ErrFormat and ErrShape on tensors, ErrGraph with all operators that are not known.
func (l *liteGraph) graph(c *data.Checkpoint) (*graph.Graph, map[string]string, error) {
	w := &liteWriter{l, c, &graph.Graph{Inputs: []string{l.byID[l.Inputs[0]].value()}, Constants: map[string]*graph.Tensor{}}, map[string]string{}}
	var unknown []string
	for _, o := range l.Ops {
		if liteOps[o.Op] == nil && !slices.Contains(unknown, o.Op) {
			unknown = append(unknown, o.Op)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, nil, fmt.Errorf("%w: unknown operators of TensorFlow Lite: %s", graph.ErrGraph, strings.Join(unknown, ", "))
	}
	for i := range l.Ops {
		o := &l.Ops[i]
		if err := liteOps[o.Op](w, o); err != nil {
			return nil, nil, fmt.Errorf("%s of tensor %d (%s): %w", o.Op, o.Outputs[0], l.byID[o.Outputs[0]].Name, err)
		}
	}
	return w.g, w.layers, nil
}

var liteOps = map[string]func(w *liteWriter, o *liteOp) error{
	"CONV_2D":           func(w *liteWriter, o *liteOp) error { return w.conv(o, []int{0, 3, 1, 2}, false) },
	"DEPTHWISE_CONV_2D": func(w *liteWriter, o *liteOp) error { return w.conv(o, []int{3, 0, 1, 2}, true) },
	"AVERAGE_POOL_2D":   func(w *liteWriter, o *liteOp) error { return w.pool(o, "AveragePool") },
	"MAX_POOL_2D":       func(w *liteWriter, o *liteOp) error { return w.pool(o, "MaxPool") },
	"FULLY_CONNECTED":   (*liteWriter).dense,
	"RESHAPE":           (*liteWriter).reshape,
	"ADD": func(w *liteWriter, o *liteOp) error {
		return w.add(o, "Add", w.names(o.Inputs), nil)
	},
	"SOFTMAX": func(w *liteWriter, o *liteOp) error {
		w.layers["logits"] = w.byID[o.Inputs[0]].value()
		return w.add(o, "Softmax", w.names(o.Inputs), nil)
	},
}

func (w *liteWriter) names(ids []int) (names []string) {
	for _, id := range ids {
		names = append(names, w.byID[id].value())
	}
	return names
}

// add writes a node, and behind it what the activation code says: 0 nothing, 1 relu, 3 relu6.
func (w *liteWriter) add(o *liteOp, op string, inputs []string, attributes map[string]graph.Attribute) error {
	out := w.byID[o.Outputs[0]].value()
	n := graph.Node{Name: out, Op: op, Inputs: inputs, Outputs: []string{out}, Attributes: attributes}
	var act *graph.Node
	switch o.Act {
	case 0:
	case 1:
		act = &graph.Node{Op: "Relu"}
	case 3:
		act = &graph.Node{Op: "Clip", Attributes: map[string]graph.Attribute{"min": {}, "max": {Float: 6}}}
	default:
		return fmt.Errorf("%w: activation code %d is not known", graph.ErrGraph, o.Act)
	}
	if act != nil {
		n.Outputs = []string{out + " before its activation"}
		act.Name, act.Inputs, act.Outputs = out, n.Outputs, []string{out}
		w.g.Nodes = append(w.g.Nodes, n, *act)
		return nil
	}
	w.g.Nodes = append(w.g.Nodes, n)
	return nil
}

// real puts a weight among the constants, as real numbers, its axes permuted, and returns its name and shape.
func (w *liteWriter) real(id int, order []int) (string, []int, error) {
	t := w.byID[id]
	v, _, err := w.c.Floats(t.value(), t.Shape...)
	if err != nil {
		return "", nil, err
	}
	if t.Scale > 0 && !w.c.Tensors[t.value()].DType.Float() { // what is stored as floats is real already
		for i, q := range v {
			v[i] = (q - t.ZeroPoint) * t.Scale
		}
	}
	weight, err := ordered(v, t.Shape, order)
	if err != nil {
		return "", nil, fmt.Errorf("tensor %q: %w", t.value(), err)
	}
	w.g.Constants[t.value()] = weight
	return t.value(), weight.Shape, nil
}

func (o *liteOp) window() map[string]graph.Attribute {
	a := map[string]graph.Attribute{"strides": {Ints: []int64{int64(o.StrideH), int64(o.StrideW)}}, "auto_pad": {Text: "VALID"}}
	if o.Padding == "SAME" {
		a["auto_pad"] = graph.Attribute{Text: "SAME_UPPER"}
	}
	if o.DilationH > 0 && o.DilationW > 0 {
		a["dilations"] = graph.Attribute{Ints: []int64{int64(o.DilationH), int64(o.DilationW)}}
	}
	return a
}

func (w *liteWriter) conv(o *liteOp, order []int, depthwise bool) error {
	if len(o.Inputs) < 2 {
		return fmt.Errorf("%w: has no weights", data.ErrFormat)
	}
	weight, _, err := w.real(o.Inputs[1], order)
	if err != nil {
		return err
	}
	inputs := []string{w.byID[o.Inputs[0]].value(), weight}
	if len(o.Inputs) > 2 && o.Inputs[2] >= 0 {
		bias, _, err := w.real(o.Inputs[2], nil)
		if err != nil {
			return err
		}
		inputs = append(inputs, bias)
	}
	attributes := o.window()
	if shape := w.byID[o.Inputs[0]].Shape; depthwise && len(shape) == 4 {
		attributes["group"] = graph.Attribute{Int: int64(shape[3])}
	}
	return w.add(o, "Conv", inputs, attributes)
}

// pool: an average over the whole image is one over any size of image.
func (w *liteWriter) pool(o *liteOp, op string) error {
	in := w.byID[o.Inputs[0]].Shape
	if op == "AveragePool" && len(in) == 4 && in[1] == o.FilterH && in[2] == o.FilterW && o.Padding != "SAME" {
		w.layers["features"] = w.byID[o.Outputs[0]].value()
		return w.add(o, "GlobalAveragePool", w.names(o.Inputs), nil)
	}
	attributes := o.window()
	attributes["kernel_shape"] = graph.Attribute{Ints: []int64{int64(o.FilterH), int64(o.FilterW)}}
	return w.add(o, op, w.names(o.Inputs), attributes)
}

func (w *liteWriter) dense(o *liteOp) error {
	if len(o.Inputs) < 2 {
		return fmt.Errorf("%w: has no weights", data.ErrFormat)
	}
	x := w.byID[o.Inputs[0]]
	flat, err := w.flat(x)
	if err != nil {
		return err
	}
	weight, _, err := w.real(o.Inputs[1], nil)
	if err != nil {
		return err
	}
	inputs := []string{flat, weight}
	if len(o.Inputs) > 2 && o.Inputs[2] >= 0 {
		bias, _, err := w.real(o.Inputs[2], nil)
		if err != nil {
			return err
		}
		inputs = append(inputs, bias)
	}
	return w.add(o, "Gemm", inputs, map[string]graph.Attribute{"transB": {Int: 1}})
}

// flat makes rows of a value, in the order in which N×H×W×C lies in memory.
func (w *liteWriter) flat(x *liteTensor) (string, error) {
	value := x.value()
	if len(x.Shape) == 2 {
		return value, nil
	}
	if len(x.Shape) != 4 {
		return "", fmt.Errorf("%w: input of shape %v", data.ErrShape, x.Shape)
	}
	channelsLast := value + " with channels last"
	w.g.Nodes = append(w.g.Nodes,
		graph.Node{Name: channelsLast, Op: "Transpose", Inputs: []string{value}, Outputs: []string{channelsLast}, Attributes: map[string]graph.Attribute{"perm": {Ints: []int64{0, 2, 3, 1}}}},
		graph.Node{Name: value + " flat", Op: "Flatten", Inputs: []string{channelsLast}, Outputs: []string{value + " flat"}})
	return value + " flat", nil
}

// reshape knows the one use that classifiers have for it: rows.
func (w *liteWriter) reshape(o *liteOp) error {
	x, y := w.byID[o.Inputs[0]], w.byID[o.Outputs[0]]
	if len(y.Shape) != 2 {
		return fmt.Errorf("%w: from shape %v to %v: only rows are known here", graph.ErrGraph, x.Shape, y.Shape)
	}
	flat, err := w.flat(x)
	if err != nil {
		return err
	}
	return w.add(o, "Identity", []string{flat}, nil)
}
