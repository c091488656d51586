package probe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/probe"
)

func ExampleMomentProbing() {
	// Two textures with the same mean: in the one both channels rise and fall together, in the other in turn.
	train := textures(200, 16, 2, 1)
	m, err := probe.MomentProbing{Tokens: 16, Width: 7}.Fit(context.Background(), train)
	if err != nil {
		panic(err)
	}
	query := textures(100, 16, 2, 2)
	p, _ := m.Predict(query)
	right := 0
	for i := range 100 {
		if (p.Row(i)[0] > 0.5) == (query.ClassName(i) == p.Columns()[0]) {
			right++
		}
	}
	fmt.Println(right > 90)
	// Output:
	// true
}

// textures are n rows of tokens whose channels have mean zero and variance one in both classes; neighbouring channels are
// correlated by 0.8 in the one and by −0.8 in the other.
func textures(n, tokens, channels int, seed uint64) *data.Table {
	r := rand.New(rand.NewPCG(seed, 7))
	var x []float32
	var names []string
	for i := range n {
		sign := float64(1 - 2*(i%2))
		names = append(names, []string{"together", "in turn"}[i%2])
		for range tokens {
			before := 0.0
			for c := range channels {
				v := r.NormFloat64()
				if c > 0 {
					v = 0.8*sign*before + 0.6*v
				}
				x = append(x, float32(v))
				before = v
			}
		}
	}
	tab, err := data.NewTable(n, tokens*channels, x)
	if err != nil {
		panic(err)
	}
	if tab, err = tab.WithClassNames(names); err != nil {
		panic(err)
	}
	return tab
}

func fitMomentProbing(t testing.TB, c probe.MomentProbing, train *data.Table) *probe.MomentProbingModel {
	t.Helper()
	m, err := c.Fit(t.Context(), train)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func accuracy(t testing.TB, p []float64, query *data.Table, columns []string) (right float64) {
	t.Helper()
	n, _ := query.Dims()
	k := len(columns)
	for i := range n {
		best := 0
		for c := range k {
			if p[i*k+c] > p[i*k+best] {
				best = c
			}
		}
		if columns[best] == query.ClassName(i) {
			right += 1 / float64(n)
		}
	}
	return right
}

// TestMomentProbingOnTextures: a linear head on the mean of tokens is at chance, the second moments tell the classes apart.
func TestMomentProbingOnTextures(t *testing.T) {
	const tokens, channels = 12, 6
	train, query := textures(200, tokens, channels, 1), textures(400, tokens, channels, 2)
	pooled := func(in *data.Table) *data.Table {
		n, _ := in.Dims()
		x := make([]float32, n*channels)
		for i := range n {
			for j, v := range in.Row(i) {
				x[i*channels+j%channels] += v / tokens
			}
		}
		out, _ := data.NewTable(n, channels, x)
		labels, _ := in.Labels()
		out, _ = out.WithLabels(labels, in.Classes())
		return out
	}
	plain, _ := asked(t, fitLogistic(t, probe.Logistic{}, pooled(train)), pooled(query))
	for _, center := range []bool{false, true} {
		second, _ := asked(t, fitMomentProbing(t, probe.MomentProbing{Tokens: tokens, Center: center, Width: 11, Heads: 2}, train), query)
		columns := []string{"in turn", "together"}
		a, b := accuracy(t, plain, query, columns), accuracy(t, second, query, columns)
		t.Logf("accuracy %.3f by means, %.3f by moments", a, b)
		if b < a+0.3 || b < 0.9 {
			t.Errorf("accuracy %.3f by means, %.3f by moments", a, b)
		}
	}
}

// reordered puts a row's tokens into another order, or lists channels first.
func reordered(t *testing.T, in *data.Table, tokens int, at func(token, channel int) int) *data.Table {
	t.Helper()
	n, d := in.Dims()
	x := make([]float32, n*d)
	for i := range n {
		for j, v := range in.Row(i) {
			x[i*d+at(j/(d/tokens), j%(d/tokens))] = v
		}
	}
	out, err := data.NewTable(n, d, x)
	if err != nil {
		t.Fatal(err)
	}
	labels, _ := in.Labels()
	if out, err = out.WithLabels(labels, in.Classes()); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMomentProbingIgnoresTheOrderOfTokens(t *testing.T) {
	const tokens, channels = 5, 3
	train, query := textures(60, tokens, channels, 1), textures(20, tokens, channels, 2)
	c := probe.MomentProbing{Tokens: tokens, Width: 7, Epochs: 2}
	m := fitMomentProbing(t, c, train)
	want, _ := asked(t, m, query)
	turned := reordered(t, query, tokens, func(token, channel int) int { return (token+2)%tokens*channels + channel })
	have, _ := asked(t, m, turned)
	near(t, "tokens in another order", have, want, 1e-5) // float32 sums in another order
	c.Pool = "first"
	m = fitMomentProbing(t, c, train)
	want, _ = asked(t, m, query)
	have, _ = asked(t, m, turned)
	largest := 0.0
	for i := range want {
		largest = max(largest, math.Abs(have[i]-want[i]))
	}
	if largest < 1e-3 {
		t.Errorf("with the first token as the first moment, another first token moves probabilities by %g", largest)
	}
}

// TestMomentProbingChannelsFirst: rows that list channels first say the same. Batches differ, for rows are ordered by their
// values; so one batch an epoch is all of them.
func TestMomentProbingChannelsFirst(t *testing.T) {
	const tokens, channels = 4, 3
	first := func(in *data.Table) *data.Table {
		return reordered(t, in, tokens, func(token, channel int) int { return channel*tokens + token })
	}
	train, query := textures(2, tokens, channels, 1), textures(20, tokens, channels, 2)
	c := probe.MomentProbing{Tokens: tokens, Width: 7, Epochs: 1}
	want, _ := asked(t, fitMomentProbing(t, c, train), query)
	c.ChannelsFirst = true
	have, _ := asked(t, fitMomentProbing(t, c, first(train)), first(query))
	near(t, "channels first", have, want, 1e-3) // five hundred steps of float32 sums over two rows in another order
}

// TestMomentProbingOfOneRepeatedToken: without spread the centred second moments are nothing, so rows tell no more than their mean.
func TestMomentProbingOfOneRepeatedToken(t *testing.T) {
	const tokens, channels = 4, 3
	in := textures(40, 1, channels, 1)
	n, _ := in.Dims()
	var x []float32
	for i := range n {
		for range tokens {
			x = append(x, in.Row(i)...)
		}
	}
	train, _ := data.NewTable(n, tokens*channels, x)
	labels, _ := in.Labels()
	train, _ = train.WithLabels(labels, in.Classes())
	m := fitMomentProbing(t, probe.MomentProbing{Tokens: tokens, Width: 7, Center: true, Epochs: 2}, train)
	// Then logits are affine in the rows: second differences along a line vanish.
	line := make([]float32, 3*tokens*channels)
	for i := range line {
		line[i] = float32(i / (tokens * channels))
	}
	query, _ := data.NewTable(3, tokens*channels, line)
	_, z := asked(t, m, query)
	near(t, "second differences", []float64{z[0] - 2*z[2] + z[4], z[1] - 2*z[3] + z[5]}, []float64{0, 0}, 1e-4)
}

func TestMomentProbingRefuses(t *testing.T) {
	train := textures(20, 5, 2, 1)
	if _, err := (probe.MomentProbing{Tokens: 3}).Fit(t.Context(), train); !errors.Is(err, data.ErrShape) {
		t.Errorf("10 columns for 3 tokens: %v", err)
	}
}
