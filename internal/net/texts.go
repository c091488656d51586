package net

import (
	"math"

	"github.com/gimbal-ml/gimbal/internal/num"
)

// Texts are rows of tokens as a [Language] knows them, −1 behind their ends.
type Texts struct {
	Tokens []int32 // rows × Steps
	Steps  int
}

// Rows counts the texts.
func (t Texts) Rows() int { return len(t.Tokens) / t.Steps }

// Pick returns some of the texts.
func (t Texts) Pick(rows []int) Texts {
	out := Texts{Steps: t.Steps}
	for _, row := range rows {
		out.Tokens = append(out.Tokens, t.Tokens[row*t.Steps:(row+1)*t.Steps]...)
	}
	return out
}

// Feed puts texts in, and the tokens before them.
func (t Texts) Feed(in, out *Ints, rows []int) {
	for i, row := range rows {
		to := out.Values[i*t.Steps : (i+1)*t.Steps]
		copy(to, t.Tokens[row*t.Steps:])
		in.Values[i*t.Steps] = -1
		copy(in.Values[i*t.Steps+1:(i+1)*t.Steps], to)
	}
}

// Likelihood adds what a model learns to predict tokens by: their mean negative log-likelihood over a batch of n texts.
func (l Language) Likelihood(g *Graph, name string, n int, texts Texts) (*Node, func(Batch)) {
	in, out := g.Ints(n*texts.Steps), g.Ints(n*texts.Steps)
	_, logits := l.Build(g, name, in, texts.Steps)
	return g.CrossEntropy(logits, out, Targets{}), func(b Batch) { texts.Feed(in, out, b.Rows) }
}

// likelihoodBatch is how many texts one pass of scoring sees.
const likelihoodBatch = 32

// LogLikelihoods returns each text's negative log-likelihood and how many tokens it is the sum over.
func (l Language) LogLikelihoods(ps *Params, name string, texts Texts) (losses []float64, counts []int, err error) {
	n := texts.Rows()
	losses, counts = make([]float64, n), make([]int, n)
	var program *Program
	var logits *Node
	var into, out *Ints
	for lo := 0; lo < n; lo += likelihoodBatch {
		rows := min(likelihoodBatch, n-lo)
		if program == nil || len(out.Values) != rows*texts.Steps {
			g := NewGraph(ps)
			g.Training = false
			into, out = g.Ints(rows*texts.Steps), g.Ints(rows*texts.Steps)
			_, logits = l.Build(g, name, into, texts.Steps)
			if program, err = g.Infer(logits); err != nil {
				return nil, nil, err
			}
		}
		batch := make([]int, rows)
		for i := range batch {
			batch[i] = lo + i
		}
		texts.Feed(into, out, batch)
		program.Forward()
		for i := range rows {
			for j, token := range out.Values[i*texts.Steps : (i+1)*texts.Steps] {
				if token < 0 {
					break
				}
				row := logits.Value()[(i*texts.Steps+j)*l.Vocabulary:][:l.Vocabulary]
				losses[lo+i] += num.LogSumExp(row) - float64(row[token])
				counts[lo+i]++
			}
		}
	}
	return losses, counts, nil
}

// Perplexity is e to the mean negative log-likelihood of a token, kept below float64's largest.
func Perplexity(loss float64, tokens int) float64 {
	return math.Exp(min(loss/float64(max(tokens, 1)), 700))
}
