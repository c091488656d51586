package graph

import (
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// lstm: X is T×N×D, W is directions×4H×D, R is directions×4H×H, B is directions×8H, gates in the order input, output, forget, cell.
// Peepholes, lengths per row, clipping and activations other than the usual are refused.
func lstm(c *call) error {
	x, w, r := c.in[0], c.in[1], c.in[2]
	if len(x.Shape) != 3 || len(w.Shape) != 3 || len(r.Shape) != 3 {
		return fmt.Errorf("shapes X %v, W %v, R %v, want three axes each", x.Shape, w.Shape, r.Shape)
	}
	if c.input(4) != nil || c.input(7) != nil || c.float("clip", 0) != 0 || c.int("layout", 0) != 0 || c.int("input_forget", 0) != 0 {
		return fmt.Errorf("sequence_lens, peepholes, clip, layout and input_forget are not known here")
	}
	if _, ok := c.Attributes["activations"]; ok {
		return fmt.Errorf("activations other than the usual are not known here")
	}
	t, n, d := x.Shape[0], x.Shape[1], x.Shape[2]
	h := c.int("hidden_size", r.Shape[2])
	directions := 1
	way := c.text("direction", "forward")
	switch way {
	case "forward", "reverse":
	case "bidirectional":
		directions = 2
	default:
		return fmt.Errorf("direction %q is not known", way)
	}
	want := func(k int, shape ...int) ([]float32, error) {
		in := c.input(k)
		if in == nil {
			return make([]float32, size(shape)), nil
		}
		if in.Type != Float || fmt.Sprint(in.Shape) != fmt.Sprint(shape) {
			return nil, fmt.Errorf("input %d has shape %v, want %v", k+1, in.Shape, shape)
		}
		return in.Floats, nil
	}
	var in [7][]float32
	for k, shape := range map[int][]int{1: {directions, 4 * h, d}, 2: {directions, 4 * h, h}, 3: {directions, 8 * h}, 5: {directions, n, h}, 6: {directions, n, h}} {
		var err error
		if in[k], err = want(k, shape...); err != nil {
			return err
		}
	}
	all, err := c.floats(t, directions, n, h)
	if err != nil {
		return err
	}
	lastH, err := c.floats(directions, n, h)
	if err != nil {
		return err
	}
	lastC, err := c.floats(directions, n, h)
	if err != nil {
		return err
	}
	copy(lastH.Floats, in[5])
	copy(lastC.Floats, in[6])
	gates := make([]float32, n*4*h)
	for dir := range directions {
		hidden, cell := lastH.Floats[dir*n*h:(dir+1)*n*h], lastC.Floats[dir*n*h:(dir+1)*n*h]
		bias := in[3][dir*8*h : (dir+1)*8*h]
		for step := range t {
			if way == "reverse" || dir == 1 {
				step = t - 1 - step
			}
			for i := range n {
				for g := range 4 * h {
					gates[i*4*h+g] = bias[g] + bias[4*h+g]
				}
			}
			num.Gemm(false, true, n, 4*h, d, 1, x.Floats[step*n*d:], d, in[1][dir*4*h*d:], d, 1, gates, 4*h)
			num.Gemm(false, true, n, 4*h, h, 1, hidden, h, in[2][dir*4*h*h:], h, 1, gates, 4*h)
			for i := range n {
				gate := gates[i*4*h : (i+1)*4*h]
				for j := range h {
					enter, leave, keep := sigmoid(float64(gate[j])), sigmoid(float64(gate[h+j])), sigmoid(float64(gate[2*h+j]))
					v := keep*float64(cell[i*h+j]) + enter*math.Tanh(float64(gate[3*h+j]))
					cell[i*h+j] = float32(v)
					hidden[i*h+j] = float32(leave * math.Tanh(v))
				}
			}
			copy(all.Floats[(step*directions+dir)*n*h:], hidden)
		}
	}
	return nil
}
