package continual

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/gimbal-ml/gimbal/data"
	"github.com/gimbal-ml/gimbal/internal/part"
	"github.com/gimbal-ml/gimbal/method"
	"github.com/gimbal-ml/gimbal/moments"
)

var _ = methods.Add(method.FromSource[RanPAC, *data.Table](method.Info{
	Title:  "ridge regression behind a random layer, its penalty read off one factorisation",
	Paper:  "mcdonnell2023ranpac",
	Small:  map[string]string{"rank": "64"},
	Exempt: map[string]string{"far-from-zero": "the random layer cuts off at zero, so that where zero lies matters, section 4"},
}, RanPAC.fit, loadRanPAC))

// RanPAC classifies by ridge regression on random features: a layer of random weights and a ReLU that is never trained.
//
// It is the learner of McDonnell et al. (2023) on frozen features, without its first phase: products of features with random
// directions, negative ones cut off, make classes separable that no plane parts, and ridge regression on them needs nothing but sums. O(N·Rank·(D +
// Rank)) to learn, O(Rank³) to finish, O(Rank·(D + K)) a row to predict. Prefer it over [ACIL] where classes are many and rows enough; its
// memory is 8·Rank² bytes, whatever the number of rows. The weights are solved for when they are first asked for, so that many tasks in a row cost their sums alone.
//
// The penalty is the one with the least generalised cross-validation error among 25, for which one factorisation of the sums
// gives the whole path; with fewer rows than half of Rank the factorisation is of as many rows as there are.
//
// Fits on: Table N×D with a label for every row, N ≥ 2.
// Predict: N×K probabilities, softmax(fitted value/Temperature); the most probable class has the largest fitted value.
// Logits:  N×K, fitted values over the temperature; their softmax is Predict.
// Update:  the model that has also seen the task's rows, of old or new classes; tasks in any order or pieces give the same bytes, always: rows are brought to length one, so the grid is the same for all.
// Forget:  the model that never saw the rows, to the byte.
// Errors:  ErrLabels when a row has no label; ErrDegenerate when all rows point in one direction; ErrShape on another width, or for rows that were never learned.
// Differs: rows are brought to length one first; random weights are whole multiples of 2^-10; the penalty comes from all rows by cross-validation, where the authors' code tries 17 on a fifth of the last task's; the intercept has no penalty; Temperature and Forget are ours.
// Source:  mcdonnell2023ranpac, eq. (5)-(7), Algorithm 1; golub1979generalized for the penalty.
// Claim:   claims/continual/ranpac.go.
type RanPAC struct {
	// Rank is how many random features there are (the paper's M, 10 000 for 768 columns). A thousand learn a task in half a second; memory grows with its square, time with its cube.
	Rank int `default:"1000" range:"[1,65536]"`
	// Ridge is added to the diagonal of the random features' covariance, as a share of their mean variance; 0 chooses it by cross-validation, which costs about ten times the solution at one penalty.
	Ridge float64 `range:"[0,1e6]" unit:"share of the mean variance"`
	// Temperature divides fitted values, which lie about 0 and 1, before the softmax: lower is more confident, the chosen class stays the same.
	Temperature float64 `default:"0.1" range:"(0,1e6]" unit:"fitted value"`
	// Seed starts the random numbers.
	Seed uint64
}

// ranpacBound is how far random features of rows of length one reach, but for one in 10^15; those beyond it are exact as well, and slower.
const ranpacBound = 8

// Fit learns the weights from a table or a stream, in one pass.
func (c RanPAC) Fit(ctx context.Context, train *data.Table) (*RanPACModel, error) {
	return c.fit(ctx, train)
}

func (c RanPAC) fit(ctx context.Context, train data.Source) (*RanPACModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	var layer *part.Projection
	var s *moments.State
	for b, err := range train.Blocks(ctx) {
		if err != nil {
			return nil, err
		}
		if layer == nil {
			_, d := b.Dims()
			if d == 0 {
				return nil, fmt.Errorf("%w: no feature columns to learn from", data.ErrShape)
			}
			layer = c.layer(d)
			ends := make([]float32, 2*c.Rank)
			for j := range c.Rank {
				ends[c.Rank+j] = ranpacBound
			}
			both, err := data.NewTable(2, c.Rank, ends)
			if err != nil {
				return nil, err
			}
			if s, _, err = moments.Frame(ctx, both, false); err != nil {
				return nil, err
			}
		}
		raised, err := ranpacLift(layer, b)
		if err == nil {
			err = s.Observe(raised)
		}
		if err != nil {
			return nil, err
		}
	}
	if s == nil {
		return nil, fmt.Errorf("%w: no rows to learn from", data.ErrShape)
	}
	return c.recalled(s, layer)
}

// layer draws the random weights, D×Rank. As multiples of 2^-10 they are the same numbers on every machine.
func (c RanPAC) layer(d int) *part.Projection {
	r := rand.New(rand.NewPCG(c.Seed, uint64(d)))
	p := &part.Projection{D: d, R: c.Rank, Center: make([]float64, d), Matrix: make([]float64, d*c.Rank)}
	for i := range p.Matrix {
		p.Matrix[i] = math.Round(r.NormFloat64()*(1<<10)) / (1 << 10)
	}
	return p
}

// ranpacLift is the random layer: ReLU(x/‖x‖·W), eq. (5).
func ranpacLift(layer *part.Projection, in *data.Table) (*data.Table, error) {
	if err := method.Width("ranpac", in, layer.D); err != nil {
		return nil, err
	}
	n, d := in.Dims()
	unit, row := make([]float32, n*d), make([]float64, d)
	for i := range n {
		length(row, in.Row(i))
		for j, v := range row {
			unit[i*d+j] = float32(v)
		}
	}
	out := make([]float32, n*layer.R)
	layer.Each(unit, n, func(lo, hi int, z []float64) {
		for i, v := range z {
			out[lo*layer.R+i] = float32(max(v, 0))
		}
	})
	t, err := data.NewTable(n, layer.R, out)
	if err != nil {
		return nil, err
	}
	return withLabelsOf(t, in)
}

func (c RanPAC) recalled(s *moments.State, layer *part.Projection) (*RanPACModel, error) {
	if err := moments.Classes.Check(s); err != nil {
		return nil, err
	}
	mean := 0.0
	for _, v := range s.Variance() {
		mean += v
	}
	if !(mean > 0) {
		return nil, fmt.Errorf("%w: all %d rows point in one direction, so no feature tells classes apart", method.ErrDegenerate, s.Rows())
	}
	kept := remember("ranpac", s, func(in *data.Table) (*data.Table, error) { return ranpacLift(layer, in) },
		func(s *moments.State) (*RanPACModel, error) { return c.recalled(s, layer) })
	return &RanPACModel{memory: kept, layer: layer, solve: sync.OnceValues(func() (*ranpacSolution, error) { return c.solved(kept) })}, nil
}

// ranpacSolution is the weights and the penalty that they were found with.
type ranpacSolution struct {
	fitted *scores // Rank×K
	ridge  float64
}

// solved finds the weights, when they are first asked for: tasks that come one after the other cost their sums alone.
func (c RanPAC) solved(kept memory) (*ranpacSolution, error) {
	kept.guard.Lock()
	defer kept.guard.Unlock()
	s := kept.sums
	if c.Ridge > 0 && 2*s.Rows() >= c.Rank {
		fitted, err := ridgeScores(s, c.Ridge, c.Temperature)
		return &ranpacSolution{fitted, c.Ridge}, err
	}
	path, err := newRidgePath(s)
	if err != nil {
		return nil, err
	}
	ridge := c.Ridge
	if ridge == 0 {
		ridge = path.best()
	}
	return &ranpacSolution{indicatorScores(s, path.weights(ridge), c.Temperature), ridge}, nil
}

// RanPACModel is a fitted [RanPAC].
type RanPACModel struct {
	memory
	layer *part.Projection // D×Rank
	solve func() (*ranpacSolution, error)
}

// Ridge returns the penalty at work, as a share of the random features' mean variance. Errors: ErrDegenerate, as of Predict.
func (m *RanPACModel) Ridge() (float64, error) {
	found, err := m.solve()
	if err != nil {
		return 0, fmt.Errorf("ranpac: %w", err)
	}
	return found.ridge, nil
}

// Predict returns each row's class probabilities, N×K.
func (m *RanPACModel) Predict(in *data.Table) (*data.Table, error) {
	return m.answer(in, (*scores).predict)
}

// Logits returns each row's fitted values over the temperature, N×K.
func (m *RanPACModel) Logits(in *data.Table) (*data.Table, error) {
	return m.answer(in, (*scores).logits)
}

func (m *RanPACModel) answer(in *data.Table, say func(*scores, string, *data.Table) (*data.Table, error)) (*data.Table, error) {
	raised, err := ranpacLift(m.layer, in)
	if err != nil {
		return nil, err
	}
	found, err := m.solve()
	if err != nil {
		return nil, fmt.Errorf("ranpac: %w", err)
	}
	return say(found.fitted, "ranpac", raised)
}

// State returns the model as tensors: the sums; the random layer follows from the seed.
func (m *RanPACModel) State() *data.Checkpoint {
	st := m.memory.State()
	st.Tensors["columns"] = data.Int64Tensor([]int64{int64(m.layer.D)}, 1)
	return st
}

func loadRanPAC(c RanPAC, st *data.Checkpoint) (*RanPACModel, error) {
	if err := method.Ready(&c); err != nil {
		return nil, err
	}
	columns, _, err := st.Ints("columns", 1)
	if err != nil {
		return nil, err
	}
	s, err := recall(st)
	if err != nil {
		return nil, err
	}
	if r, _ := s.Dims(); r != c.Rank || columns[0] < 1 || columns[0] > 1<<24 || columns[0]*int64(c.Rank) > 1<<32 {
		return nil, fmt.Errorf("%w: sums of %d random features of %d columns, want %d", data.ErrShape, r, columns[0], c.Rank)
	}
	return c.recalled(s, c.layer(int(columns[0])))
}
