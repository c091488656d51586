package continual

import (
	"context"
	"fmt"
	"math"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Map(method.Info{
	Title: "probabilities of a batch's rows, drawn towards those of their nearest neighbours in it",
	Paper: "boudiaf2022parameter",
	Exempt: map[string]string{
		"rows-independent": "transductive: a row's answer is settled with those of the batch, section 4",
		"direction":        "what comes out are probabilities of classes, not a score",
	},
}, LAME.Apply))

// LAME corrects a batch's probabilities so that rows that lie close together get the same ones.
//
// It is Laplacian Adjusted Maximum-likelihood Estimation of Boudiaf et al. (2022): the answers that stay closest to the network's own while
// neighbours agree, found by a bound that is lowered until it moves no more. The network is not touched, so nothing can be lost.
// O(N²·D) a batch. Prefer it where a batch holds few classes, as streams of frames do; where every batch holds all of them it changes little.
//
// Takes:   Logits N×K, and In N×D features of the same rows, a batch.
// Apply:   N×K probabilities.
// Errors:  ErrShape for other numbers of rows, or no columns; with Probabilities, for rows that are none.
// Differs: affinities are made symmetric, which the bound's proof asks for; one row has no neighbour and stays what it was.
// Source:  boudiaf2022parameter, eq. (5)-(7), Algorithm 1.
// Claim:   claims/continual/lame.go.
type LAME struct {
	// Neighbors is how many nearest rows of the batch draw at a row; fewer where there are no more.
	Neighbors int `default:"5" range:"[1,1e6]"`
	// Steps is how many rounds are made at most; most batches settle sooner.
	Steps int `default:"100" range:"[1,1e6]"`
	// Probabilities says that Logits are probabilities already.
	Probabilities bool
}

// LAMEInput is what a network says of a batch, and the features that it says it of.
type LAMEInput struct {
	Logits *data.Table
	In     *data.Table
}

// Apply corrects a batch.
func (c LAME) Apply(ctx context.Context, in LAMEInput) (*data.Table, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := alike(in.Logits, in.In, "logits", "in"); err != nil {
		return nil, err
	}
	n, k := in.Logits.Dims()
	_, d := in.In.Dims()
	if d < 1 {
		return nil, fmt.Errorf("%w: features of no columns", data.ErrShape)
	}
	p, err := posteriors(in.Logits, c.Probabilities)
	if err != nil {
		return nil, err
	}
	near := c.lameNeighbors(in.In)
	unary, q, pulled := make([]float64, n*k), make([]float64, n*k), make([]float64, n*k)
	for i, v := range p {
		unary[i] = math.Log(v + 1e-10)
	}
	copy(q, p)
	last := math.Inf(1)
	for range c.Steps {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for i := range n { // Σ w_ij·q_j
			row := pulled[i*k : (i+1)*k]
			clear(row)
			for _, e := range near[i] {
				for a, v := range q[e.row*k : (e.row+1)*k] {
					row[a] += e.weight * v
				}
			}
		}
		energy := 0.0
		for i := range n {
			row := q[i*k : (i+1)*k]
			for a := range row {
				energy -= pulled[i*k+a] * row[a] / 2
			}
			for a := range row {
				row[a] = unary[i*k+a] + pulled[i*k+a]
			}
			num.Softmax(row, row, 1)
			for a, v := range row {
				energy += v * (math.Log(max(v, 1e-20)) - unary[i*k+a])
			}
		}
		if !math.IsInf(last, 1) && math.Abs(energy-last) <= 1e-10*math.Abs(last) {
			break
		}
		last = energy
	}
	return probabilityTable(q, n, in.Logits.Columns())
}

// lameEdge is a neighbour and its affinity.
type lameEdge struct {
	row    int
	weight float64
}

// lameNeighbors finds each row's nearest ones by direction; an affinity is 1 where both name each other, ½ where one does.
func (c LAME) lameNeighbors(in *data.Table) [][]lameEdge {
	n, d := in.Dims()
	edges := make([][]lameEdge, n)
	most := min(c.Neighbors, n-1)
	if most < 1 {
		return edges
	}
	x, row := make([]float32, n*d), make([]float64, d)
	for i := range n {
		length(row, in.Row(i))
		for j, v := range row {
			x[i*d+j] = float32(v)
		}
	}
	weight := make([]map[int]float64, n)
	for i := range weight {
		weight[i] = map[int]float64{}
	}
	num.NearestEach(x, n, x, n, d, most+1, func(i int, _ []float64, index []int32) {
		found := 0
		for _, j := range index {
			if int(j) != i && found < most {
				found++
				weight[i][int(j)] += 0.5
				weight[int(j)][i] += 0.5
			}
		}
	})
	for i, w := range weight {
		for j := range n { // in the rows' order, so that sums are the same every time
			if v := w[j]; v > 0 {
				edges[i] = append(edges[i], lameEdge{j, v})
			}
		}
	}
	return edges
}
