package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/num"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "labels that the nearest rows do not share",
	Paper: "zhu2022detecting",
}, Neighbors.Fit, loadNeighbors))

// Neighbors lets the nearest rows vote on each row's label.
//
// It is the local vote of Zhu, Dong and Liu (2022) on frozen features: no classifier, so none that has learned wrong labels; all
// N·D features are kept, and a row is audited in O(N·D). Prefer [ConfidentLearning] where cross-validated outputs are at hand.
//
// Fits on: Table N×D with N > Neighbors and D ≥ 1, all rows labelled; columns in units that may be compared.
// Audit:   scores in [0, 1], the share of the nearest rows with another label, higher = more likely wrong. Suspect: more than half of them have one other label. A row that was learned from does not vote on itself: one equal row with its label is left out.
// Errors:  ErrLabels without labels; ErrShape when the table has no more rows than Neighbors, or no columns, and on another width.
// Differs: Euclidean distance instead of cosine, equal votes; the paper's ranking with a threshold for each class is not done.
// Source:  zhu2022detecting, section 4.1.
// Claim:   none: it is here to be compared with.
type Neighbors struct {
	// Neighbors is how many of the nearest rows vote; the paper's k, 10.
	Neighbors int `default:"10" range:"[1,1e6]"`
}

// Fit keeps the rows, in an order of their own: which of equally near rows votes does not depend on how they came.
func (c Neighbors) Fit(ctx context.Context, in *data.Table) (*NeighborsModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	if d == 0 {
		return nil, fmt.Errorf("%w: no feature columns", data.ErrShape)
	}
	if n <= c.Neighbors {
		return nil, fmt.Errorf("%w: table has %d rows, --neighbors asks for %d beside each; give more rows or a smaller --neighbors", data.ErrShape, n, c.Neighbors)
	}
	if _, err := in.Labels(); err != nil {
		return nil, err
	}
	classes := slices.Clone(in.Classes())
	slices.SortFunc(classes, data.CompareClasses)
	m := &NeighborsModel{classes: classes, neighbors: c.Neighbors, d: d}
	votes, err := m.columns(in)
	if err != nil {
		return nil, err
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(slices.Compare(in.Row(a), in.Row(b)), cmp.Compare(votes[a], votes[b]))
	})
	for _, i := range order {
		m.rows, m.labels = append(m.rows, in.Row(i)...), append(m.labels, int64(votes[i]))
	}
	return m, nil
}

// NeighborsModel is a fitted [Neighbors].
type NeighborsModel struct {
	classes   []string
	neighbors int
	d         int
	rows      []float32 // N×D
	labels    []int64   // N
}

// columns returns each row's class as a place in the model's list.
func (m *NeighborsModel) columns(in *data.Table) ([]int, error) {
	o := outputs{name: "neighbors", classes: m.classes}
	return o.labels(in, 0)
}

// neighborsRows is how many rows are looked at together: it bounds the memory that their neighbours take.
const neighborsRows = 1024

// Audit lets the nearest rows vote.
func (m *NeighborsModel) Audit(in *data.Table) ([]method.Finding, error) {
	n, d := in.Dims()
	if d != m.d {
		return nil, fmt.Errorf("neighbors: %w: table has %d columns, fitted on %d", data.ErrShape, d, m.d)
	}
	own, err := m.columns(in)
	if err != nil {
		return nil, err
	}
	out := make([]method.Finding, n)
	k := m.neighbors + 1 // the row itself may be among them
	squared, index := make([]float64, min(n, neighborsRows)*k), make([]int32, min(n, neighborsRows)*k)
	votes := make([]int, len(m.classes))
	for lo := 0; lo < n; lo += neighborsRows {
		rows := min(neighborsRows, n-lo)
		num.Nearest(squared, index, in.X()[lo*d:(lo+rows)*d], rows, m.rows, len(m.labels), d, k)
		for i := range rows {
			out[lo+i] = m.vote(in.Row(lo+i), own[lo+i], index[i*k:(i+1)*k], votes)
		}
	}
	return out, nil
}

// vote counts the labels of the nearest rows, one more than vote, nearest first. Only one of those that equal the row is left out.
func (m *NeighborsModel) vote(row []float32, own int, nearest []int32, votes []int) (f method.Finding) {
	self := len(nearest) - 1
	for j, r := range nearest {
		if int(m.labels[r]) == own && slices.Equal(m.rows[int(r)*m.d:(int(r)+1)*m.d], row) {
			self = j
			break
		}
	}
	clear(votes)
	for j, r := range nearest {
		if j != self {
			votes[m.labels[r]]++
		}
	}
	f.Score = float64(m.neighbors-votes[own]) / float64(m.neighbors)
	for c, v := range votes {
		if c != own && 2*v > m.neighbors {
			f.Suspect, f.Suggested = true, m.classes[c]
			f.Reason = fmt.Sprintf("%d of the %d nearest rows are %s, %d of its own class", v, m.neighbors, m.classes[c], votes[own])
		}
	}
	return f
}

// State returns the rows as tensors.
func (m *NeighborsModel) State() *data.Checkpoint {
	st := &data.Checkpoint{Tensors: map[string]data.Tensor{
		"rows":   data.Float32Tensor(m.rows, len(m.labels), m.d),
		"labels": data.Int64Tensor(m.labels, len(m.labels)),
	}}
	st.SetStrings("classes", m.classes)
	return st
}

func loadNeighbors(c Neighbors, st *data.Checkpoint) (*NeighborsModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	m := &NeighborsModel{classes: r.Strings("classes"), neighbors: c.Neighbors, rows: r.Float32s("rows", -1, -1)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	shape := st.Tensors["rows"].Shape
	n := shape[0]
	if m.d = shape[1]; m.d < 1 || n <= c.Neighbors {
		return nil, fmt.Errorf("%w: %d rows of %d columns for %d neighbours", data.ErrShape, n, m.d, c.Neighbors)
	}
	var err error
	if m.labels, _, err = st.Ints("labels", n); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(m.labels, func(l int64) bool { return l < 0 || l >= int64(len(m.classes)) }) {
		return nil, fmt.Errorf("%w: a label of none of %d classes", data.ErrFormat, len(m.classes))
	}
	return m, nil
}
