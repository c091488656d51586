package saboteurs

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = add(&detectors, "", method.FromMoments(info("squared distance to the nearest class mean, columns scaled"), 0, Honest.fitMoments, loadPupil))

// Honest is a detector without a fault: the suite must find nothing wrong with it.
//
// Fits on: Table N×D, with or without labels.
// Score:   N values ≥ 0, the squared distance to the nearest class mean in units of each column's spread.
// Predict: N×K probabilities, softmax(−distance/2); needs labels.
// Update:  adds the task's rows to the moments.
// Forget:  takes rows out of the moments.
// Errors:  ErrShape on another width and on an empty table; ErrLabels from Predict without classes.
// Source:  nobody2026.
// Claim:   none; the form asks for claims/detect/honest.go.
type Honest struct {
	// Floor is added to each column's variance, in the columns' own units squared.
	Floor float64 `default:"1" range:"(0,)"`
}

// fit learns from a table.
func (c Honest) fit(ctx context.Context, in data.Source) (*honestModel, error) {
	return method.FitMoments(ctx, 0, in, func(st *moments.State) (*honestModel, error) { return newHonest(st, c.Floor), nil })
}

// fitMoments learns from a moments state.
func (c Honest) fitMoments(st *moments.State) (*pupil, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	return &pupil{newHonest(st, c.Floor)}, nil
}

// honestModel is the fitted detector: all other methods of this package are variations of it.
type honestModel struct {
	saved   *data.Checkpoint // of the moments, which are not safe for concurrent use themselves
	floor   float64
	d       int
	classes []string
	means   []float64 // max(K,1)×D
	scale   []float64 // D, variances
}

func newHonest(st *moments.State, floor float64) *honestModel {
	m := &honestModel{floor: floor, classes: st.Classes(), means: st.ClassMeans(), saved: st.Checkpoint()}
	m.d, _ = st.Dims()
	if len(m.classes) == 0 {
		m.means = st.Mean()
	}
	cov := st.Covariance()
	for j := range m.d {
		m.scale = append(m.scale, math.Max(cov[j*m.d+j], 0)+floor)
	}
	return m
}

func loadHonest(c Honest, st *data.Checkpoint) (*honestModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	s, err := moments.FromCheckpoint(st)
	if err != nil {
		return nil, err
	}
	if d, _ := s.Dims(); d == 0 || s.Rows() == 0 {
		return nil, fmt.Errorf("%w: a state of %d columns and %d rows", data.ErrShape, d, s.Rows())
	}
	return newHonest(s, c.Floor), nil
}

func loadPupil(c Honest, st *data.Checkpoint) (*pupil, error) {
	m, err := loadHonest(c, st)
	return &pupil{m}, err
}

// distances returns the squared distances to all means, N×max(K,1).
func (m *honestModel) distances(in *data.Table) ([]float64, int, error) {
	n, d := in.Dims()
	if d != m.d {
		return nil, 0, fmt.Errorf("honest: %w: table has %d columns, fitted on %d", data.ErrShape, d, m.d)
	}
	k := max(len(m.classes), 1)
	out := make([]float64, n*k)
	for i := range n {
		for c := range k {
			for j, v := range in.Row(i) {
				diff := float64(v) - m.means[c*d+j]
				out[i*k+c] += diff / m.scale[j] * diff
			}
		}
	}
	return out, k, nil
}

// Score returns the distance to the nearest mean.
func (m *honestModel) Score(in *data.Table) ([]float64, error) {
	all, k, err := m.distances(in)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(all)/k)
	for i := range out {
		out[i] = slices.Min(all[i*k : (i+1)*k])
	}
	return out, nil
}

// Predict returns class probabilities.
func (m *honestModel) Predict(in *data.Table) (*data.Table, error) {
	all, k, err := m.distances(in)
	if err != nil {
		return nil, err
	}
	if len(m.classes) == 0 {
		return nil, fmt.Errorf("honest: %w", data.ErrLabels)
	}
	return data.NewNamed(len(all)/k, m.classes, softmax(all, k))
}

// softmax turns rows of k distances into probabilities, exp(−distance/2) normalised.
func softmax(distances []float64, k int) []float32 {
	p := make([]float32, 0, len(distances))
	for row := range slices.Chunk(distances, k) {
		low, sum := slices.Min(row), 0.0
		for _, v := range row {
			sum += math.Exp((low - v) / 2)
		}
		for _, v := range row {
			p = append(p, float32(math.Exp((low-v)/2)/sum))
		}
	}
	return p
}

// State returns the moments.
func (m *honestModel) State() *data.Checkpoint {
	return &data.Checkpoint{Meta: maps.Clone(m.saved.Meta), Tensors: maps.Clone(m.saved.Tensors)}
}

// pupil is honestModel with the verbs that make new models.
type pupil struct{ *honestModel }

// Update adds rows.
func (m *pupil) Update(ctx context.Context, task *data.Table) (method.Model, error) {
	return m.changed(ctx, func(st *moments.State) error { return st.Observe(task) })
}

// Forget takes rows out.
func (m *pupil) Forget(ctx context.Context, rows *data.Table) (method.Model, error) {
	return m.changed(ctx, func(st *moments.State) error { return st.Forget(rows) })
}

func (m *pupil) changed(ctx context.Context, change func(*moments.State) error) (method.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st, err := moments.FromCheckpoint(m.saved)
	if err != nil {
		return nil, err
	}
	if err := change(st); err != nil {
		return nil, err
	}
	if st.Rows() == 0 {
		return nil, fmt.Errorf("honest: %w: no rows are left", data.ErrShape)
	}
	return &pupil{newHonest(st, m.floor)}, nil
}
