package net

// Language is the sizes of a causal language model: a transformer whose steps see only those before them, between one table
// of V tokens' vectors that stands at both ends, and a vector for each place. Source: Radford et al. (2019); differs: a text
// begins with no token of its own.
type Language struct {
	Transformer
	Vocabulary int // V
	Length     int // places
	Width      int
}

// Build adds the model for a batch of texts of so many steps each to a graph: [Transformer.States], and logits [batch·steps,
// V]. tokens are what goes in, text by text, one place late: the logits at a step are of the token there, before which those
// up to the one before it are known. The first is −1, for nothing, and so is what comes behind a text's end.
func (l Language) Build(g *Graph, name string, tokens *Ints, steps int) (states []*Node, logits *Node) {
	if g.err == nil && (steps < 1 || steps > l.Length || len(tokens.Values)%steps != 0) {
		g.fail("language model %s: %d tokens in texts of %d steps, %d places", name, len(tokens.Values), steps, l.Length)
	}
	table := g.Param(name+".tokens", Normal(0.02), l.Vocabulary, l.Width)
	places := g.Param(name+".places", Normal(0.02), l.Length, l.Width)
	if g.err != nil {
		return []*Node{g.fail("")}, g.fail("")
	}
	batch := len(tokens.Values) / steps
	x := g.Add(g.Embedding(table, tokens, batch, steps), g.Slice(places, 0, 0, steps))
	states = l.States(g, name, x, Mask{Causal: true})
	last := g.Reshape(states[len(states)-1], batch*steps, l.Width)
	return states, g.MatMul(last, table, false, true)
}
