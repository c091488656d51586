package audit

import (
	"context"
	"fmt"
	"math/bits"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
)

var _ = methods.Add(method.FromSource[ConfidentLearning, LogitsInput](method.Info{
	Title:   "labels that the classifier contradicts with the confidence usual for another class",
	Paper:   "northcutt2021confident",
	Default: true,
}, ConfidentLearning.FitSource, loadConfidentLearning))

// ConfidentLearning counts for each pair of classes how many rows of the one are confidently of the other.
//
// It is the confident joint of Northcutt, Jiang and Chuang (2021). A row is confidently of a class when its probability reaches the
// mean probability that rows with that label get; so a class of which the classifier is never sure is not called wrong
// everywhere. Two passes over the rows, O(K²) memory: tables larger than memory are read from their files, with the same result
// to the bit. Prefer [Neighbors] when the only classifier at hand has learned from the labels.
//
// Fits on: Logits N×K with N ≥ 1 and K ≥ 2, or probabilities, of a classifier that has not learned from these rows; all rows labelled. A class without rows is suggested for none.
// Audit:   scores in [−1, 1], the largest probability of another class less that of the label, higher = more likely wrong. Suspect: confidently of another class. What the file learned from is audited again in a pass.
// Errors:  ErrInput without logits and for rows that are no probabilities where those were announced; ErrLabels without labels, and when they do not match the columns; ErrShape on another width and without rows.
// Differs: of several confident classes the most probable one counts, as in the paper; cleanlab takes the most probable class of all then. Its slack of 1e-6 at thresholds is kept, its count of at least one on the diagonal is not. Probabilities are rounded to multiples of 2^-52 before they are added, so that no order of rows matters.
// Source:  northcutt2021confident, eq. (1) and (2), (3) for the calibrated joint; section 3.2 for the ranking by margin.
// Claim:   none: its counts are held against brute force and against cleanlab's; the paper's networks are not trained again.
type ConfidentLearning struct {
	// Probabilities says that rows are probabilities instead of logits.
	Probabilities bool
}

// Fit is FitSource on a table in memory.
func (c ConfidentLearning) Fit(ctx context.Context, in LogitsInput) (*ConfidentLearningModel, error) {
	if in.Logits == nil {
		return nil, fmt.Errorf("%w: no logits", method.ErrInput)
	}
	return c.FitSource(ctx, in.Logits)
}

// confidentLearningSlack is how far below its threshold a probability still counts as confident: float32's rounding must not decide.
const confidentLearningSlack = 1e-6

// FitSource learns thresholds in one pass and counts in another.
func (c ConfidentLearning) FitSource(ctx context.Context, src data.Source) (*ConfidentLearningModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := &ConfidentLearningModel{outputs: outputs{name: "confidentlearning", probabilities: c.Probabilities}}
	if err := m.begin(ctx, src); err != nil {
		return nil, err
	}
	sums, rows := make([][2]uint64, m.k), make([]int64, m.k)
	err := m.pass(ctx, src, func(b *data.Table, labels []int, first int) error {
		own := make([]uint64, len(labels))
		err := m.each(b, first, func(i int, p shares) { own[i] = uint64(p.at(labels[i])*(1<<52) + 0.5) })
		for i, y := range labels {
			var carry uint64
			sums[y][0], carry = bits.Add64(sums[y][0], own[i], 0)
			sums[y][1] += carry
			rows[y]++
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	m.thresholds = make([]float64, m.k)
	for y := range sums {
		if m.thresholds[y] = confidentLearningNever; rows[y] > 0 {
			m.thresholds[y] = (float64(sums[y][1])*(1<<32)*(1<<32) + float64(sums[y][0])) / (1 << 52) / float64(rows[y])
		}
	}
	m.bound()
	m.rows, m.joint = rows, make([]int64, m.k*m.k)
	err = m.pass(ctx, src, func(b *data.Table, labels []int, first int) error {
		sure := make([]int, len(labels))
		err := m.each(b, first, func(i int, p shares) { sure[i] = m.sure(p) })
		for i, y := range labels {
			if sure[i] >= 0 {
				m.joint[y*m.k+sure[i]]++
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// confidentLearningNever is a threshold that no probability reaches: of a class without rows.
const confidentLearningNever = 2

// ConfidentLearningModel is a fitted [ConfidentLearning].
type ConfidentLearningModel struct {
	outputs
	thresholds []float64 // K
	bounds     []float32 // K
	rows       []int64   // K, of each label
	joint      []int64   // K×K: labels × confident classes
}

// sure is the class that a row is confidently of, −1 for none.
func (m *ConfidentLearningModel) sure(p shares) int {
	best, most := -1, 0.0
	for c := range m.thresholds {
		if p.exact == nil && p.row[c] < m.bounds[c] {
			continue
		}
		if v := p.at(c); v >= m.thresholds[c]-confidentLearningSlack && (best < 0 || v > most) {
			best, most = c, v
		}
	}
	return best
}

// bound sets what a class's value must have in a row of probabilities, before its division by the sum, to be looked at.
func (m *ConfidentLearningModel) bound() {
	m.bounds = make([]float32, m.k)
	for c, t := range m.thresholds {
		m.bounds[c] = float32((t - confidentLearningSlack) * (1 - 2*sumSlack))
	}
}

// Classes returns the K classes, in the order of thresholds and joint.
func (m *ConfidentLearningModel) Classes() []string { return slices.Clone(m.classes) }

// Thresholds returns for each class the mean probability that its rows get for it; 2, which none reaches, for a class without rows.
func (m *ConfidentLearningModel) Thresholds() []float64 { return slices.Clone(m.thresholds) }

// Joint returns K×K counts, row-major: rows labelled with the first class that are confidently of the second.
func (m *ConfidentLearningModel) Joint() []int64 { return slices.Clone(m.joint) }

// NoiseRate estimates the share of wrong labels: the counts off the diagonal, those of each label scaled to all its rows. A label
// without confident rows counts as right.
func (m *ConfidentLearningModel) NoiseRate() float64 {
	wrong, all := 0.0, 0.0
	for y, n := range m.rows {
		row := m.joint[y*m.k : (y+1)*m.k]
		sum := int64(0)
		for _, v := range row {
			sum += v
		}
		if sum > 0 {
			wrong += float64(n) * float64(sum-row[y]) / float64(sum)
		}
		all += float64(n)
	}
	return wrong / max(all, 1)
}

// Audit scores labels by margin; a row that is confidently of another class is suspect.
func (m *ConfidentLearningModel) Audit(in *data.Table) ([]method.Finding, error) {
	labels, err := m.labels(in, 0)
	if err != nil {
		return nil, err
	}
	out := make([]method.Finding, len(labels))
	err = m.each(in, 0, func(i int, p shares) {
		y := labels[i]
		_, out[i].Score = p.against(y)
		if c := m.sure(p); c >= 0 && c != y {
			out[i].Suspect, out[i].Suggested = true, m.classes[c]
			out[i].Reason = fmt.Sprintf("%.3f for %s, where rows of that class get %.3f on average; %.3f for its own", p.at(c), m.classes[c], m.thresholds[c], p.at(y))
		}
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// State returns the model as tensors.
func (m *ConfidentLearningModel) State() *data.Checkpoint {
	return m.state(map[string]data.Tensor{
		"thresholds": data.Float64Tensor(m.thresholds, m.k),
		"rows":       data.Int64Tensor(m.rows, m.k),
		"joint":      data.Int64Tensor(m.joint, m.k, m.k),
	})
}

func loadConfidentLearning(c ConfidentLearning, st *data.Checkpoint) (*ConfidentLearningModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	r := st.Read()
	base, err := load("confidentlearning", r, c.Probabilities)
	if err != nil {
		return nil, err
	}
	m := &ConfidentLearningModel{outputs: base, thresholds: r.Floats("thresholds", base.k)}
	if err := r.Err(); err != nil {
		return nil, err
	}
	if m.rows, _, err = st.Ints("rows", m.k); err != nil {
		return nil, err
	}
	if m.joint, _, err = st.Ints("joint", m.k, m.k); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(slices.Concat(m.rows, m.joint), func(v int64) bool { return v < 0 }) {
		return nil, fmt.Errorf("%w: a negative count", data.ErrFormat)
	}
	m.bound()
	return m, nil
}
