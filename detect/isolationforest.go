package detect

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "how few random cuts set a row apart from the training rows",
	Paper: "liu2008isolation",
}, IsolationForest.Fit, loadIsolationForest))

// IsolationForest scores how few random cuts set a row apart from samples of the training rows.
//
// It is the detector of Liu et al. (2008): trees that cut a random column at a random place isolate what is rare and
// different early. Units of columns do not matter, nor do columns that say nothing, much; O(N·log N) to bring rows in order
// and O(Trees·Rows·log Rows) to grow trees, O(Trees·log Rows) a row to score, and it keeps the trees alone. Prefer it for tables of
// mixed columns when nothing is known; prefer [KNN] or [LOF] when outliers hide between clusters.
//
// Fits on: Table N×D with N ≥ 2 rows that are not all equal, D ≥ 1; labels are ignored.
// Score:   N values in (0, 1): 2 to minus the mean number of cuts over its expectation, higher = set apart sooner. Near 0.5 for rows like all others.
// Errors:  ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal.
// Differs: a cut is drawn among the columns that vary in its node, as in scikit-learn. Samples are drawn from the rows in the order of their values, so the order in which they were read does not matter.
// Source:  liu2008isolation, Algorithms 1-3, eq. (1)-(2).
// Claim:   claims/detect/isolationforest.go.
type IsolationForest struct {
	// Trees is how many trees are averaged, the paper's t. More cost time and calm the scores.
	Trees int `default:"100" range:"[1,100000]"`
	// Rows is how many rows each tree sees, the paper's ψ; all of them when there are fewer. Small samples keep clusters of outliers from hiding one another.
	Rows int `default:"256" range:"[2,1e9]"`
	// Seed starts the random numbers; each tree has its own.
	Seed uint64
}

// Fit grows the trees.
func (c IsolationForest) Fit(ctx context.Context, train *data.Table) (*IsolationForestModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := readyRows(ctx, train, 1); err != nil {
		return nil, err
	}
	n, d := train.Dims()
	order := canonicalOrder(train.X(), n, d)
	first, last := train.Row(order[0]), train.Row(order[n-1])
	same := true
	for j, v := range first {
		same = same && v == last[j]
	}
	if same {
		return nil, collapsedRows(n)
	}
	rows := min(c.Rows, n)
	trees := make([]isolationForestTree, c.Trees)
	num.Parallel(c.Trees, 1, func(lo, hi int) {
		g := &isolationForestGrower{x: train.X(), d: d, limit: bits.Len(uint(rows - 1)), columns: make([]int, d), expected: isolationForestExpected(rows)}
		for k := lo; k < hi && ctx.Err() == nil; k++ {
			trees[k] = g.grow(order, rows, rand.New(rand.NewPCG(c.Seed, uint64(k))))
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return newIsolationForest(trees, d, isolationForestExpected(rows)[rows]), nil
}

// isolationForestExpected returns c(n), the expected number of cuts that set one of n rows apart, for n up to the given
// number: eq. (1), with harmonic numbers in full.
func isolationForestExpected(rows int) []float64 {
	c, harmonic := make([]float64, rows+1), 0.0
	for n := 2; n <= rows; n++ {
		harmonic += 1 / float64(n-1)
		c[n] = 2*harmonic - 2*float64(n-1)/float64(n)
	}
	return c
}

// isolationForestNode is a cut, or a leaf when column is −1. The right child follows the left one.
type isolationForestNode struct {
	cut    float32 // rows below it go left; of a leaf: the path's length
	column int32
	left   int32
}

type isolationForestTree []isolationForestNode

// isolationForestGrower grows one tree after another.
type isolationForestGrower struct {
	x        []float32
	d, limit int
	columns  []int // 0..d−1 in some order
	expected []float64
	random   *rand.Rand
	tree     isolationForestTree
	marks    map[int]int
}

// grow draws a sample of rows without replacement and cuts it up: Algorithm 2.
func (g *isolationForestGrower) grow(order []int, rows int, random *rand.Rand) isolationForestTree {
	for j := range g.columns {
		g.columns[j] = j
	}
	g.random, g.tree, g.marks = random, make(isolationForestTree, 1, 2*rows), map[int]int{}
	at := func(i int) int {
		if v, ok := g.marks[i]; ok {
			return v
		}
		return i
	}
	sample := make([]int, rows)
	for i := range sample { // the first steps of a shuffle, which remembers what it moved
		j := i + random.IntN(len(order)-i)
		sample[i] = order[at(j)]
		g.marks[j] = at(i)
	}
	g.split(0, 0, sample)
	return g.tree
}

// split turns a node into a cut of its rows, or a leaf.
func (g *isolationForestGrower) split(node, depth int, rows []int) {
	column, low, high := -1, float32(0), float32(0)
	if depth < g.limit && len(rows) > 1 {
		column, low, high = g.draw(rows)
	}
	if column < 0 {
		g.tree[node] = isolationForestNode{cut: float32(float64(depth) + g.expected[len(rows)]), column: -1}
		return
	}
	place := float64(low) + g.random.Float64()*(float64(high)-float64(low))
	cut := float32(place) // the least float32 at or above the place: the same rows lie below
	if float64(cut) < place {
		cut = math.Nextafter32(cut, math.MaxFloat32)
	}
	if cut <= low {
		cut = math.Nextafter32(low, math.MaxFloat32)
	}
	left := 0
	for i, r := range rows {
		if g.x[r*g.d+column] < cut {
			rows[i], rows[left] = rows[left], rows[i]
			left++
		}
	}
	child := len(g.tree)
	g.tree = append(g.tree, isolationForestNode{}, isolationForestNode{})
	g.tree[node] = isolationForestNode{cut, int32(column), int32(child)}
	g.split(child, depth+1, rows[:left])
	g.split(child+1, depth+1, rows[left:])
}

// draw picks one of the columns that vary among rows, each as likely, with its range; −1 when none does.
func (g *isolationForestGrower) draw(rows []int) (column int, low, high float32) {
	for tried := range g.d {
		k := tried + g.random.IntN(g.d-tried)
		g.columns[tried], g.columns[k] = g.columns[k], g.columns[tried]
		column = g.columns[tried]
		low = g.x[rows[0]*g.d+column]
		high = low
		for _, r := range rows[1:] {
			v := g.x[r*g.d+column]
			low, high = min(low, v), max(high, v)
		}
		if low < high {
			return column, low, high
		}
	}
	return -1, 0, 0
}

// IsolationForestModel is a fitted [IsolationForest].
type IsolationForestModel struct {
	nodes isolationForestTree // of all trees; children are counted from the first of all
	roots []int32
	d     int
	whole float64 // c(ψ): the expected cuts
}

// newIsolationForest puts the trees into one list.
func newIsolationForest(trees []isolationForestTree, d int, whole float64) *IsolationForestModel {
	m := &IsolationForestModel{d: d, whole: whole}
	for _, t := range trees {
		base := int32(len(m.nodes))
		m.roots = append(m.roots, base)
		for _, node := range t {
			if node.column >= 0 {
				node.left += base
			}
			m.nodes = append(m.nodes, node)
		}
	}
	return m
}

// isolationForestRows is how many rows walk through a tree at a time, so that it stays in the nearest cache.
const isolationForestRows = 256

// Score returns how soon each row is set apart: eq. (2).
func (m *IsolationForestModel) Score(in *data.Table) ([]float64, error) {
	if err := method.Width("isolationforest", in, m.d); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	x, out := in.X(), make([]float64, n)
	scale := -1 / (float64(len(m.roots)) * m.whole)
	num.Parallel(n, 32, func(from, to int) {
		for lo := from; lo < to; lo += isolationForestRows {
			hi := min(lo+isolationForestRows, to)
			for _, root := range m.roots {
				for i := lo; i < hi; i++ {
					node := &m.nodes[root]
					for node.column >= 0 {
						next := node.left
						if !(x[i*d+int(node.column)] < node.cut) {
							next++
						}
						node = &m.nodes[next]
					}
					out[i] += float64(node.cut)
				}
			}
			for i := lo; i < hi; i++ {
				out[i] = math.Exp2(scale * out[i])
			}
		}
	})
	return out, nil
}

// State returns the model as tensors.
func (m *IsolationForestModel) State() *data.Checkpoint {
	n := len(m.nodes)
	cuts, columns, left, roots := make([]float32, n), make([]int64, n), make([]int64, n), make([]int64, len(m.roots))
	for i, node := range m.nodes {
		cuts[i], columns[i], left[i] = node.cut, int64(node.column), int64(node.left)
	}
	for k, r := range m.roots {
		roots[k] = int64(r)
	}
	return &data.Checkpoint{Tensors: map[string]data.Tensor{
		"cuts":     data.Float32Tensor(cuts, n),
		"columns":  data.Int64Tensor(columns, n),
		"left":     data.Int64Tensor(left, n),
		"roots":    data.Int64Tensor(roots, len(roots)),
		"width":    data.Int64Tensor([]int64{int64(m.d)}, 1),
		"expected": data.Float64Tensor([]float64{m.whole}, 1),
	}}
}

func loadIsolationForest(_ IsolationForest, st *data.Checkpoint) (*IsolationForestModel, error) {
	var lists [4][]int64
	for k, name := range []string{"columns", "left", "roots", "width"} {
		list, _, err := st.Ints(name, -1)
		if err != nil {
			return nil, err
		}
		lists[k] = list
	}
	columns, left, roots, d := lists[0], lists[1], lists[2], lists[3]
	n := len(columns)
	cuts, err := loadFloat32Tensor(st, "cuts", n)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	whole := r.Floats("expected", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(left) != n || len(d) != 1 || len(roots) == 0 || d[0] < 1 || d[0] > math.MaxInt32 || whole[0] < 1 {
		return nil, fmt.Errorf("%w: %d cuts, %d children, %d trees, columns %v, %g expected cuts", data.ErrShape, n, len(left), len(roots), d, whole[0])
	}
	m := &IsolationForestModel{d: int(d[0]), whole: whole[0]}
	for i, c := range columns {
		// Children behind their parents: every walk ends.
		if c < -1 || c >= d[0] || c >= 0 && (left[i] <= int64(i) || left[i] >= int64(n)-1) {
			return nil, fmt.Errorf("%w: node %d cuts column %d of %d and goes to node %d of %d", data.ErrFormat, i, c, d[0], left[i], n)
		}
		if c < 0 && (cuts[i] < 0 || left[i] != 0) {
			return nil, fmt.Errorf("%w: node %d is a leaf after %g cuts with child %d", data.ErrFormat, i, cuts[i], left[i])
		}
		m.nodes = append(m.nodes, isolationForestNode{cuts[i], int32(c), int32(left[i])})
	}
	for k, r := range roots {
		if r < 0 || r >= int64(n) {
			return nil, fmt.Errorf("%w: tree %d begins at node %d of %d", data.ErrFormat, k+1, r, n)
		}
		m.roots = append(m.roots, int32(r))
	}
	return m, nil
}
