package claim

import (
	"context"
	"fmt"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/net"
	"github.com/gimbal-ml/gimbal/metric"
)

// Perceptron is a network of linear layers with ReLU between them, the classifier and the encoder of claims.
type Perceptron struct{ *net.Net }

// Train trains a copy of the network on labelled rows; a row of the i-th class is to raise the i-th output.
func (p Perceptron) Train(ctx context.Context, recipe net.Train, rows *data.Table) (Perceptron, error) {
	labels, err := rows.Labels()
	if err != nil {
		return p, err
	}
	trained := Perceptron{p.Clone()}
	_, err = recipe.Run(ctx, trained.Net, rows.X(), labels)
	return trained, err
}

// Logits returns the outputs, N×K, the i-th column named after the i-th class of the rows where those name all outputs.
func (p Perceptron) Logits(in *data.Table) (*data.Table, error) {
	n, _ := in.Dims()
	_, k := p.Dims()
	names := Numbers(k)
	if len(in.Classes()) == k {
		names = in.Classes()
	}
	return data.NewNamed(n, names, p.Net.Logits(in.X(), n))
}

// Cut returns the first layers and the others as networks of their own; between them belongs a ReLU. Errors: ErrShape
// unless there are some of both.
func (p Perceptron) Cut(layers int) (front, back Perceptron, err error) {
	all := p.Tensors()
	if layers < 1 || 2*layers >= len(all) {
		return front, back, fmt.Errorf("perceptron: %w: cut after %d of %d layers", data.ErrShape, layers, len(all)/2)
	}
	if front.Net, err = net.FromTensors(all[:2*layers]); err != nil {
		return front, back, err
	}
	back.Net, err = net.FromTensors(all[2*layers:])
	return front, back, err
}

// Join returns one network of the layers of both, a ReLU between them.
func (p Perceptron) Join(back Perceptron) (Perceptron, error) {
	var all []net.Tensor
	for i, t := range append(p.Tensors(), back.Tensors()...) { // weight and bias by turns
		t.Name = fmt.Sprintf("%d.%s", i/2, []string{"weight", "bias"}[i%2])
		all = append(all, t)
	}
	joined, err := net.FromTensors(all)
	return Perceptron{joined}, err
}

// Hidden returns what the first layers put out after their ReLU, N×H, with the rows' labels. Errors: as Cut.
func (p Perceptron) Hidden(layers int, in *data.Table) (*data.Table, error) {
	front, _, err := p.Cut(layers)
	if err != nil {
		return nil, err
	}
	n, _ := in.Dims()
	x := front.Net.Logits(in.X(), n)
	for i, v := range x {
		x[i] = max(v, 0)
	}
	_, h := front.Dims()
	out, err := data.NewTable(n, h, x)
	if err != nil || !in.HasLabels() {
		return out, err
	}
	labels, err := in.Labels()
	if err != nil {
		return nil, err
	}
	return out.WithLabels(labels, in.Classes())
}

// Checkpoint returns the weights, whose outputs stand for the named classes.
func (p Perceptron) Checkpoint(classes []string) *data.Checkpoint {
	c := &data.Checkpoint{Meta: map[string]string{}, Tensors: map[string]data.Tensor{}}
	for _, t := range p.Tensors() {
		wide := make([]float64, len(t.Values))
		for i, v := range t.Values {
			wide[i] = float64(v)
		}
		c.Tensors[t.Name] = data.CastTensor(data.F32, wide, t.Shape...)
	}
	c.SetStrings("classes", classes)
	return c
}

// FromCheckpoint returns the network whose weights a checkpoint holds.
func FromCheckpoint(c *data.Checkpoint) (Perceptron, error) {
	r := c.Read()
	var ts []net.Tensor
	for _, name := range c.Names() {
		shape := c.Tensors[name].Shape
		ts = append(ts, net.Tensor{Name: name, Shape: shape, Values: r.Float32s(name, shape...)})
	}
	if err := r.Err(); err != nil {
		return Perceptron{}, err
	}
	n, err := net.FromTensors(ts)
	return Perceptron{n}, err
}

// Accuracy returns the share of rows whose largest output is the column named like their class.
func Accuracy(outputs, rows *data.Table) (float64, error) {
	n, k := outputs.Dims()
	index := make(map[string]int, k)
	for c, name := range outputs.Columns() {
		index[name] = c
	}
	labels, predicted := make([]int, n), Largest(outputs)
	for i := range labels {
		c, ok := index[rows.ClassName(i)]
		if !ok {
			return 0, fmt.Errorf("accuracy: %w: row %d is of class %q, which no output is named after", data.ErrLabels, i+1, rows.ClassName(i))
		}
		labels[i] = c
	}
	a, err := metric.Accuracy(labels, predicted)
	return a.Value, err
}

// Largest returns the column of each row's largest value, the first one of equal ones.
func Largest(t *data.Table) []int {
	n, _ := t.Dims()
	at := make([]int, n)
	for i := range at {
		row := t.Row(i)
		for c, v := range row {
			if v > row[at[i]] {
				at[i] = c
			}
		}
	}
	return at
}
