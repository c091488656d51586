package net

import "fmt"

// Transformer is the sizes of a stack of layers of attention and a perceptron, norms first. Source: Vaswani et al. (2017);
// norms first after Xiong et al. (2020).
type Transformer struct {
	Layers, Heads int
	Hidden        int     // width of the perceptron
	Dropout       float64 // after each part, in training
}

// Encoder runs x [batch, steps, width] through layers name.0, name.1 … and a last norm.
func (t Transformer) Encoder(g *Graph, name string, x *Node, mask Mask) *Node {
	states := t.States(g, name, x, mask)
	return states[len(states)-1]
}

// States is [Transformer.Encoder] with what is inside: what every layer puts out, and the last norm of the last one.
func (t Transformer) States(g *Graph, name string, x *Node, mask Mask) []*Node {
	var states []*Node
	for i := range t.Layers {
		at := fmt.Sprintf("%s.%d", name, i)
		x = t.self(g, at, x, mask)
		x = t.perceptron(g, at, x)
		states = append(states, x)
	}
	return append(states, g.Norm(name+".norm", x))
}

// Decoder is Encoder whose steps see only those before them, and look at a memory [batch, steps, any width] in every layer.
func (t Transformer) Decoder(g *Graph, name string, x, memory *Node, mask Mask) *Node {
	for i := range t.Layers {
		at := fmt.Sprintf("%s.%d", name, i)
		x = t.self(g, at, x, Mask{Causal: true})
		if g.err != nil {
			return g.fail("")
		}
		w := x.width()
		q := g.Dense(at+".cross.query", g.Norm(at+".cross.norm", x), w)
		k, v := g.Dense(at+".cross.key", memory, w), g.Dense(at+".cross.value", memory, w)
		x = g.Add(x, g.Dropout(g.Dense(at+".cross.out", g.Attention(q, k, v, t.Heads, mask), w), t.Dropout))
		x = t.perceptron(g, at, x)
	}
	return g.Norm(name+".norm", x)
}

func (t Transformer) self(g *Graph, at string, x *Node, mask Mask) *Node {
	if g.err != nil {
		return g.fail("")
	}
	w := x.width()
	a := g.SelfAttention(g.Dense(at+".attention.in", g.Norm(at+".attention.norm", x), 3*w), t.Heads, mask)
	return g.Add(x, g.Dropout(g.Dense(at+".attention.out", a, w), t.Dropout))
}

func (t Transformer) perceptron(g *Graph, at string, x *Node) *Node {
	if g.err != nil {
		return g.fail("")
	}
	return g.Add(x, g.Dropout(g.MLP(at+".mlp", g.Norm(at+".mlp.norm", x), (*Graph).GELU, t.Hidden, x.width()), t.Dropout))
}

// sequence checks a recurrent layer's input and returns the input's part of all gates, [batch, steps, gates·width].
func (g *Graph) sequence(name string, x *Node, gates, width int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	if len(x.shape) != 3 {
		return g.fail("recurrent layer %s: input %v is not [batch, steps, width]", name, x.shape)
	}
	return g.Linear(x, g.Param(name+".weight_ih", LeCunNormal, gates*width, x.width()), g.Param(name+".bias_ih", Constant(0), gates*width))
}

// stateGates returns the state's part of the gates.
func (g *Graph) stateGates(name string, h *Node, gates, width int) *Node {
	return g.Linear(h, g.Param(name+".weight_hh", LeCunNormal, gates*width, width), g.Param(name+".bias_hh", Constant(0), gates*width))
}

// step takes one step out of a sequence.
func (g *Graph) step(x *Node, at int) *Node {
	if g.err != nil {
		return g.fail("")
	}
	return g.Reshape(g.Slice(x, 1, at, at+1), x.shape[0], x.shape[2])
}

// LSTM runs x [batch, steps, width in] through a long short-term memory from a state of zeros: the hidden states [batch,
// steps, width]. Gates are in the order input, forget, candidate, output.
func (g *Graph) LSTM(name string, x *Node, width int) *Node {
	all := g.sequence(name, x, 4, width)
	if g.err != nil {
		return g.fail("")
	}
	batch, steps := x.shape[0], x.shape[1]
	h := g.Input(batch, width)
	c := g.Input(batch, width)
	out := make([]*Node, steps)
	for s := range steps {
		gates := g.Add(g.step(all, s), g.stateGates(name, h, 4, width))
		c = g.LSTMCell(gates, c)
		h = g.LSTMOutput(gates, c)
		out[s] = g.Reshape(h, batch, 1, width)
	}
	return g.Concat(1, out...)
}

// GRU runs x [batch, steps, width in] through a gated recurrent unit from a state of zeros: the states [batch, steps,
// width]. Gates are in the order reset, update, candidate.
func (g *Graph) GRU(name string, x *Node, width int) *Node {
	all := g.sequence(name, x, 3, width)
	if g.err != nil {
		return g.fail("")
	}
	batch, steps := x.shape[0], x.shape[1]
	h := g.Input(batch, width)
	out := make([]*Node, steps)
	for s := range steps {
		h = g.GRUCell(g.step(all, s), g.stateGates(name, h, 3, width), h)
		out[s] = g.Reshape(h, batch, 1, width)
	}
	return g.Concat(1, out...)
}
