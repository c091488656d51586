package net

import (
	"math"
	"testing"
)

// languageOf builds a model over texts for inference, and returns its logits for tokens that go in.
func languageOf(t *testing.T, l Language, ps *Params, tokens []int32, steps int) []float32 {
	t.Helper()
	g := NewGraph(ps)
	g.Training = false
	in := g.Ints(len(tokens))
	_, logits := l.Build(g, "m", in, steps)
	p, err := g.Infer(logits)
	if err != nil {
		t.Fatal(err)
	}
	copy(in.Values, tokens)
	p.Forward()
	return logits.Value()
}

func TestLanguageLooksBackOnly(t *testing.T) {
	l := Language{Transformer: Transformer{Layers: 2, Heads: 2, Hidden: 16}, Vocabulary: 7, Length: 6, Width: 8}
	ps := NewParams(3)
	a := languageOf(t, l, ps, []int32{-1, 3, 4, 1, 0, 2}, 6)
	b := languageOf(t, l, ps, []int32{-1, 3, 4, 6, 6, 6}, 6)
	short := languageOf(t, l, ps, []int32{-1, 3, 4}, 3)
	for i := range 3 * 7 {
		if a[i] != b[i] || a[i] != short[i] {
			t.Fatalf("logit %d of class %d is %v before one end, %v before another and %v before none", i/7, i%7, a[i], b[i], short[i])
		}
	}
	if a[3*7] == b[3*7] {
		t.Error("what goes in at a step does not matter there")
	}
	for _, wrong := range []struct{ tokens, steps int }{{6, 4}, {7, 7}, {6, 0}} {
		g := NewGraph(ps)
		l.Build(g, "m", g.Ints(wrong.tokens), wrong.steps)
		if g.Err() == nil {
			t.Errorf("%d tokens in texts of %d were accepted", wrong.tokens, wrong.steps)
		}
	}
}

// TestLanguageLearnsAChain: of a Markov chain the loss falls to its entropy, and no lower on fresh texts.
func TestLanguageLearnsAChain(t *testing.T) {
	const vocabulary, steps, rows = 5, 8, 256
	texts := make([]int32, rows*steps)
	for i := range texts { // the next token is the last plus one or two, by a coin
		last := int32(0)
		if i%steps > 0 {
			last = texts[i-1]
		}
		texts[i] = (last + 1 + int32(hash(11, uint64(i))%2)) % vocabulary
	}
	l := Language{Transformer: Transformer{Layers: 2, Heads: 2, Hidden: 32}, Vocabulary: vocabulary, Length: steps, Width: 16}
	trainer, err := NewTrainer(Loop{Epochs: 20, Batch: 32, Optimiser: Optimiser{Rule: Adam, Rate: 5e-3}, Holdout: 0.25}, NewParams(1), Task{Rows: rows, Build: func(g *Graph, n int) (*Node, func(Batch)) {
		in, out := g.Ints(n*steps), g.Ints(n*steps)
		_, logits := l.Build(g, "m", in, steps)
		return g.CrossEntropy(logits, out, Targets{}), func(b Batch) {
			for i, row := range b.Rows {
				copy(out.Values[i*steps:], texts[row*steps:(row+1)*steps])
				in.Values[i*steps] = -1
				copy(in.Values[i*steps+1:(i+1)*steps], out.Values[i*steps:])
			}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	last, err := trainer.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if entropy := math.Ln2; last.Held < entropy-0.03 || last.Held > entropy+0.05 {
		t.Errorf("loss %.4f on texts held out, the chain's entropy is %.4f", last.Held, entropy)
	}
}
