package probe

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.Learned(method.Info{
	Title: "logistic regression for the group of rows that fares worst, or for all groups alike",
	Paper: "kirichenko2023last",
}, GroupRobust.Fit, loadGroupRobust))

// GroupRobust classifies by a logistic head that is fitted so that no group of rows is given up for the others.
//
// It is the retrained last layer of Kirichenko et al. (2023): a network that was trained on a mix in which background and
// class go together has features of both, and a head on rows in which all groups weigh alike uses the right ones. A group is
// a value of the table's groups together with a class. With Strategy worst, the head minimises the largest of the groups'
// mean losses, as Sagawa et al. (2020) ask for, by ascent on the groups' weights: O(30·N·D·K) an evaluation. Prefer it over
// [Logistic] with Balanced when rows of one class come from places, people or devices that differ in number.
//
// Fits on: Table N×D with a label for every row, N ≥ 2, and the group of every row; without groups every class is one. It holds a float32 copy of the rows.
// Predict: N×K class probabilities.
// Logits:  N×K, natural logs of unnormalised probabilities; their softmax is Predict.
// Errors:  ErrLabels when a row has no label; ErrShape without rows or columns and on another width; ErrDegenerate when all rows are equal, or the optimum is not reached.
// Differs: all rows are used, weighted, where the authors draw subsets and average; the penalty is on squared weights. The worst group's loss is reached by exponentiated ascent with exact heads in between; Report says by how much at most it is missed.
// Source:  kirichenko2023last, section 5; sagawa2020distributionally, Algorithm 1.
// Claim:   claims/probe/grouprobust.go.
type GroupRobust struct {
	// Ridge is the penalty on squared weights, as a share of the columns' mean variance.
	Ridge float64 `default:"1e-3" range:"[1e-9,1e6]" unit:"share of the mean variance"`
	// Strategy is what counts: the mean over groups (balanced) or the worst one (worst).
	Strategy string `default:"balanced" enum:"balanced,worst"`
}

// grouprobustRounds is how often the groups' weights change.
const grouprobustRounds = 30

// Fit finds the weights.
func (c GroupRobust) Fit(ctx context.Context, train *data.Table) (*GroupRobustModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	train = train.Pick(sortedRows(train)) // so that the order in which rows came does not show in the last digits
	p, err := newLogisticProblem(ctx, train, false, false)
	if err != nil {
		return nil, err
	}
	group, names := grouprobustGroups(train, p.classes, p.Labels)
	g := len(names)
	rows := make([]float64, g) // of each group
	for _, at := range group {
		rows[at]++
	}
	for l := range p.Weights {
		p.Weights[l] = 1
	}
	p.Rows = make([]float64, p.N)
	weigh := func(q []float64) {
		for i, at := range group {
			p.Rows[i] = q[at] / rows[at]
		}
	}
	q, sum := make([]float64, g), make([]float64, g)
	for a := range q {
		q[a] = 1 / float64(g)
	}
	weigh(q)
	fit, theta, err := p.solve(ctx, c.Ridge, nil)
	if err != nil {
		return nil, err
	}
	m := &GroupRobustModel{logisticFit: fit, names: names}
	m.losses = p.groupLosses(theta, group, rows)
	if c.Strategy == "balanced" || g == 1 {
		return m, nil
	}
	// Ascent on the dual, max over q of the least weighted objective; its step falls, and the mean of q is what counts.
	for round := range grouprobustRounds {
		method.Progress(ctx, round, grouprobustRounds)
		top, total := slices.Max(m.losses), 0.0
		for a, v := range m.losses {
			q[a] *= math.Exp(2 * (v - top) / (top * math.Sqrt(float64(round+1))))
			total += q[a]
		}
		for a := range q {
			q[a] /= total
			sum[a] += float64(round+1) * q[a] // later ones count more
		}
		weigh(q)
		if _, theta, err = p.solve(ctx, c.Ridge, theta); err != nil {
			return nil, err
		}
		m.losses = p.groupLosses(theta, group, rows)
	}
	total := float64(grouprobustRounds*(grouprobustRounds+1)) / 2
	for a := range q {
		q[a] = sum[a] / total
	}
	weigh(q)
	if m.logisticFit, theta, err = p.solve(ctx, c.Ridge, theta); err != nil {
		return nil, err
	}
	m.losses = p.groupLosses(theta, group, rows)
	for a, v := range m.losses {
		m.missed -= q[a] * v
	}
	m.missed += slices.Max(m.losses)
	return m, nil
}

// grouprobustGroups numbers the pairs of group and class that have rows, in the order of their names.
func grouprobustGroups(train *data.Table, classes []string, labels []int) (group []int, names []string) {
	name := func(i int) string {
		if g := train.Groups(); g != nil {
			return classes[labels[i]] + " in " + g[i]
		}
		return classes[labels[i]]
	}
	for i := range labels {
		names = append(names, name(i))
	}
	slices.SortFunc(names, strings.Compare)
	names = slices.Compact(names)
	for i := range labels {
		at, _ := slices.BinarySearch(names, name(i))
		group = append(group, at)
	}
	return group, names
}

// groupLosses returns each group's mean log loss at theta.
func (p *logisticProblem) groupLosses(theta []float64, group []int, rows []float64) []float64 {
	losses := make([]float64, p.N)
	plain := newHead(p.classes, make([]float64, p.D), theta[:p.D*p.K], theta[p.D*p.K:])
	plain.linear.Each(p.X, p.N, func(lo, hi int, z []float64) {
		for i := lo; i < hi; i++ {
			row := z[(i-lo)*p.K : (i-lo+1)*p.K]
			top, sum := math.Inf(-1), 0.0
			for c := range row {
				row[c] += plain.intercept[c]
				top = max(top, row[c])
			}
			for _, v := range row {
				sum += math.Exp(v - top)
			}
			losses[i] = top + math.Log(sum) - row[p.Labels[i]]
		}
	})
	out := make([]float64, len(rows))
	for i, v := range losses {
		out[group[i]] += v / rows[group[i]]
	}
	return out
}

// GroupRobustModel is a fitted [GroupRobust].
type GroupRobustModel struct {
	logisticFit
	names  []string  // G
	losses []float64 // G
	missed float64
}

// Predict returns each row's class probabilities, N×K.
func (m *GroupRobustModel) Predict(in *data.Table) (*data.Table, error) {
	return m.head.predict("grouprobust", in)
}

// Logits returns each row's logits, N×K.
func (m *GroupRobustModel) Logits(in *data.Table) (*data.Table, error) {
	return m.head.logits("grouprobust", in)
}

// Linear returns the head itself: logits = (x − center)·weights + intercept, with D, D×K and K values. The caller must not change them.
func (m *GroupRobustModel) Linear() (center, weights, intercept []float64) {
	return m.head.linear.Center, m.head.linear.Matrix, m.head.intercept
}

// Groups returns the names of the groups and their mean log losses on the training rows. The caller must not change them.
func (m *GroupRobustModel) Groups() (names []string, losses []float64) { return m.names, m.losses }

// Report returns the groups' number, the largest and the mean of their mean log losses, and by how much at most the largest
// one, less what the penalty allows, lies above the least possible (Strategy worst).
func (m *GroupRobustModel) Report() data.Numbers {
	mean := 0.0
	for _, v := range m.losses {
		mean += v / float64(len(m.losses))
	}
	return data.Numbers{"groups": float64(len(m.losses)), "worst_loss": slices.Max(m.losses), "mean_loss": mean, "missed_by_at_most": m.missed}
}

// State returns the model as tensors.
func (m *GroupRobustModel) State() *data.Checkpoint {
	st := m.logisticFit.state()
	st.Tensors["losses"] = data.Float64Tensor(m.losses, len(m.losses))
	st.Tensors["missed"] = data.Float64Tensor([]float64{m.missed}, 1)
	st.SetStrings("groups", m.names)
	return st
}

func loadGroupRobust(_ GroupRobust, st *data.Checkpoint) (*GroupRobustModel, error) {
	fit, err := loadLogisticFit(st)
	if err != nil {
		return nil, err
	}
	r := st.Read()
	m := &GroupRobustModel{logisticFit: fit, names: r.Strings("groups")}
	m.losses = r.Floats("losses", len(m.names))
	missed := r.Floats("missed", 1)
	if err := r.Err(); err != nil {
		return nil, err
	}
	if len(m.names) == 0 {
		return nil, fmt.Errorf("%w: no groups", data.ErrFormat)
	}
	m.missed = missed[0]
	return m, nil
}
