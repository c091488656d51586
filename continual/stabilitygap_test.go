package continual_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gimbal-ml/gimbal/continual"
	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

// circles are texts of length 8 in which each token is followed by the one that is step further round a circle of tokens.
func circles(seed uint64, n, tokens, step int) *data.Table {
	r := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, 0, 8*n)
	for range n {
		at := r.IntN(tokens)
		for range 8 {
			x, at = append(x, float32(at)), (at+step)%tokens
		}
	}
	t, err := data.NewTable(n, 8, x)
	if err != nil {
		panic(err)
	}
	return t
}

func ExampleStabilityGap() {
	c := continual.StabilityGap{Depth: 1, Width: 16, Rate: 0.02, Epochs: 12}
	general, err := c.Fit(context.Background(), continual.StabilityGapInput{Tokens: circles(1, 200, 5, 1)})
	if err != nil {
		panic(err)
	}
	domain, err := general.Update(context.Background(), circles(2, 200, 5, 2))
	if err != nil {
		panic(err)
	}
	now, _ := domain.(method.Scorer).Score(circles(3, 1, 5, 2))
	before, _ := general.Score(circles(3, 1, 5, 2))
	fmt.Println("a text of the domain is less perplexing now:", now[0] < before[0])
	// Output: a text of the domain is less perplexing now: true
}

// TestStabilityGapSubset: with good texts to go by, the half of a corpus that is like them is learned and the other is not.
func TestStabilityGapSubset(t *testing.T) {
	good, junk := circles(1, 60, 7, 2), circles(2, 60, 7, 3)
	corpus, err := data.NewTable(120, 8, slices.Concat(good.X(), junk.X()))
	if err != nil {
		t.Fatal(err)
	}
	c := continual.StabilityGap{Depth: 1, Width: 16, Rate: 0.02, Epochs: 10, Share: 0.25}
	m, err := c.Fit(t.Context(), continual.StabilityGapInput{Tokens: circles(3, 100, 7, 1), Good: circles(4, 20, 7, 2)})
	if err != nil {
		t.Fatal(err)
	}
	next, err := c.Continue(t.Context(), m, corpus)
	if err != nil {
		t.Fatal(err)
	}
	mean := func(m *continual.StabilityGapModel, step int) (sum float64) {
		scores, err := m.Score(circles(5, 50, 7, step))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range scores {
			sum += v / 50
		}
		return sum
	}
	if like, unlike := mean(next, 2), mean(next, 3); like > 4 || unlike < 2*like {
		t.Errorf("perplexity of texts like the good ones %g, of the others %g", like, unlike)
	}
	if got := next.Report(); got["texts"] != 60 || got["earlier_texts"] != 20 || !(got["relative_change"] > 0) {
		t.Errorf("report %v, want 60 texts and 20 earlier ones", got)
	}
	// Earlier texts hold what was known: without them more is lost.
	bare := c
	bare.Share = 1e-9
	lost, err := bare.Continue(t.Context(), m, corpus)
	if err != nil {
		t.Fatal(err)
	}
	if with, without := mean(next, 1), mean(lost, 1); with >= without {
		t.Errorf("perplexity of earlier texts %g with their share, %g without", with, without)
	}
	if got := lost.Report()["earlier_texts"]; got != 0 {
		t.Errorf("%g earlier texts at a share of nothing", got)
	}
}

// TestStabilityGapTrace: the log begins with the model as it was and ends with the one that comes out, and looking changes nothing.
func TestStabilityGapTrace(t *testing.T) {
	c := continual.StabilityGap{Depth: 1, Width: 16, Rate: 0.02, Epochs: 2}
	m, err := c.Fit(t.Context(), continual.StabilityGapInput{Tokens: circles(1, 100, 5, 1)})
	if err != nil {
		t.Fatal(err)
	}
	test := circles(9, 1, 5, 2)
	next, log, err := c.Trace(t.Context(), m, circles(2, 200, 5, 2), 3, test)
	if err != nil {
		t.Fatal(err)
	}
	quiet, err := c.Continue(t.Context(), m, circles(2, 200, 5, 2))
	if err != nil {
		t.Fatal(err)
	}
	watched, _ := next.Score(circles(8, 20, 5, 2))
	unwatched, _ := quiet.Score(circles(8, 20, 5, 2))
	if !slices.Equal(watched, unwatched) {
		t.Error("the model depends on whether somebody looked")
	}
	before, _ := m.Score(test)
	after, _ := next.Score(test)
	if first, last := log[0], log[len(log)-1]; first.Texts != 0 || math.Abs(first.Perplexity[0]-before[0]) > 1e-9 || math.Abs(last.Perplexity[0]-after[0]) > 1e-9 {
		t.Errorf("log %v, perplexities %v before and %v after", log, before, after)
	}
	// 100 texts of the task and 43 earlier ones are 5 batches, 10 in two passes: looked at after 3, 6 and 9.
	if len(log) != 5 || log[1].Texts != 96 || log[4].Texts != 286 {
		t.Errorf("log %v", log)
	}
}

func TestStabilityGapRefuses(t *testing.T) {
	c := continual.StabilityGap{Depth: 1, Width: 16}
	good := circles(1, 10, 5, 1)
	fraction, _ := data.NewTable(2, 2, []float32{1, 2, 0.5, 1})
	m, err := c.Fit(t.Context(), continual.StabilityGapInput{Tokens: good})
	if err != nil {
		t.Fatal(err)
	}
	for what, fit := range map[string]struct {
		try  func() error
		want error
	}{
		"nothing": {func() error { _, err := c.Fit(t.Context(), continual.StabilityGapInput{}); return err }, method.ErrInput},
		"one text": {func() error {
			_, err := c.Fit(t.Context(), continual.StabilityGapInput{Tokens: good.Slice(0, 1)})
			return err
		}, data.ErrShape},
		"half a token": {func() error {
			_, err := c.Fit(t.Context(), continual.StabilityGapInput{Tokens: fraction})
			return err
		}, data.ErrFormat},
		"an empty task":   {func() error { _, err := c.Continue(t.Context(), m, good.Slice(0, 0)); return err }, data.ErrShape},
		"a narrower task": {func() error { _, err := c.Continue(t.Context(), m, fraction); return err }, data.ErrShape},
		"a log every 0":   {func() error { _, _, err := c.Trace(t.Context(), m, good, 0); return err }, method.ErrConfig},
	} {
		if err := fit.try(); !errors.Is(err, fit.want) {
			t.Errorf("%s: %v, want %v", what, err, fit.want)
		}
	}
}
