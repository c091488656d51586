// Package graph runs networks forward: operators on float32 tensors over the kernels of internal/num.
//
// Operators have the names, attributes and meaning of ONNX operator set 21, with the older places of axes and limits (sets 13 to 20)
// accepted as well; images are N×C×H×W. Numbers of any float type are float32 here, integers of any type int64.
// What a graph puts out for a row never depends on the rows beside it: sums run in an order that the sizes of one row fix.
package graph

import (
	"errors"
	"fmt"
	"slices"
)

// ErrGraph is a graph that cannot be run: unknown operators, missing values, shapes that do not fit.
var ErrGraph = errors.New("not a graph that can be run")

// Type is what a tensor holds.
type Type byte

// The types. Truth values are 0 and 1 in Int.
const (
	Float Type = iota
	Int
	Bool
)

func (t Type) String() string { return [...]string{"float", "int", "bool"}[t] }

// Tensor is a shape and its values: Floats of a Float tensor, Ints of an Int or Bool one.
type Tensor struct {
	Type   Type
	Shape  []int
	Floats []float32
	Ints   []int64

	memory *buffer // nil for what is not recycled
}

// Floats makes a tensor over v. It panics when the shape does not fit, which only our own code can cause.
func Floats(v []float32, shape ...int) *Tensor {
	if size(shape) != len(v) {
		panic(fmt.Sprintf("graph: %d values for shape %v", len(v), shape))
	}
	return &Tensor{Shape: shape, Floats: v}
}

// Ints is [Floats] for whole numbers.
func Ints(v []int64, shape ...int) *Tensor {
	if size(shape) != len(v) {
		panic(fmt.Sprintf("graph: %d values for shape %v", len(v), shape))
	}
	return &Tensor{Type: Int, Shape: shape, Ints: v}
}

// Len returns the number of values.
func (t *Tensor) Len() int { return size(t.Shape) }

func size(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}

// Attribute is a setting of a node. A number in a description sets Int and Float, a list Ints and Floats.
type Attribute struct {
	Int    int64
	Float  float32
	Text   string
	Ints   []int64
	Floats []float32
	Tensor *Tensor
}

// Node is an operator on named values. An empty name among Inputs is an optional input that is not there.
type Node struct {
	Name       string
	Op         string
	Inputs     []string
	Outputs    []string
	Attributes map[string]Attribute
}

// Graph is nodes in an order in which they can be run.
type Graph struct {
	Inputs    []string // values that a run is given
	Outputs   []string // values that it returns
	Constants map[string]*Tensor
	Nodes     []Node
}

// Unknown returns the names of the operators that are not known here, sorted, each once.
func (g *Graph) Unknown() []string {
	var names []string
	for _, n := range g.Nodes {
		if _, ok := operators[n.Op]; !ok && !slices.Contains(names, n.Op) {
			names = append(names, n.Op)
		}
	}
	slices.Sort(names)
	return names
}
